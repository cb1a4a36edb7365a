//! The world of a run: clients, connections, a node with its disk, and the calendar that moves them.
//!
//! Everything here is `Clone`, so that a run can be forked. Chance comes from counter-based streams (see
//! `queuelab_workload::Stream`), so that watching a run or leaving a fault out shifts nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use queuelab_core::{Durability, Span, Time};
use queuelab_record::{AlarmRecord, FaultRecord};
use queuelab_scenario::{Ack, Arrivals, Scenario, Target, Until};
use queuelab_workload::{
    Consumer, ConsumerAction, ConsumerPlan, Producer, ProducerAction, ProducerPlan, Stream,
};

use crate::brokerless::Brokerless;
use crate::check::{Bound, Check, Tag};
use crate::fault::{CONNECT_TIMEOUT, ConsumerTrouble, HELD, Milestones, ProducerTrouble, Strikes};
use crate::history::History;
use crate::journey::Journeys;
use crate::kernel::Calendar;
use crate::metrics::Metrics;
use crate::network::{Client, Connection, Costs, Down, Pipe, Up};
use crate::node::{Node, Publishing};
use crate::plan::{Mask, Plan};
use crate::relay::Relays;
use crate::simulation::{LogLine, Watch};
use crate::topology::Layout;
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
    /// The broker has something to do.
    Tick { incarnation: u32 },
    /// Perhaps nothing has happened for so long that the run is over.
    Idle,
    /// A message reaches its receiver straight from its sender.
    Peer { pipe: u32, epoch: u32 },
    /// A sender hears that its receiver has room.
    Room { pipe: u32, epoch: u32 },
    /// The node finds that its log has failed.
    LogFails { incarnation: u32 },
    /// A fault goes on.
    FaultStep { fault: u32, step: u32 },
    /// Everything is healed.
    Heal,
    /// Nobody has answered a client that connects.
    ConnectTimeout { connection: u32, attempt: u32 },
    /// The node's process is killed for the memory that it takes.
    OutOfMemory { incarnation: u32 },
    /// The disk reads on for the broker.
    Read { incarnation: u32 },
    /// The broker reads from a connection again.
    ReadsOn { connection: u32, incarnation: u32 },
}

/// Everything that takes part in a run.
#[derive(Clone)]
pub struct World {
    pub scenario: Arc<Scenario>,
    pub layout: Layout,
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
    /// Publishes that the broker has parked, by tag, with the instants.
    pub parked: BTreeMap<u64, (Publishing, Time)>,
    pub relays: Relays,
    pub brokerless: Brokerless,
    /// Messages of producers that send again, while they may, and those that were sent again.
    pub retried: BTreeMap<u64, Retried>,
    /// Those that were sent again and will not be any more: copies may still be under way. As many as are remembered.
    pub repeated: VecDeque<u64>,
    /// Messages that were sent with a hot key, and may be sent again.
    pub hot: BTreeSet<u64>,
    /// The last alarm of each resource may still be on: until the end of time.
    pub alarms: Vec<AlarmRecord>,
    /// The run is over once nothing is left to do.
    pub ends_when_empty: bool,
    /// When something happened last, if the run ends with idleness.
    pub active_at: Time,
    pub metrics: Metrics,
    pub check: Check,
    pub trace: Trace,
    pub faults: Vec<FaultRecord>,
    /// Index into `faults` of each active fault of the scenario.
    pub active: BTreeMap<u32, usize>,
    /// What is known of each of them.
    pub strikes: Strikes,
    /// Faults that wait for something to happen, if there are any.
    pub milestones: Option<Box<Milestones>>,
    /// Connections that are clogged by a swizzle.
    pub swizzled: Vec<(u32, u32)>,
    /// What has to drain now that all faults are over.
    pub drains: Vec<Bound>,
    /// Before the first look at them: when the last fault was over, and for how long what it has left holds them up.
    pub drains_from: Option<(Time, Span)>,
    /// Strobes that have the clock moved at the moment.
    pub strobes: BTreeSet<u32>,
    /// The fault for which the process was killed that is down.
    pub killed: Option<u32>,
    /// What bursts have added so far, by group of producers.
    pub surges: Vec<u64>,
    /// The durabilities of queues before anybody changed them.
    pub declared_durability: Vec<Durability>,
    pub log: Vec<LogLine>,
    /// Kept where somebody asks for it.
    pub history: Option<Box<History>>,
    pub cpu_sampled: Span,
    pub disk_sampled: Span,
    pub cpu_series: Vec<f64>,
    pub disk_series: Vec<f64>,
    /// Bytes of bodies in memory at the end of each window, where that is limited.
    pub bodies_series: Vec<u64>,
    pub producer_actions: Vec<ProducerAction>,
    pub consumer_actions: Vec<ConsumerAction>,
}

/// One producer.
#[derive(Clone)]
pub struct ProducerSlot {
    pub machine: Producer,
    pub group: u32,
    pub closed: bool,
    /// It asks for confirms, outside of transactions.
    pub confirms: bool,
    pub scheduled: Time,
    /// What faults do to it.
    pub trouble: Option<Box<ProducerTrouble>>,
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
    /// Gets so far: they go round the partitions.
    pub gets: u32,
    pub scheduled: Time,
    /// What faults do to it.
    pub trouble: Option<Box<ConsumerTrouble>>,
    /// Its weight, if that was changed.
    pub weight: Option<u32>,
}

/// A message that may be sent more than once, or was.
#[derive(Clone, Debug, Default)]
pub struct Retried {
    /// It was.
    pub again: bool,
    /// The queues in which it was served.
    pub served_in: Vec<u32>,
    /// The producer knows its outcome.
    pub known: bool,
}

/// A group of consumers.
#[derive(Clone)]
pub struct GroupSlot {
    /// The group's first member among all consumers.
    pub first: u32,
    pub auto_ack: bool,
    /// Its queues share a channel: a limit of the channel, or a group of streams.
    pub one_channel: bool,
    /// What a service ends with is published on.
    pub relays: bool,
    /// Most unacknowledged deliveries per channel; 0 is unlimited.
    pub bound: u32,
    pub busy_sampled: Span,
    /// Messages published on.
    pub forwarded: u64,
    pub utilisation_series: Vec<f64>,
}

impl World {
    /// A world at time zero, with all clients connected.
    pub fn new(scenario: Arc<Scenario>, plan: &Plan, watch: Watch) -> World {
        let scenario = plan.apply(&scenario);
        let seed = plan.seed;
        let layout = Layout::new(&scenario);
        let mut calendar = Calendar::new();
        let mut connections = Vec::new();
        let mut connect = |calendar: &mut Calendar<Event>, client| {
            let entity = connections.len() as u64;
            connections.push(Connection {
                client,
                epoch: 0,
                live: true,
                attempt: 0,
                void: false,
                stale: false,
                waits: false,
                hangs: false,
                up: Pipe::new(Stream::new(seed, "network/up", entity), calendar.lane()),
                down: Pipe::new(Stream::new(seed, "network/down", entity), calendar.lane()),
            });
        };
        let (mut producers, mut producer_plans) = (Vec::new(), Vec::new());
        for (group, spec) in scenario.producers.iter().enumerate() {
            let of_group = Arc::new(ProducerPlan::new(&scenario, group, seed));
            for member in 0..spec.count {
                let number = producers.len() as u32;
                connect(&mut calendar, Client::Producer(number));
                let mut machine = Producer::new(of_group.clone(), member);
                if let Some(mask) = &plan.keep {
                    machine.keep_only(mask.of(number));
                }
                producers.push(ProducerSlot {
                    machine,
                    group: group as u32,
                    closed: matches!(spec.arrivals, Arrivals::Closed { .. }),
                    confirms: spec.confirm.is_some() && spec.transaction.is_none(),
                    scheduled: Time::MAX,
                    trouble: None,
                });
            }
            producer_plans.push(of_group);
        }
        let (mut consumers, mut groups, mut subscriptions) = (Vec::new(), Vec::new(), 0);
        for (group, spec) in scenario.consumers.iter().enumerate() {
            let plan = Arc::new(ConsumerPlan::new(&scenario, group, seed));
            let one_channel = spec.channel_prefetch.is_some() || spec.group.is_some();
            let partitions = spec
                .from
                .iter()
                .map(|queue| layout.partitions(*queue).len());
            let bound = match spec.channel_prefetch {
                _ if spec.pull.is_some() => 0,
                Some(limit) => limit,
                None if one_channel => spec.prefetch,
                None => spec.prefetch * partitions.max().unwrap_or(1) as u32,
            };
            groups.push(GroupSlot {
                first: consumers.len() as u32,
                auto_ack: spec.ack == Ack::Auto,
                one_channel,
                relays: spec.then.is_some(),
                bound,
                busy_sampled: Span::ZERO,
                forwarded: 0,
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
                    gets: 0,
                    scheduled: Time::MAX,
                    trouble: None,
                    weight: None,
                });
                subscriptions += spec.from.len() as u32;
            }
        }
        let end = plan.end(&scenario);
        // An earlier end moves no window.
        let window = Span(scenario.end().0.div_ceil(WINDOWS).max(1));
        let warmup = scenario.steady.map_or(Span::ZERO, |steady| {
            steady.warmup.unwrap_or(Span(end.0 / 10))
        });
        let brokerless = Brokerless::new(&scenario, &layout, seed, &mut calendar);
        let mut world = World {
            seed,
            calendar,
            end,
            window,
            check: Check::new(
                watch != Watch::Nothing,
                &scenario,
                &layout,
                // Those who publish on follow, who fills queues before the run, and who sends what bursts add.
                producers.len() + consumers.len() + 1 + scenario.producers.len(),
                subscriptions as usize,
            ),
            brokerless,
            relays: Relays::new(&scenario, producers.len() as u32, consumers.len()),
            retried: BTreeMap::new(),
            repeated: VecDeque::new(),
            hot: BTreeSet::new(),
            alarms: Vec::new(),
            ends_when_empty: scenario.until == Some(Until::Empty),
            active_at: Time::ZERO,
            producers,
            producer_plans,
            consumers,
            groups,
            connections,
            network: Costs::new(&scenario.cluster.network),
            node: Node::new(&scenario, &layout, plan),
            journeys: Journeys::new((0..layout.len()).map(|queue| {
                let queue = &scenario.queues[layout.queue_of(queue)];
                queue.policy.stream.is_some()
            })),
            parked: BTreeMap::new(),
            metrics: Metrics::new(&scenario, &layout, warmup),
            trace: match watch {
                Watch::Nothing | Watch::Checks => Trace::default(),
                Watch::Events | Watch::Story => Trace::keeping(),
            },
            faults: Vec::new(),
            active: BTreeMap::new(),
            strikes: Strikes::default(),
            milestones: None,
            swizzled: Vec::new(),
            drains: Vec::new(),
            drains_from: None,
            strobes: BTreeSet::new(),
            killed: None,
            surges: vec![0; scenario.producers.len()],
            declared_durability: (scenario.queues.iter())
                .map(|queue| queue.durability)
                .collect(),
            log: Vec::new(),
            history: (watch == Watch::Story).then(Box::default),
            cpu_sampled: Span::ZERO,
            disk_sampled: Span::ZERO,
            cpu_series: Vec::new(),
            disk_series: Vec::new(),
            bodies_series: Vec::new(),
            producer_actions: Vec::new(),
            consumer_actions: Vec::new(),
            layout,
            scenario,
        };
        world.begin(plan.keep.as_ref());
        world
    }

    /// Runs the next event, if it is due by `until`; false if none is.
    // Always inlined, into the loop that calls it for each event above all.
    #[inline(always)]
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
                    self.node_receives(packet);
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
                if self.node.incarnation == incarnation && self.node.is_due(core as usize, now) {
                    self.run_core(core as usize);
                }
            }
            Event::Fsync { incarnation } => {
                if self.node.incarnation == incarnation {
                    self.fsync_done();
                }
            }
            Event::Read { incarnation } => {
                if self.node.incarnation == incarnation {
                    self.read_goes_on();
                }
            }
            Event::ReadsOn {
                connection,
                incarnation,
            } => {
                if self.node.incarnation == incarnation {
                    self.node_reads_on(connection);
                }
            }
            Event::LogFails { incarnation } => {
                if self.node.incarnation == incarnation {
                    self.node_stops();
                }
            }
            Event::Tick { incarnation } => {
                if self.node.incarnation == incarnation {
                    self.node_ticks();
                }
            }
            Event::Peer { pipe, epoch } => self.peer_receives(pipe, epoch),
            Event::Room { pipe, epoch } => self.peer_has_room(pipe, epoch),
            Event::Idle => self.look_for_idleness(),
            Event::Window => self.end_window(),
            Event::Phase => self.end_phase(),
            Event::FaultBegins(fault) => self.fault_begins(fault),
            Event::FaultEnds(fault) => self.fault_ends(fault),
            Event::FaultStep { fault, step } => self.fault_steps(fault, step),
            Event::Heal => self.heal(),
            Event::ConnectTimeout {
                connection,
                attempt,
            } => self.connect_times_out(connection, attempt),
            Event::OutOfMemory { incarnation } => {
                if self.node.incarnation == incarnation {
                    self.out_of_memory();
                }
            }
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
        self.tell_all(&text);
        if self.log.len() == LOG_LINES {
            self.log.drain(..LOG_LINES / 2);
        }
        self.log.push(LogLine {
            at: self.calendar.now(),
            text,
        });
    }

    fn begin(&mut self, keep: Option<&Mask>) {
        self.fill_queues(keep);
        let connections = 0..self.connections.len() as u32;
        let (at_once, later): (Vec<u32>, Vec<u32>) =
            connections.partition(|connection| self.starts_at(*connection) == Time::ZERO);
        for connection in &at_once {
            if !self.brokerless.is_direct(*connection) {
                self.open(*connection);
            }
        }
        self.settle_node();
        for connection in at_once {
            self.client_connected(connection);
        }
        for connection in later {
            self.connections[connection as usize].live = false;
            self.mind_client(connection);
        }
        self.watch_for_idleness();
        self.calendar.after(self.window, Event::Window);
        for phase in 0..self.scenario.phases.len() {
            let until = self.scenario.phases[phase].until;
            self.calendar.schedule(until, Event::Phase);
        }
        self.schedule_faults();
        let name = self
            .scenario
            .phases
            .first()
            .map_or(String::new(), |phase| phase.name.clone());
        self.say(format!("phase {name}"));
    }

    // Clients

    /// When a client opens its connection for the first time.
    fn starts_at(&self, connection: u32) -> Time {
        match self.connections[connection as usize].client {
            Client::Producer(producer) => self.producers[producer as usize].machine.start(),
            Client::Consumer(consumer) => self.consumers[consumer as usize].machine.start(),
        }
    }

    fn mind_client(&mut self, connection: u32) {
        match self.connections[connection as usize].client {
            Client::Producer(producer) => self.producer_acts(producer),
            Client::Consumer(consumer) => self.consumer_acts(consumer),
        }
    }

    /// Queues of the scenario that a client declares when it connects: those that it says it will, or that may have expired.
    pub fn declares(&self, connection: u32) -> Vec<usize> {
        let (queues, churn): (Vec<usize>, _) = match self.connections[connection as usize].client {
            Client::Producer(producer) => {
                let group = self.producers[producer as usize].group as usize;
                let spec = &self.scenario.producers[group];
                let queue = |(target, _): &(Target, f64)| match target {
                    Target::Queue(queue) => Some(*queue),
                    Target::Exchange { .. } => None,
                };
                (spec.to.iter().filter_map(queue).collect(), &spec.churn)
            }
            Client::Consumer(consumer) => {
                let group = self.consumers[consumer as usize].group as usize;
                let spec = &self.scenario.consumers[group];
                (spec.from.clone(), &spec.churn)
            }
        };
        let churns = churn.as_ref().is_some_and(|churn| churn.declare);
        let expires = |queue: &usize| self.scenario.queues[*queue].policy.expires.is_some();
        let wanted =
            |queue: &usize| (churns || expires(queue)) && !self.scenario.queues[*queue].brokerless;
        queues.into_iter().filter(wanted).collect()
    }

    pub fn client_connected(&mut self, connection: u32) {
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
        if self.brokerless.any() {
            self.peer_comes(connection);
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
                self.forget_relayed(consumer);
                self.consumers[consumer as usize]
                    .machine
                    .reset(now, &mut self.consumer_actions);
                self.consumer_acts(consumer);
            }
        }
    }

    /// Sends a packet to the node.
    #[inline]
    pub fn send_up(&mut self, connection: u32, packet: Up) {
        let now = self.calendar.now();
        let link = &mut self.connections[connection as usize];
        let closed = !link.live || link.void;
        if closed && !matches!(packet, Up::Open { .. } | Up::Close { .. }) {
            // The client has not noticed yet that nobody listens.
            return self.not_read(packet);
        }
        let arrives = link.up.send(now, packet, &self.network);
        if arrives == HELD {
            return;
        }
        self.calendar.schedule_in(
            link.up.lane,
            arrives,
            Event::Up {
                connection,
                epoch: link.epoch,
            },
        );
    }

    /// Closes a connection; what comes of it is void from now on.
    pub fn disconnect(&mut self, connection: u32) {
        self.say_goodbye(connection);
        self.let_go(connection);
    }

    /// Tells the node that a connection is closed. Where the client's end is gone nothing leaves it: the node learns of that in its own time.
    pub fn say_goodbye(&mut self, connection: u32) {
        let stale = self.connections[connection as usize].stale;
        if !stale && !self.brokerless.is_direct(connection) {
            self.send_up(connection, Up::Close { connection });
        }
    }

    /// The client's end of a connection is gone, or of one that was being opened: whatever the node may answer is void.
    pub fn let_go(&mut self, connection: u32) {
        let link = &mut self.connections[connection as usize];
        (link.live, link.waits) = (false, false);
        link.attempt += 1;
    }

    /// Tries to connect; the answers to earlier attempts are void from now on.
    pub fn connect(&mut self, connection: u32) {
        let link = &mut self.connections[connection as usize];
        link.attempt += 1;
        link.void = false;
        let attempt = link.attempt;
        if link.stale {
            link.waits = true;
            return;
        }
        if link.hangs {
            let event = Event::ConnectTimeout {
                connection,
                attempt,
            };
            return self.calendar.after(CONNECT_TIMEOUT, event);
        }
        if self.brokerless.is_direct(connection) {
            let now = self.calendar.now();
            return self.send_down(connection, now, Down::Connected { attempt });
        }
        self.send_up(
            connection,
            Up::Open {
                connection,
                attempt,
            },
        );
    }

    /// A message is gone before any queue took it.
    pub fn vanished(&mut self, tag: u64) {
        self.check.vanished(Tag(tag));
        self.not_taken(tag);
    }

    /// The broker has closed a connection: publishes that it had not answered for are gone.
    pub fn parked_vanish(&mut self, connection: u32) {
        let mut vanished = Vec::new();
        self.parked.retain(|tag, (publishing, _)| {
            let stays = publishing.connection != connection;
            if !stays {
                vanished.push(*tag);
            }
            stays
        });
        for tag in vanished {
            self.vanished(tag);
        }
    }

    /// Sends a packet to a client; it leaves the node at `at`.
    #[inline]
    pub fn send_down(&mut self, connection: u32, at: Time, packet: Down) {
        let link = &mut self.connections[connection as usize];
        let arrives = link.down.send(at, packet, &self.network);
        if arrives == HELD {
            return;
        }
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
}

impl Event {
    /// What it is to the trace: its place above, from 1, and whom it is about; 0 if that goes without saying.
    // Two questions, so that neither needs a jump: the one is the variant's number, the other lies at one place in most variants.
    #[inline]
    fn trace(&self) -> (u8, u32) {
        (self.kind(), self.target())
    }

    #[inline]
    fn kind(&self) -> u8 {
        match self {
            Event::Producer(_) => 1,
            Event::Consumer(_) => 2,
            Event::Up { .. } => 3,
            Event::Down { .. } => 4,
            Event::Reset { .. } => 5,
            Event::Core { .. } => 6,
            Event::Fsync { .. } => 7,
            Event::Window => 8,
            Event::Phase => 9,
            Event::FaultBegins(_) => 10,
            Event::FaultEnds(_) => 11,
            Event::LogFails { .. } => 16,
            Event::Tick { .. } => 12,
            Event::Idle => 13,
            Event::Peer { .. } => 14,
            Event::Room { .. } => 15,
            Event::FaultStep { .. } => 17,
            Event::Heal => 18,
            Event::ConnectTimeout { .. } => 19,
            Event::OutOfMemory { .. } => 20,
            Event::Read { .. } => 21,
            Event::ReadsOn { .. } => 22,
        }
    }

    #[inline]
    fn target(&self) -> u32 {
        match *self {
            Event::Producer(target)
            | Event::Consumer(target)
            | Event::Up {
                connection: target, ..
            }
            | Event::Down {
                connection: target, ..
            }
            | Event::Reset {
                connection: target, ..
            }
            | Event::Core { core: target, .. }
            | Event::FaultBegins(target)
            | Event::FaultEnds(target)
            | Event::FaultStep { fault: target, .. }
            | Event::ConnectTimeout {
                connection: target, ..
            }
            | Event::ReadsOn {
                connection: target, ..
            }
            | Event::Peer { pipe: target, .. }
            | Event::Room { pipe: target, .. } => target,
            Event::Fsync { .. }
            | Event::Read { .. }
            | Event::Window
            | Event::Phase
            | Event::Tick { .. }
            | Event::LogFails { .. }
            | Event::Heal
            | Event::OutOfMemory { .. }
            | Event::Idle => 0,
        }
    }
}

/// Bytes that a connection with automatic acknowledgement takes before its client must have read some: a socket's buffers.
pub const AUTO_ACK_WINDOW: u64 = 1 << 16;

/// Series have so many windows, however long the run.
const WINDOWS: u64 = 600;

/// Lines that are kept: more than any screen shows.
const LOG_LINES: usize = 1_000;
