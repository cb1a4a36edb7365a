//! How messages leave their queue unasked: displaced, rejected, and where dead letters go.

use super::Broker;
use super::commit::{Effect, Origin};
use super::publish::Arrival;
use crate::config::Overflow;
use crate::id::{MessageCopy, QueueId};
use crate::interface::{Command, Event, Output, Removal};
use crate::message::{Death, Message};

/// Most dead-letter moves that one publish or rejection sets off in a row: queues may dead-letter in a circle.
const HOPS: u32 = 16;

/// Most moves that follow from other moves in one transaction: in a circle that fans out they would grow exponentially.
const CONSEQUENT_MOVES: u32 = 256;

/// A dead-letter move that is not complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    tag: u64,
    source: MessageCopy,
    /// The source has a slot: it was in its queue, rather than a newcomer.
    entered: bool,
    /// Who waits for the source.
    origin: Origin,
    death: Death,
    /// How many commands are not committed.
    waiting: u32,
}

/// A copy that leaves its queue for the dead-letter target.
pub(super) struct Departure {
    pub(super) source: MessageCopy,
    pub(super) message: Message,
    /// It was in its queue, rather than a newcomer.
    pub(super) entered: bool,
    /// Its enqueue is in the log, so its removal has to be.
    pub(super) logged: bool,
    pub(super) origin: Origin,
    pub(super) hops: u32,
    /// What becomes of it if there is no target.
    pub(super) otherwise: Removal,
}

/// Displacement.
impl Broker {
    /// Makes the oldest ready message leave; false if there is none.
    pub(super) fn displace(&mut self, queue: QueueId, hops: u32, out: &mut Vec<Output>) -> bool {
        let Some((serial, slot)) = self.queues[queue.index()].displace() else {
            return false;
        };
        let departure = Departure {
            source: MessageCopy { queue, serial },
            message: slot.message.clone(),
            entered: true,
            logged: slot.logged(),
            origin: Origin::Unconfirmed,
            hops,
            otherwise: Removal::Dropped,
        };
        self.overflow(departure, out);
        true
    }

    pub(super) fn overflow(&mut self, departure: Departure, out: &mut Vec<Output>) {
        let queue = &self.queues[departure.source.queue.index()];
        if queue.config.overflow == Overflow::DeadLetter {
            self.dead_letter(departure, out);
        } else {
            self.discard(departure, out);
        }
    }
}

/// Dead letters.
impl Broker {
    /// Rejects a message that was in flight.
    pub(super) fn reject(
        &mut self,
        source: MessageCopy,
        message: Message,
        logged: bool,
        out: &mut Vec<Output>,
    ) {
        let departure = Departure {
            source,
            message,
            entered: true,
            logged,
            origin: Origin::Unconfirmed,
            hops: 0,
            otherwise: Removal::Rejected,
        };
        self.dead_letter(departure, out);
    }

    /// Moves a copy to its queue's dead-letter targets, or discards it if there are none.
    fn dead_letter(&mut self, departure: Departure, out: &mut Vec<Output>) {
        let allowed = departure.hops < HOPS && self.transaction.consequent_moves < CONSEQUENT_MOVES;
        let queue = &self.queues[departure.source.queue.index()];
        let Some(to) = queue.config.dead_letter.as_ref().filter(|_| allowed) else {
            return self.discard(departure, out);
        };
        self.transaction.consequent_moves += u32::from(departure.hops > 0);
        let mut message = departure.message.clone();
        message.exchange = to.exchange;
        if let Some(key) = &to.routing_key {
            message.routing_key = key.clone();
        }
        let mut targets = self.target_lists.pop().unwrap_or_default();
        let queues = &self.queues;
        let depth = |queue: QueueId| queues[queue.index()].depth();
        self.router
            .route(message.exchange, &message, depth, &mut targets);
        let routed = !targets.is_empty();
        targets.retain(|target| {
            let queue = &self.queues[target.index()];
            !queue.refuses() || queue.has_room(message.size())
        });

        if targets.is_empty() {
            let otherwise = if routed {
                Removal::Dropped
            } else {
                departure.otherwise
            };
            self.discard(
                Departure {
                    otherwise,
                    ..departure
                },
                out,
            );
        } else {
            let Departure {
                source,
                entered,
                logged,
                origin,
                hops,
                otherwise,
                ..
            } = departure;
            let death = match otherwise {
                Removal::Rejected => Death::Rejected,
                _ => Death::MaxLength,
            };
            let waiting = targets.len() as u32 + u32::from(logged);
            let moving = self.moves.insert(Move {
                tag: message.tag,
                source,
                entered,
                origin,
                death,
                waiting,
            });
            if logged {
                self.propose(
                    Effect::Leave {
                        copy: source,
                        moving,
                    },
                    Some(Command::Remove { copy: source }),
                );
            }
            let arrival = Arrival {
                message,
                origin: Origin::Move(moving),
                from: Some(source),
                hops: hops + 1,
            };
            self.place_all(&mut targets, arrival, out);
        }
        targets.clear();
        self.target_lists.push(targets);
    }

    /// Drops a copy for good.
    fn discard(&mut self, departure: Departure, out: &mut Vec<Output>) {
        let Departure {
            source,
            message,
            entered,
            logged,
            origin,
            otherwise,
            ..
        } = departure;
        if entered {
            let command = logged.then_some(Command::Remove { copy: source });
            self.propose(
                Effect::Remove {
                    copy: source,
                    reason: otherwise,
                },
                command,
            );
        } else {
            self.observe(
                Event::Removed {
                    tag: message.tag,
                    copy: source,
                    reason: otherwise,
                },
                out,
            );
            self.resolve(origin, out);
        }
    }

    /// One of a move's commands is committed. After the last the source is gone.
    pub(super) fn resolve_move(&mut self, key: u32, out: &mut Vec<Output>) {
        self.moves[key].waiting -= 1;
        if self.moves[key].waiting > 0 {
            return;
        }
        let Move {
            tag,
            source,
            entered,
            origin,
            death,
            ..
        } = self.moves.remove(key);
        if entered {
            self.queues[source.queue.index()].remove(source.serial);
        }
        self.observe(
            Event::Removed {
                tag,
                copy: source,
                reason: Removal::DeadLettered(death),
            },
            out,
        );
        self.resolve(origin, out);
    }
}
