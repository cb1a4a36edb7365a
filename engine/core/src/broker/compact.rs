//! The log stays in proportion to what it is needed for.
//!
//! The log's head goes as far as the oldest entry that something still needs. One message that nobody takes would hold everything behind it;
//! so when most of the log is not needed, the messages at its head are logged again at its end. Such a copy is an ordinary entry, and the log
//! stays a queue: what comes later replaces what was before, whatever else lies between. The place of the original counts until the copy is
//! synced, also in queues that don't wait for that.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Broker;
use super::commit::Effect;
use crate::id::{LogPosition, MessageCopy, QueueId};
use crate::interface::{Entry, Output};
use crate::message::Message;
use crate::queue::{Body, Queue};

/// What was logged again.
#[derive(Clone, Debug, Default)]
pub(super) struct Compaction {
    /// Copies that are not synced.
    pending: u32,
    /// Messages whose entry is a copy, by its place; some have left, or were copied once more.
    copied: BTreeMap<LogPosition, MessageCopy>,
}

impl Compaction {
    /// As recovery found it.
    pub(super) fn new(queues: &[Queue]) -> Compaction {
        let queues = (0..).map(QueueId).zip(queues);
        let copied = queues.flat_map(|(queue, state)| {
            let copies = state.copies();
            let named = move |(serial, position)| (position, MessageCopy { queue, serial });
            copies.into_iter().map(named)
        });
        Compaction {
            pending: 0,
            copied: copied.collect(),
        }
    }

    /// The first copy that is needed.
    fn oldest(&mut self, queues: &[Queue]) -> Option<LogPosition> {
        loop {
            let entry = self.copied.first_entry()?;
            let (position, copy) = (*entry.key(), *entry.get());
            if queues[copy.queue.index()].is_logged_at(copy.serial, position) {
                return Some(position);
            }
            entry.remove();
        }
    }
}

impl Broker {
    /// The log's first place that is needed.
    pub(super) fn oldest_position(&mut self) -> Option<LogPosition> {
        let marks = self.oldest_mark();
        let identities = self.oldest_identity();
        let copied = self.compaction.oldest(&self.queues);
        let queues = self.queues.iter_mut().filter_map(Queue::oldest_position);
        queues.chain(marks).chain(identities).chain(copied).min()
    }

    /// Logs messages at the head again, if that lets go of much more than it costs: with at most a quarter of the log needed, the first half
    /// of it goes for at most a quarter's copies.
    pub(super) fn compact(&mut self, out: &mut Vec<Output>) {
        if self.compaction.pending > 0 {
            return;
        }
        let Some(oldest) = self.oldest_position() else {
            return;
        };
        let span = self.log.next().0 - oldest.0;
        let needed = self.queues.iter().map(Queue::held).sum::<u64>() + self.identities();
        if span < SPARSE_ENTRIES || span / 4 < needed {
            return;
        }
        let end = LogPosition(oldest.0 + span / 2);
        let again = self.compaction.copied.range(..end);
        let mut copies: Vec<MessageCopy> = again.map(|(_, copy)| *copy).collect();
        for (queue, state) in (0..).map(QueueId).zip(&self.queues) {
            let serials = state.logged_before(end).into_iter();
            copies.extend(serials.map(|serial| MessageCopy { queue, serial }));
        }
        for copy in copies.into_iter().take(COPIES_PER_CALL) {
            self.log_again(copy, end, out);
        }
    }

    fn log_again(&mut self, copy: MessageCopy, before: LogPosition, out: &mut Vec<Output>) {
        let logged = self.queues[copy.queue.index()].logged(copy.serial);
        let Some(logged) = logged.filter(|logged| logged.position() < before) else {
            return;
        };
        if logged.body() != Body::Here {
            self.compaction.pending += u32::from(self.read_to_copy(copy, out));
            return;
        }
        let entry = logged.entry(copy, logged.message().clone());
        self.compaction.pending += 1;
        self.persist_copy(copy, entry, out);
    }

    /// The body of a message that is to be logged again has been read.
    pub(super) fn log_read_again(
        &mut self,
        copy: MessageCopy,
        position: LogPosition,
        body: Bytes,
        out: &mut Vec<Output>,
    ) {
        let logged = self.queues[copy.queue.index()].logged(copy.serial);
        match logged.filter(|logged| logged.position() == position) {
            None => self.copy_is_superfluous(),
            Some(logged) => {
                let message = Message {
                    body,
                    ..logged.message().clone()
                };
                let entry = logged.entry(copy, message);
                self.persist_copy(copy, entry, out);
            }
        }
    }

    /// What was to be logged again is not needed any more.
    pub(super) fn copy_is_superfluous(&mut self) {
        self.compaction.pending -= 1;
    }

    fn persist_copy(&mut self, copy: MessageCopy, entry: Entry, out: &mut Vec<Output>) {
        let position = self.log.next();
        let effect = Effect::Copied { copy, position };
        self.log.persist_synced(entry, effect, out);
    }

    /// A copy is on the disk: the original may go.
    pub(super) fn apply_copied(&mut self, copy: MessageCopy, position: LogPosition) {
        self.compaction.pending -= 1;
        if self.queues[copy.queue.index()].replace_entry(copy.serial, position) {
            self.compaction.copied.insert(position, copy);
        }
    }
}

/// A shorter log is left alone.
const SPARSE_ENTRIES: u64 = 1 << 16;

/// So many messages are logged again at a time.
const COPIES_PER_CALL: usize = 1_024;
