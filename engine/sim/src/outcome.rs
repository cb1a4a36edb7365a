//! What became of a run, as a value: which invariants were violated where and when, or with what words the core gave up.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use queuelab_core::Time;
use queuelab_record::{EventTrace, RunRecord, Verdict};
use queuelab_scenario::{Claim, Fault, Scenario};
use serde::{Deserialize, Serialize};

use crate::history::Line;
use crate::plan::{Operation, Plan};
use crate::simulation::{Simulation, Watch};

/// What is wrong with a run: enough to tell whether another run is wrong in the same way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Broken {
    /// An invariant does not hold in a queue.
    Invariant {
        /// Its name: `no-loss`.
        name: String,
        /// The queue, or partition.
        queue: String,
    },
    /// A failed assertion, or another panic, of the broker or the simulator.
    Panic {
        /// Its message.
        message: String,
    },
}

/// A violation: the first of its kind in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// What is wrong.
    pub broken: Broken,
    /// Since when: in nanoseconds.
    pub at: Time,
    /// The tag of the message that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<u64>,
    /// In words.
    pub text: String,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is wrong, in order of time. What the scenario means to show (`violates …`) is not.
    pub violations: Vec<Violation>,
    /// Pass, fail, or undecided where nothing was compared.
    pub verdict: Verdict,
    /// When the run ended.
    pub end: Time,
    /// Messages sent.
    pub messages: u64,
    /// Comparisons of all checkers.
    pub compared: u64,
    /// Faults that took place, as faults at fixed instants.
    pub activations: Vec<Fault>,
    /// Kind of each fault that took place.
    pub fired: Vec<String>,
    /// The rolling hash of all events.
    pub trace_hash: String,
    /// The events, if they were asked for.
    pub events: Option<EventTrace>,
    /// What happened, if that was asked for.
    pub lines: Vec<Line>,
    /// The operations that took place, if that was asked for.
    pub operations: Vec<Operation>,
}

impl Broken {
    /// Whether it is the same kind of wrong: numbers in the words of a panic may differ.
    pub fn is_like(&self, other: &Broken) -> bool {
        match (self, other) {
            (Broken::Panic { message }, Broken::Panic { message: other }) => {
                without_numbers(message) == without_numbers(other)
            }
            _ => self == other,
        }
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Invariant { name, queue } => write!(f, "{name} of {queue}"),
            Broken::Panic { message } => write!(f, "a failed assertion: {message}"),
        }
    }
}

impl Outcome {
    /// The violation like this one, if there is one.
    pub fn like(&self, broken: &Broken) -> Option<&Violation> {
        let mut all = self.violations.iter();
        all.find(|violation| violation.broken.is_like(broken))
    }
}

/// Runs what a plan leaves of a scenario to its end, or to the first violation like `until`. A panic is caught: it is a
/// violation like any other. (Whoever wants no message of it on standard error sets a panic hook.)
pub fn attempt(
    scenario: &Arc<Scenario>,
    plan: &Plan,
    watch: Watch,
    until: Option<&Broken>,
) -> Outcome {
    let start = || Simulation::planned(scenario.clone(), plan, watch);
    match catch_unwind(start) {
        Ok(simulation) => finish(simulation, until),
        Err(payload) => Outcome {
            violations: vec![panicked(Time::ZERO, payload.as_ref())],
            verdict: Verdict::Fail,
            end: Time::ZERO,
            messages: 0,
            compared: 0,
            activations: Vec::new(),
            fired: Vec::new(),
            trace_hash: String::new(),
            events: None,
            lines: Vec::new(),
            operations: Vec::new(),
        },
    }
}

/// The violation that a panic is.
pub fn panicked(at: Time, payload: &(dyn Any + Send)) -> Violation {
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref()) {
        (Some(text), _) => (*text).to_string(),
        (None, Some(text)) => String::clone(text),
        (None, None) => "no message".into(),
    };
    Violation {
        text: format!("at {at}: {message}"),
        broken: Broken::Panic { message },
        at,
        tag: None,
    }
}

fn finish(mut simulation: Simulation, until: Option<&Broken>) -> Outcome {
    let drive = AssertUnwindSafe(|| drive(&mut simulation, until));
    let panic = catch_unwind(drive).err();
    let now = simulation.now();
    let mut violations = simulation.violations();
    let record = match &panic {
        None => Some(simulation.record()),
        // What is left of the world may not even be fit for a record.
        Some(payload) => {
            violations.push(panicked(now, payload.as_ref()));
            catch_unwind(AssertUnwindSafe(|| simulation.record())).ok()
        }
    };
    violations.sort_by(|a, b| (a.at, &a.broken).cmp(&(b.at, &b.broken)));
    let compared = |record: &RunRecord| {
        let invariants = record.invariants.iter();
        invariants.map(|invariant| invariant.compared).sum()
    };
    let compared = record.as_ref().map_or(0, compared);
    Outcome {
        verdict: match (violations.is_empty(), compared) {
            (false, _) => Verdict::Fail,
            (true, 0) => Verdict::Undecided,
            (true, _) => Verdict::Pass,
        },
        violations,
        end: now,
        messages: simulation.sent(),
        compared,
        fired: record.as_ref().map_or_else(Vec::new, |record| {
            let faults = record.faults.iter();
            faults.map(|fault| fault.kind.clone()).collect()
        }),
        trace_hash: record.map_or_else(String::new, |record| record.trace_hash),
        activations: simulation.activations(),
        events: simulation.kept_events(),
        lines: simulation.history().to_vec(),
        operations: simulation.operations().to_vec(),
    }
}

fn drive(simulation: &mut Simulation, until: Option<&Broken>) {
    let mut standstill = Standstill::default();
    let mut seen = 0;
    while simulation.step() {
        standstill.mind(simulation.now());
        let Some(until) = until else {
            continue;
        };
        let broken = simulation.broken();
        if broken > seen {
            seen = broken;
            let found = simulation.violations();
            if found.iter().any(|found| found.broken.is_like(until)) {
                return;
            }
        }
    }
}

/// Notices a run whose time does not go on: something has to be done at once, again and again. Without that a hunt would never end.
#[derive(Default)]
struct Standstill {
    at: Time,
    events: u64,
}

impl Standstill {
    /// # Panics
    /// If there was too much at this instant.
    #[inline]
    fn mind(&mut self, now: Time) {
        if now > self.at {
            self.at = now;
            self.events = 0;
        }
        self.events += 1;
        assert!(
            self.events < TOO_MANY,
            "time stands still at {now}, after {TOO_MANY} events"
        );
    }
}

/// More events than the largest of bursts has at one instant.
const TOO_MANY: u64 = 10_000_000;

/// Whether the scenario means to show a violation.
pub fn is_expected(scenario: &Scenario, name: &str, queue: &str) -> bool {
    scenario.expectations.iter().any(|expectation| {
        let Claim::Invariant {
            name: shown,
            of,
            violated: true,
        } = &expectation.claim
        else {
            return false;
        };
        let part_of = |of: &String| {
            let partition = queue.strip_prefix(of.as_str());
            partition.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        shown == name && of.as_ref().is_none_or(part_of)
    })
}

fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if plain.ends_with('#') => {}
            '0'..='9' => plain.push('#'),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic = "time stands still at 7 ns"]
    fn a_run_in_which_nothing_takes_time_comes_to_an_end() {
        let mut standstill = Standstill::default();
        for _ in 0..TOO_MANY - 1 {
            standstill.mind(Time(6));
        }
        loop {
            standstill.mind(Time(7));
        }
    }

    #[test]
    fn numbers_do_not_tell_panics_apart() {
        let panic = |message: &str| Broken::Panic {
            message: message.into(),
        };
        let one = panic("serial 12 of queue 3 is there already");
        assert!(one.is_like(&panic("serial 7 of queue 10 is there already")));
        assert!(!one.is_like(&panic("serial 12 of queue 3 is gone")));
    }
}
