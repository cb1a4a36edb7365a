//! Where messages go: one key to one partition, one message once into a queue that knows them again.

use queuelab_core::{Durability, MessageCopy, Time};

use super::{Check, Invariant, Message, Place, Tag};

/// Where a message is known again.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    queue: u32,
    since: Time,
    /// How many the queue had taken by then.
    taken: u64,
    /// In which of the node's lives.
    life: u32,
}

/// What a queue that knows messages again has taken in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    taken: u64,
    /// When it was deleted, with all that it knew.
    deleted: Option<Time>,
}

impl Check {
    /// A copy of a publish begins.
    #[inline]
    pub fn routed_to(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let rules = &self.rules[copy.queue.index()];
        if self.enabled && (rules.partition.is_some() || rules.deduplicates.is_some()) {
            self.mind_routing(now, tag, copy);
        }
    }

    /// A queue is gone, with all that it knew.
    pub fn deleted(&mut self, now: Time, queue: usize) {
        self.memories[queue].deleted = Some(now);
    }

    /// Whether the queue of a new copy has to know its message again: what it takes lies in its window, fits into its memory, and is in the
    /// log if there was a restart since.
    fn is_known(&self, now: Time, copy: MessageCopy, message: &Message) -> bool {
        let queue = copy.queue.index();
        let (rules, memory) = (&self.rules[queue], &self.memories[queue]);
        let (Some(home), Some((window, capacity))) = (message.home, rules.deduplicates) else {
            return false;
        };
        let kept = home.life == self.durable.life()
            || rules.durability != Durability::None
                && self.durable.keeps(message.awaited, home.life);
        // A restart reads identities in the order of the log, where some are later than they were.
        let fits = 2 * (memory.taken - home.taken) < u64::from(capacity);
        home.queue == copy.queue.0
            && now - home.since + self.doubt() < window
            && memory.deleted.is_none_or(|deleted| deleted < home.since)
            && kept
            && fits
    }

    fn mind_routing(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let queue = copy.queue.index();
        let rules = self.rules[queue];
        let messages = self.messages.get(tag.producer());
        let Some(message) = messages.and_then(|messages| messages.get(tag.sequence())) else {
            return;
        };
        let place = Place::of(now, queue, tag);
        if rules.deduplicates.is_some() && message.identified {
            let home = message.home.filter(|_| self.is_known(now, copy, message));
            let since = home.map_or(now, |home| home.since);
            self.compare(Invariant::NoDuplicate, place, home.is_none(), || {
                format!("at {now}: {tag} entered a second time, and was known since {since}")
            });
            let memory = &mut self.memories[queue];
            memory.taken += 1;
            let home = Home {
                queue: copy.queue.0,
                since: now,
                taken: memory.taken,
                life: self.durable.life(),
            };
            self.update(tag, |message| message.home = Some(home));
        }
        let group = self.group_of.get(tag.producer()).copied().flatten();
        let (Some((of, partition)), Some(group)) = (rules.partition, group) else {
            return;
        };
        let messages = self.messages.get(tag.producer());
        let Some(message) = messages.and_then(|messages| messages.get(tag.sequence())) else {
            return;
        };
        let at = (of, group, message.key);
        if self.homes.len() >= KEYS && !self.homes.contains_key(&at) {
            return;
        }
        let home = *self.homes.entry(at).or_insert(partition);
        self.compare(Invariant::KeyPartition, place, home == partition, || {
            format!("at {now}: {tag} went to partition {partition}, and its key's earlier messages to {home}")
        });
    }
}

/// Keys that are remembered.
const KEYS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::super::{INVARIANTS, Rules};
    use super::*;
    use bytes::Bytes;
    use queuelab_core::{Command, Entry, LogPosition, Properties, QueueId, Span, Times};

    const COPY: MessageCopy = MessageCopy {
        queue: QueueId(0),
        serial: 0,
    };

    fn check(capacity: u32) -> Check {
        let rules = Rules {
            deduplicates: Some((Span::from_secs(10), capacity)),
            durability: Durability::Fsync,
            ..Rules::default()
        };
        Check::with_rules(true, vec![rules], 1, 1)
    }

    /// Its queue takes a message that was sent, and logs it at `position`.
    fn takes(check: &mut Check, second: u64, sequence: u64, position: u64) {
        let tag = Tag::new(0, sequence);
        check.begun(tag, false);
        check.routed_to(Time(second * 1_000_000_000), tag, COPY);
        let message = queuelab_core::Message {
            tag: tag.0,
            exchange: queuelab_core::ExchangeId::DEFAULT,
            persistent: true,
            routing_key: Bytes::new(),
            body: Bytes::new(),
            properties: None,
        };
        let entry = Entry::One(Command::Enqueue {
            copy: COPY,
            message,
            times: Times::ANY,
        });
        check.persisted(LogPosition(position), &entry);
    }

    fn sends(check: &mut Check, sequence: u64, again: bool) {
        let properties = Properties {
            id: Some(Bytes::from_static(b"id")),
            ..Properties::default()
        };
        check.sent(Tag::new(0, sequence), 0, Some(&properties), again);
    }

    fn violations(check: &Check) -> u64 {
        let at = INVARIANTS.iter().position(|name| *name == "no-duplicate");
        at.map_or(0, |at| check.tallies[at].violations)
    }

    /// How many violations there are when a message that was taken at second 1, at place 5 of the log, is taken again at `second`.
    fn again(second: u64, between: impl FnOnce(&mut Check)) -> u64 {
        let mut check = check(4);
        sends(&mut check, 0, false);
        takes(&mut check, 1, 0, 5);
        check.ended(Tag::new(0, 0));
        between(&mut check);
        sends(&mut check, 0, true);
        takes(&mut check, second, 0, 9);
        violations(&check)
    }

    #[test]
    fn a_message_that_enters_twice_within_the_window_is_seen_whatever_became_of_the_first_copy() {
        assert_eq!(again(10, |_| {}), 1);
        assert_eq!(again(11, |_| {}), 0, "its window is over");
        assert_eq!(again(10, |check| check.deleted(Time(2), 0)), 1);
        assert_eq!(again(10, |check| check.deleted(Time(u64::MAX), 0)), 0);
        let others = |count: u64| {
            again(10, |check| {
                for sequence in 1..=count {
                    sends(check, sequence, false);
                    takes(check, 2, sequence, 5 + sequence);
                }
            })
        };
        assert_eq!((others(1), others(2)), (1, 0), "a memory has its size");
    }

    #[test]
    fn a_restart_knows_what_the_log_kept() {
        let restart = |check: &mut Check, last: u64| {
            check.log_ended();
            check.log_found(LogPosition(last));
        };
        assert_eq!(again(10, |check| restart(check, 5)), 1);
        assert_eq!(again(10, |check| restart(check, 4)), 0);
        let twice = |check: &mut Check| {
            restart(check, 4);
            restart(check, 8);
        };
        assert_eq!(again(10, twice), 0, "what is at its place is another one");
    }
}
