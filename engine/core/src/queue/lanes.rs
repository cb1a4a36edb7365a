//! Which ready message a consumer may take, in queues where that is not always the first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::order::Place;
use super::{Queue, State};
use crate::balance::Rng;
use crate::message::Message;
use crate::roster::Seat;
use crate::selector::Selector;

/// The ready messages by who may take them, beside the order in which the queue keeps them all. A queue has lanes if it groups, or as long
/// as one of its consumers has a selector.
///
/// A message that anybody may take stands in the open lane of each distinct selector that accepts it; one of a group that sticks to a
/// consumer stands in that consumer's own lane. So a consumer's next message is the first of two lanes, whatever waits before it. A message
/// changes lanes only when its group is bound or released: all in all it costs one evaluation per distinct selector and a logarithm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    /// By number; number 0 is for those without a selector, and for gets.
    open: BTreeMap<u32, OpenLane>,
    /// By the consumer's key.
    own: BTreeMap<u32, OwnLane>,
    /// Groups of which the queue holds messages.
    groups: BTreeMap<Bytes, Group>,
    /// The number that the next open lane has.
    next: u32,
}

#[derive(Clone, Debug, Default)]
struct OpenLane {
    selector: Option<Arc<Selector>>,
    /// How many consumers look at it.
    consumers: u32,
    places: BTreeSet<Place>,
}

#[derive(Clone, Debug)]
struct OwnLane {
    selector: Option<Arc<Selector>>,
    /// The open lane with the same selector.
    open: u32,
    places: BTreeSet<Place>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// The key of the consumer that it sticks to.
    owner: Option<u32>,
    /// Its ready messages.
    places: BTreeSet<Place>,
    /// Messages of it that have entered the queue and not left it: with the last one it is forgotten, and with it whom it stuck to.
    messages: u64,
}

/// Consumers.
impl Queue {
    /// A consumer that is in the roster already begins to take messages.
    pub(crate) fn join_lanes(&mut self, key: u32, selector: Option<Arc<Selector>>) {
        if self.lanes.is_none() && selector.is_none() && !self.config.policy.groups {
            return;
        }
        let mut lanes = self.lanes.take().unwrap_or_else(|| self.build_lanes(key));
        let found = lanes
            .open
            .iter()
            .find(|(_, lane)| same(&lane.selector, &selector));
        let open = match found {
            Some((open, _)) => *open,
            None => self.add_open_lane(&mut lanes, selector.clone()),
        };
        if let Some(lane) = lanes.open.get_mut(&open) {
            lane.consumers += 1;
        }
        let own = OwnLane {
            selector,
            open,
            places: BTreeSet::new(),
        };
        lanes.own.insert(key, own);
        self.lanes = Some(lanes);
        self.plain = false;
    }

    /// A consumer takes no more messages: groups that stuck to it are free.
    pub(crate) fn leave_lanes(&mut self, key: u32) {
        let Some(mut lanes) = self.lanes.take() else {
            return;
        };
        if let Some(own) = lanes.own.remove(&key)
            && let Some(lane) = lanes.open.get_mut(&own.open)
        {
            lane.consumers -= 1;
            if lane.consumers == 0 && own.open > 0 {
                lanes.open.remove(&own.open);
            }
        }
        let mut groups = std::mem::take(&mut lanes.groups);
        let owned = groups.values_mut().filter(|group| group.owner == Some(key));
        for group in owned {
            group.owner = None;
            for place in &group.places {
                lanes.open_to_all(*place, self.message(*place));
            }
        }
        lanes.groups = groups;
        if self.config.policy.groups || lanes.open.len() > 1 {
            self.lanes = Some(lanes);
        } else {
            self.plain = self.config.policy.max_priority == 0 && self.floor == 0;
        }
    }

    /// Lanes for all consumers but one, who have no selectors, with all ready messages.
    fn build_lanes(&self, but: u32) -> Box<Lanes> {
        let mut lanes = Box::new(Lanes::default());
        let entered = self.slots.iter().filter(|(_, slot)| slot.has_entered());
        for (serial, slot) in entered {
            if let Some(name) = self.group(&slot.message) {
                let group = lanes.groups.entry(name.clone()).or_default();
                group.messages += 1;
                if slot.is_ready() {
                    group.places.insert(self.place(serial, slot));
                }
            }
        }
        self.add_open_lane(&mut lanes, None);
        for (_, key) in self.consumers.seats().filter(|(_, key)| *key != but) {
            let own = OwnLane {
                selector: None,
                open: 0,
                places: BTreeSet::new(),
            };
            lanes.own.insert(key, own);
            if let Some(lane) = lanes.open.get_mut(&0) {
                lane.consumers += 1;
            }
        }
        lanes
    }

    fn add_open_lane(&self, lanes: &mut Lanes, selector: Option<Arc<Selector>>) -> u32 {
        let mut lane = OpenLane {
            selector,
            ..OpenLane::default()
        };
        let ready = self.slots.iter().filter(|(_, slot)| slot.is_ready());
        for (serial, slot) in ready {
            if lanes.owner(self.group(&slot.message)).is_none()
                && accepts(&lane.selector, &slot.message)
            {
                lane.places.insert(self.place(serial, slot));
            }
        }
        let number = lanes.next;
        lanes.next += 1;
        lanes.open.insert(number, lane);
        number
    }
}

/// Messages.
impl Queue {
    /// A message has entered the queue: its group has one more.
    pub(super) fn join_group(&mut self, serial: u64) {
        let Some(mut lanes) = self.lanes.take() else {
            return;
        };
        let slot = self.slots.get(serial);
        if let Some(name) = slot.and_then(|slot| self.group(&slot.message)) {
            lanes.groups.entry(name.clone()).or_default().messages += 1;
        }
        self.lanes = Some(lanes);
    }

    /// A message that had entered leaves the queue: its group has one less, and is forgotten with the last one.
    pub(super) fn leave_group(&mut self, serial: u64) {
        let Some(mut lanes) = self.lanes.take() else {
            return;
        };
        let slot = self.slots.get(serial).filter(|slot| slot.has_entered());
        if let Some(name) = slot.and_then(|slot| self.group(&slot.message))
            && let Some(group) = lanes.groups.get_mut(name)
        {
            group.messages -= 1;
            if group.messages == 0 {
                lanes.groups.remove(name);
            }
        }
        self.lanes = Some(lanes);
    }

    /// How many groups it knows.
    pub(crate) fn groups(&self) -> u64 {
        let lanes = self.lanes.as_deref();
        lanes.map_or(0, |lanes| lanes.groups.len() as u64)
    }

    /// A message is ready.
    pub(super) fn enter_lanes(&mut self, serial: u64) {
        let Some(mut lanes) = self.lanes.take() else {
            return;
        };
        if let Some(slot) = self.slots.get(serial) {
            let (place, message) = (self.place(serial, slot), &slot.message);
            let mut owner = None;
            if let Some(name) = self.group(message) {
                let group = lanes.groups.entry(name.clone()).or_default();
                group.places.insert(place);
                owner = group.owner;
            }
            match owner {
                Some(owner) => lanes.keep_for(owner, place, message),
                None => lanes.open_to_all(place, message),
            }
        }
        self.lanes = Some(lanes);
    }

    /// A message is ready no longer.
    pub(super) fn exit_lanes(&mut self, serial: u64) {
        let Some(mut lanes) = self.lanes.take() else {
            return;
        };
        if let Some(slot) = self.slots.get(serial) {
            let place = self.place(serial, slot);
            let mut owner = None;
            if let Some(name) = self.group(&slot.message)
                && let Some(group) = lanes.groups.get_mut(name)
            {
                group.places.remove(&place);
                owner = group.owner;
            }
            match owner.and_then(|owner| lanes.own.get_mut(&owner)) {
                Some(own) => drop(own.places.remove(&place)),
                None => lanes.close_to_all(place),
            }
        }
        self.lanes = Some(lanes);
    }

    /// The first message that one of the consumers with credit can take, and who gets it: one of the highest priority among those who can.
    pub(crate) fn choose(&mut self, rng: &mut Rng) -> Option<(u64, Seat)> {
        let lanes = self.lanes.as_deref()?;
        let takers = self.consumers.takers();
        let first = takers.filter_map(|(_, key)| lanes.next(key)).min()?;
        let takes = |key| lanes.next(key) == Some(first);
        let seat = self.consumers.pick_among(takes, rng)?;
        Some((first.serial, seat))
    }

    /// What `choose` would choose.
    pub(crate) fn first_choice(&self) -> Option<u64> {
        let lanes = self.lanes.as_deref()?;
        let takers = self.consumers.takers();
        let first = takers.filter_map(|(_, key)| lanes.next(key)).min()?;
        Some(first.serial)
    }

    /// The first messages of all lanes that consumers with credit look at.
    pub(crate) fn first_in_lanes(&self, count: usize) -> Vec<u64> {
        let Some(lanes) = self.lanes.as_deref() else {
            return Vec::new();
        };
        let takers = self.consumers.takers();
        let looked_at = takers.flat_map(|(_, key)| {
            let own = lanes.own.get(&key);
            let open = own.and_then(|own| lanes.open.get(&own.open));
            let own = own.map(|own| &own.places);
            own.into_iter().chain(open.map(|open| &open.places))
        });
        let first = looked_at.flat_map(|places| places.iter().take(count));
        first.map(|place| place.serial).collect()
    }

    /// The first message that belongs to nobody.
    pub(crate) fn first_free(&self) -> Option<u64> {
        match &self.lanes {
            Some(lanes) => lanes.open.get(&0)?.places.first().map(|place| place.serial),
            None => self.oldest_ready(),
        }
    }

    /// Lets the group of a message, if it has one, stick to a consumer.
    pub(crate) fn bind_group(&mut self, serial: u64, key: u32) {
        let Some(mut lanes) = self.lanes.take() else {
            return;
        };
        let slot = self.slots.get(serial);
        if let Some(name) = slot.and_then(|slot| self.group(&slot.message))
            && let Some(group) = lanes.groups.get_mut(name)
            && group.owner.is_none()
        {
            group.owner = Some(key);
            let places = std::mem::take(&mut group.places);
            for place in &places {
                lanes.close_to_all(*place);
                lanes.keep_for(key, *place, self.message(*place));
            }
            if let Some(group) = lanes.groups.get_mut(name) {
                group.places = places;
            }
        }
        self.lanes = Some(lanes);
    }

    fn group<'a>(&self, message: &'a Message) -> Option<&'a Bytes> {
        let properties = message.properties.as_deref();
        properties
            .filter(|_| self.config.policy.groups)?
            .group
            .as_ref()
    }

    fn message(&self, place: Place) -> &Message {
        let slot = self.slots.get(place.serial);
        &slot.expect("a message in a lane is live").message
    }
}

impl Lanes {
    /// What a consumer may take next.
    fn next(&self, key: u32) -> Option<Place> {
        let own = self.own.get(&key)?;
        let open = self.open.get(&own.open)?.places.first();
        let first = match (own.places.first(), open) {
            (Some(own), Some(open)) => own.min(open),
            (own, open) => own.or(open)?,
        };
        Some(*first)
    }

    fn owner(&self, group: Option<&Bytes>) -> Option<u32> {
        self.groups.get(group?)?.owner
    }

    fn open_to_all(&mut self, place: Place, message: &Message) {
        for lane in self.open.values_mut() {
            if accepts(&lane.selector, message) {
                lane.places.insert(place);
            }
        }
    }

    fn close_to_all(&mut self, place: Place) {
        for lane in self.open.values_mut() {
            lane.places.remove(&place);
        }
    }

    /// What its selector refuses waits for as long as the group sticks to the consumer.
    fn keep_for(&mut self, owner: u32, place: Place, message: &Message) {
        if let Some(own) = self.own.get_mut(&owner)
            && accepts(&own.selector, message)
        {
            own.places.insert(place);
        }
    }
}

impl super::Slot {
    /// Its enqueue is committed.
    fn has_entered(&self) -> bool {
        self.state != State::Proposed
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready | State::Placed)
    }
}

fn accepts(selector: &Option<Arc<Selector>>, message: &Message) -> bool {
    selector
        .as_ref()
        .is_none_or(|selector| selector.matches(message))
}

fn same(one: &Option<Arc<Selector>>, other: &Option<Arc<Selector>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.text() == other.text(),
        (one, other) => one.is_none() && other.is_none(),
    }
}
