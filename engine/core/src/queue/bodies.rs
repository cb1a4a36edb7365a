//! Which bodies of a queue's messages are in memory.

use bytes::Bytes;

use super::{Queue, Slot, State};
use crate::id::LogPosition;

/// Where the body of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// In memory.
    Here,
    /// In the log only.
    Gone,
    /// In the log only, and asked for.
    Awaited,
}

/// What a queue knows of bodies that have left memory.
///
/// What is here is the beginning of the line, as far as the budget goes: a newcomer behind one whose body is gone, and not on its way back,
/// lets go of its own too. So consumers that catch up read the line from its head on, in large pieces, and nothing is read twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bodies {
    /// Messages whose body is not here.
    pub(crate) absent: u64,
    /// Whether to keep their bodies is decided for newcomers before this serial.
    decided: u64,
    /// As long as newcomers before this serial wait and are not asked for, bodies of those behind them leave.
    cold: u64,
    /// Newcomers before this serial have been asked for.
    pub(crate) asked: u64,
    /// With this newcomer at the head it is time to ask for more.
    pub(crate) ask_at: u64,
    /// The routing key of the last one that left: most have the same.
    key: Bytes,
}

impl Slot {
    /// The body can be had again, and nobody works with it.
    fn can_let_go(&self, written: LogPosition) -> bool {
        let idle = self.waits() || self.state == State::InFlight;
        let logged = self.logged() && self.position <= written;
        idle && logged && self.body == Body::Here && self.size > 0
    }
}

impl Queue {
    /// What recovery has found is as it shall be.
    pub(crate) fn bodies_are_recovered(&mut self) {
        self.bodies.decided = self.next_serial();
        let gone = self.slots.iter().rev();
        let last = gone
            .map(|(serial, slot)| (serial, slot.body))
            .find(|(_, body)| *body == Body::Gone);
        self.bodies.cold = last.map_or(0, |(serial, _)| serial + 1);
    }

    /// Lets bodies of newcomers go, once for each: while `held` bytes in all queues exceed `keep`, or behind others that are gone. The log is
    /// written up to `written`. Returns how many bytes left.
    pub(crate) fn let_newcomers_go(
        &mut self,
        mut held: u64,
        keep: u64,
        written: LogPosition,
    ) -> u64 {
        let before = self.held_bytes;
        while let Some((serial, slot)) = self.slots.at_or_after(self.bodies.decided)
            && slot.state != State::Proposed
        {
            self.bodies.decided = serial + 1;
            let waits = slot.waits();
            // Once the last of those that are gone is on its way, who comes stays.
            let behind = self.cursor.max(self.bodies.asked) < self.bodies.cold;
            let crowded = held > keep || behind;
            if crowded && waits && self.oldest_ready() != Some(serial) {
                let gone = self.let_go(serial, written);
                held -= gone;
                if gone > 0 {
                    self.bodies.cold = serial + 1;
                }
            }
        }
        before - self.held_bytes
    }

    /// Lets a body go if it can be had again. Returns its size, else 0.
    pub(crate) fn let_go(&mut self, serial: u64, written: LogPosition) -> u64 {
        let Some(slot) = self.slots.get_mut(serial) else {
            return 0;
        };
        if !slot.can_let_go(written) {
            return 0;
        }
        // A key may share the memory of its body.
        if slot.message.routing_key != self.bodies.key {
            self.bodies.key = Bytes::copy_from_slice(&slot.message.routing_key);
        }
        slot.message.routing_key = self.bodies.key.clone();
        slot.message.body = Bytes::new();
        slot.body = Body::Gone;
        self.bodies.absent += 1;
        self.held_bytes -= slot.size;
        slot.size
    }

    /// A body has been read. Returns its size, if the message was waiting for it.
    pub(crate) fn bring_back(&mut self, serial: u64, body: Bytes) -> u64 {
        let Some(slot) = self.slots.get_mut(serial) else {
            return 0;
        };
        if slot.body != Body::Awaited {
            return 0;
        }
        slot.message.body = body;
        slot.body = Body::Here;
        self.bodies.absent -= 1;
        self.held_bytes += slot.size;
        slot.size
    }

    /// A body has been asked for.
    pub(crate) fn awaits(&mut self, serial: u64) {
        if let Some(slot) = self.slots.get_mut(serial) {
            debug_assert_eq!(slot.body, Body::Gone);
            slot.body = Body::Awaited;
        }
    }

    /// Newcomers from a serial on that wait, ready or not, in order.
    pub(crate) fn newcomers_from(&self, serial: u64) -> impl Iterator<Item = (u64, &Slot)> {
        let slots = self.slots.iter_from(serial);
        slots.take_while(|(_, slot)| slot.state != State::Proposed)
    }
}
