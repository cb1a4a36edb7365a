//! What a queue remembers of messages that it took, to know them again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::config::Deduplicate;
use crate::message::{ProducerSequence, Properties};
use crate::time::{Span, Time};

/// How many messages of an idempotent producer are known again: as many as Kafka remembers batches.
const REMEMBERED: u64 = 5;

/// A producer that has sent nothing for so long is forgotten (Kafka's `producer.id.expiration.ms`, by default).
const EXPIRATION: Span = Span::from_secs(24 * 60 * 60);

/// So many producers are known at most: with one more, one is forgotten that has been known for long and was not used lately.
const PRODUCERS: usize = 100_000;

/// Identities of messages, for a while, and how far each idempotent producer has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    ids: BTreeSet<Bytes>,
    /// When each was seen first, ascending.
    order: VecDeque<(Time, Bytes)>,
    producers: BTreeMap<u64, Progress>,
    /// Each of them once, with an instant since when it was there: who has not been used for long is found from the front on.
    line: VecDeque<(Time, u64)>,
    /// Some were forgotten: who is unknown may be in the middle of its sequence.
    forgot: bool,
}

/// How far a producer has come: all from `first` to `last` were taken.
#[derive(Clone, Copy, Debug)]
struct Progress {
    epoch: u32,
    first: u64,
    last: u64,
    /// When it sent its last message.
    used: Time,
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
            .map(|place| self.in_sequence(place, restarted || self.forgot, now));
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

    fn in_sequence(&self, place: ProducerSequence, forgot: bool, now: Time) -> Verdict {
        let known = self.producers.get(&place.id);
        let progress = known.filter(|progress| now < progress.used + EXPIRATION);
        let forgot = forgot || progress.is_none() && known.is_some();
        let Some(progress) = progress.filter(|progress| progress.epoch >= place.epoch) else {
            // A new producer, or a new life of a known one.
            let begins = place.sequence == 0 || (forgot && progress.is_none());
            return if begins {
                Verdict::New
            } else {
                Verdict::OutOfOrder
            };
        };
        let Progress {
            epoch, first, last, ..
        } = *progress;
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
            self.forget_producers(place.id, now);
            let before = self.producers.get(&place.id).copied();
            self.advance(place, now);
            (place.id, before)
        });
        Undo {
            id: id.cloned(),
            forgotten,
            progress,
        }
    }

    fn advance(&mut self, place: ProducerSequence, now: Time) {
        let begin = Progress {
            epoch: place.epoch,
            first: place.sequence,
            last: place.sequence,
            used: now,
        };
        let progress = self.producers.entry(place.id).or_insert_with(|| {
            self.line.push_back((now, place.id));
            begin
        });
        if progress.epoch < place.epoch || now >= progress.used + EXPIRATION {
            *progress = begin;
        }
        progress.last = progress.last.max(place.sequence);
        progress.used = now;
    }

    /// Forgets producers that have been silent for too long, and one if there is no room for `sender`. Who was used since it came to the
    /// line goes to its end, so this takes constant time per message in the long run.
    fn forget_producers(&mut self, sender: u64, now: Time) {
        let known = self.producers.contains_key(&sender);
        let wanted = self.producers.len() + usize::from(!known);
        let mut surplus = wanted.saturating_sub(PRODUCERS);
        while let Some((since, id)) = self.line.front().copied()
            && (now >= since + EXPIRATION || surplus > 0)
        {
            self.line.pop_front();
            let used = self.producers.get(&id).map(|progress| progress.used);
            match used {
                Some(used) if used > since => self.line.push_back((used, id)),
                _ => {
                    surplus = surplus.saturating_sub(1);
                    self.producers.remove(&id);
                    self.forgot = true;
                }
            }
        }
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
            Some((producer, None)) => {
                self.producers.remove(&producer);
                let at = self.line.iter().rposition(|(_, id)| *id == producer);
                at.and_then(|at| self.line.remove(at));
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::from_secs(60);

    fn sends(id: u64, sequence: u64) -> Properties {
        Properties {
            producer: Some(ProducerSequence {
                id,
                epoch: 0,
                sequence,
            }),
            ..Properties::default()
        }
    }

    fn send(seen: &mut Seen, id: u64, sequence: u64, now: Time) -> Verdict {
        let properties = sends(id, sequence);
        let verdict = seen.judge(None, &properties, false, now);
        if verdict != Verdict::OutOfOrder {
            seen.remember(None, &properties, now);
        }
        verdict
    }

    #[test]
    fn producers_that_fall_silent_are_forgotten_however_many_come() {
        let mut seen = Seen::default();
        for number in 0..20_000 {
            let now = Time::ZERO + MINUTE * number;
            assert_eq!(send(&mut seen, 0, number, now), Verdict::New);
            assert_eq!(send(&mut seen, 1 + number, 0, now), Verdict::New);
            // Two days' worth: those of a day, and those whose turn in the line has not come.
            assert!(seen.producers.len() <= 2 * 24 * 60 + 2);
            assert!(seen.line.len() == seen.producers.len());
        }
    }

    #[test]
    fn a_producer_that_is_forgotten_goes_on_where_it_stopped() {
        let mut seen = Seen::default();
        let begin = Time::ZERO;
        assert_eq!(send(&mut seen, 7, 0, begin), Verdict::New);
        let late = begin + EXPIRATION;
        assert_eq!(send(&mut seen, 7, 0, Time(late.0 - 1)), Verdict::Repeated);
        assert_eq!(send(&mut seen, 7, 5, late), Verdict::OutOfOrder);
        let later = late + EXPIRATION;
        assert_eq!(send(&mut seen, 7, 5, later), Verdict::New);
        assert_eq!(send(&mut seen, 7, 4, later), Verdict::OutOfOrder);
        assert_eq!(send(&mut seen, 7, 5, later), Verdict::Repeated);
        assert_eq!(send(&mut seen, 7, 6, later), Verdict::New);
    }

    #[test]
    fn too_many_producers_displace_those_that_are_not_used() {
        let mut seen = Seen::default();
        for number in 0..3 * PRODUCERS as u64 {
            send(&mut seen, 1 + number, 0, Time(number));
            if number % 1000 == 0 {
                assert_eq!(
                    send(&mut seen, 0, number / 1000, Time(number)),
                    Verdict::New
                );
            }
        }
        assert_eq!(seen.producers.len(), PRODUCERS);
        assert_eq!(seen.line.len(), PRODUCERS);
        assert_eq!(
            send(&mut seen, 0, 299, Time(u64::from(u32::MAX))),
            Verdict::Repeated
        );
    }

    #[test]
    fn a_transaction_that_fails_leaves_no_producer_behind() {
        let mut seen = Seen::default();
        send(&mut seen, 1, 0, Time(1));
        let undo = seen.remember(None, &sends(2, 0), Time(2));
        seen.undo(undo);
        assert_eq!((seen.producers.len(), seen.line.len()), (1, 1));
    }
}
