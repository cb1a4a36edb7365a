//! The numbers of an idempotent producer.
//!
//! A message gets its number when it is sent for the first time, and keeps it when it is sent again. A number that comes to nothing would leave
//! a gap, behind which nothing is taken any more: so a new epoch begins, as Kafka's producers do it (KIP-360). Before that, what may have been
//! taken already is sent until that is known, under its old number; nothing else is.

use std::collections::BTreeMap;

use queuelab_core::ProducerSequence;

/// What one producer has numbered.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    producer: u64,
    epoch: u32,
    next: u64,
    /// By message, of those that have not ended: the number in this epoch, and whether an attempt ended without an answer.
    given: BTreeMap<u64, (u64, bool)>,
    /// A number came to nothing.
    broken: bool,
}

impl Numbers {
    pub(super) fn new(producer: u64) -> Numbers {
        Numbers {
            producer,
            epoch: 0,
            next: 0,
            given: BTreeMap::new(),
            broken: false,
        }
    }

    pub(super) fn of(&self, message: u64) -> Option<ProducerSequence> {
        let (sequence, _) = self.given.get(&message)?;
        Some(ProducerSequence {
            id: self.producer,
            epoch: self.epoch,
            sequence: *sequence,
        })
    }

    /// A message is sent.
    pub(super) fn sent(&mut self, message: u64) {
        let next = &mut self.next;
        self.given.entry(message).or_insert_with(|| {
            *next += 1;
            (*next - 1, false)
        });
    }

    /// An attempt has failed, and there will be another one; without an answer (`in_doubt`) it may have succeeded all the same.
    pub(super) fn failed(&mut self, message: u64, in_doubt: bool) {
        if let Some((_, doubtful)) = self.given.get_mut(&message) {
            *doubtful = in_doubt;
        }
    }

    /// Nothing more will happen to a message.
    pub(super) fn ended(&mut self, message: u64, taken: bool) {
        let numbered = self.given.remove(&message).is_some();
        self.broken |= numbered && !taken;
    }

    /// True if a message may be sent now.
    pub(super) fn admits(&self, message: u64) -> bool {
        !self.broken
            || self
                .given
                .get(&message)
                .is_some_and(|(_, doubtful)| *doubtful)
    }

    /// True if only some messages may be sent.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Begins a new epoch if that is called for and nothing is in doubt. To be called while nothing is under way.
    pub(super) fn renew(&mut self) {
        if self.broken && !self.given.values().any(|(_, doubtful)| *doubtful) {
            *self = Numbers {
                epoch: self.epoch.saturating_add(1),
                ..Numbers::new(self.producer)
            };
        }
    }
}
