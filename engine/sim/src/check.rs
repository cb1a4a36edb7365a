//! Checkers: what must hold of every run, compared as it happens, in constant work per event.
//!
//! Memory is bounded by what is unfinished: a message is forgotten once its producer knows its outcome and none of its
//! copies is left.

use queuelab_core::{Ledger, MessageCopy, Time};
use queuelab_record::{InvariantRecord, Verdict};

/// The names of the invariants, as `expect` writes them, in the order of [`Invariant`].
pub const INVARIANTS: [&str; 5] = [
    "no-loss",
    "no-phantom",
    "conservation",
    "prefetch-bound",
    "depth-bound",
];

/// The invariants that a run checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// Every copy of a confirmed message is ready, in flight, acknowledged, dead-lettered, or dropped by policy.
    NoLoss,
    /// Nothing is delivered that was not sent, and nothing from a queue that does not hold it.
    NoPhantom,
    /// What entered a queue is what left it and what it holds.
    Conservation,
    /// No consumer holds more unacknowledged deliveries of a queue than its prefetch.
    PrefetchBound,
    /// No queue holds more ready messages than its bound.
    DepthBound,
}

/// All checkers of one run.
#[derive(Clone, Debug)]
pub struct Check {
    enabled: bool,
    messages: Vec<Ledger<Message>>,
    sent: Vec<u64>,
    unacked: Vec<Ledger<()>>,
    tallies: [Tally; 5],
}

/// What is known of a message while it is unfinished.
#[derive(Clone, Debug, Default)]
struct Message {
    /// The producer knows its outcome.
    settled: bool,
    confirmed: bool,
    /// The broker has answered for it, or it can no longer arrive there.
    routed: bool,
    /// Copies that routing promised, and how many were made.
    promised: u32,
    made: u32,
    /// Copies that are not finished.
    copies: u32,
    /// A queue that lost a copy.
    lost_in: Option<u32>,
    /// A queue that did not take it.
    refused_by: Option<u32>,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    compared: u64,
    violations: u64,
    by_queue: Vec<u64>,
    examples: Vec<String>,
}

impl Check {
    /// Checkers for so many producers, subscriptions (a consumer's channel to one queue) and queues.
    pub fn new(enabled: bool, producers: usize, subscriptions: usize, queues: usize) -> Check {
        let tally = Tally {
            by_queue: vec![0; queues],
            ..Tally::default()
        };
        let (producers, subscriptions) = if enabled {
            (producers, subscriptions)
        } else {
            (0, 0)
        };
        Check {
            enabled,
            messages: vec![Ledger::new(); producers],
            sent: vec![0; producers],
            unacked: vec![Ledger::new(); subscriptions],
            tallies: std::array::from_fn(|_| tally.clone()),
        }
    }

    /// Whether anything is compared.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// A producer hands a message to the network.
    #[inline]
    pub fn sent(&mut self, tag: Tag) {
        if self.enabled {
            self.sent[tag.producer()] = tag.sequence() + 1;
            self.messages[tag.producer()].push(tag.sequence(), Message::default());
        }
    }

    /// The broker takes a message for so many queues (none if it refuses it).
    #[inline]
    pub fn routed(&mut self, tag: Tag, copies: u32) {
        self.update(tag, |message| {
            message.routed = true;
            message.promised = copies;
        });
    }

    /// A full queue says no to a message.
    pub fn refused(&mut self, tag: Tag, queue: usize) {
        self.update(tag, |message| {
            message.routed = true;
            message.refused_by = Some(queue as u32);
        });
    }

    /// A message can no longer reach the broker.
    pub fn vanished(&mut self, tag: Tag) {
        self.update(tag, |message| message.routed = true);
    }

    /// A copy begins; `moved` if it replaces another one.
    #[inline]
    pub fn begun(&mut self, tag: Tag, moved: bool) {
        self.update(tag, |message| {
            message.copies += 1;
            message.made += u32::from(!moved);
        });
    }

    /// A copy ends as it should.
    #[inline]
    pub fn ended(&mut self, tag: Tag) {
        if self.enabled {
            self.tallies[Invariant::NoLoss as usize].compared += 1;
        }
        self.update(tag, |message| message.copies -= 1);
    }

    /// A copy is gone that should not be; that matters if its message was confirmed.
    pub fn lost(&mut self, now: Time, tag: Tag, copy: MessageCopy, why: &str) {
        if !self.enabled {
            return;
        }
        self.tallies[Invariant::NoLoss as usize].compared += 1;
        let known = self.messages[tag.producer()].get(tag.sequence());
        if known.is_some_and(|message| message.confirmed) {
            self.violation(Invariant::NoLoss, copy.queue.index(), || {
                format!("at {now}: {tag} was confirmed, and {why} took it")
            });
        }
        self.update(tag, |message| {
            message.copies -= 1;
            message.lost_in = Some(copy.queue.0);
        });
    }

    /// A producer knows what became of its message.
    #[inline]
    pub fn outcome(&mut self, now: Time, tag: Tag, confirmed: bool) {
        if !self.enabled {
            return;
        }
        let mut violated = None;
        if let Some(message) = self.messages[tag.producer()].get(tag.sequence())
            && confirmed
        {
            if let Some(queue) = message.lost_in {
                violated = Some((queue, "a queue had lost it"));
            } else if let Some(queue) = message.refused_by {
                violated = Some((queue, "a queue had refused it"));
            } else if !message.routed || message.made < message.promised {
                violated = Some((0, "no queue held it"));
            }
        }
        if confirmed {
            self.tallies[Invariant::NoLoss as usize].compared += 1;
        }
        if let Some((queue, why)) = violated {
            self.violation(Invariant::NoLoss, queue as usize, || {
                format!("at {now}: {tag} was confirmed when {why}")
            });
        }
        self.update(tag, |message| {
            message.settled = true;
            message.confirmed = confirmed;
        });
    }

    /// A delivery reaches a consumer; `held` says whether its queue holds the copy.
    #[inline]
    pub fn received(&mut self, now: Time, tag: Tag, copy: MessageCopy, held: bool) {
        if !self.enabled {
            return;
        }
        self.tallies[Invariant::NoPhantom as usize].compared += 1;
        let sent = self
            .sent
            .get(tag.producer())
            .is_some_and(|sent| tag.sequence() < *sent);
        if !held || !sent {
            let why = if sent {
                "its queue did not hold it"
            } else {
                "nobody had sent it"
            };
            self.violation(Invariant::NoPhantom, copy.queue.index(), || {
                format!("at {now}: {tag} was delivered, and {why}")
            });
        }
    }

    /// A consumer holds one more delivery of a subscription.
    #[inline]
    pub fn held(
        &mut self,
        now: Time,
        subscription: usize,
        delivery: u64,
        prefetch: u32,
        queue: usize,
    ) {
        if !self.enabled {
            return;
        }
        let unacked = &mut self.unacked[subscription];
        unacked.push(delivery, ());
        let held = unacked.len();
        self.tallies[Invariant::PrefetchBound as usize].compared += 1;
        if prefetch > 0 && held > prefetch as usize {
            self.violation(Invariant::PrefetchBound, queue, || {
                format!("at {now}: a consumer held {held} unacknowledged deliveries, and its prefetch is {prefetch}")
            });
        }
    }

    /// A consumer settles a delivery, or all up to it.
    #[inline]
    pub fn settled(&mut self, subscription: usize, delivery: u64, multiple: bool) {
        if !self.enabled {
            return;
        }
        let unacked = &mut self.unacked[subscription];
        if multiple {
            while unacked.front().is_some_and(|(tag, ())| tag <= delivery) {
                unacked.pop_front();
            }
        } else {
            unacked.remove(delivery);
        }
    }

    /// A subscription starts anew: its connection was reset.
    pub fn forget(&mut self, subscription: usize) {
        if self.enabled {
            self.unacked[subscription].clear();
        }
    }

    /// A queue holds so many ready messages.
    #[inline]
    pub fn depth(&mut self, now: Time, queue: usize, ready: u64, bound: Option<u64>) {
        let (true, Some(bound)) = (self.enabled, bound) else {
            return;
        };
        self.tallies[Invariant::DepthBound as usize].compared += 1;
        if ready > bound {
            self.violation(Invariant::DepthBound, queue, || {
                format!("at {now}: {ready} were ready, and the bound is {bound}")
            });
        }
    }

    /// So many copies are back whose removal had been on the disk.
    pub fn undead(&mut self, now: Time, queue: usize, copies: u64) {
        self.balance(
            now,
            queue,
            (
                copies,
                "copies are back for whose removal the log was awaited",
            ),
            (0, "should be"),
        );
    }

    /// Two counts of a queue's messages that should agree, each with its words.
    pub fn balance(
        &mut self,
        now: Time,
        queue: usize,
        (one, what): (u64, &str),
        (other, should): (u64, &str),
    ) {
        if !self.enabled {
            return;
        }
        self.tallies[Invariant::Conservation as usize].compared += 1;
        if one != other {
            self.violation(Invariant::Conservation, queue, || {
                format!("at {now}: {one} {what}, and {other} {should}")
            });
        }
    }

    /// Verdicts, for the record.
    pub fn records(&self) -> Vec<InvariantRecord> {
        let records = INVARIANTS
            .iter()
            .zip(&self.tallies)
            .map(|(name, tally)| InvariantRecord {
                name: (*name).into(),
                verdict: match (tally.violations, tally.compared) {
                    (1.., _) => Verdict::Fail,
                    (0, 1..) => Verdict::Pass,
                    (0, 0) => Verdict::Undecided,
                },
                compared: tally.compared,
                violations: tally.violations,
                by_queue: tally.by_queue.clone(),
                examples: tally.examples.clone(),
            });
        records.collect()
    }

    fn violation(&mut self, invariant: Invariant, queue: usize, text: impl FnOnce() -> String) {
        let tally = &mut self.tallies[invariant as usize];
        tally.violations += 1;
        if let Some(of_queue) = tally.by_queue.get_mut(queue) {
            *of_queue += 1;
        }
        if tally.examples.len() < EXAMPLES {
            tally.examples.push(text());
        }
    }

    #[inline]
    fn update(&mut self, tag: Tag, change: impl FnOnce(&mut Message)) {
        if !self.enabled {
            return;
        }
        let Some(messages) = self.messages.get_mut(tag.producer()) else {
            return;
        };
        let Some(message) = messages.get_mut(tag.sequence()) else {
            return;
        };
        change(message);
        if message.settled && message.routed && message.copies == 0 {
            messages.remove(tag.sequence());
        }
    }
}

/// A message's identity: which producer's, and which of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub u64);

impl Tag {
    /// The `sequence`-th message of producer `producer`.
    pub fn new(producer: usize, sequence: u64) -> Tag {
        Tag(((producer as u64) << SEQUENCE_BITS) | sequence)
    }

    /// Which producer.
    pub fn producer(self) -> usize {
        (self.0 >> SEQUENCE_BITS) as usize
    }

    /// Which of its messages, from 0.
    pub fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "message {} of producer {}",
            self.sequence(),
            self.producer()
        )
    }
}

/// 2^24 producers, 2^40 messages of each.
const SEQUENCE_BITS: u32 = 40;

/// Violations that are kept in words.
const EXAMPLES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use queuelab_core::QueueId;

    const NOW: Time = Time(1_000_000_000);
    const COPY: MessageCopy = MessageCopy {
        queue: QueueId(0),
        serial: 7,
    };

    fn violations(check: &Check, invariant: Invariant) -> u64 {
        check.records()[invariant as usize].violations
    }

    fn accepted(check: &mut Check, tag: Tag) {
        check.sent(tag);
        check.routed(tag, 1);
        check.begun(tag, false);
    }

    #[test]
    fn losing_what_was_confirmed_is_a_loss_in_either_order() {
        let mut check = Check::new(true, 1, 0, 1);
        let [before, after, unconfirmed] = [0, 1, 2].map(|sequence| Tag::new(0, sequence));
        for tag in [before, after, unconfirmed] {
            accepted(&mut check, tag);
        }
        check.outcome(NOW, before, true);
        check.lost(NOW, before, COPY, "a crash");
        check.lost(NOW, after, COPY, "a crash");
        check.outcome(NOW, after, true);
        check.lost(NOW, unconfirmed, COPY, "a crash");
        check.outcome(NOW, unconfirmed, false);
        assert_eq!(violations(&check, Invariant::NoLoss), 2);
        assert!(
            check.messages[0].is_empty(),
            "finished messages are forgotten"
        );
    }

    #[test]
    fn a_confirm_without_a_copy_is_a_loss() {
        let mut check = Check::new(true, 1, 0, 1);
        let tag = Tag::new(0, 0);
        check.sent(tag);
        check.routed(tag, 1);
        check.outcome(NOW, tag, true);
        assert_eq!(violations(&check, Invariant::NoLoss), 1);
    }

    #[test]
    fn a_confirm_of_what_was_refused_is_a_loss() {
        let mut check = Check::new(true, 1, 0, 1);
        for (sequence, confirmed) in [(0, false), (1, true)] {
            let tag = Tag::new(0, sequence);
            check.sent(tag);
            check.refused(tag, 0);
            check.outcome(NOW, tag, confirmed);
        }
        assert_eq!(violations(&check, Invariant::NoLoss), 1);
    }

    #[test]
    fn what_nobody_sent_is_a_phantom() {
        let mut check = Check::new(true, 1, 0, 1);
        accepted(&mut check, Tag::new(0, 0));
        check.received(NOW, Tag::new(0, 0), COPY, true);
        assert_eq!(violations(&check, Invariant::NoPhantom), 0);
        check.received(NOW, Tag::new(0, 1), COPY, true);
        check.received(NOW, Tag::new(9, 0), COPY, true);
        check.received(NOW, Tag::new(0, 0), COPY, false);
        assert_eq!(violations(&check, Invariant::NoPhantom), 3);
    }

    #[test]
    fn bounds_are_compared() {
        let mut check = Check::new(true, 1, 1, 1);
        for delivery in 1..=3 {
            check.held(NOW, 0, delivery, 2, 0);
        }
        assert_eq!(violations(&check, Invariant::PrefetchBound), 1);
        check.settled(0, 2, true);
        check.held(NOW, 0, 4, 2, 0);
        assert_eq!(violations(&check, Invariant::PrefetchBound), 1);
        check.depth(NOW, 0, 5, Some(5));
        check.depth(NOW, 0, 6, Some(5));
        assert_eq!(violations(&check, Invariant::DepthBound), 1);
        check.balance(NOW, 0, (3, "are ready"), (4, "should be"));
        assert_eq!(violations(&check, Invariant::Conservation), 1);
    }
}
