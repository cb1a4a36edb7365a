//! A consumer as a state machine.
//!
//! This file has what all consumers do. What some do besides — ask for messages, renew locks, publish on, lose patience,
//! come and go — is in [`extras`], and costs the others a test.

mod acks;
mod extras;
mod plan;

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use queuelab_core::{Span, Time};
use queuelab_scenario::{Ack, Nack};

pub use plan::ConsumerPlan;

use crate::random::Stream;
use acks::Acks;
use extras::Extras;

/// One consumer: it takes messages from its queues in the order of their arrival, each queue over a channel of its own,
/// and serves `concurrency` at a time.
///
/// It starts unconnected, and ignores deliveries until it is connected.
#[derive(Clone, Debug)]
pub struct Consumer {
    plan: Arc<ConsumerPlan>,
    member: u32,
    connected: bool,
    /// Dead until [`Consumer::restart`].
    crashed: bool,
    reconnect_at: Option<Time>,
    paused_since: Option<Time>,
    start: Time,
    /// Its own slowness times what [`Consumer::set_factor`] says.
    factor: f64,
    buffer: VecDeque<(Delivery, Time)>,
    services: BinaryHeap<Reverse<Service>>,
    /// Services started so far: numbers them, so that simultaneous ends keep their order.
    started: u64,
    acks: Vec<Acks>,
    busy: Busy,
    served: u64,
    nacked: u64,
    extras: Option<Box<Extras>>,
    /// It rejects messages with this probability, whatever its plan says: a fault.
    rejects: Option<(f64, Stream)>,
    /// It starts no service: a fault.
    hoards: bool,
}

/// A message on its way to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which of the consumer's queues: an index into the group's `from`.
    pub subscription: u32,
    /// Which partition of that queue; 0 if it has no others.
    pub partition: u32,
    /// The broker's delivery tag: grows on each channel.
    pub delivery: u64,
    /// The message.
    pub tag: u64,
    /// Its serial in the queue.
    pub serial: u64,
    /// It was delivered before, perhaps.
    pub redelivered: bool,
    /// How often it was delivered before, to whomever.
    pub attempt: u32,
}

/// What a consumer did or wants done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerAction {
    /// A service has ended.
    Served {
        /// Of what.
        delivery: Delivery,
        /// When it came in.
        received: Time,
        /// When the service began.
        started: Time,
        /// When it ended.
        ended: Time,
        /// False if it ends with a nack.
        accepted: bool,
    },
    /// Acknowledge a delivery; with `multiple` all up to it on its channel.
    Ack {
        /// The channel.
        subscription: u32,
        /// The delivery tag.
        delivery: u64,
        /// And all before it.
        multiple: bool,
    },
    /// Refuse a delivery.
    Nack {
        /// The channel.
        subscription: u32,
        /// The delivery tag.
        delivery: u64,
        /// Back to the queue; else it is dead.
        requeue: bool,
    },
    /// Open the connection again, then call [`Consumer::connected`], or [`Consumer::reset`] if it fails.
    Connect,
    /// Leave: close the connection in peace, or (`crash`) without a word. `Connect` follows when it is time.
    Disconnect {
        /// Without a word.
        crash: bool,
    },
    /// Ask for a message; answered by [`Consumer::deliver`] or [`Consumer::empty`].
    Get {
        /// The channel.
        subscription: u32,
    },
    /// Still working on a delivery.
    Renew {
        /// The channel.
        subscription: u32,
        /// The delivery tag.
        delivery: u64,
    },
    /// Publish on (`then`): what comes next for a message that was served well. In a transaction the ack and `Commit` follow at once; otherwise the
    /// driver publishes on a confirming channel of its own and calls [`Consumer::forwarded`], and only then comes the ack. A join
    /// (`Then::join`) is the driver's: it publishes only with the last copy, and says `forwarded` for the others at once. The message
    /// published has a tag of its own, as what is decided about a message (its service time, where it goes) follows from its tag.
    Forward {
        /// Of what.
        delivery: Delivery,
        /// Index into `then.to`.
        target: u32,
        /// The body's size; `None` keeps it.
        size: Option<u32>,
    },
    /// Commit the publish and the ack since the last commit on this channel, then call [`Consumer::committed`].
    Commit {
        /// The channel.
        subscription: u32,
    },
}

impl Consumer {
    /// The member number `member` of a group.
    pub fn new(plan: Arc<ConsumerPlan>, member: u32) -> Consumer {
        let acks = vec![Acks::default(); plan.subscriptions.len()];
        let start = plan.start_of(member);
        let extras = (plan.extras.as_ref()).map(|extras| Extras::new(extras, &plan, member, start));
        Consumer {
            factor: plan.slowness_of(member),
            start,
            extras,
            plan,
            member,
            connected: false,
            crashed: false,
            reconnect_at: (start > Time::ZERO).then_some(start),
            paused_since: None,
            buffer: VecDeque::new(),
            services: BinaryHeap::new(),
            started: 0,
            acks,
            busy: Busy::default(),
            served: 0,
            nacked: 0,
            rejects: None,
            hoards: false,
        }
    }

    /// When it opens its connection for the first time. At time zero the driver does so by itself; later the consumer asks for
    /// it with [`ConsumerAction::Connect`].
    pub fn start(&self) -> Time {
        self.start
    }

    /// When to call [`Consumer::tick`]; any other call may change it.
    #[inline]
    pub fn deadline(&self) -> Option<Time> {
        let mut service = self.next_end();
        if self.extras.is_some() {
            service = self.earlier_extra(service);
        }
        match (service, self.reconnect_at) {
            (Some(service), Some(reconnect)) => Some(service.min(reconnect)),
            (service, reconnect) => service.or(reconnect),
        }
    }

    /// Does what is due at `now`; nothing if nothing is.
    pub fn tick(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        if self.reconnect_at.is_some_and(|due| due <= now) {
            self.reconnect_at = None;
            out.push(ConsumerAction::Connect);
        }
        if self.next_end().is_some_and(|end| end <= now) {
            while self.next_end().is_some_and(|end| end <= now) {
                if let Some(Reverse(service)) = self.services.pop() {
                    self.busy.change(now, -1);
                    self.finish(
                        now,
                        service.delivery,
                        service.received,
                        service.started,
                        out,
                    );
                }
                self.start_services(now, out);
            }
            self.flush_if_idle(out);
        }
        if self.extras.is_some() {
            self.tick_extras(now, out);
        }
    }

    /// A message has come in.
    #[inline]
    pub fn deliver(&mut self, now: Time, delivery: Delivery, out: &mut Vec<ConsumerAction>) {
        if !self.connected {
            return;
        }
        if self.batches_acks() {
            self.acks[delivery.subscription as usize]
                .outstanding
                .push(delivery.delivery, false);
        }
        self.buffer.push_back((delivery, now));
        if self.start_services(now, out) {
            self.flush_if_idle(out);
        }
        if self.extras.is_some() {
            self.received(now, out);
        }
    }

    /// The connection is open, with new channels.
    pub fn connected(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        self.connected = !self.crashed;
        self.reconnect_at = None;
        self.connected_extras(now, out);
    }

    /// The connection is lost, or could not be opened: what was delivered is forgotten, services under way are abandoned.
    pub fn reset(&mut self, now: Time, _out: &mut Vec<ConsumerAction>) {
        self.forget(now);
        if !self.crashed && !self.is_gone() {
            self.reconnect_at = self
                .reconnect_at
                .or_else(|| self.plan.reconnects_at(now, self.member));
        }
    }

    /// A `Get` found nothing.
    pub fn empty(&mut self, now: Time, _subscription: u32, out: &mut Vec<ConsumerAction>) {
        self.answered_empty(now, out);
    }

    /// What was published on for this delivery is confirmed (or not `accepted`: the delivery goes back). A second answer, or one
    /// that comes after a reset, is ignored.
    pub fn forwarded(
        &mut self,
        now: Time,
        delivery: Delivery,
        accepted: bool,
        out: &mut Vec<ConsumerAction>,
    ) {
        if self.takes_back(&delivery) {
            self.settle(&delivery, accepted, true, out);
            self.flush_if_idle(out);
            self.mind_extras(now, out);
        }
    }

    /// The answer to a commit; if it failed, the delivery goes back.
    pub fn committed(
        &mut self,
        now: Time,
        subscription: u32,
        accepted: bool,
        out: &mut Vec<ConsumerAction>,
    ) {
        self.commit_answered(now, subscription, accepted, out);
    }

    /// The process dies, until [`Consumer::restart`].
    pub fn crash(&mut self, now: Time, _out: &mut Vec<ConsumerAction>) {
        self.forget(now);
        self.crashed = true;
        self.reconnect_at = None;
    }

    /// The process comes back and asks to be connected.
    pub fn restart(&mut self, _now: Time, out: &mut Vec<ConsumerAction>) {
        if std::mem::take(&mut self.crashed) && !self.is_gone() {
            out.push(ConsumerAction::Connect);
        }
    }

    /// From now on service takes `factor` times as long, what remains of a service under way too.
    pub fn set_factor(&mut self, now: Time, factor: f64) {
        let factor = factor * self.plan.slowness_of(self.member);
        let ratio = factor / std::mem::replace(&mut self.factor, factor);
        let now = self.paused_since.unwrap_or(now);
        self.move_ends(|end| now + scale(end.since(now), ratio));
    }

    /// From now on what is served well is rejected with such a probability, and goes back to its queue; a delivery's lot is drawn by its message and
    /// attempt.
    pub fn reject(&mut self, rejects: Option<(f64, Stream)>) {
        self.rejects = rejects;
    }

    /// From now on it starts no service any more, or again.
    pub fn hoard(&mut self, now: Time, on: bool, out: &mut Vec<ConsumerAction>) {
        if std::mem::replace(&mut self.hoards, on) && !on {
            if self.start_services(now, out) {
                self.flush_if_idle(out);
            }
            self.mind_extras(now, out);
        }
    }

    /// Suspends the services under way and starts no other; what comes in is kept.
    pub fn pause(&mut self, now: Time) {
        if self.paused_since.is_none() {
            self.busy.change(now, 0);
            self.busy.running = false;
            self.paused_since = Some(now);
        }
    }

    /// Ends a pause: what remained of the services under way begins now.
    pub fn resume(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        if let Some(since) = self.paused_since.take() {
            self.move_ends(|end| end + now.since(since));
            self.busy.change(now, 0);
            self.busy.running = true;
            if self.start_services(now, out) {
                self.flush_if_idle(out);
            }
            self.mind_extras(now, out);
        }
    }

    /// How many messages wait for their service.
    pub fn buffered(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// How many messages are being served, or suspended in their service.
    pub fn serving(&self) -> u32 {
        self.services.len() as u32
    }

    /// Service time given so far, pauses left out, all slots together.
    pub fn busy_time(&self, now: Time) -> Span {
        self.busy.until(now)
    }

    /// How many services have ended.
    pub fn served(&self) -> u64 {
        self.served
    }

    /// How many of them ended with a nack.
    pub fn nacked(&self) -> u64 {
        self.nacked
    }

    /// Its number in the group.
    pub fn member(&self) -> u32 {
        self.member
    }

    /// When the first service under way ends.
    #[inline]
    fn next_end(&self) -> Option<Time> {
        let Reverse(service) = self.services.peek()?;
        self.paused_since.is_none().then_some(service.ends)
    }

    /// Starts what can be started; services that take no time end at once, and `true` says that there were any.
    #[inline]
    fn start_services(&mut self, now: Time, out: &mut Vec<ConsumerAction>) -> bool {
        !self.buffer.is_empty() && !self.hoards && self.start_buffered(now, out)
    }

    fn start_buffered(&mut self, now: Time, out: &mut Vec<ConsumerAction>) -> bool {
        let mut any_ended = false;
        while self.paused_since.is_none() && self.services.len() < self.plan.concurrency {
            if let Some(extras) = &self.extras
                && !extras.may_start(now)
            {
                break;
            }
            let Some((delivery, received)) = self.buffer.pop_front() else {
                break;
            };
            if let Some(extras) = &mut self.extras {
                extras.started(now);
            }
            let time = scale(self.plan.service_time(now, &delivery), self.factor);
            if time.is_zero() {
                any_ended = true;
                self.finish(now, delivery, received, now, out);
            } else {
                let service = Service {
                    ends: now + time,
                    number: self.started,
                    delivery,
                    received,
                    started: now,
                };
                self.services.push(Reverse(service));
                self.started += 1;
                self.busy.change(now, 1);
            }
        }
        any_ended
    }

    #[inline]
    fn finish(
        &mut self,
        now: Time,
        delivery: Delivery,
        received: Time,
        started: Time,
        out: &mut Vec<ConsumerAction>,
    ) {
        let mut nack = self.plan.nack(&delivery);
        if let Some((p, stream)) = &self.rejects
            && nack.is_none()
            && stream
                .at2(delivery.tag, u64::from(delivery.attempt))
                .next_f64()
                < *p
        {
            nack = Some(Nack {
                probability: *p,
                requeue: true,
            });
        }
        self.served += 1;
        self.nacked += u64::from(nack.is_some());
        out.push(ConsumerAction::Served {
            delivery,
            received,
            started,
            ended: now,
            accepted: nack.is_none(),
        });

        if self.extras.is_some() && self.goes_on(&delivery, nack.is_none(), out) {
            return;
        }
        let requeue = nack.is_some_and(|nack| nack.requeue);
        self.settle(&delivery, nack.is_none(), requeue, out);
    }

    /// Acknowledges a delivery, when its turn comes, or refuses it.
    #[inline]
    fn settle(
        &mut self,
        delivery: &Delivery,
        accepted: bool,
        requeue: bool,
        out: &mut Vec<ConsumerAction>,
    ) {
        let Delivery {
            subscription,
            delivery,
            ..
        } = *delivery;
        let Ack::Manual { every, .. } = self.plan.ack else {
            return;
        };
        if !accepted {
            out.push(ConsumerAction::Nack {
                subscription,
                delivery,
                requeue,
            });
        }
        if every <= 1 {
            if accepted {
                out.push(ConsumerAction::Ack {
                    subscription,
                    delivery,
                    multiple: false,
                });
            }
            return;
        }
        let acks = &mut self.acks[subscription as usize];
        acks.settle(delivery, accepted);
        if acks.ready >= every {
            acks.flush(subscription, out);
        }
    }

    /// Too few for an ack of several would never be acknowledged: with nothing left to do, what is ready is.
    #[inline]
    fn flush_if_idle(&mut self, out: &mut Vec<ConsumerAction>) {
        if self.batches_acks() && self.buffer.is_empty() && self.services.is_empty() {
            for (subscription, acks) in (0..).zip(&mut self.acks) {
                acks.flush(subscription, out);
            }
        }
    }

    #[inline]
    fn batches_acks(&self) -> bool {
        matches!(self.plan.ack, Ack::Manual { every, .. } if every > 1)
    }

    fn forget(&mut self, now: Time) {
        self.connected = false;
        self.buffer.clear();
        self.busy.change(now, -(self.services.len() as i64));
        self.services.clear();
        self.acks.iter_mut().for_each(Acks::clear);
        if let Some(extras) = &mut self.extras {
            extras.forget();
        }
    }

    /// Moves the ends of the services under way by a map that keeps their order.
    fn move_ends(&mut self, map: impl Fn(Time) -> Time) {
        let mut services = std::mem::take(&mut self.services).into_vec();
        for Reverse(service) in &mut services {
            service.ends = map(service.ends);
        }
        self.services = BinaryHeap::from(services);
    }
}

/// A service under way.
#[derive(Clone, Copy, Debug)]
struct Service {
    ends: Time,
    number: u64,
    delivery: Delivery,
    received: Time,
    started: Time,
}

impl Ord for Service {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.ends, self.number).cmp(&(other.ends, other.number))
    }
}

impl PartialOrd for Service {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Service {}

/// The integral of the number of busy slots.
#[derive(Clone, Copy, Debug)]
struct Busy {
    total: Span,
    since: Time,
    slots: u64,
    running: bool,
}

impl Default for Busy {
    fn default() -> Self {
        Busy {
            total: Span::ZERO,
            since: Time::ZERO,
            slots: 0,
            running: true,
        }
    }
}

impl Busy {
    fn until(&self, now: Time) -> Span {
        if self.running {
            self.total + now.since(self.since) * self.slots
        } else {
            self.total
        }
    }

    #[inline]
    fn change(&mut self, now: Time, slots: i64) {
        self.total = self.until(now);
        self.since = now;
        self.slots = self.slots.saturating_add_signed(slots);
    }
}

/// A span times a factor, to the nearest nanosecond.
#[inline]
fn scale(span: Span, factor: f64) -> Span {
    if factor == 1.0 {
        span
    } else {
        Span((span.0 as f64 * factor + 0.5) as u64)
    }
}
