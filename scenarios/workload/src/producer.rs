//! A producer as a state machine.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use queuelab_core::{Ledger, Properties, Span, Time};
use queuelab_scenario::{Arrivals, Scenario, Target, WhenFull};

use crate::arrivals::{Cursor, Schedule};
use crate::choice::{KeyChoice, SizeChoice, Weighted};
use crate::random::Stream;

/// What all members of a producer group share.
#[derive(Clone, Debug)]
pub struct ProducerPlan {
    name: String,
    seed: u64,
    count: u32,
    schedule: Schedule,
    limit: Option<u64>,
    targets: Weighted,
    /// The routing keys that targets give; where they give none the message's key is used.
    target_keys: Vec<Option<Bytes>>,
    keys: KeyChoice,
    sizes: SizeChoice,
    /// Most unconfirmed messages; `None` without confirms.
    window: Option<usize>,
    timeout: Option<Span>,
    /// Most messages that wait before further ones are dropped; `None` drops none.
    capacity: Option<u64>,
    reconnect: Option<Span>,
}

impl ProducerPlan {
    /// Prepares the producer group number `group` of a scenario.
    pub fn new(scenario: &Scenario, group: usize, seed: u64) -> ProducerPlan {
        let spec = &scenario.producers[group];
        let schedule = Schedule::new(&spec.arrivals, &scenario.phases, spec.count, spec.burst);
        let target_key = |target: &Target| match target {
            Target::Queue(queue) => Some(Bytes::copy_from_slice(
                scenario.queues[*queue].name.as_bytes(),
            )),
            Target::Exchange { key, .. } => key
                .as_ref()
                .map(|key| Bytes::copy_from_slice(key.as_bytes())),
        };
        let trace = match &spec.arrivals {
            Arrivals::Trace(trace) => Some(&**trace),
            _ => None,
        };
        // A closed loop has one message at a time: there is nothing to drop.
        let drops = spec.when_full == WhenFull::Drop && !schedule.is_closed();
        ProducerPlan {
            name: spec.name.clone(),
            seed,
            count: spec.count,
            schedule,
            limit: spec.limit,
            targets: Weighted::new(spec.to.iter().map(|(_, weight)| *weight).collect()),
            target_keys: spec
                .to
                .iter()
                .map(|(target, _)| target_key(target))
                .collect(),
            keys: trace
                .and_then(|trace| KeyChoice::recorded(trace, spec.count))
                .unwrap_or_else(|| KeyChoice::new(&spec.message_key)),
            sizes: trace
                .and_then(|trace| SizeChoice::recorded(trace, spec.count))
                .unwrap_or_else(|| SizeChoice::new(&spec.size)),
            window: spec.confirm.map(|confirm| confirm.window as usize),
            timeout: spec.confirm.and_then(|confirm| confirm.timeout),
            capacity: drops.then_some(spec.buffer),
            reconnect: spec.reconnect,
        }
    }

    /// The routing key of a message: the queue's name, the target's own key, or the message's.
    #[inline]
    pub fn routing_key(&self, target: u32, key: u32) -> Bytes {
        match self.target_keys.get(target as usize) {
            Some(Some(given)) => given.clone(),
            _ => self.keys.name(key),
        }
    }

    /// What a message carries besides key and body; nothing, for most producers.
    pub fn properties(&self, _member: u32, _publish: &Publish) -> Option<Properties> {
        None
    }

    /// The name of a message key: `k0`, `k1`, … or the word.
    pub fn key_name(&self, key: u32) -> Bytes {
        self.keys.name(key)
    }

    /// A member's share of the group's limit; the first members get what remains.
    fn limit_of(&self, member: u32) -> u64 {
        let Some(limit) = self.limit else {
            return u64::MAX;
        };
        let count = u64::from(self.count.max(1));
        limit / count + u64::from(u64::from(member) < limit % count)
    }

    fn stream(&self, purpose: &str, member: u32) -> Stream {
        Stream::new(
            self.seed,
            &format!("producer {} {purpose}", self.name),
            u64::from(member),
        )
    }
}

/// One producer: it publishes on a schedule, or in a closed loop, over one confirming channel of one connection.
///
/// It starts unconnected. Messages that cannot be sent — no connection, the broker does not read, the window is full —
/// wait; their intended times keep to the schedule.
#[derive(Clone, Debug)]
pub struct Producer {
    plan: Arc<ProducerPlan>,
    member: u32,
    limit: u64,
    streams: Streams,
    next: Cursor,
    waiting: Waiting,
    connected: bool,
    writable: bool,
    reconnect_at: Option<Time>,
    /// The channel's publishes so far: the sequence by which confirms know the last one.
    channel_sequence: u64,
    unconfirmed: Ledger<Unconfirmed>,
    /// Closed loop: the message whose end comes before the next think time.
    awaited: Option<u64>,
}

/// A message to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Its number among this producer's, from zero; dropped ones count too.
    pub sequence: u64,
    /// When it was to be sent.
    pub intended: Time,
    /// Where to: an index into the group's `to`.
    pub target: u32,
    /// Index of its key, for [`ProducerPlan::routing_key`].
    pub key: u32,
    /// Body size in bytes.
    pub size: u32,
    /// How often it was sent before.
    pub attempt: u32,
}

/// What a producer wants done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerAction {
    /// Send a message.
    Publish(Publish),
    /// That is all that this producer will know about a message.
    Finished {
        /// Which.
        sequence: u64,
        /// When it was to be sent.
        intended: Time,
        /// How it ended.
        outcome: Outcome,
    },
    /// Open the connection again, then call [`Producer::connected`], or [`Producer::reset`] if it fails.
    Connect,
    /// Commit the publishes since the last commit, then call [`Producer::committed`] with the answer. (The channel of a producer with
    /// transactions is a transactional one.)
    Commit,
    /// Leave: close the connection in peace, or (`crash`) without a word. `Connect` follows when it is time. With `declare` in the plan the
    /// driver declares and binds the queues of the producer's targets again after the next connection.
    Disconnect {
        /// Without a word.
        crash: bool,
    },
}

/// What a producer knows in the end about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sent, without confirms.
    Sent,
    /// The broker has taken charge of it.
    Confirmed,
    /// The broker refused it.
    Failed,
    /// No answer: timed out, or the connection was lost.
    Unknown,
    /// Never sent: the buffer was full.
    Dropped,
    /// Given up while it waited at the client: patience, retry budget or circuit breaker.
    Abandoned,
}

#[derive(Clone, Copy, Debug)]
struct Streams {
    arrivals: Stream,
    targets: Stream,
    keys: Stream,
    sizes: Stream,
}

#[derive(Clone, Copy, Debug)]
struct Unconfirmed {
    sequence: u64,
    intended: Time,
    sent: Time,
}

impl Producer {
    /// The member number `member` of a group.
    pub fn new(plan: Arc<ProducerPlan>, member: u32) -> Producer {
        let streams = Streams {
            arrivals: plan.stream("arrivals", member),
            targets: plan.stream("targets", member),
            keys: plan.stream("keys", member),
            sizes: plan.stream("sizes", member),
        };
        let limit = plan.limit_of(member);
        let next = Cursor::first(&plan.schedule, &streams.arrivals, limit, member, Time::ZERO);
        // A cursor can only find messages again that follow each other at times that the schedule knows.
        let stored = plan.capacity.is_some() || plan.schedule.is_closed();
        let waiting = if stored {
            Waiting::Stored(VecDeque::new())
        } else {
            Waiting::Counted {
                first: next,
                count: 0,
            }
        };
        Producer {
            plan,
            member,
            limit,
            streams,
            next,
            waiting,
            connected: false,
            writable: true,
            reconnect_at: None,
            channel_sequence: 0,
            unconfirmed: Ledger::new(),
            awaited: None,
        }
    }

    /// When to call [`Producer::tick`]; any other call may change it.
    #[inline]
    pub fn deadline(&self) -> Option<Time> {
        let mut deadline = self.next.time;
        if let Some(expiry) = self.expiry() {
            deadline = deadline.min(expiry);
        }
        if let Some(reconnect) = self.reconnect_at {
            deadline = deadline.min(reconnect);
        }
        (deadline < Time::MAX).then_some(deadline)
    }

    /// Does what is due at `now`; nothing if nothing is.
    pub fn tick(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        if self.reconnect_at.is_some_and(|due| due <= now) {
            self.reconnect_at = None;
            out.push(ProducerAction::Connect);
        }
        if self.expiry().is_some_and(|due| due <= now) {
            while self.expiry().is_some_and(|due| due <= now) {
                self.settle_first(now, Outcome::Unknown, out);
            }
            self.send_waiting(now, out);
        }
        while self.next.time <= now && self.next.time < Time::MAX {
            self.arrive(now, out);
        }
    }

    /// The connection is open, with a new channel whose confirms count from 1.
    pub fn connected(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        self.connected = true;
        self.writable = true;
        self.reconnect_at = None;
        self.channel_sequence = 0;
        self.send_waiting(now, out);
    }

    /// The connection is lost, or could not be opened: what is unconfirmed stays unknown, what waits goes on waiting.
    ///
    /// A closed loop gives up the message under way too, confirmed or not, lest it wait for ever for one that is gone.
    pub fn reset(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        self.connected = false;
        while !self.unconfirmed.is_empty() {
            self.settle_first(now, Outcome::Unknown, out);
        }
        if let Some(sequence) = self.awaited.filter(|_| self.waiting.is_empty()) {
            self.ended(now, sequence);
        }
        self.reconnect_at = self
            .reconnect_at
            .or(self.plan.reconnect.map(|wait| now + wait));
    }

    /// The broker confirms (or, not `accepted`, refuses) the channel's publish number `sequence`, from 1; with `multiple` all
    /// up to it, with zero then all there are. What is no longer awaited is ignored.
    pub fn confirm(
        &mut self,
        now: Time,
        sequence: u64,
        multiple: bool,
        accepted: bool,
        out: &mut Vec<ProducerAction>,
    ) {
        let outcome = if accepted {
            Outcome::Confirmed
        } else {
            Outcome::Failed
        };
        if multiple {
            let last = if sequence == 0 { u64::MAX } else { sequence };
            while self
                .unconfirmed
                .front()
                .is_some_and(|(first, _)| first <= last)
            {
                self.settle_first(now, outcome, out);
            }
        } else if let Some(settled) = self.unconfirmed.remove(sequence) {
            self.settle(now, settled, outcome, out);
        }
        self.send_waiting(now, out);
    }

    /// The broker stopped reading (`on` false), or reads again.
    pub fn writable(&mut self, now: Time, on: bool, out: &mut Vec<ProducerAction>) {
        self.writable = on;
        self.send_waiting(now, out);
    }

    /// Message `sequence` has been finished by its consumers, or dropped on its way: a closed loop thinks, then sends the
    /// next one. Any but the awaited one is ignored.
    pub fn consumed(&mut self, now: Time, sequence: u64, _out: &mut Vec<ProducerAction>) {
        self.ended(now, sequence);
    }

    /// The answer to a commit: all of its publishes are confirmed, or (`accepted` false) failed.
    pub fn committed(&mut self, _now: Time, _accepted: bool, _out: &mut Vec<ProducerAction>) {}

    /// How many messages were to be sent so far.
    pub fn offered(&self) -> u64 {
        self.next.index
    }

    /// How many messages wait to be sent, in the buffer or, where that is full, outside.
    pub fn waiting(&self) -> u64 {
        self.waiting.len()
    }

    /// How many messages are sent and not confirmed.
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed.len() as u64
    }

    /// Its number in the group.
    pub fn member(&self) -> u32 {
        self.member
    }

    /// The next message's intended time has come.
    #[inline]
    fn arrive(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        let arrival = self.next;
        self.next
            .advance(&self.plan.schedule, &self.streams.arrivals, self.limit);
        if self.plan.schedule.is_closed() {
            self.awaited = Some(arrival.index);
        }
        if self.can_send() && self.waiting.is_empty() {
            self.publish(now, arrival.index, arrival.time, out);
        } else if self
            .plan
            .capacity
            .is_none_or(|capacity| self.waiting.len() < capacity)
        {
            self.waiting.push(arrival);
        } else {
            out.push(ProducerAction::Finished {
                sequence: arrival.index,
                intended: arrival.time,
                outcome: Outcome::Dropped,
            });
        }
    }

    #[inline]
    fn send_waiting(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        while self.can_send() && !self.waiting.is_empty() {
            let (schedule, stream, limit) =
                (&self.plan.schedule, &self.streams.arrivals, self.limit);
            let advance = |cursor: &mut Cursor| cursor.advance(schedule, stream, limit);
            let Some((sequence, intended)) = self.waiting.pop(advance) else {
                return;
            };
            self.publish(now, sequence, intended, out);
        }
    }

    #[inline]
    fn can_send(&self) -> bool {
        self.connected
            && self.writable
            && self
                .plan
                .window
                .is_none_or(|window| self.unconfirmed.len() < window)
    }

    #[inline]
    fn publish(&mut self, now: Time, sequence: u64, intended: Time, out: &mut Vec<ProducerAction>) {
        let plan = &*self.plan;
        out.push(ProducerAction::Publish(Publish {
            sequence,
            intended,
            target: plan.targets.choose(&self.streams.targets, sequence),
            key: plan
                .keys
                .choose(&self.streams.keys, self.member, sequence, intended),
            size: plan
                .sizes
                .choose(&self.streams.sizes, self.member, sequence),
            attempt: 0,
        }));
        if plan.window.is_some() {
            self.channel_sequence += 1;
            self.unconfirmed.push(
                self.channel_sequence,
                Unconfirmed {
                    sequence,
                    intended,
                    sent: now,
                },
            );
        } else {
            out.push(ProducerAction::Finished {
                sequence,
                intended,
                outcome: Outcome::Sent,
            });
        }
    }

    /// When the oldest unconfirmed message times out.
    #[inline]
    fn expiry(&self) -> Option<Time> {
        let timeout = self.plan.timeout?;
        self.unconfirmed
            .front()
            .map(|(_, first)| first.sent + timeout)
    }

    #[inline]
    fn settle_first(&mut self, now: Time, outcome: Outcome, out: &mut Vec<ProducerAction>) {
        if let Some((_, first)) = self.unconfirmed.pop_front() {
            self.settle(now, first, outcome, out);
        }
    }

    #[inline]
    fn settle(
        &mut self,
        now: Time,
        settled: Unconfirmed,
        outcome: Outcome,
        out: &mut Vec<ProducerAction>,
    ) {
        let Unconfirmed {
            sequence, intended, ..
        } = settled;
        out.push(ProducerAction::Finished {
            sequence,
            intended,
            outcome,
        });
        // A confirmed message is still to be consumed; of the others nothing more is heard.
        if outcome != Outcome::Confirmed {
            self.ended(now, sequence);
        }
    }

    /// Closed loop: a message has come to its end.
    #[inline]
    fn ended(&mut self, now: Time, sequence: u64) {
        if self.awaited == Some(sequence) {
            self.awaited = None;
            self.next
                .think(&self.plan.schedule, &self.streams.arrivals, self.limit, now);
        }
    }
}

/// The messages that arrived and could not be sent yet.
#[derive(Clone, Debug)]
enum Waiting {
    /// Where none is dropped they follow each other, and a cursor finds them again: a producer that is far behind needs no
    /// more memory than another.
    Counted { first: Cursor, count: u64 },
    /// (sequence, intended time), at most the buffer's capacity.
    Stored(VecDeque<(u64, Time)>),
}

impl Waiting {
    #[inline]
    fn len(&self) -> u64 {
        match self {
            Waiting::Counted { count, .. } => *count,
            Waiting::Stored(messages) => messages.len() as u64,
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, arrival: Cursor) {
        match self {
            Waiting::Counted { first, count } => {
                if *count == 0 {
                    *first = arrival;
                }
                *count += 1;
            }
            Waiting::Stored(messages) => messages.push_back((arrival.index, arrival.time)),
        }
    }

    fn pop(&mut self, advance: impl FnOnce(&mut Cursor)) -> Option<(u64, Time)> {
        match self {
            Waiting::Counted { count: 0, .. } => None,
            Waiting::Counted { first, count } => {
                let message = (first.index, first.time);
                *count -= 1;
                advance(first);
                Some(message)
            }
            Waiting::Stored(messages) => messages.pop_front(),
        }
    }
}
