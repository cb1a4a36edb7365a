//! How messages leave: consumers, deliveries, and what clients do with them.

use super::commit::Effect;
use super::dead_letter::Departure;
use super::{Broker, append};
use crate::channel::{Channel, Consumer, Unacked};
use crate::id::{ChannelId, ConnectionId, ConsumerId, MessageCopy, QueueId};
use crate::interface::{Command, Consume, Event, Output, Removal, Response};
use crate::roster::Roster;
use crate::time::WallTime;

/// What a client does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    Ack,
    Requeue,
    Reject,
}

/// Consumers.
impl Broker {
    pub(super) fn consume(&mut self, id: ChannelId, request: Consume, out: &mut Vec<Output>) {
        let Consume {
            queue,
            consumer,
            prefetch,
            no_ack,
            weight,
            priority,
            exclusive,
            ..
        } = request;
        if consumer == ConsumerId::GET {
            return self.fail_channel(id, 530, "the consumer's name is reserved", out);
        }
        let replies = queue == QueueId::REPLY_TO;
        if !replies && !self.require_queue(id, queue, out) {
            return;
        }
        let channel = self.connections.channel_mut(id);
        let of_replies = channel.and_then(|channel| channel.replies_to);
        if of_replies == Some(consumer) || self.find_consumer(id, consumer).is_some() {
            return self.fail_channel(id, 530, "the consumer exists already", out);
        }
        if replies {
            return self.consume_replies(id, consumer, no_ack, out);
        }
        let others = &self.queues[queue.index()].consumers;
        if others.exclusive || exclusive && !others.is_empty() {
            return self.fail_channel(id, 403, "the queue is in exclusive use", out);
        }
        if self.queues[queue.index()].stream.is_some() {
            return self.read_stream(id, &request, out);
        }
        let prefetch = if no_ack { 0 } else { prefetch };
        let channel = self.connections.channel_mut(id);
        let limited = !no_ack && channel.is_some_and(|channel| channel.limit > 0);
        let key = self.consumers.insert(Consumer {
            id: consumer,
            channel: id,
            queue,
            seat: None,
            prefetch,
            no_ack,
            limited,
            unacked: 0,
            reader: None,
        });
        if let Some(channel) = self.connections.channel_mut(id) {
            channel.consumers.push(key);
        }
        out.push(Output::Client {
            channel: id,
            response: Response::Consuming { consumer },
        });
        let join = |roster: &mut Roster| {
            roster.join(key, weight, priority);
            roster.exclusive = exclusive;
        };
        self.change_roster(queue, join, out);
        self.queues[queue.index()].join_lanes(key, request.selector);
        self.refresh(key);
    }

    pub(super) fn cancel(&mut self, id: ChannelId, consumer: ConsumerId, out: &mut Vec<Output>) {
        if let Some((at, key)) = self.find_consumer(id, consumer) {
            if let Some(channel) = self.connections.channel_mut(id) {
                channel.consumers.remove(at);
            }
            self.end_consumer(key, out);
        } else if let Some(channel) = self.connections.channel_mut(id) {
            channel.replies_to.take_if(|replies| *replies == consumer);
        }
        out.push(Output::Client {
            channel: id,
            response: Response::Cancelled { consumer },
        });
    }

    /// A consumer's place on its channel, and its key.
    pub(super) fn find_consumer(
        &mut self,
        id: ChannelId,
        consumer: ConsumerId,
    ) -> Option<(usize, u32)> {
        let keys = &self.connections.channel_mut(id)?.consumers;
        keys.iter()
            .copied()
            .enumerate()
            .find(|(_, key)| self.consumers[*key].id == consumer)
    }

    /// Ends all consumers of a queue, and tells them. What they hold stays unacknowledged.
    pub(super) fn cancel_consumers(&mut self, queue: QueueId, out: &mut Vec<Output>) {
        let roster = &mut self.queues[queue.index()].consumers;
        for (_, key) in roster.take().seats() {
            let consumer = &mut self.consumers[key];
            consumer.seat = None;
            self.queues[queue.index()].leave_lanes(key);
            let (id, consumer) = (consumer.channel, consumer.id);
            if let Some(channel) = self.connections.channel_mut(id) {
                channel.consumers.retain(|other| *other != key);
            }
            out.push(Output::Client {
                channel: id,
                response: Response::Cancelled { consumer },
            });
            self.forget_if_done(key);
        }
        let stream = self.queues[queue.index()].stream.as_mut();
        for key in stream.map_or(Vec::new(), |stream| std::mem::take(&mut stream.readers)) {
            let (id, consumer) = (self.consumers[key].channel, self.consumers[key].id);
            self.cancel(id, consumer, out);
        }
    }

    /// Takes a consumer off its queue. It is forgotten once all that it holds is settled.
    fn end_consumer(&mut self, key: u32, out: &mut Vec<Output>) {
        let consumer = &mut self.consumers[key];
        if consumer.reader.is_some() {
            return self.end_reader(key, out);
        }
        let Some(seat) = consumer.seat.take() else {
            return;
        };
        let queue = consumer.queue;
        self.change_roster(queue, |roster| roster.leave(seat), out);
        if self.queues[queue.index()].lanes.is_some() {
            self.queues[queue.index()].leave_lanes(key);
            self.touch(queue);
        }
        self.forget_if_done(key);
        self.note_use(queue);
    }

    /// Lets the consumers of a queue change, with what follows: their seats, and who is served alone.
    fn change_roster(
        &mut self,
        queue: QueueId,
        change: impl FnOnce(&mut Roster),
        out: &mut Vec<Output>,
    ) {
        let roster = &mut self.queues[queue.index()].consumers;
        let before = roster.active();
        change(roster);
        for (seat, key) in roster.seats() {
            self.consumers[key].seat = Some(seat);
        }
        let active = roster.active().filter(|active| before != Some(*active));
        if let Some(active) = active {
            let channel = self.consumers[active].channel;
            self.observe(Event::Activated { queue, channel }, out);
            self.touch(queue);
        }
    }

    pub(super) fn forget_if_done(&mut self, key: u32) {
        let consumer = &self.consumers[key];
        if consumer.seat.is_none() && consumer.reader.is_none() && consumer.unacked == 0 {
            self.consumers.remove(key);
        }
    }

    /// Works out whether a consumer can take a message.
    fn refresh(&mut self, key: u32) {
        let consumer = &self.consumers[key];
        let Some(seat) = consumer.seat else {
            return self.refresh_reader(key);
        };
        let queue = consumer.queue;
        let available = self.can_take(key);
        let state = &mut self.queues[queue.index()];
        state.consumers.set_available(seat, available);
        if available && state.ready > 0 {
            self.touch(queue);
        }
    }

    /// True if a consumer can take a message.
    #[inline]
    pub(super) fn can_take(&mut self, key: u32) -> bool {
        let consumer = &self.consumers[key];
        let connection = self.connections.get_mut(consumer.channel.connection);
        consumer.has_credit()
            && connection.is_some_and(|connection| {
                let full = consumer.limited
                    && connection
                        .channel_mut(consumer.channel.number)
                        .is_some_and(|channel| !channel.has_credit());
                !full && connection.takes_deliveries()
            })
    }

    /// Works out which consumers of a connection can take a message.
    pub(super) fn refresh_connection(&mut self, id: ConnectionId) {
        let channels = self
            .connections
            .get_mut(id)
            .map_or(0, |connection| connection.channels.len());
        for channel in 0..channels {
            for nth in 0.. {
                let Some(connection) = self.connections.get_mut(id) else {
                    return;
                };
                let Some(key) = connection.channels[channel].consumers.get(nth).copied() else {
                    break;
                };
                self.refresh(key);
            }
        }
    }

    /// Ends what a closed channel had: its consumers, and the deliveries that it has not settled.
    pub(super) fn give_back_all(&mut self, mut channel: Channel, out: &mut Vec<Output>) {
        for key in channel.consumers {
            self.end_consumer(key, out);
        }
        while let Some((_, unacked)) = channel.unacked.pop_front() {
            self.settle_one(unacked, Settlement::Requeue, out);
        }
    }
}

/// Deliveries.
impl Broker {
    /// Delivers from a queue as long as it has messages and takers.
    #[inline]
    pub(super) fn deliver(&mut self, id: QueueId, out: &mut Vec<Output>) {
        if self.queues[id.index()].lanes.is_some() {
            return self.deliver_by_lanes(id, out);
        }
        loop {
            let queue = &mut self.queues[id.index()];
            if queue.ready == 0 {
                return;
            }
            if queue.bodies.absent > 0 && !self.next_body_is_here(id, out) {
                return;
            }
            let queue = &mut self.queues[id.index()];
            let Some(seat) = queue.consumers.pick(&mut self.rng) else {
                return;
            };
            let key = queue.consumers.key(seat);
            self.deliver_to(id, key, None, out);
        }
    }

    /// The same where not all consumers may take all messages.
    #[inline(never)]
    fn deliver_by_lanes(&mut self, id: QueueId, out: &mut Vec<Output>) {
        loop {
            let queue = &self.queues[id.index()];
            if queue.bodies.absent > 0 && !self.next_body_in_lanes_is_here(id, out) {
                return;
            }
            let queue = &mut self.queues[id.index()];
            let Some((serial, seat)) = queue.choose(&mut self.rng) else {
                return;
            };
            let key = queue.consumers.key(seat);
            queue.bind_group(serial, key);
            self.deliver_to(id, key, Some(serial), out);
        }
    }

    /// Delivers the next message, or a chosen one, to a consumer, whether it has credit or not.
    pub(super) fn deliver_to(
        &mut self,
        id: QueueId,
        key: u32,
        chosen: Option<u64>,
        out: &mut Vec<Output>,
    ) {
        let queue = &mut self.queues[id.index()];
        let consumer = &mut self.consumers[key];
        let connection = self
            .connections
            .get_mut(consumer.channel.connection)
            .expect("a consumer's connection is open");
        let taken = match chosen {
            None => queue.deliver(),
            Some(serial) => queue.deliver_chosen(serial),
        };
        let (serial, slot) = taken.expect("the queue has a ready message");
        let copy = MessageCopy { queue: id, serial };
        let mut exhausted = connection.spend(slot.message.size());
        let channel = connection
            .channel_mut(consumer.channel.number)
            .expect("a consumer's channel is open");
        let delivery = channel.number_delivery();
        append(out, || Output::Client {
            channel: consumer.channel,
            response: Response::Deliver {
                consumer: consumer.id,
                delivery,
                redelivered: slot.redelivered,
                copy,
                message: slot.message.clone(),
            },
        });
        let no_ack = consumer.no_ack;
        let (to, leased) = (consumer.channel, !no_ack && queue.leases.is_some());
        if !no_ack {
            channel.unacked.push(
                delivery,
                Unacked {
                    queue: id,
                    serial,
                    consumer: key,
                },
            );
            consumer.unacked += 1;
            let (unacked, has_credit) = (consumer.unacked, consumer.has_credit());
            if let Some(seat) = consumer.seat {
                queue.consumers.set_in_flight(seat, unacked);
                queue.consumers.set_available(seat, has_credit);
            }
            if consumer.limited {
                channel.held += 1;
                exhausted |= !channel.has_credit();
            }
        }
        if leased {
            self.lease(to, delivery);
        }
        if exhausted {
            self.refresh_connection(to.connection);
        }
        if self.flow.is_some() && !no_ack {
            self.let_delivered_go(copy);
        }
        if no_ack {
            let removed = self.take_out(copy);
            let (tag, logged) = removed.expect("a message that was just delivered is there");
            let reason = Removal::Acked;
            self.observe(Event::Removed { tag, copy, reason }, out);
            if logged {
                self.commit_done(Command::Remove { copy }, out);
            }
        }
    }

    /// Settles a delivery, or all up to it.
    pub(super) fn settle(
        &mut self,
        id: ChannelId,
        delivery: u64,
        multiple: bool,
        settlement: Settlement,
        out: &mut Vec<Output>,
    ) {
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        if channel.transaction.is_some() {
            return self.gather_settlement(id, delivery, multiple, settlement, out);
        }
        if !multiple && let Some(unacked) = channel.unacked.remove(delivery) {
            return self.settle_one(unacked, settlement, out);
        }
        let Some(last) = channel.named(delivery, multiple) else {
            return self.fail_channel(id, 406, "unknown delivery tag", out);
        };
        if !multiple {
            // It comes too late: the delivery was taken back.
            return;
        }
        while let Some(channel) = self.connections.channel_mut(id)
            && channel
                .unacked
                .front()
                .is_some_and(|(delivery, _)| delivery <= last)
            && let Some((_, unacked)) = channel.unacked.pop_front()
        {
            self.settle_one(unacked, settlement, out);
        }
    }

    pub(super) fn settle_one(
        &mut self,
        unacked: Unacked,
        settlement: Settlement,
        out: &mut Vec<Output>,
    ) {
        let Unacked {
            queue,
            serial,
            consumer: key,
        } = unacked;
        if self.queues[queue.index()].stream.is_some() {
            return self.settle_record(unacked, settlement);
        }
        let consumer = &mut self.consumers[key];
        let had_credit = consumer.has_credit();
        consumer.unacked -= 1;
        let (limited, channel) = (consumer.limited, consumer.channel);
        if let Some(seat) = consumer.seat {
            let roster = &mut self.queues[queue.index()].consumers;
            roster.set_in_flight(seat, consumer.unacked);
            if !had_credit {
                self.refresh(key);
            }
        } else {
            self.forget_if_done(key);
        }
        if limited {
            self.relieve_channel(channel);
        }

        let copy = MessageCopy { queue, serial };
        let Some(slot) = self.queues[queue.index()].settle(serial) else {
            return;
        };
        match settlement {
            Settlement::Ack => {
                let make = slot.logged().then_some(|| Command::Remove { copy });
                let reason = Removal::Acked;
                self.commit_made(Effect::Remove { copy, reason }, make, out);
            }
            Settlement::Requeue => self.give_back(copy, out),
            Settlement::Reject => {
                let departure = Departure::new(copy, slot, Removal::Rejected);
                self.dead_letter(departure, out);
                self.commit(out);
            }
        }
    }

    /// Returns a message that its consumer did not finish with, unless it was delivered too often.
    fn give_back(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let queue = &mut self.queues[copy.queue.index()];
        let Some(slot) = queue.slot(copy.serial) else {
            return;
        };
        let (deliveries, logged) = (slot.deliveries.saturating_add(1), slot.logged());
        let policy = &queue.config.policy;
        if policy
            .delivery_limit
            .is_some_and(|limit| deliveries > limit)
        {
            let departure = Departure::new(copy, slot, Removal::Exhausted);
            self.dead_letter(departure, out);
            return self.commit(out);
        }
        let due = match &policy.retry_delay {
            Some(delay) => self.timers.wall + delay.after(deliveries, &mut self.rng),
            None => WallTime::ZERO,
        };
        let place = queue.postpone(copy.serial, due);
        let command = logged.then_some(Command::Return {
            copy,
            deliveries,
            due,
            place,
        });
        self.commit_one(Effect::Return { copy, deliveries }, command, out);
    }
}
