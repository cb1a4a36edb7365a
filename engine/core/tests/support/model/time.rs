//! What the naive broker does as time passes.

use super::*;

/// The time, and the wall clock.
#[derive(Default)]
pub(super) struct Clock {
    started: bool,
    pub(super) now: Time,
    set_at: Time,
    set_to: WallTime,
}

/// How long a delivery may take.
pub(super) struct Lease {
    until: Time,
    pub(super) channel: ChannelId,
    delivery: u64,
    copy: MessageCopy,
}

/// What is to happen, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Copy(WallTime, MessageCopy),
    /// A lease, by its queue and by its place in the list.
    Lease(Time, QueueId, usize),
    Unused(Time, QueueId),
    Sync(Time),
}

impl Clock {
    pub(super) fn set(&mut self, wall: WallTime) {
        (self.set_at, self.set_to) = (self.now, wall);
    }

    pub(super) fn wall(&self) -> WallTime {
        self.set_to + (self.now - self.set_at)
    }
}

impl Model {
    pub(super) fn advance(&mut self, now: Time) {
        self.clock.now = now;
        if !std::mem::replace(&mut self.clock.started, true) {
            for queue in &mut self.queues {
                queue.last_used = now;
            }
        }
    }

    /// Does what is due, one thing after the other.
    pub(super) fn run_timers(&mut self) {
        while let Some(due) = self.next_due() {
            match due {
                Due::Copy(_, name) => self.copy_is_due(name),
                Due::Lease(_, _, at) => self.end_lease(at),
                Due::Unused(_, queue) => self.delete(queue),
                Due::Sync(_) => {
                    self.sync_at = None;
                    self.needs_sync = true;
                }
            }
        }
    }

    fn next_due(&self) -> Option<Due> {
        let (now, wall) = (self.clock.now, self.clock.wall());
        let copies = self.alarms().filter(|(at, _)| *at <= wall).min();
        if let Some((at, copy)) = copies {
            return Some(Due::Copy(at, copy));
        }
        let watches = self.watches().into_iter();
        watches
            .filter(|(at, ..)| *at <= now)
            .min()
            .map(|(_, due)| due)
    }

    fn alarms(&self) -> impl Iterator<Item = (WallTime, MessageCopy)> {
        (0..)
            .map(QueueId)
            .zip(&self.queues)
            .flat_map(|(queue, state)| {
                state.copies.iter().filter_map(move |copy| {
                    let at = match copy.state {
                        State::Ready => copy.times.expires,
                        State::Delayed => copy.times.due.min(copy.times.expires),
                        _ => return None,
                    };
                    let serial = copy.serial;
                    (at < WallTime::MAX).then_some((at, MessageCopy { queue, serial }))
                })
            })
    }

    fn watches(&self) -> Vec<(Time, Due)> {
        let mut watches: Vec<_> = self
            .sync_at
            .map(|at| (at, Due::Sync(at)))
            .into_iter()
            .collect();
        for (at, lease) in self.leases.iter().enumerate() {
            let copies = &self.queues[lease.copy.queue.index()].copies;
            let held = copies
                .iter()
                .any(|copy| copy.serial == lease.copy.serial && copy.state == State::InFlight);
            if held && self.unacked(lease.channel).contains(&lease.delivery) {
                watches.push((lease.until, Due::Lease(lease.until, lease.copy.queue, at)));
            }
        }
        for (at, queue) in self.queues.iter().enumerate() {
            let expires = self.config.queues[at].policy.expires;
            if let Some(expires) = expires.filter(|_| !queue.gone && queue.consumers.is_empty()) {
                let until = queue.last_used + expires.max(Span(1));
                watches.push((until, Due::Unused(until, QueueId(at as u32))));
            }
        }
        watches
    }

    fn copy_is_due(&mut self, name: MessageCopy) {
        let next_serial = self.queues[name.queue.index()].next_serial;
        let places = self.queues[name.queue.index()].places + 1;
        let copy = self.copy(name);
        let (tag, message, logged) = (copy.message.tag, copy.message.clone(), copy.logged);
        if copy.state == State::Delayed && copy.times.due < copy.times.expires {
            copy.state = State::Ready;
            // What was never delivered comes last; what was has its place.
            if copy.deliveries == 0 && copy.place.is_none() {
                copy.place = Some((next_serial, places));
                self.queues[name.queue.index()].places = places;
            }
            return self.observe(Event::Due { tag, copy: name });
        }
        copy.state = State::Leaving;
        let expired = Removal::Expired;
        self.dead_letter(name, message, logged, true, Origin::Nobody, 0, expired);
        self.commit();
    }

    /// A delivery may take a while, from now on.
    pub(super) fn lease(&mut self, channel: ChannelId, delivery: u64) {
        let unacked = &self.channel(channel).unacked;
        let Some(name) = unacked
            .iter()
            .find(|(tag, ..)| *tag == delivery)
            .map(|(_, name, _)| *name)
        else {
            return;
        };
        let Some(timeout) = self.config.queues[name.queue.index()].policy.ack_timeout else {
            return;
        };
        let until = self.clock.now + timeout.after.max(Span(1));
        let known = |lease: &Lease| (lease.channel, lease.delivery) == (channel, delivery);
        // Who renews in the same instant keeps the place in line.
        if self
            .leases
            .iter()
            .any(|lease| known(lease) && lease.until == until)
        {
            return;
        }
        self.leases.retain(|lease| !known(lease));
        self.leases.push(Lease {
            until,
            channel,
            delivery,
            copy: name,
        });
    }

    fn end_lease(&mut self, at: usize) {
        let Lease {
            channel,
            delivery,
            copy,
            ..
        } = self.leases.remove(at);
        self.observe(Event::LeaseExpired { copy });
        let timeout = self.config.queues[copy.queue.index()].policy.ack_timeout;
        if timeout.unwrap().closes_channel {
            return self.fail(channel, 406, "a delivery was held for too long");
        }
        let open = self.channel(channel);
        open.late = true;
        open.unacked.retain(|(tag, ..)| *tag != delivery);
        self.settle_one(copy, Some(true));
    }

    /// A message comes back, or was delivered too often.
    pub(super) fn give_back(&mut self, name: MessageCopy) {
        let policy = self.config.queues[name.queue.index()].policy.clone();
        let wall = self.clock.wall();
        let copy = self.copy(name).clone();
        let deliveries = copy.deliveries + 1;
        if policy
            .delivery_limit
            .is_some_and(|limit| deliveries > limit)
        {
            let exhausted = Removal::Exhausted;
            let Copy {
                message, logged, ..
            } = copy;
            return self.dead_letter(name, message, logged, true, Origin::Nobody, 0, exhausted);
        }
        let due = policy.retry_delay.map_or(WallTime::ZERO, |delay| {
            assert_eq!(delay.jitter, 0.0, "chance is not predicted");
            let mut span = delay.base;
            for n in 1..deliveries {
                span = match delay.growth {
                    Growth::Fixed => span,
                    Growth::Linear => delay.base * u64::from(n + 1),
                    Growth::Exponential => span + span,
                };
            }
            wall + span.min(delay.max)
        });
        let queue = &mut self.queues[name.queue.index()];
        let place = queue.place_to_return(policy.requeue, queue.next_serial);
        let copy = self.copy(name);
        copy.place = place.or(copy.place);
        copy.times.due = due;
        let (logged, place) = (copy.logged, copy.place);
        self.effects
            .push((Effect::Return(name, deliveries), logged));
        if logged {
            self.commands.push(Command::Return {
                copy: name,
                deliveries,
                due,
                place,
            });
        }
    }

    pub(super) fn times(&self, queue: QueueId, message: &Message) -> Times {
        let wall = self.clock.wall();
        let properties = message.properties.clone().unwrap_or_default();
        let limits = [self.config.queues[queue.index()].policy.ttl, properties.ttl];
        let ttl = limits.into_iter().flatten().min();
        let delay = properties.delay.unwrap_or_default();
        Times {
            due: if delay == Span::ZERO {
                WallTime::ZERO
            } else {
                wall + delay
            },
            expires: ttl.map_or(WallTime::MAX, |ttl| wall + ttl.max(Span(1))),
        }
    }

    /// A committed message waits.
    pub(super) fn wait(&mut self, name: MessageCopy) {
        let wall = self.clock.wall();
        let floor = self.queues[name.queue.index()].floor;
        let copy = self.copy(name);
        if name.serial < floor {
            copy.state = State::Leaving;
        } else if copy.times.due > wall {
            copy.state = State::Delayed;
            let tag = copy.message.tag;
            self.observe(Event::Delayed { tag, copy: name });
        } else {
            copy.state = State::Ready;
        }
    }

    pub(super) fn assert_deadline(&self, deadline: Option<Time>) {
        let wall = self.clock.wall();
        let alarms = self.alarms().map(|(at, _)| self.clock.now + at.since(wall));
        let watches = self.watches().into_iter().map(|(at, _)| at);
        if let Some(first) = alarms.chain(watches).min() {
            assert!(
                deadline.is_some_and(|deadline| deadline <= first),
                "{deadline:?} is too late for {first:?}"
            );
        }
    }
}
