//! Messages that wait for an instant.

use super::{Body, Queue, Slot, State};
use crate::interface::Times;
use crate::message::Message;
use crate::time::{Span, Time, WallTime};

/// What a message has besides its content, if time or a special place matter to it.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) times: Times,
    /// Its place among the ready ones: before the message of this serial, in this order. Absent: where its serial says.
    pub(crate) place: Option<(u64, u64)>,
    /// While it is in flight: until when.
    pub(crate) lease: Time,
}

impl Timing {
    pub(crate) fn none() -> Box<Timing> {
        Box::new(Timing {
            times: Times::ANY,
            place: None,
            lease: Time::ZERO,
        })
    }

    #[inline]
    pub(crate) fn new(times: Times) -> Option<Box<Timing>> {
        (times != Times::ANY).then(|| {
            let mut timing = Timing::none();
            timing.times = times;
            timing
        })
    }
}

impl Slot {
    /// It is in its queue, for consumers to come.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.state, State::Ready | State::Placed | State::Delayed)
    }

    /// When something is to happen to it, if it waits for that.
    pub(crate) fn alarm(&self) -> Option<WallTime> {
        let times = &self.timing.as_ref()?.times;
        let at = match self.state {
            State::Ready | State::Placed => times.expires,
            State::Delayed => times.due.min(times.expires),
            _ => return None,
        };
        (at != WallTime::MAX).then_some(at)
    }
}

impl Queue {
    /// When a message that enters at `now` may be delivered.
    #[inline]
    pub(crate) fn times(&self, message: &Message, now: WallTime) -> Times {
        if self.config.policy.ttl.is_none() && message.properties.is_none() {
            return Times::ANY;
        }
        let properties = message.properties.as_deref();
        let own = properties.and_then(|properties| properties.ttl);
        let ttl = match (self.config.policy.ttl, own) {
            (Some(queue), Some(own)) => Some(queue.min(own)),
            (queue, own) => queue.or(own),
        };
        let delay = properties.and_then(|properties| properties.delay);
        Times {
            due: delay
                .filter(|delay| !delay.is_zero())
                .map_or(WallTime::ZERO, |delay| now + delay),
            // With no time to live at all it lives in this very instant.
            expires: ttl.map_or(WallTime::MAX, |ttl| now + ttl.max(Span(1))),
        }
    }

    /// Lets a message wait: until it is due, or for a consumer. True if it does not: its queue was deleted meanwhile.
    pub(super) fn wait(&mut self, serial: u64, now: WallTime) -> bool {
        let slot = self.slots.get_mut(serial).expect("a slot to wait is live");
        let due = slot
            .timing
            .as_ref()
            .map_or(WallTime::ZERO, |timing| timing.times.due);
        let size = slot.size;
        if serial < self.floor {
            slot.state = State::Leaving;
            return true;
        } else if due > now {
            slot.state = State::Delayed;
            self.delayed += 1;
            self.delayed_bytes += size;
            self.uneven = true;
            self.even_out();
        } else {
            let placed = slot
                .timing
                .as_ref()
                .is_some_and(|timing| timing.place.is_some());
            let newcomer =
                slot.state == State::Proposed && self.config.policy.max_priority == 0 && !placed;
            slot.state = if newcomer {
                State::Ready
            } else {
                State::Placed
            };
            self.ready += 1;
            self.ready_bytes += size;
            if !newcomer {
                self.put(serial);
            }
            if self.lanes.is_some() {
                self.enter_lanes(serial);
            }
        }
        false
    }

    /// A delayed message is ready. One that was never delivered comes behind those that are there.
    pub(crate) fn come_due(&mut self, serial: u64) {
        let Some(slot) = self.slots.get_mut(serial) else {
            return;
        };
        let size = slot.size;
        slot.state = State::Placed;
        let first = slot.deliveries == 0
            && slot
                .timing
                .as_ref()
                .is_some_and(|timing| timing.place.is_none());
        self.delayed -= 1;
        self.delayed_bytes -= size;
        self.ready += 1;
        self.ready_bytes += size;
        if first {
            self.move_to_tail(serial);
        }
        self.put(serial);
        if self.lanes.is_some() {
            self.enter_lanes(serial);
        }
    }

    /// A message that comes back is ready from `due` on, at the place that the queue's policy gives it. The result is that place, if it is
    /// not where its serial says.
    pub(crate) fn postpone(&mut self, serial: u64, due: WallTime) -> Option<(u64, u64)> {
        self.choose_place(serial);
        let slot = self.slots.get_mut(serial)?;
        if due > WallTime::ZERO || slot.timing.is_some() {
            slot.timing.get_or_insert_with(Timing::none).times.due = due;
        }
        slot.timing.as_ref()?.place
    }

    /// Puts a message in as recovery found it: perhaps delivered before, and delayed until time tells.
    pub(crate) fn recover(&mut self, slot: Slot, serial: u64) {
        self.held_bytes += slot.message.size();
        self.bodies.absent += u64::from(slot.body != Body::Here);
        self.slots.push(serial, slot);
        self.wait(serial, WallTime::ZERO);
    }
}
