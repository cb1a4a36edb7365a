//! How far the disk was, as records tell.

use super::File;
use super::error::Proof;
use super::record::{Header, Kind, next_candidate};
use crate::id::LogPosition;

/// What records say that was synced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claims {
    furthest: Option<Proof>,
    /// The newest life of the log of which there is a record.
    pub(super) epoch: u32,
}

impl Claims {
    /// A record says so. Its header is enough: that is whole.
    pub(super) fn note(&mut self, file: File, offset: u64, synced: LogPosition, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
        if self.furthest.is_none_or(|proof| proof.synced < synced) {
            self.furthest = Some(Proof {
                synced,
                file,
                offset,
            });
        }
    }

    /// Looks for whole headers from `offset` on, wherever they begin, and notes those that `count`. Returns how many of them are entries.
    pub(super) fn search(
        &mut self,
        bytes: &[u8],
        segment: u32,
        offset: usize,
        count: impl Fn(&Header) -> bool,
    ) -> u64 {
        let (mut from, mut found) = (offset, 0);
        while let Some(at) = next_candidate(bytes, from) {
            if let Ok(header) = Header::read(bytes, segment, at)
                && count(&header)
            {
                let file = File::Segment(segment);
                self.note(file, at as u64, header.synced, header.place.epoch);
                found += u64::from(header.kind == Kind::Entry);
            }
            from = at + 1;
        }
        found
    }

    /// What shows that the disk had an entry, if anything does.
    pub(super) fn proof(&self, position: LogPosition) -> Option<Proof> {
        self.furthest.filter(|proof| proof.synced >= position)
    }
}
