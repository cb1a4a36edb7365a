//! Where each entry is.

use std::collections::VecDeque;

use bytes::Bytes;

use super::entry::read_entry;
use super::error::Damage;
use super::record::{ALIGN, read_alone};
use crate::id::LogPosition;
use crate::interface::Entry;

/// Where an entry is in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// The segment's number.
    pub segment: u32,
    /// Where its record begins, in bytes.
    pub offset: u64,
}

impl EntryPlace {
    /// Reads one entry back: `record` is what the segment has from its offset on, to the next entry's or beyond. What is damaged, or is
    /// another entry, is never returned.
    pub fn read(self, record: &Bytes, position: LogPosition) -> Result<Entry, Damage> {
        let offset = usize::try_from(self.offset).map_err(|_| Damage::Misplaced)?;
        let body = read_alone(record, self.segment, offset, position)?;
        read_entry(&body).ok_or(Damage::Content)
    }
}

/// The segments that are kept, and where their entries begin: 4 bytes per entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    segments: VecDeque<Run>,
}

/// Entries without a gap in one segment.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) segment: u32,
    /// The segment's first entry that is known here.
    pub(super) first: LogPosition,
    /// In units of [`ALIGN`].
    offsets: Vec<u32>,
}

impl Index {
    /// A segment follows.
    pub(super) fn begin(&mut self, segment: u32, first: LogPosition) {
        self.segments.push_back(Run {
            segment,
            first,
            offsets: Vec::new(),
        });
    }

    /// An entry follows in the last segment.
    pub(super) fn push(&mut self, position: LogPosition, offset: u64) {
        let Some(run) = self.segments.back_mut() else {
            return;
        };
        if run.offsets.is_empty() {
            run.first = position;
        }
        debug_assert_eq!(run.next(), position, "entries are dense");
        run.offsets.push((offset / ALIGN as u64) as u32);
    }

    /// Where an entry is.
    pub(super) fn locate(&self, position: LogPosition) -> Option<EntryPlace> {
        let after = self.segments.partition_point(|run| run.first <= position);
        let run = self.segments.get(after.checked_sub(1)?)?;
        let offset = run.offsets.get((position.0 - run.first.0) as usize)?;
        Some(EntryPlace {
            segment: run.segment,
            offset: u64::from(*offset) * ALIGN as u64,
        })
    }

    /// The segment that an entry is in, or will be in.
    pub(super) fn segment_of(&self, position: LogPosition) -> Option<u32> {
        let after = self.segments.partition_point(|run| run.first <= position);
        let run = self.segments.get(after.saturating_sub(1))?;
        Some(run.segment)
    }

    /// The numbers of the segments that are kept.
    pub(super) fn segments(&self) -> impl Iterator<Item = u32> {
        self.segments.iter().map(|run| run.segment)
    }

    /// True if the segment is one of those that are kept.
    pub(super) fn holds(&self, segment: u32) -> bool {
        self.segments().any(|number| number == segment)
    }

    /// Takes the first segment off, if it ends before `head`; the last one stays.
    pub(super) fn pop_before(&mut self, head: LogPosition) -> Option<u32> {
        let next = self.segments.get(1)?;
        if next.first > head {
            return None;
        }
        self.segments.pop_front().map(|run| run.segment)
    }
}

impl Run {
    fn next(&self) -> LogPosition {
        LogPosition(self.first.0 + self.offsets.len() as u64)
    }
}
