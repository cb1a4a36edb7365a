//! A directory that keeps what a disk keeps.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use queuelab_core::LogPosition;
use queuelab_core::log::*;

use super::entries::Random;

/// So much of a file is written at once, or not at all.
const SECTOR: usize = 512;

/// Files, as the operating system has them and as the disk does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    files: BTreeMap<File, Content>,
    /// Names that the disk has.
    names: BTreeSet<File>,
    /// What of the names it may not have.
    created: BTreeSet<File>,
    deleted: BTreeSet<File>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Where writes since the last sync were.
    unsynced: Vec<(usize, usize)>,
}

impl Files {
    pub(crate) fn apply(&mut self, operation: &FileOperation) {
        match operation {
            FileOperation::Create { file, size } => {
                let fresh = !self.files.contains_key(file);
                let content = self.files.entry(*file).or_default();
                for bytes in [&mut content.now, &mut content.synced] {
                    bytes.resize(bytes.len().max(*size as usize), 0);
                }
                if fresh {
                    self.created.insert(*file);
                }
            }
            FileOperation::Write {
                file,
                offset,
                bytes,
            } => self.write(*file, *offset as usize, bytes),
            FileOperation::Sync { file } => {
                let content = self.files.get_mut(file).expect("a file to sync is there");
                content.synced = content.now.clone();
                content.unsynced.clear();
            }
            FileOperation::SyncDirectory => {
                self.names.append(&mut self.created);
                for file in std::mem::take(&mut self.deleted) {
                    self.names.remove(&file);
                    self.files.remove(&file);
                }
            }
            FileOperation::Delete { file } => {
                assert!(self.files.contains_key(file), "{file} is there");
                self.deleted.insert(*file);
            }
        }
    }

    pub(crate) fn write(&mut self, file: File, offset: usize, bytes: &[u8]) {
        let content = self.files.get_mut(&file).expect("a file was created");
        let end = offset + bytes.len();
        content.now.resize(content.now.len().max(end), 0);
        content.now[offset..end].copy_from_slice(bytes);
        content.unsynced.push((offset, end));
    }

    /// The process is gone: what was written stays.
    pub(crate) fn crash(&mut self) {
        for file in std::mem::take(&mut self.deleted) {
            self.names.remove(&file);
            self.created.remove(&file);
            self.files.remove(&file);
        }
    }

    /// The machine is gone: of what was not synced, `random` decides sector by sector; without it nothing stays.
    pub(crate) fn lose_power(&mut self, mut random: Option<&mut Random>) {
        let kept = |random: &mut Option<&mut Random>| {
            random.as_mut().is_some_and(|random| random.chance(1, 2))
        };
        for file in std::mem::take(&mut self.created) {
            match kept(&mut random) {
                true => drop(self.names.insert(file)),
                false => drop(self.files.remove(&file)),
            }
        }
        for file in std::mem::take(&mut self.deleted) {
            if kept(&mut random) {
                self.names.remove(&file);
                self.files.remove(&file);
            }
        }
        for content in self.files.values_mut() {
            let mut sectors = BTreeSet::new();
            for (start, end) in std::mem::take(&mut content.unsynced) {
                sectors.extend(start / SECTOR..end.div_ceil(SECTOR));
            }
            for sector in sectors {
                if !kept(&mut random) {
                    continue;
                }
                let end = content.now.len().min((sector + 1) * SECTOR);
                content.synced.resize(content.synced.len().max(end), 0);
                content.synced[sector * SECTOR..end]
                    .copy_from_slice(&content.now[sector * SECTOR..end]);
            }
            content.now = content.synced.clone();
        }
    }

    pub(crate) fn names(&self) -> Vec<File> {
        self.files.keys().copied().collect()
    }

    pub(crate) fn bytes(&mut self, file: File) -> &mut Vec<u8> {
        &mut self.files.get_mut(&file).expect("the file is there").now
    }

    pub(crate) fn remove(&mut self, file: File) {
        self.files.remove(&file);
    }

    /// What a restart reads.
    pub(crate) fn recover(&self) -> Result<Recovery, LogError> {
        let mut slots: [&[u8]; 2] = [&[]; 2];
        let mut segments = Vec::new();
        for (file, content) in &self.files {
            match file {
                File::Segment(number) => segments.push(SegmentImage {
                    number: *number,
                    bytes: Bytes::copy_from_slice(&content.now),
                }),
                File::Checkpoint(slot) => slots[usize::from(*slot)] = &content.now,
            }
        }
        recover(&segments, slots)
    }
}

/// What must be so after a recovery.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Promise {
    /// The disk has everything up to here, as was reported.
    pub(crate) synced: LogPosition,
    /// Entries before this one may be gone.
    pub(crate) head: LogPosition,
}
