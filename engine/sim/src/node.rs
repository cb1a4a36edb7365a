//! A node: the real broker behind a FIFO server that pays for what the broker does.
//!
//! A core that is free takes all inputs that wait for it. It handles each once its cost is paid, then flushes; outputs
//! leave as their costs are paid. A connection belongs to one core, so that its requests stay in order.

use std::collections::VecDeque;

use queuelab_core::{
    Broker, ChannelId, ConnectionId, Consume, ConsumerId, Durability, Event as BrokerEvent, Input,
    MessageCopy, Output, QueueId, Recovered, Removal, Request, Response, Span, Time,
};
use queuelab_scenario::{Ack, Cpu, Scenario};
use queuelab_workload::Stream;

use crate::check::Tag;
use crate::disk::Disk;
use crate::journey::{Journey, NOBODY, State};
use crate::network::{Client, Delivered, Down, Stamps, Up};
use crate::topology;
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
    seed: u64,
    cpu: Cpu,
    /// Nothing costs CPU time.
    cpu_is_free: bool,
    cores: Vec<Core>,
    outputs: Vec<Output>,
    busy: Span,
    /// Whether anything waits for the operating system alone.
    has_os_queues: bool,
    /// The publish whose copies the broker makes at the moment.
    publishing: Option<Publishing>,
    /// Queues whose depth may have changed, of which the first so many are in use.
    touched: Vec<QueueId>,
}

/// A core: what it works on.
#[derive(Clone, Debug, Default)]
struct Core {
    inbox: VecDeque<Arrival>,
    batch: VecDeque<Arrival>,
    stage: Stage,
    /// Until when what it does is paid for in `Node::busy`.
    paid_until: Time,
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
struct Publishing {
    tag: u64,
    stamps: Stamps,
    /// The broker has routed or refused it; otherwise it is parked.
    answered: bool,
}

/// An input that waits for a core.
#[derive(Clone, Debug)]
enum Arrival {
    Open {
        connection: u32,
        attempt: u32,
    },
    Close {
        connection: u32,
    },
    Request {
        connection: u32,
        channel: u16,
        request: Request,
        stamps: Stamps,
    },
    Writable {
        connection: u32,
        bytes: u64,
    },
    Log,
}

impl Node {
    /// A node that has just started for the first time.
    pub fn new(scenario: &Scenario, seed: u64) -> Node {
        let mut node = Node {
            broker: None,
            incarnation: 0,
            disk: Disk::new(&scenario.cluster.disk, Stream::new(seed, "disk/fsync", 0)),
            seed,
            cpu: scenario.cluster.cpu,
            cpu_is_free: is_free(&scenario.cluster.cpu),
            cores: vec![Core::default(); scenario.cluster.cpu.cores.max(1) as usize],
            outputs: Vec::new(),
            busy: Span::ZERO,
            has_os_queues: scenario
                .queues
                .iter()
                .any(|queue| queue.durability == Durability::Os),
            publishing: None,
            touched: Vec::new(),
        };
        node.boot(scenario, Recovered::default());
        node
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
    pub fn boot(&mut self, scenario: &Scenario, recovered: Recovered) {
        let seed = Stream::new(self.seed, "broker", 0)
            .at(u64::from(self.incarnation))
            .next_u64();
        self.broker = Some(Broker::new(
            topology::broker_config(scenario, self.incarnation),
            recovered,
            seed,
        ));
    }

    /// The process is gone, with everything that waited in it. Returns the publishes among that.
    pub fn die(&mut self, now: Time) -> Vec<u64> {
        self.busy = self.busy_until(now);
        self.broker = None;
        self.incarnation += 1;
        let mut lost = Vec::new();
        let waiting = self.cores.iter_mut().flat_map(|core| {
            core.stage = Stage::Idle;
            core.paid_until = now;
            std::mem::take(&mut core.batch)
                .into_iter()
                .chain(std::mem::take(&mut core.inbox))
        });
        for arrival in waiting {
            if let Arrival::Request {
                request: Request::Publish { message, .. },
                ..
            } = arrival
            {
                lost.push(message.tag);
            }
        }
        lost
    }

    /// Whose work an input is: its connection's core, or any that is idle.
    #[inline]
    fn core_of(&self, arrival: &Arrival) -> usize {
        match arrival {
            _ if self.cores.len() == 1 => 0,
            Arrival::Open { connection, .. }
            | Arrival::Close { connection }
            | Arrival::Request { connection, .. }
            | Arrival::Writable { connection, .. } => *connection as usize % self.cores.len(),
            Arrival::Log => self
                .cores
                .iter()
                .position(|core| core.stage == Stage::Idle)
                .unwrap_or(0),
        }
    }

    fn cost(&self, arrival: &Arrival) -> Span {
        match arrival {
            Arrival::Request {
                request: Request::Publish { message, .. },
                ..
            } => self.cpu.publish + per_kib(self.cpu.per_kib, message.size()),
            Arrival::Request { .. } | Arrival::Open { .. } | Arrival::Close { .. } => self.cpu.ack,
            Arrival::Writable { .. } | Arrival::Log => Span::ZERO,
        }
    }
}

impl World {
    /// A packet reaches the node.
    #[inline]
    pub fn node_receives(&mut self, connection: u32, packet: Up) {
        let now = self.calendar.now();
        if self.node.broker.is_none() {
            if let Up::Open { attempt } = packet {
                self.send_down(connection, now, Down::Refused { attempt });
            }
            return;
        }
        let arrival = match packet {
            Up::Open { attempt } => Arrival::Open {
                connection,
                attempt,
            },
            Up::Close => Arrival::Close { connection },
            Up::Request {
                channel,
                request,
                mut stamps,
            } => {
                stamps.received = now;
                Arrival::Request {
                    connection,
                    channel,
                    request,
                    stamps,
                }
            }
            Up::Writable { bytes } => Arrival::Writable { connection, bytes },
        };
        self.arrives(arrival);
    }

    /// An fsync is done.
    pub fn fsync_done(&mut self) {
        let now = self.calendar.now();
        let incarnation = self.node.incarnation;
        if let Some(next) = self.node.disk.sync_done(now) {
            self.calendar.after(next, Event::Fsync { incarnation });
        }
        self.arrives(Arrival::Log);
    }

    #[inline]
    fn arrives(&mut self, arrival: Arrival) {
        if self.node.cpu_is_free {
            // No batch ever forms: handling and flushing end at the instant at which they began.
            self.handle(arrival);
            self.flush();
            return;
        }
        let core = self.node.core_of(&arrival);
        let slot = &mut self.node.cores[core];
        slot.inbox.push_back(arrival);
        if slot.stage == Stage::Idle {
            self.start_batch(core);
        }
    }

    fn start_batch(&mut self, core: usize) {
        let slot = &mut self.node.cores[core];
        debug_assert!(slot.batch.is_empty());
        std::mem::swap(&mut slot.batch, &mut slot.inbox);
        slot.stage = Stage::Input;
        let cost = self.node.cpu.per_batch + self.node.cost(&self.node.cores[core].batch[0]);
        if !self.pay(core, Span::ZERO, cost) {
            self.run_core(core);
        }
    }

    /// What the core was working on is done: go on until something takes time.
    pub fn run_core(&mut self, core: usize) {
        loop {
            let sending = match self.node.cores[core].stage {
                Stage::Idle => return,
                Stage::Input => match self.node.cores[core].batch.pop_front() {
                    Some(arrival) => self.handle(arrival),
                    None => Span::ZERO,
                },
                Stage::Flush => self.flush(),
            };
            let slot = &mut self.node.cores[core];
            let cost = match (slot.stage, slot.batch.front()) {
                (_, Some(_)) => self.node.cost(&self.node.cores[core].batch[0]),
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
                    self.node.cpu.per_batch + self.node.cost(&self.node.cores[core].batch[0])
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
    pub fn open(&mut self, connection: u32) {
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
        match self.connections[connection as usize].client {
            Client::Producer(producer) => {
                let group = self.producers[producer as usize].group as usize;
                if self.scenario.producers[group].confirm.is_some() {
                    let channel = ChannelId {
                        connection: id,
                        number: 1,
                    };
                    self.input(
                        now,
                        Input::Client {
                            channel,
                            request: Request::ConfirmSelect,
                        },
                    );
                }
            }
            Client::Consumer(consumer) => {
                let group = self.consumers[consumer as usize].group as usize;
                for at in 0..self.scenario.consumers[group].from.len() {
                    let spec = &self.scenario.consumers[group];
                    let channel = ChannelId {
                        connection: id,
                        number: at as u16 + 1,
                    };
                    let request = Request::Consume(Box::new(Consume {
                        prefetch: spec.prefetch,
                        no_ack: spec.ack == Ack::Auto,
                        weight: spec.weight,
                        ..Consume::new(QueueId(spec.from[at] as u32), ConsumerId(0))
                    }));
                    self.input(now, Input::Client { channel, request });
                }
            }
        }
    }

    /// Flushes the broker outside of any core, at a start.
    pub fn settle_node(&mut self) {
        self.emit();
        self.flush();
    }

    fn handle(&mut self, arrival: Arrival) -> Span {
        let now = self.calendar.now();
        match arrival {
            Arrival::Request {
                connection,
                channel,
                request,
                stamps,
            } => {
                let channel = ChannelId {
                    connection: ConnectionId(connection),
                    number: channel,
                };
                if let Request::Publish { message, .. } = &request {
                    let tag = message.tag;
                    self.node.publishing = Some(Publishing {
                        tag,
                        stamps,
                        answered: false,
                    });
                    self.input(now, Input::Client { channel, request });
                    let sending = self.emit();
                    self.park_current(now);
                    return sending;
                }
                self.input(now, Input::Client { channel, request });
            }
            Arrival::Open {
                connection,
                attempt,
            } => {
                // The answer goes ahead of the deliveries that the new consumers get at once.
                self.send_down(connection, now, Down::Connected { attempt });
                self.open(connection);
            }
            Arrival::Close { connection } => self.input(
                now,
                Input::Closed {
                    connection: ConnectionId(connection),
                },
            ),
            Arrival::Writable { connection, bytes } => {
                self.input(
                    now,
                    Input::Writable {
                        connection: ConnectionId(connection),
                        bytes,
                    },
                );
            }
            Arrival::Log => {
                let (written, synced) = self.node.disk.progress();
                self.input(now, Input::Log { written, synced });
            }
        }
        self.emit()
    }

    fn flush(&mut self) -> Span {
        let now = self.calendar.now();
        let mut sending = Span::ZERO;
        loop {
            if let Some(broker) = &mut self.node.broker {
                broker.flush(now, &mut self.node.outputs);
            }
            sending += self.emit();
            if !(self.node.disk.write() && self.node.has_os_queues) {
                return sending;
            }
            // The operating system has it: queues that wait for no more than that go on.
            let (written, synced) = self.node.disk.progress();
            self.input(now, Input::Log { written, synced });
            sending += self.emit();
        }
    }

    #[inline]
    fn input(&mut self, now: Time, input: Input) {
        if let Some(broker) = &mut self.node.broker {
            broker.handle(now, input, &mut self.node.outputs);
        }
    }

    /// Does what the broker asked for. Returns the CPU time that its deliveries cost; each leaves once its own is paid.
    fn emit(&mut self) -> Span {
        if self.node.outputs.is_empty() {
            return Span::ZERO;
        }
        let now = self.calendar.now();
        let mut outputs = std::mem::take(&mut self.node.outputs);
        let mut sending = Span::ZERO;
        // By reference: outputs are large, and most of them are only looked at.
        for output in &mut outputs {
            match output {
                Output::Observe(event) => self.observe(now, *event),
                Output::Client { channel, response } => {
                    let packet = self.packet(now, *channel, response);
                    if let Down::Deliver(delivered) = packet {
                        let size = u64::from(delivered.size);
                        sending += self.node.cpu.deliver + per_kib(self.node.cpu.per_kib, size);
                    }
                    self.send_down(channel.connection.0, now + sending, packet);
                }
                Output::Reading { connection, on } => {
                    self.send_down(connection.0, now + sending, Down::Reading { on: *on });
                }
                Output::Persist { position, entry } => {
                    self.node.disk.append(*position, std::mem::take(entry));
                }
                Output::Sync { through } => {
                    self.node.disk.write();
                    if let Some(fsync) = self.node.disk.sync(now + sending, *through) {
                        let incarnation = self.node.incarnation;
                        self.calendar
                            .after(sending + fsync, Event::Fsync { incarnation });
                    }
                }
                Output::Release { before } => self.node.disk.release(*before),
            }
        }
        outputs.clear();
        self.node.outputs = outputs;
        self.measure_depths(now);
        sending
    }

    /// A response as it travels to a simulated client.
    #[inline]
    fn packet(&mut self, now: Time, channel: ChannelId, response: &Response) -> Down {
        match response {
            Response::Deliver {
                delivery,
                redelivered,
                copy,
                message,
                ..
            } => {
                let delivered = Delivered {
                    channel: channel.number,
                    redelivered: *redelivered,
                    size: message.size() as u32,
                    delivery: *delivery,
                    tag: message.tag,
                    copy: *copy,
                };
                self.dispatched(now, channel.connection.0, &delivered);
                Down::Deliver(delivered)
            }
            Response::Confirm {
                sequence,
                multiple,
                accepted,
            } => Down::Confirm {
                sequence: *sequence,
                multiple: *multiple,
                accepted: *accepted,
            },
            Response::Returned { message } => Down::Notice {
                bytes: message.size(),
            },
            Response::Consuming { .. }
            | Response::Cancelled { .. }
            | Response::Empty
            | Response::Done
            | Response::TransactionFailed
            | Response::Declared { .. }
            | Response::Assigned { .. }
            | Response::Blocked
            | Response::Unblocked
            | Response::ChannelClosed { .. } => Down::Notice { bytes: 0 },
        }
    }

    /// A copy leaves the ready state for a consumer.
    #[inline]
    fn dispatched(&mut self, now: Time, connection: u32, delivered: &Delivered) {
        let Delivered {
            copy,
            redelivered,
            size,
            ..
        } = *delivered;
        self.touch(copy.queue);
        let phase = self.metrics.phase;
        let queue = &mut self.metrics.queues[copy.queue.index()];
        queue.count(phase, |counts| {
            counts.delivered += 1;
            counts.redelivered += u64::from(redelivered);
        });
        if let Some(journey) = self.journeys.get_mut(copy) {
            if journey.state != State::Removed {
                journey.state = State::InFlight;
            }
            queue.came_back -= u64::from(std::mem::take(&mut journey.came_back));
            journey.dispatched = now;
            journey.attempts += 1;
            journey.size = size;
            journey.holder = connection;
            queue.aged(phase, now - journey.committed);
        }
    }

    #[inline]
    fn observe(&mut self, now: Time, event: BrokerEvent) {
        match event {
            BrokerEvent::Routed { tag, copies } => {
                self.answered(now, tag);
                self.check.routed(Tag(tag), copies);
                if copies == 0 {
                    let group = self.producers[Tag(tag).producer()].group as usize;
                    self.metrics.producers[group].outcomes.unroutable += 1;
                    self.consumed(tag);
                }
            }
            BrokerEvent::Refused { tag, queue } => {
                self.answered(now, tag);
                let stamps = self.stamps_of(now, tag);
                self.check.refused(Tag(tag), queue.index());
                let phase = self.metrics.phase_of(stamps.intended);
                let metrics = &mut self.metrics.queues[queue.index()];
                metrics.refused += 1;
                metrics.phases[phase].offered += 1;
            }
            BrokerEvent::Parked { .. } => {}
            BrokerEvent::Proposed { tag, copy, from } => self.proposed(now, tag, copy, from),
            BrokerEvent::Enqueued { copy, .. } => {
                self.touch(copy.queue);
                let phase = self.metrics.phase;
                self.metrics.queues[copy.queue.index()].count(phase, |counts| counts.enqueued += 1);
                self.metrics.littles.enter(now);
                if let Some(journey) = self.journeys.get_mut(copy) {
                    journey.state = State::Ready;
                    journey.synced = now;
                    journey.committed = now;
                    journey.ready = now;
                }
            }
            BrokerEvent::Returned { copy, .. } => {
                self.touch(copy.queue);
                if let Some(journey) = self.journeys.get_mut(copy) {
                    journey.state = State::Ready;
                    journey.ready = now;
                    journey.holder = NOBODY;
                    journey.came_back = true;
                    self.metrics.queues[copy.queue.index()].came_back += 1;
                }
            }
            BrokerEvent::Removed { tag, copy, reason } => self.removed(now, tag, copy, reason),
            BrokerEvent::Recovered { copy, .. } => {
                self.touch(copy.queue);
                if let Some(journey) = self.journeys.get_mut(copy) {
                    if journey.state == State::Proposed {
                        // Its commit was cut short by the crash, but the disk has it.
                        journey.synced = now;
                        journey.committed = now;
                        self.metrics.littles.enter(now);
                        let phase = self.metrics.phase;
                        self.metrics.queues[copy.queue.index()]
                            .count(phase, |counts| counts.enqueued += 1);
                    }
                    journey.state = State::Ready;
                    journey.ready = now;
                    journey.holder = NOBODY;
                    journey.came_back = true;
                    self.metrics.queues[copy.queue.index()].came_back += 1;
                }
            }
            _ => {}
        }
    }

    /// When the publish in the broker's hands was meant to be sent and so on.
    #[inline]
    fn stamps_of(&self, now: Time, tag: u64) -> Stamps {
        match self.node.publishing {
            Some(publishing) if publishing.tag == tag => publishing.stamps,
            _ => Stamps {
                intended: now,
                sent: now,
                received: now,
            },
        }
    }

    /// The broker has routed or refused a publish: the one that it was handed, or one that had waited for room.
    #[inline]
    fn answered(&mut self, now: Time, tag: u64) {
        if let Some(publishing) = &mut self.node.publishing
            && publishing.tag == tag
        {
            publishing.answered = true;
        } else if let Some((stamps, since)) = self.parked.remove(&tag) {
            // A publish that is being handled now and is not answered yet stays behind the parked ones.
            self.park_current(now);
            // Back-pressure is the producer's wait: what came after it moves by as much.
            let waited = now - since;
            let stamps = Stamps {
                sent: stamps.sent + waited,
                received: stamps.received + waited,
                ..stamps
            };
            self.node.publishing = Some(Publishing {
                tag,
                stamps,
                answered: true,
            });
        }
    }

    fn park_current(&mut self, now: Time) {
        if let Some(current) = self.node.publishing.take()
            && !current.answered
        {
            self.parked.insert(current.tag, (current.stamps, now));
        }
    }

    #[inline]
    fn proposed(&mut self, now: Time, tag: u64, copy: MessageCopy, from: Option<MessageCopy>) {
        self.check.begun(Tag(tag), from.is_some());
        let source = from.and_then(|from| self.journeys.get(from));
        let journey = match source {
            Some(source) => source.moved(now),
            None => {
                let stamps = self.stamps_of(now, tag);
                let phase = self.metrics.phase_of(stamps.intended);
                Journey::new(now, tag, phase as u32, stamps)
            }
        };
        let queue = &mut self.metrics.queues[copy.queue.index()];
        queue.begun += 1;
        queue.phases[journey.phase as usize].offered += 1;
        self.journeys.begin(copy, journey);
    }

    #[inline]
    fn removed(&mut self, now: Time, tag: u64, copy: MessageCopy, reason: Removal) {
        self.touch(copy.queue);
        let phase = self.metrics.phase;
        let queue = &mut self.metrics.queues[copy.queue.index()];
        match reason {
            Removal::Acked => queue.count(phase, |counts| counts.acked += 1),
            Removal::DeadLettered(_) => queue.dead_lettered += 1,
            Removal::Dropped => queue.dropped += 1,
            Removal::Rejected => queue.rejected += 1,
            Removal::Expired | Removal::Exhausted | Removal::Purged | Removal::Retired => {}
        }
        self.check.ended(Tag(tag));
        let Some(journey) = self.journeys.get_mut(copy) else {
            return;
        };
        if journey.state != State::Proposed {
            self.metrics.littles.leave(now, journey.committed);
        }
        if journey.state == State::Ready {
            // It was displaced.
            queue.came_back -= u64::from(std::mem::take(&mut journey.came_back));
            queue.aged(phase, now - journey.committed);
        }
        let acks_by_itself = |holder: u32| {
            let consumer = holder.checked_sub(self.producers.len() as u32);
            consumer
                .and_then(|consumer| self.consumers.get(consumer as usize))
                .is_some_and(|slot| self.groups[slot.group as usize].auto_ack)
        };
        // A service comes after the acknowledgement if that is automatic; a copy that a crash brought back has one more.
        let being_served =
            reason == Removal::Acked && (!journey.served || acks_by_itself(journey.holder));
        if being_served {
            journey.state = State::Removed;
        } else {
            self.journeys.end(copy);
        }
        if matches!(reason, Removal::Dropped | Removal::Rejected) {
            self.consumed(tag);
        }
    }

    #[inline]
    fn touch(&mut self, queue: QueueId) {
        if self.node.touched.last() != Some(&queue) {
            self.node.touched.push(queue);
        }
    }

    #[inline]
    fn measure_depths(&mut self, now: Time) {
        let Some(broker) = &self.node.broker else {
            return;
        };
        let phase = self.metrics.phase;
        for queue in self.node.touched.drain(..) {
            let ready = broker.ready(queue);
            self.metrics.queues[queue.index()].set_ready(now, phase, ready);
            self.check.depth(
                now,
                queue.index(),
                ready.saturating_sub(self.metrics.queues[queue.index()].came_back),
                self.scenario.queues[queue.index()].max_length,
            );
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

#[inline]
fn per_kib(cost: Span, bytes: u64) -> Span {
    let nanos = u128::from(cost.0) * u128::from(bytes) / 1024;
    Span(u64::try_from(nanos).unwrap_or(u64::MAX))
}
