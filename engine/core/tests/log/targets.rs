//! What a fuzzer calls: any bytes in, either a valid state or a clear error. The tests call it with bytes of their own (`fuzz.rs`), a fuzzer
//! with what it finds (`engine/core/fuzz`).

use bytes::Bytes;
use queuelab_core::log::*;
use queuelab_core::{Entry, LogPosition};

/// The body of an entry's record.
pub(crate) fn decode(data: &[u8]) {
    let Some(entry) = read_entry(&Bytes::copy_from_slice(data)) else {
        return;
    };
    let mut out = Vec::new();
    put_entry(&mut out, &entry);
    let again = read_entry(&Bytes::from(out));
    assert!(again == Some(entry), "an entry comes back as it was");
}

/// A directory of up to six files: each begins with 2 bytes for its name and 2 for its length.
pub(crate) fn recover_anything(data: &[u8]) {
    let mut slots = [Vec::new(), Vec::new()];
    let mut segments = Vec::new();
    let mut rest = data;
    while let Some((&[kind, number, low, high], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (bytes, after) = after.split_at(length);
        match kind % 4 {
            slot @ 0..2 => slots[usize::from(slot)] = bytes.to_vec(),
            _ => segments.push(SegmentImage {
                number: number.into(),
                bytes: Bytes::copy_from_slice(bytes),
            }),
        }
        rest = after;
        if segments.len() == 4 {
            break;
        }
    }
    look(&segments, [&slots[0], &slots[1]]);
}

/// A valid log in which records are changed, 4 bytes of `data` at a time: where, what, and whether the checksums are made right again.
pub(crate) fn recover_mutated(data: &[u8]) {
    let (mut segments, mut slots) = valid_log();
    for change in data.chunks_exact(4).take(16) {
        let files = segments.len() + 2;
        let file = usize::from(change[0]) % files;
        let bytes = match file.checked_sub(2) {
            None => &mut slots[file],
            Some(at) => &mut segments[at].1,
        };
        if bytes.len() < HEADER {
            continue;
        }
        let place = (usize::from(change[1]) * 8 % (bytes.len() - HEADER + 1)) & !7;
        let field = place + usize::from(change[2] & 63).min(bytes.len() - place - 1);
        match change[2] >> 6 {
            0 => bytes.truncate(field),
            1 => bytes[field] = change[3],
            2 => bytes[field] = bytes[field].wrapping_add(1),
            _ => bytes[field] ^= 1 << (change[3] & 7),
        }
        if change[3] & 8 != 0 {
            mend(bytes);
        }
    }
    let segments: Vec<SegmentImage> = segments
        .into_iter()
        .map(|(number, bytes)| SegmentImage {
            number,
            bytes: bytes.into(),
        })
        .collect();
    look(&segments, [&slots[0], &slots[1]]);
}

/// Segments with their numbers, and the checkpoint slots.
type Directory = (Vec<(u32, Vec<u8>)>, [Vec<u8>; 2]);

/// A few segments, whose head has moved.
fn valid_log() -> Directory {
    let mut files: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut slots = [Vec::new(), Vec::new()];
    let mut keep = |operations: Vec<FileOperation>| {
        for operation in operations {
            match operation {
                FileOperation::Create {
                    file: File::Segment(number),
                    ..
                } => files.push((number, Vec::new())),
                FileOperation::Write {
                    file: File::Segment(number),
                    bytes,
                    ..
                } => {
                    let file = files.iter_mut().find(|(other, _)| *other == number);
                    file.expect("it was created").1.extend(bytes);
                }
                FileOperation::Write {
                    file: File::Checkpoint(slot),
                    bytes,
                    ..
                } => slots[usize::from(slot)] = bytes,
                FileOperation::Delete {
                    file: File::Segment(number),
                } => files.retain(|(other, _)| *other != number),
                _ => {}
            }
        }
    };
    let mut operations = Vec::new();
    let mut writer = Writer::new(Start::default(), 300, &mut operations);
    for position in 1..=12 {
        writer.append(LogPosition(position), &Entry::default());
        if position % 3 == 0 {
            writer.release(LogPosition(position.saturating_sub(5).max(1)));
            writer.write(&mut operations);
            let through = writer.sync(&mut operations);
            writer.synced(through, &mut operations);
        }
    }
    keep(operations);
    (files, slots)
}

/// Makes the checksums of all records right that follow each other from the beginning.
fn mend(bytes: &mut [u8]) {
    let mut at = 0;
    while at + HEADER <= bytes.len() {
        let length = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("8 bytes"));
        let Some(end) = usize::try_from(length)
            .ok()
            .and_then(|length| (at + HEADER).checked_add(length))
            .filter(|end| *end <= bytes.len())
        else {
            return;
        };
        let body = crc32c::crc32c(&bytes[at + HEADER..end]);
        bytes[at + 4..at + 8].copy_from_slice(&body.to_le_bytes());
        let header = crc32c::crc32c(&bytes[at..at + 44]);
        bytes[at + 44..at + 48].copy_from_slice(&header.to_le_bytes());
        at = end.next_multiple_of(8);
    }
}

/// A log that can be read makes sense, can be gone on with and is the same afterwards; another is refused in words.
fn look(segments: &[SegmentImage], slots: [&[u8]; 2]) {
    let recovery = match recover(segments, slots) {
        Ok(recovery) => recovery,
        Err(error) => return assert!(error.to_string().contains("; ")),
    };
    let recovered = &recovery.recovered;
    let first = recovery.start.head.0.min(recovered.last.0 + 1);
    let places = recovered.entries.iter().map(|(position, _)| position.0);
    assert!(
        places.eq(first..=recovered.last.0),
        "entries are dense from the head on"
    );
    Writer::new(recovery.start, 300, &mut Vec::new());
}

pub(crate) const HEADER: usize = 48;
