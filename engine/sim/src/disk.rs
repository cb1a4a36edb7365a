//! A node's disk: one log of typed entries, written at once, synced in groups.

use std::collections::VecDeque;

use queuelab_core::{Entry, LogPosition, Recovered, Span, Time};
use queuelab_scenario::Disk as DiskCosts;
use queuelab_workload::{Sampler, Stream};

/// The log of one node, and the disk below it.
///
/// Group commit emerges: one fsync is under way at a time, it covers what was written when it began, and what comes
/// meanwhile waits for the next one, which starts at once.
#[derive(Clone, Debug)]
pub struct Disk {
    entries: VecDeque<(LogPosition, Entry)>,
    appended: LogPosition,
    written: LogPosition,
    synced: LogPosition,
    wanted: LogPosition,
    syncing: Option<(LogPosition, Time)>,
    bytes_unsynced: u64,
    fsync: Sampler,
    bandwidth: Option<f64>,
    stream: Stream,
    writeback: Writeback,
    /// How much it holds, if that is bounded, and what the log takes of it.
    capacity: Option<u64>,
    used: u64,
    /// What was free when that was told last.
    told: Option<u64>,
    /// fsync takes so many times as long: a fault.
    pub factor: f64,
    /// fsyncs completed.
    pub fsyncs: u64,
    /// Entries that they synced.
    pub entries_synced: u64,
    /// Time that fsyncs were under way, up to the end of the last completed one.
    pub busy: Span,
}

impl Disk {
    /// An empty disk.
    pub fn new(costs: &DiskCosts, stream: Stream) -> Disk {
        Disk {
            entries: VecDeque::new(),
            appended: LogPosition(0),
            written: LogPosition(0),
            synced: LogPosition(0),
            wanted: LogPosition(0),
            syncing: None,
            bytes_unsynced: 0,
            fsync: Sampler::new(&costs.fsync),
            bandwidth: costs.bandwidth,
            stream,
            writeback: Writeback::new(costs.writeback),
            capacity: costs.capacity,
            used: 0,
            told: None,
            factor: 1.0,
            fsyncs: 0,
            entries_synced: 0,
            busy: Span::ZERO,
        }
    }

    /// Takes an entry into the process's buffer.
    pub fn append(&mut self, position: LogPosition, entry: Entry) {
        debug_assert_eq!(position.0, self.appended.0 + 1, "log positions are dense");
        let size = entry.size();
        self.bytes_unsynced += size;
        self.used += size;
        self.appended = position;
        self.entries.push_back((position, entry));
    }

    /// Hands the buffer to the operating system; true if there was anything in it.
    #[inline]
    pub fn write(&mut self, now: Time) -> bool {
        let news = self.written < self.appended;
        self.written = self.appended;
        if news && now >= self.writeback.next {
            self.writeback.note(now, self.written);
        }
        news
    }

    /// Asks for everything up to `through` on the platter. Returns how long the fsync takes, if one starts now.
    pub fn sync(&mut self, now: Time, through: LogPosition) -> Option<Span> {
        self.wanted = self.wanted.max(through);
        self.start(now)
    }

    /// The fsync under way is done. Returns how long the next takes, if one starts at once.
    pub fn sync_done(&mut self, now: Time) -> Option<Span> {
        let (through, since) = self
            .syncing
            .take()
            .expect("an fsync is under way when it completes");
        self.fsyncs += 1;
        self.entries_synced += through.0 - self.synced.0;
        self.busy += now - since;
        self.synced = through;
        self.start(now)
    }

    /// How far the operating system, and the platter, are.
    pub fn progress(&self) -> (LogPosition, LogPosition) {
        (self.written, self.synced)
    }

    /// Time that fsyncs were under way so far.
    pub fn busy_until(&self, now: Time) -> Span {
        self.busy + self.syncing.map_or(Span::ZERO, |(_, since)| now - since)
    }

    /// Drops the log's head.
    pub fn release(&mut self, before: LogPosition) {
        while self
            .entries
            .front()
            .is_some_and(|(position, _)| *position < before)
        {
            if let Some((_, entry)) = self.entries.pop_front()
                && self.capacity.is_some()
            {
                self.used -= entry.size();
            }
        }
    }

    /// How many bytes are free, if that is bounded and has changed by a thousandth of all since the last answer.
    #[inline]
    pub fn free_changed(&mut self) -> Option<u64> {
        let capacity = self.capacity?;
        let free = capacity.saturating_sub(self.used);
        let notable = |told: u64| told.abs_diff(free) > capacity / 1000;
        if self.told.is_none_or(notable) {
            self.told = Some(free);
            return Some(free);
        }
        None
    }

    /// Everything appended is on the platter, as if that had been so for long: before a run begins.
    pub fn settle(&mut self) {
        self.written = self.appended;
        self.synced = self.appended;
        self.wanted = self.appended;
        self.bytes_unsynced = 0;
    }

    /// The process dies, or (`power`) the machine: what was not written, or not synced, is gone. Returns how many entries.
    pub fn crash(&mut self, now: Time, power: bool) -> u64 {
        let survives = match power {
            true => self.synced.max(self.writeback.reached(now)),
            false => self.written,
        };
        self.writeback.clear();
        let before = self.entries.len();
        while self
            .entries
            .back()
            .is_some_and(|(position, _)| *position > survives)
        {
            self.entries.pop_back();
        }
        self.used = self.entries.iter().map(|(_, entry)| entry.size()).sum();
        self.told = None;
        if let Some((_, since)) = self.syncing.take() {
            self.busy += now - since;
        }
        self.appended = survives;
        self.written = survives;
        self.wanted = self.synced;
        self.bytes_unsynced = 0;
        (before - self.entries.len()) as u64
    }

    /// What a restart finds, which it syncs first.
    pub fn restart(&mut self) -> Recovered {
        self.synced = self.written;
        self.wanted = self.written;
        self.recover()
    }

    /// What a restart would find.
    pub fn recover(&self) -> Recovered {
        Recovered {
            entries: self.entries.iter().cloned().collect(),
            last: self.written,
        }
    }

    fn start(&mut self, now: Time) -> Option<Span> {
        if self.syncing.is_some() || self.wanted <= self.synced {
            return None;
        }
        let transfer = self
            .bandwidth
            .map_or(0.0, |bandwidth| self.bytes_unsynced as f64 / bandwidth);
        let fsync = self
            .fsync
            .sample(&mut self.stream.at(self.fsyncs))
            .as_secs_f64();
        self.bytes_unsynced = 0;
        self.syncing = Some((self.written, now));
        Some(Span::from_secs_f64(fsync * self.factor + transfer))
    }
}

/// What the operating system puts on the disk by itself: everything that was written a while ago. It is looked up when the
/// power fails, and costs nothing before.
#[derive(Clone, Debug)]
struct Writeback {
    after: Span,
    /// Up to where the log was written at some instants, so many that the last one that counts is at most a sixteenth too old.
    marks: VecDeque<(Time, LogPosition)>,
    /// Before this instant no mark is needed.
    next: Time,
}

impl Writeback {
    fn new(after: Span) -> Writeback {
        Writeback {
            after,
            marks: VecDeque::new(),
            next: Time::ZERO,
        }
    }

    fn note(&mut self, now: Time, written: LogPosition) {
        while self
            .marks
            .get(1)
            .is_some_and(|(at, _)| *at + self.after <= now)
        {
            self.marks.pop_front();
        }
        self.marks.push_back((now, written));
        self.next = now + Span(self.after.0 / 16);
    }

    /// Up to where the log is on the disk whether or not anybody asked for it.
    fn reached(&self, now: Time) -> LogPosition {
        let old = self
            .marks
            .iter()
            .rev()
            .find(|(at, _)| *at + self.after <= now);
        old.map_or(LogPosition(0), |(_, written)| *written)
    }

    /// What was not on the disk is gone, or has just been synced.
    fn clear(&mut self) {
        self.marks.clear();
        self.next = Time::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queuelab_core::{Command, MessageCopy};
    use queuelab_scenario::Distribution;

    fn disk() -> Disk {
        let costs = DiskCosts {
            fsync: Distribution::Constant(Span::from_millis(5)),
            bandwidth: None,
            capacity: None,
            writeback: Span::from_secs(30),
        };
        Disk::new(&costs, Stream::new(1, "disk", 0))
    }

    fn append(disk: &mut Disk, positions: std::ops::RangeInclusive<u64>) {
        for position in positions {
            disk.append(
                LogPosition(position),
                Entry::One(Command::Remove {
                    copy: MessageCopy::default(),
                }),
            );
        }
    }

    #[test]
    fn what_comes_during_an_fsync_waits_for_the_next_one() {
        let mut disk = disk();
        append(&mut disk, 1..=2);
        assert!(disk.write(Time(0)));
        assert_eq!(
            disk.sync(Time(0), LogPosition(2)),
            Some(Span::from_millis(5))
        );
        append(&mut disk, 3..=3);
        disk.write(Time(0));
        assert_eq!(disk.sync(Time(1), LogPosition(3)), None);
        assert_eq!(disk.sync_done(Time(5_000_000)), Some(Span::from_millis(5)));
        assert_eq!(disk.progress(), (LogPosition(3), LogPosition(2)));
        assert_eq!(disk.sync_done(Time(10_000_000)), None);
        assert_eq!(disk.progress(), (LogPosition(3), LogPosition(3)));
    }

    #[test]
    fn a_crash_keeps_what_was_written_and_a_power_loss_what_was_synced() {
        let mut disk = disk();
        append(&mut disk, 1..=1);
        disk.write(Time(0));
        disk.sync(Time(0), LogPosition(1));
        disk.sync_done(Time(5_000_000));
        append(&mut disk, 2..=2);
        disk.write(Time(0));
        append(&mut disk, 3..=3);
        let survivors = |power| {
            let mut disk = disk.clone();
            let gone = disk.crash(Time(9), power);
            (gone, disk.recover().last)
        };
        assert_eq!(survivors(false), (1, LogPosition(2)));
        assert_eq!(survivors(true), (2, LogPosition(1)));
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
        let gone = disk.clone().crash(second(60), true);
        assert!((30..=32).contains(&gone), "{gone}");
        assert_eq!(disk.clone().crash(second(60), false), 0);
        assert_eq!(disk.clone().crash(second(200), true), 0);
    }
}
