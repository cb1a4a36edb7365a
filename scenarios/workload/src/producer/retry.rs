//! Sending again: when, how often, and when not.

use std::collections::BTreeMap;

use queuelab_core::{Span, Time};
use queuelab_scenario::{Breaker as BreakerPlan, Budget, Jitter, Retry};

use crate::random::Stream;

/// How long to wait after the send number `attempt`, from zero.
///
/// The jitters are those of M. Brooker: Exponential backoff and jitter, AWS Architecture Blog, 2015.
pub(super) fn backoff(plan: &Retry, stream: &Stream, sequence: u64, attempt: u32) -> Span {
    let wait = if plan.exponential {
        let times = 1u64.checked_shl(attempt).unwrap_or(u64::MAX);
        Span(plan.base.0.saturating_mul(times).min(plan.max.0))
    } else {
        plan.base
    };
    let fixed = match plan.jitter {
        Jitter::None => return wait,
        Jitter::Equal => wait.0 / 2,
        Jitter::Full => 0,
    };
    let mut draw = stream.at2(sequence, u64::from(attempt));
    Span(fixed + draw.below((wait.0 - fixed).saturating_add(1)))
}

/// A message that is to be sent again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub(super) intended: Time,
    /// How often it was sent.
    pub(super) attempt: u32,
}

/// Messages that are to be sent again. They do not count against the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    /// By (when their wait is over, sequence).
    backing_off: BTreeMap<(Time, u64), Repeat>,
    /// Their wait is over; the oldest goes first.
    ready: BTreeMap<u64, Repeat>,
}

impl Repeats {
    pub(super) fn len(&self) -> usize {
        self.backing_off.len() + self.ready.len()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.backing_off.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn push(&mut self, now: Time, due: Time, sequence: u64, repeat: Repeat) {
        if due <= now {
            self.ready.insert(sequence, repeat);
        } else {
            self.backing_off.insert((due, sequence), repeat);
        }
    }

    pub(super) fn tick(&mut self, now: Time) {
        while let Some(first) = self.backing_off.first_entry()
            && first.key().0 <= now
        {
            let ((_, sequence), repeat) = first.remove_entry();
            self.ready.insert(sequence, repeat);
        }
    }

    /// Takes the oldest whose wait is over, of those that may go.
    pub(super) fn pop(&mut self, may_go: impl Fn(u64) -> bool) -> Option<(u64, Repeat)> {
        let first = self
            .ready
            .keys()
            .copied()
            .find(|sequence| may_go(*sequence))?;
        self.ready.remove_entry(&first)
    }

    /// Takes one out that was pushed with this `due`.
    pub(super) fn remove(&mut self, due: Time, sequence: u64) -> Option<Repeat> {
        let ready = self.ready.remove(&sequence);
        ready.or_else(|| self.backing_off.remove(&(due, sequence)))
    }
}

/// The tokens of a retry budget; it starts full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    plan: Budget,
    tokens: f64,
}

impl Bucket {
    pub(super) fn new(plan: Budget) -> Bucket {
        Bucket {
            plan,
            tokens: plan.burst,
        }
    }

    pub(super) fn earn(&mut self) {
        self.tokens = (self.tokens + self.plan.ratio).min(self.plan.burst);
    }

    pub(super) fn spend(&mut self) -> bool {
        // Ten tenths make one, whatever the rounding.
        let enough = self.tokens >= 1.0 - 1e-9;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// A circuit breaker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breaker {
    plan: BreakerPlan,
    state: BreakerState,
}

#[derive(Clone, Copy, Debug)]
enum BreakerState {
    Closed { failures: u32 },
    Open { until: Time },
    HalfOpen { trial: Option<u64> },
}

impl Breaker {
    pub(super) fn new(plan: BreakerPlan) -> Breaker {
        Breaker {
            plan,
            state: BreakerState::Closed { failures: 0 },
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, BreakerState::Open { .. })
    }

    pub(super) fn is_trying(&self) -> bool {
        matches!(self.state, BreakerState::HalfOpen { trial: Some(_) })
    }

    /// The next message may go; `held` says that one is already on its way there.
    pub(super) fn admits(&self, held: bool) -> bool {
        match self.state {
            BreakerState::Closed { .. } => true,
            BreakerState::Open { .. } => false,
            BreakerState::HalfOpen { trial } => trial.is_none() && !held,
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self.state {
            BreakerState::Open { until } => Some(until),
            _ => None,
        }
    }

    pub(super) fn tick(&mut self, now: Time) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.state = BreakerState::HalfOpen { trial: None };
        }
    }

    pub(super) fn sent(&mut self, sequence: u64) {
        if let BreakerState::HalfOpen { trial } = &mut self.state {
            trial.get_or_insert(sequence);
        }
    }

    /// An attempt has ended. What was sent before the breaker opened says nothing about the time since.
    pub(super) fn ended(&mut self, now: Time, sequence: u64, success: bool) {
        let open = BreakerState::Open {
            until: now + self.plan.open,
        };
        self.state = match self.state {
            BreakerState::Closed { .. } if success => BreakerState::Closed { failures: 0 },
            BreakerState::Closed { failures } if failures + 1 >= self.plan.failures => open,
            BreakerState::Closed { failures } => BreakerState::Closed {
                failures: failures + 1,
            },
            BreakerState::HalfOpen { trial } if trial == Some(sequence) => {
                if success {
                    BreakerState::Closed { failures: 0 }
                } else {
                    open
                }
            }
            other => other,
        };
    }
}
