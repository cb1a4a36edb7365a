//! A producer as a state machine.
//!
//! This file has what all producers do. What some do besides — send again, in batches, in transactions, lose patience,
//! come and go — is in [`extras`], and costs the others a test.

mod extras;
mod mix;
mod numbers;
mod plan;
mod retry;
mod waiting;

use std::sync::Arc;

use queuelab_core::{Ledger, ProducerSequence, Time};

pub use plan::ProducerPlan;

use crate::arrivals::Cursor;
use crate::random::Stream;
use extras::Extras;
use waiting::Waiting;

/// One producer: it publishes on a schedule, or in a closed loop, over one confirming channel of one connection.
///
/// It starts unconnected. Messages that cannot be sent — no connection, the broker does not read, the window is full —
/// wait; their intended times keep to the schedule.
#[derive(Clone, Debug)]
pub struct Producer {
    plan: Arc<ProducerPlan>,
    member: u32,
    limit: u64,
    start: Time,
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
    extras: Option<Box<Extras>>,
    /// The arrivals that take place, in order, if not all do.
    kept: Option<Box<[u64]>>,
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
        let start = plan.start_of(member);
        let next = Cursor::first(&plan.schedule, &streams.arrivals, limit, member, start);
        let extras = (plan.extras.as_ref()).map(|extras| Extras::new(extras, &plan, member, start));
        // A cursor can only find messages again that follow each other at times that the schedule knows.
        let picked = plan
            .extras
            .as_ref()
            .is_some_and(|extras| extras.is_impatient());
        let stored = plan.capacity.is_some() || plan.schedule.is_closed() || picked;
        let waiting = if stored {
            Waiting::Stored(Ledger::new())
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
            start,
            streams,
            next,
            waiting,
            connected: false,
            writable: true,
            reconnect_at: (start > Time::ZERO).then_some(start),
            channel_sequence: 0,
            unconfirmed: Ledger::new(),
            awaited: None,
            extras,
            kept: None,
        }
    }

    /// Only these arrivals (their numbers, growing) take place; each at its own instant, with its own choices. In a closed loop the
    /// next one comes a think time after the one before that took place. To be called before anything else.
    pub fn keep_only(&mut self, arrivals: Vec<u64>) {
        self.kept = Some(arrivals.into());
        // Those that wait no longer follow each other.
        self.waiting = Waiting::Stored(Ledger::new());
    }

    /// When it opens its connection for the first time. At time zero the driver does so by itself; later the producer asks for
    /// it with [`ProducerAction::Connect`].
    pub fn start(&self) -> Time {
        self.start
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
        if let Some(extras) = &self.extras {
            deadline = deadline.min(extras.deadline(self.connected));
        }
        (deadline < Time::MAX).then_some(deadline)
    }

    /// Does what is due at `now`; nothing if nothing is.
    pub fn tick(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        if self.reconnect_at.is_some_and(|due| due <= now) {
            self.reconnect_at = None;
            out.push(ProducerAction::Connect);
        }
        if self.extras.is_some() {
            self.tick_extras(now, out);
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
        if let Some(extras) = &mut self.extras {
            extras.connected(now);
        }
        self.send_waiting(now, out);
    }

    /// The connection is lost, or could not be opened: what is unconfirmed stays unknown or is to be sent again, what waits
    /// goes on waiting.
    ///
    /// A closed loop gives up the message under way too, confirmed or not, lest it wait for ever for one that is gone.
    pub fn reset(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        self.connected = false;
        while !self.unconfirmed.is_empty() {
            self.settle_first(now, Outcome::Unknown, out);
        }
        if let Some(extras) = &mut self.extras {
            extras.reset();
        }
        if let Some(sequence) = self.awaited.filter(|_| self.waiting() == 0) {
            self.ended(now, sequence);
        }
        self.reconnect_at = self
            .reconnect_at
            .or_else(|| self.plan.reconnects_at(now, self.member));
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

    /// The answer to a commit: all of its publishes are confirmed, or (`accepted` false) failed. One that nobody waits for is
    /// ignored.
    pub fn committed(&mut self, now: Time, accepted: bool, out: &mut Vec<ProducerAction>) {
        if self.extras.as_mut().is_some_and(|extras| extras.answered()) {
            self.confirm(now, 0, true, accepted, out);
        }
    }

    /// How many messages were to be sent so far.
    pub fn offered(&self) -> u64 {
        self.next.index
    }

    /// How many messages wait to be sent: in the buffer or, where that is full, outside, for their batch, or to be sent again.
    pub fn waiting(&self) -> u64 {
        let held = self.extras.as_ref().map_or(0, |extras| extras.held());
        self.waiting.len() + held
    }

    /// Whether messages are still to come: a time is set for the next one, or it is sent as soon as it can be.
    pub fn has_more(&self) -> bool {
        let eager = self.extras.as_ref().is_some_and(|extras| extras.is_eager());
        self.next.time < Time::MAX || eager
    }

    /// How many messages are sent and not confirmed, or committed.
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed.len() as u64
    }

    /// The place of a message that is under way in the output of an idempotent producer.
    #[inline]
    pub fn number(&self, sequence: u64) -> Option<ProducerSequence> {
        self.extras.as_ref()?.number(sequence)
    }

    /// Its number in the group.
    pub fn member(&self) -> u32 {
        self.member
    }

    /// The next message's intended time has come.
    #[inline]
    fn arrive(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        if self.kept.is_some() && self.passes_over(now) {
            return;
        }
        if self.extras.is_some() {
            self.arrive_extras(now, out);
            return;
        }
        let arrival = self.next;
        self.next
            .advance(&self.plan.schedule, &self.streams.arrivals, self.limit);
        if self.plan.schedule.is_closed() {
            self.awaited = Some(arrival.index);
        }
        if self.can_send() && self.waiting.is_empty() {
            self.publish(now, arrival.index, arrival.time, 0, out);
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

    /// Whether the next arrival is one that does not take place; then the one after it is next.
    #[cold]
    fn passes_over(&mut self, now: Time) -> bool {
        if self.plan.schedule.is_max() {
            // Whoever sends as soon as it can has no arrivals; it looks for itself.
            return false;
        }
        let next = self.next.index;
        let kept = self.next_kept(next);
        if kept == Some(next) {
            return false;
        }
        let (schedule, stream) = (&self.plan.schedule, &self.streams.arrivals);
        self.next.advance(schedule, stream, self.limit);
        if schedule.is_closed()
            && let Some(kept) = kept
        {
            self.next.index = kept;
            self.next.think(schedule, stream, self.limit, now);
        }
        true
    }

    /// The first arrival from `index` on that takes place.
    fn next_kept(&self, index: u64) -> Option<u64> {
        let Some(kept) = &self.kept else {
            return Some(index);
        };
        let at = kept.partition_point(|kept| *kept < index);
        kept.get(at).copied()
    }

    #[inline]
    fn send_waiting(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        if self.extras.is_some() {
            self.send_extras(now, out);
            return;
        }
        while self.can_send() && !self.waiting.is_empty() {
            let Some((sequence, intended)) = self.pop_waiting() else {
                return;
            };
            self.publish(now, sequence, intended, 0, out);
        }
    }

    #[inline]
    fn pop_waiting(&mut self) -> Option<(u64, Time)> {
        let (schedule, stream, limit) = (&self.plan.schedule, &self.streams.arrivals, self.limit);
        self.waiting
            .pop(|cursor: &mut Cursor| cursor.advance(schedule, stream, limit))
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
    fn publish(
        &mut self,
        now: Time,
        sequence: u64,
        intended: Time,
        attempt: u32,
        out: &mut Vec<ProducerAction>,
    ) {
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
            attempt,
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
        if self.extras.is_some() {
            self.settle_extras(now, settled, outcome, out);
        } else {
            self.finish(now, settled.sequence, settled.intended, outcome, out);
        }
    }

    /// Nothing more will be known of a message.
    #[inline]
    fn finish(
        &mut self,
        now: Time,
        sequence: u64,
        intended: Time,
        outcome: Outcome,
        out: &mut Vec<ProducerAction>,
    ) {
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
