//! What a disk keeps, one fault at a time.

use super::*;
use bytes::Bytes;
use queuelab_core::{Command, ExchangeId, Message, MessageCopy, QueueId, Times};
use queuelab_scenario::Distribution;

fn costs(capacity: Option<u64>) -> DiskCosts {
    DiskCosts {
        fsync: Distribution::Constant(Span::from_millis(5)),
        read: Distribution::Constant(Span::from_millis(1)),
        bandwidth: None,
        capacity,
        writeback: Span::from_secs(30),
    }
}

fn disk() -> Disk {
    Disk::new(
        &costs(None),
        true,
        Stream::new(1, "disk", 0),
        Stream::new(1, "read", 0),
    )
}

fn chance(seed: u64) -> Stream {
    Stream::new(seed, "test", 0)
}

/// Bodies of 0 to 1200 bytes: some are in one sector, some in several.
fn entry(position: u64) -> Entry {
    let body = Bytes::from(vec![position as u8; (position * 37 % 1200) as usize]);
    Entry::One(Command::Enqueue {
        copy: MessageCopy {
            queue: QueueId(0),
            serial: position,
        },
        message: Message {
            tag: position,
            exchange: ExchangeId::DEFAULT,
            persistent: true,
            routing_key: Bytes::from_static(b"q"),
            body,
            properties: None,
        },
        times: Times::ANY,
    })
}

fn append(disk: &mut Disk, positions: std::ops::RangeInclusive<u64>) {
    for position in positions {
        disk.append(LogPosition(position), entry(position));
    }
}

/// Appends, writes and syncs.
fn sync(disk: &mut Disk, positions: std::ops::RangeInclusive<u64>) {
    let last = LogPosition(*positions.end());
    append(disk, positions);
    disk.write(Time(0));
    disk.sync(Time(0), last);
    assert_eq!(disk.sync_done(Time(5_000_000)), Synced::Done(None));
}

/// Entries up to 20 are synced in pairs, those up to 30 are written, one more is not.
fn busy_disk() -> Disk {
    let mut disk = disk();
    for pair in 0..10 {
        sync(&mut disk, 2 * pair + 1..=2 * pair + 2);
    }
    append(&mut disk, 21..=30);
    disk.write(Time(0));
    append(&mut disk, 31..=31);
    disk
}

fn trouble(change: impl FnOnce(&mut Trouble)) -> Option<Trouble> {
    let mut trouble = Trouble::none(chance(7));
    change(&mut trouble);
    Some(trouble)
}

fn last(disk: &Disk) -> u64 {
    let contents = disk.contents();
    for (position, kept) in &contents.entries {
        assert_eq!(*kept, entry(position.0));
    }
    contents.last.0
}

#[test]
fn what_comes_during_an_fsync_waits_for_the_next_one() {
    let mut disk = disk();
    let five = Span::from_millis(5);
    append(&mut disk, 1..=2);
    assert!(disk.write(Time(0)));
    assert_eq!(disk.sync(Time(0), LogPosition(2)), Some(five));
    append(&mut disk, 3..=3);
    disk.write(Time(0));
    assert_eq!(disk.sync(Time(1), LogPosition(3)), None);
    assert_eq!(disk.sync_done(Time(5_000_000)), Synced::Done(Some(five)));
    assert_eq!(disk.progress(), (LogPosition(3), LogPosition(2)));
    assert_eq!(disk.sync_done(Time(10_000_000)), Synced::Done(None));
    assert_eq!(disk.progress(), (LogPosition(3), LogPosition(3)));
}

#[test]
fn a_crash_keeps_what_was_written_and_a_power_loss_what_was_synced() {
    let survivors = |unsynced| {
        let mut disk = busy_disk();
        let gone = disk.crash(Time(9), unsynced, &chance(1));
        (gone, last(&disk))
    };
    assert_eq!(survivors(Unsynced::Keep), (1, 30));
    assert_eq!(survivors(Unsynced::Drop), (11, 20));
}

#[test]
fn whatever_becomes_of_what_was_not_synced_what_was_synced_is_there() {
    for unsynced in [Unsynced::Random, Unsynced::Torn, Unsynced::Corrupt] {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut disk = busy_disk();
            disk.crash(Time(9), unsynced, &chance(seed));
            let kept = last(&disk);
            assert!((20..=30).contains(&kept), "{unsynced:?} kept {kept}");
            seen.insert(kept);
            // It goes on from there, and the next crash finds both lives.
            assert_eq!(disk.restart().unwrap().last.0, kept);
            sync(&mut disk, kept + 1..=kept + 3);
            disk.crash(Time(9), unsynced, &chance(seed));
            assert_eq!(last(&disk), kept + 3);
        }
        assert!(seen.len() > 3, "{unsynced:?} leaves {seen:?}");
    }
}

#[test]
fn the_operating_system_writes_back_what_is_old() {
    let mut disk = disk();
    let second = |second| Time(second * 1_000_000_000);
    for position in 1..=60 {
        append(&mut disk, position..=position);
        disk.write(second(position));
    }
    // Marks are up to two seconds apart, and what was written 30 seconds ago or before is safe.
    let lost = |at| disk.clone().crash(second(at), Unsynced::Drop, &chance(1));
    assert!((30..=32).contains(&lost(60)), "{}", lost(60));
    assert_eq!(lost(200), 0);
}

#[test]
fn a_flipped_bit_in_what_was_synced_is_refused_and_stays_refused() {
    let mut refused = 0;
    for seed in 0..50 {
        let mut disk = busy_disk();
        assert_eq!(disk.damage(Harm::Flipped, 1, true, &chance(seed)), 1);
        disk.crash(Time(9), Unsynced::Keep, &chance(seed));
        match disk.restart() {
            // Records are padded: some bits mean nothing.
            Ok(found) => assert_eq!(found.last.0, 30),
            Err(error) => {
                refused += 1;
                assert!(error.starts_with("failed to read entry "), "{error}");
                assert_eq!(disk.restart().unwrap_err(), error);
                disk.wipe();
                assert_eq!(disk.restart().unwrap().entries, []);
            }
        }
    }
    assert!(refused > 40, "{refused}");
}

#[test]
fn damage_to_the_last_batch_looks_like_a_torn_tail() {
    let mut disk = disk();
    sync(&mut disk, 1..=3);
    disk.damage(Harm::Zeroed, 1, true, &chance(3));
    disk.crash(Time(9), Unsynced::Drop, &chance(3));
    assert!(disk.refusal().is_none() && last(&disk) < 3);
}

#[test]
fn a_misdirected_write_is_refused() {
    let mut disk = busy_disk();
    disk.misdirect(4);
    disk.write(Time(0));
    disk.sync(Time(0), LogPosition(31));
    disk.sync_done(Time(1));
    sync(&mut disk, 32..=32);
    disk.crash(Time(9), Unsynced::Drop, &chance(1));
    assert!(disk.restart().is_err());
}

#[test]
fn a_truncated_log_is_refused_if_anything_shows_that_it_was_longer() {
    let mut shorter = busy_disk();
    assert_eq!(shorter.truncate(1), 1);
    shorter.crash(Time(9), Unsynced::Keep, &chance(1));
    assert_eq!(last(&shorter), 29);
    let mut known = busy_disk();
    known.truncate(5_000);
    sync(&mut known, 32..=32);
    sync(&mut known, 33..=33);
    known.crash(Time(9), Unsynced::Drop, &chance(1));
    assert!(known.refusal().is_some());
}

#[test]
fn an_fsync_that_lies_is_found_out_when_the_power_fails() {
    let mut disk = busy_disk();
    disk.set_trouble(trouble(|it| it.fsync_lie = 1.0));
    disk.write(Time(0));
    disk.sync(Time(0), LogPosition(31));
    assert_eq!(disk.sync_done(Time(1)), Synced::Done(None));
    assert_eq!(disk.progress(), (LogPosition(31), LogPosition(31)));
    let mut honest = disk.clone();
    disk.crash(Time(9), Unsynced::Drop, &chance(1));
    assert_eq!(last(&disk), 20);
    honest.set_trouble(None);
    sync(&mut honest, 32..=32);
    honest.crash(Time(9), Unsynced::Drop, &chance(1));
    assert_eq!(last(&honest), 32);
}

#[test]
fn an_fsync_that_fails_is_the_last_one() {
    let mut disk = busy_disk();
    disk.set_trouble(trouble(|it| it.fsync_error = 1.0));
    disk.write(Time(0));
    disk.sync(Time(0), LogPosition(31));
    assert_eq!(disk.sync_done(Time(1)), Synced::Failed);
    assert_eq!(disk.failure(), Some(LogFailure::Sync));
    append(&mut disk, 32..=32);
    disk.set_trouble(None);
    assert!(!disk.write(Time(2)));
    assert_eq!(disk.sync(Time(2), LogPosition(32)), None);
    assert_eq!(disk.progress(), (LogPosition(31), LogPosition(20)));
    // Nobody knows what of it was written; a restart finds out.
    disk.crash(Time(9), Unsynced::Keep, &chance(1));
    assert!((20..=31).contains(&last(&disk)));
    disk.restart().unwrap();
    assert_eq!(disk.failure(), None);
}

#[test]
fn a_full_disk_ends_in_the_midst_of_a_record() {
    let mut disk = Disk::new(
        &costs(Some(6_000)),
        true,
        Stream::new(1, "disk", 0),
        Stream::new(1, "read", 0),
    );
    append(&mut disk, 1..=40);
    disk.write(Time(0));
    assert_eq!(disk.failure(), Some(LogFailure::Full));
    let (written, _) = disk.progress();
    assert!((1..40).contains(&written.0));
    disk.crash(Time(9), Unsynced::Keep, &chance(1));
    assert_eq!(last(&disk), written.0);
}

#[test]
fn a_write_error_leaves_what_was_written_before() {
    let mut disk = busy_disk();
    disk.set_trouble(trouble(|it| it.write_error = 1.0));
    assert!(!disk.write(Time(0)));
    assert_eq!(disk.failure(), Some(LogFailure::Write));
    disk.crash(Time(9), Unsynced::Keep, &chance(1));
    assert_eq!(last(&disk), 30);
}

#[test]
fn a_disk_that_stands_still_goes_on_where_it_was() {
    let mut disk = disk();
    append(&mut disk, 1..=1);
    disk.write(Time(0));
    disk.sync(Time(0), LogPosition(1));
    disk.set_trouble(trouble(|it| it.stalled = true));
    assert_eq!(disk.sync_done(Time(5_000_000)), Synced::Late);
    assert_eq!(disk.go_on(Time(6_000_000)), None);
    disk.set_trouble(None);
    assert_eq!(disk.go_on(Time(7_000_000)), Some(Span::ZERO));
    assert_eq!(disk.sync_done(Time(7_000_000)), Synced::Done(None));
    assert_eq!(disk.busy, Span::from_millis(7));
}

#[test]
fn a_throttle_counts_only_if_it_is_slower() {
    let mut disk = disk();
    append(&mut disk, 1..=1);
    disk.write(Time(0));
    disk.set_trouble(trouble(|it| it.bandwidth = Some(entry(1).size() as f64)));
    assert_eq!(
        disk.sync(Time(0), LogPosition(1)),
        Some(Span::from_millis(1_005))
    );
}

#[test]
fn an_unreadable_log_is_no_reason_to_give_it_up() {
    let mut disk = busy_disk();
    disk.crash(Time(9), Unsynced::Drop, &chance(1));
    disk.set_trouble(trouble(|it| it.read_error = 1.0));
    let error = disk.restart().unwrap_err();
    assert_eq!(error, "failed to read from the log: input/output error");
    disk.set_trouble(None);
    assert_eq!(disk.restart().unwrap().last.0, 20);
}

#[test]
fn a_backup_brings_back_what_was() {
    let mut disk = busy_disk();
    let backup = disk.snapshot();
    disk.write(Time(0));
    sync(&mut disk, 32..=50);
    disk.crash(Time(9), Unsynced::Keep, &chance(1));
    disk.restore(backup);
    assert_eq!(disk.restart().unwrap().last.0, 30);
}

#[test]
fn a_released_head_is_kept_as_long_as_the_power_could_bring_it_back() {
    let mut disk = busy_disk();
    disk.release(Time(9), LogPosition(26));
    assert_eq!(disk.contents().entries[0].0, LogPosition(21));
    disk.crash(Time(9), Unsynced::Drop, &chance(1));
    assert_eq!(disk.restart().unwrap().last.0, 20);
    sync(&mut disk, 21..=21);
    disk.crash(Time(9), Unsynced::Drop, &chance(1));
    assert_eq!(last(&disk), 21);
}

#[test]
fn of_a_long_log_only_the_end_is_read() {
    let mut disk = disk();
    for part in 0..40 {
        sync(&mut disk, part * 500 + 1..=part * 500 + 500);
    }
    append(&mut disk, 20_001..=20_005);
    disk.write(Time(0));
    let mut damaged = disk.clone();
    disk.crash(Time(9), Unsynced::Random, &chance(2));
    assert!((20_000..=20_005).contains(&last(&disk)));
    damaged.damage(Harm::Zeroed, 3, true, &chance(2));
    damaged.crash(Time(9), Unsynced::Keep, &chance(2));
    assert!(damaged.refusal().is_some());
}

#[test]
fn operations_of_a_throttled_disk_begin_one_after_the_other() {
    let mut disk = disk();
    disk.set_trouble(trouble(|trouble| trouble.iops = Some(10.0)));
    let millis = Span::from_millis;
    append(&mut disk, 1..=2);
    disk.write(Time(0));
    assert_eq!(disk.sync(Time(0), LogPosition(2)), Some(millis(5)));
    append(&mut disk, 3..=3);
    disk.write(Time(0));
    disk.sync(Time(0), LogPosition(3));
    // The next operation begins a tenth of a second after the one before.
    assert_eq!(
        disk.sync_done(Time(5_000_000)),
        Synced::Done(Some(millis(100)))
    );
    assert_eq!(disk.sync_done(Time(105_000_000)), Synced::Done(None));
    // Some 1,200 bytes each: one operation, and one more for the second 256 KiB.
    append(&mut disk, 4..=700);
    disk.write(Time(900_000_000));
    let large = disk.sync(Time(900_000_000), LogPosition(700));
    assert_eq!(large, Some(millis(105)));
}

#[test]
fn checkpoints_rot_until_others_take_their_place() {
    let fresh = |released: u64| {
        let mut disk = busy_disk();
        disk.settle();
        disk.release(Time(9), LogPosition(released));
        disk
    };
    let mut disk = busy_disk();
    assert_eq!(disk.damage_checkpoints(3, &chance(1)), 0, "there is none");
    let mut disk = fresh(10);
    assert_eq!(disk.damage_checkpoints(16, &chance(1)), 16);
    disk.crash(Time(9), Unsynced::Keep, &chance(1));
    let refusal = disk
        .restart()
        .expect_err("nobody knows where the log begins");
    assert!(refusal.contains("neither checkpoint is whole"), "{refusal}");
    // A mebibyte later there is another one.
    let mut disk = fresh(10);
    disk.damage_checkpoints(16, &chance(1));
    append(&mut disk, 32..=2_500);
    disk.settle();
    disk.release(Time(9), LogPosition(2_400));
    disk.crash(Time(9), Unsynced::Keep, &chance(1));
    assert_eq!(disk.restart().map(|found| found.last.0), Ok(2_500));
}
