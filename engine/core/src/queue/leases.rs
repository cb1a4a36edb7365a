//! How long consumers may hold messages.

use std::collections::VecDeque;

use super::{Queue, State, Timing};
use crate::config::AckTimeout;
use crate::id::ChannelId;
use crate::time::{Span, Time};

/// The leases of a queue's deliveries. They all take the same time, so they end in the order in which they began.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    pub(crate) timeout: AckTimeout,
    line: VecDeque<Lease>,
    /// A timer runs for the first in line, or for one that was.
    pub(crate) armed: bool,
    /// Leases that ended early are weeded out from this size on.
    weed_at: usize,
}

/// A delivery's lease. It ended early if the slot does not know it any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) until: Time,
    pub(crate) serial: u64,
    pub(crate) channel: ChannelId,
    /// Of the channel.
    pub(crate) epoch: u32,
    pub(crate) delivery: u64,
}

impl Leases {
    pub(super) fn new(timeout: AckTimeout) -> Box<Leases> {
        Box::new(Leases {
            timeout,
            line: VecDeque::new(),
            armed: false,
            weed_at: 64,
        })
    }
}

impl Queue {
    /// Begins a lease at `now`, or begins it anew. The result is when to look at the leases, if no timer runs for that.
    pub(crate) fn lease(&mut self, now: Time, lease: Lease) -> Option<Time> {
        let leases = self.leases.as_ref()?;
        let until = now + leases.timeout.after.max(Span(1));
        let slot = self.slots.get_mut(lease.serial)?;
        slot.timing.get_or_insert_with(Timing::none).lease = until;
        if leases.line.len() >= leases.weed_at {
            let mut line = std::mem::take(&mut self.leases.as_mut()?.line);
            line.retain(|lease| self.runs(lease));
            let leases = self.leases.as_mut()?;
            leases.weed_at = 64.max(2 * line.len());
            leases.line = line;
        }
        let leases = self.leases.as_mut()?;
        leases.line.push_back(Lease { until, ..lease });
        (!std::mem::replace(&mut leases.armed, true)).then_some(until)
    }

    /// The first lease that runs; those before it that ended are forgotten.
    pub(crate) fn first_lease(&mut self) -> Option<Lease> {
        while let Some(first) = self.leases.as_ref()?.line.front().copied() {
            if self.runs(&first) {
                return Some(first);
            }
            self.leases.as_mut()?.line.pop_front();
        }
        None
    }

    /// Forgets the first lease.
    pub(crate) fn end_first_lease(&mut self) {
        if let Some(leases) = &mut self.leases {
            leases.line.pop_front();
        }
    }

    fn runs(&self, lease: &Lease) -> bool {
        self.slots.get(lease.serial).is_some_and(|slot| {
            slot.state == State::InFlight
                && slot
                    .timing
                    .as_ref()
                    .is_some_and(|timing| timing.lease == lease.until)
        })
    }
}
