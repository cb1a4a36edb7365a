//! One queue: its messages, its bounds, its consumers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::config::{Durability, Overflow, QueueConfig};
use crate::id::{ConnectionId, LogPosition};
use crate::interface::QueueView;
use crate::ledger::Ledger;
use crate::message::Message;
use crate::roster::Roster;

/// A queue as a state machine. Commands are proposed, then applied once they are committed.
///
/// Ready messages are served by serial. Those that were never delivered lie at or after `cursor`; those that came back
/// lie before it, in `returned`, and go first: that is their original position.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) config: QueueConfig,
    slots: Ledger<Slot>,
    next_serial: u64,
    cursor: u64,
    returned: BinaryHeap<Reverse<u64>>,
    pub(crate) ready: u64,
    ready_bytes: u64,
    pub(crate) in_flight: u64,
    proposed: u64,
    proposed_bytes: u64,
    /// No slot with a smaller serial is in the log.
    oldest_logged: u64,
    /// Connections that wait for room, first come first served.
    pub(crate) parked: VecDeque<ConnectionId>,
    pub(crate) consumers: Roster,
    /// Already on the broker's list of queues to serve.
    pub(crate) touched: bool,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) message: Message,
    /// The place of its enqueue in the log; zero if it was not logged.
    pub(crate) position: LogPosition,
    pub(crate) deliveries: u32,
    pub(crate) redelivered: bool,
    pub(crate) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its enqueue is not committed.
    Proposed,
    /// It can be delivered.
    Ready,
    /// It is with a consumer.
    InFlight,
    /// A consumer has settled it; the command that follows from that is not committed.
    Settling,
    /// It was displaced while ready; its removal is not committed.
    Leaving,
}

impl Slot {
    pub(crate) fn logged(&self) -> bool {
        self.position > LogPosition(0)
    }
}

impl Queue {
    pub(crate) fn new(config: QueueConfig, first_serial: u64) -> Queue {
        Queue {
            consumers: Roster::new(config.dispatch, config.policy.single_active),
            config,
            slots: Ledger::new(),
            next_serial: first_serial,
            cursor: 0,
            returned: BinaryHeap::new(),
            ready: 0,
            ready_bytes: 0,
            in_flight: 0,
            proposed: 0,
            proposed_bytes: 0,
            oldest_logged: 0,
            parked: VecDeque::new(),
            touched: false,
        }
    }

    /// Puts a message in as recovery found it: ready, and perhaps delivered before.
    pub(crate) fn recover(
        &mut self,
        serial: u64,
        position: LogPosition,
        deliveries: u32,
        message: Message,
    ) {
        self.ready += 1;
        self.ready_bytes += message.size();
        self.slots.push(
            serial,
            Slot {
                message,
                position,
                deliveries,
                redelivered: true,
                state: State::Ready,
            },
        );
    }

    /// Makes sure that a serial is never given out.
    pub(crate) fn reserve_serial(&mut self, serial: u64) {
        self.next_serial = self.next_serial.max(serial.saturating_add(1));
    }

    #[inline]
    pub(crate) fn durable(&self) -> bool {
        self.config.durability != Durability::None
    }

    #[inline]
    pub(crate) fn depth(&self) -> u64 {
        self.ready + self.in_flight
    }

    pub(crate) fn view(&self) -> QueueView {
        QueueView {
            name: self.config.name.clone(),
            ready: self.ready,
            in_flight: self.in_flight,
            delayed: 0,
            ready_bytes: self.ready_bytes,
            parked: self.parked.len() as u64,
            consumers: self.consumers.len() as u32,
        }
    }
}

/// Messages.
impl Queue {
    /// Names a newcomer that does not enter.
    pub(crate) fn skip_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    /// Takes a newcomer whose enqueue will be committed later; the result is its serial.
    #[inline]
    pub(crate) fn propose(&mut self, message: Message, position: LogPosition) -> u64 {
        let serial = self.skip_serial();
        self.proposed += 1;
        self.proposed_bytes += message.size();
        self.slots.push(
            serial,
            Slot {
                message,
                position,
                deliveries: 0,
                redelivered: false,
                state: State::Proposed,
            },
        );
        serial
    }

    /// Commits an enqueue; the result is the message's tag.
    #[inline]
    pub(crate) fn enqueue(&mut self, serial: u64) -> u64 {
        let slot = self.slots.get_mut(serial).expect("a proposed slot is live");
        assert_eq!(slot.state, State::Proposed);
        slot.state = State::Ready;
        let size = slot.message.size();
        self.proposed -= 1;
        self.proposed_bytes -= size;
        self.ready += 1;
        self.ready_bytes += size;
        slot.message.tag
    }

    /// The serial that is served next.
    #[inline]
    pub(crate) fn oldest_ready(&self) -> Option<u64> {
        if let Some(Reverse(serial)) = self.returned.peek() {
            return Some(*serial);
        }
        // After the cursor lie ready ones, then proposed ones: commits are in order.
        let (serial, slot) = self.slots.at_or_after(self.cursor)?;
        (slot.state == State::Ready).then_some(serial)
    }

    /// Takes the oldest ready message out of the ready ones, to be delivered.
    #[inline]
    pub(crate) fn deliver(&mut self) -> Option<(u64, &Slot)> {
        self.take_ready(State::InFlight)
    }

    /// Takes the oldest ready message out of the ready ones, to make room.
    pub(crate) fn displace(&mut self) -> Option<(u64, &Slot)> {
        self.take_ready(State::Leaving)
    }

    #[inline]
    fn take_ready(&mut self, state: State) -> Option<(u64, &Slot)> {
        let serial = match self.returned.pop() {
            Some(Reverse(serial)) => serial,
            None => {
                // Serials are dense, nearly always.
                let next = self.slots.get(self.cursor);
                let serial = match next.filter(|slot| slot.state == State::Ready) {
                    Some(_) => self.cursor,
                    None => self.oldest_ready()?,
                };
                self.cursor = serial + 1;
                serial
            }
        };
        let slot = self.slots.get_mut(serial).expect("a ready slot is live");
        debug_assert_eq!(slot.state, State::Ready);
        slot.state = state;
        self.ready -= 1;
        self.ready_bytes -= slot.message.size();
        self.in_flight += u64::from(state == State::InFlight);
        Some((serial, slot))
    }

    /// A consumer is done with a message, one way or another; what follows is not committed yet.
    #[inline]
    pub(crate) fn settle(&mut self, serial: u64) -> &Slot {
        let slot = self
            .slots
            .get_mut(serial)
            .expect("a slot in flight is live");
        assert_eq!(slot.state, State::InFlight);
        slot.state = State::Settling;
        slot
    }

    /// Commits a return to the original position; the result is the message's tag.
    pub(crate) fn give_back(&mut self, serial: u64, deliveries: u32) -> u64 {
        let slot = self.slots.get_mut(serial).expect("a settling slot is live");
        assert_eq!(slot.state, State::Settling);
        slot.state = State::Ready;
        slot.deliveries = deliveries;
        slot.redelivered = true;
        self.in_flight -= 1;
        self.ready += 1;
        self.ready_bytes += slot.message.size();
        self.returned.push(Reverse(serial));
        slot.message.tag
    }

    /// Commits a removal.
    #[inline]
    pub(crate) fn remove(&mut self, serial: u64) -> Slot {
        let slot = self
            .slots
            .remove(serial)
            .expect("a slot that leaves is live");
        match slot.state {
            State::InFlight | State::Settling => self.in_flight -= 1,
            State::Leaving => {}
            State::Proposed | State::Ready => unreachable!("a slot is taken before it is removed"),
        }
        slot
    }

    /// The log's first place that this queue needs.
    pub(crate) fn oldest_position(&mut self) -> Option<LogPosition> {
        while let Some((serial, slot)) = self.slots.at_or_after(self.oldest_logged) {
            self.oldest_logged = serial;
            if slot.logged() {
                return Some(slot.position);
            }
            self.oldest_logged += 1;
        }
        None
    }
}

/// Bounds. They count ready messages and those about to be.
impl Queue {
    #[inline]
    pub(crate) fn bounded(&self) -> bool {
        self.config.max_length.is_some() || self.config.max_bytes.is_some()
    }

    /// True if a message of `size` bytes fits now.
    #[inline]
    pub(crate) fn has_room(&self, size: u64) -> bool {
        self.fits(
            self.ready + self.proposed,
            self.ready_bytes + self.proposed_bytes,
            size,
        )
    }

    /// True if a message of `size` bytes would fit once every ready one is gone.
    pub(crate) fn can_make_room(&self, size: u64) -> bool {
        self.fits(self.proposed, self.proposed_bytes, size)
    }

    /// True if a message of `size` bytes would fit into the empty queue.
    pub(crate) fn can_ever_fit(&self, size: u64) -> bool {
        self.fits(0, 0, size)
    }

    #[inline]
    fn fits(&self, length: u64, bytes: u64, size: u64) -> bool {
        self.config.max_length.is_none_or(|max| length < max)
            && self
                .config
                .max_bytes
                .is_none_or(|max| bytes.saturating_add(size) <= max)
    }

    /// True if the queue says no to a message rather than displace another.
    pub(crate) fn refuses(&self) -> bool {
        matches!(
            self.config.overflow,
            Overflow::RejectPublish | Overflow::Block
        )
    }
}
