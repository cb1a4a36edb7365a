//! What happens because time passes: messages come due and expire, leases end, queues that nobody uses go.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Broker;
use super::consume::Settlement;
use super::dead_letter::Departure;
use crate::balance::Rng;
use crate::channel::Unacked;
use crate::config::Growth;
use crate::config::RetryDelay;
use crate::id::{ChannelId, GroupId, MessageCopy, QueueId};
use crate::interface::{Event, Output, Removal};
use crate::queue::{Lease, Queue, State};
use crate::time::{Span, Time, WallTime};
use rand::RngExt as _;

/// Most timers that one call looks at; what remains is due at once.
const TIMERS_PER_CALL: u32 = 256;

/// The broker's clock and its timers. A timer that no longer means anything is found out when it fires.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    /// The latest instant that the broker has heard of.
    pub(super) now: Time,
    /// The same instant on the wall clock.
    pub(super) wall: WallTime,
    /// How far the wall clock is ahead, modulo 2^64.
    ahead: u64,
    /// The first timer of all.
    pub(super) next: Time,
    /// Instants that outlive a restart.
    copies: BinaryHeap<Reverse<(WallTime, MessageCopy)>>,
    /// Instants that don't.
    own: BinaryHeap<Reverse<(Time, Watch)>>,
    /// Timers that mean nothing are weeded out from this size on.
    weed_at: usize,
}

/// What a timer of this incarnation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watch {
    Leases(QueueId),
    Use(QueueId),
    Retention(QueueId),
    Rebalance(GroupId),
    Locks(GroupId),
    Sync,
}

enum Due {
    Copy(WallTime, MessageCopy),
    Watch(Time, Watch),
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            now: Time::ZERO,
            wall: WallTime::ZERO,
            ahead: 0,
            next: Time::MAX,
            copies: BinaryHeap::new(),
            own: BinaryHeap::new(),
            weed_at: 1_024,
        }
    }
}

impl Timers {
    /// Time passes.
    #[inline]
    pub(super) fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.wall = WallTime(self.now.0.wrapping_add(self.ahead));
    }

    /// The wall clock says what time it is.
    pub(super) fn set_clock(&mut self, wall: WallTime) {
        self.ahead = wall.0.wrapping_sub(self.now.0);
        self.wall = wall;
        self.find_next();
    }

    #[inline]
    pub(super) fn behind(&self) -> bool {
        self.next <= self.now
    }

    fn watch_copy(&mut self, at: WallTime, copy: MessageCopy) {
        self.copies.push(Reverse((at, copy)));
        self.next = self.next.min(self.time_of(at));
    }

    pub(super) fn watch(&mut self, at: Time, watch: Watch) {
        self.own.push(Reverse((at, watch)));
        self.next = self.next.min(at);
    }

    /// The broker's time at which the wall clock will say `wall`; now if it has.
    fn time_of(&self, wall: WallTime) -> Time {
        self.now + wall.since(self.wall)
    }

    fn find_next(&mut self) {
        let copy = self.copies.peek().map(|Reverse((at, _))| self.time_of(*at));
        let own = self.own.peek().map(|Reverse((at, _))| *at);
        self.next = copy.into_iter().chain(own).min().unwrap_or(Time::MAX);
    }

    fn pop(&mut self) -> Option<Due> {
        let copy = self
            .copies
            .peek()
            .filter(|Reverse((at, _))| *at <= self.wall);
        if copy.is_some() {
            return self
                .copies
                .pop()
                .map(|Reverse((at, copy))| Due::Copy(at, copy));
        }
        self.own.peek().filter(|Reverse((at, _))| *at <= self.now)?;
        self.own
            .pop()
            .map(|Reverse((at, watch))| Due::Watch(at, watch))
    }

    fn weed(&mut self, queues: &[Queue]) {
        self.copies.retain(|Reverse((at, copy))| {
            let slot = queues[copy.queue.index()].slot(copy.serial);
            slot.and_then(|slot| slot.alarm()) == Some(*at)
        });
        self.weed_at = 1_024.max(2 * self.copies.len());
    }
}

/// Timers.
impl Broker {
    /// Does what is due, up to a bound.
    #[cold]
    pub(super) fn run_timers(&mut self, out: &mut Vec<Output>) {
        for _ in 0..TIMERS_PER_CALL {
            match self.timers.pop() {
                Some(Due::Copy(at, copy)) => self.copy_is_due(at, copy, out),
                Some(Due::Watch(at, Watch::Leases(queue))) => self.look_at_leases(queue, at, out),
                Some(Due::Watch(at, Watch::Use(queue))) => self.look_at_use(queue, at, out),
                Some(Due::Watch(_, Watch::Retention(queue))) => self.retention_is_due(queue),
                Some(Due::Watch(_, Watch::Rebalance(group))) => self.rebalance_is_due(group, out),
                Some(Due::Watch(_, Watch::Locks(group))) => self.locks_are_due(group, out),
                Some(Due::Watch(at, Watch::Sync)) => self.sync_is_due(at),
                None => break,
            }
        }
        self.timers.find_next();
        if !self.gets.is_empty() && !self.timers.behind() {
            self.answer_gets(out);
        }
    }

    /// Watches a message that waits, and tells if it is delayed, or leaves at once.
    #[cold]
    pub(super) fn watch_copy(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let Some(slot) = self.queues[copy.queue.index()].slot(copy.serial) else {
            return;
        };
        let (tag, state, alarm) = (slot.message.tag, slot.state, slot.alarm());
        match state {
            State::Delayed => self.observe(Event::Delayed { tag, copy }, out),
            State::Leaving => self.observe(Event::Leaving { tag, copy }, out),
            _ => {}
        }
        if let Some(at) = alarm {
            if self.timers.copies.len() >= self.timers.weed_at {
                self.timers.weed(&self.queues);
            }
            self.timers.watch_copy(at, copy);
        }
    }

    fn copy_is_due(&mut self, at: WallTime, copy: MessageCopy, out: &mut Vec<Output>) {
        let queue = &mut self.queues[copy.queue.index()];
        let Some(slot) = queue
            .slot(copy.serial)
            .filter(|slot| slot.alarm() == Some(at))
        else {
            return;
        };
        let expires = slot.timing.as_ref().map(|timing| timing.times.expires);
        if expires != Some(at) {
            let tag = slot.message.tag;
            queue.come_due(copy.serial);
            self.observe(Event::Due { tag, copy }, out);
            self.touch(copy.queue);
            return self.watch_copy(copy, out);
        }
        let departure = Departure::new(copy, slot, Removal::Expired);
        queue.take(copy.serial, State::Leaving);
        self.touch(copy.queue);
        self.leaves(&departure, out);
        self.dead_letter(departure, out);
        self.commit(out);
    }
}

/// Leases.
impl Broker {
    /// Limits how long a delivery may take. It begins now.
    pub(super) fn lease(&mut self, channel: ChannelId, delivery: u64) {
        let Some(open) = self.connections.channel_mut(channel) else {
            return;
        };
        let epoch = open.epoch;
        let Some(unacked) = open.unacked.get(delivery).copied() else {
            return;
        };
        let Unacked { queue, serial, .. } = unacked;
        if self.queues[queue.index()].stream.is_some() {
            return self.renew_record(unacked);
        }
        let lease = Lease {
            until: Time::ZERO,
            serial,
            channel,
            epoch,
            delivery,
        };
        if let Some(at) = self.queues[queue.index()].lease(self.timers.now, lease) {
            self.timers.watch(at, Watch::Leases(queue));
        }
    }

    /// Ends the first lease of a queue if it ends at `at`, or looks again when the first one ends.
    fn look_at_leases(&mut self, queue: QueueId, at: Time, out: &mut Vec<Output>) {
        let state = &mut self.queues[queue.index()];
        let first = state.first_lease();
        if let Some(lease) = first.filter(|lease| lease.until <= at) {
            state.end_first_lease();
            self.end_lease(queue, lease, out);
        }
        let state = &mut self.queues[queue.index()];
        let next = state.first_lease();
        if let Some(leases) = &mut state.leases {
            leases.armed = next.is_some();
        }
        if let Some(next) = next {
            self.timers.watch(next.until, Watch::Leases(queue));
        }
    }

    fn end_lease(&mut self, queue: QueueId, lease: Lease, out: &mut Vec<Output>) {
        let closes = self.queues[queue.index()]
            .leases
            .as_ref()
            .is_some_and(|leases| leases.timeout.closes_channel);
        let Some(channel) = self
            .connections
            .channel_mut(lease.channel)
            .filter(|channel| channel.epoch == lease.epoch)
        else {
            return;
        };
        let held = channel.unacked.get(lease.delivery).copied();
        if held.is_none_or(|held| (held.queue, held.serial) != (queue, lease.serial)) {
            return;
        }
        if !closes {
            channel.unacked.remove(lease.delivery);
            channel.late = true;
        }
        let copy = MessageCopy {
            queue,
            serial: lease.serial,
        };
        self.observe(Event::LeaseExpired { copy }, out);
        match held {
            Some(held) if !closes => self.settle_one(held, Settlement::Requeue, out),
            _ => self.fail_channel(lease.channel, 406, "a delivery was held for too long", out),
        }
    }
}

/// The use of queues.
impl Broker {
    /// Notes that a queue is used: it has or had a consumer, or somebody asks for it.
    #[inline]
    pub(super) fn note_use(&mut self, queue: QueueId) {
        let state = &mut self.queues[queue.index()];
        let Some(expires) = state.config.policy.expires else {
            return;
        };
        state.last_used = self.timers.now;
        if !std::mem::replace(&mut state.watched, true) {
            let at = self.timers.now + expires.max(Span(1));
            self.timers.watch(at, Watch::Use(queue));
        }
    }

    fn look_at_use(&mut self, queue: QueueId, at: Time, out: &mut Vec<Output>) {
        let state = &mut self.queues[queue.index()];
        state.watched = false;
        let Some(expires) = state.config.policy.expires else {
            return;
        };
        if !state.exists || !state.consumers.is_empty() {
            return;
        }
        let ends = state.last_used + expires.max(Span(1));
        if ends <= at {
            self.delete(queue, out);
        } else {
            state.watched = true;
            self.timers.watch(ends, Watch::Use(queue));
        }
    }
}

impl RetryDelay {
    /// How long to wait after the `failures`-th failure.
    pub(super) fn after(&self, failures: u32, rng: &mut Rng) -> Span {
        let factor = match self.growth {
            Growth::Fixed => 1,
            Growth::Linear => u64::from(failures),
            Growth::Exponential => 1_u64
                .checked_shl(failures.saturating_sub(1))
                .unwrap_or(u64::MAX),
        };
        let longest = (self.base * factor).min(self.max);
        let chance = (longest.0 as f64 * self.jitter.clamp(0.0, 1.0)) as u64;
        match chance {
            0 => longest,
            _ => longest - Span(rng.random_range(0..=chance.min(longest.0))),
        }
    }
}
