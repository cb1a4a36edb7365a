//! A log that is written, crashes and comes back.

use queuelab_core::log::*;
use queuelab_core::{Entry, LogPosition};

use super::entries::{Random, entry};
use super::files::{Files, Promise};

pub(crate) const SEGMENT: u64 = 4 << 10;

/// A log's writer, its files, and what must be true of them.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) random: Random,
    pub(crate) writer: Writer,
    pub(crate) files: Files,
    /// All entries, by place from 1.
    pub(crate) entries: Vec<Entry>,
    pub(crate) promise: Promise,
    /// What a sync under way covers.
    syncing: Option<LogPosition>,
}

/// A file operation, and what is promised while it is carried out.
pub(crate) struct Step {
    pub(crate) operation: FileOperation,
    pub(crate) promise: Promise,
}

impl Rig {
    /// A log that begins; its first operations go to `steps`.
    pub(crate) fn new(seed: u64, steps: &mut Vec<Step>) -> Rig {
        let mut operations = Vec::new();
        let mut rig = Rig {
            random: Random(seed),
            writer: Writer::new(Start::default(), SEGMENT, &mut operations),
            files: Files::default(),
            entries: Vec::new(),
            promise: Promise {
                synced: LogPosition(0),
                head: LogPosition(1),
            },
            syncing: None,
        };
        rig.carry_out(operations, steps);
        rig
    }

    /// Appends, writes, syncs or lets go of something.
    pub(crate) fn operate(&mut self, steps: &mut Vec<Step>) {
        let mut operations = Vec::new();
        match self.random.below(10) {
            0..6 => {
                let entry = entry(&mut self.random);
                self.entries.push(entry.clone());
                self.writer.append(self.last(), &entry);
                return;
            }
            6 | 7 => drop(self.writer.write(&mut operations)),
            8 => match self.syncing.take() {
                None => {
                    self.writer.write(&mut operations);
                    self.syncing = Some(self.writer.sync(&mut operations));
                }
                Some(through) => {
                    self.promise.synced = through;
                    self.writer.synced(through, &mut operations);
                }
            },
            _ => {
                // Little is kept, so that segments go.
                let last = self.last().0;
                let head = last.saturating_sub(self.random.below(60)) + 1;
                if head > self.promise.head.0 {
                    self.promise.head = LogPosition(head);
                    self.writer.release(LogPosition(head));
                }
            }
        }
        self.carry_out(operations, steps);
    }

    /// Everything is on the disk.
    pub(crate) fn settle(&mut self, steps: &mut Vec<Step>) {
        let mut operations = Vec::new();
        self.writer.write(&mut operations);
        let through = self.writer.sync(&mut operations);
        self.carry_out(operations, steps);
        self.promise.synced = through;
        let mut operations = Vec::new();
        self.writer.synced(through, &mut operations);
        self.carry_out(operations, steps);
        self.syncing = None;
    }

    pub(crate) fn last(&self) -> LogPosition {
        LogPosition(self.entries.len() as u64)
    }

    fn carry_out(&mut self, operations: Vec<FileOperation>, steps: &mut Vec<Step>) {
        for operation in operations {
            self.files.apply(&operation);
            let promise = self.promise;
            steps.push(Step { operation, promise });
        }
    }

    /// A new life from what the files hold.
    pub(crate) fn restart(&mut self, steps: &mut Vec<Step>) {
        let recovery = self.files.recover().expect("a crash damages nothing");
        check(&recovery, &self.entries, self.promise);
        let last = recovery.recovered.last;
        self.entries.truncate(last.0 as usize);
        self.promise.synced = last;
        self.promise.head = recovery.start.head;
        self.syncing = None;
        let mut operations = Vec::new();
        self.writer = Writer::new(recovery.start, SEGMENT, &mut operations);
        self.carry_out(operations, steps);
    }
}

/// What was recovered is a prefix of what was written, with everything that was synced and not let go.
pub(crate) fn check(recovery: &Recovery, entries: &[Entry], promise: Promise) {
    let recovered = &recovery.recovered;
    assert!(
        recovered.last >= promise.synced,
        "{:?} of {promise:?}",
        recovered.last
    );
    check_prefix(recovery, entries, promise);
}

/// What was recovered is a part of what was written, up to the last that was recovered.
pub(crate) fn check_prefix(recovery: &Recovery, entries: &[Entry], promise: Promise) {
    let recovered = &recovery.recovered;
    assert!(
        recovered.last.0 <= entries.len() as u64,
        "{:?}",
        recovered.last
    );
    let first = recovered.last.0 + 1 - recovered.entries.len() as u64;
    assert!(first <= promise.head.0, "{first} of {promise:?}");
    for (place, (position, entry)) in (first..).zip(&recovered.entries) {
        assert_eq!(position.0, place);
        assert!(*entry == entries[place as usize - 1], "entry {place}");
        assert!(recovery.start.locate(*position).is_some());
    }
    assert_eq!(recovery.start.next.0, recovered.last.0 + 1);
}
