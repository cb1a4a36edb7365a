//! What the screen watches.

use queuelab_core::Time;
use queuelab_record::RunRecord;
use queuelab_sim::LogLine;

use crate::faults::{Menu, Order};

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
    /// Back to the latest instant that is kept and not after `until`, from where the run goes on as it did. What was injected
    /// after `until` has not happened then.
    fn rewind(&mut self, until: Time);
    /// Back to time zero, as if nothing had ever been injected.
    fn restart(&mut self);
    /// Injects a fault now.
    fn inject(&mut self, order: Order);
    /// The faults that suit it.
    fn menu(&self) -> Menu;
    /// What was measured so far.
    fn record(&self) -> RunRecord;
    /// What is told of the run so far, at most the last [`LOG_LINES`] lines.
    fn log(&self) -> Vec<LogLine>;

    /// All that a screen shows.
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            now: self.now(),
            end: self.end(),
            record: self.record(),
            log: self.log(),
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
    /// What was told so far, the latest last.
    pub(crate) log: Vec<LogLine>,
}

/// More than any terminal shows.
pub(crate) const LOG_LINES: usize = 200;
