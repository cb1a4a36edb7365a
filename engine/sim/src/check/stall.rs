//! A queue with ready messages, and a consumer that could have them, delivers.

use queuelab_core::{Span, Time};

use super::{Check, Invariant, Place};

/// What was seen of a queue at the last looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stall {
    /// Since when it could deliver and has not.
    since: Option<Time>,
    /// How much it had delivered by then.
    delivered: u64,
    /// It was told already.
    told: bool,
}

impl Check {
    /// A look at a queue: whether it `could` deliver, and how much it has delivered.
    pub fn delivers(&mut self, now: Time, queue: usize, could: bool, delivered: u64) {
        if !self.enabled {
            return;
        }
        let stall = &mut self.stalls[queue];
        let idle = could && stall.delivered == delivered;
        if !idle {
            *stall = Stall {
                since: could.then_some(now),
                delivered,
                told: false,
            };
            return;
        }
        let since = *stall.since.get_or_insert(now);
        let stuck = now - since >= PATIENCE;
        if stuck && std::mem::replace(&mut stall.told, true) {
            return;
        }
        self.compare(Invariant::NoStall, Place::at(now, queue), !stuck, || {
            format!("at {now}: messages are ready, a consumer holds nothing, and nothing was delivered since {since}")
        });
    }
}

/// How long a queue may take.
const PATIENCE: Span = Span::from_secs(5);
