//! Where each copy of a message is and has been: stamps from its intended send to the end of its service.

use std::collections::BTreeMap;

use queuelab_core::{Ledger, MessageCopy, Span, Time};

use crate::network::Stamps;

/// The journeys of all copies that are not finished, by queue and serial.
#[derive(Clone, Debug)]
pub struct Journeys {
    queues: Vec<Ledger<Journey>>,
    /// Of streams: who has read each record. Absent for other queues.
    readings: Vec<Option<Ledger<Vec<Reading>>>>,
}

/// What one reader — a group, or a consumer without one — has had of a record of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub reader: u32,
    pub attempts: u32,
    /// The connection that it was dispatched to last.
    pub holder: u32,
    pub received: bool,
    pub served: bool,
    pub dispatched: Time,
}

/// Stamps of one copy; non-decreasing in the order of the fields.
#[derive(Clone, Debug)]
pub struct Journey {
    pub tag: u64,
    pub phase: u32,
    pub state: State,
    pub received_once: bool,
    pub served: bool,
    /// As published.
    pub priority: u8,
    /// It goes on from another copy, as a dead letter does, or had left the queue: what was before counts as earlier attempts.
    pub moved: bool,
    /// Ready again: it had been delivered, or a restart found it.
    pub came_back: bool,
    /// How often it was dispatched, as a dead letter's predecessors too: no two attempts draw the same chance.
    pub attempts: u32,
    /// Unsuccessful deliveries, by the queue's last count.
    pub in_vain: u32,
    /// The consumer that has it has acknowledged it.
    pub acked: bool,
    /// Bytes of the body, as dispatched last.
    pub size: u32,
    /// The connection that it was dispatched to last.
    pub holder: u32,
    /// The channel, and the number of the delivery on it.
    pub delivery: (u16, u64),
    pub stamps: Stamps,
    pub handled: Time,
    pub synced: Time,
    /// When it entered the queue.
    pub committed: Time,
    /// Ready for the last time.
    pub ready: Time,
    pub dispatched: Time,
}

/// Where a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its command waits for the log.
    Proposed,
    /// Could be delivered.
    Ready,
    /// Not before some instant.
    Delayed,
    /// Delivered.
    InFlight,
    /// A dead letter that waits for room in its target.
    Stalled,
    /// Waits no longer: what takes it out of its queue is not committed.
    Leaving,
    /// Has left its queue; a consumer still works on it (automatic acknowledgement).
    Removed,
}

/// The holder of what no consumer holds.
pub const NOBODY: u32 = u32::MAX;

impl Journeys {
    /// For these queues: true for a stream.
    pub fn new(queues: impl Iterator<Item = bool>) -> Journeys {
        let readings: Vec<_> = queues.map(|stream| stream.then(Ledger::new)).collect();
        Journeys {
            queues: vec![Ledger::new(); readings.len()],
            readings,
        }
    }

    /// A copy begins.
    pub fn begin(&mut self, copy: MessageCopy, journey: Journey) {
        self.queues[copy.queue.index()].push(copy.serial, journey);
        if let Some(readings) = &mut self.readings[copy.queue.index()] {
            readings.push(copy.serial, Vec::new());
        }
    }

    #[inline]
    pub fn get_mut(&mut self, copy: MessageCopy) -> Option<&mut Journey> {
        self.queues[copy.queue.index()].get_mut(copy.serial)
    }

    pub fn get(&self, copy: MessageCopy) -> Option<&Journey> {
        self.queues[copy.queue.index()].get(copy.serial)
    }

    /// Whether a queue is a stream.
    #[inline]
    pub fn is_stream(&self, queue: usize) -> bool {
        self.readings[queue].is_some()
    }

    /// What a reader has had of a record; `None` of what is not in a stream (any more).
    pub fn reading(&mut self, copy: MessageCopy, reader: u32, now: Time) -> Option<&mut Reading> {
        let readings = self.readings[copy.queue.index()].as_mut()?;
        let readings = readings.get_mut(copy.serial)?;
        let at = readings.iter().position(|reading| reading.reader == reader);
        let at = at.unwrap_or_else(|| {
            readings.push(Reading {
                reader,
                attempts: 0,
                holder: NOBODY,
                received: false,
                served: false,
                dispatched: now,
            });
            readings.len() - 1
        });
        Some(&mut readings[at])
    }

    /// How many of the first so many readers have served a record.
    pub fn served_by(&self, copy: MessageCopy, readers: u32) -> usize {
        let readings = self.readings[copy.queue.index()].as_ref();
        let readings = readings.and_then(|readings| readings.get(copy.serial));
        readings.map_or(0, |readings| {
            let served = |reading: &&Reading| reading.served && reading.reader < readers;
            readings.iter().filter(served).count()
        })
    }

    /// Forgets a copy; the result is its message's tag.
    #[inline(always)]
    pub fn end(&mut self, copy: MessageCopy) -> Option<u64> {
        if let Some(readings) = &mut self.readings[copy.queue.index()] {
            readings.remove(copy.serial);
        }
        self.queues[copy.queue.index()].discard(copy.serial, |journey| journey.tag)
    }

    /// Takes copies that are in the queue again although they had left it: ascending serials.
    ///
    /// One that a consumer still works on goes on with its stamps. The others were served, so nothing of them is measured again.
    pub fn resurrect(&mut self, queue: usize, now: Time, back: &[(u64, Held)]) {
        if back.is_empty() {
            return;
        }
        let mut all: BTreeMap<u64, Journey> = self.queues[queue]
            .iter()
            .map(|(serial, journey)| (serial, journey.clone()))
            .collect();
        for (serial, held) in back {
            let journey = all
                .entry(*serial)
                .or_insert_with(|| Journey::served_before(now, *held));
            journey.state = State::Ready;
            journey.holder = NOBODY;
            journey.ready = now;
            journey.committed = now;
            journey.moved = true;
        }
        self.queues[queue].clear();
        for (serial, journey) in all {
            self.queues[queue].push(serial, journey);
        }
    }

    /// How many copies of one queue are not finished.
    pub fn len(&self, queue: usize) -> usize {
        self.queues[queue].len()
    }

    /// The copies of one queue, oldest first.
    pub fn of_queue(&self, queue: usize) -> impl Iterator<Item = (u64, &Journey)> {
        self.queues[queue].iter()
    }
}

/// What the log tells of a message that it holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The message's.
    pub tag: u64,
    /// As it was published.
    pub priority: u8,
}

impl Journey {
    /// Of a copy that the broker begins.
    #[inline]
    pub fn new(now: Time, tag: u64, phase: u32, stamps: Stamps) -> Journey {
        Journey {
            tag,
            phase,
            state: State::Proposed,
            received_once: false,
            served: false,
            priority: 0,
            moved: false,
            came_back: false,
            attempts: 0,
            in_vain: 0,
            acked: false,
            size: 0,
            holder: NOBODY,
            delivery: (0, 0),
            stamps,
            handled: now,
            synced: now,
            committed: now,
            ready: now,
            dispatched: now,
        }
    }

    /// Of the dead letter that replaces this copy.
    pub fn moved(&self, now: Time) -> Journey {
        Journey {
            moved: true,
            priority: self.priority,
            attempts: self.attempts,
            handled: self.handled,
            ..Journey::new(now, self.tag, self.phase, self.stamps)
        }
    }

    /// Of a copy that is back after its service.
    fn served_before(now: Time, held: Held) -> Journey {
        let stamps = Stamps {
            intended: now,
            sent: now,
            received: now,
        };
        Journey {
            received_once: true,
            served: true,
            attempts: 1,
            priority: held.priority,
            ..Journey::new(now, held.tag, 0, stamps)
        }
    }

    /// What the journey's parts took, in the order of `queuelab_record::PART_NAMES`; they sum to `ended - intended`.
    pub fn parts(&self, received: Time, started: Time, ended: Time) -> [Span; 10] {
        let (synced, committed) = if self.moved {
            (self.handled, self.handled)
        } else {
            (self.synced, self.committed)
        };
        let stamps = [
            self.stamps.intended,
            self.stamps.sent,
            self.stamps.received,
            self.handled,
            synced,
            committed,
            self.ready,
            self.dispatched,
            received,
            started,
            ended,
        ];
        std::array::from_fn(|part| {
            debug_assert!(
                stamps[part] <= stamps[part + 1],
                "part {part} of a journey is negative: {stamps:?}"
            );
            stamps[part + 1] - stamps[part]
        })
    }
}
