//! What the log holds becomes queues again.

use std::collections::BTreeMap;

use crate::id::{LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Event, Recovered};
use crate::message::Message;
use crate::queue::Queue;

struct Survivor {
    position: LogPosition,
    deliveries: u32,
    message: Message,
}

/// Replays a log into empty queues; the result announces what survived. Commands for queues that are unknown or no longer durable, and
/// commands that repeat what is known, do nothing.
pub(super) fn recover(queues: &mut [Queue], recovered: Recovered) -> Vec<Event> {
    let mut survivors: Vec<BTreeMap<u64, Survivor>> =
        queues.iter().map(|_| BTreeMap::new()).collect();
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
                Command::Enqueue { message, .. } => {
                    survivors.entry(copy.serial).or_insert(Survivor {
                        position,
                        deliveries: 0,
                        message,
                    });
                }
                Command::Remove { .. } => drop(survivors.remove(&copy.serial)),
                Command::Return { deliveries, .. } => {
                    if let Some(survivor) = survivors.get_mut(&copy.serial) {
                        survivor.deliveries = deliveries;
                    }
                }
                Command::Truncate { .. }
                | Command::Advance { .. }
                | Command::Delete { .. }
                | Command::Declare { .. } => {}
            }
        }
    }
    let mut events = Vec::new();
    for (at, survivors) in survivors.into_iter().enumerate() {
        for (serial, survivor) in survivors {
            let copy = MessageCopy {
                queue: QueueId(at as u32),
                serial,
            };
            events.push(Event::Recovered {
                tag: survivor.message.tag,
                copy,
            });
            queues[at].recover(
                serial,
                survivor.position,
                survivor.deliveries,
                survivor.message,
            );
        }
    }
    events
}
