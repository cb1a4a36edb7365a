//! How messages leave their queue unasked: displaced, rejected, and where dead letters go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Broker;
use super::commit::{Effect, Origin};
use super::publish::Arrival;
use crate::config::Overflow;
use crate::id::{MessageCopy, QueueId};
use crate::interface::{Command, Event, Output, Removal};
use crate::message::{Death, DeathRecord, Message};
use crate::queue::{Body, Slot, State};
use crate::time::WallTime;

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
    /// The message has its body.
    pub(super) whole: bool,
    /// It was in its queue, rather than a newcomer.
    pub(super) entered: bool,
    /// Its enqueue is in the log, so its removal has to be.
    pub(super) logged: bool,
    pub(super) origin: Origin,
    pub(super) hops: u32,
    /// What becomes of it if there is no target.
    pub(super) otherwise: Removal,
    /// It has waited for room in this target, and it is its turn.
    pub(super) waited_for: Option<QueueId>,
}

impl Departure {
    /// Of a message that is in its queue.
    pub(super) fn new(source: MessageCopy, slot: &Slot, otherwise: Removal) -> Departure {
        Departure {
            source,
            message: slot.message.clone(),
            whole: slot.body == Body::Here,
            entered: true,
            logged: slot.logged(),
            origin: Origin::Unconfirmed,
            hops: 0,
            otherwise,
            waited_for: None,
        }
    }

    fn death(&self) -> Death {
        match self.otherwise {
            Removal::Rejected => Death::Rejected,
            Removal::Expired => Death::Expired,
            Removal::Exhausted => Death::DeliveryLimit,
            _ => Death::MaxLength,
        }
    }
}

/// Dead letters that wait, by the target that has no room for them, each with what becomes of it if there is no target.
pub(super) type Stalled = BTreeMap<QueueId, VecDeque<(MessageCopy, Removal)>>;

/// Displacement.
impl Broker {
    /// Makes the oldest ready message leave; false if there is none.
    pub(super) fn displace(&mut self, queue: QueueId, hops: u32, out: &mut Vec<Output>) -> bool {
        let Some((serial, slot)) = self.queues[queue.index()].displace() else {
            return false;
        };
        let source = MessageCopy { queue, serial };
        let departure = Departure {
            hops,
            ..Departure::new(source, slot, Removal::Dropped)
        };
        self.leaves(&departure, out);
        self.overflow(departure, out);
        true
    }

    /// Tells that a copy waits no longer, and is about to leave.
    pub(super) fn leaves(&self, departure: &Departure, out: &mut Vec<Output>) {
        let (tag, copy) = (departure.message.tag, departure.source);
        self.observe(Event::Leaving { tag, copy }, out);
    }

    /// A dead letter waits where it is.
    pub(super) fn stall(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        if let Some(tag) = self.queues[copy.queue.index()].stall(copy.serial) {
            self.observe(Event::Stalled { tag, copy }, out);
        }
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
    /// Moves a copy to its queue's dead-letter targets, or discards it if there are none.
    pub(super) fn dead_letter(&mut self, departure: Departure, out: &mut Vec<Output>) {
        let queue = &self.queues[departure.source.queue.index()];
        if queue.config.dead_letter.is_some()
            && self.flow.is_some()
            && self.departs_later(&departure, out)
        {
            return;
        }
        self.dead_letter_now(departure, out);
    }

    /// The same for a message that has its body.
    pub(super) fn dead_letter_now(&mut self, departure: Departure, out: &mut Vec<Output>) {
        let queue = &self.queues[departure.source.queue.index()];
        let Some(to) = queue.config.dead_letter.as_ref() else {
            return self.discard(departure, out);
        };
        let at_least_once = departure.entered && queue.config.policy.dead_letter_at_least_once;
        let allowed = departure.hops < HOPS && self.transaction.consequent_moves < CONSEQUENT_MOVES;
        let death = departure.death();
        let mut message = departure.message.clone();
        message.exchange = to.exchange;
        if let Some(key) = &to.routing_key {
            message.routing_key = key.clone();
        }
        record_death(
            &mut message,
            departure.source.queue,
            death,
            self.timers.wall,
        );
        let mut targets = self.dead_letter_targets(&message);
        let routed = !targets.is_empty();
        let full = |target: &QueueId| {
            let queue = &self.queues[target.index()];
            queue.refuses() && !queue.has_room(message.size())
        };
        let behind = |target: &QueueId| {
            at_least_once && departure.waited_for != Some(*target) && self.is_waited_for(*target)
        };
        let hindrance = match allowed {
            true => (targets.iter().copied()).find(|target| full(target) || behind(target)),
            false => targets.first().copied(),
        };
        if let Some(target) = hindrance.filter(|_| at_least_once) {
            let Departure {
                source, otherwise, ..
            } = departure;
            self.stall(source, out);
            let waiting = self.stalled.entry(target).or_default();
            waiting.push_back((source, otherwise));
            if !allowed {
                self.touch(target);
            }
        } else {
            targets.retain(|target| allowed && !full(target));
            if targets.is_empty() {
                let crowded_out = routed && allowed;
                let otherwise = if crowded_out {
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
                self.transaction.consequent_moves += u32::from(departure.hops > 0);
                self.depart(departure, death, message, &mut targets, out);
            }
        }
        targets.clear();
        self.target_lists.push(targets);
    }

    /// Whether dead letters wait for room in a queue. Others don't overtake them.
    fn is_waited_for(&self, target: QueueId) -> bool {
        let mut waiting = self.stalled.get(&target).into_iter().flatten();
        waiting.any(|(copy, _)| {
            // What is gone with its queue waits no longer.
            let slot = self.queues[copy.queue.index()].slot(copy.serial);
            slot.is_some_and(|slot| slot.state == State::Stalled)
        })
    }

    /// Where a dead letter goes, its last death recorded. One that would go round without anybody having rejected it goes nowhere.
    fn dead_letter_targets(&mut self, message: &Message) -> Vec<QueueId> {
        let mut targets = self.target_lists.pop().unwrap_or_default();
        let queues = &self.queues;
        let depth = |queue: QueueId| queues[queue.index()].depth();
        self.router
            .route(message.exchange, message, depth, &mut targets);
        let deaths = message
            .properties
            .as_deref()
            .map_or(&[][..], |properties| &properties.deaths);
        targets.retain(|target| !goes_round(deaths, *target));
        targets
    }

    /// Begins a move: the source leaves when all targets have theirs.
    fn depart(
        &mut self,
        departure: Departure,
        death: Death,
        message: Message,
        targets: &mut [QueueId],
        out: &mut Vec<Output>,
    ) {
        let Departure {
            source,
            entered,
            logged,
            origin,
            hops,
            ..
        } = departure;
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
            let effect = Effect::Leave {
                copy: source,
                moving,
            };
            self.propose(effect, Some(Command::Remove { copy: source }));
        }
        let arrival = Arrival {
            message,
            origin: Origin::Move(moving),
            from: Some(source),
            hops: hops + 1,
        };
        self.place_all(targets, arrival, out);
    }

    /// Moves dead letters that waited for room in a queue, as far as there is some.
    #[inline(never)]
    pub(super) fn resume_dead_letters(&mut self, target: QueueId, out: &mut Vec<Output>) {
        while let Some((source, otherwise)) = self
            .stalled
            .get(&target)
            .and_then(|waiting| waiting.front())
            .copied()
        {
            if !self.catch_up(out) {
                return self.touch(target);
            }
            let size = self.queues[source.queue.index()]
                .slot(source.serial)
                .map_or(0, |slot| slot.message.size());
            let state = &self.queues[target.index()];
            if state.exists && state.refuses() && !state.has_room(size) {
                return;
            }
            self.stalled.entry(target).or_default().pop_front();
            if let Some(slot) = self.queues[source.queue.index()].resume_stalled(source.serial) {
                let departure = Departure {
                    waited_for: Some(target),
                    ..Departure::new(source, slot, otherwise)
                };
                self.leaves(&departure, out);
                self.dead_letter(departure, out);
                self.commit(out);
            }
        }
        if self.stalled.get(&target).is_some_and(VecDeque::is_empty) {
            self.stalled.remove(&target);
        }
    }

    /// Drops a copy for good.
    pub(super) fn discard(&mut self, departure: Departure, out: &mut Vec<Output>) {
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
        // A queue that was deleted meanwhile has said that it is gone.
        let gone = entered && self.take_out(source).is_none();
        if !gone {
            let event = Event::Removed {
                tag,
                copy: source,
                reason: Removal::DeadLettered(death),
            };
            self.observe(event, out);
        }
        self.resolve(origin, out);
    }
}

/// Adds to a message's history. What it had to wait for in one queue is over: it does not expire nor wait again in the next.
fn record_death(message: &mut Message, queue: QueueId, reason: Death, now: WallTime) {
    let properties = Arc::make_mut(message.properties.get_or_insert_default());
    (properties.ttl, properties.delay) = (None, None);
    let known = |record: &DeathRecord| (record.queue, record.reason) == (queue, reason);
    let record = match properties.deaths.iter().position(known) {
        Some(at) => {
            let record = properties.deaths.remove(at);
            DeathRecord {
                count: record.count.saturating_add(1),
                ..record
            }
        }
        None => DeathRecord {
            queue,
            reason,
            count: 1,
            first: now,
        },
    };
    properties.deaths.insert(0, record);
}

/// True if a message comes back to where it died, and nobody has rejected it on the way (RabbitMQ's rule: nobody would ever stop it).
fn goes_round(deaths: &[DeathRecord], target: QueueId) -> bool {
    deaths
        .iter()
        .take_while(|record| record.reason != Death::Rejected)
        .any(|record| record.queue == target)
}
