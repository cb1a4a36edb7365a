//! What the log has of a queue, and where.

use super::{Body, Queue, Slot, State};
use crate::id::{LogPosition, MessageCopy};
use crate::interface::{Command, Entry, Times};
use crate::ledger::Ledger;
use crate::message::Message;
use crate::stream::Record;

/// What an entry of the log tells of.
pub(crate) trait InLog {
    /// Where the log has it; zero if it does not.
    fn position(&self) -> LogPosition;
    /// Its entry is a copy: it is younger than its key says.
    fn is_copy(&self) -> bool;
}

impl InLog for Slot {
    fn position(&self) -> LogPosition {
        self.position
    }

    fn is_copy(&self) -> bool {
        self.copied
    }
}

/// What the log has before a place, but for copies; nothing before the key `from` is.
pub(crate) fn originals_before<T: InLog>(
    ledger: &Ledger<T>,
    from: u64,
    end: LogPosition,
) -> impl Iterator<Item = (u64, &T)> {
    let known = ledger.iter_from(from);
    let known = known.take_while(move |(_, it)| it.is_copy() || it.position() < end);
    known.filter(|(_, it)| it.position() > LogPosition(0) && !it.is_copy())
}

/// The log's first place that is needed, but for copies. Nothing before the key `from` is; it moves on to where that is so.
pub(crate) fn oldest_original<T: InLog>(ledger: &Ledger<T>, from: &mut u64) -> Option<LogPosition> {
    while let Some((key, it)) = ledger.at_or_after(*from) {
        *from = key;
        if it.position() > LogPosition(0) && !it.is_copy() {
            return Some(it.position());
        }
        *from += 1;
    }
    None
}

/// A message that the log has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Logged<'a> {
    /// Of a queue.
    Message(&'a Slot),
    /// Of a stream.
    Record(&'a Record),
}

impl Logged<'_> {
    /// The place of its entry.
    pub(crate) fn position(self) -> LogPosition {
        match self {
            Logged::Message(slot) => slot.position,
            Logged::Record(record) => record.position,
        }
    }

    pub(crate) fn message(&self) -> &Message {
        match self {
            Logged::Message(slot) => &slot.message,
            Logged::Record(record) => &record.message,
        }
    }

    /// Where its body is.
    pub(crate) fn body(self) -> Body {
        match self {
            Logged::Message(slot) => slot.body,
            Logged::Record(_) => Body::Here,
        }
    }

    /// All that the log has to say of it, in one entry. `message` is the one that it is, with its body.
    pub(crate) fn entry(self, copy: MessageCopy, message: Message) -> Entry {
        let (times, deliveries, place) = match self {
            Logged::Record(record) => (record.times(), 0, None),
            Logged::Message(slot) => match &slot.timing {
                None => (Times::ANY, slot.deliveries, None),
                Some(timing) => (timing.times, slot.deliveries, timing.place),
            },
        };
        let enqueue = Command::Enqueue {
            copy,
            message,
            times,
        };
        if deliveries == 0 {
            return Entry::One(enqueue);
        }
        let back = Command::Return {
            copy,
            deliveries,
            due: times.due,
            place,
        };
        Entry::Many([enqueue, back].into())
    }
}

impl Slot {
    pub(crate) fn logged(&self) -> bool {
        self.position > LogPosition(0)
    }

    /// Nothing about it is on its way to the log.
    fn is_settled(&self) -> bool {
        match self.state {
            State::Ready | State::Placed | State::Delayed | State::InFlight | State::Stalled => {
                true
            }
            State::Proposed | State::Settling | State::Leaving => false,
        }
    }
}

impl Queue {
    /// How many messages it holds, in whatever state.
    pub(crate) fn held(&self) -> u64 {
        match &self.stream {
            Some(_) => self.ready,
            None => self.slots.len() as u64,
        }
    }

    /// A message, if the log has it, and nothing more about it is on its way there.
    pub(crate) fn logged(&self, serial: u64) -> Option<Logged<'_>> {
        if let Some(stream) = &self.stream {
            return stream.logged(serial).map(Logged::Record);
        }
        let slot = self.slots.get(serial)?;
        (slot.logged() && slot.is_settled()).then_some(Logged::Message(slot))
    }

    /// Serials of messages that the log has before a place, but for copies.
    pub(crate) fn logged_before(&self, end: LogPosition) -> Vec<u64> {
        if let Some(stream) = &self.stream {
            return stream.logged_before(end);
        }
        let originals = originals_before(&self.slots, self.oldest_logged, end);
        originals.map(|(serial, _)| serial).collect()
    }

    /// Serials and places of messages whose entry in the log is a copy.
    pub(crate) fn copies(&self) -> Vec<(u64, LogPosition)> {
        if let Some(stream) = &self.stream {
            return stream.copies();
        }
        let copies = self.slots.iter().filter(|(_, slot)| slot.copied);
        copies
            .map(|(serial, slot)| (serial, slot.position))
            .collect()
    }

    /// True if the log has a message at this place.
    pub(crate) fn is_logged_at(&self, serial: u64, position: LogPosition) -> bool {
        let known = match &self.stream {
            Some(stream) => stream.position(serial),
            None => self.slots.get(serial).map(|slot| slot.position),
        };
        known == Some(position)
    }

    /// The log has a message at another place from now on; false if the message is gone.
    pub(crate) fn replace_entry(&mut self, serial: u64, position: LogPosition) -> bool {
        if let Some(stream) = &mut self.stream {
            return stream.replace_entry(serial, position);
        }
        let Some(slot) = self.slots.get_mut(serial) else {
            return false;
        };
        slot.position = position;
        slot.copied = true;
        true
    }

    /// The log's first place that this queue needs, but for copies.
    pub(crate) fn oldest_position(&mut self) -> Option<LogPosition> {
        let deletion = (self.deleted_at > LogPosition(0)).then_some(self.deleted_at);
        let oldest = match &mut self.stream {
            Some(stream) => stream.oldest_position(),
            None => oldest_original(&self.slots, &mut self.oldest_logged),
        };
        deletion.into_iter().chain(oldest).min()
    }
}
