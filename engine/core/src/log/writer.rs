//! Keeping a log in files: which operations, in which order.

use std::collections::VecDeque;

use super::File;
use super::checkpoint::Checkpoint;
use super::index::{EntryPlace, Index};
use super::recover::Start;
use super::segment::Encoder;
use crate::id::LogPosition;
use crate::interface::Entry;

/// What to do with the log's directory. A driver carries operations out in order; a sync ends before the next operation begins.
///
/// What a machine without power keeps: of a file, what was written before its last completed `Sync`, and any part of the rest; of the
/// directory, what was created and deleted before the last completed `SyncDirectory`, and any part of the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOperation {
    /// Make sure that there is such a file, of at least so many bytes; what is new of it holds zeros.
    Create {
        /// Which.
        file: File,
        /// Bytes to reserve.
        size: u64,
    },
    /// Write; the file grows if it has to.
    Write {
        /// Where.
        file: File,
        /// From this byte on.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Bring what was written to a file onto the disk.
    Sync {
        /// Which.
        file: File,
    },
    /// Bring creations and deletions onto the disk.
    SyncDirectory,
    /// Delete a file.
    Delete {
        /// Which.
        file: File,
    },
}

/// Turns a broker's `Persist` and `Release` into file operations.
///
/// `append` as entries come, `write` at the end of a batch, `sync` when one is wanted and none is under way, `synced` when that has
/// succeeded. After a failed sync nobody knows what the disk has: stop, and recover.
#[derive(Clone, Debug)]
pub struct Writer {
    segment_bytes: u64,
    encoder: Encoder,
    number: u32,
    epoch: u32,
    index: Index,
    next: LogPosition,
    synced: LogPosition,
    /// What was appended and not handed out.
    pending: Vec<FileOperation>,
    /// Segments with writes that no sync has covered.
    dirty: Vec<u32>,
    directory_dirty: bool,
    /// Heads that may be let go once everything up to the second place is synced: what replaces the entries before them is there by then.
    heads: VecDeque<(LogPosition, LogPosition)>,
    generation: u64,
    checkpointed: LogPosition,
}

impl Writer {
    /// Goes on where recovery says, in a new segment. All `operations` have to be done before the first input of the broker.
    pub fn new(start: Start, segment_bytes: u64, operations: &mut Vec<FileOperation>) -> Writer {
        // The new segment says that the disk has what was read: by then that has to be true.
        operations.extend(start.index.segments().map(|segment| FileOperation::Sync {
            file: File::Segment(segment),
        }));
        let synced = LogPosition(start.next.0 - 1);
        let mut header = Vec::new();
        let encoder = Encoder::new(start.segment, start.epoch, start.next, synced, &mut header);
        let mut writer = Writer {
            segment_bytes,
            encoder,
            number: start.segment,
            epoch: start.epoch,
            index: start.index,
            next: start.next,
            synced,
            pending: Vec::new(),
            dirty: Vec::new(),
            directory_dirty: false,
            heads: VecDeque::new(),
            generation: start.generation,
            checkpointed: start.head,
        };
        writer.create_segment(header);
        if start.generation == 0 {
            writer
                .pending
                .extend([0, 1].map(|slot| FileOperation::Create {
                    file: File::Checkpoint(slot),
                    size: 0,
                }));
        }
        writer.write(operations);
        writer.sync(operations);
        // Leftovers go last: until here the next recovery would need them to find the same.
        if !start.garbage.is_empty() {
            writer.checkpoint(start.head, operations);
            delete(start.garbage, operations);
        }
        writer
    }

    /// Takes the next entry.
    pub fn append(&mut self, position: LogPosition, entry: &Entry) {
        debug_assert_eq!(position, self.next, "log positions are dense");
        let offset = self.encoder.len();
        self.index.push(position, offset);
        self.next = LogPosition(position.0 + 1);
        let (next, synced) = (self.next, self.synced);
        let (encoder, out) = Self::split(&mut self.encoder, &mut self.pending, self.number);
        encoder.append(position, entry, synced, out);
        if encoder.len() < self.segment_bytes {
            return;
        }
        // It is full: the last record may reach beyond the size that was reserved.
        encoder.clone().finish(next, synced, out);
        self.number += 1;
        let mut header = Vec::new();
        self.encoder = Encoder::new(self.number, self.epoch, next, synced, &mut header);
        self.create_segment(header);
    }

    /// Hands out what was appended, for the operating system to have. Returns up to where.
    pub fn write(&mut self, operations: &mut Vec<FileOperation>) -> LogPosition {
        for operation in self.pending.drain(..) {
            match &operation {
                FileOperation::Create { .. } => self.directory_dirty = true,
                FileOperation::Write {
                    file: File::Segment(number),
                    ..
                } if self.dirty.last() != Some(number) => self.dirty.push(*number),
                _ => {}
            }
            operations.push(operation);
        }
        LogPosition(self.next.0 - 1)
    }

    /// Has everything synced that was written. Returns up to where; `synced` takes it once the operations are done.
    pub fn sync(&mut self, operations: &mut Vec<FileOperation>) -> LogPosition {
        operations.extend(self.dirty.drain(..).map(|number| FileOperation::Sync {
            file: File::Segment(number),
        }));
        if std::mem::take(&mut self.directory_dirty) {
            operations.push(FileOperation::SyncDirectory);
        }
        let unwritten = self
            .pending
            .iter()
            .any(|operation| matches!(operation, FileOperation::Write { .. }));
        debug_assert!(!unwritten, "what is synced was written");
        LogPosition(self.next.0 - 1)
    }

    /// A sync has come to its end, and the disk has everything up to `through`. Segments that nothing needs any more may go now.
    pub fn synced(&mut self, through: LogPosition, operations: &mut Vec<FileOperation>) {
        self.synced = self.synced.max(through);
        self.mark(operations);
        let mut head = None;
        while let Some((before, _)) = self.heads.pop_front_if(|(_, needs)| *needs <= through) {
            head = Some(before);
        }
        let Some(head) = head else { return };
        let mut gone = Vec::new();
        while let Some(segment) = self.index.pop_before(head) {
            gone.push(segment);
        }
        // A checkpoint is written when it lets a segment go: the log has grown by one since the last.
        if !gone.is_empty() {
            self.checkpoint(head, operations);
            delete(gone, operations);
        }
    }

    /// Entries before this one are not needed, once what was appended so far is synced: it may say again what they said.
    pub fn release(&mut self, before: LogPosition) {
        self.heads.push_back((before, LogPosition(self.next.0 - 1)));
    }

    /// True if segments wait for a sync to go: one is wanted, even if no client asks for it.
    pub fn wants_sync(&self) -> bool {
        !self.heads.is_empty()
    }

    /// Where an entry is that was appended or recovered, and not released.
    pub fn locate(&self, position: LogPosition) -> Option<EntryPlace> {
        self.index.locate(position)
    }

    /// The first entry that a recovery would read.
    pub fn head(&self) -> LogPosition {
        self.checkpointed
    }

    /// Says how far the disk is, if no entry is about to.
    fn mark(&mut self, operations: &mut Vec<FileOperation>) {
        let (next, synced) = (self.next, self.synced);
        if synced.0 + 1 == next.0 {
            let (encoder, out) = Self::split(&mut self.encoder, &mut self.pending, self.number);
            encoder.mark(next, synced, out);
            self.write(operations);
        }
    }

    fn create_segment(&mut self, header: Vec<u8>) {
        let file = File::Segment(self.number);
        self.index.begin(self.number, self.next);
        self.pending.push(FileOperation::Create {
            file,
            size: self.segment_bytes,
        });
        self.pending.push(FileOperation::Write {
            file,
            offset: 0,
            bytes: header,
        });
    }

    /// The encoder of the open segment, and where its bytes go: to the write that ends where it stands, or else a new one.
    fn split<'a>(
        encoder: &'a mut Encoder,
        pending: &'a mut Vec<FileOperation>,
        number: u32,
    ) -> (&'a mut Encoder, &'a mut Vec<u8>) {
        let file = File::Segment(number);
        if !matches!(pending.last(), Some(FileOperation::Write { file: last, .. }) if *last == file)
        {
            pending.push(FileOperation::Write {
                file,
                offset: encoder.len(),
                bytes: Vec::new(),
            });
        }
        match pending.last_mut() {
            Some(FileOperation::Write { bytes, .. }) => (encoder, bytes),
            _ => unreachable!("a write was pushed"),
        }
    }

    /// Notes the head in the slot that does not hold the newest checkpoint.
    fn checkpoint(&mut self, head: LogPosition, operations: &mut Vec<FileOperation>) {
        self.generation += 1;
        self.checkpointed = head;
        let checkpoint = Checkpoint {
            generation: self.generation,
            head,
            segment: self.index.segment_of(head).unwrap_or(self.number),
            synced: self.synced,
            epoch: self.epoch,
        };
        let file = File::Checkpoint(checkpoint.slot());
        operations.push(FileOperation::Write {
            file,
            offset: 0,
            bytes: checkpoint.encode(),
        });
        operations.push(FileOperation::Sync { file });
    }
}

fn delete(segments: Vec<u32>, operations: &mut Vec<FileOperation>) {
    operations.extend(segments.into_iter().map(|segment| FileOperation::Delete {
        file: File::Segment(segment),
    }));
    operations.push(FileOperation::SyncDirectory);
}
