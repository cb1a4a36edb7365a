//! Checkers: what must hold of every run, compared as it happens, in constant work per event.
//!
//! Memory is bounded by what is unfinished: a message is forgotten once its producer knows its outcome and none of its
//! copies is left.

mod deliveries;
mod durable;
mod liveness;
mod losses;
mod returns;
mod routing;
mod rules;
mod stall;

use std::collections::{BTreeMap, BTreeSet};

use queuelab_core::{GroupKind, Ledger, MessageCopy, Properties, QueueId, Span, Time};
use queuelab_record::{InvariantRecord, Verdict};
use queuelab_scenario::{Claim, Scenario, Target};

use crate::journey::{Journey, State};
use crate::topology::Layout;
use durable::{Awaited, Durable};
pub use liveness::Bound;
use losses::Lost;
use routing::{Home, Memory};
use rules::Rules;
use stall::Stall;

/// The names of the invariants, as `expect` writes them, in the order of [`Invariant`].
pub const INVARIANTS: [&str; 20] = [
    "no-loss",
    "no-phantom",
    "conservation",
    "prefetch-bound",
    "depth-bound",
    "order-per-key",
    "timely",
    "delivery-limit",
    "dead-letter-once",
    "lease",
    "single-reader",
    "priority-order",
    "confirm-durable",
    "redelivered-flag",
    "requeue-order",
    "ack-asked",
    "no-duplicate",
    "key-partition",
    "no-stall",
    "liveness",
];

/// How many of them every run is judged by; the others only where there was something to compare, or somebody asks.
const ALWAYS: usize = 5;

/// The invariants that a run checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// Every copy of a confirmed message is ready, in flight, acknowledged, dead-lettered, or dropped by policy.
    NoLoss,
    /// Nothing is delivered that was not sent or was refused, and nothing from a queue that does not hold it.
    NoPhantom,
    /// What entered a queue is what left it and what it holds.
    Conservation,
    /// No consumer holds more unacknowledged deliveries of a queue than its prefetch.
    PrefetchBound,
    /// No queue holds more ready messages, or bytes of them, than its bound.
    DepthBound,
    /// The messages of a producer with the same key are delivered for the first time in the order in which they were sent.
    OrderPerKey,
    /// Nothing is delivered before its delay is over, or after its time to live.
    Timely,
    /// Nothing comes back more often than its queue allows.
    DeliveryLimit,
    /// A copy leaves for the dead letters once.
    DeadLetterOnce,
    /// No copy is in the hands of two consumers at a time.
    Lease,
    /// In a partitioned group nobody reads a stream that is assigned to somebody else.
    SingleReader,
    /// Nothing is delivered while a message of higher priority is ready.
    PriorityOrder,
    /// At the moment of a confirm the log is as far as the message's queues ask.
    ConfirmDurable,
    /// What was delivered before says so.
    RedeliveredFlag,
    /// What came back is delivered before what came after it.
    RequeueOrder,
    /// Nothing is removed as acknowledged that the consumer that had it did not acknowledge.
    AckAsked,
    /// A queue that knows messages again holds no message twice.
    NoDuplicate,
    /// Messages of one key go to one partition.
    KeyPartition,
    /// A queue with ready messages, and a consumer that holds nothing, delivers.
    NoStall,
    /// Once all faults are over, what was waiting then is delivered within the time that capacity implies.
    Liveness,
}

/// All checkers of one run.
#[derive(Clone, Debug)]
pub struct Check {
    enabled: bool,
    messages: Vec<Ledger<Message>>,
    sent: Vec<u64>,
    unacked: Vec<Ledger<MessageCopy>>,
    rules: Vec<Rules>,
    /// The last first delivery of a producer's messages with one key: by queue, reader, producer and key.
    order: BTreeMap<(u32, u32, usize, u32), u64>,
    /// How many first deliveries came after a later one of the same key, by queue.
    reordered: Vec<u64>,
    /// Whether the streams of a group have one reader each.
    partitioned: Vec<bool>,
    /// By group and stream: the generation, and the connection of the member that reads it.
    owners: BTreeMap<(usize, QueueId), (u32, u32)>,
    /// The group of each connection that is a member of one.
    members: BTreeMap<u32, usize>,
    asked: [bool; INVARIANTS.len()],
    tallies: [Tally; INVARIANTS.len()],
    broken: usize,
    durable: Durable,
    /// By queue: copies that came back and are ready.
    back: Vec<BTreeSet<u64>>,
    /// The group of each producer all of whose messages go to queues by their keys.
    group_of: Vec<Option<u32>>,
    /// What each queue has taken in.
    memories: Vec<Memory>,
    /// The partition of each key: by queue of the scenario, producer group and key.
    homes: BTreeMap<(u32, u32, u32), u32>,
    stalls: Vec<Stall>,
    /// Messages that were refused however often they were sent, and have copies all the same.
    refused: BTreeSet<u64>,
    lost: Lost,
    /// The least and the most that the node's wall clock has been off, in nanoseconds.
    clock: (i64, i64),
}

/// What is known of a message while it is unfinished.
#[derive(Clone, Debug, Default)]
struct Message {
    /// The producer knows its outcome.
    settled: bool,
    confirmed: bool,
    /// The broker has answered for it, or it can no longer arrive there.
    routed: bool,
    /// It was gone before the broker could take it.
    vanished: bool,
    /// Copies that routing promised, and how many were made.
    promised: u32,
    made: u32,
    /// Copies that are not finished.
    copies: u32,
    /// How often it was sent.
    attempts: u32,
    /// A copy has ended as it should.
    done: bool,
    key: u32,
    delay: Span,
    ttl: Option<Span>,
    /// A queue that lost a copy.
    lost_in: Option<u32>,
    /// A queue that did not take it.
    refused_by: Option<u32>,
    /// How far the log has to be before it may be confirmed.
    awaited: Awaited,
    /// How often it was refused, by the broker's words and by nacks.
    refusals: u32,
    nacks: u32,
    /// It says who it is, so that queues can know it again.
    identified: bool,
    /// Where it is known again.
    home: Option<Home>,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    compared: u64,
    violations: u64,
    by_queue: Vec<u64>,
    examples: Vec<String>,
    /// The first one in each queue, in words.
    first: BTreeMap<usize, (Place, String)>,
}

/// Where something is compared.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// When.
    pub now: Time,
    /// In which of the broker's queues.
    pub queue: usize,
    /// Of which message, if it is about one.
    pub tag: Option<Tag>,
}

impl Place {
    /// In a queue.
    #[inline]
    pub fn at(now: Time, queue: usize) -> Place {
        let tag = None;
        Place { now, queue, tag }
    }

    /// Of a message in a queue.
    #[inline]
    pub fn of(now: Time, queue: usize, tag: Tag) -> Place {
        let tag = Some(tag);
        Place { now, queue, tag }
    }
}

impl Check {
    /// Checkers for so many producers (all who publish) and subscriptions (a consumer's channels).
    pub fn new(
        enabled: bool,
        scenario: &Scenario,
        layout: &Layout,
        producers: usize,
        subscriptions: usize,
    ) -> Check {
        let rules = (0..layout.len()).map(|queue| Rules::new(scenario, layout, queue));
        let partitioned = scenario
            .groups
            .iter()
            .map(|group| matches!(group.kind, GroupKind::Partitioned { .. }));
        let mut check = Check::with_rules(enabled, rules.collect(), producers, subscriptions);
        check.partitioned = partitioned.collect();
        check.group_of =
            (0..)
                .zip(&scenario.producers)
                .fold(Vec::new(), |mut of, (group, spec)| {
                    // Without keys messages go round the partitions.
                    let by_key = !matches!(spec.message_key, queuelab_scenario::Keys::None)
                        && spec.to.iter().all(|(to, _)| matches!(to, Target::Queue(_)));
                    of.extend((0..spec.count).map(|_| by_key.then_some(group)));
                    of
                });
        check.asked = INVARIANTS.map(|invariant| {
            scenario.expectations.iter().any(|expectation| {
                matches!(&expectation.claim, Claim::Invariant { name, .. } if name == invariant)
            })
        });
        check
    }

    fn with_rules(
        enabled: bool,
        rules: Vec<Rules>,
        producers: usize,
        subscriptions: usize,
    ) -> Check {
        let queues = rules.len();
        let tally = Tally {
            by_queue: vec![0; rules.len()],
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
            rules,
            order: BTreeMap::new(),
            reordered: vec![0; queues],
            partitioned: Vec::new(),
            owners: BTreeMap::new(),
            members: BTreeMap::new(),
            asked: [false; INVARIANTS.len()],
            tallies: std::array::from_fn(|_| tally.clone()),
            broken: 0,
            durable: Durable::new(producers),
            back: vec![BTreeSet::new(); queues],
            group_of: Vec::new(),
            memories: vec![Memory::default(); queues],
            homes: BTreeMap::new(),
            stalls: vec![Stall::default(); queues],
            refused: BTreeSet::new(),
            lost: Lost::new(producers),
            clock: (0, 0),
        }
    }

    /// Whether anything is compared.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// How many messages it still knows.
    pub fn unfinished(&self) -> usize {
        self.messages.iter().map(Ledger::len).sum()
    }

    /// A producer hands a message to the network, for the first time or `again`.
    #[inline]
    pub fn sent(&mut self, tag: Tag, key: u32, properties: Option<&Properties>, again: bool) {
        if self.enabled {
            self.note_sent(tag, key, properties, again);
        }
    }

    fn note_sent(&mut self, tag: Tag, key: u32, properties: Option<&Properties>, again: bool) {
        if again {
            self.refused.remove(&tag.0);
            // What is known of the earlier attempts no longer says what becomes of it.
            return self.update(tag, |message| {
                message.attempts += 1;
                message.routed = false;
                message.vanished = false;
                message.promised = 0;
                message.made = 0;
                message.lost_in = None;
                message.refused_by = None;
            });
        }
        self.sent[tag.producer()] = tag.sequence() + 1;
        let message = Message {
            attempts: 1,
            key,
            delay: properties
                .and_then(|properties| properties.delay)
                .unwrap_or_default(),
            ttl: properties.and_then(|properties| properties.ttl),
            identified: properties.is_some_and(|properties| properties.id.is_some()),
            ..Message::default()
        };
        self.messages[tag.producer()].push(tag.sequence(), message);
    }

    /// The broker takes a message for so many queues (none if it refuses it).
    #[inline]
    pub fn routed(&mut self, tag: Tag, copies: u32) {
        self.update(tag, |message| {
            message.routed = true;
            message.promised = copies;
        });
    }

    /// A message is in the hands of a queue that says nothing: its producer counts on it.
    pub fn entrusted(&mut self, tag: Tag) {
        self.update(tag, |message| message.confirmed = true);
    }

    /// A full queue says no to a message.
    pub fn refused(&mut self, tag: Tag, queue: usize) {
        self.update(tag, |message| {
            message.routed = true;
            message.refused_by = Some(queue as u32);
            message.refusals += 1;
        });
        self.mind_refusal(tag);
    }

    /// The broker says no to a publish that was to be confirmed.
    pub fn nacked(&mut self, tag: Tag) {
        self.update(tag, |message| message.nacks += 1);
        self.mind_refusal(tag);
    }

    /// A message of which every send was refused is nowhere.
    fn mind_refusal(&mut self, tag: Tag) {
        let messages = self.messages.get(tag.producer());
        let message = messages.and_then(|messages| messages.get(tag.sequence()));
        let is_held = |message: &Message| {
            message.copies > 0 && message.refusals.max(message.nacks) >= message.attempts
        };
        if message.is_some_and(is_held) {
            self.refused.insert(tag.0);
        }
    }

    /// Whether a full queue has said no to a message.
    pub fn was_refused(&self, tag: Tag) -> bool {
        let messages = self.messages.get(tag.producer());
        let message = messages.and_then(|messages| messages.get(tag.sequence()));
        message.is_some_and(|message| message.refused_by.is_some())
    }

    /// A message can no longer reach the broker.
    pub fn vanished(&mut self, tag: Tag) {
        self.update(tag, |message| {
            message.routed = true;
            message.vanished = true;
        });
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
        self.lost.keeps(tag);
        self.update(tag, |message| {
            message.copies -= 1;
            message.done = true;
        });
    }

    /// A copy that was to replace another one does not: that one is there.
    pub fn unmade(&mut self, tag: Tag) {
        self.update(tag, |message| message.copies -= 1);
    }

    /// A copy is gone that should not be; that matters if its message was confirmed.
    pub fn lost(&mut self, now: Time, tag: Tag, copy: MessageCopy, why: &str) {
        if !self.enabled {
            return;
        }
        self.tallies[Invariant::NoLoss as usize].compared += 1;
        let known = self.messages[tag.producer()].get(tag.sequence());
        // Of a message that was sent again another copy may be as good.
        let spare = |message: &Message| {
            message.attempts > 1 && (message.done || message.copies > 1 || !message.routed)
        };
        if known.is_some_and(|message| message.confirmed && !spare(message)) {
            self.lost.loses(tag);
            self.violation(
                Invariant::NoLoss,
                Place::of(now, copy.queue.index(), tag),
                || format!("at {now}: {tag} was confirmed, and {why} took it"),
            );
        }
        self.update(tag, |message| {
            message.copies -= 1;
            message.lost_in = Some(copy.queue.0);
        });
    }

    /// A producer knows what became of its message.
    #[inline]
    pub fn outcome(&mut self, now: Time, tag: Tag, confirmed: bool) {
        if self.enabled {
            self.note_outcome(now, tag, confirmed);
        }
    }

    fn note_outcome(&mut self, now: Time, tag: Tag, confirmed: bool) {
        let mut violated = None;
        if let Some(message) = self.messages[tag.producer()].get(tag.sequence())
            && confirmed
            && message.attempts <= 1
        {
            if let Some(queue) = message.lost_in {
                violated = Some((queue, "a queue had lost it"));
            } else if let Some(queue) = message.refused_by {
                violated = Some((queue, "a queue had refused it"));
            } else if !message.routed || message.vanished || message.made < message.promised {
                violated = Some((0, "no queue held it"));
            }
        }
        if confirmed {
            self.tallies[Invariant::NoLoss as usize].compared += 1;
        }
        if let Some((queue, why)) = violated {
            self.lost.loses(tag);
            self.violation(
                Invariant::NoLoss,
                Place::of(now, queue as usize, tag),
                || format!("at {now}: {tag} was confirmed when {why}"),
            );
        }
        self.update(tag, |message| {
            message.settled = true;
            message.confirmed |= confirmed;
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
        let refused = !self.refused.is_empty() && self.refused.contains(&tag.0);
        if !held || !sent || refused {
            let why = match (sent, refused) {
                (false, _) => "nobody had sent it",
                (true, true) => "every send of it had been refused",
                (true, false) => "its queue did not hold it",
            };
            self.violation(
                Invariant::NoPhantom,
                Place::of(now, copy.queue.index(), tag),
                || format!("at {now}: {tag} was delivered, and {why}"),
            );
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
        copy: MessageCopy,
    ) {
        if !self.enabled {
            return;
        }
        let unacked = &mut self.unacked[subscription];
        unacked.push(delivery, copy);
        let queue = copy.queue.index();
        let held = unacked.len();
        self.tallies[Invariant::PrefetchBound as usize].compared += 1;
        if prefetch > 0 && held > prefetch as usize {
            self.violation(Invariant::PrefetchBound, Place::at(now, queue), || {
                format!("at {now}: a consumer held {held} unacknowledged deliveries, and its prefetch is {prefetch}")
            });
        }
    }

    /// A consumer settles a delivery, or all up to it; `each` takes the copies.
    #[inline]
    pub fn settled(
        &mut self,
        subscription: usize,
        delivery: u64,
        multiple: bool,
        mut each: impl FnMut(MessageCopy),
    ) {
        if !self.enabled {
            return;
        }
        let unacked = &mut self.unacked[subscription];
        if !multiple {
            if let Some(copy) = unacked.remove(delivery) {
                each(copy);
            }
            return;
        }
        while unacked.front().is_some_and(|(tag, _)| tag <= delivery) {
            if let Some((_, copy)) = unacked.pop_front() {
                each(copy);
            }
        }
    }

    /// A subscription starts anew: its connection was reset.
    pub fn forget(&mut self, subscription: usize) {
        if self.enabled {
            self.unacked[subscription].clear();
        }
    }

    /// A queue holds so many ready messages, of so many bytes, and so many of them came back. A bound is for what comes in: what a consumer or
    /// the log gives back is not refused, so it does not count; of what size that is, is not known.
    #[inline]
    pub fn depth(
        &mut self,
        now: Time,
        queue: usize,
        (ready, came_back): (u64, u64),
        bytes: impl FnOnce() -> u64,
    ) {
        if self.enabled && self.rules[queue].bounded() {
            self.mind_depth(now, queue, (ready, came_back), bytes);
        }
    }

    fn mind_depth(
        &mut self,
        now: Time,
        queue: usize,
        (ready, came_back): (u64, u64),
        bytes: impl FnOnce() -> u64,
    ) {
        let (rules, place) = (self.rules[queue], Place::at(now, queue));
        if let Some(bound) = rules.bound {
            let ready = ready.saturating_sub(came_back);
            self.compare(Invariant::DepthBound, place, ready <= bound, || {
                format!("at {now}: {ready} were ready, and the bound is {bound}")
            });
        }
        if let Some(bound) = rules.bytes.filter(|_| came_back == 0) {
            let bytes = bytes();
            self.compare(Invariant::DepthBound, place, bytes <= bound, || {
                format!("at {now}: {bytes} bytes were ready, and the bound is {bound}")
            });
        }
    }

    /// A queue has seen a message before: it will not hold it, and that is no loss.
    pub fn deduplicated(&mut self, tag: Tag) {
        self.update(tag, |message| message.routed = true);
    }

    /// A copy leaves the ready state for a consumer; `journey` is as it was before.
    #[inline]
    pub fn dispatched(&mut self, now: Time, copy: MessageCopy, journey: &Journey) {
        if !self.enabled {
            return;
        }
        let (queue, tag) = (copy.queue.index(), Tag(journey.tag));
        let alone = journey.state != State::InFlight;
        let place = Place::of(now, queue, tag);
        self.compare(Invariant::Lease, place, alone, || {
            format!("at {now}: {tag} went to a consumer while another one had it")
        });
        if let Some(ttl) = self.rules[queue].ttl {
            self.in_time(now, queue, tag, journey.committed + ttl);
        }
        // A dead letter waits by its new queue's terms.
        let messages = self.messages.get(tag.producer());
        let message = messages.and_then(|messages| messages.get(tag.sequence()));
        if let Some(message) = message.filter(|_| !journey.moved) {
            let (delay, ttl) = (message.delay, message.ttl);
            if let Some(ttl) = ttl {
                self.in_time(now, queue, tag, journey.committed + ttl);
            }
            if !delay.is_zero() {
                let due = journey.handled + delay;
                let timely = now + self.doubt() >= due;
                self.compare(Invariant::Timely, place, timely, || {
                    format!("at {now}: {tag} was delivered, and was not due before {due}")
                });
            }
        }
    }

    /// The node's wall clock is off by so much now.
    pub fn clock_is_off(&mut self, by: i64) {
        self.clock = (self.clock.0.min(by), self.clock.1.max(by));
    }

    /// A broker goes by its wall clock: it can be wrong about a length of time by as much as that has jumped or drifted.
    fn doubt(&self) -> Span {
        Span(self.clock.1.abs_diff(self.clock.0))
    }

    fn in_time(&mut self, now: Time, queue: usize, tag: Tag, until: Time) {
        let late = now > until && now > until + self.doubt();
        self.compare(Invariant::Timely, Place::of(now, queue, tag), !late, || {
            format!("at {now}: {tag} was delivered, and had expired at {until}")
        });
    }

    /// A copy of some priority leaves for a consumer, although (`passed_over`) one of higher priority is ready.
    pub fn by_priority(&mut self, now: Time, copy: MessageCopy, passed_over: bool) {
        let queue = copy.queue.index();
        if self.enabled && self.rules[queue].by_priority {
            self.compare(
                Invariant::PriorityOrder,
                Place::at(now, queue),
                !passed_over,
                || {
                    format!(
                        "at {now}: message {} was delivered while one of higher priority was ready",
                        copy.serial
                    )
                },
            );
        }
    }

    /// A consumer (of reader `reader`, in a stream) has a message in its hands for the first time, after so many deliveries. An earlier one that
    /// never arrived had its turn; what comes back may come behind what was delivered meanwhile.
    #[inline]
    pub fn first_received(
        &mut self,
        now: Time,
        tag: Tag,
        copy: MessageCopy,
        (reader, deliveries): (u32, u32),
    ) {
        if self.enabled && self.rules[copy.queue.index()].follows_order && deliveries <= 1 {
            self.mind_order(now, tag, copy, reader);
        }
    }

    /// How many first deliveries from a queue broke the order of their keys; `None` where nobody counted.
    pub fn reordered(&self, queue: usize) -> Option<u64> {
        (self.enabled && self.rules[queue].follows_order).then(|| self.reordered[queue])
    }

    fn mind_order(&mut self, now: Time, tag: Tag, copy: MessageCopy, reader: u32) {
        let queue = copy.queue.index();
        let messages = self.messages.get(tag.producer());
        let known = messages.and_then(|messages| messages.get(tag.sequence()));
        let key = match known {
            Some(message) if message.attempts > 1 => return,
            Some(message) => message.key,
            None => return,
        };
        let of = (copy.queue.0, reader, tag.producer(), key);
        let last = self.order.insert(of, tag.sequence());
        let in_order = last.is_none_or(|last| last < tag.sequence());
        self.reordered[queue] += u64::from(!in_order);
        if !self.rules[queue].ordered {
            return;
        }
        self.compare(
            Invariant::OrderPerKey,
            Place::of(now, queue, tag),
            in_order,
            || {
                let last = last.unwrap_or_default();
                format!("at {now}: {tag} was delivered after number {last}, which has the same key")
            },
        );
    }

    /// A copy came back for the `deliveries`-th time.
    pub fn returned(&mut self, now: Time, copy: MessageCopy, deliveries: u32) {
        let queue = copy.queue.index();
        if let (true, Some(limit)) = (self.enabled, self.rules[queue].limit) {
            self.compare(Invariant::DeliveryLimit, Place::at(now, queue), deliveries <= limit, || {
                format!(
                    "at {now}: message {} came back {deliveries} times, and the limit is {limit}",
                    copy.serial
                )
            });
        }
    }

    /// A copy left for the dead letters; `there` if it had been in its queue.
    pub fn dead_lettered(&mut self, now: Time, copy: MessageCopy, there: bool) {
        if self.enabled {
            self.compare(
                Invariant::DeadLetterOnce,
                Place::at(now, copy.queue.index()),
                there,
                || {
                    format!(
                        "at {now}: message {} was dead-lettered, and had left its queue before",
                        copy.serial
                    )
                },
            );
        }
    }

    /// A member of a group, by its connection, is told what it reads.
    pub fn assigned(
        &mut self,
        now: Time,
        group: usize,
        connection: u32,
        generation: u32,
        streams: &[QueueId],
    ) {
        if !self.enabled || !self.partitioned.get(group).copied().unwrap_or(false) {
            return;
        }
        self.members.insert(connection, group);
        self.owners.retain(|(of, stream), (_, owner)| {
            *of != group || *owner != connection || streams.contains(stream)
        });
        for stream in streams {
            let before = self
                .owners
                .insert((group, *stream), (generation, connection));
            let free =
                before.is_none_or(|(since, owner)| owner == connection || since < generation);
            self.compare(
                Invariant::SingleReader,
                Place::at(now, stream.index()),
                free,
                || {
                    format!(
                        "at {now}: a stream was assigned to two members in generation {generation}"
                    )
                },
            );
        }
    }

    /// A record of a stream leaves for a consumer.
    #[inline]
    pub fn read(&mut self, now: Time, stream: QueueId, connection: u32) {
        if !self.enabled {
            return;
        }
        let Some(group) = self.members.get(&connection) else {
            return;
        };
        let owner = self.owners.get(&(*group, stream));
        let owns = owner.is_some_and(|(_, owner)| *owner == connection);
        self.compare(
            Invariant::SingleReader,
            Place::at(now, stream.index()),
            owns,
            || format!("at {now}: a member was sent a record of a stream that is not its own"),
        );
    }

    /// The broker is gone: nobody owns a stream.
    pub fn forget_assignments(&mut self) {
        self.owners.clear();
        self.members.clear();
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
            self.violation(Invariant::Conservation, Place::at(now, queue), || {
                format!("at {now}: {one} {what}, and {other} {should}")
            });
        }
    }

    /// Verdicts, for the record.
    pub fn records(&self) -> Vec<InvariantRecord> {
        let judged = INVARIANTS.iter().zip(&self.tallies).zip(self.asked);
        let records = judged
            .enumerate()
            .filter(|(number, ((_, tally), asked))| {
                *number < ALWAYS || tally.compared > 0 || *asked
            })
            .map(|(_, ((name, tally), _))| InvariantRecord {
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
                losses: match *name {
                    "no-loss" => self.losses(),
                    _ => None,
                },
            });
        records.collect()
    }

    /// Compares once; `text` says what is wrong if it does not hold.
    #[inline]
    fn compare(
        &mut self,
        invariant: Invariant,
        place: Place,
        holds: bool,
        text: impl FnOnce() -> String,
    ) {
        self.tallies[invariant as usize].compared += 1;
        if !holds {
            self.violation(invariant, place, text);
        }
    }

    #[cold]
    fn violation(&mut self, invariant: Invariant, place: Place, text: impl FnOnce() -> String) {
        let tally = &mut self.tallies[invariant as usize];
        tally.violations += 1;
        if let Some(of_queue) = tally.by_queue.get_mut(place.queue) {
            *of_queue += 1;
        }
        let first = !tally.first.contains_key(&place.queue);
        if !first && tally.examples.len() >= EXAMPLES {
            return;
        }
        let text = text();
        if first {
            tally.first.insert(place.queue, (place, text.clone()));
            self.broken += 1;
        }
        if tally.examples.len() < EXAMPLES {
            tally.examples.push(text);
        }
    }

    /// How many pairs of invariant and queue are violated.
    pub fn broken(&self) -> usize {
        self.broken
    }

    /// The first violation of each invariant in each queue, with when and of what it is.
    pub fn firsts(&self) -> impl Iterator<Item = (&'static str, Place, &str)> {
        let tallies = INVARIANTS.iter().zip(&self.tallies);
        tallies.flat_map(|(name, tally)| {
            let firsts = tally.first.values();
            firsts.map(|(place, text)| (*name, *place, text.as_str()))
        })
    }

    #[inline]
    fn update(&mut self, tag: Tag, change: impl FnOnce(&mut Message)) {
        if self.enabled {
            self.change(tag, change);
        }
    }

    fn change(&mut self, tag: Tag, change: impl FnOnce(&mut Message)) {
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
        check.tallies[invariant as usize].violations
    }

    fn compared(check: &Check, invariant: Invariant) -> u64 {
        check.tallies[invariant as usize].compared
    }

    fn check(rules: Rules) -> Check {
        Check::with_rules(true, vec![rules], 1, 1)
    }

    fn accepted(check: &mut Check, tag: Tag) {
        check.sent(tag, 0, None, false);
        check.routed(tag, 1);
        check.begun(tag, false);
    }

    #[test]
    fn losing_what_was_confirmed_is_a_loss_in_either_order() {
        let mut check = check(Rules::default());
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
        let mut check = check(Rules::default());
        let tag = Tag::new(0, 0);
        check.sent(tag, 0, None, false);
        check.routed(tag, 1);
        check.outcome(NOW, tag, true);
        assert_eq!(violations(&check, Invariant::NoLoss), 1);
    }

    #[test]
    fn a_confirm_of_what_was_refused_is_a_loss() {
        let mut check = check(Rules::default());
        for (sequence, confirmed) in [(0, false), (1, true)] {
            let tag = Tag::new(0, sequence);
            check.sent(tag, 0, None, false);
            check.refused(tag, 0);
            check.outcome(NOW, tag, confirmed);
        }
        assert_eq!(violations(&check, Invariant::NoLoss), 1);
    }

    #[test]
    fn what_nobody_sent_is_a_phantom() {
        let mut check = check(Rules::default());
        accepted(&mut check, Tag::new(0, 0));
        check.received(NOW, Tag::new(0, 0), COPY, true);
        assert_eq!(violations(&check, Invariant::NoPhantom), 0);
        check.received(NOW, Tag::new(0, 1), COPY, true);
        check.received(NOW, Tag::new(9, 0), COPY, true);
        check.received(NOW, Tag::new(0, 0), COPY, false);
        assert_eq!(violations(&check, Invariant::NoPhantom), 3);
    }

    #[test]
    fn what_was_refused_is_a_phantom() {
        let mut check = check(Rules::default());
        let [refused, again, taken] = [0, 1, 2].map(|sequence| Tag::new(0, sequence));
        for tag in [refused, again, taken] {
            accepted(&mut check, tag);
        }
        check.nacked(refused);
        check.nacked(again);
        check.sent(again, 0, None, true);
        for tag in [refused, again, taken] {
            check.received(NOW, tag, COPY, true);
        }
        assert_eq!(violations(&check, Invariant::NoPhantom), 1);
        check.nacked(again);
        check.received(NOW, again, COPY, true);
        assert_eq!(violations(&check, Invariant::NoPhantom), 2);
    }

    #[test]
    fn bounds_are_compared() {
        let mut check = check(Rules {
            bound: Some(5),
            bytes: Some(100),
            ..Rules::default()
        });
        for delivery in 1..=3 {
            check.held(NOW, 0, delivery, 2, COPY);
        }
        assert_eq!(violations(&check, Invariant::PrefetchBound), 1);
        check.settled(0, 2, true, |_| {});
        check.held(NOW, 0, 4, 2, COPY);
        assert_eq!(violations(&check, Invariant::PrefetchBound), 1);
        check.depth(NOW, 0, (5, 0), || 100);
        check.depth(NOW, 0, (7, 2), || 140);
        assert_eq!(violations(&check, Invariant::DepthBound), 0);
        check.depth(NOW, 0, (6, 0), || 60);
        check.depth(NOW, 0, (5, 0), || 101);
        assert_eq!(violations(&check, Invariant::DepthBound), 2);
        check.balance(NOW, 0, (3, "are ready"), (4, "should be"));
        assert_eq!(violations(&check, Invariant::Conservation), 1);
    }

    fn journey(tag: Tag) -> Journey {
        let stamps = crate::network::Stamps::default();
        Journey::new(Time::ZERO, tag.0, 0, stamps)
    }

    #[test]
    fn another_copy_saves_a_message_that_was_sent_twice() {
        let mut check = check(Rules::default());
        let tag = Tag::new(0, 0);
        accepted(&mut check, tag);
        check.sent(tag, 0, None, true);
        check.routed(tag, 1);
        check.begun(tag, false);
        check.outcome(NOW, tag, true);
        check.lost(NOW, tag, COPY, "a crash");
        assert_eq!(violations(&check, Invariant::NoLoss), 0);
        check.lost(NOW, tag, COPY, "a crash");
        assert_eq!(violations(&check, Invariant::NoLoss), 1);
    }

    #[test]
    fn a_key_out_of_order_is_seen() {
        let mut check = check(Rules {
            ordered: true,
            follows_order: true,
            ..Rules::default()
        });
        for (sequence, key) in [(0, 1), (1, 2), (2, 1)] {
            check.sent(Tag::new(0, sequence), key, None, false);
        }
        check.first_received(NOW, Tag::new(0, 1), COPY, (0, 1));
        check.first_received(NOW, Tag::new(0, 2), COPY, (0, 1));
        assert_eq!(violations(&check, Invariant::OrderPerKey), 0);
        check.first_received(NOW, Tag::new(0, 0), COPY, (0, 2));
        assert_eq!(
            violations(&check, Invariant::OrderPerKey),
            0,
            "it had its turn"
        );
        check.first_received(NOW, Tag::new(0, 0), COPY, (0, 1));
        assert_eq!(violations(&check, Invariant::OrderPerKey), 1);
        assert_eq!(compared(&check, Invariant::OrderPerKey), 3);
        assert_eq!(check.reordered(0), Some(1));
    }

    #[test]
    fn too_early_and_too_late_are_seen() {
        let mut check = check(Rules {
            ttl: Some(Span::from_secs(9)),
            ..Rules::default()
        });
        let tag = Tag::new(0, 0);
        let properties = Properties {
            delay: Some(Span::from_secs(2)),
            ttl: Some(Span::from_secs(5)),
            ..Properties::default()
        };
        check.sent(tag, 0, Some(&properties), false);
        for (second, seen) in [(1, 1), (2, 1), (5, 1), (6, 2), (10, 4)] {
            check.dispatched(Time(second * 1_000_000_000), COPY, &journey(tag));
            assert_eq!(violations(&check, Invariant::Timely), seen, "{second}");
        }
        assert_eq!(compared(&check, Invariant::Timely), 15);
    }

    #[test]
    fn a_clock_that_was_off_excuses_so_much() {
        let mut check = check(Rules {
            ttl: Some(Span::from_secs(9)),
            ..Rules::default()
        });
        let tag = Tag::new(0, 0);
        check.sent(tag, 0, None, false);
        check.clock_is_off(-1_000_000_000);
        check.clock_is_off(2_000_000_000);
        check.clock_is_off(0);
        for (second, seen) in [(9, 0), (12, 0), (13, 1)] {
            check.dispatched(Time(second * 1_000_000_000), COPY, &journey(tag));
            assert_eq!(violations(&check, Invariant::Timely), seen, "{second}");
        }
    }

    #[test]
    fn limits_leases_dead_letters_and_priorities_are_compared() {
        let mut check = check(Rules {
            limit: Some(2),
            by_priority: true,
            ..Rules::default()
        });
        check.returned(NOW, COPY, 2);
        check.returned(NOW, COPY, 3);
        assert_eq!(violations(&check, Invariant::DeliveryLimit), 1);
        let mut held = journey(Tag::new(0, 0));
        check.dispatched(NOW, COPY, &held);
        held.state = State::InFlight;
        check.dispatched(NOW, COPY, &held);
        assert_eq!(violations(&check, Invariant::Lease), 1);
        check.dead_lettered(NOW, COPY, true);
        check.dead_lettered(NOW, COPY, false);
        assert_eq!(violations(&check, Invariant::DeadLetterOnce), 1);
        check.by_priority(NOW, COPY, false);
        check.by_priority(NOW, COPY, true);
        assert_eq!(violations(&check, Invariant::PriorityOrder), 1);
    }

    #[test]
    fn two_readers_of_a_stream_are_seen() {
        let mut check = check(Rules::default());
        check.partitioned = vec![true];
        let stream = [QueueId(0)];
        check.assigned(NOW, 0, 7, 1, &stream);
        check.read(NOW, QueueId(0), 7);
        check.assigned(NOW, 0, 8, 2, &stream);
        check.read(NOW, QueueId(0), 8);
        assert_eq!(violations(&check, Invariant::SingleReader), 0);
        check.read(NOW, QueueId(0), 7);
        assert_eq!(violations(&check, Invariant::SingleReader), 1);
        check.assigned(NOW, 0, 7, 2, &stream);
        assert_eq!(violations(&check, Invariant::SingleReader), 2);
    }
}
