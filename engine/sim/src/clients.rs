//! What clients do, and what reaches them.

use std::sync::Arc;

use queuelab_core::{ChannelId, ConnectionId, MessageCopy, QueueId, Request, Time};
use queuelab_record::Outcomes;
use queuelab_scenario::Milestone;
use queuelab_workload::{ConsumerAction, Delivery, Outcome, ProducerAction, Publish};

use crate::body::body;
use crate::check::Tag;
use crate::journey::State;
use crate::metrics::{Latency, Measured};
use crate::network::{Client, Delivered, Down, Stamps, Up};
use crate::relay::RELAY_CHANNEL;
use crate::world::{Event, Retried, World};

impl World {
    #[inline]
    pub fn client_receives(&mut self, connection: u32, packet: Down) {
        match packet {
            Down::Connected { attempt } | Down::Refused { attempt }
                if attempt != self.connections[connection as usize].attempt =>
            {
                return;
            }
            Down::Connected { .. } => return self.client_connected(connection),
            Down::Refused { .. } => return self.client_reset(connection),
            _ if !self.connections[connection as usize].live => return,
            Down::Ended => {
                self.disconnect(connection);
                return self.client_reset(connection);
            }
            _ => {}
        }
        let milestone = match packet {
            _ if self.milestones.is_none() => None,
            Down::Confirm { accepted: true, .. } => Some(Milestone::Confirm),
            Down::Deliver(_) => Some(Milestone::Deliver),
            _ => None,
        };
        match self.connections[connection as usize].client {
            Client::Producer(producer) => self.producer_receives(producer, packet),
            Client::Consumer(consumer) => self.consumer_receives(consumer, connection, packet),
        }
        if let Some(milestone) = milestone {
            self.reach(milestone, false, Some(connection));
        }
    }

    #[inline]
    fn producer_receives(&mut self, producer: u32, packet: Down) {
        let now = self.calendar.now();
        let machine = &mut self.producers[producer as usize].machine;
        let actions = &mut self.producer_actions;
        match packet {
            Down::Confirm {
                sequence,
                multiple,
                accepted,
                ..
            } => machine.confirm(now, sequence, multiple, accepted, actions),
            Down::Reading { on } => machine.writable(now, on, actions),
            Down::Committed { accepted, .. } => machine.committed(now, accepted, actions),
            _ => return,
        }
        self.producer_acts(producer);
    }

    #[inline]
    fn consumer_receives(&mut self, consumer: u32, connection: u32, packet: Down) {
        let now = self.calendar.now();
        match packet {
            Down::Deliver(delivered) => self.delivery_arrives(consumer, connection, delivered),
            Down::Empty { channel } => {
                let slot = &mut self.consumers[consumer as usize];
                let subscription = u32::from(channel) - 1;
                slot.machine
                    .empty(now, subscription, &mut self.consumer_actions);
                self.consumer_acts(consumer);
            }
            Down::Confirm {
                channel: RELAY_CHANNEL,
                sequence,
                multiple,
                accepted,
            } => self.relayed_confirmed(consumer, sequence, multiple, accepted),
            Down::Committed { channel, accepted } => {
                self.relayed_committed(consumer, channel, accepted);
            }
            _ => {}
        }
    }

    #[inline]
    pub fn delivery_arrives(&mut self, consumer: u32, connection: u32, delivered: Delivered) {
        let Delivered {
            channel,
            redelivered,
            held,
            delivery,
            tag,
            copy,
            ..
        } = delivered;
        let now = self.calendar.now();
        let queue = copy.queue.index();
        let slot = &self.consumers[consumer as usize];
        let group = slot.group as usize;
        let at = (slot.subscriptions + u32::from(channel) - 1) as usize;
        self.trace.digest(tag, delivery);
        // What has happened to the copy since it was dispatched (its lease may have ended) is no fault of the delivery's.
        let mut held = held;
        self.tell_received(consumer, &delivered);
        let mut attempt = 0;
        // A lease that ran out on the way leaves the consumer nothing that the broker still counts: somebody else may be done with it.
        let mut lapsed = !self.journeys.is_stream(queue);
        if self.journeys.is_stream(queue) {
            (attempt, held) = self.record_arrives(consumer, connection, copy);
        } else if let Some(journey) = self.journeys.get_mut(copy) {
            attempt = journey.attempts;
            lapsed = (journey.holder, journey.delivery) != (connection, (channel, delivery));
            if !journey.received_once {
                journey.received_once = true;
                let (phase, intended) = (journey.phase as usize, journey.stamps.intended);
                let (priority, moved) = (journey.priority, journey.moved);
                self.first_receipt(tag, queue, phase, intended, priority);
                if !moved {
                    self.check
                        .first_received(now, Tag(tag), copy, (u32::MAX, attempt));
                }
            }
        }
        self.check.received(now, Tag(tag), copy, held);
        if !(self.groups[group].auto_ack || self.brokerless.is(queue) || lapsed) {
            let bound = self.groups[group].bound;
            self.check.held(now, at, delivery, bound, copy);
        }
        let (subscription, partition) = self.subscription_of(group, channel, queue);
        let delivery = Delivery {
            subscription,
            partition,
            delivery,
            tag,
            serial: copy.serial,
            redelivered,
            attempt,
        };
        self.consumers[consumer as usize].machine.deliver(
            now,
            delivery,
            &mut self.consumer_actions,
        );
        self.consumer_acts(consumer);
    }

    /// A consumer has a copy in its hands for the first time.
    #[inline]
    fn first_receipt(
        &mut self,
        tag: u64,
        queue: usize,
        phase: usize,
        intended: Time,
        priority: u8,
    ) {
        let now = self.calendar.now();
        let origin = self.origin(tag, intended);
        let of = Measured {
            queue,
            producer: origin.producer,
            phase,
        };
        self.metrics
            .latency(Latency::Delivery, of, origin.intended, now);
        let metrics = &mut self.metrics.queues[queue];
        if !metrics.priorities.is_empty() {
            let level = metrics.level_of(priority);
            metrics.priorities[level]
                .delivery
                .record(now - origin.intended);
        }
    }

    /// Which of a consumer's queues a broker's queue is, and which of its partitions.
    #[inline]
    fn subscription_of(&self, group: usize, channel: u16, queue: usize) -> (u32, u32) {
        let of = self.layout.queue_of(queue);
        let partition = (queue - self.layout.partitions(of).start) as u32;
        let subscription = if self.groups[group].one_channel {
            let from = &self.scenario.consumers[group].from;
            from.iter().position(|other| *other == of).unwrap_or(0) as u32
        } else {
            u32::from(channel) - 1
        };
        (subscription, partition)
    }

    /// The channel of one of a consumer's queues.
    #[inline]
    pub fn channel_of(&self, group: usize, subscription: u32) -> u16 {
        if self.groups[group].one_channel {
            1
        } else {
            subscription as u16 + 1
        }
    }

    /// The copy that a delivery was of.
    #[inline]
    pub fn copy_of(&self, group: usize, delivery: &Delivery) -> MessageCopy {
        let queue = self.scenario.consumers[group].from[delivery.subscription as usize];
        let queue = self.layout.partitions(queue).start as u32 + delivery.partition;
        MessageCopy {
            queue: QueueId(queue),
            serial: delivery.serial,
        }
    }

    // Producers

    /// Does what a producer asked for, and minds its deadline.
    #[inline]
    pub fn producer_acts(&mut self, producer: u32) {
        let connection = self.producer_connection(producer);
        let mut actions = std::mem::take(&mut self.producer_actions);
        for action in &actions {
            match *action {
                ProducerAction::Publish(ref publish) => self.publish(producer, publish),
                ProducerAction::Finished {
                    sequence,
                    intended,
                    outcome,
                } => self.finished(producer, sequence, intended, outcome),
                ProducerAction::Commit => self.request(connection, 1, Request::Commit),
                ProducerAction::Disconnect { crash } => {
                    self.sender_goes(connection, crash);
                    self.disconnect(connection);
                }
                ProducerAction::Connect => self.connect(connection),
            }
        }
        actions.clear();
        self.producer_actions = actions;
        self.mind_producer(producer);
    }

    /// Sees to it that a producer's deadline is in the calendar; one that has moved leaves its event behind.
    #[inline(always)]
    fn mind_producer(&mut self, producer: u32) {
        let now = self.calendar.now();
        let slot = &mut self.producers[producer as usize];
        if let Some(deadline) = slot.machine.deadline()
            && deadline < slot.scheduled
        {
            slot.scheduled = deadline.max(now);
            self.calendar
                .schedule(slot.scheduled, Event::Producer(producer));
        }
    }

    #[inline]
    fn publish(&mut self, producer: u32, publish: &Publish) {
        let now = self.calendar.now();
        let troubled = self.producers[producer as usize].trouble.is_some();
        let distorted;
        let publish = match troubled || publish.attempt > 0 && !self.hot.is_empty() {
            true => {
                distorted = self.distorted(producer, publish);
                &distorted
            }
            false => publish,
        };
        let slot = &self.producers[producer as usize];
        let group = slot.group as usize;
        let spec = &self.scenario.producers[group];
        let plan = &self.producer_plans[group];
        let (target, _) = &spec.to[publish.target as usize];
        let tag = Tag::new(producer as usize, publish.sequence);
        let (exchange, own_key) = self.layout.exchange_of(target);
        let mut properties = plan.properties(slot.machine.member(), publish);
        if spec.idempotent {
            let number = slot.machine.number(publish.sequence);
            properties.get_or_insert_default().producer = number;
        }
        self.check
            .sent(tag, publish.key, properties.as_ref(), publish.attempt > 0);
        let message = queuelab_core::Message {
            tag: tag.0,
            exchange,
            persistent: spec.persistent,
            routing_key: if own_key {
                plan.key_name(publish.key)
            } else {
                plan.routing_key(publish.target, publish.key)
            },
            body: body(publish.size),
            properties: properties.map(Arc::new),
        };
        let direct = self.brokerless.target(&self.layout, target);
        let mandatory = spec.mandatory;
        let stamps = Stamps {
            intended: publish.intended,
            sent: now,
            received: now,
        };
        let outcomes = &mut self.metrics.producers[group].outcomes;
        if publish.attempt == 0 {
            outcomes.sent += 1;
            if spec.retry.is_some() {
                self.retried.insert(tag.0, Retried::default());
            }
        } else {
            outcomes.retried += 1;
            self.retried.entry(tag.0).or_default().again = true;
        }
        self.trace.digest(tag.0, publish.intended.0);
        self.tell_sent(tag, publish);
        let connection = self.producer_connection(producer);
        if let Some(queue) = direct {
            return self.push(connection, queue, message, stamps, None);
        }
        let request = Request::Publish {
            exchange,
            mandatory,
            message,
        };
        self.send_up(
            connection,
            Up::Request {
                channel: ChannelId {
                    connection: ConnectionId(connection),
                    number: 1,
                },
                request,
                stamps,
            },
        );
        if troubled {
            self.surge(producer, publish);
        }
    }

    #[inline]
    fn finished(&mut self, producer: u32, sequence: u64, intended: Time, outcome: Outcome) {
        let now = self.calendar.now();
        let group = self.producers[producer as usize].group as usize;
        let outcomes: &mut Outcomes = &mut self.metrics.producers[group].outcomes;
        match outcome {
            Outcome::Sent => {}
            Outcome::Confirmed => {
                outcomes.confirmed += 1;
                let of = Measured {
                    queue: 0,
                    producer: group,
                    phase: self.metrics.phase_of(intended),
                };
                self.metrics.latency(Latency::Confirm, of, intended, now);
            }
            Outcome::Failed => outcomes.failed += 1,
            Outcome::Unknown => outcomes.unknown += 1,
            Outcome::Abandoned => outcomes.abandoned += 1,
            Outcome::Dropped => outcomes.dropped_by_producer += 1,
        }
        let tag = Tag::new(producer as usize, sequence);
        self.tell_outcome(tag, outcome);
        if outcome != Outcome::Dropped {
            self.check.outcome(now, tag, outcome == Outcome::Confirmed);
        }
        if outcome == Outcome::Failed && self.scenario.producers[group].transaction.is_some() {
            // The broker says nothing of the single messages of a transaction that fails.
            self.vanished(tag.0);
        }
        if !self.retried.is_empty() {
            self.sent_for_the_last_time(tag.0);
        }
        if !self.hot.is_empty() {
            self.hot.remove(&tag.0);
        }
        if self.producers[producer as usize].closed
            && matches!(
                outcome,
                Outcome::Failed | Outcome::Unknown | Outcome::Abandoned
            )
        {
            self.consumed(tag.0);
        }
    }

    /// A message will not be sent again. If it was, its copies may be served later.
    fn sent_for_the_last_time(&mut self, tag: u64) {
        let Some(retried) = self.retried.get_mut(&tag) else {
            return;
        };
        retried.known = true;
        if retried.again {
            self.repeated.push_back(tag);
            if self.repeated.len() > REPEATED
                && let Some(first) = self.repeated.pop_front()
            {
                self.retried.remove(&first);
            }
        } else if !self.relays.is_open(tag) {
            self.retried.remove(&tag);
        }
    }

    /// A message is done with: if it comes from a closed loop, its producer thinks, then sends the next one.
    #[inline]
    pub fn consumed(&mut self, tag: u64) {
        let producer = self.producers.get(Tag(tag).producer());
        if producer.is_none_or(|slot| slot.closed) {
            self.closes_loop(tag);
        }
    }

    fn closes_loop(&mut self, tag: u64) {
        let tag = Tag(self.origin(tag, Time::ZERO).tag);
        let producer = tag.producer() as u32;
        let Some(slot) = self.producers.get_mut(producer as usize) else {
            return;
        };
        if slot.closed {
            // Not at once: the producer may be the one that acts at the moment.
            let now = self.calendar.now();
            let mut actions = Vec::new();
            slot.machine.consumed(now, tag.sequence(), &mut actions);
            debug_assert!(actions.is_empty(), "a closed loop thinks before it sends");
            self.mind_producer(producer);
        }
    }

    // Consumers

    /// Does what a consumer asked for, and minds its deadline.
    #[inline]
    pub fn consumer_acts(&mut self, consumer: u32) {
        let now = self.calendar.now();
        // A delivery that comes in changes nothing but the deadline.
        if !self.consumer_actions.is_empty() {
            self.carry_out(consumer);
        }
        let slot = &mut self.consumers[consumer as usize];
        if let Some(deadline) = slot.machine.deadline()
            && deadline < slot.scheduled
        {
            slot.scheduled = deadline.max(now);
            self.calendar
                .schedule(slot.scheduled, Event::Consumer(consumer));
        }
    }

    #[inline(never)]
    fn carry_out(&mut self, consumer: u32) {
        let mut actions = std::mem::take(&mut self.consumer_actions);
        let mut rest = &actions[..];
        while let [action, then @ ..] = rest {
            let goes_on = matches!(then.first(), Some(ConsumerAction::Forward { .. }));
            self.consumer_act(consumer, action, goes_on);
            rest = then;
        }
        actions.clear();
        self.consumer_actions = actions;
    }

    /// One of them; `goes_on` if the next one publishes on.
    #[inline]
    fn consumer_act(&mut self, consumer: u32, action: &ConsumerAction, goes_on: bool) {
        let group = self.consumers[consumer as usize].group as usize;
        let connection = self.consumer_connection(consumer);
        if let ConsumerAction::Ack { .. } = action
            && self.milestones.is_some()
        {
            self.reach(Milestone::Ack, true, Some(connection));
            if !self.connections[connection as usize].live {
                return;
            }
        }
        if self.consumers[consumer as usize].trouble.is_some() && self.withheld(consumer, action) {
            return;
        }
        match *action {
            ConsumerAction::Served {
                ref delivery,
                received,
                started,
                ended,
                accepted,
            } => {
                let copy = self.copy_of(group, delivery);
                let direct = self.brokerless.is(copy.queue.index());
                if direct {
                    self.peer_served(copy, accepted);
                }
                if self.groups[group].relays && !goes_on {
                    let channel = self.channel_of(group, delivery.subscription);
                    self.relays.settled(consumer, channel, delivery.delivery);
                }
                if accepted {
                    self.served(
                        consumer,
                        delivery,
                        copy,
                        [received, started, ended],
                        goes_on,
                    );
                }
                if direct && !goes_on {
                    self.peer_goes_on(consumer, copy.queue.index(), delivery.tag);
                }
            }
            ConsumerAction::Ack {
                subscription,
                delivery,
                multiple,
            } => {
                let request = Request::Ack { delivery, multiple };
                self.settle(consumer, subscription, delivery, multiple, request);
            }
            ConsumerAction::Nack {
                subscription,
                delivery,
                requeue,
            } => {
                let request = Request::Nack {
                    delivery,
                    multiple: false,
                    requeue,
                };
                self.settle(consumer, subscription, delivery, false, request);
            }
            ConsumerAction::Get { subscription } => {
                let queue = self.scenario.consumers[group].from[subscription as usize];
                let partitions = self.layout.partitions(queue);
                let slot = &mut self.consumers[consumer as usize];
                let partition = slot.gets as usize % partitions.len();
                slot.gets = slot.gets.wrapping_add(1);
                let request = Request::Get {
                    queue: QueueId((partitions.start + partition) as u32),
                    no_ack: self.groups[group].auto_ack,
                };
                self.request(connection, self.channel_of(group, subscription), request);
            }
            ConsumerAction::Renew {
                subscription,
                delivery,
            } => {
                let channel = self.channel_of(group, subscription);
                self.request(connection, channel, Request::Renew { delivery });
            }
            ConsumerAction::Forward {
                delivery,
                target,
                size,
            } => {
                let copy = self.copy_of(group, &delivery);
                self.goes_on(consumer, delivery, copy, target, size);
            }
            ConsumerAction::Commit { subscription } => {
                let channel = self.channel_of(group, subscription);
                self.relays.commit(consumer, channel);
                self.request(connection, channel, Request::Commit);
            }
            ConsumerAction::Disconnect { crash } => {
                self.forget_held(consumer);
                self.forget_relayed(consumer);
                self.sender_goes(connection, crash);
                self.disconnect(connection);
            }
            ConsumerAction::Connect => self.connect(connection),
        }
    }

    #[inline]
    fn settle(
        &mut self,
        consumer: u32,
        subscription: u32,
        delivery: u64,
        multiple: bool,
        request: Request,
    ) {
        let slot = &self.consumers[consumer as usize];
        let group = slot.group as usize;
        let channel = self.channel_of(group, subscription);
        let at = slot.subscriptions + u32::from(channel) - 1;
        let acked = matches!(request, Request::Ack { .. });
        let holder = self.consumer_connection(consumer);
        let journeys = &mut self.journeys;
        self.check.settled(at as usize, delivery, multiple, |copy| {
            if let Some(journey) = journeys.get_mut(copy)
                && journey.holder == holder
            {
                journey.acked = acked;
            }
        });
        self.tell_settled(consumer, delivery, acked);
        if self.relays.any() {
            self.relays.settled(consumer, channel, delivery);
        }
        if self.brokerless.any() {
            let queue = self.scenario.consumers[group].from[subscription as usize];
            if self.brokerless.is(self.layout.partitions(queue).start) {
                return;
            }
        }
        let connection = self.consumer_connection(consumer);
        self.request(connection, channel, request);
    }

    /// Sends a request that has no stamps of its own.
    #[inline]
    pub fn request(&mut self, connection: u32, channel: u16, request: Request) {
        let now = self.calendar.now();
        let stamps = Stamps {
            intended: now,
            sent: now,
            received: now,
        };
        self.send_up(
            connection,
            Up::Request {
                channel: ChannelId {
                    connection: ConnectionId(connection),
                    number: channel,
                },
                request,
                stamps,
            },
        );
    }

    /// A service has ended well: received, started, ended.
    #[inline(always)]
    fn served(
        &mut self,
        consumer: u32,
        delivery: &Delivery,
        copy: MessageCopy,
        times: [Time; 3],
        goes_on: bool,
    ) {
        let [received, started, ended] = times;
        let group = self.consumers[consumer as usize].group as usize;
        let queue = copy.queue.index();
        let connection = self.consumer_connection(consumer);
        if self.groups[group].auto_ack
            && !self.brokerless.is(queue)
            && let Some(journey) = self.journeys.get(copy)
        {
            let bytes = u64::from(journey.size) + queuelab_core::DELIVERY_OVERHEAD;
            self.send_up(connection, Up::Writable { connection, bytes });
        }
        if self.groups[group].relays {
            let intended = self
                .journeys
                .get(copy)
                .map_or(ended, |journey| journey.stamps.intended);
            self.serves(self.origin(delivery.tag, intended), goes_on);
        }
        if self.journeys.is_stream(queue) {
            return self.record_served(consumer, copy, times, goes_on);
        }
        let Some(journey) = self.journeys.get_mut(copy) else {
            // Acknowledged by another consumer meanwhile: this service was one too many.
            self.metrics.queues[queue].duplicates += 1;
            return;
        };
        if journey.served {
            self.metrics.queues[queue].duplicates += 1;
            if journey.state == State::Removed {
                self.end_journey(copy);
            }
            return;
        }
        journey.served = true;
        // The queue may have taken it back meanwhile, and delivered it anew: this service goes by the delivery that it began with.
        journey.dispatched = journey.dispatched.min(received);
        journey.ready = journey.ready.min(journey.dispatched);
        let (phase, intended, tag) = (journey.phase as usize, journey.stamps.intended, journey.tag);
        let parts = journey.parts(received.max(journey.dispatched), started, ended);
        let finished = journey.state == State::Removed;
        if !self.retried.is_empty() {
            self.note_repetition(tag, queue);
        }
        self.service_measured(tag, queue, phase, intended, ended, parts, goes_on);
        if finished {
            self.end_journey(copy);
        }
        if !goes_on {
            self.consumed(tag);
        }
    }

    /// The end of a service goes into the latencies, and its parts into theirs.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "what a journey has told, each once"
    )]
    pub fn service_measured(
        &mut self,
        tag: u64,
        queue: usize,
        phase: usize,
        intended: Time,
        ended: Time,
        mut parts: [queuelab_core::Span; 10],
        goes_on: bool,
    ) {
        let origin = self.origin(tag, intended);
        let of = Measured {
            queue,
            producer: origin.producer,
            phase,
        };
        self.relays.service_ends(origin.tag, ended);
        if goes_on {
            return self.metrics.relayed(of, origin.intended, ended);
        }
        // What a message was published on from took place before.
        parts[EARLIER_ATTEMPTS] += intended - origin.intended;
        self.metrics
            .latency(Latency::EndToEnd, of, origin.intended, ended);
        self.metrics.journey(origin.intended, &parts);
    }

    /// A message that was sent more than once may be there more than once: the further services are duplicates.
    fn note_repetition(&mut self, tag: u64, queue: usize) {
        if let Some(Retried { served_in, .. }) = self.retried.get_mut(&tag) {
            if served_in.contains(&(queue as u32)) {
                self.metrics.queues[queue].duplicates += 1;
            } else {
                served_in.push(queue as u32);
            }
        }
    }

    /// What a consumer held under automatic acknowledgement goes with it.
    pub fn forget_held(&mut self, consumer: u32) {
        let slot = &self.consumers[consumer as usize];
        let group = slot.group as usize;
        let from = &self.scenario.consumers[group].from;
        for at in 0..from.len() {
            self.check.forget(slot.subscriptions as usize + at);
        }
        if self.brokerless.any() {
            let connection = self.consumer_connection(consumer);
            self.peer_goes(connection);
            self.sender_goes(connection, false);
        }
        let from = &self.scenario.consumers[group].from;
        if !self.groups[group].auto_ack {
            return;
        }
        let connection = self.consumer_connection(consumer);
        let queues = crate::topology::streams_of(&self.layout, from);
        for queue in queues.collect::<Vec<usize>>() {
            let held = |journey: &crate::journey::Journey| {
                journey.state == State::Removed && journey.holder == connection
            };
            let gone: Vec<_> = self
                .journeys
                .of_queue(queue)
                .filter(|(_, journey)| held(journey))
                .map(|(serial, journey)| (serial, journey.tag))
                .collect();
            for (serial, tag) in gone {
                // Acknowledged and never served: nobody will hear of it again.
                self.consumed(tag);
                self.end_journey(MessageCopy {
                    queue: QueueId(queue as u32),
                    serial,
                });
            }
        }
    }

    /// Nothing more will happen to a copy.
    #[inline]
    pub fn end_journey(&mut self, copy: MessageCopy) {
        let counted = self.relays.counts() && !self.is_done(copy);
        let ended = self.journeys.end(copy);
        if counted && let Some(tag) = ended {
            self.copy_ends(tag);
        }
    }
}

/// Messages that were sent again, and are remembered so that their further services count as duplicates.
const REPEATED: usize = 1 << 16;

/// Its place in `queuelab_record::PART_NAMES`.
const EARLIER_ATTEMPTS: usize = 5;
