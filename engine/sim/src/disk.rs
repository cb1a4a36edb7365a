//! A node's disk: one log of typed entries, written at once, synced in groups, and everything that can go wrong with it.
//!
//! Entries stay typed. Only a crash, damage or a restart needs bytes: then [`image`] encodes the log with the broker's own codec, does to
//! the bytes what the disk does to them, and asks the broker's own recovery what is left.

mod image;
mod reads;
mod trouble;
mod writeback;

use std::collections::VecDeque;

use queuelab_core::{Entry, LogFailure, LogPosition, Recovered, Span, Time};
use queuelab_scenario::{Disk as DiskCosts, Unsynced};
use queuelab_workload::{Sampler, Stream};

pub use self::image::Harm;
use self::image::History;
use self::reads::Reads;
pub use self::reads::{Answers, ReadStep, WaitingAnswers};
pub use self::trouble::Trouble;
use self::trouble::Verdict;
use self::writeback::Writeback;

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
    /// Up to where the platter really has it: behind `synced` where an fsync lied.
    platter: LogPosition,
    wanted: LogPosition,
    syncing: Option<(LogPosition, Time)>,
    /// The time of the fsync under way is over, and the disk stands still.
    late: bool,
    /// Before this instant a disk whose operations are counted begins none.
    next_operation: Time,
    bytes_unsynced: u64,
    fsync: Sampler,
    bandwidth: Option<f64>,
    /// Until when its bandwidth is in use.
    transfers_until: Time,
    pub reads: Reads,
    stream: Stream,
    writeback: Writeback,
    /// How much it holds, if that is bounded, and what the log takes of it.
    capacity: Option<u64>,
    used: u64,
    /// What was free when that was told last.
    told: Option<u64>,
    /// fsync takes so many times as long: a fault.
    pub factor: f64,
    /// The faults that are on, besides that.
    trouble: Option<Box<Trouble>>,
    /// Why nothing more can be appended.
    failure: Option<LogFailure>,
    history: History,
    /// A write has landed in another place, and nobody has asked since.
    misdirected: bool,
    /// The power may fail in this run: what it could take away is kept.
    keeps_doubtful: bool,
    /// The log at rest is no longer what it was when the process died.
    altered: bool,
    /// Why recovery refuses what is on the disk: nothing that happens by itself makes that good.
    refusal: Option<String>,
    /// fsyncs completed.
    pub fsyncs: u64,
    /// Entries that they synced.
    pub entries_synced: u64,
    /// Time that fsyncs were under way, up to the end of the last completed one.
    pub busy: Span,
}

/// What became of an fsync whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// It is done; the next one takes so long, if one starts at once.
    Done(Option<Span>),
    /// It reported an error: see [`Disk::failure`].
    Failed,
    /// The disk stands still: it will be done when [`Disk::go_on`] says so.
    Late,
}

/// What a disk held at some instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    entries: VecDeque<(LogPosition, Entry)>,
    written: LogPosition,
    history: History,
}

impl Disk {
    /// An empty disk; `keeps_doubtful` if the power may fail.
    pub fn new(costs: &DiskCosts, keeps_doubtful: bool, stream: Stream, reads: Stream) -> Disk {
        Disk {
            entries: VecDeque::new(),
            appended: LogPosition(0),
            written: LogPosition(0),
            synced: LogPosition(0),
            platter: LogPosition(0),
            wanted: LogPosition(0),
            syncing: None,
            late: false,
            next_operation: Time::ZERO,
            bytes_unsynced: 0,
            fsync: Sampler::new(&costs.fsync),
            bandwidth: costs.bandwidth,
            transfers_until: Time::ZERO,
            reads: Reads::new(Sampler::new(&costs.read), reads),
            stream,
            writeback: Writeback::new(costs.writeback),
            capacity: costs.capacity,
            used: 0,
            told: None,
            factor: 1.0,
            trouble: None,
            failure: None,
            history: History::default(),
            misdirected: false,
            keeps_doubtful,
            altered: false,
            refusal: None,
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

    /// Hands the buffer to the operating system; true if it took something. If it did not take all, [`Disk::failure`] says why.
    #[inline(always)]
    pub fn write(&mut self, now: Time) -> bool {
        self.written != self.appended && self.write_all(now)
    }

    #[inline]
    fn write_all(&mut self, now: Time) -> bool {
        if self.trouble.is_some() || self.capacity.is_some() || self.failure.is_some() {
            return self.write_if_possible(now);
        }
        self.written = self.appended;
        self.writeback.note(now, self.written);
        true
    }

    #[inline(never)]
    fn write_if_possible(&mut self, now: Time) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let verdict = self
            .trouble
            .as_mut()
            .map(|trouble| trouble.write(self.written));
        let before = self.written;
        match verdict.unwrap_or_default() {
            Verdict::Fails(failure) => self.failure = Some(failure),
            Verdict::Misdirected(draw) => {
                let first = self.entries.front().map_or(before, |(first, _)| *first);
                let lost = LogPosition(before.0 + 1);
                self.history.misdirect(lost, first, before, draw);
                self.misdirected = true;
                self.written = self.appended;
            }
            Verdict::Succeeds | Verdict::Lies => self.written = self.appended,
        }
        if self.failure.is_none() && self.capacity.is_some_and(|capacity| self.used > capacity) {
            self.written = self.fits(before);
            self.failure = Some(LogFailure::Full);
        }
        self.writeback.note(now, self.written);
        self.written > before
    }

    /// The last entry after `written` for which there is space.
    fn fits(&self, written: LogPosition) -> LogPosition {
        let capacity = self.capacity.unwrap_or(u64::MAX);
        let mut used = self.used;
        let mut last = self.appended;
        for (position, entry) in self.entries.iter().rev() {
            if used <= capacity || *position <= written {
                break;
            }
            used -= entry.size();
            last = LogPosition(position.0 - 1);
        }
        last.max(written)
    }

    /// Why nothing more can be appended: the log is to be given up, and opened again by a restart.
    #[inline]
    pub fn failure(&self) -> Option<LogFailure> {
        self.failure
    }

    /// Whether it failed because it is too small for the log.
    pub fn is_overfull(&self) -> bool {
        self.capacity.is_some() && self.failure == Some(LogFailure::Full)
    }

    /// Asks for everything up to `through` on the platter. Returns how long the fsync takes, if one starts now.
    pub fn sync(&mut self, now: Time, through: LogPosition) -> Option<Span> {
        self.wanted = self.wanted.max(through);
        self.start(now)
    }

    /// The time of the fsync under way is over.
    pub fn sync_done(&mut self, now: Time) -> Synced {
        if self.is_stalled() {
            self.late = true;
            return Synced::Late;
        }
        let (through, since) = self
            .syncing
            .take()
            .expect("an fsync is under way when it completes");
        self.busy += now - since;
        let verdict = self.trouble.as_ref().map(|trouble| trouble.sync(through));
        match verdict.unwrap_or_default() {
            Verdict::Fails(failure) => {
                self.failure = Some(failure);
                return Synced::Failed;
            }
            Verdict::Lies => {}
            Verdict::Succeeds | Verdict::Misdirected(_) => self.platter = through,
        }
        self.fsyncs += 1;
        self.entries_synced += through.0 - self.synced.0;
        self.synced = through;
        self.history
            .synced(LogPosition(self.appended.0 + 1), through);
        Synced::Done(self.start(now))
    }

    /// How far the operating system is, and how far the platter, as the disk says.
    pub fn progress(&self) -> (LogPosition, LogPosition) {
        (self.written, self.synced)
    }

    /// Time that fsyncs were under way so far.
    pub fn busy_until(&self, now: Time) -> Span {
        self.busy + self.syncing.map_or(Span::ZERO, |(_, since)| now - since)
    }

    /// Drops the log's head. What the platter does not have is not needed once the platter has what made it superfluous.
    pub fn release(&mut self, now: Time, before: LogPosition) {
        let before = match self.keeps_doubtful {
            true => before.min(LogPosition(self.on_platter(now).0 + 1)),
            false => before,
        };
        while self
            .entries
            .front()
            .is_some_and(|(position, _)| *position < before)
        {
            if let Some((_, entry)) = self.entries.pop_front() {
                if self.capacity.is_some() {
                    self.used -= entry.size();
                }
                self.history.lets_go(&entry);
            }
        }
        self.history.release(before, self.platter);
    }

    /// Up to where the platter has the log, asked or unasked.
    fn on_platter(&self, now: Time) -> LogPosition {
        self.platter
            .max(self.writeback.reached(now))
            .min(self.written)
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

    /// Everything appended is on the platter, as if that had been so for long: before a run begins, or when a process ends in order.
    pub fn settle(&mut self) {
        self.written = self.appended;
        self.synced = self.appended;
        self.platter = self.appended;
        self.wanted = self.appended;
        self.bytes_unsynced = 0;
    }

    fn start(&mut self, now: Time) -> Option<Span> {
        let idle = self.syncing.is_none() && self.failure.is_none() && !self.is_stalled();
        if !idle || self.wanted <= self.synced {
            return None;
        }
        // Whatever is read meanwhile has the bandwidth first.
        let waits = (self.transfers_until - now).max(self.waits_its_turn(now, self.bytes_unsynced));
        let transfer = self.seconds(self.bytes_unsynced);
        let fsync = self
            .fsync
            .sample(&mut self.stream.at(self.fsyncs))
            .as_secs_f64();
        self.bytes_unsynced = 0;
        self.syncing = Some((self.written, now));
        self.transfers_until = now + waits + Span::from_secs_f64(transfer);
        Some(Span::from_secs_f64(fsync * self.factor + transfer) + waits)
    }

    /// How long it is until so many bytes more are transferred, with what is under way.
    fn transfer(&mut self, now: Time, bytes: u64) -> Span {
        let begins = (now + self.waits_its_turn(now, bytes)).max(self.transfers_until);
        let done = begins + Span::from_secs_f64(self.seconds(bytes));
        self.transfers_until = done;
        done - now
    }

    /// What so many bytes take of the bandwidth, in seconds.
    fn seconds(&self, bytes: u64) -> f64 {
        let throttle = self.trouble.as_ref().and_then(|trouble| trouble.bandwidth);
        let bandwidth = match (self.bandwidth, throttle) {
            (Some(own), Some(throttle)) => Some(own.min(throttle)),
            (own, throttle) => own.or(throttle),
        };
        bandwidth.map_or(0.0, |bandwidth| bytes as f64 / bandwidth)
    }

    /// How long the operations of an fsync or a read wait, one after the other, on a disk that does only so many per second.
    fn waits_its_turn(&mut self, now: Time, bytes: u64) -> Span {
        let iops = self.trouble.as_ref().and_then(|trouble| trouble.iops);
        let Some(iops) = iops else {
            return Span::ZERO;
        };
        let further = (bytes / OPERATION) as f64;
        let begins = self.next_operation.max(now);
        let last = begins + Span::from_secs_f64(further / iops);
        self.next_operation = last + Span::from_secs_f64(1.0 / iops);
        last - now
    }
}

/// One operation moves so many bytes at most.
const OPERATION: u64 = 256 << 10;

/// What can go wrong.
impl Disk {
    /// These faults are on from now on, and no others. A write that is to be misdirected still will be.
    pub fn set_trouble(&mut self, trouble: Option<Trouble>) {
        let misdirected = self.trouble.take().and_then(|trouble| trouble.misdirected);
        self.trouble = trouble.map(Box::new);
        if let Some(draw) = misdirected {
            self.misdirect(draw);
        }
    }

    /// Nothing is wrong any more, nor will be; what is damaged stays so.
    pub fn heal(&mut self) {
        self.trouble = None;
    }

    /// The next write lands in another place, which `draw` chooses.
    pub fn misdirect(&mut self, draw: u64) {
        let none = || Box::new(Trouble::none(self.stream));
        self.trouble.get_or_insert_with(none).misdirected = Some(draw);
    }

    /// Whether a write is still to land in another place.
    pub fn misdirects(&self) -> bool {
        let trouble = self.trouble.as_ref();
        trouble.is_some_and(|trouble| trouble.misdirected.is_some())
    }

    /// Whether a write has landed in another place since this was asked.
    pub fn take_misdirected(&mut self) -> bool {
        std::mem::take(&mut self.misdirected)
    }

    /// Goes on after a stall. Returns how long the fsync takes that is under way or starts now, if there is one.
    pub fn go_on(&mut self, now: Time) -> Option<Span> {
        if self.is_stalled() {
            return None;
        }
        match std::mem::take(&mut self.late) {
            true => Some(Span::ZERO),
            false => self.start(now),
        }
    }

    /// Whether no fsync returns.
    pub fn is_stalled(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.stalled)
    }

    /// So many bits of the checkpoints flip, which `stream` chooses, unless there is none yet. Returns how many.
    pub fn damage_checkpoints(&mut self, count: u64, stream: &Stream) -> u64 {
        self.history
            .harm_checkpoints((0..count).map(|at| stream.at(at).next_u64()))
    }

    /// Something damages `count` entries of the log, which `draw` chooses: among those that an fsync has covered, or among all that are
    /// written. Returns how many there were to damage.
    pub fn damage(&mut self, harm: Harm, count: u64, synced_only: bool, stream: &Stream) -> u64 {
        let last = if synced_only {
            self.synced
        } else {
            self.written
        };
        let Some((first, _)) = self.entries.front() else {
            return 0;
        };
        let range = (last.0 + 1).saturating_sub(first.0);
        if range == 0 {
            return 0;
        }
        for at in 0..count {
            let mut draw = stream.at(at);
            let victim = LogPosition(first.0 + draw.below(range));
            self.history.harm(victim, harm, draw.next_u64());
        }
        count
    }

    /// The last `bytes` of the log are gone. Returns how many entries that takes.
    pub fn truncate(&mut self, bytes: u64) -> u64 {
        let zeroed = self.history.zeroed();
        let mut left = bytes;
        let mut gone = 0;
        for (position, entry) in self.entries.iter().rev() {
            // What was cut off before is not there any more.
            if *position > self.written || zeroed.contains(position) {
                continue;
            }
            if left == 0 {
                break;
            }
            left = left.saturating_sub(entry.size());
            self.history.harm(*position, Harm::Zeroed, 0);
            gone += 1;
        }
        gone
    }

    /// What a backup made now would hold.
    pub fn snapshot(&self) -> Snapshot {
        let written = |entry: &&(LogPosition, Entry)| entry.0 <= self.written;
        Snapshot {
            entries: self.entries.iter().take_while(written).cloned().collect(),
            written: self.written,
            history: self.history.clone(),
        }
    }

    /// The disk is put back to what it was. The process must be down.
    pub fn restore(&mut self, snapshot: Snapshot) {
        self.entries = snapshot.entries;
        self.history = snapshot.history;
        self.refusal = None;
        self.ends_at(snapshot.written);
    }

    /// The disk is empty. The process must be down.
    pub fn wipe(&mut self) {
        self.entries.clear();
        self.history = History::default();
        self.refusal = None;
        // Places go on, so that none means two things.
        self.ends_at(self.written);
    }

    /// The process dies, or its machine: what was not written is gone, and of what was not synced `unsynced` says what remains.
    /// Returns how many entries are gone.
    pub fn crash(&mut self, now: Time, unsynced: Unsynced, stream: &Stream) -> u64 {
        let before = self.entries.len();
        if let Some((_, since)) = self.syncing.take() {
            self.busy += now - since;
        }
        self.late = false;
        self.reads.forget();
        self.transfers_until = now;
        // A write that failed in its midst leaves the beginning of a record.
        let torn = matches!(self.failure, Some(LogFailure::Write | LogFailure::Full));
        let unsynced = match (self.failure, unsynced) {
            // Linux marks the pages of a failed fsync clean: what of them is on the disk is chance, and a second fsync would succeed.
            (Some(LogFailure::Sync), Unsynced::Keep) => Unsynced::Random,
            (_, unsynced) => unsynced,
        };
        let written = self.written;
        let platter = self.on_platter(now);
        let reached = LogPosition(written.0 + u64::from(torn));
        self.forget_after(reached);
        let found = self.history.look(&self.entries, platter, written, |image| {
            if torn {
                image.tear_after(written, &mut stream.at(0));
            }
            image.lose_unsynced(platter, unsynced, &mut stream.at(1));
        });
        let last = match found {
            Ok(last) => last,
            Err(refusal) => {
                self.refusal = Some(refusal);
                platter
            }
        };
        self.forget_after(last);
        self.platter = platter.min(last);
        self.synced = self.synced.min(last);
        self.appended = last;
        self.written = last;
        self.wanted = self.synced;
        self.bytes_unsynced = 0;
        if last < written {
            self.writeback.clear();
        }
        (before - self.entries.len()) as u64
    }

    /// What a restart finds, which it syncs first; or why it refuses what it finds.
    pub fn restart(&mut self) -> Result<Recovered, String> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        if let Some(failure) = self
            .trouble
            .as_ref()
            .and_then(|trouble| trouble.read(self.history.epoch()))
        {
            return Err(failure.to_string());
        }
        if self.history.is_damaged() {
            match self
                .history
                .look(&self.entries, self.written, self.written, |_| {})
            {
                Ok(last) => self.ends_at(last),
                Err(refusal) => {
                    self.refusal = Some(refusal.clone());
                    return Err(refusal);
                }
            }
        }
        self.failure = None;
        self.synced = self.written;
        self.platter = self.written;
        self.wanted = self.written;
        self.history.reopen(LogPosition(self.written.0 + 1));
        Ok(self.contents())
    }

    /// What the disk holds, as far as anybody can tell.
    pub fn contents(&self) -> Recovered {
        Recovered {
            entries: self.entries.iter().cloned().collect(),
            last: self.written,
        }
    }

    /// Whether the log at rest has changed since the process died, or since this was asked.
    pub fn take_altered(&mut self) -> bool {
        std::mem::take(&mut self.altered)
    }

    /// Whether what is at rest has been changed by something else than the log.
    pub fn is_damaged(&self) -> bool {
        self.history.is_damaged()
    }

    /// Why recovery refuses what is on the disk, if it does.
    #[cfg(test)]
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    fn forget_after(&mut self, last: LogPosition) {
        while self
            .entries
            .back()
            .is_some_and(|(position, _)| *position > last)
        {
            self.entries.pop_back();
        }
        self.used = self.entries.iter().map(|(_, entry)| entry.size()).sum();
        self.told = None;
    }

    /// The log at rest ends here now.
    fn ends_at(&mut self, last: LogPosition) {
        self.altered = true;
        self.forget_after(last);
        self.appended = last;
        self.written = last;
        self.synced = last;
        self.platter = last;
        self.wanted = last;
        self.syncing = None;
        self.bytes_unsynced = 0;
        self.writeback.clear();
    }
}

#[cfg(test)]
mod tests;
