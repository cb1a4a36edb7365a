//! How far a group has read one stream, and what of it its members hold.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::id::{LogPosition, QueueId};
use crate::ledger::Ledger;
use crate::stream::Stream;

/// A group's place in a stream.
///
/// Records are taken in order of offset, those that were given back before new ones. `committed` ≤ `settled` ≤ `next`: what is before
/// `committed` is done for good; what is before `settled` is done and waits for the log; what is before `next` was taken once.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) stream: QueueId,
    /// It has a place: from the first assignment on, or by recovery.
    pub(crate) started: bool,
    committed: u64,
    settled: u64,
    next: u64,
    /// Records before this one may have been delivered before.
    delivered: u64,
    /// The records between `committed` and `next`.
    window: Ledger<Held>,
    /// How many of them are before `settled`.
    closing: u64,
    /// Offsets of records that were given back; some may be outdated.
    returned: BinaryHeap<Reverse<u64>>,
    /// Where the log has `committed`.
    pub(crate) position: LogPosition,
}

/// A record that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) tag: u64,
    pub(crate) serial: u64,
    /// How often it was delivered.
    pub(crate) deliveries: u32,
    pub(crate) state: State,
}

/// Where a record stands with its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It can be taken.
    Available,
    /// A member has it, under this lease.
    Acquired(u64),
    /// Done.
    Acked,
    /// Given up.
    Archived,
    /// It left the stream before it was done.
    Gone,
}

impl State {
    fn is_settled(self) -> bool {
        matches!(self, State::Acked | State::Archived | State::Gone)
    }
}

impl Cursor {
    pub(crate) fn new(stream: QueueId) -> Cursor {
        Cursor {
            stream,
            started: false,
            committed: 0,
            settled: 0,
            next: 0,
            delivered: 0,
            window: Ledger::new(),
            closing: 0,
            returned: BinaryHeap::new(),
            position: LogPosition(0),
        }
    }

    /// Begins at an offset.
    pub(crate) fn start(&mut self, at: u64) {
        self.started = true;
        (self.committed, self.settled, self.next) = (at, at, at);
    }

    /// What is before `end` may have been delivered by an earlier incarnation.
    pub(crate) fn recovered(&mut self, end: u64) {
        self.delivered = end;
    }

    /// Everything before it is done for good.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// Everything before it is done.
    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    /// Takes the next record for a member, unless so many are in flight or settled out of order; the result is its offset and whether it
    /// may have been delivered before.
    pub(crate) fn take(&mut self, stream: &Stream, lease: u64, limit: u64) -> Option<(u64, bool)> {
        while let Some(Reverse(offset)) = self.returned.pop() {
            if let Some(held) = self.window.get_mut(offset)
                && held.state == State::Available
            {
                held.state = State::Acquired(lease);
                held.deliveries = held.deliveries.saturating_add(1);
                return Some((offset, true));
            }
        }
        if self.window.len() as u64 - self.closing >= limit {
            return None;
        }
        let (offset, record) = stream.read(self.next)?;
        let held = Held {
            tag: record.message.tag,
            serial: record.serial,
            deliveries: 1,
            state: State::Acquired(lease),
        };
        self.window.push(offset, held);
        self.next = offset + 1;
        let redelivered = offset < self.delivered;
        self.delivered = self.delivered.max(self.next);
        Some((offset, redelivered))
    }

    /// A member is done with a record, or gives it up.
    pub(crate) fn settle(&mut self, offset: u64, acked: bool) {
        if let Some(held) = self.window.get_mut(offset) {
            debug_assert!(matches!(held.state, State::Acquired(_)));
            held.state = if acked { State::Acked } else { State::Archived };
        }
    }

    /// A member gives a record back: it is available again, unless it was delivered often enough.
    pub(crate) fn release(&mut self, stream: &Stream, offset: u64, delivery_limit: u32) {
        let Some(held) = self.window.get_mut(offset) else {
            return;
        };
        debug_assert!(matches!(held.state, State::Acquired(_)));
        if delivery_limit > 0 && held.deliveries >= delivery_limit {
            held.state = State::Archived;
        } else if stream.get(offset).is_none() {
            held.state = State::Gone;
        } else {
            held.state = State::Available;
            self.returned.push(Reverse(offset));
        }
    }

    /// Forgets what is not done up to the first gap: reading goes on there.
    pub(crate) fn rewind(&mut self) {
        self.window.truncate(self.settled);
        self.returned.clear();
        self.next = self.settled;
    }

    /// A record has left the stream; true if that settles it. A member that has it may go on.
    pub(crate) fn retired(&mut self, offset: u64) -> bool {
        let held = self.window.get_mut(offset);
        let available = held.filter(|held| held.state == State::Available);
        available.map(|held| held.state = State::Gone).is_some()
    }

    /// Moves on over what is settled without a gap; the result is the new place, if it is one.
    pub(crate) fn advance(&mut self) -> Option<u64> {
        let before = self.settled;
        while let Some((offset, held)) = self.window.at_or_after(self.settled) {
            if !held.state.is_settled() {
                self.settled = offset;
                break;
            }
            self.settled = offset + 1;
            self.closing += 1;
        }
        if self.window.len() as u64 == self.closing {
            self.settled = self.next;
        }
        (self.settled > before).then_some(self.settled)
    }

    /// Commits a place; what was settled before it comes out, one at a time, until there is no more.
    pub(crate) fn commit(&mut self, offset: u64) -> Option<Held> {
        self.committed = self.committed.max(offset);
        if self.window.front()?.0 >= self.committed {
            return None;
        }
        self.closing -= 1;
        self.window.pop_front().map(|(_, held)| held)
    }

    /// The leases under which its members hold records.
    pub(crate) fn leases(&self) -> impl Iterator<Item = u64> {
        self.window.iter().filter_map(|(_, held)| match held.state {
            State::Acquired(lease) => Some(lease),
            _ => None,
        })
    }

    /// How many records its members hold.
    pub(crate) fn in_flight(&self) -> u64 {
        self.leases().count() as u64
    }

    /// How many records are not settled.
    pub(crate) fn lag(&self, stream: &Stream) -> u64 {
        let open = self
            .window
            .iter_from(self.settled)
            .filter(|(_, held)| !held.state.is_settled());
        open.count() as u64 + stream.count_from(self.next)
    }
}
