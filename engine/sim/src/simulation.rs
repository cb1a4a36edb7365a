//! A run of a scenario: built, stepped, recorded.

use std::sync::Arc;

use queuelab_core::Time;
use queuelab_record::RunRecord;
use queuelab_scenario::Scenario;

/// How to run a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// Whether checkers watch the run.
    pub check: bool,
}

/// A line for the event log of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Time,
    /// What.
    pub text: String,
}

/// A run under way. Cloning it forks the run: both copies go on from here, identically.
#[derive(Clone)]
pub struct Simulation {}

impl Simulation {
    /// A run at time zero.
    pub fn new(_scenario: Arc<Scenario>, _options: Options) -> Simulation {
        todo!()
    }

    /// The present instant.
    pub fn now(&self) -> Time {
        todo!()
    }

    /// When the run ends.
    pub fn end(&self) -> Time {
        todo!()
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        todo!()
    }

    /// Runs one event; false at the end of the run.
    pub fn step(&mut self) -> bool {
        todo!()
    }

    /// Runs all events up to `until` (or the end, if that is earlier); `now()` is that instant afterwards.
    pub fn run_until(&mut self, _until: Time) {
        todo!()
    }

    /// What was measured so far; at the end of the run, its result with verdicts.
    pub fn record(&self) -> RunRecord {
        todo!()
    }

    /// Lines logged since the last call: phases, faults, restarts, expectations.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        todo!()
    }
}
