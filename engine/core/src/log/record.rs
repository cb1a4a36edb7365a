//! Records: what every file of the log is made of.

use bytes::Bytes;

use super::error::Damage;
use crate::id::LogPosition;

/// Bytes of a record's header.
pub(super) const HEADER: usize = 48;

/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;

/// The version of the format that this code writes, and the only one that it reads.
pub(super) const VERSION: u8 = 2;

const MAGIC: [u8; 2] = *b"qr";

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first of a segment.
    Segment = 1,
    Entry = 2,
    /// The last of a segment.
    Footer = 3,
    /// The only one of a checkpoint slot.
    Checkpoint = 4,
    /// Says how far the disk is, and nothing else.
    Mark = 5,
}

/// Where a record is, and which life of the log wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) epoch: u32,
    pub(super) offset: u64,
}

/// What a record's header says, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) position: LogPosition,
    pub(super) synced: LogPosition,
    length: usize,
    body_checksum: u32,
}

/// Appends a record to `out`, which is to end at a multiple of [`ALIGN`].
pub(super) fn put_record(
    out: &mut Vec<u8>,
    kind: Kind,
    place: Place,
    position: LogPosition,
    synced: LogPosition,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.resize(start + HEADER, 0);
    body(out);
    let (header, body) = out[start..].split_at_mut(HEADER);
    header[..2].copy_from_slice(&MAGIC);
    header[2] = kind as u8;
    header[3] = VERSION;
    header[4..8].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    header[8..16].copy_from_slice(&(body.len() as u64).to_le_bytes());
    header[16..24].copy_from_slice(&position.0.to_le_bytes());
    header[24..32].copy_from_slice(&synced.0.to_le_bytes());
    header[32..36].copy_from_slice(&place.segment.to_le_bytes());
    header[36..40].copy_from_slice(&place.epoch.to_le_bytes());
    header[40..44].copy_from_slice(&offset_in_units(place.offset).to_le_bytes());
    let checksum = crc32c::crc32c(&header[..44]);
    header[44..].copy_from_slice(&checksum.to_le_bytes());
    out.resize(start + (out.len() - start).next_multiple_of(ALIGN), 0);
}

/// Offsets beyond 32 GiB, which no segment of a sane size has, wrap around: they are there to be compared, no more.
fn offset_in_units(offset: u64) -> u32 {
    (offset / ALIGN as u64) as u32
}

impl Header {
    /// Reads the header at `offset` of segment (or slot) `segment`.
    pub(super) fn read(bytes: &[u8], segment: u32, offset: usize) -> Result<Header, Damage> {
        let rest = bytes.get(offset..).unwrap_or_default();
        Header::read_first(rest, segment, offset)
    }

    /// Reads the header that is the first of these bytes, and was at `offset`.
    fn read_first(rest: &[u8], segment: u32, offset: usize) -> Result<Header, Damage> {
        let Some(header) = rest.first_chunk::<HEADER>() else {
            return Err(match rest.iter().all(|byte| *byte == 0) {
                true => Damage::Nothing,
                false => Damage::Header,
            });
        };
        if header[..2] != MAGIC {
            return Err(match *header == [0; HEADER] {
                true => Damage::Nothing,
                false => Damage::Header,
            });
        }
        if crc32c::crc32c(&header[..44]) != int(header, 44) {
            return Err(Damage::Header);
        }
        if header[3] != VERSION {
            return Err(Damage::Version(header[3]));
        }
        let place = Place {
            segment: int(header, 32),
            epoch: int(header, 36),
            offset: offset as u64,
        };
        if place.segment != segment || int(header, 40) != offset_in_units(offset as u64) {
            return Err(Damage::Misplaced);
        }
        let kinds = [
            Kind::Segment,
            Kind::Entry,
            Kind::Footer,
            Kind::Checkpoint,
            Kind::Mark,
        ];
        let kind = kinds.into_iter().find(|kind| *kind as u8 == header[2]);
        Ok(Header {
            kind: kind.ok_or(Damage::Content)?,
            place,
            position: LogPosition(long(header, 16)),
            synced: LogPosition(long(header, 24)),
            length: usize::try_from(long(header, 8)).map_err(|_| Damage::Length)?,
            body_checksum: int(header, 4),
        })
    }

    /// The record's body, if it is whole.
    pub(super) fn body(&self, bytes: &Bytes) -> Result<Bytes, Damage> {
        let start = self.place.offset as usize + HEADER;
        let end = self.body_end(bytes).ok_or(Damage::Length)?;
        if crc32c::crc32c(&bytes[start..end]) != self.body_checksum {
            return Err(Damage::Body);
        }
        Ok(bytes.slice(start..end))
    }

    /// Where the next record begins, if this one ends within the file.
    pub(super) fn end(&self, bytes: &[u8]) -> Option<usize> {
        Some(self.body_end(bytes)?.next_multiple_of(ALIGN))
    }

    fn body_end(&self, bytes: &[u8]) -> Option<usize> {
        let start = self.place.offset as usize + HEADER;
        start
            .checked_add(self.length)
            .filter(|end| *end <= bytes.len())
    }
}

/// The body of an entry's record that was read by itself, if it is whole and the one that was asked for.
pub(super) fn read_alone(
    record: &Bytes,
    segment: u32,
    offset: usize,
    position: LogPosition,
) -> Result<Bytes, Damage> {
    let header = Header::read_first(record, segment, offset)?;
    if (header.kind, header.position) != (Kind::Entry, position) {
        return Err(Damage::Misplaced);
    }
    let end = HEADER.checked_add(header.length);
    let end = end.filter(|end| *end <= record.len());
    let body = record.slice(HEADER..end.ok_or(Damage::Length)?);
    if crc32c::crc32c(&body) != header.body_checksum {
        return Err(Damage::Body);
    }
    Ok(body)
}

/// The first place at or after `offset` where a record could begin.
pub(super) fn next_candidate(bytes: &[u8], offset: usize) -> Option<usize> {
    let mut at = offset.next_multiple_of(ALIGN);
    while let Some(chunk) = bytes.get(at..at.checked_add(HEADER)?) {
        if chunk[..2] == MAGIC {
            return Some(at);
        }
        at += ALIGN;
    }
    None
}

fn int(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn long(header: &[u8; HEADER], at: usize) -> u64 {
    u64::from(int(header, at)) | u64::from(int(header, at + 4)) << 32
}
