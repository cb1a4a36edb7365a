//! Faults of the disk, and nodes that stop because of their log.

use queuelab_core::{LogFailure, Span};
use queuelab_record::grouped;
use queuelab_scenario::{FaultKind, Rot, Unsynced};
use queuelab_workload::Stream;

use crate::disk::{Harm, Trouble};
use crate::world::World;

impl World {
    /// A fault of the disk begins, or happens. Returns what it does, in words.
    pub fn disk_fault_begins(&mut self, fault: u32, kind: &FaultKind) -> String {
        let chance = self.chance(fault, "fault/disk");
        let disk = &mut self.node.disk;
        match *kind {
            FaultKind::BitRot {
                bits,
                of: Rot::Checkpoints,
            } => match disk.damage_checkpoints(u64::from(bits), &chance) {
                0 => "there was no checkpoint yet".into(),
                flipped => format!("{} bits of the checkpoints flipped", grouped(flipped)),
            },
            FaultKind::BitRot { bits, of } => {
                let synced = of == Rot::Synced;
                let flipped = disk.damage(Harm::Flipped, u64::from(bits), synced, &chance);
                format!("{} bits of the log flipped", grouped(flipped))
            }
            FaultKind::MisdirectedWrite => {
                disk.misdirect(chance.at(0).next_u64());
                String::new()
            }
            FaultKind::TruncateLog { bytes } => {
                let gone = disk.truncate(bytes);
                format!("the last {} log entries are gone", grouped(gone))
            }
            FaultKind::Rollback => {
                let backup = disk.snapshot();
                self.node.backups.insert(fault, backup);
                "a backup was made".into()
            }
            FaultKind::StallDisk => self.in_trouble("no fsync returned"),
            FaultKind::ThrottleDisk { bandwidth, iops } => {
                let bandwidth =
                    bandwidth.map(|at_most| format!("{} bytes/s", grouped(at_most as u64)));
                let iops = iops.map(|at_most| format!("{at_most} operations/s"));
                let limits: Vec<String> = bandwidth.into_iter().chain(iops).collect();
                self.in_trouble(&format!("at most {}", limits.join(" and ")))
            }
            FaultKind::FsyncError { .. } => self.in_trouble("fsyncs report errors"),
            FaultKind::FsyncLie { .. } => self.in_trouble("fsyncs do nothing"),
            FaultKind::WriteError { .. } => self.in_trouble("writes report errors"),
            FaultKind::ReadError { .. } => self.in_trouble("reads report errors"),
            FaultKind::DiskFull => self.in_trouble("no space was left"),
            _ => String::new(),
        }
    }

    /// A fault of the disk is over; it is no longer among those that are on.
    pub fn disk_fault_ends(&mut self, fault: u32, kind: &FaultKind) {
        match kind {
            FaultKind::Rollback => self.restore(fault),
            FaultKind::MisdirectedWrite => self.waits_for_misdirection(fault),
            FaultKind::BitRot { .. } | FaultKind::TruncateLog { .. } => {}
            _ => {
                self.set_trouble();
                self.disk_goes_on();
                // It stopped because of this, or did not come up because of it.
                if self.node.stopped.is_some() {
                    self.node_restarts();
                }
            }
        }
    }

    /// Whether a node that has stopped had better wait for the end of such a fault before it starts again.
    pub fn troubles_log(kind: &FaultKind) -> bool {
        matches!(
            kind,
            FaultKind::FsyncError { .. }
                | FaultKind::WriteError { .. }
                | FaultKind::ReadError { .. }
                | FaultKind::DiskFull
        )
    }

    /// The log has failed: the broker closes its connections, and its process ends.
    pub fn node_stops(&mut self) {
        let Some(failure) = self.node.disk.failure() else {
            return;
        };
        let now = self.calendar.now();
        self.say(format!("n1 stops: {failure}"));
        self.input(now, queuelab_core::Input::LogFailed(failure));
        let chance = Stream::new(self.seed, "disk/failure", u64::from(self.node.incarnation));
        let took = self.node_dies(Unsynced::Keep, &chance);
        self.node.stopped = Some(failure.to_string());
        let likelihood = |(fault, record): (&u32, &usize)| {
            let kind = &self.scenario.faults[*fault as usize].kind;
            Some((likelihood(kind, failure)?, *record))
        };
        let causes = self.active.iter().filter_map(likelihood);
        // Of several the likeliest, and of these the first.
        let cause = causes.reduce(|one, other| if other.0 > one.0 { other } else { one });
        let cause = cause.map(|(_, record)| record);
        if let Some(record) = cause.and_then(|at| self.faults.get_mut(at)) {
            record.effect = format!("n1 stopped: {failure}; {took}");
        }
        // What was wrong with the disk may be over already: then nothing else starts it again. A disk that is too small stays so.
        if cause.is_none() && !self.node.disk.is_overfull() {
            self.node_restarts();
        }
    }

    /// The disk of a node that is down is empty from now on.
    pub fn wipe_disk(&mut self) {
        self.node.disk.wipe();
        self.check.log_wiped();
        self.lose_copies(None);
        self.node.disk.take_altered();
    }

    /// Says that a write has landed in another place, once one has; until then it is looked after.
    pub fn waits_for_misdirection(&mut self, fault: u32) {
        if self.node.disk.take_misdirected() {
            let effect = "a write landed in another place of the log";
            let name = &self.scenario.faults[fault as usize].name;
            self.say(format!("fault {name}: {effect}"));
            if let Some(&record) = self.strikes.records.get(&fault) {
                self.add_effect(record, effect);
            }
        } else if self.node.disk.misdirects() {
            self.step_after(fault, MISDIRECTION_STEP, 0);
        }
    }

    fn in_trouble(&mut self, what: &str) -> String {
        self.set_trouble();
        what.into()
    }

    /// Faults may overlap: those that are on together make what the disk does, anew each time.
    fn set_trouble(&mut self) {
        let scenario = self.scenario.clone();
        let none = || Trouble::none(Stream::new(self.seed, "disk/trouble", 0));
        let mut trouble: Option<Trouble> = None;
        for fault in self.active.keys() {
            let kind = &scenario.faults[*fault as usize].kind;
            let at_least = |p: &mut f64, other: f64| *p = p.max(other);
            match *kind {
                FaultKind::StallDisk => trouble.get_or_insert_with(none).stalled = true,
                FaultKind::ThrottleDisk { bandwidth, iops } => {
                    let trouble = trouble.get_or_insert_with(none);
                    trouble.bandwidth = least(trouble.bandwidth, bandwidth);
                    trouble.iops = least(trouble.iops, iops);
                }
                FaultKind::FsyncError { p } => {
                    at_least(&mut trouble.get_or_insert_with(none).fsync_error, p)
                }
                FaultKind::FsyncLie { p } => {
                    at_least(&mut trouble.get_or_insert_with(none).fsync_lie, p)
                }
                FaultKind::WriteError { p } => {
                    at_least(&mut trouble.get_or_insert_with(none).write_error, p)
                }
                FaultKind::ReadError { p } => {
                    at_least(&mut trouble.get_or_insert_with(none).read_error, p)
                }
                FaultKind::DiskFull => trouble.get_or_insert_with(none).full = true,
                _ => {}
            }
        }
        self.node.disk.set_trouble(trouble);
    }

    /// The disk becomes what it was when the fault began, and the node starts again on that.
    fn restore(&mut self, fault: u32) {
        let Some(backup) = self.node.backups.remove(&fault) else {
            return;
        };
        let before = self.lost();
        if self.node.broker.is_some() {
            let chance = self.chance(fault, "fault/disk");
            self.node_dies(Unsynced::Keep, &chance);
        }
        self.node.disk.restore(backup);
        self.lose_copies(None);
        self.node.disk.take_altered();
        let lost = grouped(self.lost() - before);
        let effect = format!("the disk went back to what it was; that took {lost} messages");
        let name = &self.scenario.faults[fault as usize].name;
        self.say(format!("fault {name}: {effect}"));
        let record = self.strikes.records.get(&fault);
        if let Some(record) = record.and_then(|at| self.faults.get_mut(*at)) {
            record.effect = effect;
        }
        self.node_restarts();
    }
}

/// How likely a fault has the log fail in this way; `None` if it never does.
fn likelihood(kind: &FaultKind, failure: LogFailure) -> Option<f64> {
    match (kind, failure) {
        (FaultKind::FsyncError { p }, LogFailure::Sync)
        | (FaultKind::WriteError { p }, LogFailure::Write)
        | (FaultKind::ReadError { p }, LogFailure::Read) => Some(*p),
        (FaultKind::DiskFull, LogFailure::Full) => Some(1.0),
        _ => None,
    }
}

/// Whether a write has been misdirected is looked at so often.
const MISDIRECTION_STEP: Span = Span::from_millis(100);

/// The smaller of two limits, as far as there are any.
fn least(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
