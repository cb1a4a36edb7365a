//! Members that come and go.

use queuelab_core::{Span, Time};
use queuelab_scenario::Churn;

use crate::distribution::Sampler;
use crate::random::Stream;

/// The departures of a group's members.
#[derive(Clone, Debug)]
pub(crate) struct ChurnPlan {
    every: Sampler,
    away: Sampler,
    crash: bool,
}

impl ChurnPlan {
    pub(crate) fn new(churn: &Churn) -> ChurnPlan {
        ChurnPlan {
            every: Sampler::new(&churn.every),
            away: Sampler::new(&churn.away),
            crash: churn.crash,
        }
    }
}

/// When a member leaves next, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Departures {
    plan: ChurnPlan,
    stream: Stream,
    /// Departures so far.
    number: u64,
    next: Time,
    /// When the run ends: nobody leaves from then on.
    end: Time,
}

impl Departures {
    pub(crate) fn new(plan: ChurnPlan, stream: Stream, start: Time, end: Time) -> Departures {
        let next = start + plan.every.sample(&mut stream.at2(0, 0)).max(SOON);
        Departures {
            plan,
            stream,
            number: 0,
            next,
            end,
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        if self.next < self.end {
            self.next
        } else {
            Time::MAX
        }
    }

    /// A departure that came due while it was away is left out.
    pub(crate) fn connected(&mut self, now: Time) {
        if self.next <= now {
            self.number += 1;
            self.next = now + self.every();
        }
    }

    /// If it leaves now: whether it crashes, and when it comes back.
    pub(crate) fn leave(&mut self, now: Time) -> Option<(bool, Time)> {
        if self.deadline() > now {
            return None;
        }
        let away = self.away();
        self.number += 1;
        self.next = now + self.every();
        Some((self.plan.crash, now + away))
    }

    /// How long it stays away.
    pub(crate) fn away(&self) -> Span {
        self.plan.away.sample(&mut self.stream.at2(self.number, 1))
    }

    fn every(&self) -> Span {
        let drawn = self.plan.every.sample(&mut self.stream.at2(self.number, 0));
        drawn.max(SOON)
    }
}

/// So that time goes on between two departures.
const SOON: Span = Span(1_000);
