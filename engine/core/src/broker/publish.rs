//! How messages enter: publishes, and what full queues do about them.

use super::Broker;
use super::commit::{Effect, Origin};
use super::dead_letter::Departure;
use crate::config::Overflow;
use crate::id::{ChannelId, ExchangeId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Event, Output, Removal, Request, Response};
use crate::message::Message;

/// A message on its way into a queue.
pub(super) struct Arrival {
    pub(super) message: Message,
    pub(super) origin: Origin,
    /// The copy that it replaces.
    pub(super) from: Option<MessageCopy>,
    pub(super) hops: u32,
}

/// Publishes.
impl Broker {
    /// Routes a message, unless a full queue refuses it or makes it wait. `resumed` is the queue that it has waited for.
    pub(super) fn publish(
        &mut self,
        id: ChannelId,
        exchange: ExchangeId,
        mandatory: bool,
        mut message: Message,
        resumed: Option<QueueId>,
        out: &mut Vec<Output>,
    ) {
        if !self.router.knows(exchange) {
            return self.fail_channel(id, 404, "no such exchange", out);
        }
        if message.properties.is_some() && !self.fill_reply_to(id, &mut message, out) {
            return;
        }
        if self.flow.is_some() {
            self.note_publisher(id.connection, out);
        }
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        if let Some(gathered) = &mut channel.transaction {
            return gathered.publish(message, mandatory);
        }
        let mut targets = self.target_lists.pop().unwrap_or_default();
        let queues = &self.queues;
        let depth = |queue: QueueId| queues[queue.index()].depth();
        channel
            .memo
            .route(&mut self.router, exchange, &message, depth, &mut targets);

        let mut seen = Vec::new();
        if let Some(properties) = message.identity() {
            match self.split_seen(properties, &mut targets) {
                Ok(split) => seen = split,
                Err(queue) => {
                    match queue {
                        Some(queue) => self.refuse(id, queue, message.tag, out),
                        None => self.refuse_publish(id, out),
                    }
                    targets.clear();
                    return self.target_lists.push(targets);
                }
            }
        }
        let bounded = |target: &QueueId| self.queues[target.index()].bounded();
        if targets.iter().any(bounded) {
            if let Some(queue) = self.full_block(&targets, message.size(), resumed) {
                let demand = (1, message.size(), message.tag);
                let request = Request::Publish {
                    exchange,
                    mandatory,
                    message,
                };
                self.park(id, queue, request, demand, out);
                targets.clear();
                return self.target_lists.push(targets);
            }
            if let Some(queue) = self.refusing(&targets, message.size()) {
                self.refuse(id, queue, message.tag, out);
                targets.clear();
                return self.target_lists.push(targets);
            }
        }
        self.accept(id, mandatory, message, &mut targets, &seen, out);
        targets.clear();
        self.target_lists.push(targets);
    }

    #[inline]
    fn accept(
        &mut self,
        id: ChannelId,
        mandatory: bool,
        message: Message,
        targets: &mut [QueueId],
        seen: &[QueueId],
        out: &mut Vec<Output>,
    ) {
        if let Some(properties) = message.identity() {
            self.remember_producer(properties, targets);
            for queue in targets.iter() {
                self.remember(*queue, properties);
            }
            if !seen.is_empty() {
                return self.accept_repeated(id, message, targets, seen, out);
            }
        }
        let copies = targets.len() as u32;
        let before = self.log.next();
        self.observe(
            Event::Routed {
                tag: message.tag,
                copies,
            },
            out,
        );
        let origin = self.begin_publish(id, copies);
        if let [target] = targets
            && self.queues[target.index()].has_room(message.size())
        {
            // Each way commits for itself: what they return is large, and need not be built in the usual case.
            if self.queues[target.index()].stream.is_some() {
                let (effect, command) = self.append(*target, message, origin, None, out);
                self.commit_one(effect, command, out);
            } else {
                let (effect, make) = self.enter(*target, message, origin, None, out);
                self.commit_made(effect, make, out);
            }
        } else if !targets.is_empty() {
            self.place_all(
                targets,
                Arrival {
                    message,
                    origin,
                    from: None,
                    hops: 0,
                },
                out,
            );
            self.commit(out);
        } else if message.exchange == ExchangeId::DEFAULT && self.answer(&message, out) {
            // It needs no queue.
        } else if mandatory {
            out.push(Output::Client {
                channel: id,
                response: Response::Returned { message },
            });
        }
        if self.flow.is_some() {
            self.spend_credit(id.connection, 1, before, targets, out);
        }
    }

    /// Numbers a publish that `copies` queues answer for, if its channel asked for confirms.
    #[inline(always)]
    pub(super) fn begin_publish(&mut self, id: ChannelId, copies: u32) -> Origin {
        let Some(channel) = self.connections.channel_mut(id) else {
            return Origin::Unconfirmed;
        };
        let Some(confirms) = &mut channel.confirms else {
            return Origin::Unconfirmed;
        };
        let sequence = confirms.begin(copies);
        if copies == 0 && !std::mem::replace(&mut confirms.touched, true) {
            self.answering.push(id);
        }
        Origin::Publish {
            channel: id,
            epoch: channel.epoch,
            sequence,
        }
    }

    /// The first target that the publish has to wait for.
    fn full_block(
        &self,
        targets: &[QueueId],
        size: u64,
        resumed: Option<QueueId>,
    ) -> Option<QueueId> {
        targets.iter().copied().find(|target| {
            let queue = &self.queues[target.index()];
            let in_turn = queue.parked.is_empty() || resumed == Some(*target);
            queue.config.overflow == Overflow::Block
                && queue.can_ever_fit(size)
                && !(queue.has_room(size) && in_turn)
        })
    }

    /// The first target that says no.
    fn refusing(&self, targets: &[QueueId], size: u64) -> Option<QueueId> {
        targets.iter().copied().find(|target| {
            let queue = &self.queues[target.index()];
            queue.refuses() && !queue.has_room(size)
        })
    }

    #[inline(never)]
    fn refuse(&mut self, id: ChannelId, queue: QueueId, tag: u64, out: &mut Vec<Output>) {
        self.observe(Event::Refused { tag, queue }, out);
        self.refuse_publish(id, out);
    }

    fn refuse_publish(&mut self, id: ChannelId, out: &mut Vec<Output>) {
        let confirms = self
            .connections
            .channel_mut(id)
            .and_then(|channel| channel.confirms.as_mut());
        if let Some(confirms) = confirms {
            let response = Response::Confirm {
                sequence: confirms.refuse(),
                multiple: false,
                accepted: false,
            };
            out.push(Output::Client {
                channel: id,
                response,
            });
            // The window may have a front to take off.
            if !std::mem::replace(&mut confirms.touched, true) {
                self.answering.push(id);
            }
        }
    }
}

/// The way into a queue.
impl Broker {
    /// Proposes a copy for each target.
    #[inline(never)]
    pub(super) fn place_all(
        &mut self,
        targets: &mut [QueueId],
        arrival: Arrival,
        out: &mut Vec<Output>,
    ) {
        // Queues that would refuse come first: what the others displace may fill them up.
        targets.sort_unstable_by_key(|target| (!self.queues[target.index()].refuses(), *target));
        let Some((last, others)) = targets.split_last() else {
            return;
        };
        for target in others {
            let Arrival {
                ref message,
                origin,
                from,
                hops,
            } = arrival;
            self.place(
                *target,
                Arrival {
                    message: message.clone(),
                    origin,
                    from,
                    hops,
                },
                out,
            );
        }
        self.place(*last, arrival, out);
    }

    /// Proposes an enqueue. A full queue displaces its oldest messages, or else this one.
    pub(super) fn place(&mut self, queue: QueueId, arrival: Arrival, out: &mut Vec<Output>) {
        let Arrival {
            message,
            origin,
            from,
            hops,
        } = arrival;
        let (size, tag) = (message.size(), message.tag);
        while !self.queues[queue.index()].has_room(size) {
            let state = &mut self.queues[queue.index()];
            if !state.can_make_room(size) || !self.displace(queue, hops, out) {
                let copy = MessageCopy {
                    queue,
                    serial: self.queues[queue.index()].skip_serial(),
                };
                self.observe(Event::Proposed { tag, copy, from }, out);
                let departure = Departure {
                    source: copy,
                    message,
                    whole: true,
                    entered: false,
                    logged: false,
                    origin,
                    hops,
                    otherwise: Removal::Dropped,
                    waited_for: None,
                };
                return self.overflow(departure, out);
            }
        }
        let (effect, command) = self.admit(queue, message, origin, from, out);
        self.propose(effect, command);
    }

    /// Gives a newcomer its slot; the result is to be committed.
    fn admit(
        &mut self,
        queue: QueueId,
        message: Message,
        origin: Origin,
        from: Option<MessageCopy>,
        out: &mut Vec<Output>,
    ) -> (Effect, Option<Command>) {
        if self.queues[queue.index()].stream.is_some() {
            self.append(queue, message, origin, from, out)
        } else {
            let (effect, make) = self.enter(queue, message, origin, from, out);
            (effect, make.map(|make| make()))
        }
    }

    /// The same in a queue that is no stream; the command is still to be made.
    // Always inlined: what it takes and returns is large, and most of the result is empty, most of the time.
    #[inline(always)]
    fn enter(
        &mut self,
        queue: QueueId,
        message: Message,
        origin: Origin,
        from: Option<MessageCopy>,
        out: &mut Vec<Output>,
    ) -> (Effect, Option<impl FnOnce() -> Command + use<>>) {
        let tag = message.tag;
        let next = self.log.next();
        let state = &mut self.queues[queue.index()];
        let logged = state.durable() && message.persistent;
        let for_log = logged.then(|| message.clone());
        let times = state.times(&message, self.timers.wall);
        let before = state.held_bytes;
        let serial = state.propose(message, if logged { next } else { LogPosition(0) }, times);
        self.weigh(queue, before);
        let copy = MessageCopy { queue, serial };
        self.observe(Event::Proposed { tag, copy, from }, out);
        let make = for_log.map(|message| {
            move || Command::Enqueue {
                copy,
                message,
                times,
            }
        });
        (Effect::Enqueue { copy, origin }, make)
    }
}
