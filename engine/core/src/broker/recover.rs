//! What the log holds becomes queues again.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::group::Group;
use crate::id::{LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Recovered, Times};
use crate::message::Message;
use crate::producers::Producers;
use crate::queue::{Body, Queue, Slot, State, Timing};
use crate::stream::Trace;
use crate::time::Time;

struct Survivor {
    position: LogPosition,
    deliveries: u32,
    message: Message,
    times: Times,
    /// Where it stands if not at its serial.
    place: Option<(u64, u64)>,
    copied: bool,
    body: Body,
    size: u64,
}

/// Replays a log into empty queues; the result announces what survived. Commands for queues that are unknown or no longer durable, and
/// commands that repeat what is known, do nothing. Of a budget for bodies, half is used.
pub(super) fn recover(
    queues: &mut [Queue],
    groups: &mut [Group],
    producers: &mut Producers,
    recovered: Recovered,
    budget: Option<u64>,
) -> Vec<(u64, MessageCopy)> {
    let mut traces: Vec<Trace> = queues.iter().map(|_| Trace::default()).collect();
    let mut survivors: Vec<BTreeMap<u64, Survivor>> =
        queues.iter().map(|_| BTreeMap::new()).collect();
    let keep = budget.map_or(u64::MAX, |budget| budget / 2);
    let mut held = 0;
    let mut next_serials = vec![0; queues.len()];
    for (position, entry) in recovered.entries {
        for command in entry.commands() {
            let copy = command.copy();
            let Some(queue) = queues
                .get_mut(copy.queue.index())
                .filter(|queue| queue.durable())
            else {
                continue;
            };
            if let Command::Advance { group, .. } = command {
                let group = groups.get_mut(group.index());
                if let Some(cursor) = group.and_then(|group| group.cursor_mut(copy.queue)) {
                    cursor.start(cursor.committed().max(copy.offset()));
                    cursor.position = position;
                }
            }
            if let Command::Enqueue { message, .. } = command {
                remember(queue, copy.queue, producers, message, position);
            }
            if queue.stream.is_some() {
                traces[copy.queue.index()].replay(position, command);
            } else {
                queue.reserve_serial(copy.serial);
            }
            let survivors = &mut survivors[copy.queue.index()];
            match command.clone() {
                Command::Enqueue {
                    mut message, times, ..
                } if queue.stream.is_none() => {
                    // Serials grow; what is out of order was logged again.
                    let next = &mut next_serials[copy.queue.index()];
                    let copied = copy.serial < *next;
                    *next = copy.serial.saturating_add(1).max(*next);
                    let size = message.size();
                    let gone = size > 0 && held + size > keep;
                    if gone {
                        message.body = Bytes::new();
                        message.routing_key = Bytes::copy_from_slice(&message.routing_key);
                    }
                    held += message.size();
                    let survivor = Survivor {
                        size,
                        body: if gone { Body::Gone } else { Body::Here },
                        position,
                        deliveries: 0,
                        message,
                        times,
                        place: None,
                        copied,
                    };
                    let replaced = survivors.insert(copy.serial, survivor);
                    held -= replaced.map_or(0, |replaced| replaced.message.size());
                }
                Command::Remove { .. } => {
                    let removed = survivors.remove(&copy.serial);
                    held -= removed.map_or(0, |removed| removed.message.size());
                }
                Command::Return {
                    deliveries,
                    due,
                    place,
                    ..
                } => {
                    if let Some(place) = place {
                        queue.reserve_place(place);
                    }
                    if let Some(survivor) = survivors.get_mut(&copy.serial) {
                        survivor.deliveries = deliveries;
                        survivor.times.due = due;
                        survivor.place = place;
                    }
                }
                Command::Delete { copy } => {
                    let kept = survivors.split_off(&copy.serial);
                    let gone = std::mem::replace(survivors, kept);
                    held -= gone.values().map(|gone| gone.message.size()).sum::<u64>();
                    queue.exists = false;
                    queue.seen = None;
                    queue.deleted_at = position;
                }
                Command::Declare { .. } => {
                    queue.exists = true;
                    queue.deleted_at = LogPosition(0);
                }
                Command::Enqueue { .. } | Command::Truncate { .. } | Command::Advance { .. } => {}
            }
        }
    }
    let mut found = Vec::new();
    for (at, survivors) in survivors.into_iter().enumerate() {
        for (serial, survivor) in survivors {
            let copy = MessageCopy {
                queue: QueueId(at as u32),
                serial,
            };
            found.push((survivor.message.tag, copy));
            let queue = &mut queues[at];
            queue.recover(survivor.into_slot(), serial);
        }
        queues[at].bodies_are_recovered();
    }
    for (queue, trace) in queues.iter_mut().zip(traces) {
        if let Some(stream) = &mut queue.stream {
            trace.restore(stream);
            queue.ready = stream.count_from(0);
            found.extend(stream.iter());
        }
    }
    for cursor in groups.iter_mut().flat_map(|group| &mut group.cursors) {
        let stream = queues[cursor.stream.index()].stream.as_ref();
        cursor.recovered(stream.map_or(0, |stream| stream.end()));
    }
    found
}

impl Survivor {
    fn into_slot(self) -> Slot {
        let mut timing = Timing::new(self.times);
        if self.place.is_some() {
            timing.get_or_insert_with(Timing::none).place = self.place;
        }
        Slot {
            message: self.message,
            position: self.position,
            deliveries: self.deliveries,
            redelivered: true,
            copied: self.copied,
            body: self.body,
            size: self.size,
            state: State::Proposed,
            timing,
        }
    }
}

/// What was published, and not moved, is known again. Since when says the first call.
fn remember(
    queue: &mut Queue,
    id: QueueId,
    producers: &mut Producers,
    message: &Message,
    position: LogPosition,
) {
    let properties = message.identity();
    if let Some(properties) = properties.filter(|properties| properties.deaths.is_empty()) {
        if let Some(window) = &queue.config.policy.deduplicate {
            let memory = queue.seen.get_or_insert_default();
            memory.remember(window, properties, position, Time::ZERO);
        }
        if let Some(place) = properties.producer {
            let slowest = (queue.config.durability, id);
            producers.remember(place, Some(slowest), Time::ZERO);
        }
    }
}
