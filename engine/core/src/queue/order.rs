//! Which ready message is next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Queue, Requeue, Slot, State, Timing};

/// A place among the ready messages: a smaller one goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// 0 for the highest priority.
    rank: u8,
    /// The serial beside which it stands.
    position: u64,
    /// Before that serial's own message, in this order.
    sequence: u64,
    pub(super) serial: u64,
}

/// Ready messages with places of their own. Those that were taken out of turn stay until they come to the front: they are found stale by then.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    heap: BinaryHeap<Reverse<Place>>,
    /// The next place at the head or the tail.
    sequence: u64,
    /// Stale ones are weeded out from this size on.
    weed_at: usize,
}

impl Queue {
    /// The serial that is served next.
    #[inline]
    pub(crate) fn oldest_ready(&self) -> Option<u64> {
        let newcomer = self.newcomer();
        let Some(Reverse(place)) = self.placed.heap.peek() else {
            return newcomer;
        };
        match newcomer {
            Some(serial) if self.place_of_newcomer(serial) < *place => Some(serial),
            _ => Some(place.serial),
        }
    }

    /// The first in the line of newcomers.
    #[inline]
    fn newcomer(&self) -> Option<u64> {
        let mut from = self.cursor;
        loop {
            let (serial, slot) = self.slots.at_or_after(from)?;
            match slot.state {
                State::Ready => return Some(serial),
                // Commits are in order: none that is ready follows.
                State::Proposed => return None,
                _ => from = serial + 1,
            }
        }
    }

    #[inline]
    pub(super) fn take_ready(&mut self, state: State) -> Option<(u64, &Slot)> {
        // Serials are dense, nearly always, and nobody has a place of his own.
        let serial = self.cursor;
        let next = self.slots.get(serial);
        let in_line = next.is_some_and(|slot| slot.state == State::Ready);
        if !in_line || self.uneven || !self.placed.heap.is_empty() {
            return self.take_oldest(state);
        }
        self.cursor += 1;
        let slot = self.slots.get_mut(serial)?;
        slot.state = state;
        self.ready -= 1;
        self.ready_bytes -= slot.size;
        self.in_flight += u64::from(state == State::InFlight);
        Some((serial, slot))
    }

    /// The same, whatever the lines look like.
    #[inline(never)]
    fn take_oldest(&mut self, state: State) -> Option<(u64, &Slot)> {
        let serial = self.oldest_ready()?;
        let slot = self.slots.get_mut(serial).expect("a ready slot is live");
        if slot.state == State::Ready {
            self.cursor = serial + 1;
        } else {
            debug_assert_eq!(slot.state, State::Placed);
            self.placed.heap.pop();
        }
        slot.state = state;
        self.ready -= 1;
        self.ready_bytes -= slot.size;
        self.in_flight += u64::from(state == State::InFlight);
        if self.uneven {
            self.even_out();
        }
        self.slots.get(serial).map(|slot| (serial, slot))
    }

    /// Takes a message out of those that wait, wherever it stands.
    pub(crate) fn take(&mut self, serial: u64, state: State) {
        if self.lanes.is_some() {
            self.exit_lanes(serial);
        }
        let slot = self.slots.get_mut(serial).expect("a waiting slot is live");
        let size = slot.size;
        match slot.state {
            State::Ready | State::Placed => {
                self.ready -= 1;
                self.ready_bytes -= size;
            }
            State::Delayed => {
                self.delayed -= 1;
                self.delayed_bytes -= size;
            }
            other => unreachable!("a message that waits is not {other:?}"),
        }
        slot.state = state;
        self.in_flight += u64::from(state == State::InFlight);
        self.uneven = true;
        self.even_out();
    }

    /// The first of those that have places, in order.
    pub(crate) fn first_placed(&mut self, count: usize) -> Vec<u64> {
        let mut first = Vec::new();
        while first.len() < count
            && let Some(Reverse(place)) = self.placed.heap.pop()
        {
            if self.stands(place) {
                first.push(place);
            }
        }
        let places = first.iter().copied().map(Reverse);
        self.placed.heap.extend(places);
        first.into_iter().map(|place| place.serial).collect()
    }

    /// Gives a ready message its place.
    pub(super) fn put(&mut self, serial: u64) {
        if self.placed.heap.len() >= self.placed.weed_at {
            self.weed();
        }
        let Some(place) = self.slots.get(serial).map(|slot| self.place(serial, slot)) else {
            return;
        };
        self.placed.heap.push(Reverse(place));
    }

    /// Chooses the place for a message that comes back.
    pub(super) fn choose_place(&mut self, serial: u64) {
        let before = match self.config.policy.requeue {
            Requeue::Original => return,
            Requeue::Head => 0,
            Requeue::Tail => self.next_serial,
        };
        self.stand_at(serial, before);
    }

    /// Moves a message behind all that are there.
    pub(super) fn move_to_tail(&mut self, serial: u64) {
        self.stand_at(serial, self.next_serial);
    }

    fn stand_at(&mut self, serial: u64, before: u64) {
        self.placed.sequence = self.placed.sequence.saturating_add(1);
        if let Some(slot) = self.slots.get_mut(serial) {
            let place = (before, self.placed.sequence);
            slot.timing.get_or_insert_with(Timing::none).place = Some(place);
        }
    }

    /// Makes sure that a place is not given to another message.
    pub(crate) fn reserve_place(&mut self, (_, sequence): (u64, u64)) {
        self.placed.sequence = self.placed.sequence.max(sequence);
    }

    pub(super) fn place(&self, serial: u64, slot: &Slot) -> Place {
        let highest = self.config.policy.max_priority;
        let rank = match highest {
            0 => 0,
            _ => highest - slot.message.priority().min(highest),
        };
        // Without a place of its own it stands at its serial, as a newcomer would.
        let place = slot.timing.as_ref().and_then(|timing| timing.place);
        let (position, sequence) = place.unwrap_or((serial, u64::MAX));
        Place {
            rank,
            position,
            sequence,
            serial,
        }
    }

    fn place_of_newcomer(&self, serial: u64) -> Place {
        Place {
            rank: 0,
            position: serial,
            sequence: u64::MAX,
            serial,
        }
    }

    /// Moves on beyond what was taken out of turn, so that both lines begin with a ready message.
    pub(super) fn even_out(&mut self) {
        while let Some((serial, slot)) = self.slots.at_or_after(self.cursor)
            && !matches!(slot.state, State::Ready | State::Proposed)
        {
            self.cursor = serial + 1;
        }
        while let Some(Reverse(place)) = self.placed.heap.peek().copied()
            && !self.stands(place)
        {
            self.placed.heap.pop();
        }
    }

    fn stands(&self, place: Place) -> bool {
        self.slots.get(place.serial).is_some_and(|slot| {
            slot.state == State::Placed && self.place(place.serial, slot) == place
        })
    }

    /// Forgets stale places.
    fn weed(&mut self) {
        let mut heap = std::mem::take(&mut self.placed.heap).into_vec();
        heap.retain(|Reverse(place)| self.stands(*place));
        heap.sort_unstable();
        heap.dedup();
        self.placed.weed_at = 64.max(2 * heap.len());
        self.placed.heap = heap.into();
    }
}
