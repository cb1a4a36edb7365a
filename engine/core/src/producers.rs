//! How far idempotent producers have come.
//!
//! A producer's numbers are judged over everything that it publishes, wherever that goes: it need not know which queue or partition a message
//! will take. (Kafka's producers know the partition, and number for each.) Since each number is taken only after the one before it, whatever lies
//! between the first and the last that were taken is a repetition. (Kafka's brokers tell those of the last five batches from older ones; its
//! clients take both for success.)

use std::collections::{BTreeMap, VecDeque};

use crate::config::Durability;
use crate::id::QueueId;
use crate::message::ProducerSequence;
use crate::time::{Span, Time};

/// A producer that has sent nothing for so long is forgotten (Kafka's `producer.id.expiration.ms`, by default).
const EXPIRATION: Span = Span::from_secs(24 * 60 * 60);

/// So many producers are known at most: with one more, one is forgotten that has been known for long and was not used lately.
const PRODUCERS: usize = 100_000;

/// All producers that are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    known: BTreeMap<u64, Progress>,
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
    /// The first of the most durable queues that took something of it: whatever was taken has taken effect once they have come so far.
    slowest: Option<(Durability, QueueId)>,
}

/// What is said to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    /// It has been taken before, perhaps by a queue as durable as this one.
    Repeated(Option<(Durability, QueueId)>),
    /// It is of a fenced epoch, or not the next one.
    OutOfOrder,
}

/// What takes a producer's last message out of the memory again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    producer: u64,
    before: Option<Progress>,
}

impl Producers {
    /// Judges a message. `restarted`: producers that nothing is known of may be in the middle of their sequence.
    pub(crate) fn judge(&self, place: ProducerSequence, restarted: bool, now: Time) -> Verdict {
        let known = self.known.get(&place.id);
        let progress = known.filter(|progress| now < progress.used + EXPIRATION);
        let forgot = restarted || self.forgot || progress.is_none() && known.is_some();
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
        if place.epoch == epoch && place.sequence == last.saturating_add(1) {
            Verdict::New
        } else if place.epoch == epoch && (first..=last).contains(&place.sequence) {
            Verdict::Repeated(progress.slowest)
        } else {
            Verdict::OutOfOrder
        }
    }

    /// Remembers a message that was judged new or repeated, with the most durable of the queues that take it.
    pub(crate) fn remember(
        &mut self,
        place: ProducerSequence,
        slowest: Option<(Durability, QueueId)>,
        now: Time,
    ) -> Undo {
        self.forget(place.id, now);
        let before = self.known.get(&place.id).copied();
        self.advance(place, slowest, now);
        Undo {
            producer: place.id,
            before,
        }
    }

    fn advance(
        &mut self,
        place: ProducerSequence,
        slowest: Option<(Durability, QueueId)>,
        now: Time,
    ) {
        let begin = Progress {
            epoch: place.epoch,
            first: place.sequence,
            last: place.sequence,
            used: now,
            slowest,
        };
        let progress = self.known.entry(place.id).or_insert_with(|| {
            self.line.push_back((now, place.id));
            begin
        });
        if progress.epoch < place.epoch || now >= progress.used + EXPIRATION {
            *progress = begin;
        }
        if progress.epoch > place.epoch {
            // A log shows old messages behind new ones where it was compacted.
            return;
        }
        progress.last = progress.last.max(place.sequence);
        progress.used = now;
        let durability = |slowest: Option<(Durability, QueueId)>| slowest.map(|(how, _)| how);
        if durability(slowest) > durability(progress.slowest) {
            progress.slowest = slowest;
        }
    }

    /// Forgets producers that have been silent for too long, and one if there is no room for `sender`. Who was used since it came to the
    /// line goes to its end, so this takes constant time per message in the long run.
    fn forget(&mut self, sender: u64, now: Time) {
        let known = self.known.contains_key(&sender);
        let wanted = self.known.len() + usize::from(!known);
        let mut surplus = wanted.saturating_sub(PRODUCERS);
        while let Some((since, id)) = self.line.front().copied()
            && (now >= since + EXPIRATION || surplus > 0)
        {
            self.line.pop_front();
            let used = self.known.get(&id).map(|progress| progress.used);
            match used {
                Some(used) if used > since => self.line.push_back((used, id)),
                _ => {
                    surplus = surplus.saturating_sub(1);
                    self.known.remove(&id);
                    self.forgot = true;
                }
            }
        }
    }

    /// A restart knows what the log has, and not since when: all of it counts as used now.
    pub(crate) fn starts(&mut self, now: Time) {
        for progress in self.known.values_mut() {
            progress.used = now;
        }
        for (since, _) in &mut self.line {
            *since = now;
        }
    }

    /// Takes back what was remembered last.
    pub(crate) fn undo(&mut self, undo: Undo) {
        let Undo { producer, before } = undo;
        match before {
            Some(before) => drop(self.known.insert(producer, before)),
            None => {
                self.known.remove(&producer);
                let at = self.line.iter().rposition(|(_, id)| *id == producer);
                at.and_then(|at| self.line.remove(at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::from_secs(60);

    fn place(id: u64, sequence: u64) -> ProducerSequence {
        ProducerSequence {
            id,
            epoch: 0,
            sequence,
        }
    }

    fn send(producers: &mut Producers, id: u64, sequence: u64, now: Time) -> Verdict {
        let place = place(id, sequence);
        let verdict = producers.judge(place, false, now);
        if verdict != Verdict::OutOfOrder {
            producers.remember(place, None, now);
        }
        verdict
    }

    #[test]
    fn producers_that_fall_silent_are_forgotten_however_many_come() {
        let mut producers = Producers::default();
        for number in 0..20_000 {
            let now = Time::ZERO + MINUTE * number;
            assert_eq!(send(&mut producers, 0, number, now), Verdict::New);
            assert_eq!(send(&mut producers, 1 + number, 0, now), Verdict::New);
            // Two days' worth: those of a day, and those whose turn in the line has not come.
            assert!(producers.known.len() <= 2 * 24 * 60 + 2);
            assert!(producers.line.len() == producers.known.len());
        }
    }

    #[test]
    fn a_producer_that_is_forgotten_goes_on_where_it_stopped() {
        let mut producers = Producers::default();
        let begin = Time::ZERO;
        assert_eq!(send(&mut producers, 7, 0, begin), Verdict::New);
        let late = begin + EXPIRATION;
        assert_eq!(
            send(&mut producers, 7, 0, Time(late.0 - 1)),
            Verdict::Repeated(None)
        );
        assert_eq!(send(&mut producers, 7, 5, late), Verdict::OutOfOrder);
        let later = late + EXPIRATION;
        assert_eq!(send(&mut producers, 7, 5, later), Verdict::New);
        assert_eq!(send(&mut producers, 7, 4, later), Verdict::OutOfOrder);
        assert_eq!(send(&mut producers, 7, 5, later), Verdict::Repeated(None));
        assert_eq!(send(&mut producers, 7, 6, later), Verdict::New);
    }

    #[test]
    fn too_many_producers_displace_those_that_are_not_used() {
        let mut producers = Producers::default();
        for number in 0..3 * PRODUCERS as u64 {
            send(&mut producers, 1 + number, 0, Time(number));
            if number % 1000 == 0 {
                assert_eq!(
                    send(&mut producers, 0, number / 1000, Time(number)),
                    Verdict::New
                );
            }
        }
        assert_eq!(producers.known.len(), PRODUCERS);
        assert_eq!(producers.line.len(), PRODUCERS);
        assert_eq!(
            send(&mut producers, 0, 299, Time(u64::from(u32::MAX))),
            Verdict::Repeated(None)
        );
    }

    #[test]
    fn a_transaction_that_fails_leaves_no_producer_behind() {
        let mut producers = Producers::default();
        send(&mut producers, 1, 0, Time(1));
        let undo = producers.remember(place(2, 0), None, Time(2));
        producers.undo(undo);
        assert_eq!((producers.known.len(), producers.line.len()), (1, 1));
    }
}
