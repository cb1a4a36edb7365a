//! Liveness: once every fault is over, what was waiting then is served within the time that capacity implies.

use queuelab_core::{Span, Time};

use super::{Check, Invariant, Place};

/// What is expected of a queue after the last fault.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The broker's queue.
    pub queue: usize,
    /// Until when what was ready at `since` must have left the ready state.
    pub until: Time,
    /// When the last fault was over.
    pub since: Time,
}

impl Check {
    /// After a bound: since when the oldest message that is ready has been so, if there is one; `up` says whether the node is.
    pub fn drained(&mut self, now: Time, bound: Bound, oldest: Option<Time>, up: bool) {
        if !self.enabled || now < bound.until {
            return;
        }
        let late = !up || oldest.is_some_and(|oldest| oldest <= bound.since);
        let place = Place::at(now, bound.queue);
        self.compare(Invariant::Liveness, place, !late, || {
            let since = bound.since;
            let waited: Span = now - since;
            match up {
                true => format!(
                    "at {now}: what was ready when the last fault was over, at {since}, still is, {waited} later"
                ),
                false => format!("at {now}: the node is down, {waited} after the last fault was over"),
            }
        });
    }
}
