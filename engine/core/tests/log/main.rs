//! The log: codec, recovery, crashes at every byte, damage.

mod crashes;
mod damage;
mod entries;
mod files;
mod fuzz;
mod rig;
mod targets;

use bytes::Bytes;
use queuelab_core::log::*;
use queuelab_core::{Entry, LogPosition};

use entries::{Random, entry};

/// A segment with these entries, all in one life.
fn segment(number: u32, first: u64, entries: &[Entry]) -> SegmentImage {
    let mut out = Vec::new();
    let synced = LogPosition(first - 1);
    let mut encoder = Encoder::new(number, 1, LogPosition(first), synced, &mut out);
    for (position, entry) in (first..).map(LogPosition).zip(entries) {
        encoder.append(position, entry, synced, &mut out);
    }
    SegmentImage {
        number,
        bytes: Bytes::from(out),
    }
}

#[test]
fn entries_come_back_as_they_were() {
    let mut random = Random(1);
    let entries: Vec<Entry> = (0..5_000).map(|_| entry(&mut random)).collect();
    let recovery = recover(&[segment(1, 1, &entries)], [&[]; 2]).expect("nothing is wrong");
    let found: Vec<Entry> = recovery
        .recovered
        .entries
        .into_iter()
        .map(|(_, entry)| entry)
        .collect();
    assert!(found == entries);
    assert_eq!(recovery.truncated, None);
}

#[test]
fn names_of_files_come_back() {
    for file in [
        File::Segment(1),
        File::Segment(u32::MAX),
        File::Checkpoint(0),
        File::Checkpoint(1),
    ] {
        assert_eq!(File::parse(&file.to_string()), Some(file));
    }
    for name in [
        "",
        "1.log",
        "0000000001.log.old",
        "+000000001.log",
        "checkpoint.c",
    ] {
        assert_eq!(File::parse(name), None, "{name}");
    }
}

#[test]
fn an_empty_directory_is_an_empty_log() {
    let recovery = recover(&[], [&[]; 2]).expect("nothing is wrong");
    assert_eq!(recovery.recovered.last, LogPosition(0));
    assert_eq!(recovery.start.next, LogPosition(1));
    assert_eq!(recovery.truncated, None);
}
