//! One queue: its messages, its bounds, its consumers.

mod bodies;
mod entries;
mod lanes;
mod leases;
mod order;
mod timing;

use std::collections::VecDeque;

use crate::config::{Durability, Overflow, QueueConfig, Requeue};
use crate::id::{ConnectionId, LogPosition};
use crate::interface::{QueueView, Times};
use crate::ledger::Ledger;
use crate::message::Message;
use crate::roster::Roster;
use crate::seen::Seen;
use crate::stream::Stream;
use crate::time::{Time, WallTime};

use self::bodies::Bodies;
pub(crate) use self::bodies::Body;
pub(crate) use self::entries::{InLog, oldest_original, originals_before};
use self::lanes::Lanes;
pub(crate) use self::leases::{Lease, Leases};
use self::order::Placed;
pub(crate) use self::timing::Timing;

/// A queue as a state machine. Commands are proposed, then applied once they are committed.
///
/// Ready messages stand in two lines: newcomers by serial, from `cursor` on, and those that have a place of their own
/// (they came back, were delayed, or have a priority), in `placed`. The smaller place goes first.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) config: QueueConfig,
    /// It was declared and not deleted since.
    pub(crate) exists: bool,
    /// The place in the log of its deletion, as long as that counts.
    pub(crate) deleted_at: LogPosition,
    /// Serials below this one were deleted with the queue.
    floor: u64,
    slots: Ledger<Slot>,
    next_serial: u64,
    cursor: u64,
    placed: Placed,
    /// Newcomers enter the line of newcomers: no priorities, never deleted.
    plain: bool,
    /// Messages were taken or delayed out of order: lines may have gaps.
    uneven: bool,
    pub(crate) ready: u64,
    ready_bytes: u64,
    pub(crate) delayed: u64,
    delayed_bytes: u64,
    /// Dead letters that wait for their targets.
    stalled: u64,
    pub(crate) in_flight: u64,
    proposed: u64,
    proposed_bytes: u64,
    /// Bytes of all bodies in it that are in memory.
    pub(crate) held_bytes: u64,
    /// Those that are not.
    pub(crate) bodies: Bodies,
    /// No slot with a smaller serial is in the log, but for copies.
    oldest_logged: u64,
    /// What deliveries may take, if that is limited.
    pub(crate) leases: Option<Box<Leases>>,
    /// What it knows again.
    pub(crate) seen: Option<Box<Seen>>,
    /// When it was last used, and whether a timer runs that looks at that.
    pub(crate) last_used: Time,
    pub(crate) watched: bool,
    /// Connections that wait for room, first come first served.
    pub(crate) parked: VecDeque<ConnectionId>,
    pub(crate) consumers: Roster,
    /// Who may take what, if that is not all the same.
    pub(crate) lanes: Option<Box<Lanes>>,
    /// Already on the broker's list of queues to serve.
    pub(crate) touched: bool,
    /// What it holds instead of messages, if it is a stream.
    pub(crate) stream: Option<Box<Stream>>,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) message: Message,
    /// The place of its enqueue in the log; zero if it was not logged.
    pub(crate) position: LogPosition,
    pub(crate) deliveries: u32,
    pub(crate) redelivered: bool,
    /// Its entry in the log is a copy: it is younger than its serial says.
    pub(crate) copied: bool,
    pub(crate) state: State,
    pub(crate) body: Body,
    /// Bytes of the body, here or not.
    pub(crate) size: u64,
    /// What most messages do without.
    pub(crate) timing: Option<Box<Timing>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its enqueue is not committed.
    Proposed,
    /// It can be delivered, in the line of newcomers.
    Ready,
    /// It can be delivered, at a place of its own.
    Placed,
    /// It is not ready before some instant.
    Delayed,
    /// It is with a consumer.
    InFlight,
    /// A consumer has settled it; the command that follows from that is not committed.
    Settling,
    /// It was taken while it waited; its removal is not committed.
    Leaving,
    /// A dead letter that its target has no room for.
    Stalled,
}

impl Queue {
    pub(crate) fn new(config: QueueConfig, first_serial: u64) -> Queue {
        let prioritised = config.policy.max_priority > 0;
        Queue {
            consumers: Roster::new(config.dispatch, config.policy.single_active),
            exists: true,
            deleted_at: LogPosition(0),
            floor: 0,
            slots: Ledger::new(),
            next_serial: first_serial,
            // Who has a priority has a place: there is no line of newcomers.
            cursor: if prioritised { u64::MAX } else { 0 },
            placed: Placed::default(),
            plain: !prioritised,
            uneven: false,
            ready: 0,
            ready_bytes: 0,
            delayed: 0,
            delayed_bytes: 0,
            stalled: 0,
            in_flight: 0,
            proposed: 0,
            proposed_bytes: 0,
            held_bytes: 0,
            bodies: Bodies::default(),
            oldest_logged: 0,
            lanes: None,
            leases: config.policy.ack_timeout.map(Leases::new),
            seen: None,
            last_used: Time::ZERO,
            watched: false,
            parked: VecDeque::new(),
            touched: false,
            stream: None,
            config,
        }
    }

    /// The first serial that was not given out.
    pub(crate) fn next_serial(&self) -> u64 {
        match &self.stream {
            Some(stream) => stream.copy(stream.next()).serial,
            None => self.next_serial,
        }
    }

    /// Makes sure that a serial is never given out.
    pub(crate) fn reserve_serial(&mut self, serial: u64) {
        self.next_serial = self.next_serial.max(serial.saturating_add(1));
    }

    #[inline]
    pub(crate) fn durable(&self) -> bool {
        self.config.durability != Durability::None
    }

    /// The stream that this queue is.
    pub(crate) fn stream_mut(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("the queue is a stream")
    }

    #[inline]
    pub(crate) fn depth(&self) -> u64 {
        self.ready + self.in_flight
    }

    pub(crate) fn view(&self) -> QueueView {
        let (bytes, consumers) = match &self.stream {
            Some(stream) => (stream.bytes(), stream.readers.len()),
            None => (self.ready_bytes, self.consumers.len()),
        };
        QueueView {
            name: self.config.name.clone(),
            ready: self.ready,
            in_flight: self.in_flight,
            delayed: self.delayed,
            stalled: self.stalled,
            ready_bytes: bytes,
            parked: self.parked.len() as u64,
            consumers: consumers as u32,
            groups: self.groups(),
            resident_bytes: self.held_bytes,
            absent: self.bodies.absent,
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
    // Always inlined, so that a message is moved to where it stays at once.
    #[inline(always)]
    pub(crate) fn propose(&mut self, message: Message, position: LogPosition, times: Times) -> u64 {
        let serial = self.skip_serial();
        let size = message.size();
        self.proposed += 1;
        self.proposed_bytes += size;
        self.held_bytes += size;
        self.slots.push(
            serial,
            Slot {
                message,
                position,
                deliveries: 0,
                redelivered: false,
                copied: false,
                state: State::Proposed,
                body: Body::Here,
                size,
                timing: Timing::new(times),
            },
        );
        serial
    }

    /// Commits an enqueue at `now`; the result is the message's tag, and whether it has instants to watch, or leaves at once.
    #[inline]
    pub(crate) fn enqueue(&mut self, serial: u64, now: WallTime) -> (u64, bool) {
        let slot = self.slots.get_mut(serial).expect("a proposed slot is live");
        assert_eq!(slot.state, State::Proposed);
        let (tag, size) = (slot.message.tag, slot.size);
        self.proposed -= 1;
        self.proposed_bytes -= size;
        let timed = slot.timing.is_some();
        if self.plain && !timed {
            slot.state = State::Ready;
            self.ready += 1;
            self.ready_bytes += size;
        } else {
            if self.lanes.is_some() {
                self.join_group(serial);
            }
            let leaves = self.wait(serial, now);
            return (tag, timed || leaves);
        }
        (tag, timed)
    }

    /// Takes the oldest ready message out of the ready ones, to be delivered.
    #[inline]
    pub(crate) fn deliver(&mut self) -> Option<(u64, &Slot)> {
        self.take_ready(State::InFlight)
    }

    /// Takes the oldest ready message out of the ready ones, to make room.
    pub(crate) fn displace(&mut self) -> Option<(u64, &Slot)> {
        if self.lanes.is_none() {
            return self.take_ready(State::Leaving);
        }
        let serial = self.oldest_ready()?;
        self.take(serial, State::Leaving);
        Some((serial, self.slots.get(serial)?))
    }

    /// Takes a ready message, wherever it stands, to be delivered.
    pub(crate) fn deliver_chosen(&mut self, serial: u64) -> Option<(u64, &Slot)> {
        self.take(serial, State::InFlight);
        Some((serial, self.slots.get(serial)?))
    }

    /// A consumer is done with a message, one way or another; what follows is not committed yet. `None` if the queue was deleted meanwhile.
    #[inline]
    pub(crate) fn settle(&mut self, serial: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(serial)?;
        if slot.state != State::InFlight {
            return None;
        }
        slot.state = State::Settling;
        Some(slot)
    }

    /// Commits a return at `now`; the result is the message's tag, and whether it has instants to watch, or leaves at once.
    pub(crate) fn give_back(&mut self, serial: u64, deliveries: u32, now: WallTime) -> (u64, bool) {
        let slot = self.slots.get_mut(serial).expect("a settling slot is live");
        assert_eq!(slot.state, State::Settling);
        slot.deliveries = deliveries;
        slot.redelivered = true;
        let (tag, timed) = (slot.message.tag, slot.timing.is_some());
        self.in_flight -= 1;
        let leaves = self.wait(serial, now);
        (tag, timed || leaves)
    }

    /// Commits a removal; the result is the message's tag, and whether it is in the log. `None` if the queue was deleted meanwhile.
    #[inline]
    pub(crate) fn remove(&mut self, serial: u64) -> Option<(u64, bool)> {
        if self.lanes.is_some() {
            self.leave_group(serial);
        }
        let look = |slot: &Slot| {
            let message = &slot.message;
            let size = message.size();
            (message.tag, size, slot.state, slot.body, slot.logged())
        };
        let (tag, size, state, body, logged) = self.slots.discard(serial, look)?;
        self.held_bytes -= size;
        self.bodies.absent -= u64::from(body != Body::Here);
        match state {
            State::InFlight | State::Settling => self.in_flight -= 1,
            State::Stalled => self.stalled -= 1,
            State::Leaving => {}
            State::Proposed | State::Ready | State::Placed | State::Delayed => {
                unreachable!("a slot is taken before it is removed")
            }
        }
        Some((tag, logged))
    }

    pub(crate) fn slot(&self, serial: u64) -> Option<&Slot> {
        self.slots.get(serial)
    }

    /// A dead letter waits for its target; the result is its tag. `None` if it has no place here.
    pub(crate) fn stall(&mut self, serial: u64) -> Option<u64> {
        let slot = self.slots.get_mut(serial)?;
        self.in_flight -= u64::from(slot.state == State::Settling);
        slot.state = State::Stalled;
        self.stalled += 1;
        Some(slot.message.tag)
    }

    /// A dead letter that has waited leaves; `None` if the queue was deleted meanwhile.
    pub(crate) fn resume_stalled(&mut self, serial: u64) -> Option<&Slot> {
        let slot = self.slots.get_mut(serial)?;
        if slot.state != State::Stalled {
            return None;
        }
        slot.state = State::Leaving;
        self.stalled -= 1;
        Some(slot)
    }

    /// Serials of all that waits, oldest first.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        let slots = self.slots.iter().filter(|(_, slot)| slot.waits());
        slots.map(|(serial, _)| serial).collect()
    }

    /// Lets go of all messages, as the queue is deleted. They are gone once that is committed. The result are those that waited: serials and tags.
    pub(crate) fn abandon(&mut self) -> Vec<(u64, u64)> {
        let waits = |slot: &Slot| slot.waits() || slot.state == State::Stalled;
        let waiting = self.slots.iter().filter(|(_, slot)| waits(slot));
        let waiting = waiting
            .map(|(serial, slot)| (serial, slot.message.tag))
            .collect();
        for serial in self.waiting() {
            self.take(serial, State::Leaving);
        }
        let serials: Vec<u64> = self.slots.iter().map(|(serial, _)| serial).collect();
        for serial in serials {
            match self.slots.get_mut(serial) {
                Some(slot) if slot.state == State::InFlight => slot.state = State::Settling,
                Some(slot) if slot.state == State::Stalled => {
                    slot.state = State::Leaving;
                    self.stalled -= 1;
                }
                _ => {}
            }
        }
        self.exists = false;
        self.seen = None;
        self.floor = self.next_serial;
        self.plain = false;
        waiting
    }

    /// Commits the deletion of all serials before this one; the result are their messages' tags.
    pub(crate) fn clear_before(&mut self, serial: u64) -> Vec<(u64, u64)> {
        let mut gone = Vec::new();
        while let Some((first, _)) = self.slots.front()
            && first < serial
        {
            self.leave_group(first);
            let Some((serial, slot)) = self.slots.pop_front() else {
                break;
            };
            self.in_flight -= u64::from(slot.state == State::Settling);
            self.held_bytes -= slot.message.size();
            self.bodies.absent -= u64::from(slot.body != Body::Here);
            gone.push((serial, slot.message.tag));
        }
        gone
    }
}

/// Bounds. They count ready and delayed messages, and those about to be.
impl Queue {
    #[inline]
    pub(crate) fn bounded(&self) -> bool {
        self.config.max_length.is_some() || self.config.max_bytes.is_some()
    }

    /// True if a message of `size` bytes fits now.
    #[inline]
    pub(crate) fn has_room(&self, size: u64) -> bool {
        self.fits(
            self.ready + self.delayed + self.proposed,
            self.ready_bytes + self.delayed_bytes + self.proposed_bytes,
            size,
        )
    }

    /// True if so many messages of so many bytes together fit now.
    pub(crate) fn has_room_for(&self, count: u64, bytes: u64) -> bool {
        count == 0
            || self.fits(
                self.ready + self.delayed + self.proposed + (count - 1),
                self.ready_bytes + self.delayed_bytes + self.proposed_bytes,
                bytes,
            )
    }

    /// True if so many messages of so many bytes together would fit into the empty queue.
    pub(crate) fn can_ever_fit_all(&self, count: u64, bytes: u64) -> bool {
        count == 0 || self.fits(count - 1, 0, bytes)
    }

    /// True if a message of `size` bytes would fit once every ready one is gone.
    pub(crate) fn can_make_room(&self, size: u64) -> bool {
        self.fits(
            self.delayed + self.proposed,
            self.delayed_bytes + self.proposed_bytes,
            size,
        )
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
