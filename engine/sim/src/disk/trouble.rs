//! Faults of a disk that last for a while.

use queuelab_core::{LogFailure, LogPosition};
use queuelab_workload::Stream;

/// What is wrong with a disk at the moment, all faults together.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// No fsync returns.
    pub stalled: bool,
    /// Bytes per second at most.
    pub bandwidth: Option<f64>,
    /// Operations per second at most.
    pub iops: Option<f64>,
    /// No space is left.
    pub full: bool,
    /// How likely a write reports an error.
    pub write_error: f64,
    /// How likely an fsync reports an error.
    pub fsync_error: f64,
    /// How likely an fsync reports success and does nothing.
    pub fsync_lie: f64,
    /// How likely a read reports an error.
    pub read_error: f64,
    /// The next write lands in another place, which this chooses.
    pub misdirected: Option<u64>,
    /// Where chance comes from, by place in the log.
    pub stream: Stream,
}

/// What becomes of a write or an fsync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// What should.
    #[default]
    Succeeds,
    /// Nothing, and it says so.
    Fails(LogFailure),
    /// Nothing, and it says something else.
    Lies,
    /// It is done in another place, which this chooses.
    Misdirected(u64),
}

impl Trouble {
    /// Nothing is wrong.
    pub fn none(stream: Stream) -> Trouble {
        Trouble {
            stalled: false,
            bandwidth: None,
            iops: None,
            full: false,
            write_error: 0.0,
            fsync_error: 0.0,
            fsync_lie: 0.0,
            read_error: 0.0,
            misdirected: None,
            stream,
        }
    }

    /// A write of what follows `written`.
    pub(super) fn write(&mut self, written: LogPosition) -> Verdict {
        if self.full {
            return Verdict::Fails(LogFailure::Full);
        }
        if self.happens(self.write_error, 0, written.0) {
            return Verdict::Fails(LogFailure::Write);
        }
        let misdirected = self.misdirected.take();
        misdirected.map_or(Verdict::Succeeds, Verdict::Misdirected)
    }

    /// An fsync of everything up to `through`.
    pub(super) fn sync(&self, through: LogPosition) -> Verdict {
        if self.happens(self.fsync_error, 1, through.0) {
            Verdict::Fails(LogFailure::Sync)
        } else if self.happens(self.fsync_lie, 2, through.0) {
            Verdict::Lies
        } else {
            Verdict::Succeeds
        }
    }

    /// The read of the log at the beginning of a life, or of one entry.
    pub(super) fn read(&self, what: u64) -> Option<LogFailure> {
        self.happens(self.read_error, 3, what)
            .then_some(LogFailure::Read)
    }

    fn happens(&self, p: f64, kind: u64, place: u64) -> bool {
        p > 0.0 && self.stream.at2(kind, place).next_f64() < p
    }
}
