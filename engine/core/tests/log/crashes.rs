//! Crashes between any two file operations, and inside each.

use std::ops::Range;

use queuelab_core::log::*;

use super::entries::Random;
use super::files::Files;
use super::rig::{Rig, Step, check};
use super::targets::HEADER;

/// Where the records of a write begin and end: writes hold whole ones.
fn records(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at + 8..at + 16]
            .try_into()
            .expect("there is a header");
        let end = at + (HEADER + u64::from_le_bytes(length) as usize).next_multiple_of(8);
        records.push(at..end);
        at = end;
    }
    assert_eq!(at, bytes.len(), "a write ends with a record");
    records
}

/// Where a write is cut: everywhere if it is short; else at the beginning of every record, in its header, behind that, in its body and just before
/// its end; around every sector; and here and there.
fn cuts(bytes: &[u8]) -> Vec<usize> {
    let length = bytes.len();
    if length <= 160 {
        return (0..length).collect();
    }
    let around = |at: usize| [at.saturating_sub(1), at, at + 1];
    let mut cuts: Vec<usize> = (0..length).step_by(512).flat_map(around).collect();
    for record in records(bytes) {
        let body = record.start + HEADER;
        let middle = body + (record.end - body) / 2;
        cuts.extend([record.start, record.start + 1, record.start + HEADER / 2]);
        cuts.extend([body, middle, record.end - 1]);
    }
    cuts.extend((0..length).step_by(97));
    cuts.extend(length - 8..length);
    cuts.retain(|cut| *cut < length);
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Goes through a log's life, and crashes before, in and after each operation.
fn crash_everywhere(rig: &Rig, steps: &[Step]) -> u64 {
    let mut files = Files::default();
    let mut crashes = 0;
    let mut hold = |files: &Files, step: &Step| {
        crashes += 1;
        let recovery = files
            .recover()
            .unwrap_or_else(|error| panic!("failed to {error}"));
        check(&recovery, &rig.entries, step.promise);
    };
    for (nth, step) in steps.iter().enumerate() {
        if let FileOperation::Write {
            file,
            offset,
            bytes,
        } = &step.operation
        {
            for cut in cuts(bytes) {
                let mut files = files.clone();
                files.write(*file, *offset as usize, &bytes[..cut]);
                hold(&files, step);
            }
        }
        files.apply(&step.operation);
        let mut crashed = files.clone();
        crashed.crash();
        hold(&crashed, step);
        let mut powerless = files.clone();
        powerless.lose_power(None);
        hold(&powerless, step);
        for seed in 0..4 {
            let mut torn = files.clone();
            torn.lose_power(Some(&mut Random(nth as u64 * 4 + seed)));
            hold(&torn, step);
        }
    }
    crashes
}

#[test]
fn a_crash_anywhere_keeps_what_was_synced() {
    let mut steps = Vec::new();
    let mut rig = Rig::new(1, &mut steps);
    while rig.entries.len() < 1_200 {
        rig.operate(&mut steps);
    }
    rig.settle(&mut steps);
    let deletions = steps
        .iter()
        .filter(|step| matches!(step.operation, FileOperation::Delete { .. }));
    assert!(deletions.count() > 20, "segments come and go");
    let crashes = crash_everywhere(&rig, &steps);
    assert!(crashes > 20_000, "{crashes}");
}

#[test]
fn lives_follow_each_other_whatever_the_crashes_lose() {
    for seed in 0..60 {
        let mut steps = Vec::new();
        let mut rig = Rig::new(seed, &mut steps);
        for life in 0..12 {
            for _ in 0..rig.random.below(120) {
                rig.operate(&mut steps);
            }
            let random = &mut Random(seed * 100 + life);
            match random.below(3) {
                0 => rig.files.crash(),
                1 => rig.files.lose_power(None),
                _ => rig.files.lose_power(Some(random)),
            }
            rig.restart(&mut steps);
        }
    }
}

#[test]
fn a_crash_while_a_life_begins_is_like_any_other() {
    for seed in 0..20 {
        let mut steps = Vec::new();
        let mut rig = Rig::new(seed, &mut steps);
        for _ in 0..200 {
            rig.operate(&mut steps);
        }
        rig.files.lose_power(Some(&mut Random(seed)));
        let (files, before) = (rig.files.clone(), rig.clone());
        steps.clear();
        rig.restart(&mut steps);
        for cut in 0..=steps.len() {
            for loss in 0..6 {
                let mut rig = before.clone();
                rig.files = files.clone();
                for step in &steps[..cut] {
                    rig.files.apply(&step.operation);
                }
                rig.files.lose_power(Some(&mut Random(loss)));
                let mut again = Vec::new();
                rig.restart(&mut again);
                for _ in 0..30 {
                    rig.operate(&mut again);
                }
                rig.files.lose_power(Some(&mut Random(loss)));
                rig.restart(&mut again);
            }
        }
    }
}
