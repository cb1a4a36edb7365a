//! Bodies that leave memory, and come back.
//!
//! With a budget, bodies of messages that the log has are let go while more than three quarters of it are in use: of newcomers once they are
//! written and nobody has taken them at once, of deliveries once they are sent. The last quarter is for what is read ahead of the
//! consumers. A message whose turn has come waits for its body, and those behind it wait with it, so that no order depends on what is in
//! memory; the same holds for one that becomes a dead letter. A queue always gets the body that it waits for, whatever the budget says.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::Broker;
use super::dead_letter::Departure;
use crate::id::{LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Entry, LogFailure, Output, Removal};
use crate::queue::{Body, State};
use crate::slab::Slab;

/// What the broker knows of bodies that are not in memory.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    /// Unlimited: none ever leaves.
    budget: u64,
    /// Bytes that were asked for.
    awaited: u64,
    reads: Slab<Read>,
    /// By their queue, those that leave once they have their bodies, and those behind them; with what becomes of each otherwise, and how
    /// many moves have led to its own.
    departing: BTreeMap<QueueId, VecDeque<(MessageCopy, Removal, u32)>>,
}

/// A read under way.
#[derive(Clone, Copy, Debug)]
struct Read {
    copy: MessageCopy,
    position: LogPosition,
    size: u64,
    /// For a copy in the log, rather than for the queue.
    to_copy: bool,
}

impl Bodies {
    pub(super) fn new(budget: Option<u64>) -> Bodies {
        Bodies {
            budget: budget.unwrap_or(u64::MAX),
            awaited: 0,
            reads: Slab::default(),
            departing: BTreeMap::new(),
        }
    }

    fn keep(&self) -> u64 {
        self.budget / 4 * 3
    }
}

/// Leaving memory.
impl Broker {
    /// Newcomers of a queue that nobody has taken let go of their bodies, if memory is short.
    #[inline(never)]
    pub(super) fn let_newcomers_go(&mut self, queue: QueueId) {
        let Some(flow) = &mut self.flow else { return };
        if flow.bodies.budget == u64::MAX {
            return;
        }
        let (written, _) = self.log.reached();
        let queue = &mut self.queues[queue.index()];
        flow.held -= queue.let_newcomers_go(flow.held, flow.bodies.keep(), written);
    }

    /// A message is with its consumer; its body will be needed again only if it comes back.
    #[inline(never)]
    pub(super) fn let_delivered_go(&mut self, copy: MessageCopy) {
        let Some(flow) = &mut self.flow else { return };
        if flow.held > flow.bodies.keep() {
            let (written, _) = self.log.reached();
            flow.held -= self.queues[copy.queue.index()].let_go(copy.serial, written);
        }
    }
}

/// Coming back.
impl Broker {
    /// Whether the message that is next has its body; it is asked for otherwise, as are those that will be next, in good time.
    #[inline(never)]
    pub(super) fn next_body_is_here(&mut self, id: QueueId, out: &mut Vec<Output>) -> bool {
        let queue = &self.queues[id.index()];
        let next = queue.oldest_ready().filter(|_| !queue.consumers.is_empty());
        let Some((serial, slot)) = next.and_then(|serial| Some((serial, queue.slot(serial)?)))
        else {
            return true;
        };
        let (state, body) = (slot.state, slot.body);
        if state == State::Ready && (body == Body::Gone || serial >= queue.bodies.ask_at) {
            self.ask_for_newcomers(id, serial, out);
        } else if body == Body::Gone {
            let first = self.queues[id.index()].first_placed(AHEAD_OUT_OF_LINE);
            self.ask_for(id, serial, first, out);
        }
        body == Body::Here
    }

    /// The same for a queue in which not all consumers may take all messages.
    #[inline(never)]
    pub(super) fn next_body_in_lanes_is_here(
        &mut self,
        id: QueueId,
        out: &mut Vec<Output>,
    ) -> bool {
        let queue = &self.queues[id.index()];
        let Some(serial) = queue.first_choice() else {
            return true;
        };
        let body = queue.slot(serial).map(|slot| slot.body);
        if body == Some(Body::Gone) {
            let first = queue.first_in_lanes(AHEAD_OUT_OF_LINE);
            self.ask_for(id, serial, first, out);
        }
        body == Some(Body::Here)
    }

    /// Whether a message has its body; it is asked for otherwise.
    pub(super) fn body_is_here(&mut self, copy: MessageCopy, out: &mut Vec<Output>) -> bool {
        let slot = self.queues[copy.queue.index()].slot(copy.serial);
        let body = slot.map_or(Body::Here, |slot| slot.body);
        if body == Body::Gone {
            self.ask(copy, out);
        }
        body == Body::Here
    }

    /// Asks for bodies in the line of newcomers, from the first one on.
    fn ask_for_newcomers(&mut self, id: QueueId, first: u64, out: &mut Vec<Output>) {
        let Some(flow) = &self.flow else { return };
        let queue = &self.queues[id.index()];
        let is_gone = |serial| {
            let slot = queue.slot(serial);
            slot.is_some_and(|slot| slot.body == Body::Gone)
        };
        let from = match is_gone(first) {
            true => first,
            false => first.max(queue.bodies.asked),
        };
        let mut end = from;
        let mut left = flow
            .bodies
            .budget
            .saturating_sub(flow.held + flow.bodies.awaited);
        left = left.min(AHEAD_BYTES);
        let mut wanted = Vec::new();
        for (serial, slot) in queue.newcomers_from(from).take(AHEAD) {
            if slot.body == Body::Gone && slot.state == State::Ready {
                if slot.size > left && serial != first {
                    break;
                }
                left = left.saturating_sub(slot.size);
                wanted.push(serial);
            }
            end = serial + 1;
        }
        let queue = &mut self.queues[id.index()];
        queue.bodies.asked = end.max(queue.bodies.asked);
        queue.bodies.ask_at = (first + 1).max(first + queue.bodies.asked.saturating_sub(first) / 2);
        for serial in wanted {
            self.ask(MessageCopy { queue: id, serial }, out);
        }
    }

    /// Asks for one body, and for others as far as the budget goes.
    fn ask_for(&mut self, id: QueueId, first: u64, others: Vec<u64>, out: &mut Vec<Output>) {
        self.ask(
            MessageCopy {
                queue: id,
                serial: first,
            },
            out,
        );
        for serial in others {
            let copy = MessageCopy { queue: id, serial };
            let slot = self.queues[id.index()].slot(serial);
            if let Some(slot) = slot.filter(|slot| slot.body == Body::Gone)
                && self.has_budget_for(slot.size)
            {
                self.ask(copy, out);
            }
        }
    }

    fn has_budget_for(&self, size: u64) -> bool {
        let flow = self.flow.as_ref();
        flow.is_some_and(|flow| flow.held + flow.bodies.awaited + size <= flow.bodies.budget)
    }

    /// Asks for a body that is gone.
    fn ask(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let queue = &mut self.queues[copy.queue.index()];
        queue.awaits(copy.serial);
        queue.bodies.asked = queue.bodies.asked.max(copy.serial + 1);
        self.read(copy, false, out);
    }

    /// Asks for a body, for a copy of the message in the log; false if there is no room for it now.
    pub(super) fn read_to_copy(&mut self, copy: MessageCopy, out: &mut Vec<Output>) -> bool {
        let slot = self.queues[copy.queue.index()].slot(copy.serial);
        let gone = slot.filter(|slot| slot.body == Body::Gone);
        let idle = self
            .flow
            .as_ref()
            .is_some_and(|flow| flow.bodies.awaited == 0);
        let fits = gone.is_some_and(|slot| idle || self.has_budget_for(slot.size));
        if fits {
            self.read(copy, true, out);
        }
        fits
    }

    fn read(&mut self, copy: MessageCopy, to_copy: bool, out: &mut Vec<Output>) {
        let slot = self.queues[copy.queue.index()].slot(copy.serial);
        let (Some(flow), Some(slot)) = (&mut self.flow, slot) else {
            return;
        };
        let (position, size) = (slot.position, slot.size);
        flow.bodies.awaited += size;
        let token = flow.bodies.reads.insert(Read {
            copy,
            position,
            size,
            to_copy,
        });
        let token = u64::from(token);
        out.push(Output::Read { token, position });
    }

    /// An entry was read, or could not be.
    pub(super) fn body_is_read(
        &mut self,
        token: u64,
        result: Result<Entry, LogFailure>,
        out: &mut Vec<Output>,
    ) {
        let Some(flow) = &mut self.flow else { return };
        let Some(read) = u32::try_from(token)
            .ok()
            .and_then(|token| flow.bodies.reads.take(token))
        else {
            return;
        };
        flow.bodies.awaited -= read.size;
        let Read { copy, size, .. } = read;
        let queue = &mut self.queues[copy.queue.index()];
        // It may have left meanwhile, by its time to live or with its queue.
        let slot = queue
            .slot(copy.serial)
            .filter(|slot| slot.body != Body::Here);
        let needed = slot.filter(|slot| read.to_copy || slot.body == Body::Awaited);
        if let Some(slot) = needed {
            let body = result.map(|entry| body_of(&entry, copy, slot.message.tag, size));
            match body.and_then(|body| body.ok_or(LogFailure::Damaged)) {
                Err(failure) => return self.fail(failure, out),
                Ok(body) => {
                    self.bodies_read += 1;
                    match read.to_copy {
                        true => self.log_read_again(copy, read.position, body, out),
                        false => {
                            flow.held += queue.bring_back(copy.serial, body);
                            flow.most_held = flow.most_held.max(flow.held);
                            self.touch(copy.queue);
                        }
                    }
                }
            }
        } else if read.to_copy {
            self.copy_is_superfluous();
        }
        self.depart_in_turn(copy.queue, out);
        if !self.gets.is_empty() && self.catch_up(out) {
            self.answer_gets(out);
        }
    }
}

/// Dead letters without bodies.
impl Broker {
    /// Whether a message that is to become a dead letter has to wait for its body, or for those before it.
    pub(super) fn departs_later(&mut self, departure: &Departure, out: &mut Vec<Output>) -> bool {
        let source = departure.source;
        let Some(flow) = &mut self.flow else {
            return false;
        };
        let behind = departure.entered && flow.bodies.departing.contains_key(&source.queue);
        if departure.whole && !behind {
            return false;
        }
        let departing = flow.bodies.departing.entry(source.queue).or_default();
        departing.push_back((source, departure.otherwise, departure.hops));
        self.stall(source, out);
        self.body_is_here(source, out);
        true
    }

    /// Dead letters whose turn it is, and that have their bodies, leave.
    fn depart_in_turn(&mut self, queue: QueueId, out: &mut Vec<Output>) {
        while let Some(flow) = &mut self.flow
            && let Some(departing) = flow.bodies.departing.get_mut(&queue)
        {
            let Some((source, otherwise, hops)) = departing.front().copied() else {
                flow.bodies.departing.remove(&queue);
                return;
            };
            let slot = self.queues[queue.index()].slot(source.serial);
            if slot.is_some_and(|slot| slot.body != Body::Here) {
                return;
            }
            departing.pop_front();
            let slot = self.queues[queue.index()].resume_stalled(source.serial);
            if let Some(slot) = slot {
                let departure = Departure {
                    hops,
                    ..Departure::new(source, slot, otherwise)
                };
                self.leaves(&departure, out);
                self.dead_letter_now(departure, out);
                self.commit(out);
            }
        }
    }
}

/// The body of a message, if the entry is the one that brought it.
fn body_of(entry: &Entry, copy: MessageCopy, tag: u64, size: u64) -> Option<Bytes> {
    entry.commands().iter().find_map(|command| match command {
        Command::Enqueue {
            copy: other,
            message,
            ..
        } if (*other, message.tag, message.size()) == (copy, tag, size) => {
            Some(message.body.clone())
        }
        _ => None,
    })
}

/// So many newcomers are looked at for bodies to be read.
const AHEAD: usize = 1024;

/// So many bytes are asked for at a time, or one body.
const AHEAD_BYTES: u64 = 1 << 20;

/// So many bodies are asked for at a time where the order is not that of entry.
const AHEAD_OUT_OF_LINE: usize = 64;
