//! The broker: inputs in, outputs out.

mod bodies;
mod commit;
mod compact;
mod consume;
mod dead_letter;
mod failure;
mod flow;
mod groups;
mod identity;
mod leases;
mod lifecycle;
mod publish;
mod pull;
mod readers;
mod recover;
mod reply;
mod streams;
mod timers;
pub(crate) mod transaction;

use std::collections::VecDeque;

use rand::SeedableRng as _;

use self::commit::{Log, Origin, Transaction};
use self::compact::Compaction;
use self::dead_letter::{Move, Stalled};
use self::flow::Flow;
use self::streams::Streams;
use self::timers::Timers;
use self::transaction::Ended;
use crate::balance::Rng;
use crate::channel::{Connections, Consumer};
use crate::config::{Binding, BrokerConfig};
use crate::id::{ChannelId, ConnectionId, ExchangeId, GroupId, MessageCopy, QueueId};
use crate::interface::{
    BodiesView, Event, GroupView, Input, LogFailure, Output, QueueView, Recovered, Request,
    Response,
};
use crate::producers::Producers;
use crate::queue::Queue;
use crate::route::Router;
use crate::slab::Slab;
use crate::time::Time;

/// A message broker as a state machine.
///
/// Feed it with [`Broker::handle`], and end each batch of inputs with [`Broker::flush`]. It neither blocks nor fails: a client that
/// breaks the rules loses its channel.
#[derive(Clone, Debug)]
pub struct Broker {
    observe: bool,
    router: Router,
    queues: Vec<Queue>,
    connections: Connections,
    consumers: Slab<Consumer>,
    /// Dead-letter moves whose targets have not all committed.
    moves: Slab<Move>,
    log: Log,
    compaction: Compaction,
    flow: Option<Box<Flow>>,
    transaction: Transaction,
    /// Clients' transactions that have ended, in that order, and whose channels have not heard of it.
    ended: Vec<Ended>,
    timers: Timers,
    producers: Producers,
    /// Dead letters that wait for room in their targets.
    stalled: Stalled,
    rng: Rng,
    /// How many channels were opened so far.
    epochs: u32,
    /// Queues that may have something to do, each once.
    touched: Vec<QueueId>,
    /// Channels that may have publishes to confirm.
    answering: Vec<ChannelId>,
    /// Until the first call.
    starting: bool,
    /// What recovery found, until it is announced.
    recovered: Vec<(u64, MessageCopy)>,
    /// Gets that wait until all that is due is done.
    gets: VecDeque<pull::Get>,
    /// Emptied lists of targets, to be used again.
    target_lists: Vec<Vec<QueueId>>,
    incarnation: u32,
    /// Why nothing is done any more.
    failed: Option<LogFailure>,
    /// How many direct replies were handed over.
    answers: u64,
    /// How many bodies were read back.
    bodies_read: u64,
    streams: Streams,
}

impl Broker {
    /// A broker as it starts: topology from `config`, messages of durable queues from the log, chance from `seed`.
    /// What recovery announces (`Event::Recovered`) comes out of the first `flush`, or before the effects of an earlier input.
    ///
    /// # Panics
    ///
    /// If a binding names an exchange or a queue that the configuration does not have.
    pub fn new(config: BrokerConfig, recovered: Recovered, seed: u64) -> Broker {
        let mut router = Router::new(&config);
        let first_serial = MessageCopy::first_serial(config.incarnation);
        let mut queues: Vec<Queue> = config
            .queues
            .into_iter()
            .map(|config| Queue::new(config, first_serial))
            .collect();
        let last = recovered.last;
        let mut groups = streams::open(&mut queues, config.groups, first_serial);
        let budget = config.limits.bodies;
        let mut producers = Producers::default();
        let recovered =
            recover::recover(&mut queues, &mut groups, &mut producers, recovered, budget);
        for (id, queue) in (0..).map(QueueId).zip(&queues) {
            if !queue.exists {
                router.remove_queue(id);
            }
        }
        // What a stream holds may be more than it is to keep.
        let streams = queues.iter_mut().zip((0..).map(QueueId));
        let streams = streams.filter(|(queue, _)| queue.stream.is_some());
        let touched = streams.map(|(queue, id)| {
            queue.touched = true;
            id
        });
        let touched = touched.collect();
        let held = queues.iter().map(|queue| queue.held_bytes).sum();
        Broker {
            incarnation: config.incarnation,
            failed: None,
            answers: 0,
            bodies_read: 0,
            observe: config.observe,
            router,
            compaction: Compaction::new(&queues),
            queues,
            connections: Connections::default(),
            consumers: Slab::default(),
            moves: Slab::default(),
            log: Log::new(last),
            flow: Flow::new(config.limits, held),
            transaction: Transaction::default(),
            ended: Vec::new(),
            timers: Timers::default(),
            producers,
            stalled: Stalled::default(),
            rng: Rng::seed_from_u64(seed),
            epochs: 0,
            touched,
            answering: Vec::new(),
            starting: true,
            recovered,
            gets: VecDeque::new(),
            target_lists: Vec::new(),
            streams: Streams::new(groups),
        }
    }

    /// Takes one input; effects are appended to `out`.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Client {
                channel,
                mut request,
            } => self.handle_request(now, channel, &mut request, out),
            other => {
                self.begin(now, out);
                self.handle_other(other, out);
                self.serve(out);
            }
        }
    }

    /// [`Broker::handle`] of [`Input::Client`], for a driver that has a request at hand. Requests are large, and are taken out of their place
    /// only if that is necessary: what is there afterwards means nothing.
    pub fn handle_request(
        &mut self,
        now: Time,
        channel: ChannelId,
        request: &mut Request,
        out: &mut Vec<Output>,
    ) {
        self.begin(now, out);
        self.request(channel, request, None, out);
        self.serve(out);
    }

    /// Everything but requests.
    fn handle_other(&mut self, input: Input, out: &mut Vec<Output>) {
        if self.failed.is_some() {
            return;
        }
        match input {
            Input::LogFailed(failure) => self.fail(failure, out),
            Input::Opened { connection, window } => {
                self.close_connection(connection, out);
                self.connections.open(connection, window);
            }
            Input::Closed { connection } => self.close_connection(connection, out),
            Input::Client { .. } => {}
            Input::Writable { connection, bytes } => {
                if let Some(open) = self.connections.get_mut(connection) {
                    open.grant(bytes);
                    self.refresh_connection(connection);
                }
            }
            Input::Clock(wall) => self.timers.set_clock(wall),
            Input::Read { token, result } => self.body_is_read(token, result, out),
            Input::Disk { free } => {
                if let Some(flow) = &mut self.flow {
                    flow.disk_free = Some(free);
                }
            }
            Input::Log { written, synced } => {
                self.log.advance(written, synced);
                while let Some(effect) = self.log.next_committed() {
                    self.apply(effect, out);
                }
                if !self.ended.is_empty() {
                    self.answer_transactions(out);
                }
                if self.flow.is_some() {
                    self.restore_credit(out);
                }
            }
        }
    }

    /// Ends a batch of inputs: coalesced confirms, the sync that they need, the log's head released.
    #[inline]
    pub fn flush(&mut self, now: Time, out: &mut Vec<Output>) {
        self.timers.advance(now);
        let wanted = self.starting || !self.answering.is_empty() || self.disk_is_short();
        if wanted || self.log.needs_attention() {
            self.end_batch(out);
        }
    }

    #[inline(never)]
    fn end_batch(&mut self, out: &mut Vec<Output>) {
        if self.starting {
            self.start(out);
        }
        if self.log.release_is_due() {
            self.refresh_marks(out);
            self.compact(out);
        }
        if let Some(through) = self.log.sync() {
            append(out, || Output::Sync { through });
        }
        for id in self.answering.drain(..) {
            let channel = self.connections.channel_mut(id);
            if let Some(confirms) = channel.and_then(|channel| channel.confirms.as_mut()) {
                confirms.flush(id, out);
            }
        }
        // With nobody allowed to publish, few entries come: a full disk is looked after at once.
        if self.log.release_is_due() || self.disk_is_short() {
            let oldest = self.oldest_position();
            out.extend(
                self.log
                    .release(oldest)
                    .map(|before| Output::Release { before }),
            );
        }
    }

    /// Does what is due at `now`; nothing if nothing is.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.begin(now, out);
        self.serve(out);
    }

    /// When to call [`Broker::tick`]; any other call may change it. One tick more does no harm.
    #[inline]
    pub fn deadline(&self) -> Option<Time> {
        (self.timers.next != Time::MAX).then_some(self.timers.next)
    }

    /// Why it does nothing any more, if it doesn't.
    pub fn failure(&self) -> Option<LogFailure> {
        self.failed
    }

    /// The state of a group.
    pub fn group(&self, group: GroupId) -> GroupView {
        self.group_view(group)
    }

    /// The state of a queue.
    pub fn queue(&self, queue: QueueId) -> QueueView {
        self.queues[queue.index()].view()
    }

    /// How many messages of a queue could be delivered now.
    #[inline]
    pub fn ready(&self, queue: QueueId) -> u64 {
        self.queues[queue.index()].ready
    }

    /// Where the bodies of messages are; those of streams are not counted.
    pub fn bodies(&self) -> BodiesView {
        let resident = self.queues.iter().map(|queue| queue.held_bytes).sum();
        let absent = self.queues.iter().map(|queue| queue.bodies.absent).sum();
        let flow = self.flow.as_ref();
        BodiesView {
            resident_bytes: resident,
            most_resident_bytes: flow.map_or(resident, |flow| flow.most_held.max(resident)),
            absent,
            read: self.bodies_read,
        }
    }

    /// How many messages of a queue are delivered and not settled (or their settlement is not committed).
    #[inline]
    pub fn in_flight(&self, queue: QueueId) -> u64 {
        self.queues[queue.index()].in_flight
    }

    /// The message of a queue that would be delivered next.
    #[inline]
    pub fn oldest_ready(&self, queue: QueueId) -> Option<MessageCopy> {
        let serial = self.queues[queue.index()].oldest_ready()?;
        Some(MessageCopy { queue, serial })
    }
}

impl Broker {
    /// Handles a request, or keeps it until its connection is parked no longer. `resumed` is the queue that it was parked for, if it was.
    #[inline(always)]
    fn request(
        &mut self,
        id: ChannelId,
        request: &mut Request,
        resumed: Option<QueueId>,
        out: &mut Vec<Output>,
    ) {
        let Some(connection) = self.connections.get_mut(id.connection) else {
            return;
        };
        if connection.parked.is_some() {
            return connection.keep(id.number, taken(request));
        }
        if connection.ensure_channel(id.number, self.epochs) {
            self.epochs = self.epochs.wrapping_add(1);
        }
        match request {
            Request::Publish { .. } => {
                if let Request::Publish {
                    exchange,
                    mandatory,
                    message,
                } = taken(request)
                {
                    self.publish(id, exchange, mandatory, message, resumed, out);
                }
            }
            Request::Ack { delivery, multiple } => {
                let (delivery, multiple) = (*delivery, *multiple);
                self.settle(id, delivery, multiple, consume::Settlement::Ack, out);
            }
            other => self.request_other(id, taken(other), resumed, out),
        }
    }

    /// Handles a request that had to wait.
    #[inline(never)]
    fn request_later(
        &mut self,
        id: ChannelId,
        mut request: Request,
        resumed: Option<QueueId>,
        out: &mut Vec<Output>,
    ) {
        self.request(id, &mut request, resumed, out);
    }

    /// What is asked for less often.
    #[inline(never)]
    fn request_other(
        &mut self,
        id: ChannelId,
        request: Request,
        resumed: Option<QueueId>,
        out: &mut Vec<Output>,
    ) {
        match request {
            Request::Publish { .. } | Request::Ack { .. } => {}
            Request::ConfirmSelect => self.select_confirms(id, out),
            Request::Consume(request) => self.consume(id, *request, out),
            Request::ChannelPrefetch { limit } => self.limit_channel(id, limit, out),
            Request::Get { queue, no_ack } => self.get(id, queue, no_ack, out),
            Request::Cancel { consumer } => self.cancel(id, consumer, out),
            Request::Nack {
                delivery,
                multiple,
                requeue,
            } => {
                let settlement = if requeue {
                    consume::Settlement::Requeue
                } else {
                    consume::Settlement::Reject
                };
                self.settle(id, delivery, multiple, settlement, out);
            }
            Request::TransactionSelect => self.select_transaction(id, out),
            Request::Commit => self.commit_transaction(id, resumed, out),
            Request::Rollback => self.roll_back(id, out),
            Request::Bind(binding) => self.change_bindings(id, &binding, Router::bind, out),
            Request::Unbind(binding) => self.change_bindings(id, &binding, Router::unbind, out),
            Request::Renew { delivery } => self.lease(id, delivery),
            Request::Declare { queue } => self.declare(id, queue, out),
            Request::Purge { queue } => self.purge(id, queue, out),
            Request::Delete { queue } => self.delete_on_request(id, queue, out),
            Request::Join {
                group,
                consumer,
                prefetch,
            } => self.join(id, group, consumer, prefetch, out),
        }
    }

    fn select_confirms(&mut self, id: ChannelId, out: &mut Vec<Output>) {
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        if channel.transaction.is_some() {
            return self.fail_channel(id, 406, "the channel has transactions", out);
        }
        channel.confirms.get_or_insert_default();
    }

    fn change_bindings(
        &mut self,
        id: ChannelId,
        binding: &Binding,
        change: impl FnOnce(&mut Router, &Binding),
        out: &mut Vec<Output>,
    ) {
        if binding.exchange == ExchangeId::DEFAULT {
            return self.fail_channel(id, 403, "the default exchange has its bindings", out);
        }
        if !self.router.can_bind(binding) {
            return self.fail_channel(id, 404, "no such exchange or queue", out);
        }
        change(&mut self.router, binding);
        out.push(Output::Client {
            channel: id,
            response: Response::Done,
        });
    }

    /// Closes a channel for a client's error.
    fn fail_channel(
        &mut self,
        id: ChannelId,
        code: u16,
        reason: &'static str,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Client {
            channel: id,
            response: Response::ChannelClosed { code, reason },
        });
        let connection = self.connections.get_mut(id.connection);
        if let Some(channel) = connection.and_then(|connection| connection.close_channel(id.number))
        {
            self.give_back_all(channel, out);
        }
    }

    fn close_connection(&mut self, id: ConnectionId, out: &mut Vec<Output>) {
        let Some(connection) = self.connections.close(id) else {
            return;
        };
        if let Some(queue) = connection.parked {
            self.queues[queue.index()]
                .parked
                .retain(|parked| *parked != id);
            self.touch(queue);
        }
        for channel in connection.channels {
            self.give_back_all(channel, out);
        }
    }

    /// Serves what an input has touched, if anything.
    #[inline]
    fn serve(&mut self, out: &mut Vec<Output>) {
        let idle = self.touched.is_empty() && self.streams.advancing.is_empty();
        if !idle || self.timers.behind() || self.flow.is_some() {
            self.serve_touched(out);
        }
    }

    /// Notes that a queue may have something to deliver, or room.
    #[inline]
    fn touch(&mut self, queue: QueueId) {
        let state = &mut self.queues[queue.index()];
        if !state.touched {
            state.touched = true;
            self.touched.push(queue);
        }
    }

    /// Delivers what can be delivered, and lets parked publishes in where that made room, until nothing more happens.
    ///
    /// What is due comes first, so that nothing is delivered that has expired. If that is too much for one call, the next call serves the rest.
    fn serve_touched(&mut self, out: &mut Vec<Output>) {
        self.catch_up(out);
        let mut next = 0;
        loop {
            while let Some(queue) = self.touched.get(next).copied() {
                if !self.catch_up(out) {
                    self.touched.drain(..next);
                    return;
                }
                next += 1;
                self.queues[queue.index()].touched = false;
                if self.queues[queue.index()].stream.is_some() {
                    self.serve_stream(queue, out);
                    continue;
                }
                self.deliver(queue, out);
                if self.flow.is_some() {
                    self.let_newcomers_go(queue);
                }
                if !self.queues[queue.index()].parked.is_empty() {
                    self.resume_parked(queue, out);
                }
                if !self.stalled.is_empty() {
                    self.resume_dead_letters(queue, out);
                }
            }
            if self.streams.advancing.is_empty() {
                break;
            }
            self.advance_cursors(out);
        }
        self.touched.clear();
        if self.flow.is_some() {
            self.check_alarms(out);
        }
    }

    /// Time has passed: what is due by now comes first.
    #[inline]
    fn begin(&mut self, now: Time, out: &mut Vec<Output>) {
        self.timers.advance(now);
        if self.starting {
            self.start(out);
        }
        self.catch_up(out);
    }

    /// Does what is due; true if nothing remains.
    #[inline]
    fn catch_up(&mut self, out: &mut Vec<Output>) -> bool {
        if self.timers.behind() {
            self.run_timers(out);
        }
        !self.timers.behind()
    }

    /// Announces what recovery found, and begins to watch it.
    #[cold]
    fn start(&mut self, out: &mut Vec<Output>) {
        self.starting = false;
        for (tag, copy) in std::mem::take(&mut self.recovered) {
            self.observe(Event::Recovered { tag, copy }, out);
            self.watch_copy(copy, out);
        }
        let now = self.timers.now;
        let memories = self.queues.iter_mut().filter_map(|it| it.seen.as_mut());
        memories.for_each(|memory| memory.starts(now));
        self.producers.starts(now);
        for queue in 0..self.queues.len() {
            self.note_use(QueueId(queue as u32));
        }
    }

    #[inline]
    fn observe(&self, event: Event, out: &mut Vec<Output>) {
        if self.observe {
            append(out, || Output::Observe(event));
        }
    }

    /// A copy of what `origin` stands for has committed (or was dropped, as its queue's policy says).
    #[inline]
    fn resolve(&mut self, origin: Origin, out: &mut Vec<Output>) {
        if !matches!(origin, Origin::Unconfirmed) {
            self.answer_for(origin, out);
        }
    }

    fn answer_for(&mut self, origin: Origin, out: &mut Vec<Output>) {
        match origin {
            Origin::Unconfirmed => {}
            Origin::Publish {
                channel: id,
                epoch,
                sequence,
            } => {
                let Some(channel) = self.connections.channel_mut(id) else {
                    return;
                };
                if channel.epoch != epoch {
                    return;
                }
                let Some(confirms) = &mut channel.confirms else {
                    return;
                };
                if confirms.commit(sequence) && !std::mem::replace(&mut confirms.touched, true) {
                    self.answering.push(id);
                }
            }
            Origin::Move(key) => self.resolve_move(key, out),
        }
    }
}

/// Takes a request out of its place.
#[inline(always)]
fn taken(request: &mut Request) -> Request {
    // Without fields: nothing but its kind is written.
    std::mem::replace(request, Request::Rollback)
}

/// Appends what `make` says, written where it stays: outputs are large, and most use little of that.
#[inline(always)]
pub(crate) fn append(out: &mut Vec<Output>, make: impl FnOnce() -> Output) {
    out.extend(std::iter::once_with(make));
}
