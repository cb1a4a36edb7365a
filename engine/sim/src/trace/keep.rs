//! Events that are kept, where somebody asks for it.

use queuelab_core::Time;
use queuelab_record::{BLOCK, EVENTS_MAX, EventTrace, TracedEvent};

/// What is kept of a run's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    first: Vec<TracedEvent>,
    blocks: Vec<u64>,
}

impl Kept {
    /// Takes an event; `number` is its own, from 1, and `hash` that of all before it.
    #[inline(never)]
    pub fn event(&mut self, number: u64, hash: u64, event: TracedEvent) {
        if number > 1 && (number - 1).is_multiple_of(BLOCK) {
            self.blocks.push(hash);
        }
        if self.first.len() < EVENTS_MAX {
            self.first.push(event);
        }
    }

    /// Takes in what the event that was taken last, of so many, did.
    #[inline(never)]
    pub fn digest(&mut self, number: u64, what: u64, of: u64) {
        if let Some(event) = self
            .first
            .last_mut()
            .filter(|_| number <= EVENTS_MAX as u64)
        {
            let mixed = (what ^ of.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            // Never zero, which stands for nothing, and different for the same things in another order.
            let folded = (event.did.rotate_left(5) ^ (mixed >> 48) as u16).max(1);
            event.did = folded;
        }
    }

    /// All of it, after so many events.
    pub fn trace(&self, count: u64, hash: u64) -> EventTrace {
        let mut blocks = self.blocks.clone();
        if count > 0 && count.is_multiple_of(BLOCK) {
            blocks.push(hash);
        }
        EventTrace {
            first: self.first.clone(),
            blocks,
            count,
            hash,
        }
    }
}

/// An event for [`Kept::event`].
pub fn traced(at: Time, sequence: u64, kind: u8, target: u32) -> TracedEvent {
    TracedEvent {
        at,
        sequence,
        kind,
        target,
        did: 0,
    }
}
