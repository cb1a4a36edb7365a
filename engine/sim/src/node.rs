//! A node: the real broker behind a FIFO server that pays for what the broker does.
//!
//! A core that is free takes all inputs that wait for it. It handles each once its cost is paid, then flushes; outputs
//! leave as their costs are paid. A connection belongs to one core, so that its requests stay in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use queuelab_core::{
    Broker, ChannelId, ConnectionId, Consume, ConsumerId, Durability, Event as BrokerEvent,
    GroupId, Input, MessageCopy, Output, QueueId, Recovered, Removal, Request, Response, Selector,
    Span, Time, WallTime,
};
use queuelab_scenario::{Ack, Cpu, Milestone, Scenario};
use queuelab_workload::Stream;

use crate::disk::{Answers, Disk, ReadStep, Snapshot, Synced, WaitingAnswers};
use crate::fault::Stopping;
use crate::journey::NOBODY;
use crate::kernel::Calendar;
use crate::network::{Client, Delivered, Down, Stamps, Up};
use crate::plan::Plan;
use crate::planted::Planted;
use crate::relay::RELAY_CHANNEL;
use crate::topology::{self, Layout};
use crate::unread::Unread;
use crate::world::{AUTO_ACK_WINDOW, Event, World};

/// A node's process and machine.
#[derive(Clone)]
pub struct Node {
    /// `None` while it is down.
    pub broker: Option<Broker>,
    /// Which life it lives.
    pub incarnation: u32,
    /// Its disk outlives it.
    pub disk: Disk,
    /// What the disk has read for the process.
    answers: WaitingAnswers,
    /// What earlier lives read of bodies, and had of them in memory at most.
    bodies_before: (u64, u64),
    /// Backups of the disk, by the fault that restores them.
    pub backups: BTreeMap<u32, Snapshot>,
    /// What is wrong with its log, if that is why it is down.
    pub stopped: Option<String>,
    /// The log has failed: that is in the calendar.
    failing: bool,
    /// How far its wall clock is off, in nanoseconds: that outlives it too.
    pub clock: i64,
    /// It is being stopped in order.
    pub stopping: Option<Stopping>,
    /// With more bytes than this in its queues it is killed.
    pub memory_limit: Option<u64>,
    /// It stands still.
    paused: bool,
    seed: u64,
    /// What the CPU costs without faults.
    usual_cpu: Cpu,
    cpu: Cpu,
    /// Nothing costs CPU time.
    cpu_is_free: bool,
    cores: Vec<Core>,
    pub outputs: Vec<Output>,
    busy: Span,
    /// Whether anything waits for the operating system alone.
    has_os_queues: bool,
    /// The publish whose copies the broker makes at the moment.
    pub publishing: Option<Publishing>,
    /// Queues whose depth may have changed.
    pub touched: Vec<QueueId>,
    /// When the broker's tick is in the calendar; zero while it waits for a core.
    tick_at: Time,
    /// A client is being connected: the answers to what that asks go nowhere.
    opening: bool,
    /// What consumers of each group want.
    selectors: Vec<Option<Arc<Selector>>>,
    /// Requests that the broker does not read.
    pub unread: Unread,
    planted: Planted,
}

/// A core: what it works on.
#[derive(Clone, Debug, Default)]
struct Core {
    inbox: VecDeque<Arrival>,
    batch: VecDeque<Arrival>,
    stage: Stage,
    /// Until when what it does is paid for in `Node::busy`.
    paid_until: Time,
    /// What is still to be paid when a pause is over.
    rest: Option<Span>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// The cost of the first input of the batch is being paid.
    Input,
    /// The batch is handled; its last outputs are being paid.
    Flush,
}

/// A publish in the broker's hands.
#[derive(Clone, Copy, Debug)]
pub struct Publishing {
    pub tag: u64,
    pub stamps: Stamps,
    pub priority: u8,
    pub connection: u32,
    /// The broker has routed or refused it; otherwise it is parked.
    pub answered: bool,
}

/// An input that waits for a core.
#[derive(Clone, Debug)]
enum Arrival {
    /// From a client.
    Packet(Up),
    Log,
    /// The disk has read something.
    Read,
    Tick,
    /// A connection is read again.
    ReadsOn(u32),
}

const _: () = assert!(size_of::<Arrival>() <= 128);

impl Node {
    /// A node that has just started for the first time.
    pub fn new(scenario: &Scenario, layout: &Layout, plan: &Plan) -> Node {
        let seed = plan.seed;
        let selectors = scenario.consumers.iter().map(|group| {
            // The language has read it already.
            let selector = group.selector.as_deref().map(Selector::parse);
            selector.and_then(Result::ok).map(Arc::new)
        });
        let mut node = Node {
            broker: None,
            incarnation: 0,
            disk: Disk::new(
                &scenario.cluster.disk,
                !scenario.faults.is_empty(),
                Stream::new(seed, "disk/fsync", 0),
                Stream::new(seed, "disk/read", 0),
            ),
            answers: WaitingAnswers::new(),
            bodies_before: (0, 0),
            backups: BTreeMap::new(),
            stopped: None,
            failing: false,
            clock: 0,
            stopping: None,
            memory_limit: None,
            paused: false,
            seed,
            usual_cpu: scenario.cluster.cpu,
            cpu: scenario.cluster.cpu,
            cpu_is_free: is_free(&scenario.cluster.cpu),
            cores: vec![Core::default(); scenario.cluster.cpu.cores.max(1) as usize],
            outputs: Vec::new(),
            busy: Span::ZERO,
            has_os_queues: false,
            publishing: None,
            touched: Vec::new(),
            tick_at: Time::MAX,
            opening: false,
            selectors: selectors.collect(),
            unread: Unread::default(),
            planted: Planted::of(plan),
        };
        node.knows_durabilities(scenario);
        node.boot(scenario, layout, Time::ZERO, Recovered::default());
        node
    }

    /// Takes note of what the queues of a scenario wait for.
    pub fn knows_durabilities(&mut self, scenario: &Scenario) {
        let waits = |durability| matches!(durability, Durability::Os | Durability::Interval(_));
        let mut queues = scenario.queues.iter();
        self.has_os_queues = queues.any(|queue| waits(queue.durability));
    }

    /// From now on what the CPU does takes so many times as long as usual.
    pub fn set_cpu_factor(&mut self, factor: f64) {
        let slow = |cost: Span| match factor == 1.0 {
            true => cost,
            false => Span((cost.0 as f64 * factor + 0.5) as u64),
        };
        let usual = &self.usual_cpu;
        self.cpu = Cpu {
            publish: slow(usual.publish),
            deliver: slow(usual.deliver),
            ack: slow(usual.ack),
            per_kib: slow(usual.per_kib),
            per_batch: slow(usual.per_batch),
            cores: usual.cores,
        };
    }

    /// What the node's wall clock says.
    pub fn wall(&self, now: Time) -> WallTime {
        WallTime(topology::wall(now).0.saturating_add_signed(self.clock))
    }

    /// Whether what a core works on is done now: a pause may have put that off.
    #[inline]
    pub fn is_due(&mut self, core: usize, now: Time) -> bool {
        let core = &mut self.cores[core];
        if self.paused && core.paid_until == now {
            core.rest = Some(Span::ZERO);
        }
        core.paid_until == now && !self.paused
    }

    /// Has all that was appended synced. Returns true if it is already, or never will be.
    pub fn sync_all(&mut self, now: Time, calendar: &mut Calendar<Event>) -> bool {
        self.disk.write(now);
        let (written, synced) = self.disk.progress();
        // Nobody waits for a log that has failed.
        if written == synced || self.disk.failure().is_some() {
            return true;
        }
        if let Some(fsync) = self.disk.sync(now, written) {
            let incarnation = self.incarnation;
            calendar.after(fsync, Event::Fsync { incarnation });
        }
        false
    }

    /// How many cores.
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// CPU time used so far, summed over the cores.
    pub fn busy_until(&self, now: Time) -> Span {
        let ahead = self
            .cores
            .iter()
            .fold(Span::ZERO, |sum, core| sum + (core.paid_until - now));
        self.busy - ahead
    }

    /// Starts the broker on what the disk kept.
    pub fn boot(
        &mut self,
        scenario: &Scenario,
        layout: &Layout,
        now: Time,
        mut recovered: Recovered,
    ) {
        let seed = Stream::new(self.seed, "broker", 0)
            .at(u64::from(self.incarnation))
            .next_u64();
        let mut config = topology::broker_config(scenario, layout, self.incarnation);
        self.planted
            .boots(self.incarnation, &mut config, &mut recovered);
        let mut broker = Broker::new(config, recovered, seed);
        broker.handle(now, Input::Clock(self.wall(now)), &mut self.outputs);
        self.broker = Some(broker);
        self.tick_at = Time::MAX;
    }

    /// Whether nothing waits for a core or is being worked on.
    pub fn is_idle(&self) -> bool {
        let mut cores = self.cores.iter();
        cores.all(|core| core.inbox.is_empty() && core.batch.is_empty())
            && !self.unread.is_waiting()
    }

    /// The process is gone, with everything that waited in it. Returns the publishes among that.
    pub fn die(&mut self, now: Time) -> Vec<u64> {
        self.busy = self.busy_until(now);
        self.bodies_before = self.bodies();
        self.answers.clear();
        self.broker = None;
        self.failing = false;
        self.outputs.clear();
        self.stopping = None;
        let mut lost = self.unread.clear();
        // It may be in the midst of a publish.
        if let Some(publishing) = self.publishing.take()
            && !publishing.answered
        {
            lost.push(publishing.tag);
        }
        self.incarnation += 1;
        let waiting = self.cores.iter_mut().flat_map(|core| {
            core.stage = Stage::Idle;
            core.paid_until = now;
            core.rest = None;
            std::mem::take(&mut core.batch)
                .into_iter()
                .chain(std::mem::take(&mut core.inbox))
        });
        lost.extend(waiting.filter_map(|arrival| match arrival {
            Arrival::Packet(packet) => packet.publishes(),
            _ => None,
        }));
        lost
    }

    /// How many bodies were read back so far, and how many bytes of them were in memory at most.
    pub fn bodies(&self) -> (u64, u64) {
        let (read, most) = self.bodies_before;
        let Some(broker) = &self.broker else {
            return (read, most);
        };
        let bodies = broker.bodies();
        (read + bodies.read, most.max(bodies.most_resident_bytes))
    }

    /// Whether the disk reads for the broker, or what it has read waits for a core.
    pub fn is_reading(&self) -> bool {
        self.disk.reads.is_busy() || !self.answers.is_empty()
    }

    /// Whose work an input is: its connection's core, or any that is idle.
    #[inline]
    fn core_of(&self, arrival: &Arrival) -> usize {
        match arrival {
            _ if self.cores.len() == 1 => 0,
            Arrival::Packet(packet) => packet.connection() as usize % self.cores.len(),
            Arrival::ReadsOn(connection) => *connection as usize % self.cores.len(),
            Arrival::Log | Arrival::Read | Arrival::Tick => self
                .cores
                .iter()
                .position(|core| core.stage == Stage::Idle)
                .unwrap_or(0),
        }
    }
}

impl World {
    /// A packet reaches the node.
    #[inline]
    pub fn node_receives(&mut self, mut packet: Up) {
        let now = self.calendar.now();
        if self.node.broker.is_none() || self.node.stopping.is_some() {
            let closing = self.node.stopping.is_none_or(|stopping| stopping.closing);
            if let Up::Open {
                connection,
                attempt,
            } = packet
            {
                return self.send_down(connection, now, Down::Refused { attempt });
            }
            if closing {
                return self.not_read(packet);
            }
        }
        if self.milestones.is_some() && packet.publishes().is_some() {
            self.reach(Milestone::Publish, true, Some(packet.connection()));
            if self.node.broker.is_none() {
                return self.not_read(packet);
            }
        }
        if let Up::Request { stamps, .. } = &mut packet {
            stamps.received = now;
        }
        if self.node.cpu_is_free && !self.node.paused {
            self.handle_packet(&mut packet);
            return self.end_at_once();
        }
        self.waits(Arrival::Packet(packet));
    }

    /// A packet reaches nobody, or a process that reads no more.
    #[cold]
    pub fn not_read(&mut self, packet: Up) {
        if let Some(tag) = packet.publishes() {
            self.vanished(tag);
        }
    }

    /// The process stands still: what it works on takes that much longer, what reaches it waits.
    pub fn pause_node(&mut self) {
        let now = self.calendar.now();
        if std::mem::replace(&mut self.node.paused, true) {
            return;
        }
        for core in &mut self.node.cores {
            if core.paid_until > now {
                let rest = core.paid_until - now;
                self.node.busy = self.node.busy - rest;
                core.rest = Some(rest);
                core.paid_until = now;
            }
        }
    }

    /// The process goes on.
    pub fn resume_node(&mut self) {
        if !std::mem::replace(&mut self.node.paused, false) {
            return;
        }
        for core in 0..self.node.cores.len() {
            let slot = &mut self.node.cores[core];
            if let Some(rest) = slot.rest.take() {
                let until = self.calendar.now() + rest;
                slot.paid_until = until;
                self.node.busy += rest;
                let incarnation = self.node.incarnation;
                let event = Event::Core {
                    core: core as u32,
                    incarnation,
                };
                self.calendar.schedule(until, event);
            } else if slot.stage == Stage::Idle && !slot.inbox.is_empty() {
                self.start_batch(core);
            }
        }
    }

    /// A connection is read again.
    pub fn node_reads_on(&mut self, connection: u32) {
        self.arrives(Arrival::ReadsOn(connection));
    }

    /// The broker's deadline has come, unless it has moved.
    pub fn node_ticks(&mut self) {
        if self.node.tick_at == self.calendar.now() {
            self.node.tick_at = Time::ZERO;
            self.arrives(Arrival::Tick);
        }
    }

    /// Sees to it that the broker's deadline is in the calendar.
    #[inline]
    fn mind_deadline(&mut self) {
        if let Some(broker) = &self.node.broker
            && let Some(deadline) = broker.deadline()
            && deadline < self.node.tick_at
        {
            let incarnation = self.node.incarnation;
            self.node.tick_at = deadline.max(self.calendar.now());
            self.calendar
                .schedule(self.node.tick_at, Event::Tick { incarnation });
        }
    }

    /// An fsync is done.
    pub fn fsync_done(&mut self) {
        let now = self.calendar.now();
        let incarnation = self.node.incarnation;
        // An fsync that does not return is none yet.
        if !self.node.disk.is_stalled() {
            self.reach(Milestone::Fsync, true, None);
            if self.node.incarnation != incarnation {
                return;
            }
        }
        match self.node.disk.sync_done(now) {
            Synced::Done(next) => {
                if let Some(next) = next {
                    self.calendar.after(next, Event::Fsync { incarnation });
                }
                self.arrives(Arrival::Log);
                self.reach(Milestone::Fsync, false, None);
                let closing = self.node.stopping.is_some_and(|stopping| stopping.closing);
                if closing && self.node.sync_all(now, &mut self.calendar) {
                    self.stop_ends();
                }
            }
            Synced::Failed => self.log_fails(),
            Synced::Late => {}
        }
    }

    /// The disk reads on, or has read something.
    #[cold]
    #[inline(never)]
    pub fn read_goes_on(&mut self) {
        let incarnation = self.node.incarnation;
        let (answers, next) = match self.node.disk.read_goes_on(self.calendar.now()) {
            ReadStep::Takes(next) => (None, Some(next)),
            ReadStep::Done(answers, next) => (Some(answers), next),
            ReadStep::Rests => return,
        };
        if let Some(next) = next {
            self.calendar.after(next, Event::Read { incarnation });
        }
        if let Some(answers) = answers {
            self.node.answers.push_back(answers);
            self.arrives(Arrival::Read);
        }
    }

    /// The broker gets what it asked for.
    #[inline(never)]
    fn handle_answers(&mut self, now: Time) -> Span {
        let mut sending = Span::ZERO;
        for (token, result) in self.node.answers.pop_front().unwrap_or_default() {
            self.input(now, Input::Read { token, result });
            sending += self.emit();
        }
        let broker = self.node.broker.as_ref();
        if let Some(failure) = broker.and_then(Broker::failure) {
            self.node.disk.fail(failure);
            self.log_fails();
        }
        sending
    }

    /// The disk stands still no longer.
    pub fn disk_goes_on(&mut self) {
        let incarnation = self.node.incarnation;
        if let Some(fsync) = self.node.disk.go_on(self.calendar.now()) {
            self.calendar.after(fsync, Event::Fsync { incarnation });
        }
        if self.node.disk.reads_resume() {
            self.calendar.after(Span::ZERO, Event::Read { incarnation });
        }
    }

    /// Nothing can be appended any more: the node stops as soon as it is done with what it does at the moment.
    #[cold]
    fn log_fails(&mut self) {
        if !std::mem::replace(&mut self.node.failing, true) {
            let incarnation = self.node.incarnation;
            self.calendar
                .after(Span::ZERO, Event::LogFails { incarnation });
        }
    }

    fn arrives(&mut self, mut arrival: Arrival) {
        if self.node.cpu_is_free && !self.node.paused {
            self.handle(&mut arrival);
            return self.end_at_once();
        }
        self.waits(arrival);
    }

    /// Ends what a free CPU has begun. No batch ever forms: handling and flushing end at the instant at which they began.
    #[inline]
    fn end_at_once(&mut self) {
        self.flush();
        self.look_for_emptiness();
    }

    /// An input waits for its core, if that is not idle.
    #[inline(always)]
    fn waits(&mut self, arrival: Arrival) {
        let core = self.node.core_of(&arrival);
        let slot = &mut self.node.cores[core];
        slot.inbox.push_back(arrival);
        if slot.stage == Stage::Idle && !self.node.paused {
            self.start_batch(core);
        }
    }

    fn start_batch(&mut self, core: usize) {
        let slot = &mut self.node.cores[core];
        debug_assert!(slot.batch.is_empty());
        std::mem::swap(&mut slot.batch, &mut slot.inbox);
        slot.stage = Stage::Input;
        let cost = self.node.cpu.per_batch + self.cost(&self.node.cores[core].batch[0]);
        if !self.pay(core, Span::ZERO, cost) {
            self.run_core(core);
        }
    }

    /// What an input costs the core that handles it.
    #[inline]
    fn cost(&self, arrival: &Arrival) -> Span {
        let cpu = &self.node.cpu;
        match arrival {
            Arrival::Packet(Up::Request {
                request: Request::Publish { message, .. },
                ..
            }) => cpu.publish + per_kib(cpu.per_kib, message.size()),
            Arrival::Packet(Up::Request { .. } | Up::Close { .. }) => cpu.ack,
            Arrival::Packet(Up::Open { connection, .. }) => {
                let requests = 2 * self.declares(*connection).len() as u64;
                cpu.ack * (1 + requests)
            }
            // What is read then was paid for when it came.
            Arrival::ReadsOn(_) => Span::ZERO,
            Arrival::Packet(Up::Writable { .. }) | Arrival::Log | Arrival::Tick => Span::ZERO,
            Arrival::Read => self.cost_of_answers(),
        }
    }

    /// How long the cores need for what waits for them, and for the clients that have lost their connections and will open them again.
    pub fn work(&self) -> Span {
        let cores = self.node.cores.iter();
        let waiting = cores.flat_map(|core| core.batch.iter().chain(&core.inbox));
        let waiting: Span = waiting.fold(Span::ZERO, |sum, arrival| sum + self.cost(arrival));
        let lost = (0..).zip(&self.connections).filter(|(_, link)| !link.live);
        let opening = lost.fold(Span::ZERO, |sum, (connection, _)| {
            let open = Up::Open {
                connection,
                attempt: 0,
            };
            let close = Up::Close { connection };
            let packets = [open, close].map(|packet| self.cost(&Arrival::Packet(packet)));
            sum + packets[0] + packets[1]
        });
        Span((waiting + opening).0 / self.node.cores.len().max(1) as u64)
    }

    #[cold]
    #[inline(never)]
    fn cost_of_answers(&self) -> Span {
        let read = self.node.answers.front().map_or(0, bytes_of);
        per_kib(self.node.cpu.per_kib, read)
    }

    /// What the core was working on is done: go on until something takes time.
    pub fn run_core(&mut self, core: usize) {
        self.go_on(core);
        self.look_for_emptiness();
    }

    fn go_on(&mut self, core: usize) {
        loop {
            let sending = match self.node.cores[core].stage {
                Stage::Idle => return,
                Stage::Input => match self.node.cores[core].batch.pop_front() {
                    Some(mut arrival) => self.handle(&mut arrival),
                    None => Span::ZERO,
                },
                Stage::Flush => self.flush(),
            };
            let slot = &mut self.node.cores[core];
            let cost = match (slot.stage, slot.batch.front()) {
                (_, Some(_)) => self.cost(&self.node.cores[core].batch[0]),
                (Stage::Flush, None) => {
                    if slot.inbox.is_empty() {
                        slot.stage = Stage::Idle;
                        if self.pay(core, sending, Span::ZERO) {
                            // The last outputs keep the core busy; nothing else is to be done when they have left.
                            self.node.cores[core].stage = Stage::Flush;
                        }
                        return;
                    }
                    std::mem::swap(&mut slot.batch, &mut slot.inbox);
                    slot.stage = Stage::Input;
                    self.node.cpu.per_batch + self.cost(&self.node.cores[core].batch[0])
                }
                (_, None) => {
                    slot.stage = Stage::Flush;
                    Span::ZERO
                }
            };
            if self.pay(core, sending, cost) {
                return;
            }
        }
    }

    /// Pays for outputs and for the next step; true if that takes time, at the end of which the core runs on.
    #[inline]
    fn pay(&mut self, core: usize, sending: Span, next: Span) -> bool {
        let cost = sending + next;
        if cost.is_zero() {
            return false;
        }
        let until = self.calendar.now() + cost;
        self.node.busy += cost;
        self.node.cores[core].paid_until = until;
        let incarnation = self.node.incarnation;
        self.calendar.schedule(
            until,
            Event::Core {
                core: core as u32,
                incarnation,
            },
        );
        true
    }

    /// Opens a connection at the broker: its channels, and what they consume.
    pub fn open(&mut self, connection: u32) -> Span {
        let now = self.calendar.now();
        let id = ConnectionId(connection);
        let auto_ack = match self.connections[connection as usize].client {
            Client::Producer(_) => false,
            Client::Consumer(consumer) => {
                self.groups[self.consumers[consumer as usize].group as usize].auto_ack
            }
        };
        let window = if auto_ack { AUTO_ACK_WINDOW } else { u64::MAX };
        self.input(
            now,
            Input::Opened {
                connection: id,
                window,
            },
        );
        self.node.opening = true;
        let scenario = self.scenario.clone();
        for queue in self.declares(connection) {
            for request in self.layout.declarations(&scenario, queue) {
                self.opens_with(id, ADMIN_CHANNEL, request);
            }
        }
        match self.connections[connection as usize].client {
            Client::Producer(producer) => {
                let group = self.producers[producer as usize].group as usize;
                let spec = &scenario.producers[group];
                if spec.transaction.is_some() {
                    self.opens_with(id, 1, Request::TransactionSelect);
                } else if spec.confirm.is_some() {
                    self.check.opened(connection);
                    self.opens_with(id, 1, Request::ConfirmSelect);
                }
            }
            Client::Consumer(consumer) => {
                self.relays.empties_hands(consumer);
                let group = self.consumers[consumer as usize].group as usize;
                self.consumes(id, group, &scenario.consumers[group]);
            }
        }
        let sending = self.emit();
        self.node.opening = false;
        sending
    }

    fn opens_with(&mut self, connection: ConnectionId, number: u16, request: Request) {
        let now = self.calendar.now();
        let channel = ChannelId { connection, number };
        self.input(now, Input::Client { channel, request });
    }

    /// A consumer says what it wants: channels, limits, queues.
    fn consumes(&mut self, id: ConnectionId, group: usize, spec: &queuelab_scenario::Consumer) {
        let consumer = id.0 as usize - self.producers.len();
        let weight = self.consumers[consumer].weight;
        let transactional = spec.then.as_ref().map(|then| then.transaction);
        if transactional == Some(false) {
            self.opens_with(id, RELAY_CHANNEL, Request::ConfirmSelect);
        }
        if let Some(limit) = spec.channel_prefetch {
            self.opens_with(id, 1, Request::ChannelPrefetch { limit });
        }
        if let Some(of) = spec.group {
            if transactional == Some(true) {
                self.opens_with(id, 1, Request::TransactionSelect);
            }
            let request = Request::Join {
                group: GroupId(of as u32),
                consumer: ConsumerId(0),
                prefetch: spec.prefetch,
            };
            return self.opens_with(id, 1, request);
        }
        for at in 0..spec.from.len() {
            let channel = self.channel_of(group, at as u32);
            if transactional == Some(true) && (at == 0 || channel > 1) {
                self.opens_with(id, channel, Request::TransactionSelect);
            }
            let direct = self.scenario.queues[spec.from[at]].brokerless;
            if spec.pull.is_some() || direct {
                continue;
            }
            for queue in self.layout.partitions(spec.from[at]) {
                let request = Request::Consume(Box::new(Consume {
                    prefetch: spec.prefetch,
                    no_ack: spec.ack == Ack::Auto,
                    weight: weight.unwrap_or(spec.weight),
                    priority: spec.priority,
                    exclusive: spec.exclusive,
                    selector: self.node.selectors[group].clone(),
                    from: topology::offset(spec.offset),
                    // Names are per channel, which several queues may share.
                    ..Consume::new(QueueId(queue as u32), ConsumerId(queue as u32))
                }));
                self.opens_with(id, channel, request);
            }
        }
    }

    /// Puts a message into its queues before the run begins, on the disk too.
    pub fn load(&mut self, message: queuelab_core::Message) {
        let now = self.calendar.now();
        let channel = ChannelId {
            connection: self.loader(),
            number: 1,
        };
        let request = Request::Publish {
            exchange: message.exchange,
            mandatory: false,
            message,
        };
        self.input(now, Input::Client { channel, request });
        self.emit();
        self.node.disk.settle();
        let (written, synced) = self.node.disk.progress();
        self.input(now, Input::Log { written, synced });
        self.emit();
    }

    /// Flushes the broker outside of any core, at a start.
    pub fn settle_node(&mut self) {
        self.emit();
        self.flush();
    }

    #[inline(always)]
    fn handle(&mut self, arrival: &mut Arrival) -> Span {
        let now = self.calendar.now();
        match arrival {
            Arrival::Packet(packet) => return self.handle_packet(packet),
            Arrival::Log => {
                let (written, synced) = self.node.disk.progress();
                self.input(now, Input::Log { written, synced });
            }
            Arrival::Read => return self.handle_answers(now),
            Arrival::ReadsOn(connection) => return self.read_on(*connection),
            Arrival::Tick => {
                self.node.tick_at = Time::MAX;
                if let Some(broker) = &mut self.node.broker {
                    broker.tick(now, &mut self.node.outputs);
                }
                self.mind_deadline();
            }
        }
        self.emit()
    }

    #[inline(always)]
    fn handle_packet(&mut self, packet: &mut Up) -> Span {
        if self.node.unread.any() && self.waits_unread(packet) {
            return Span::ZERO;
        }
        self.handle_read(packet)
    }

    /// Handles a packet that has waited unread.
    pub fn handle_later(&mut self, packet: &mut Up) -> Span {
        self.handle_read(packet)
    }

    // By reference: packets are large, and the broker needs no more of them than the request.
    #[inline(always)]
    fn handle_read(&mut self, packet: &mut Up) -> Span {
        let now = self.calendar.now();
        match packet {
            Up::Request {
                channel,
                request,
                stamps,
            } => {
                let (channel, stamps) = (*channel, *stamps);
                let publish = if let Request::Publish { message, .. } = request {
                    // What a burst adds goes another way, and nobody counts it.
                    let counted = channel.number == 1 && self.confirms(channel.connection.0);
                    if self.check.enabled() && counted {
                        self.check.published(channel.connection.0, message.tag);
                    }
                    self.node.publishing = Some(Publishing {
                        tag: message.tag,
                        stamps,
                        priority: message.priority(),
                        connection: channel.connection.0,
                        answered: false,
                    });
                    true
                } else {
                    false
                };
                if self.node.planted.request(now, channel, request)
                    && let Some(broker) = &mut self.node.broker
                {
                    broker.handle_request(now, channel, request, &mut self.node.outputs);
                }
                self.mind_deadline();
                let sending = self.emit();
                if publish {
                    self.park_current(now);
                    self.reach(Milestone::Publish, false, Some(channel.connection.0));
                }
                sending
            }
            Up::Open {
                connection,
                attempt,
            } => self.handle_open(now, *connection, *attempt),
            Up::Close { connection } => {
                let connection = *connection;
                let input = Input::Closed {
                    connection: ConnectionId(connection),
                };
                self.input(now, input);
                self.parked_vanish(connection);
                self.emit()
            }
            Up::Writable { connection, bytes } => {
                let (connection, bytes) = (ConnectionId(*connection), *bytes);
                self.handle_rare(now, Input::Writable { connection, bytes })
            }
        }
    }

    /// Whether a connection is a producer's that asks for confirms.
    #[inline]
    fn confirms(&self, connection: u32) -> bool {
        let slot = self.producers.get(connection as usize);
        slot.is_some_and(|slot| slot.confirms)
    }

    #[inline(never)]
    fn handle_open(&mut self, now: Time, connection: u32, attempt: u32) -> Span {
        // The answer goes ahead of the deliveries that the new consumers get at once.
        self.send_down(connection, now, Down::Connected { attempt });
        self.open(connection)
    }

    #[inline(never)]
    fn handle_rare(&mut self, now: Time, input: Input) -> Span {
        self.input(now, input);
        self.emit()
    }

    #[inline]
    fn flush(&mut self) -> Span {
        let now = self.calendar.now();
        let mut sending = self.flush_broker(now);
        // The operating system has it: queues that wait for no more than that go on.
        while self.node.disk.write(now) && self.node.has_os_queues {
            let (written, synced) = self.node.disk.progress();
            self.input(now, Input::Log { written, synced });
            sending += self.emit();
            sending += self.flush_broker(now);
        }
        if self.node.disk.failure().is_some() {
            self.log_fails();
        }
        sending
    }

    #[inline(always)]
    fn flush_broker(&mut self, now: Time) -> Span {
        if let Some(broker) = &mut self.node.broker {
            broker.flush(now, &mut self.node.outputs);
        }
        self.mind_deadline();
        let mut sending = self.emit();
        if let Some(free) = self.node.disk.free_changed() {
            sending += self.tells_free(now, free);
        }
        if self.node.memory_limit.is_some() {
            self.mind_memory();
        }
        sending
    }

    #[inline(never)]
    fn tells_free(&mut self, now: Time, free: u64) -> Span {
        self.input(now, Input::Disk { free });
        self.emit()
    }

    /// The connection over which backlogs come, beyond those of the clients.
    pub fn loader(&self) -> ConnectionId {
        ConnectionId(self.connections.len() as u32)
    }

    pub fn input(&mut self, now: Time, mut input: Input) {
        if !self.node.planted.input(now, &mut input) {
            return;
        }
        if let Some(broker) = &mut self.node.broker {
            broker.handle(now, input, &mut self.node.outputs);
        }
        self.mind_deadline();
    }

    /// Does what the broker asked for. Returns the CPU time that its deliveries cost; each leaves once its own is paid.
    #[inline(always)]
    fn emit(&mut self) -> Span {
        if self.node.outputs.is_empty() {
            return Span::ZERO;
        }
        self.emit_all()
    }

    #[inline(never)]
    fn emit_all(&mut self) -> Span {
        let now = self.calendar.now();
        let mut outputs = std::mem::take(&mut self.node.outputs);
        self.node.planted.outputs(now, &mut outputs);
        let mut sending = Span::ZERO;
        let incarnation = self.node.incarnation;
        let watched = self.milestones.is_some();
        // By reference: outputs are large, and most of them are only looked at.
        for output in &mut outputs {
            if watched {
                self.reach_output(output, true);
                if self.node.incarnation != incarnation {
                    sending = Span::ZERO;
                    break;
                }
                self.reach_output(output, false);
            }
            match output {
                Output::Observe(event) => self.observed(now, event),
                Output::Client {
                    channel,
                    response:
                        Response::Deliver {
                            delivery,
                            redelivered,
                            copy,
                            message,
                            ..
                        },
                } => {
                    let mut delivered = Delivered {
                        channel: channel.number,
                        redelivered: *redelivered,
                        held: true,
                        size: message.size() as u32,
                        delivery: *delivery,
                        tag: message.tag,
                        copy: *copy,
                    };
                    let connection = channel.connection.0;
                    let consumer = connection - self.producers.len() as u32;
                    if self.relays_of(consumer) {
                        self.relays
                            .dispatched(consumer, channel.number, *delivery, message);
                    }
                    delivered.held = self.dispatched(now, connection, &delivered);
                    let size = u64::from(delivered.size);
                    sending += self.node.cpu.deliver + per_kib(self.node.cpu.per_kib, size);
                    self.send_down(connection, now + sending, Down::Deliver(delivered));
                }
                Output::Persist { position, entry } => {
                    self.check.persisted(*position, entry);
                    self.node.disk.append(*position, std::mem::take(entry));
                }
                other => self.emit_other(now, sending, other),
            }
        }
        outputs.clear();
        // What was in its place meanwhile is an empty one without memory: there is nothing to drop.
        std::mem::forget(std::mem::replace(&mut self.node.outputs, outputs));
        self.measure_depths(now);
        sending
    }

    /// Does what costs no CPU time of its own, once what comes before it is paid.
    #[inline(never)]
    fn emit_other(&mut self, now: Time, sending: Span, output: &mut Output) {
        match output {
            // The others stay where they are met.
            Output::Observe(_) | Output::Persist { .. } => {}
            Output::Client { channel, response } => {
                let packet = self.packet(now, *channel, response);
                self.send_down(channel.connection.0, now + sending, packet);
            }
            Output::Reading { connection, on } => {
                self.reading_changes(connection.0, *on);
                self.send_down(connection.0, now + sending, Down::Reading { on: *on });
            }
            Output::Sync { through } => {
                self.node.disk.write(now);
                if let Some(fsync) = self.node.disk.sync(now + sending, *through) {
                    let incarnation = self.node.incarnation;
                    self.calendar
                        .after(sending + fsync, Event::Fsync { incarnation });
                }
            }
            Output::Read { token, position } => {
                if self.node.disk.read(*token, *position) {
                    let incarnation = self.node.incarnation;
                    self.calendar.after(sending, Event::Read { incarnation });
                }
            }
            Output::Release { before } => self.node.disk.release(now, *before),
        }
    }

    /// What the broker is about to do, or does, may be what a fault waits for.
    #[cold]
    #[inline(never)]
    fn reach_output(&mut self, output: &Output, before: bool) {
        let holder = |world: &World, copy: MessageCopy| {
            let journey = world.journeys.get(copy);
            journey
                .map(|journey| journey.holder)
                .filter(|holder| *holder != NOBODY)
        };
        let (milestone, concerned) = match output {
            Output::Client { channel, response } => {
                let milestone = match response {
                    // Of these two it is over when the client has them.
                    Response::Confirm { accepted: true, .. } if before => Milestone::Confirm,
                    Response::Deliver { .. } if before => Milestone::Deliver,
                    _ => return,
                };
                (milestone, Some(channel.connection.0))
            }
            Output::Observe(event) => match event {
                BrokerEvent::Proposed { .. } if before => (Milestone::Enqueue, None),
                BrokerEvent::Enqueued { .. } if !before => (Milestone::Enqueue, None),
                BrokerEvent::Returned { copy, .. } => (Milestone::Requeue, holder(self, *copy)),
                BrokerEvent::Rebalanced { .. } => (Milestone::Rebalance, None),
                BrokerEvent::Removed { copy, reason, .. } => match reason {
                    Removal::Acked if !before => (Milestone::Ack, holder(self, *copy)),
                    Removal::DeadLettered(_) => (Milestone::DeadLetter, None),
                    Removal::Expired => (Milestone::Expire, None),
                    _ => return,
                },
                _ => return,
            },
            _ => return,
        };
        self.reach(milestone, before, concerned);
    }

    /// A response as it travels to a simulated client, unless it is a delivery.
    #[inline]
    fn packet(&mut self, now: Time, channel: ChannelId, response: &Response) -> Down {
        match response {
            Response::Confirm {
                sequence,
                multiple,
                accepted,
            } => {
                if channel.number == 1 {
                    let of = (channel.connection.0, *sequence, *multiple);
                    let log = self.node.disk.progress();
                    self.check.confirms(now, of, *accepted, log);
                }
                Down::Confirm {
                    channel: channel.number,
                    sequence: *sequence,
                    multiple: *multiple,
                    accepted: *accepted,
                }
            }
            Response::Returned { message } => Down::Notice {
                bytes: message.size(),
            },
            Response::Done if !self.node.opening => Down::Committed {
                channel: channel.number,
                accepted: true,
            },
            Response::TransactionFailed => Down::Committed {
                channel: channel.number,
                accepted: false,
            },
            Response::Empty => Down::Empty {
                channel: channel.number,
            },
            // These clients cancel nothing themselves.
            Response::ChannelClosed { .. }
            | Response::ConnectionClosed { .. }
            | Response::Cancelled { .. } => Down::Ended,
            Response::Assigned {
                generation,
                streams,
                ..
            } => {
                self.assigned(now, channel.connection.0, *generation, streams);
                Down::Notice { bytes: 0 }
            }
            // Deliveries leave by themselves.
            Response::Deliver { .. }
            | Response::Consuming { .. }
            | Response::Done
            | Response::Declared { .. }
            | Response::Blocked
            | Response::Unblocked => Down::Notice { bytes: 0 },
        }
    }
}

fn is_free(cpu: &Cpu) -> bool {
    let costs = [
        cpu.publish,
        cpu.deliver,
        cpu.ack,
        cpu.per_kib,
        cpu.per_batch,
    ];
    costs.iter().all(|cost| cost.is_zero())
}

/// Bytes of bodies in what was read.
fn bytes_of(answers: &Answers) -> u64 {
    let entries = answers
        .iter()
        .filter_map(|(_, result)| result.as_ref().ok());
    entries.map(queuelab_core::Entry::size).sum()
}

/// The channel on which clients declare.
const ADMIN_CHANNEL: u16 = 2000;

#[inline]
fn per_kib(cost: Span, bytes: u64) -> Span {
    let nanos = u128::from(cost.0) * u128::from(bytes) / 1024;
    Span(u64::try_from(nanos).unwrap_or(u64::MAX))
}
