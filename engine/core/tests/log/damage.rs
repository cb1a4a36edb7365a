//! What no crash leaves behind.

use expect_test::expect;
use queuelab_core::log::*;
use queuelab_core::{Entry, LogPosition};

use super::entries::Random;
use super::files::Files;
use super::rig::{Rig, check_prefix};

/// A log with several segments, a checkpoint or two, and everything synced.
fn log(seed: u64) -> Rig {
    let mut steps = Vec::new();
    let mut rig = Rig::new(seed, &mut steps);
    for _ in 0..400 {
        rig.operate(&mut steps);
    }
    rig.settle(&mut steps);
    rig
}

/// The log is refused, or holds what it should, or at least a part of that.
fn hold(files: &Files, rig: &Rig) -> &'static str {
    let Ok(recovery) = files.recover() else {
        return "refused";
    };
    check_prefix(&recovery, &rig.entries, rig.promise);
    if recovery.recovered.last >= rig.promise.synced {
        return "harmless";
    }
    "cut"
}

#[test]
fn a_flipped_bit_is_refused_or_does_no_harm() {
    let (mut refused, mut harmless) = (0, 0);
    for seed in 0..3 {
        let rig = log(seed);
        for file in rig.files.names() {
            let length = rig.files.clone().bytes(file).len();
            for byte in 0..length {
                let mut files = rig.files.clone();
                files.bytes(file)[byte] ^= 1 << (byte % 8);
                match hold(&files, &rig) {
                    "refused" => refused += 1,
                    "harmless" => harmless += 1,
                    _ => panic!("byte {byte} of {file}: something that was synced is dropped"),
                }
            }
        }
    }
    assert!(
        refused > 5_000 && harmless > 5_000,
        "{refused} refused, {harmless} harmless"
    );
}

#[test]
fn blocks_that_moved_vanished_or_came_twice_are_refused_or_do_no_harm() {
    for seed in 0..2_000 {
        let random = &mut Random(seed);
        let rig = log(seed % 5);
        let mut files = rig.files.clone();
        let names = files.names();
        let pick = |random: &mut Random| names[random.below(names.len() as u64) as usize];
        let (from, to) = (pick(random), pick(random));
        let length = 1 << random.below(13);
        match random.below(5) {
            0 => files.remove(to),
            1 => {
                let keep = random.below(files.bytes(to).len() as u64 + 1);
                files.bytes(to).truncate(keep as usize);
            }
            2 => {
                let copy = files.bytes(from).clone();
                *files.bytes(to) = copy;
            }
            kind => {
                let source = files.bytes(from).clone();
                let place = |random: &mut Random, length: usize| {
                    random.below(length as u64 / 8 + 1) as usize * 8
                };
                let start = place(random, source.len());
                let block: Vec<u8> = match kind {
                    3 => source.into_iter().skip(start).take(length).collect(),
                    _ => vec![0; length],
                };
                let target = files.bytes(to);
                let at = place(random, target.len());
                target.resize(target.len().max(at + block.len()), 0);
                target[at..at + block.len()].copy_from_slice(&block);
            }
        }
        hold(&files, &rig);
    }
}

#[test]
fn an_error_says_where_what_and_what_to_do() {
    let rig = log(1);
    let mut text = String::new();
    let mut note = |what: &str, files: &Files| {
        let outcome = match files.recover() {
            Ok(recovery) => format!("{:?}", recovery.truncated),
            Err(error) => format!("failed to {error}"),
        };
        text += &format!("{what}:\n  {outcome}\n");
    };
    let first = rig
        .files
        .recover()
        .expect("nothing is wrong")
        .recovered
        .entries[0]
        .0;
    let place = rig.writer.locate(first).expect("it is there");
    let file = File::Segment(place.segment);
    let last_file = rig
        .files
        .names()
        .into_iter()
        .rfind(|file| matches!(file, File::Segment(_)));
    let last_file = last_file.expect("there is a segment");

    let mut files = rig.files.clone();
    files.bytes(file)[place.offset as usize + 48] ^= 1;
    note("a bit of a body", &files);
    let mut files = rig.files.clone();
    files.bytes(file)[place.offset as usize + 20] ^= 1;
    note("a bit of a header", &files);
    let mut files = rig.files.clone();
    files.bytes(file)[0] ^= 1;
    note("a bit of a segment's header", &files);
    let mut files = rig.files.clone();
    files.remove(file);
    note("no segment", &files);
    let mut files = rig.files.clone();
    for slot in [0, 1] {
        files.bytes(File::Checkpoint(slot))[10] ^= 1;
    }
    note("both checkpoints", &files);
    let mut files = rig.files.clone();
    let last = rig.writer.locate(rig.last()).expect("it is there");
    files.bytes(last_file)[last.offset as usize + 48] ^= 1;
    note("the last entry", &files);
    expect![[r#"
        a bit of a body:
          failed to read entry 197 of the log at byte 696 of 0000000008.log: its body fails its checksum, although byte 664 of 0000000010.log says that the disk had all entries up to 248; restore the log from a replica or a backup, or move it away to begin with an empty one
        a bit of a header:
          failed to read entry 197 of the log at byte 696 of 0000000008.log: its header fails its checksum, although byte 664 of 0000000010.log says that the disk had all entries up to 248; restore the log from a replica or a backup, or move it away to begin with an empty one
        a bit of a segment's header:
          failed to read entry 197 of the log at byte 0 of 0000000008.log: it is missing, although byte 0 of checkpoint.a says that the disk had all entries up to 201; restore the log from a replica or a backup, or move it away to begin with an empty one
        no segment:
          failed to read entry 197 of the log at byte 0 of 0000000008.log: it is missing, although byte 0 of checkpoint.a says that the disk had all entries up to 201; restore the log from a replica or a backup, or move it away to begin with an empty one
        both checkpoints:
          failed to read entry 1 of the log at byte 0 of 0000000007.log: it is missing, and neither checkpoint is whole to say whether it is needed; restore the log from a replica or a backup, or move it away to begin with an empty one
        the last entry:
          failed to read entry 248 of the log at byte 608 of 0000000010.log: its body fails its checksum, although byte 664 of 0000000010.log says that the disk had all entries up to 248; restore the log from a replica or a backup, or move it away to begin with an empty one
    "#]].assert_eq(&text);
}

#[test]
fn what_is_behind_the_tail_stays_forgotten() {
    // Entry 1 was synced, 2 is lost, 3 is there: both are cut off, and neither comes back after the next life has written its own.
    let entry = Entry::default();
    let mut operations = Vec::new();
    let mut writer = Writer::new(Start::default(), 1 << 16, &mut operations);
    writer.append(LogPosition(1), &entry);
    writer.write(&mut operations);
    let through = writer.sync(&mut operations);
    writer.synced(through, &mut operations);
    for position in [2, 3] {
        writer.append(LogPosition(position), &entry);
    }
    writer.write(&mut operations);
    let mut files = Files::default();
    for operation in &operations {
        files.apply(operation);
    }
    let lost = writer.locate(LogPosition(2)).expect("it is there").offset as usize;
    files.bytes(File::Segment(1))[lost..lost + 56].fill(0);
    let recovery = files.recover().expect("nothing says that it was synced");
    let tail = recovery.truncated.expect("something is cut off");
    assert_eq!((tail.position, tail.behind), (LogPosition(2), 1));
    let mut operations = Vec::new();
    let mut writer = Writer::new(recovery.start, 1 << 16, &mut operations);
    for operation in &operations {
        files.apply(operation);
    }
    let again = files.recover().expect("nothing is wrong");
    assert_eq!(
        (again.recovered.last, again.truncated),
        (LogPosition(1), None)
    );
    let other = Entry::Many([].into());
    let mut operations = Vec::new();
    writer.append(LogPosition(2), &other);
    writer.write(&mut operations);
    for operation in &operations {
        files.apply(operation);
    }
    let again = files.recover().expect("nothing is wrong");
    assert_eq!(again.recovered.last, LogPosition(2));
}
