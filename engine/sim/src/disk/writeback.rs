//! What the operating system puts on the disk unasked.

use std::collections::VecDeque;

use queuelab_core::{LogPosition, Span, Time};

/// What the operating system puts on the disk by itself: everything that was written a while ago. It is looked up when the
/// power fails, and costs nothing before.
#[derive(Clone, Debug)]
pub struct Writeback {
    after: Span,
    /// Up to where the log was written at some instants, so many that the last one that counts is at most a sixteenth too old.
    marks: VecDeque<(Time, LogPosition)>,
    /// Before this instant no mark is needed.
    next: Time,
    /// The last write.
    latest: (Time, LogPosition),
}

impl Writeback {
    /// Whatever was written `after` ago is on the disk.
    pub fn new(after: Span) -> Writeback {
        Writeback {
            after,
            marks: VecDeque::new(),
            next: Time::ZERO,
            latest: (Time::ZERO, LogPosition(0)),
        }
    }

    /// The log is written up to here.
    #[inline]
    pub fn note(&mut self, now: Time, written: LogPosition) {
        self.latest = (now, written);
        if now >= self.next {
            self.mark();
        }
    }

    fn mark(&mut self) {
        let now = self.latest.0;
        while self
            .marks
            .get(1)
            .is_some_and(|(at, _)| *at + self.after <= now)
        {
            self.marks.pop_front();
        }
        self.marks.push_back(self.latest);
        self.next = now + Span(self.after.0 / 16);
    }

    /// Up to where the log is on the disk whether or not anybody asked for it.
    pub fn reached(&self, now: Time) -> LogPosition {
        let mut marks = std::iter::once(&self.latest).chain(self.marks.iter().rev());
        let old = marks.find(|(at, _)| *at + self.after <= now);
        old.map_or(LogPosition(0), |(_, written)| *written)
    }

    /// What was not on the disk is gone, or has just been synced.
    pub fn clear(&mut self) {
        self.marks.clear();
        self.next = Time::ZERO;
        self.latest = (Time::MAX, LogPosition(0));
    }
}
