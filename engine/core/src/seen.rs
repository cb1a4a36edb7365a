//! What a queue remembers of messages that it took, to know them again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::config::Deduplicate;
use crate::message::{ProducerSequence, Properties};
use crate::time::Time;

/// How many messages of an idempotent producer are known again: as many as Kafka remembers batches.
const REMEMBERED: u64 = 5;

/// Identities of messages, for a while, and how far each idempotent producer has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    ids: BTreeSet<Bytes>,
    /// When each was seen first, ascending.
    order: VecDeque<(Time, Bytes)>,
    producers: BTreeMap<u64, Progress>,
}

/// How far a producer has come: all from `first` to `last` were taken.
#[derive(Clone, Copy, Debug)]
struct Progress {
    epoch: u32,
    first: u64,
    last: u64,
}

/// What a queue says to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    /// It has been taken before.
    Repeated,
    /// It is of a fenced epoch, or not the next one.
    OutOfOrder,
}

/// What takes one message out of the memory again.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    id: Option<Bytes>,
    /// What had to go for it.
    forgotten: Option<(Time, Bytes)>,
    progress: Option<(u64, Option<Progress>)>,
}

impl Seen {
    /// Judges a message. `restarted`: producers that nothing is known of may be in the middle of their sequence.
    pub(crate) fn judge(
        &mut self,
        window: Option<&Deduplicate>,
        properties: &Properties,
        restarted: bool,
        now: Time,
    ) -> Verdict {
        if let Some(window) = window {
            self.forget(window, now);
        }
        let sequence = properties
            .producer
            .map(|place| self.in_sequence(place, restarted));
        let known = properties
            .id
            .as_ref()
            .is_some_and(|id| self.ids.contains(id));
        match sequence {
            Some(Verdict::OutOfOrder) => Verdict::OutOfOrder,
            Some(Verdict::Repeated) => Verdict::Repeated,
            _ if known && window.is_some() => Verdict::Repeated,
            _ => Verdict::New,
        }
    }

    fn in_sequence(&self, place: ProducerSequence, restarted: bool) -> Verdict {
        let progress = self.producers.get(&place.id);
        let Some(progress) = progress.filter(|progress| progress.epoch >= place.epoch) else {
            // A new producer, or a new life of a known one.
            let begins = place.sequence == 0 || (restarted && progress.is_none());
            return if begins {
                Verdict::New
            } else {
                Verdict::OutOfOrder
            };
        };
        let Progress { epoch, first, last } = *progress;
        let remembered = first.max((last + 1).saturating_sub(REMEMBERED))..=last;
        if place.epoch == epoch && place.sequence == last.saturating_add(1) {
            Verdict::New
        } else if place.epoch == epoch && remembered.contains(&place.sequence) {
            Verdict::Repeated
        } else {
            Verdict::OutOfOrder
        }
    }

    /// Remembers a message that was judged new or repeated.
    pub(crate) fn remember(
        &mut self,
        window: Option<&Deduplicate>,
        properties: &Properties,
        now: Time,
    ) -> Undo {
        let keeps = window.is_some_and(|window| window.capacity > 0);
        let id = properties.id.as_ref().filter(|_| keeps);
        let id = id.filter(|id| self.ids.insert((*id).clone()));
        self.order.extend(id.map(|id| (now, id.clone())));
        let surplus = window.is_some_and(|window| self.order.len() > window.capacity as usize);
        let forgotten = if surplus {
            self.order.pop_front()
        } else {
            None
        };
        if let Some((_, id)) = &forgotten {
            self.ids.remove(id);
        }
        let progress = properties.producer.map(|place| {
            let before = self.producers.get(&place.id).copied();
            self.advance(place);
            (place.id, before)
        });
        Undo {
            id: id.cloned(),
            forgotten,
            progress,
        }
    }

    fn advance(&mut self, place: ProducerSequence) {
        let begin = Progress {
            epoch: place.epoch,
            first: place.sequence,
            last: place.sequence,
        };
        let progress = self.producers.entry(place.id).or_insert(begin);
        if progress.epoch < place.epoch {
            *progress = begin;
        }
        progress.last = progress.last.max(place.sequence);
    }

    /// Takes back what was remembered last.
    pub(crate) fn undo(&mut self, undo: Undo) {
        if let Some(id) = undo.id {
            self.ids.remove(&id);
            self.order.pop_back();
        }
        if let Some((seen, id)) = undo.forgotten {
            self.ids.insert(id.clone());
            self.order.push_front((seen, id));
        }
        match undo.progress {
            Some((producer, Some(before))) => drop(self.producers.insert(producer, before)),
            Some((producer, None)) => drop(self.producers.remove(&producer)),
            None => {}
        }
    }

    /// Forgets identities that are too old.
    fn forget(&mut self, window: &Deduplicate, now: Time) {
        while let Some((seen, _)) = self.order.front()
            && now >= *seen + window.window
            && let Some((_, id)) = self.order.pop_front()
        {
            self.ids.remove(&id);
        }
    }
}
