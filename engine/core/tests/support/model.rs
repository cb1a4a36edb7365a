//! A naive broker: vectors, scans, no sharing of code with the real one.
//!
//! It predicts every output exactly, but for the order in which the real one serves its queues and the choice among
//! consumers: there it checks that what was done was allowed, and at the end of each step that nothing was left undone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use std::sync::Arc;

use bytes::Bytes;
use queuelab_core::*;

mod consumers;
mod lifecycle;
mod time;

use consumers::Consumer;

mod publishing;
mod transactions;

pub(crate) struct Model {
    config: BrokerConfig,
    queues: Vec<Queue>,
    connections: BTreeMap<ConnectionId, Connection>,
    moves: Vec<Move>,
    epochs: u64,
    /// How many channels were opened.
    opened: u32,
    /// Their addresses for direct replies.
    addresses: Vec<String>,
    /// How many direct replies were handed over.
    answers: u64,
    last: LogPosition,
    written: LogPosition,
    synced: LogPosition,
    /// Effects that wait for the log, with their places.
    unwritten: Vec<(LogPosition, Effect)>,
    unsynced: Vec<(LogPosition, Effect)>,
    needs_sync: bool,
    /// When what waits for its interval is synced.
    sync_at: Option<Time>,
    commands: Vec<Command>,
    effects: Vec<(Effect, bool)>,
    /// More is to come before the commands are committed.
    held: bool,
    /// Commits of transactions that wait for the log.
    ended: Vec<transactions::Ended>,
    consequent_moves: u32,
    clock: time::Clock,
    leases: Vec<time::Lease>,
    /// Dead letters that wait, with the target that has no room for them.
    stalled: Vec<(QueueId, MessageCopy, Removal)>,
    /// The target that the next dead letter has waited for.
    resuming: Option<QueueId>,
    producers: publishing::Producers,
    births: u64,
    configured: Vec<Binding>,
    /// Whose turn it is in partition exchanges.
    turns: BTreeMap<ExchangeId, usize>,
    disk_free: u64,
    /// Which alarms are on: memory, disk.
    alarms: [bool; 2],
    /// Publishes that wait for the log, or (true) the disk, to reach a place; with the connection's birth.
    uncommitted: Vec<(LogPosition, bool, ConnectionId, u64)>,
    /// What has to come out next.
    expected: VecDeque<String>,
}

#[derive(Default)]
struct Queue {
    gone: bool,
    seen: publishing::Seen,
    /// Serials below it were deleted.
    floor: u64,
    last_used: Time,
    /// How many messages got a place that is not their serial's.
    places: u64,
    next_serial: u64,
    copies: Vec<Copy>,
    consumers: Vec<Consumer>,
    /// Which consumer a group of messages sticks to.
    groups: BTreeMap<Bytes, u64>,
    parked: Vec<ConnectionId>,
}

impl Queue {
    /// The groups of its messages.
    fn groups_inside(&self) -> BTreeSet<Bytes> {
        let group = |copy: &Copy| copy.message.properties.as_ref()?.group.clone();
        let entered = self.copies.iter();
        let entered = entered.filter(|copy| copy.state != State::Proposed);
        entered.filter_map(group).collect()
    }
}

#[derive(Clone)]
struct Copy {
    serial: u64,
    message: Message,
    logged: bool,
    deliveries: u32,
    redelivered: bool,
    times: Times,
    /// Before the message of this serial, in this order.
    place: Option<(u64, u64)>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Proposed,
    Ready,
    Delayed,
    InFlight,
    Settling,
    Leaving,
    Stalled,
}

struct Connection {
    window: Option<i128>,
    parked: bool,
    /// For how many messages, and bytes.
    demand: (u64, u64),
    reading: bool,
    birth: u64,
    published: bool,
    throttled: bool,
    backlog: VecDeque<(ChannelId, Request)>,
    channels: BTreeMap<u16, Channel>,
}

#[derive(Default)]
struct Channel {
    epoch: u64,
    /// Publishes by number, if confirms are on.
    publishes: Option<Vec<Publish>>,
    accepted: Vec<u64>,
    delivered: u64,
    /// A delivery was taken back.
    late: bool,
    unacked: Vec<(u64, MessageCopy, u64)>,
    /// Most deliveries that its consumers may hold together.
    limit: u32,
    /// What is gathered, once transactions are on.
    transaction: Option<transactions::Gathered>,
    /// Where direct replies go.
    replies_to: Option<ConsumerId>,
    address: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Publish {
    Waiting(usize),
    Accepted,
    Answered,
}

#[derive(Clone, Copy)]
enum Origin {
    Nobody,
    Publish(ChannelId, u64, u64),
    Move(usize),
}

#[derive(Clone, Copy)]
enum Effect {
    Enqueue(MessageCopy, Origin),
    Remove(MessageCopy, Removal),
    Return(MessageCopy, u32),
    Leave(MessageCopy, usize),
    Delete(MessageCopy),
    /// A queue has seen a message before.
    Repeat(MessageCopy, Origin),
}

struct Move {
    source: MessageCopy,
    tag: u64,
    origin: Origin,
    death: Death,
    entered: bool,
    waiting: usize,
}

impl Model {
    pub(crate) fn new(config: BrokerConfig) -> Model {
        Model::recovered(config, &[], LogPosition(0))
    }

    /// A broker after a restart, from its log.
    pub(crate) fn recovered(
        config: BrokerConfig,
        log: &[(LogPosition, Entry)],
        last: LogPosition,
    ) -> Model {
        let mut queues: Vec<Queue> = Vec::new();
        let mut expected = VecDeque::new();
        for (at, queue) in config.queues.iter().enumerate() {
            let commands = log.iter().flat_map(|(_, entry)| entry.commands());
            let mine: Vec<&Command> = commands
                .filter(|command| command.copy().queue.index() == at)
                .collect();
            let mut state = Queue::default();
            let first = MessageCopy::first_serial(config.incarnation);
            let used = mine.iter().map(|command| command.copy().serial + 1).max();
            state.next_serial = first.max(used.unwrap_or(0));
            for command in mine {
                assert_ne!(
                    queue.durability,
                    Durability::None,
                    "memory queues are not logged"
                );
                state.replay(queue, command);
            }
            for copy in &state.copies {
                let name = MessageCopy {
                    queue: QueueId(at as u32),
                    serial: copy.serial,
                };
                let event = Event::Recovered {
                    tag: copy.message.tag,
                    copy: name,
                };
                expected.push_back(show(&Output::Observe(event)));
                if copy.state == State::Delayed {
                    let event = Event::Delayed {
                        tag: copy.message.tag,
                        copy: name,
                    };
                    expected.push_back(show(&Output::Observe(event)));
                }
            }
            queues.push(state);
        }
        let mut producers = publishing::Producers::default();
        producers.replay(&config, log);
        // A binding that exists already stays one.
        let mut bindings: Vec<Binding> = Vec::new();
        for binding in &config.bindings {
            if !bindings.contains(binding) {
                bindings.push(binding.clone());
            }
        }
        let config = BrokerConfig { bindings, ..config };
        let mut model = Model {
            configured: config.bindings.clone(),
            config,
            queues,
            connections: BTreeMap::new(),
            moves: Vec::new(),
            epochs: 0,
            opened: 0,
            addresses: Vec::new(),
            answers: 0,
            last,
            written: last,
            synced: last,
            unwritten: Vec::new(),
            unsynced: Vec::new(),
            needs_sync: false,
            sync_at: None,
            commands: Vec::new(),
            effects: Vec::new(),
            held: false,
            ended: Vec::new(),
            consequent_moves: 0,
            clock: time::Clock::default(),
            leases: Vec::new(),
            stalled: Vec::new(),
            resuming: None,
            producers,
            births: 0,
            turns: BTreeMap::new(),
            disk_free: u64::MAX,
            alarms: [false; 2],
            uncommitted: Vec::new(),
            expected,
        };
        for at in 0..model.queues.len() {
            if model.queues[at].gone {
                model.remove_bindings(QueueId(at as u32));
            }
        }
        model
    }

    /// Checks what the broker made of an input, or of the time alone.
    pub(crate) fn handle(&mut self, now: Time, input: Option<Input>, outputs: &[Output]) {
        self.advance(now);
        self.run_timers();
        if let Some(input) = input {
            self.input(input);
        }
        for (at, output) in outputs.iter().enumerate() {
            if self.expected.is_empty() {
                self.run_timers();
            }
            while self.expected.is_empty() {
                self.spontaneous(&outputs[at..]);
            }
            assert_eq!(Some(show(output)), self.expected.pop_front());
        }
        self.run_timers();
        while !self.resumable().is_empty() && self.expected.is_empty() {
            self.resume_stalled(&[]);
        }
        self.assert_settled();
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Opened { connection, window } => {
                self.close(connection);
                self.births += 1;
                let window = (window != u64::MAX).then_some(i128::from(window));
                let open = Connection {
                    window,
                    parked: false,
                    demand: (0, 0),
                    reading: true,
                    birth: self.births,
                    published: false,
                    throttled: false,
                    backlog: VecDeque::new(),
                    channels: BTreeMap::new(),
                };
                self.connections.insert(connection, open);
            }
            Input::Closed { connection } => self.close(connection),
            Input::Client { channel, request } => {
                if let Some(connection) = self.connections.get_mut(&channel.connection) {
                    if connection.parked {
                        connection.backlog.push_back((channel, request));
                    } else {
                        self.request(channel, request, None);
                    }
                }
            }
            Input::Writable { connection, bytes } => {
                let open = self.connections.get_mut(&connection);
                if let Some(window) = open.and_then(|open| open.window.as_mut()) {
                    *window += i128::from(bytes);
                }
            }
            Input::Clock(wall) => self.clock.set(wall),
            // A log that fails is the end, which a script shows.
            Input::LogFailed(_) => {}
            // It knows no memory.
            Input::Read { .. } => {}
            Input::Disk { free } => self.disk_free = free,
            Input::Log { written, synced } => {
                (self.written, self.synced) = (written, synced);
                while self
                    .unwritten
                    .first()
                    .is_some_and(|(position, _)| *position <= written)
                {
                    let (_, effect) = self.unwritten.remove(0);
                    self.apply(effect);
                }
                while self
                    .unsynced
                    .first()
                    .is_some_and(|(position, _)| *position <= synced)
                {
                    let (_, effect) = self.unsynced.remove(0);
                    self.apply(effect);
                }
                self.answer_transactions();
                self.restore_credit();
            }
        }
    }

    /// Checks what the broker does at the end of a batch.
    pub(crate) fn flush(&mut self, now: Time, outputs: &[Output]) {
        self.advance(now);
        if std::mem::take(&mut self.needs_sync) {
            self.expect(Output::Sync { through: self.last });
        }
        let mut rest = outputs;
        while let Some(expected) = self.expected.pop_front() {
            assert_eq!(rest.first().map(show), Some(expected));
            rest = &rest[1..];
        }
        // Channels are answered in any order, each in its own.
        let mut answers = BTreeMap::<ChannelId, Vec<String>>::new();
        // The rig takes releases at their word: a restart would miss what was released too early.
        for output in rest
            .iter()
            .filter(|output| !matches!(output, Output::Release { .. } | Output::Read { .. }))
        {
            let Output::Client {
                channel,
                response: Response::Confirm { .. },
            } = output
            else {
                panic!("a flush gives no {output:?}");
            };
            answers.entry(*channel).or_default().push(show(output));
        }
        for (id, connection) in &mut self.connections {
            for (number, channel) in &mut connection.channels {
                let id = ChannelId {
                    connection: *id,
                    number: *number,
                };
                let expected: Vec<String> = channel.answers(id).iter().map(show).collect();
                assert_eq!(answers.remove(&id).unwrap_or_default(), expected, "{id:?}");
            }
        }
        assert!(answers.is_empty());
    }

    pub(crate) fn is_open(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Delivery tags that a channel can settle.
    pub(crate) fn unacked(&self, id: ChannelId) -> Vec<u64> {
        let channel = self
            .connections
            .get(&id.connection)
            .and_then(|open| open.channels.get(&id.number));
        channel.map_or(Vec::new(), |channel| {
            channel.unacked.iter().map(|(tag, ..)| *tag).collect()
        })
    }

    /// Logged copies of a queue that were committed and that nobody has asked to remove.
    pub(crate) fn committed(&self, queue: usize) -> Vec<u64> {
        let promised = [
            State::Ready,
            State::Delayed,
            State::InFlight,
            State::Stalled,
        ];
        let copies = self.queues[queue].copies.iter();
        let committed = copies.filter(|copy| copy.logged && promised.contains(&copy.state));
        committed.map(|copy| copy.serial).collect()
    }

    pub(crate) fn durability(&self, queue: usize) -> Durability {
        self.config.queues[queue].durability
    }

    pub(crate) fn assert_same(&self, broker: &Broker) {
        for (at, queue) in self.queues.iter().enumerate() {
            let id = QueueId(at as u32);
            let count = |states: &[State]| {
                queue
                    .copies
                    .iter()
                    .filter(|copy| states.contains(&copy.state))
                    .count()
            };
            let ready = queue
                .copies
                .iter()
                .filter(|copy| copy.state == State::Ready);
            let view = QueueView {
                name: self.config.queues[at].name.clone(),
                ready: count(&[State::Ready]) as u64,
                in_flight: count(&[State::InFlight, State::Settling]) as u64,
                delayed: count(&[State::Delayed]) as u64,
                stalled: count(&[State::Stalled]) as u64,
                ready_bytes: ready.map(|copy| copy.message.size()).sum(),
                parked: queue.parked.len() as u64,
                consumers: queue.consumers.len() as u32,
                groups: broker.queue(id).groups,
                // Where bodies are changes nothing that it predicts.
                resident_bytes: broker.queue(id).resident_bytes,
                absent: broker.queue(id).absent,
            };
            assert_eq!(broker.queue(id), view);
            assert!(view.groups <= queue.groups_inside().len() as u64);
            assert_eq!(
                (broker.ready(id), broker.in_flight(id)),
                (view.ready, view.in_flight)
            );
            assert_eq!(
                broker.oldest_ready(id).map(|copy| copy.serial),
                self.oldest_ready(id)
            );
        }
        self.assert_deadline(broker.deadline());
    }
}

/// What the broker does on its own: it delivers, and lets parked publishes in.
impl Model {
    fn spontaneous(&mut self, outputs: &[Output]) {
        match &outputs[0] {
            Output::Client {
                channel,
                response: Response::Deliver { consumer, copy, .. },
            } => {
                self.deliver(*channel, *consumer, *copy);
            }
            Output::Observe(
                Event::Routed { tag, .. }
                | Event::Refused { tag, .. }
                | Event::Deduplicated { tag, .. }
                | Event::Parked { tag, .. },
            ) => self.resume(|model, id| model.is_parked_with(id, *tag)),
            Output::Client {
                channel: ChannelId { connection, .. },
                ..
            }
            | Output::Reading {
                connection,
                on: true,
            } if self.may_resume(*connection) => self.resume(|_, id| id == *connection),
            Output::Observe(Event::Alarm { .. }) => self.change_alarms(),
            _ => self.resume_stalled(outputs),
        }
    }

    /// Whether a connection is the first in a queue. What is refused in no queue's name is heard of only by its client, if at all: then
    /// what the connection says next tells of it.
    fn may_resume(&self, connection: ConnectionId) -> bool {
        let mut queues = self.queues.iter();
        queues.any(|queue| queue.parked.first() == Some(&connection))
    }

    /// A parked request is handled: the first of its connection, and that is the first in its queue.
    fn resume(&mut self, is_next: impl Fn(&Model, ConnectionId) -> bool) {
        let found = (0..self.queues.len()).find(|at| {
            let first = self.queues[*at].parked.first();
            first.is_some_and(|id| is_next(self, *id))
        });
        let at = found.expect("only the first parked connection goes on");
        let id = self.queues[at].parked.remove(0);
        let queue = QueueId(at as u32);
        assert!(self.lets_in(queue, id));
        self.connections.get_mut(&id).unwrap().parked = false;
        let mut resumed = Some(queue);
        while !self.connections[&id].parked {
            let connection = self.connections.get_mut(&id).unwrap();
            if let Some((channel, request)) = connection.backlog.pop_front() {
                self.request(channel, request, resumed.take());
            } else {
                return self.update_reading(id);
            }
        }
    }

    /// Whether a publish is what a connection is parked with, or part of it.
    fn is_parked_with(&self, id: ConnectionId, tag: u64) -> bool {
        let connection = &self.connections[&id];
        match &connection.backlog[0] {
            (_, Request::Publish { message, .. }) => message.tag == tag,
            (channel, _) => {
                let channel = connection.channels.get(&channel.number);
                let gathered = channel.and_then(|channel| channel.transaction.as_ref());
                let mut publishes = gathered.iter().flat_map(|it| &it.publishes);
                publishes.any(|(message, _)| message.tag == tag)
            }
        }
    }

    /// Whether a queue has what a parked connection waits for.
    fn lets_in(&self, queue: QueueId, id: ConnectionId) -> bool {
        let (count, bytes) = self.connections[&id].demand;
        !self.exists(queue) || self.has_room_for(queue, count, bytes)
    }

    fn park(&mut self, id: ChannelId, queue: QueueId, request: Request, demand: (u64, u64)) {
        self.queues[queue.index()].parked.push(id.connection);
        let connection = self.connections.get_mut(&id.connection).unwrap();
        (connection.parked, connection.demand) = (true, demand);
        connection.backlog.push_front((id, request));
        self.update_reading(id.connection);
    }

    fn assert_settled(&self) {
        assert!(self.expected.is_empty(), "missing: {:?}", self.expected);
        assert_eq!(self.alarms, self.alarms_due());
        for (at, queue) in self.queues.iter().enumerate() {
            let id = QueueId(at as u32);
            assert!(
                self.takers(id).is_empty(),
                "a message waits beside an idle consumer"
            );
            if let Some(first) = queue.parked.first() {
                assert!(!self.lets_in(id, *first), "a publish waits beside room");
            }
        }
        assert!(
            self.resumable().is_empty(),
            "a dead letter waits beside room"
        );
        assert!(
            self.unwritten
                .first()
                .is_none_or(|(position, _)| *position > self.written)
        );
        assert!(
            self.unsynced
                .first()
                .is_none_or(|(position, _)| *position > self.synced)
        );
    }
}

/// Requests.
impl Model {
    fn request(&mut self, id: ChannelId, request: Request, resumed: Option<QueueId>) {
        let connection = self.connections.get_mut(&id.connection).unwrap();
        self.epochs += 1;
        let (incarnation, opened) = (self.config.incarnation, &mut self.opened);
        let addresses = &mut self.addresses;
        connection.channels.entry(id.number).or_insert_with(|| {
            let (connection, number, epoch) = (id.connection.0, id.number, *opened);
            *opened += 1;
            let address = format!("direct-reply-to.{incarnation}.{connection}.{number}.{epoch}");
            addresses.push(address.clone());
            Channel {
                epoch: self.epochs,
                address,
                ..Channel::default()
            }
        });
        match request {
            Request::ConfirmSelect => self.confirm_select(id),
            Request::TransactionSelect => self.select_transaction(id),
            Request::Commit => self.commit_transaction(id, resumed),
            Request::Rollback => self.roll_back(id),
            Request::Publish {
                exchange,
                mandatory,
                message,
            } => {
                self.publish(id, exchange, mandatory, message, resumed);
            }
            Request::Consume(request) => self.consume(id, *request),
            Request::Cancel { consumer } => self.cancel(id, consumer),
            Request::Get { queue, no_ack } => self.get(id, queue, no_ack),
            Request::ChannelPrefetch { limit } => self.limit(id, limit),
            Request::Bind(binding) => self.bind(id, &binding, true),
            Request::Unbind(binding) => self.bind(id, &binding, false),
            Request::Ack { delivery, multiple } => self.settle(id, delivery, multiple, None),
            Request::Nack {
                delivery,
                multiple,
                requeue,
            } => self.settle(id, delivery, multiple, Some(requeue)),
            Request::Renew { delivery } => self.lease(id, delivery),
            Request::Declare { queue } => self.declare(id, queue),
            Request::Purge { queue } => self.purge(id, queue),
            Request::Delete { queue } => {
                if !self.exists(queue) {
                    return self.fail(id, 404, "no such queue");
                }
                self.delete(queue);
                self.expect(Output::Client {
                    channel: id,
                    response: Response::Done,
                });
            }
            _ => self.fail(id, 540, "not implemented"),
        }
    }

    fn publish(
        &mut self,
        id: ChannelId,
        exchange: ExchangeId,
        mandatory: bool,
        message: Message,
        resumed: Option<QueueId>,
    ) {
        if exchange != ExchangeId::DEFAULT && exchange.index() >= self.config.exchanges.len() {
            return self.fail(id, 404, "no such exchange");
        }
        let Some(message) = self.with_address(id, message) else {
            return;
        };
        self.note_publisher(id.connection);
        if let Some(gathered) = &mut self.channel(id).transaction {
            return gathered.publishes.push((message, mandatory));
        }
        let before = self.last;
        let (tag, size) = (message.tag, message.size());
        let mut targets = self.route(&message);
        let properties = message.properties.clone().unwrap_or_default();
        let seen;
        (targets, seen) = match self.split_seen(targets, &properties) {
            Ok(split) => split,
            Err(Some(queue)) => return self.refuse(id, queue, tag),
            Err(None) => return self.refuse_publish(id),
        };
        for queue in targets.iter().copied() {
            let waits_its_turn =
                !self.queues[queue.index()].parked.is_empty() && resumed != Some(queue);
            let full = !self.has_room(queue, size) || waits_its_turn;
            if self.overflow(queue) == Overflow::Block && full && self.fits(queue, 0, 0, size) {
                self.observe(Event::Parked { tag, queue });
                let request = Request::Publish {
                    exchange,
                    mandatory,
                    message,
                };
                return self.park(id, queue, request, (1, size));
            }
        }
        let refusing = targets
            .iter()
            .copied()
            .find(|queue| self.refuses(*queue) && !self.has_room(*queue, size));
        if let Some(queue) = refusing {
            return self.refuse(id, queue, tag);
        }
        self.remember(&targets, &properties);
        let all = targets.len() + seen.len();
        self.announce(id, &message, mandatory, &targets, &seen);
        let channel = self.channel(id);
        let mut origin = Origin::Nobody;
        if let Some(publishes) = &mut channel.publishes {
            publishes.push(Publish::Waiting(all));
            let sequence = publishes.len() as u64;
            origin = Origin::Publish(id, channel.epoch, sequence);
            if all == 0 {
                publishes[sequence as usize - 1] = Publish::Accepted;
                channel.accepted.push(sequence);
            }
        }
        self.place_all(targets.clone(), &message, origin, None, 0);
        self.commit();
        for queue in seen {
            let copy = MessageCopy { queue, serial: 0 };
            self.effects.push((Effect::Repeat(copy, origin), false));
        }
        self.commit();
        self.spend_credit(id.connection, 1, before, &targets);
    }

    /// Tells where a publish goes.
    fn announce(
        &mut self,
        channel: ChannelId,
        message: &Message,
        mandatory: bool,
        targets: &[QueueId],
        seen: &[QueueId],
    ) {
        let (tag, copies) = (message.tag, targets.len() as u32);
        if seen.is_empty() || copies > 0 {
            self.observe(Event::Routed { tag, copies });
        }
        for queue in seen.iter().copied() {
            self.observe(Event::Deduplicated { tag, queue });
        }
        let nowhere = seen.is_empty() && copies == 0;
        let direct = nowhere && message.exchange == ExchangeId::DEFAULT;
        let answered = direct && self.answer(message);
        if nowhere && mandatory && !answered {
            let message = message.clone();
            let response = Response::Returned { message };
            self.expect(Output::Client { channel, response });
        }
    }

    fn refuse(&mut self, id: ChannelId, queue: QueueId, tag: u64) {
        self.observe(Event::Refused { tag, queue });
        self.refuse_publish(id);
    }

    fn refuse_publish(&mut self, id: ChannelId) {
        if let Some(publishes) = &mut self.channel(id).publishes {
            publishes.push(Publish::Answered);
            let sequence = publishes.len() as u64;
            let response = Response::Confirm {
                sequence,
                multiple: false,
                accepted: false,
            };
            self.expect(Output::Client {
                channel: id,
                response,
            });
        }
    }

    /// `requeue` is absent for an ack.
    fn settle(&mut self, id: ChannelId, delivery: u64, multiple: bool, requeue: Option<bool>) {
        let channel = self.channel(id);
        let known = channel.unacked.iter().any(|(tag, ..)| *tag == delivery);
        let late = channel.late && (1..=channel.delivered).contains(&delivery);
        if !(known || late || multiple && delivery == 0) {
            return self.fail(id, 406, "unknown delivery tag");
        }
        let named = |tag: u64| tag == delivery || multiple && (tag < delivery || delivery == 0);
        if channel.transaction.is_some() {
            let all = channel.unacked.iter().map(|(tag, ..)| *tag);
            let named: Vec<u64> = all.filter(|tag| named(*tag)).collect();
            let late = delivery > 0 && !known;
            return self.gather(id, delivery, &named, late, requeue);
        }
        let (settled, kept) = channel.unacked.iter().partition(|(tag, ..)| named(*tag));
        channel.unacked = kept;
        for (_, name, _) in settled {
            self.settle_one(name, requeue);
        }
    }

    fn settle_one(&mut self, name: MessageCopy, requeue: Option<bool>) {
        // The queue may be deleted.
        let Some(copy) = self.find(name).filter(|copy| copy.state == State::InFlight) else {
            return;
        };
        copy.state = State::Settling;
        let (logged, message) = (copy.logged, copy.message.clone());
        match requeue {
            None => {
                self.effects
                    .push((Effect::Remove(name, Removal::Acked), logged));
                self.commands
                    .extend(logged.then_some(Command::Remove { copy: name }));
            }
            Some(true) => self.give_back(name),
            Some(false) => self.dead_letter(
                name,
                message,
                logged,
                true,
                Origin::Nobody,
                0,
                Removal::Rejected,
            ),
        }
        self.commit();
    }

    fn fail(&mut self, id: ChannelId, code: u16, reason: &'static str) {
        self.expect(Output::Client {
            channel: id,
            response: Response::ChannelClosed { code, reason },
        });
        let channel = self
            .connections
            .get_mut(&id.connection)
            .unwrap()
            .channels
            .remove(&id.number);
        self.drop_channel(id, channel.unwrap());
    }

    fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        for queue in &mut self.queues {
            queue.parked.retain(|parked| *parked != id);
        }
        for (number, channel) in connection.channels {
            self.drop_channel(
                ChannelId {
                    connection: id,
                    number,
                },
                channel,
            );
        }
    }

    fn drop_channel(&mut self, id: ChannelId, channel: Channel) {
        self.leases.retain(|lease| lease.channel != id);
        self.end_consumers(|consumer| consumer.channel == id);
        for (_, name, _) in channel.unacked {
            self.settle_one(name, Some(true));
        }
    }
}

/// The way into queues.
impl Model {
    fn place_all(
        &mut self,
        targets: Vec<QueueId>,
        message: &Message,
        origin: Origin,
        from: Option<MessageCopy>,
        hops: u32,
    ) {
        for refuses in [true, false] {
            for target in targets.iter().copied() {
                if self.refuses(target) == refuses {
                    self.place(target, message.clone(), origin, from, hops);
                }
            }
        }
    }

    fn place(
        &mut self,
        queue: QueueId,
        message: Message,
        origin: Origin,
        from: Option<MessageCopy>,
        hops: u32,
    ) {
        let (tag, size) = (message.tag, message.size());
        let dead_letters = self.overflow(queue) == Overflow::DeadLetter;
        while !self.has_room(queue, size) {
            let proposed = self.queues[queue.index()]
                .copies
                .iter()
                .filter(|copy| [State::Proposed, State::Delayed].contains(&copy.state));
            let (count, bytes) = proposed.fold((0, 0), |(count, bytes), copy| {
                (count + 1, bytes + copy.message.size())
            });
            let head = self
                .oldest_ready(queue)
                .filter(|_| self.fits(queue, count, bytes, size));
            let entered = head.is_some();
            let name = MessageCopy {
                queue,
                serial: head.unwrap_or(self.queues[queue.index()].next_serial),
            };
            let (leaving, logged, whose) = if entered {
                let copy = self.copy(name);
                copy.state = State::Leaving;
                (copy.message.clone(), copy.logged, Origin::Nobody)
            } else {
                self.queues[queue.index()].next_serial += 1;
                self.observe(Event::Proposed {
                    tag,
                    copy: name,
                    from,
                });
                (message.clone(), false, origin)
            };
            if dead_letters {
                self.dead_letter(
                    name,
                    leaving,
                    logged,
                    entered,
                    whose,
                    hops,
                    Removal::Dropped,
                );
            } else {
                self.discard(name, leaving.tag, logged, entered, whose, Removal::Dropped);
            }
            if !entered {
                return;
            }
        }
        let logged =
            message.persistent && self.config.queues[queue.index()].durability != Durability::None;
        let times = self.times(queue, &message);
        let state = &mut self.queues[queue.index()];
        let copy = MessageCopy {
            queue,
            serial: state.next_serial,
        };
        state.next_serial += 1;
        state.copies.push(Copy {
            serial: copy.serial,
            message: message.clone(),
            logged,
            deliveries: 0,
            redelivered: false,
            times,
            place: None,
            state: State::Proposed,
        });
        self.observe(Event::Proposed { tag, copy, from });
        self.effects.push((Effect::Enqueue(copy, origin), logged));
        self.commands.extend(logged.then_some(Command::Enqueue {
            copy,
            message,
            times,
        }));
    }

    #[expect(clippy::too_many_arguments, reason = "flat on purpose")]
    fn dead_letter(
        &mut self,
        source: MessageCopy,
        mut message: Message,
        logged: bool,
        entered: bool,
        origin: Origin,
        hops: u32,
        otherwise: Removal,
    ) {
        let tag = message.tag;
        let waited_for = self.resuming.take();
        let config = &self.config.queues[source.queue.index()];
        let at_least_once = config.policy.dead_letter_at_least_once && entered;
        let Some(to) = config.dead_letter.clone() else {
            return self.discard(source, tag, logged, entered, origin, otherwise);
        };
        let allowed = hops < 16 && self.consequent_moves < 256;
        let death = match otherwise {
            Removal::Rejected => Death::Rejected,
            Removal::Expired => Death::Expired,
            Removal::Exhausted => Death::DeliveryLimit,
            _ => Death::MaxLength,
        };
        message.exchange = to.exchange;
        message.routing_key = to.routing_key.unwrap_or(message.routing_key);
        self.bury(&mut message, source.queue, death);
        let mut targets = self.route(&message);
        targets.retain(|target| !lifecycle::goes_round(&message, *target));
        let full =
            |target: &QueueId| self.refuses(*target) && !self.has_room(*target, message.size());
        let behind = |target: &QueueId| {
            at_least_once && waited_for != Some(*target) && self.is_waited_for(*target)
        };
        let hindrance = targets
            .iter()
            .copied()
            .find(|target| !allowed || full(target) || behind(target));
        if let Some(target) = hindrance.filter(|_| at_least_once) {
            self.stalled.push((target, source, otherwise));
            self.copy(source).state = State::Stalled;
            return;
        }
        let crowded_out = allowed && !targets.is_empty();
        targets.retain(|target| allowed && !full(target));
        if targets.is_empty() {
            let otherwise = if crowded_out {
                Removal::Dropped
            } else {
                otherwise
            };
            return self.discard(source, tag, logged, entered, origin, otherwise);
        }
        self.consequent_moves += u32::from(hops > 0);
        let moving = self.moves.len();
        self.moves.push(Move {
            source,
            tag,
            origin,
            death,
            entered,
            waiting: targets.len() + usize::from(logged),
        });
        if logged {
            self.effects.push((Effect::Leave(source, moving), true));
            self.commands.push(Command::Remove { copy: source });
        }
        self.place_all(
            targets,
            &message,
            Origin::Move(moving),
            Some(source),
            hops + 1,
        );
    }

    fn discard(
        &mut self,
        copy: MessageCopy,
        tag: u64,
        logged: bool,
        entered: bool,
        origin: Origin,
        reason: Removal,
    ) {
        if entered {
            self.effects.push((Effect::Remove(copy, reason), logged));
            self.commands
                .extend(logged.then_some(Command::Remove { copy }));
        } else {
            self.observe(Event::Removed { tag, copy, reason });
            self.resolve(origin);
        }
    }

    fn overflow(&self, queue: QueueId) -> Overflow {
        self.config.queues[queue.index()].overflow
    }

    fn refuses(&self, queue: QueueId) -> bool {
        [Overflow::RejectPublish, Overflow::Block].contains(&self.overflow(queue))
    }

    fn has_room(&self, queue: QueueId, size: u64) -> bool {
        self.has_room_for(queue, 1, size)
    }

    fn has_room_for(&self, queue: QueueId, count: u64, bytes: u64) -> bool {
        let waiting =
            |copy: &&Copy| [State::Ready, State::Delayed, State::Proposed].contains(&copy.state);
        let copies: Vec<&Copy> = self.queues[queue.index()]
            .copies
            .iter()
            .filter(waiting)
            .collect();
        self.fits(
            queue,
            copies.len() as u64 + count - 1,
            copies.iter().map(|copy| copy.message.size()).sum(),
            bytes,
        )
    }

    fn fits(&self, queue: QueueId, count: u64, bytes: u64, size: u64) -> bool {
        let config = &self.config.queues[queue.index()];
        config.max_length.is_none_or(|max| count < max)
            && config.max_bytes.is_none_or(|max| bytes + size <= max)
    }
}

/// Commands and their effects.
impl Model {
    fn commit(&mut self) {
        if self.held {
            return;
        }
        self.consequent_moves = 0;
        let commands = std::mem::take(&mut self.commands);
        if !commands.is_empty() {
            self.last.0 += 1;
            for command in &commands {
                match self.config.queues[command.copy().queue.index()].durability {
                    Durability::Fsync => self.needs_sync = true,
                    Durability::Interval(every) => {
                        let at = self.clock.now + every;
                        self.sync_at = Some(self.sync_at.map_or(at, |before| before.min(at)));
                    }
                    Durability::None | Durability::Os => {}
                }
            }
            let entry = match <[Command; 1]>::try_from(commands) {
                Ok([command]) => Entry::One(command),
                Err(commands) => Entry::Many(commands.into()),
            };
            self.expect(Output::Persist {
                position: self.last,
                entry,
            });
        }
        for (effect, logged) in std::mem::take(&mut self.effects) {
            let queue = effect.copy().queue.index();
            let waiting = match self.config.queues[queue].durability {
                Durability::None => {
                    self.apply(effect);
                    continue;
                }
                Durability::Os | Durability::Interval(_) => &mut self.unwritten,
                Durability::Fsync => &mut self.unsynced,
            };
            match (logged, waiting.last()) {
                (true, _) => waiting.push((self.last, effect)),
                (false, Some((position, _))) => waiting.push((*position, effect)),
                (false, None) => self.apply(effect),
            }
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Enqueue(name, origin) => {
                let copy = self.copy(name);
                assert_eq!(copy.state, State::Proposed);
                let tag = copy.message.tag;
                self.observe(Event::Enqueued { tag, copy: name });
                self.wait(name);
                self.resolve(origin);
            }
            Effect::Remove(name, reason) => {
                if let Some(tag) = self.find(name).map(|copy| copy.message.tag) {
                    self.forget(name);
                    self.observe(Event::Removed {
                        tag,
                        copy: name,
                        reason,
                    });
                }
            }
            Effect::Return(name, deliveries) => {
                let copy = self.copy(name);
                (copy.deliveries, copy.redelivered) = (deliveries, true);
                let tag = copy.message.tag;
                self.observe(Event::Returned {
                    tag,
                    copy: name,
                    deliveries,
                });
                self.wait(name);
            }
            Effect::Delete(name) => self.finish_delete(name),
            Effect::Repeat(_, origin) => self.resolve(origin),
            Effect::Leave(_, moving) => self.resolve(Origin::Move(moving)),
        }
    }

    fn resolve(&mut self, origin: Origin) {
        match origin {
            Origin::Nobody => {}
            Origin::Publish(id, epoch, sequence) => {
                let open = self.connections.get_mut(&id.connection);
                let channel = open.and_then(|open| open.channels.get_mut(&id.number));
                let Some(channel) = channel.filter(|channel| channel.epoch == epoch) else {
                    return;
                };
                let publish = &mut channel.publishes.as_mut().unwrap()[sequence as usize - 1];
                let Publish::Waiting(copies) = publish else {
                    panic!("resolved twice")
                };
                *copies -= 1;
                if *copies == 0 {
                    *publish = Publish::Accepted;
                    channel.accepted.push(sequence);
                }
            }
            Origin::Move(at) => {
                self.moves[at].waiting -= 1;
                if self.moves[at].waiting == 0 {
                    let Move {
                        source,
                        tag,
                        origin,
                        death,
                        ..
                    } = self.moves[at];
                    // A newcomer never was in its queue; a queue that was deleted has said so.
                    let newcomer = !self.moves[at].entered;
                    if !newcomer && self.find(source).is_none() {
                        return self.resolve(origin);
                    }
                    if !newcomer {
                        self.forget(source);
                    }
                    self.observe(Event::Removed {
                        tag,
                        copy: source,
                        reason: Removal::DeadLettered(death),
                    });
                    self.resolve(origin);
                }
            }
        }
    }

    fn oldest_ready(&self, queue: QueueId) -> Option<u64> {
        self.ready_in_order(queue).first().copied()
    }

    /// Serials of the ready messages, in order of service.
    fn ready_in_order(&self, queue: QueueId) -> Vec<u64> {
        let highest = self.config.queues[queue.index()].policy.max_priority;
        let order = |copy: &&Copy| {
            let priority = copy.message.priority().min(highest);
            let place = copy.place.unwrap_or((copy.serial, u64::MAX));
            (std::cmp::Reverse(priority), place)
        };
        let copies = self.queues[queue.index()].copies.iter();
        let mut ready: Vec<&Copy> = copies.filter(|copy| copy.state == State::Ready).collect();
        ready.sort_by_key(order);
        ready.into_iter().map(|copy| copy.serial).collect()
    }

    fn find(&mut self, name: MessageCopy) -> Option<&mut Copy> {
        let mut copies = self.queues[name.queue.index()].copies.iter_mut();
        copies.find(|copy| copy.serial == name.serial)
    }

    fn copy(&mut self, name: MessageCopy) -> &mut Copy {
        let mut copies = self.queues[name.queue.index()].copies.iter_mut();
        copies
            .find(|copy| copy.serial == name.serial)
            .expect("the copy is known")
    }

    fn forget(&mut self, name: MessageCopy) -> u64 {
        let tag = self.copy(name).message.tag;
        let queue = &mut self.queues[name.queue.index()];
        queue.copies.retain(|copy| copy.serial != name.serial);
        // A group sticks to its consumer as long as any of it is there.
        let there = queue.groups_inside();
        queue.groups.retain(|group, _| there.contains(group));
        tag
    }

    fn channel(&mut self, id: ChannelId) -> &mut Channel {
        self.connections
            .get_mut(&id.connection)
            .unwrap()
            .channels
            .get_mut(&id.number)
            .unwrap()
    }

    fn observe(&mut self, event: Event) {
        self.expect(Output::Observe(event));
    }

    fn expect(&mut self, output: Output) {
        self.expected.push_back(show(&output));
    }
}

impl Effect {
    fn copy(&self) -> MessageCopy {
        let (Effect::Enqueue(copy, _)
        | Effect::Remove(copy, _)
        | Effect::Return(copy, _)
        | Effect::Leave(copy, _)
        | Effect::Repeat(copy, _)
        | Effect::Delete(copy)) = self;
        *copy
    }
}

impl Channel {
    fn answers(&mut self, channel: ChannelId) -> Vec<Output> {
        let accepted = std::mem::take(&mut self.accepted);
        let Some(publishes) = &mut self.publishes else {
            return Vec::new();
        };
        let gap = publishes
            .iter()
            .position(|publish| matches!(publish, Publish::Waiting(_)));
        let gap = gap.unwrap_or(publishes.len()) as u64;
        for sequence in &accepted {
            publishes[*sequence as usize - 1] = Publish::Answered;
        }
        let (before, beyond): (Vec<u64>, Vec<u64>) =
            accepted.iter().partition(|sequence| **sequence <= gap);
        let multiple = before.len() > 1;
        let first = before.iter().max().map(|sequence| (*sequence, multiple));
        let rest = beyond.into_iter().map(|sequence| (sequence, false));
        let confirms = first.into_iter().chain(rest);
        let answer = |(sequence, multiple)| Response::Confirm {
            sequence,
            multiple,
            accepted: true,
        };
        confirms
            .map(|confirm| Output::Client {
                channel,
                response: answer(confirm),
            })
            .collect()
    }
}

fn show(output: &Output) -> String {
    format!("{output:?}")
}
