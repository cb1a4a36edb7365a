//! Segments as bytes.

use super::entry::put_entry;
use super::record::{Kind, Place, put_record};
use crate::id::LogPosition;
use crate::interface::Entry;

/// Writes one segment from its beginning to its end: a header, entries, a footer.
#[derive(Clone, Debug)]
pub struct Encoder {
    place: Place,
    entries: u64,
}

impl Encoder {
    /// Begins segment `number` of life `epoch` of the log, whose next entry is `first`; the disk has everything up to `synced`. The header is
    /// appended to `out`.
    pub fn new(
        number: u32,
        epoch: u32,
        first: LogPosition,
        synced: LogPosition,
        out: &mut Vec<u8>,
    ) -> Encoder {
        let place = Place {
            segment: number,
            epoch,
            offset: 0,
        };
        let mut encoder = Encoder { place, entries: 0 };
        encoder.put(Kind::Segment, first, synced, out, |body| {
            body.extend_from_slice(b"queuelab log segment\n");
        });
        encoder
    }

    /// Appends an entry to `out`, which is what follows in the segment. The disk has everything up to `synced`.
    pub fn append(
        &mut self,
        position: LogPosition,
        entry: &Entry,
        synced: LogPosition,
        out: &mut Vec<u8>,
    ) {
        self.entries += 1;
        self.put(Kind::Entry, position, synced, out, |body| {
            put_entry(body, entry);
        });
    }

    /// Notes that the disk has everything up to `synced`, for want of an entry that would say so. `next` is the place of the next entry.
    pub fn mark(&mut self, next: LogPosition, synced: LogPosition, out: &mut Vec<u8>) {
        self.put(Kind::Mark, next, synced, out, |_| {});
    }

    /// Ends the segment; the log goes on at `next` in another one.
    pub fn finish(mut self, next: LogPosition, synced: LogPosition, out: &mut Vec<u8>) {
        let entries = self.entries;
        self.put(Kind::Footer, next, synced, out, |body| {
            body.extend_from_slice(&entries.to_le_bytes());
        });
    }

    /// Bytes of the segment so far: where the next record begins.
    pub fn len(&self) -> u64 {
        self.place.offset
    }

    /// Never: a segment begins with its header.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn put(
        &mut self,
        kind: Kind,
        position: LogPosition,
        synced: LogPosition,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        let before = out.len();
        put_record(out, kind, self.place, position, synced, body);
        self.place.offset += (out.len() - before) as u64;
    }
}
