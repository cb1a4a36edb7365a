//! Where each copy of a message is and has been: stamps from its intended send to the end of its service.

use queuelab_core::{Ledger, MessageCopy, Span, Time};

use crate::network::Stamps;

/// The journeys of all copies that are not finished, by queue and serial.
#[derive(Clone, Debug)]
pub struct Journeys {
    queues: Vec<Ledger<Journey>>,
}

/// Stamps of one copy; non-decreasing in the order of the fields.
#[derive(Clone, Debug)]
pub struct Journey {
    pub tag: u64,
    pub phase: u32,
    pub state: State,
    pub received_once: bool,
    pub served: bool,
    /// How often it was dispatched.
    pub attempts: u32,
    /// Bytes of the body, as dispatched last.
    pub size: u32,
    /// The connection that it was dispatched to last.
    pub holder: u32,
    pub stamps: Stamps,
    pub handled: Time,
    pub synced: Time,
    pub committed: Time,
    /// Ready for the last time.
    pub ready: Time,
    pub dispatched: Time,
    /// When it entered the broker's queue, for Little's law; a dead letter enters anew.
    pub entered: Time,
}

/// Where a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its command waits for the log.
    Proposed,
    /// Could be delivered.
    Ready,
    /// Delivered.
    InFlight,
    /// Has left its queue; a consumer still works on it (automatic acknowledgement).
    Removed,
}

impl Journeys {
    /// For so many queues.
    pub fn new(queues: usize) -> Journeys {
        Journeys {
            queues: vec![Ledger::new(); queues],
        }
    }

    /// A copy begins.
    pub fn begin(&mut self, copy: MessageCopy, journey: Journey) {
        self.queues[copy.queue.index()].push(copy.serial, journey);
    }

    #[inline]
    pub fn get_mut(&mut self, copy: MessageCopy) -> Option<&mut Journey> {
        self.queues[copy.queue.index()].get_mut(copy.serial)
    }

    pub fn get(&self, copy: MessageCopy) -> Option<&Journey> {
        self.queues[copy.queue.index()].get(copy.serial)
    }

    #[inline]
    pub fn end(&mut self, copy: MessageCopy) -> Option<Journey> {
        self.queues[copy.queue.index()].remove(copy.serial)
    }

    /// The copies of one queue, oldest first.
    pub fn of_queue(&self, queue: usize) -> impl Iterator<Item = (u64, &Journey)> {
        self.queues[queue].iter()
    }
}

impl Journey {
    /// What the journey's parts took, in the order of `queuelab_record::PART_NAMES`; they sum to `ended - intended`.
    pub fn parts(&self, received: Time, started: Time, ended: Time) -> [Span; 10] {
        let stamps = [
            self.stamps.intended,
            self.stamps.sent,
            self.stamps.received,
            self.handled,
            self.synced,
            self.committed,
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
