//! What the log holds becomes queues again.

use std::collections::BTreeMap;

use crate::id::{LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Recovered, Times};
use crate::message::Message;
use crate::queue::{Queue, Slot, State, Timing};

struct Survivor {
    position: LogPosition,
    deliveries: u32,
    message: Message,
    times: Times,
    /// Where it stands if not at its serial.
    place: Option<(u64, u64)>,
}

/// Replays a log into empty queues; the result announces what survived. Commands for queues that are unknown or no longer durable, and
/// commands that repeat what is known, do nothing.
pub(super) fn recover(queues: &mut [Queue], recovered: Recovered) -> Vec<(u64, MessageCopy)> {
    let mut survivors: Vec<BTreeMap<u64, Survivor>> =
        queues.iter().map(|_| BTreeMap::new()).collect();
    let mut sequence = 0;
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
            queue.reserve_serial(copy.serial);
            let survivors = &mut survivors[copy.queue.index()];
            match command.clone() {
                Command::Enqueue { message, times, .. } => {
                    next_serials[copy.queue.index()] = copy.serial.saturating_add(1);
                    survivors.entry(copy.serial).or_insert(Survivor {
                        position,
                        deliveries: 0,
                        message,
                        times,
                        place: None,
                    });
                }
                Command::Remove { .. } => drop(survivors.remove(&copy.serial)),
                Command::Return {
                    deliveries, due, ..
                } => {
                    if let Some(survivor) = survivors.get_mut(&copy.serial) {
                        survivor.deliveries = deliveries;
                        survivor.times.due = due;
                        sequence += 1;
                        survivor.place =
                            queue.place_to_return(next_serials[copy.queue.index()], sequence);
                    }
                }
                Command::Delete { copy } => {
                    *survivors = survivors.split_off(&copy.serial);
                    queue.exists = false;
                    queue.deleted_at = position;
                }
                Command::Declare { .. } => {
                    queue.exists = true;
                    queue.deleted_at = LogPosition(0);
                }
                Command::Truncate { .. } | Command::Advance { .. } => {}
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
        queues[at].continue_sequence(sequence);
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
            state: State::Proposed,
            timing,
        }
    }
}
