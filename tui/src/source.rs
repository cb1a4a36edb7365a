//! What the screen watches.

use std::sync::Arc;

use queuelab_core::Time;
use queuelab_record::RunRecord;
use queuelab_scenario::Scenario;
use queuelab_sim::{LogLine, Options, Simulation};

/// A run that moves in virtual time.
pub(crate) trait Source {
    /// The present instant.
    fn now(&self) -> Time;
    /// When the run ends.
    fn end(&self) -> Time;
    /// Moves to `until`, or to the end.
    fn advance(&mut self, until: Time);
    /// Moves by one event.
    fn step(&mut self);
    /// Back to time zero.
    fn restart(&mut self);
    /// What was measured so far.
    fn record(&self) -> RunRecord;
    /// Lines logged since the last call.
    fn take_log(&mut self) -> Vec<LogLine>;

    /// All that a screen shows.
    fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            now: self.now(),
            end: self.end(),
            record: self.record(),
            log: self.take_log(),
        }
    }
}

/// A run at an instant.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The instant.
    pub(crate) now: Time,
    /// When the run ends.
    pub(crate) end: Time,
    /// What was measured so far.
    pub(crate) record: RunRecord,
    /// Lines logged since the snapshot before.
    pub(crate) log: Vec<LogLine>,
}

/// The simulator, and a fork of it at time zero to start again from.
pub(crate) struct Live {
    origin: Simulation,
    simulation: Simulation,
}

impl Live {
    pub(crate) fn new(scenario: Arc<Scenario>, options: Options) -> Live {
        let origin = Simulation::new(scenario, options);
        Live {
            simulation: origin.clone(),
            origin,
        }
    }
}

impl Source for Live {
    fn now(&self) -> Time {
        self.simulation.now()
    }

    fn end(&self) -> Time {
        self.simulation.end()
    }

    fn advance(&mut self, until: Time) {
        self.simulation.run_until(until);
    }

    fn step(&mut self) {
        self.simulation.step();
        // The screen takes a run that has reached its end for finished, so nothing of that instant may be left.
        if self.now() >= self.end() {
            self.advance(self.end());
        }
    }

    fn restart(&mut self) {
        self.simulation = self.origin.clone();
    }

    fn record(&self) -> RunRecord {
        self.simulation.record()
    }

    fn take_log(&mut self) -> Vec<LogLine> {
        self.simulation.take_log()
    }
}
