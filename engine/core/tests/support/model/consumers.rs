//! Consumers in the naive broker: who may get what.

use super::*;

#[derive(Clone, PartialEq)]
pub(super) struct Consumer {
    pub(super) channel: ChannelId,
    pub(super) id: ConsumerId,
    prefetch: u32,
    no_ack: bool,
    priority: i32,
    exclusive: bool,
    selector: Option<Arc<Selector>>,
    /// Which of all consumers it is.
    birth: u64,
}

impl Consumer {
    /// The order of a roster: by priority, then by age.
    pub(super) fn rank(&self) -> (std::cmp::Reverse<i32>, u64) {
        (std::cmp::Reverse(self.priority), self.birth)
    }
}

/// Who holds what was fetched: no consumer.
const GETTER: u64 = 0;

/// What the broker does on its own.
impl Model {
    pub(super) fn deliver(&mut self, id: ChannelId, consumer: ConsumerId, name: MessageCopy) {
        let takers = self.takers(name.queue);
        let first = takers.first().expect("nobody can take a message");
        assert_eq!(
            first.0, name.serial,
            "the first that anybody can take goes first"
        );
        let consumer = takers
            .into_iter()
            .find(|(_, taker)| taker.channel == id && taker.id == consumer);
        let (_, consumer) = consumer.expect("only those get a message who can take it");
        let copy = self.copy(name);
        let group = copy.message.properties.as_ref();
        let group = group.and_then(|properties| properties.group.clone());
        let queue = name.queue.index();
        if let Some(group) = group.filter(|_| self.config.queues[queue].policy.groups) {
            self.queues[queue].groups.insert(group, consumer.birth);
        }
        self.hand_over(id, consumer.id, consumer.birth, consumer.no_ack, name);
    }

    fn hand_over(
        &mut self,
        id: ChannelId,
        consumer: ConsumerId,
        holder: u64,
        no_ack: bool,
        name: MessageCopy,
    ) {
        let copy = self.copy(name);
        copy.state = State::InFlight;
        let (message, redelivered) = (copy.message.clone(), copy.redelivered);
        let logged = copy.logged;
        let connection = self.connections.get_mut(&id.connection).unwrap();
        if let Some(window) = &mut connection.window {
            *window -= i128::from(message.size()) + 64;
        }
        let channel = connection.channels.get_mut(&id.number).unwrap();
        channel.delivered += 1;
        let delivery = channel.delivered;
        let tag = message.tag;
        if !no_ack {
            channel.unacked.push((delivery, name, holder));
            self.lease(id, delivery);
        }
        let response = Response::Deliver {
            consumer,
            delivery,
            redelivered,
            copy: name,
            message,
        };
        self.expect(Output::Client {
            channel: id,
            response,
        });
        if no_ack {
            self.forget(name);
            self.observe(Event::Removed {
                tag,
                copy: name,
                reason: Removal::Acked,
            });
            if logged {
                self.commands.push(Command::Remove { copy: name });
                self.commit();
            }
        }
    }

    /// The first ready message that anybody can take, with each of those who may get it.
    pub(super) fn takers(&self, queue: QueueId) -> Vec<(u64, Consumer)> {
        let state = &self.queues[queue.index()];
        let policy = &self.config.queues[queue.index()].policy;
        let active = self.active(queue);
        for serial in self.ready_in_order(queue) {
            let copy = state.copies.iter().find(|copy| copy.serial == serial);
            let message = &copy.unwrap().message;
            let takers: Vec<&Consumer> = state
                .consumers
                .iter()
                .filter(|consumer| !policy.single_active || active == Some(consumer.birth))
                .filter(|consumer| self.has_credit(consumer))
                .filter(|consumer| {
                    let selector = consumer.selector.as_ref();
                    selector.is_none_or(|selector| selector.matches(message))
                })
                .filter(|consumer| {
                    self.owner(queue, message)
                        .is_none_or(|owner| owner == consumer.birth)
                })
                .collect();
            let highest = takers.iter().map(|consumer| consumer.priority).max();
            if highest.is_some() {
                let best = takers.into_iter();
                let best = best.filter(|consumer| Some(consumer.priority) == highest);
                return best.map(|consumer| (serial, consumer.clone())).collect();
            }
        }
        Vec::new()
    }

    /// The consumer that a message's group sticks to.
    fn owner(&self, queue: QueueId, message: &Message) -> Option<u64> {
        let group = message.properties.as_ref()?.group.as_ref()?;
        self.queues[queue.index()].groups.get(group).copied()
    }

    fn has_credit(&self, consumer: &Consumer) -> bool {
        let connection = &self.connections[&consumer.channel.connection];
        let channel = &connection.channels[&consumer.channel.number];
        let holders = channel.unacked.iter().map(|(.., holder)| *holder);
        let own = holders
            .clone()
            .filter(|holder| *holder == consumer.birth)
            .count();
        let all = holders.filter(|holder| *holder != GETTER).count();
        let below = |held: usize, limit: u32| limit == 0 || held < limit as usize;
        let credit = consumer.no_ack || below(own, consumer.prefetch) && below(all, channel.limit);
        credit && connection.reading && connection.window.is_none_or(|window| window > 0)
    }

    /// The first of the highest priority, in a queue that serves one alone.
    fn active(&self, queue: QueueId) -> Option<u64> {
        let single = self.config.queues[queue.index()].policy.single_active;
        let consumers = self.queues[queue.index()].consumers.iter();
        let first = consumers
            .max_by_key(|consumer| (consumer.priority, std::cmp::Reverse(consumer.birth)))?;
        single.then_some(first.birth)
    }
}

/// Requests.
impl Model {
    pub(super) fn consume(&mut self, id: ChannelId, request: Consume) {
        let name = request.consumer;
        let replies = request.queue == QueueId::REPLY_TO;
        if !self.exists(request.queue) && !replies {
            return self.fail(id, 404, "no such queue");
        }
        let mut all = self.queues.iter().flat_map(|queue| &queue.consumers);
        let known = all.any(|other| other.channel == id && other.id == name);
        if known || self.channel(id).replies_to == Some(name) {
            return self.fail(id, 530, "the consumer exists already");
        }
        if replies {
            if !request.no_ack {
                return self.fail(id, 406, "replies are not acknowledged");
            }
            if self.channel(id).replies_to.is_some() {
                return self.fail(id, 406, "the channel has a reply consumer already");
            }
            self.channel(id).replies_to = Some(name);
            return self.respond(id, Response::Consuming { consumer: name });
        }
        let others = &self.queues[request.queue.index()].consumers;
        let taken = others.iter().any(|other| other.exclusive);
        if taken || request.exclusive && !others.is_empty() {
            return self.fail(id, 403, "the queue is in exclusive use");
        }
        self.respond(id, Response::Consuming { consumer: name });
        let before = self.active(request.queue);
        let consumer = Consumer {
            channel: id,
            id: name,
            prefetch: request.prefetch,
            no_ack: request.no_ack,
            priority: request.priority,
            exclusive: request.exclusive,
            selector: request.selector,
            birth: self.epochs,
        };
        self.queues[request.queue.index()].consumers.push(consumer);
        self.announce_active(request.queue, before);
    }

    pub(super) fn cancel(&mut self, id: ChannelId, consumer: ConsumerId) {
        self.end_consumers(|other| other.channel == id && other.id == consumer);
        let channel = self.channel(id);
        channel.replies_to = channel.replies_to.filter(|replies| *replies != consumer);
        self.respond(id, Response::Cancelled { consumer });
    }

    /// Ends consumers, the oldest first.
    pub(super) fn end_consumers(&mut self, ends: impl Fn(&Consumer) -> bool) {
        let all = self.queues.iter().zip(0..).flat_map(|(queue, at)| {
            let births = queue.consumers.iter().filter(|consumer| ends(consumer));
            births.map(move |consumer| (consumer.birth, QueueId(at)))
        });
        let mut ending: Vec<(u64, QueueId)> = all.collect();
        ending.sort_unstable();
        for (birth, queue) in ending {
            let before = self.active(queue);
            let state = &mut self.queues[queue.index()];
            state.consumers.retain(|consumer| consumer.birth != birth);
            state.groups.retain(|_, owner| *owner != birth);
            state.last_used = self.clock.now;
            self.announce_active(queue, before);
        }
    }

    fn announce_active(&mut self, queue: QueueId, before: Option<u64>) {
        let active = self.active(queue);
        if let Some(active) = active.filter(|_| active != before) {
            let mut consumers = self.queues[queue.index()].consumers.iter();
            let consumer = consumers.find(|consumer| consumer.birth == active);
            let channel = consumer.unwrap().channel;
            self.observe(Event::Activated { queue, channel });
        }
    }

    pub(super) fn get(&mut self, id: ChannelId, queue: QueueId, no_ack: bool) {
        self.run_timers();
        if !self.exists(queue) {
            return self.fail(id, 404, "no such queue");
        }
        self.queues[queue.index()].last_used = self.clock.now;
        // What belongs to a consumer is not for others.
        let free = self.ready_in_order(queue).into_iter().find(|serial| {
            let mut copies = self.queues[queue.index()].copies.iter();
            let copy = copies.find(|copy| copy.serial == *serial).unwrap();
            self.owner(queue, &copy.message).is_none()
        });
        match free {
            Some(serial) => {
                let name = MessageCopy { queue, serial };
                self.hand_over(id, ConsumerId::GET, GETTER, no_ack, name);
            }
            None => self.respond(id, Response::Empty),
        }
    }

    pub(super) fn limit(&mut self, id: ChannelId, limit: u32) {
        self.channel(id).limit = limit;
        self.respond(id, Response::Done);
    }

    pub(super) fn respond(&mut self, channel: ChannelId, response: Response) {
        self.expect(Output::Client { channel, response });
    }
}

/// Direct replies.
impl Model {
    /// The message as routed: with the address of who asks. `None` if that is refused.
    pub(super) fn with_address(&mut self, id: ChannelId, mut message: Message) -> Option<Message> {
        let asks = message.properties.as_ref();
        let asks = asks.and_then(|properties| properties.reply_to.as_ref());
        if asks.is_some_and(|to| to.is_empty()) {
            let channel = self.channel(id);
            if channel.replies_to.is_none() {
                self.fail(id, 406, "the channel has no reply consumer");
                return None;
            }
            let address = channel.address.clone();
            let properties = Arc::make_mut(message.properties.as_mut().unwrap());
            properties.reply_to = Some(address.into());
        }
        Some(message)
    }

    /// Hands an answer over; false if nobody waits for it.
    pub(super) fn answer(&mut self, message: &Message) -> bool {
        for (id, connection) in &mut self.connections {
            for (number, channel) in &mut connection.channels {
                let asker = channel.replies_to;
                let Some(consumer) = asker.filter(|_| channel.address == message.routing_key)
                else {
                    continue;
                };
                channel.delivered += 1;
                if let Some(window) = &mut connection.window {
                    *window -= i128::from(message.size()) + 64;
                }
                let first = MessageCopy::first_serial(self.config.incarnation);
                let copy = MessageCopy {
                    queue: QueueId::REPLY_TO,
                    serial: first + self.answers,
                };
                self.answers += 1;
                let response = Response::Deliver {
                    consumer,
                    delivery: channel.delivered,
                    redelivered: false,
                    copy,
                    message: message.clone(),
                };
                let channel = ChannelId {
                    connection: *id,
                    number: *number,
                };
                self.expect(Output::Client { channel, response });
                return true;
            }
        }
        false
    }

    /// An address that answers may be sent to, perhaps of a channel that is gone.
    pub(crate) fn address(&self, pick: usize) -> String {
        let from_last = self.addresses.iter().rev().nth(pick);
        from_last.map_or("nowhere".into(), String::clone)
    }
}
