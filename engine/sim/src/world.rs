//! The world of a run: clients, connections, a node with its disk, and the calendar that moves them.
//!
//! Everything here is `Clone`, so that a run can be forked. Chance comes from counter-based streams (see
//! `queuelab_workload::Stream`), so that watching a run or leaving a fault out shifts nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use queuelab_core::{QueueId, Span, Time};
use queuelab_record::{FaultRecord, Outcomes};
use queuelab_scenario::{Ack, Arrivals, Scenario};
use queuelab_workload::{
    Consumer, ConsumerAction, ConsumerPlan, Producer, ProducerAction, ProducerPlan, Stream,
};

use crate::check::{Check, Tag};
use crate::journey::{Journey, Journeys, State};
use crate::kernel::Calendar;
use crate::metrics::{Latency, Metrics};
use crate::network::{Client, Connection, Costs, Delivered, Down, Pipe, Stamps, Up};
use crate::node::Node;
use crate::simulation::LogLine;
use crate::trace::Trace;

/// An event of the calendar. Small and `Copy`: what it carries waits in the place that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A producer's deadline.
    Producer(u32),
    /// A consumer's deadline.
    Consumer(u32),
    /// A packet reaches the node.
    Up { connection: u32, epoch: u32 },
    /// A packet reaches a client.
    Down { connection: u32, epoch: u32 },
    /// A client notices that its connection is gone.
    Reset { connection: u32, epoch: u32 },
    /// What a core was working on is done.
    Core { core: u32, incarnation: u32 },
    /// An fsync is done.
    Fsync { incarnation: u32 },
    /// A series window ends.
    Window,
    /// A phase ends.
    Phase,
    /// A fault begins.
    FaultBegins(u32),
    /// A fault ends.
    FaultEnds(u32),
}

/// Everything that takes part in a run.
#[derive(Clone)]
pub struct World {
    pub scenario: Arc<Scenario>,
    pub seed: u64,
    pub calendar: Calendar<Event>,
    pub end: Time,
    pub window: Span,
    pub producers: Vec<ProducerSlot>,
    pub producer_plans: Vec<Arc<ProducerPlan>>,
    pub consumers: Vec<ConsumerSlot>,
    pub groups: Vec<GroupSlot>,
    pub connections: Vec<Connection>,
    pub network: Costs,
    pub node: Node,
    pub journeys: Journeys,
    /// Stamps of publishes that the broker has parked, by tag.
    pub parked: BTreeMap<u64, (Stamps, Time)>,
    pub metrics: Metrics,
    pub check: Check,
    pub trace: Trace,
    pub faults: Vec<FaultRecord>,
    /// Index into `faults` of each active fault of the scenario.
    pub active: BTreeMap<u32, usize>,
    pub log: Vec<LogLine>,
    pub cpu_sampled: Span,
    pub disk_sampled: Span,
    pub cpu_series: Vec<f64>,
    pub disk_series: Vec<f64>,
    producer_actions: Vec<ProducerAction>,
    pub consumer_actions: Vec<ConsumerAction>,
}

/// One producer.
#[derive(Clone)]
pub struct ProducerSlot {
    pub machine: Producer,
    pub group: u32,
    closed: bool,
    scheduled: Time,
}

/// One consumer.
#[derive(Clone)]
pub struct ConsumerSlot {
    pub machine: Consumer,
    pub group: u32,
    /// Its first subscription among all.
    pub subscriptions: u32,
    /// Crashes that are on.
    pub crashes: u32,
    /// Pauses that are on.
    pub pauses: u32,
    /// Product of the slow-downs that are on.
    pub factor: f64,
    scheduled: Time,
}

/// A group of consumers.
#[derive(Clone)]
pub struct GroupSlot {
    /// The group's first member among all consumers.
    pub first: u32,
    pub auto_ack: bool,
    busy_sampled: Span,
    pub utilisation_series: Vec<f64>,
}

impl World {
    /// A world at time zero, with all clients connected.
    pub fn new(scenario: Arc<Scenario>, seed: u64, check: bool) -> World {
        let mut calendar = Calendar::new();
        let mut connections = Vec::new();
        let mut connect = |calendar: &mut Calendar<Event>, client| {
            let entity = connections.len() as u64;
            connections.push(Connection {
                client,
                epoch: 0,
                live: true,
                attempt: 0,
                up: Pipe::new(Stream::new(seed, "network/up", entity), calendar.lane()),
                down: Pipe::new(Stream::new(seed, "network/down", entity), calendar.lane()),
            });
        };
        let (mut producers, mut producer_plans) = (Vec::new(), Vec::new());
        for (group, spec) in scenario.producers.iter().enumerate() {
            let plan = Arc::new(ProducerPlan::new(&scenario, group, seed));
            for member in 0..spec.count {
                connect(&mut calendar, Client::Producer(producers.len() as u32));
                producers.push(ProducerSlot {
                    machine: Producer::new(plan.clone(), member),
                    group: group as u32,
                    closed: matches!(spec.arrivals, Arrivals::Closed { .. }),
                    scheduled: Time::MAX,
                });
            }
            producer_plans.push(plan);
        }
        let (mut consumers, mut groups, mut subscriptions) = (Vec::new(), Vec::new(), 0);
        for (group, spec) in scenario.consumers.iter().enumerate() {
            let plan = Arc::new(ConsumerPlan::new(&scenario, group, seed));
            groups.push(GroupSlot {
                first: consumers.len() as u32,
                auto_ack: spec.ack == Ack::Auto,
                busy_sampled: Span::ZERO,
                utilisation_series: Vec::new(),
            });
            for member in 0..spec.count {
                connect(&mut calendar, Client::Consumer(consumers.len() as u32));
                consumers.push(ConsumerSlot {
                    machine: Consumer::new(plan.clone(), member),
                    group: group as u32,
                    subscriptions,
                    crashes: 0,
                    pauses: 0,
                    factor: 1.0,
                    scheduled: Time::MAX,
                });
                subscriptions += spec.from.len() as u32;
            }
        }
        let end = scenario.end();
        let window = Span(end.0.div_ceil(WINDOWS).max(1));
        let warmup = scenario.steady.map_or(Span::ZERO, |steady| {
            steady.warmup.unwrap_or(Span(end.0 / 10))
        });
        let mut world = World {
            seed,
            calendar,
            end,
            window,
            check: Check::new(
                check,
                producers.len(),
                subscriptions as usize,
                scenario.queues.len(),
            ),
            producers,
            producer_plans,
            consumers,
            groups,
            connections,
            network: Costs::new(&scenario.cluster.network),
            node: Node::new(&scenario, seed),
            journeys: Journeys::new(scenario.queues.len()),
            parked: BTreeMap::new(),
            metrics: Metrics::new(&scenario, warmup),
            trace: Trace::default(),
            faults: Vec::new(),
            active: BTreeMap::new(),
            log: Vec::new(),
            cpu_sampled: Span::ZERO,
            disk_sampled: Span::ZERO,
            cpu_series: Vec::new(),
            disk_series: Vec::new(),
            producer_actions: Vec::new(),
            consumer_actions: Vec::new(),
            scenario,
        };
        world.begin();
        world
    }

    /// Runs the next event, if it is due by `until`; false if none is.
    #[inline]
    pub fn step(&mut self, until: Time) -> bool {
        let Some((now, sequence, event)) = self.calendar.pop_until(until) else {
            return false;
        };
        let (kind, target) = event.trace();
        self.trace.event(now, sequence, kind, target);
        match event {
            Event::Producer(producer) => {
                let slot = &mut self.producers[producer as usize];
                // A deadline that has moved leaves its event behind.
                if slot.scheduled == now {
                    slot.scheduled = Time::MAX;
                    slot.machine.tick(now, &mut self.producer_actions);
                    self.producer_acts(producer);
                }
            }
            Event::Consumer(consumer) => {
                let slot = &mut self.consumers[consumer as usize];
                if slot.scheduled == now {
                    slot.scheduled = Time::MAX;
                    slot.machine.tick(now, &mut self.consumer_actions);
                    self.consumer_acts(consumer);
                }
            }
            Event::Up { connection, epoch } => {
                if self.connections[connection as usize].epoch == epoch
                    && let Some(packet) = self.connections[connection as usize].up.receive()
                {
                    self.node_receives(connection, packet);
                }
            }
            Event::Down { connection, epoch } => {
                if self.connections[connection as usize].epoch == epoch
                    && let Some(packet) = self.connections[connection as usize].down.receive()
                {
                    self.client_receives(connection, packet);
                }
            }
            Event::Reset { connection, epoch } => {
                // A client that came back sooner than that has noticed already.
                let link = &self.connections[connection as usize];
                if link.epoch == epoch && !link.live {
                    self.client_reset(connection);
                }
            }
            Event::Core { core, incarnation } => {
                if self.node.incarnation == incarnation {
                    self.run_core(core as usize);
                }
            }
            Event::Fsync { incarnation } => {
                if self.node.incarnation == incarnation {
                    self.fsync_done();
                }
            }
            Event::Window => self.end_window(),
            Event::Phase => self.end_phase(),
            Event::FaultBegins(fault) => self.fault_begins(fault),
            Event::FaultEnds(fault) => self.fault_ends(fault),
        }
        true
    }

    /// Messages handed to the network so far.
    pub fn sent(&self) -> u64 {
        self.metrics
            .producers
            .iter()
            .map(|group| group.outcomes.sent)
            .sum()
    }

    /// Says something to whoever watches.
    pub fn say(&mut self, text: String) {
        if self.log.len() < LOG_LINES {
            self.log.push(LogLine {
                at: self.calendar.now(),
                text,
            });
        }
    }

    fn begin(&mut self) {
        for connection in 0..self.connections.len() as u32 {
            self.open(connection);
        }
        self.settle_node();
        for connection in 0..self.connections.len() as u32 {
            self.client_connected(connection);
        }
        self.calendar.after(self.window, Event::Window);
        for phase in 0..self.scenario.phases.len() {
            let until = self.scenario.phases[phase].until;
            self.calendar.schedule(until, Event::Phase);
        }
        for fault in 0..self.scenario.faults.len() as u32 {
            let at = self.scenario.faults[fault as usize].at;
            self.calendar.schedule(at, Event::FaultBegins(fault));
        }
        let name = self
            .scenario
            .phases
            .first()
            .map_or(String::new(), |phase| phase.name.clone());
        self.say(format!("phase {name}"));
    }

    // Clients

    fn client_connected(&mut self, connection: u32) {
        let now = self.calendar.now();
        self.connections[connection as usize].live = true;
        match self.connections[connection as usize].client {
            Client::Producer(producer) => {
                self.producers[producer as usize]
                    .machine
                    .connected(now, &mut self.producer_actions);
                self.producer_acts(producer);
            }
            Client::Consumer(consumer) => {
                self.consumers[consumer as usize]
                    .machine
                    .connected(now, &mut self.consumer_actions);
                self.consumer_acts(consumer);
            }
        }
    }

    /// The client's end of a connection that the node, or the client itself, has reset.
    pub fn client_reset(&mut self, connection: u32) {
        let now = self.calendar.now();
        self.connections[connection as usize].live = false;
        match self.connections[connection as usize].client {
            Client::Producer(producer) => {
                self.producers[producer as usize]
                    .machine
                    .reset(now, &mut self.producer_actions);
                self.producer_acts(producer);
            }
            Client::Consumer(consumer) => {
                self.forget_held(consumer);
                self.consumers[consumer as usize]
                    .machine
                    .reset(now, &mut self.consumer_actions);
                self.consumer_acts(consumer);
            }
        }
    }

    #[inline]
    fn client_receives(&mut self, connection: u32, packet: Down) {
        let now = self.calendar.now();
        match packet {
            Down::Connected { attempt } | Down::Refused { attempt }
                if attempt != self.connections[connection as usize].attempt =>
            {
                return;
            }
            Down::Connected { .. } => return self.client_connected(connection),
            Down::Refused { .. } => return self.client_reset(connection),
            _ if !self.connections[connection as usize].live => return,
            _ => {}
        }
        match (self.connections[connection as usize].client, packet) {
            (
                Client::Producer(producer),
                Down::Confirm {
                    sequence,
                    multiple,
                    accepted,
                },
            ) => {
                let machine = &mut self.producers[producer as usize].machine;
                machine.confirm(
                    now,
                    sequence,
                    multiple,
                    accepted,
                    &mut self.producer_actions,
                );
                self.producer_acts(producer);
            }
            (Client::Producer(producer), Down::Reading { on }) => {
                let machine = &mut self.producers[producer as usize].machine;
                machine.writable(now, on, &mut self.producer_actions);
                self.producer_acts(producer);
            }
            (Client::Consumer(consumer), Down::Deliver(delivered)) => {
                self.consumer_receives(consumer, connection, delivered);
            }
            _ => {}
        }
    }

    #[inline]
    fn consumer_receives(&mut self, consumer: u32, connection: u32, delivered: Delivered) {
        let Delivered {
            channel,
            redelivered,
            delivery,
            tag,
            copy,
            ..
        } = delivered;
        let now = self.calendar.now();
        let slot = &mut self.consumers[consumer as usize];
        let group = &self.scenario.consumers[slot.group as usize];
        let subscription = u32::from(channel) - 1;
        self.trace.digest(tag, delivery);
        let mut attempt = 0;
        let mut held = false;
        if let Some(journey) = self.journeys.get_mut(copy) {
            attempt = journey.attempts;
            held = journey.holder == connection;
            if !journey.received_once {
                journey.received_once = true;
                let (phase, intended) = (journey.phase as usize, journey.stamps.intended);
                self.metrics
                    .latency(Latency::Delivery, copy.queue.index(), phase, intended, now);
            }
        }
        self.check.received(now, Tag(tag), copy, held);
        if !self.groups[slot.group as usize].auto_ack {
            let at = (slot.subscriptions + subscription) as usize;
            self.check
                .held(now, at, delivery, group.prefetch, copy.queue.index());
        }
        let delivery = queuelab_workload::Delivery {
            subscription,
            partition: 0,
            delivery,
            tag,
            serial: copy.serial,
            redelivered,
            attempt,
        };
        slot.machine
            .deliver(now, delivery, &mut self.consumer_actions);
        self.consumer_acts(consumer);
    }

    /// Does what a producer asked for, and minds its deadline.
    #[inline]
    pub fn producer_acts(&mut self, producer: u32) {
        let mut actions = std::mem::take(&mut self.producer_actions);
        for action in actions.drain(..) {
            match action {
                ProducerAction::Publish(publish) => self.publish(producer, publish),
                ProducerAction::Finished {
                    sequence,
                    intended,
                    outcome,
                } => {
                    self.finished(producer, sequence, intended, outcome);
                }
                ProducerAction::Commit | ProducerAction::Disconnect { .. } => {}
                ProducerAction::Connect => {
                    let connection = self.producer_connection(producer);
                    self.connect(connection);
                }
            }
        }
        self.producer_actions = actions;
        self.mind_producer(producer);
    }

    /// Sees to it that a producer's deadline is in the calendar; one that has moved leaves its event behind.
    #[inline]
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
    fn publish(&mut self, producer: u32, publish: queuelab_workload::Publish) {
        let now = self.calendar.now();
        let group = self.producers[producer as usize].group as usize;
        let spec = &self.scenario.producers[group];
        let (target, _) = &spec.to[publish.target as usize];
        let tag = Tag::new(producer as usize, publish.sequence);
        let exchange = crate::topology::exchange_of(target);
        let message = queuelab_core::Message {
            tag: tag.0,
            exchange,
            persistent: spec.persistent,
            routing_key: self.producer_plans[group].routing_key(publish.target, publish.key),
            body: body(publish.size),
            properties: None,
        };
        let request = queuelab_core::Request::Publish {
            exchange,
            mandatory: spec.mandatory,
            message,
        };
        let stamps = Stamps {
            intended: publish.intended,
            sent: now,
            received: now,
        };
        self.metrics.producers[group].outcomes.sent += 1;
        self.check.sent(tag);
        self.trace.digest(tag.0, publish.intended.0);
        let connection = self.producer_connection(producer);
        self.send_up(
            connection,
            Up::Request {
                channel: 1,
                request,
                stamps,
            },
        );
    }

    #[inline]
    fn finished(
        &mut self,
        producer: u32,
        sequence: u64,
        intended: Time,
        outcome: queuelab_workload::Outcome,
    ) {
        use queuelab_workload::Outcome;
        let now = self.calendar.now();
        let group = self.producers[producer as usize].group as usize;
        let outcomes: &mut Outcomes = &mut self.metrics.producers[group].outcomes;
        match outcome {
            Outcome::Sent => {}
            Outcome::Confirmed => {
                outcomes.confirmed += 1;
                let phase = self.metrics.phase_of(intended);
                self.metrics
                    .latency(Latency::Confirm, group, phase, intended, now);
            }
            Outcome::Failed => outcomes.failed += 1,
            Outcome::Unknown => outcomes.unknown += 1,
            Outcome::Abandoned | Outcome::Dropped => outcomes.dropped_by_producer += 1,
        }
        let tag = Tag::new(producer as usize, sequence);
        if outcome != Outcome::Dropped {
            self.check.outcome(now, tag, outcome == Outcome::Confirmed);
        }
        if self.producers[producer as usize].closed
            && matches!(outcome, Outcome::Failed | Outcome::Unknown)
        {
            self.consumed(tag.0);
        }
    }

    /// A message of a closed loop is done with: its producer thinks, then sends the next one.
    pub fn consumed(&mut self, tag: u64) {
        let tag = Tag(tag);
        let producer = tag.producer() as u32;
        let slot = &mut self.producers[producer as usize];
        if slot.closed {
            // Not at once: the producer may be the one that acts at the moment.
            let now = self.calendar.now();
            let mut actions = Vec::new();
            slot.machine.consumed(now, tag.sequence(), &mut actions);
            debug_assert!(actions.is_empty(), "a closed loop thinks before it sends");
            self.mind_producer(producer);
        }
    }

    /// Does what a consumer asked for, and minds its deadline.
    #[inline]
    pub fn consumer_acts(&mut self, consumer: u32) {
        let now = self.calendar.now();
        let mut actions = std::mem::take(&mut self.consumer_actions);
        for action in actions.drain(..) {
            match action {
                ConsumerAction::Served {
                    delivery,
                    received,
                    started,
                    ended,
                    accepted,
                } => {
                    if accepted {
                        self.served(consumer, &delivery, received, started, ended);
                    }
                }
                ConsumerAction::Ack {
                    subscription,
                    delivery,
                    multiple,
                } => {
                    let request = queuelab_core::Request::Ack { delivery, multiple };
                    self.settle(consumer, subscription, delivery, multiple, request);
                }
                ConsumerAction::Nack {
                    subscription,
                    delivery,
                    requeue,
                } => {
                    let request = queuelab_core::Request::Nack {
                        delivery,
                        multiple: false,
                        requeue,
                    };
                    self.settle(consumer, subscription, delivery, false, request);
                }
                ConsumerAction::Disconnect { .. }
                | ConsumerAction::Get { .. }
                | ConsumerAction::Renew { .. }
                | ConsumerAction::Forward { .. }
                | ConsumerAction::Commit { .. } => {}
                ConsumerAction::Connect => {
                    let connection = self.consumer_connection(consumer);
                    self.connect(connection);
                }
            }
        }
        self.consumer_actions = actions;
        let slot = &mut self.consumers[consumer as usize];
        if let Some(deadline) = slot.machine.deadline()
            && deadline < slot.scheduled
        {
            slot.scheduled = deadline.max(now);
            self.calendar
                .schedule(slot.scheduled, Event::Consumer(consumer));
        }
    }

    #[inline]
    fn settle(
        &mut self,
        consumer: u32,
        subscription: u32,
        delivery: u64,
        multiple: bool,
        request: queuelab_core::Request,
    ) {
        let now = self.calendar.now();
        let at = (self.consumers[consumer as usize].subscriptions + subscription) as usize;
        self.check.settled(at, delivery, multiple);
        let connection = self.consumer_connection(consumer);
        let stamps = Stamps {
            intended: now,
            sent: now,
            received: now,
        };
        self.send_up(
            connection,
            Up::Request {
                channel: subscription as u16 + 1,
                request,
                stamps,
            },
        );
    }

    #[inline]
    fn served(
        &mut self,
        consumer: u32,
        delivery: &queuelab_workload::Delivery,
        received: Time,
        started: Time,
        ended: Time,
    ) {
        let group = self.consumers[consumer as usize].group as usize;
        let queue = self.scenario.consumers[group].from[delivery.subscription as usize];
        let copy = queuelab_core::MessageCopy {
            queue: QueueId(queue as u32),
            serial: delivery.serial,
        };
        let connection = self.consumer_connection(consumer);
        if self.groups[group].auto_ack
            && let Some(journey) = self.journeys.get(copy)
        {
            let bytes = u64::from(journey.size) + queuelab_core::DELIVERY_OVERHEAD;
            self.send_up(connection, Up::Writable { bytes });
        }
        let Some(journey) = self.journeys.get_mut(copy) else {
            // Acknowledged by another consumer meanwhile: this service was one too many.
            self.metrics.queues[queue].duplicates += 1;
            return;
        };
        if journey.served {
            self.metrics.queues[queue].duplicates += 1;
            if journey.state == State::Removed {
                self.journeys.end(copy);
            }
            return;
        }
        journey.served = true;
        if journey.holder != connection {
            // The queue has taken it back meanwhile: this service goes by the delivery that it began with.
            journey.dispatched = journey.dispatched.min(received);
            journey.ready = journey.ready.min(journey.dispatched);
        }
        let (phase, intended, tag) = (journey.phase as usize, journey.stamps.intended, journey.tag);
        let parts = journey.parts(received.max(journey.dispatched), started, ended);
        let finished = journey.state == State::Removed;
        if finished {
            self.journeys.end(copy);
        }
        self.metrics
            .latency(Latency::EndToEnd, queue, phase, intended, ended);
        self.metrics.journey(intended, &parts);
        self.consumed(tag);
    }

    /// What a consumer held under automatic acknowledgement goes with it.
    pub fn forget_held(&mut self, consumer: u32) {
        let slot = &self.consumers[consumer as usize];
        let group = slot.group as usize;
        let from = &self.scenario.consumers[group].from;
        for at in 0..from.len() {
            self.check.forget(slot.subscriptions as usize + at);
        }
        if !self.groups[group].auto_ack {
            return;
        }
        let connection = self.consumer_connection(consumer);
        let scenario = self.scenario.clone();
        for &queue in &scenario.consumers[group].from {
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
                self.journeys.end(queuelab_core::MessageCopy {
                    queue: QueueId(queue as u32),
                    serial,
                });
            }
        }
    }

    /// Sends a packet to the node.
    #[inline]
    pub fn send_up(&mut self, connection: u32, packet: Up) {
        let now = self.calendar.now();
        let link = &mut self.connections[connection as usize];
        if !link.live && !matches!(packet, Up::Open { .. } | Up::Close) {
            // The client has not noticed yet that nobody listens.
            if let Up::Request {
                request: queuelab_core::Request::Publish { message, .. },
                ..
            } = packet
            {
                self.check.vanished(Tag(message.tag));
            }
            return;
        }
        let size = packet.size();
        let arrives = link.up.send(now, size, packet, &self.network);
        self.calendar.schedule_in(
            link.up.lane,
            arrives,
            Event::Up {
                connection,
                epoch: link.epoch,
            },
        );
    }

    /// Tries to connect; the answers to earlier attempts are void from now on.
    fn connect(&mut self, connection: u32) {
        let link = &mut self.connections[connection as usize];
        link.attempt += 1;
        let attempt = link.attempt;
        self.send_up(connection, Up::Open { attempt });
    }

    /// Sends a packet to a client; it leaves the node at `at`.
    #[inline]
    pub fn send_down(&mut self, connection: u32, at: Time, packet: Down) {
        let link = &mut self.connections[connection as usize];
        let size = packet.size();
        let arrives = link.down.send(at, size, packet, &self.network);
        self.calendar.schedule_in(
            link.down.lane,
            arrives,
            Event::Down {
                connection,
                epoch: link.epoch,
            },
        );
    }

    /// Producers' connections come first.
    #[inline]
    pub fn producer_connection(&self, producer: u32) -> u32 {
        producer
    }

    /// Consumers' connections follow.
    #[inline]
    pub fn consumer_connection(&self, consumer: u32) -> u32 {
        self.producers.len() as u32 + consumer
    }

    // Measuring

    fn end_window(&mut self) {
        let now = self.calendar.now();
        let (node, journeys) = (&self.node, &self.journeys);
        let samples = (0..self.scenario.queues.len() as u32).map(|queue| {
            let age = |journey: Option<&Journey>| {
                journey.map_or(Span::ZERO, |journey| now - journey.committed)
            };
            let Some(broker) = &node.broker else {
                // What the log holds will be ready again.
                let mut held = journeys.of_queue(queue as usize).map(|(_, held)| held);
                return (0, age(held.find(|held| held.state != State::Removed)));
            };
            let oldest = broker.oldest_ready(QueueId(queue));
            let oldest = oldest.and_then(|copy| journeys.get(copy));
            (broker.in_flight(QueueId(queue)), age(oldest))
        });
        self.metrics.end_window(now, samples);
        let window = self.window.0 as f64;
        let share = |until: Span, before: &mut Span| {
            let share = (until - *before).0 as f64 / window;
            *before = until;
            share.min(1.0)
        };
        let cores = self.node.cores() as u64;
        let cpu = Span(self.node.busy_until(now).0 / cores);
        self.cpu_series.push(share(cpu, &mut self.cpu_sampled));
        self.disk_series.push(share(
            self.node.disk.busy_until(now),
            &mut self.disk_sampled,
        ));
        for group in 0..self.groups.len() {
            let spec = &self.scenario.consumers[group];
            let busy = self.group_busy(group, now);
            let capacity =
                self.window.0 as f64 * f64::from(spec.count) * f64::from(spec.concurrency);
            let slot = &mut self.groups[group];
            slot.utilisation_series
                .push((busy - slot.busy_sampled).0 as f64 / capacity);
            slot.busy_sampled = busy;
        }
        if now < self.end {
            self.calendar
                .schedule((now + self.window).min(self.end), Event::Window);
        }
    }

    fn end_phase(&mut self) {
        let now = self.calendar.now();
        self.metrics.end_phase(now);
        if now < self.end {
            let name = self.scenario.phases[self.metrics.phase].name.clone();
            self.say(format!("phase {name}"));
        }
    }

    /// Time that the members of a group have served so far, summed.
    pub fn group_busy(&self, group: usize, now: Time) -> Span {
        self.members(group)
            .fold(Span::ZERO, |sum, member| sum + member.busy_time(now))
    }

    /// The members of a consumer group.
    pub fn members(&self, group: usize) -> impl Iterator<Item = &Consumer> {
        let first = self.groups[group].first as usize;
        let count = self.scenario.consumers[group].count as usize;
        self.consumers[first..first + count]
            .iter()
            .map(|slot| &slot.machine)
    }
}

impl Event {
    fn trace(&self) -> (u8, u32) {
        match *self {
            Event::Producer(producer) => (1, producer),
            Event::Consumer(consumer) => (2, consumer),
            Event::Up { connection, .. } => (3, connection),
            Event::Down { connection, .. } => (4, connection),
            Event::Reset { connection, .. } => (5, connection),
            Event::Core { core, .. } => (6, core),
            Event::Fsync { .. } => (7, 0),
            Event::Window => (8, 0),
            Event::Phase => (9, 0),
            Event::FaultBegins(fault) => (10, fault),
            Event::FaultEnds(fault) => (11, fault),
        }
    }
}

/// A body of `size` bytes: a slice of one static page for the usual sizes, so that it costs nothing.
fn body(size: u32) -> bytes::Bytes {
    static PAGE: [u8; 1 << 16] = [0; 1 << 16];
    match PAGE.get(..size as usize) {
        Some(slice) => bytes::Bytes::from_static(slice),
        None => large_body(size),
    }
}

/// Large bodies share one allocation, or a backlog of them would not fit into memory. Nobody reads it, so that the
/// operating system never has to find the pages.
#[cold]
fn large_body(size: u32) -> bytes::Bytes {
    static LARGEST: OnceLock<bytes::Bytes> = OnceLock::new();
    let largest = LARGEST.get_or_init(|| vec![0; LARGEST_BODY].into());
    if size as usize <= LARGEST_BODY {
        largest.slice(..size as usize)
    } else {
        vec![0; size as usize].into()
    }
}

/// As the language has it.
const LARGEST_BODY: usize = 128 << 20;

/// Bytes that a connection with automatic acknowledgement takes before its client must have read some: a socket's buffers.
pub const AUTO_ACK_WINDOW: u64 = 1 << 16;

/// Series have so many windows, however long the run.
const WINDOWS: u64 = 600;

/// Lines that wait for a reader.
const LOG_LINES: usize = 10_000;
