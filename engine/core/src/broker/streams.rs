//! Streams: what is appended, who reads it, and what is kept.

use super::Broker;
use super::commit::{Effect, Origin};
use super::consume::Settlement;
use super::timers::Watch;
use crate::channel::{Consumer, Reader, Unacked};
use crate::config::GroupConfig;
use crate::group::{Group, State};
use crate::hashing::hash;
use crate::id::{ChannelId, ConsumerId, GroupId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Consume, Event, GroupView, Output, Removal, Response, Times};
use crate::ledger::Ledger;
use crate::message::Message;
use crate::queue::Queue;
use crate::stream::Stream;
use crate::time::Time;

/// What the groups of all streams share.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) groups: Vec<Group>,
    /// What members hold, by number.
    leases: Ledger<Lease>,
    /// The next lease's number; 0 is none.
    next_lease: u64,
    /// Cursors that may have moved on: the group, and the stream's place in it.
    pub(super) advancing: Vec<(GroupId, usize)>,
}

/// A record that a member of a group holds. An acknowledgement without a lease is stale.
#[derive(Clone, Copy, Debug)]
struct Lease {
    group: GroupId,
    /// The stream's place in the group.
    at: usize,
    offset: u64,
    /// The member's key.
    member: u32,
    /// When it ends, in a shared group.
    until: Time,
}

impl Streams {
    pub(super) fn new(groups: Vec<Group>) -> Streams {
        Streams {
            groups,
            leases: Ledger::new(),
            next_lease: 1,
            advancing: Vec::new(),
        }
    }
}

/// Makes streams of the queues that are to be, and groups that read them.
///
/// # Panics
///
/// If a group names a queue that is not a stream.
pub(super) fn open(
    queues: &mut [Queue],
    groups: Vec<GroupConfig>,
    first_serial: u64,
) -> Vec<Group> {
    for (id, queue) in (0..).map(QueueId).zip(queues.iter_mut()) {
        if let Some(retention) = queue.config.policy.stream {
            queue.stream = Some(Box::new(Stream::new(id, retention, first_serial)));
            // A stream is bounded by its retention.
            (queue.config.max_length, queue.config.max_bytes) = (None, None);
        }
    }
    let name = |stream: QueueId| hash(&queues[stream.index()].config.name);
    let groups: Vec<Group> = groups
        .into_iter()
        .map(|group| Group::new(group, name))
        .collect();
    for (id, group) in (0..).map(GroupId).zip(&groups) {
        for stream in &group.config.streams {
            let queue = queues.get_mut(stream.index());
            let stream = queue.and_then(|queue| queue.stream.as_mut());
            let stream = stream.expect("a group reads streams");
            stream.groups.push(id);
        }
    }
    groups
}

/// Records.
impl Broker {
    /// Gives a newcomer its offset; the result is to be committed. All records of a durable stream are logged: there are no gaps.
    pub(super) fn append(
        &mut self,
        queue: QueueId,
        message: Message,
        origin: Origin,
        from: Option<MessageCopy>,
        out: &mut Vec<Output>,
    ) -> (Effect, Option<Command>) {
        let (tag, entered) = (message.tag, self.timers.wall);
        let next = self.log.next();
        let state = &mut self.queues[queue.index()];
        let for_log = state.durable().then(|| message.clone());
        let position = if for_log.is_some() {
            next
        } else {
            LogPosition(0)
        };
        let serial = state.stream_mut().append(message, entered, position);
        let copy = MessageCopy { queue, serial };
        self.observe(Event::Proposed { tag, copy, from }, out);
        let times = Times {
            entered,
            ..Times::ANY
        };
        let command = for_log.map(|message| Command::Enqueue {
            copy,
            message,
            times,
        });
        (Effect::Append { copy, origin }, command)
    }

    /// Commits an append: the record can be read.
    pub(super) fn apply_append(
        &mut self,
        copy: MessageCopy,
        origin: Origin,
        out: &mut Vec<Output>,
    ) {
        let state = &mut self.queues[copy.queue.index()];
        let tag = state.stream_mut().commit(copy.offset());
        state.ready += 1;
        self.observe(Event::Enqueued { tag, copy }, out);
        self.touch(copy.queue);
        self.resolve(origin, out);
    }

    /// Commits the removal of one record.
    pub(super) fn apply_retire(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let state = &mut self.queues[copy.queue.index()];
        if let Some((offset, record)) = state.stream_mut().retire(copy.offset()) {
            self.retired(copy.queue, offset, record.serial, record.message.tag, out);
        }
    }

    /// Commits the removal of all records before `copy`.
    pub(super) fn apply_truncate(
        &mut self,
        copy: MessageCopy,
        position: LogPosition,
        out: &mut Vec<Output>,
    ) {
        let stream = self.queues[copy.queue.index()].stream_mut();
        stream.set_truncated(position);
        while let Some((offset, record)) = self.queues[copy.queue.index()]
            .stream_mut()
            .pop_before(copy.offset())
        {
            self.retired(copy.queue, offset, record.serial, record.message.tag, out);
        }
    }

    fn retired(
        &mut self,
        queue: QueueId,
        offset: u64,
        serial: u64,
        tag: u64,
        out: &mut Vec<Output>,
    ) {
        let state = &mut self.queues[queue.index()];
        state.ready -= 1;
        for group in &state.stream_mut().groups {
            let state = &mut self.streams.groups[group.index()];
            if let Some(at) = state.place(queue)
                && state.cursors[at].retired(offset)
            {
                self.streams.advancing.push((*group, at));
            }
        }
        let copy = MessageCopy { queue, serial };
        let reason = Removal::Retired;
        self.observe(Event::Removed { tag, copy, reason }, out);
    }
}

/// Retention.
impl Broker {
    /// Drops what a stream is not to keep, and sees to it that it is looked at again in time.
    fn maintain(&mut self, queue: QueueId, out: &mut Vec<Output>) {
        let state = &mut self.queues[queue.index()];
        let durable = state.durable();
        let stream = state.stream_mut();
        for offset in stream.take_outdated() {
            let copy = self.queues[queue.index()].stream_mut().copy(offset);
            let command = durable.then_some(Command::Remove { copy });
            self.propose(Effect::Retire { copy }, command);
        }
        self.commit(out);

        let (now, read) = (self.timers.wall, self.read_by_all(queue));
        let stream = self.queues[queue.index()].stream_mut();
        if let Some(first) = stream.surplus(read).max(stream.expired(now)) {
            stream.truncating(first);
            let copy = stream.copy(first);
            self.truncate(copy, out);
        }
        let stream = self.queues[queue.index()].stream_mut();
        if !stream.watched
            && let Some(expires) = stream.expires().filter(|expires| *expires > now)
        {
            stream.watched = true;
            let at = self.timers.now + expires.since(now);
            self.timers.watch(at, Watch::Retention(queue));
        }
    }

    fn truncate(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let durable = self.queues[copy.queue.index()].durable();
        let position = if durable {
            self.log.next()
        } else {
            LogPosition(0)
        };
        let command = durable.then_some(Command::Truncate { copy });
        self.commit_one(Effect::Truncate { copy, position }, command, out);
    }

    /// Up to where all groups of a stream have read, if that matters.
    fn read_by_all(&self, queue: QueueId) -> Option<u64> {
        let stream = self.queues[queue.index()].stream.as_ref()?;
        if !stream.drops_what_is_read() {
            return None;
        }
        let committed = |group: &GroupId| {
            let group = &self.streams.groups[group.index()];
            group
                .place(queue)
                .map_or(0, |at| group.cursors[at].committed())
        };
        stream.groups.iter().map(committed).min()
    }

    /// It may be time to drop the head of a stream.
    pub(super) fn retention_is_due(&mut self, queue: QueueId) {
        self.queues[queue.index()].stream_mut().watched = false;
        self.touch(queue);
    }

    /// Logs anew what only old entries tell, so that the log's head can go.
    pub(super) fn refresh_marks(&mut self, out: &mut Vec<Output>) {
        let old = |position: LogPosition| position > LogPosition(0) && self.log.is_old(position);
        let truncated = self.queues.iter().filter_map(|queue| queue.stream.as_ref());
        let truncated = truncated.filter(|stream| stream.marker().is_some_and(old));
        let truncated: Vec<MessageCopy> =
            truncated.map(|stream| stream.copy(stream.end())).collect();
        let cursors = (0..).map(GroupId).zip(&self.streams.groups);
        let cursors = cursors
            .flat_map(|(group, state)| state.cursors.iter().map(move |cursor| (group, cursor)));
        let cursors = cursors.filter(|(_, cursor)| old(cursor.position));
        let committed: Vec<(GroupId, QueueId, u64)> = cursors
            .map(|(group, cursor)| (group, cursor.stream, cursor.settled()))
            .collect();
        for copy in truncated {
            self.truncate(copy, out);
        }
        for (group, queue, offset) in committed {
            self.propose_advance(group, queue, offset);
        }
        self.commit(out);
    }

    /// The log's first place that groups need.
    pub(super) fn oldest_mark(&self) -> Option<LogPosition> {
        let cursors = self.streams.groups.iter().flat_map(|group| &group.cursors);
        let positions = cursors.map(|cursor| cursor.position);
        positions
            .filter(|position| *position > LogPosition(0))
            .min()
    }
}

/// Readers.
impl Broker {
    /// Registers a consumer of a stream, for itself.
    pub(super) fn read_stream(&mut self, id: ChannelId, request: Consume, out: &mut Vec<Output>) {
        let Consume {
            queue,
            consumer,
            prefetch,
            no_ack,
            from,
            ..
        } = request;
        let next = self.queues[queue.index()].stream_mut().locate(from);
        let reader = Reader::Alone { next };
        let prefetch = if no_ack { 0 } else { prefetch };
        let key = self.add_reader(id, consumer, queue, prefetch, no_ack, reader, out);
        self.queues[queue.index()].stream_mut().readers.push(key);
        self.touch(queue);
    }

    /// Registers a member of a group.
    pub(super) fn join(
        &mut self,
        id: ChannelId,
        group: GroupId,
        consumer: ConsumerId,
        prefetch: u32,
        out: &mut Vec<Output>,
    ) {
        let Some(state) = self.streams.groups.get(group.index()) else {
            return self.fail_channel(id, 404, "no such group", out);
        };
        let queue = state.config.streams.first().copied().unwrap_or_default();
        if self.find_consumer(id, consumer).is_some() {
            return self.fail_channel(id, 530, "the consumer exists already", out);
        }
        let reader = Reader::Member(group);
        let key = self.add_reader(id, consumer, queue, prefetch, false, reader, out);
        let name = [id.connection.0, u32::from(id.number), consumer.0];
        let name: Box<[u8]> = name.iter().flat_map(|part| part.to_be_bytes()).collect();
        self.streams.groups[group.index()].join(key, name);
        self.regroup(group, Some(key), out);
    }

    fn add_reader(
        &mut self,
        channel: ChannelId,
        id: ConsumerId,
        queue: QueueId,
        prefetch: u32,
        no_ack: bool,
        reader: Reader,
        out: &mut Vec<Output>,
    ) -> u32 {
        let limited = match self.connections.channel_mut(channel) {
            Some(channel) => !no_ack && channel.limit > 0,
            None => false,
        };
        let key = self.consumers.insert(Consumer {
            id,
            channel,
            queue,
            seat: None,
            prefetch,
            no_ack,
            limited,
            unacked: 0,
            reader: Some(reader),
        });
        if let Some(channel) = self.connections.channel_mut(channel) {
            channel.consumers.push(key);
        }
        let response = Response::Consuming { consumer: id };
        out.push(Output::Client { channel, response });
        key
    }

    /// Takes a reader off what it reads. What it holds as a member of a group is available again.
    pub(super) fn end_reader(&mut self, key: u32, out: &mut Vec<Output>) {
        let consumer = &mut self.consumers[key];
        let queue = consumer.queue;
        match consumer.reader.take() {
            Some(Reader::Alone { .. }) => {
                let readers = &mut self.queues[queue.index()].stream_mut().readers;
                readers.retain(|other| *other != key);
            }
            Some(Reader::Member(group)) => {
                for at in self.streams.groups[group.index()].leave(key) {
                    self.revoke(group, at);
                }
                let leases = self.streams.leases.iter();
                let held: Vec<u64> = leases
                    .filter(|(_, lease)| lease.member == key)
                    .map(|(number, _)| number)
                    .collect();
                for lease in held {
                    self.end_lease_of_record(lease, Settlement::Requeue);
                }
                self.regroup(group, None, out);
            }
            None => {}
        }
        self.forget_if_done(key);
    }

    /// It may be that a reader can take a record again.
    pub(super) fn refresh_reader(&mut self, key: u32) {
        let consumer = &self.consumers[key];
        let queue = match consumer.reader {
            Some(Reader::Alone { .. }) => Some(consumer.queue),
            // Serving one of its streams serves a member with all of them.
            Some(Reader::Member(group)) => self.streams.groups[group.index()].first_stream(key),
            None => None,
        };
        if let Some(queue) = queue {
            self.touch(queue);
        }
    }
}

/// Groups.
impl Broker {
    /// The state of a group.
    pub(super) fn group_view(&self, group: GroupId) -> GroupView {
        let group = &self.streams.groups[group.index()];
        let lag = group.cursors.iter().filter_map(|cursor| {
            let stream = self.queues[cursor.stream.index()].stream.as_ref()?;
            Some(match cursor.started {
                true => cursor.lag(stream),
                false => stream.count_from(stream.locate(group.config.start)),
            })
        });
        GroupView {
            name: group.config.name.clone(),
            members: group.len() as u32,
            generation: group.generation,
            lag: lag.sum(),
            in_flight: group.cursors.iter().map(|cursor| cursor.in_flight()).sum(),
        }
    }

    /// A member has come or gone.
    fn regroup(&mut self, group: GroupId, joined: Option<u32>, out: &mut Vec<Output>) {
        let now = self.timers.now;
        let state = &mut self.streams.groups[group.index()];
        if state.lock().is_some() {
            state.generation += 1;
            self.start_cursors(group, out);
            if let Some(key) = joined {
                self.tell_assignment(group, key, out);
            }
            self.touch_group(group);
        } else if let Some(at) = state.prepare(now) {
            if at <= now {
                self.rebalance(group, out);
            } else {
                self.timers.watch(at, Watch::Rebalance(group));
            }
        }
    }

    /// Assigns the streams of a group anew, if it is time.
    pub(super) fn rebalance_is_due(&mut self, group: GroupId, out: &mut Vec<Output>) {
        let due = self.streams.groups[group.index()].due();
        if due.is_some_and(|due| due <= self.timers.now) {
            self.rebalance(group, out);
        }
    }

    fn rebalance(&mut self, group: GroupId, out: &mut Vec<Output>) {
        for at in self.streams.groups[group.index()].rebalance() {
            self.revoke(group, at);
        }
        self.start_cursors(group, out);
        let state = &self.streams.groups[group.index()];
        let event = Event::Rebalanced {
            group,
            generation: state.generation,
            members: state.len() as u32,
        };
        self.observe(event, out);
        let members: Vec<u32> = state.members().collect();
        for key in members {
            self.tell_assignment(group, key, out);
        }
        self.touch_group(group);
    }

    fn tell_assignment(&self, group: GroupId, key: u32, out: &mut Vec<Output>) {
        let (state, consumer) = (&self.streams.groups[group.index()], &self.consumers[key]);
        let response = Response::Assigned {
            consumer: consumer.id,
            generation: state.generation,
            streams: state.streams(key),
        };
        out.push(Output::Client {
            channel: consumer.channel,
            response,
        });
    }

    /// Takes a stream away from its reader: reading goes on where the group is done, and what the reader still acknowledges is stale.
    fn revoke(&mut self, group: GroupId, at: usize) {
        let cursor = &mut self.streams.groups[group.index()].cursors[at];
        for lease in cursor.leases() {
            self.streams.leases.remove(lease);
        }
        cursor.rewind();
    }

    /// Gives a group its place in streams that it reads for the first time.
    fn start_cursors(&mut self, group: GroupId, out: &mut Vec<Output>) {
        let state = &mut self.streams.groups[group.index()];
        let start = state.config.start;
        let mut started = Vec::new();
        for cursor in state.cursors.iter_mut().filter(|cursor| !cursor.started) {
            if let Some(stream) = &self.queues[cursor.stream.index()].stream {
                let offset = stream.locate(start);
                cursor.start(offset);
                started.push((cursor.stream, offset));
            }
        }
        for (queue, offset) in started {
            self.propose_advance(group, queue, offset);
        }
        self.commit(out);
    }

    fn touch_group(&mut self, group: GroupId) {
        for at in 0..self.streams.groups[group.index()].cursors.len() {
            let queue = self.streams.groups[group.index()].cursors[at].stream;
            self.touch(queue);
        }
    }

    /// Proposes the places of cursors that have moved on.
    pub(super) fn advance_cursors(&mut self, out: &mut Vec<Output>) {
        let mut advancing = std::mem::take(&mut self.streams.advancing);
        for (group, at) in advancing.drain(..) {
            let cursor = &mut self.streams.groups[group.index()].cursors[at];
            let queue = cursor.stream;
            if let Some(offset) = cursor.advance() {
                self.propose_advance(group, queue, offset);
                if self.streams.groups[group.index()].lock().is_some() {
                    // That made room in the window.
                    self.touch(queue);
                }
            }
        }
        self.streams.advancing = advancing;
        self.commit(out);
    }

    fn propose_advance(&mut self, group: GroupId, queue: QueueId, offset: u64) {
        let next = self.log.next();
        let state = &mut self.queues[queue.index()];
        let durable = state.durable();
        let copy = state.stream_mut().copy(offset);
        let position = if durable { next } else { LogPosition(0) };
        let command = durable.then_some(Command::Advance { copy, group });
        let effect = Effect::Advance {
            copy,
            group,
            position,
        };
        self.propose(effect, command);
    }

    /// Commits a group's place in a stream.
    pub(super) fn apply_advance(
        &mut self,
        copy: MessageCopy,
        group: GroupId,
        position: LogPosition,
        out: &mut Vec<Output>,
    ) {
        let queue = copy.queue;
        let Some(at) = self.streams.groups[group.index()].place(queue) else {
            return;
        };
        self.streams.groups[group.index()].cursors[at].position = position;
        while let Some(held) = self.streams.groups[group.index()].cursors[at].commit(copy.offset())
        {
            if held.state == State::Gone {
                continue;
            }
            let event = Event::StreamSettled {
                tag: held.tag,
                copy: MessageCopy {
                    queue,
                    serial: held.serial,
                },
                group,
                acked: held.state == State::Acked,
            };
            self.observe(event, out);
        }
        if self.queues[queue.index()].stream_mut().drops_what_is_read() {
            self.touch(queue);
        }
    }
}

/// Deliveries.
impl Broker {
    /// Delivers from a stream as long as there are records and takers.
    pub(super) fn serve_stream(&mut self, queue: QueueId, out: &mut Vec<Output>) {
        self.maintain(queue, out);
        for nth in 0.. {
            let Some(key) = self.queues[queue.index()]
                .stream_mut()
                .readers
                .get(nth)
                .copied()
            else {
                break;
            };
            self.serve_reader(queue, key, out);
        }
        for nth in 0.. {
            let Some(group) = self.queues[queue.index()]
                .stream_mut()
                .groups
                .get(nth)
                .copied()
            else {
                break;
            };
            let state = &self.streams.groups[group.index()];
            if state.lock().is_some() {
                self.serve_shared(group, out);
            } else if let (None, Some(key)) = (state.due(), state.reader(queue)) {
                while self.can_take(key) && self.serve_member(group, key, out) {}
            }
        }
    }

    fn serve_reader(&mut self, queue: QueueId, key: u32, out: &mut Vec<Output>) {
        while self.can_take(key)
            && let Some(Reader::Alone { next }) = &mut self.consumers[key].reader
            && let Some((offset, record)) = self.queues[queue.index()].stream_mut().read(*next)
        {
            *next = offset + 1;
            let copy = MessageCopy {
                queue,
                serial: record.serial,
            };
            let message = record.message.clone();
            self.deliver_record(key, copy, message, false, None, out);
        }
    }

    /// Serves the members of a shared group in turn.
    fn serve_shared(&mut self, group: GroupId, out: &mut Vec<Output>) {
        let mut nth = 0;
        while let Some(key) = self.streams.groups[group.index()].in_turn(nth) {
            if !self.can_take(key) {
                nth += 1;
            } else if self.serve_member(group, key, out) {
                nth = 0;
            } else {
                return;
            }
        }
    }

    /// Delivers one record to a member; false if there is none.
    fn serve_member(&mut self, group: GroupId, key: u32, out: &mut Vec<Output>) -> bool {
        let (number, queues) = (self.streams.next_lease, &self.queues);
        let state = &mut self.streams.groups[group.index()];
        let stream = |queue: QueueId| queues[queue.index()].stream.as_deref();
        let Some((at, offset, redelivered)) = state.take(key, number, stream) else {
            return false;
        };
        let queue = state.cursors[at].stream;
        let until = state
            .lock()
            .map_or(Time::MAX, |lock| self.timers.now + lock);
        self.streams.next_lease += 1;
        let lease = Lease {
            group,
            at,
            offset,
            member: key,
            until,
        };
        self.streams.leases.push(number, lease);
        self.watch_lock(group, until, number);
        let stream = self.queues[queue.index()].stream_mut();
        let copy = stream.copy(offset);
        let record = stream
            .get(offset)
            .expect("a record that was taken is there");
        let message = record.message.clone();
        self.deliver_record(key, copy, message, redelivered, Some((group, number)), out);
        true
    }

    fn deliver_record(
        &mut self,
        key: u32,
        copy: MessageCopy,
        message: Message,
        redelivered: bool,
        lease: Option<(GroupId, u64)>,
        out: &mut Vec<Output>,
    ) {
        let consumer = &mut self.consumers[key];
        let (id, no_ack) = (consumer.channel, consumer.no_ack);
        let connection = self
            .connections
            .get_mut(id.connection)
            .expect("a consumer's connection is open");
        let mut exhausted = connection.spend(message.size());
        let channel = connection
            .channel_mut(id.number)
            .expect("a consumer's channel is open");
        let delivery = channel.number_delivery();
        if !no_ack {
            consumer.unacked += 1;
            let unacked = Unacked {
                queue: copy.queue,
                serial: lease.map_or(0, |(_, lease)| lease),
                consumer: key,
            };
            channel.unacked.push(delivery, unacked);
            if consumer.limited {
                channel.held += 1;
                exhausted |= !channel.has_credit();
            }
        }
        let tag = message.tag;
        let response = Response::Deliver {
            consumer: consumer.id,
            delivery,
            redelivered,
            copy,
            message,
        };
        out.push(Output::Client {
            channel: id,
            response,
        });
        let group = lease.map(|(group, _)| group);
        self.observe(Event::StreamDelivered { tag, copy, group }, out);
        if exhausted {
            self.refresh_connection(id.connection);
        }
    }

    /// Settles a delivery from a stream. Without a group that is credit, and so it is when the record is no longer the member's.
    pub(super) fn settle_record(&mut self, unacked: Unacked, settlement: Settlement) {
        let Unacked {
            serial: lease,
            consumer: key,
            ..
        } = unacked;
        let consumer = &mut self.consumers[key];
        consumer.unacked -= 1;
        let (limited, channel) = (consumer.limited, consumer.channel);
        if consumer.reader.is_some() {
            self.refresh_reader(key);
        } else {
            self.forget_if_done(key);
        }
        if limited {
            self.relieve_channel(channel);
        }
        self.end_lease_of_record(lease, settlement);
    }

    fn end_lease_of_record(&mut self, lease: u64, settlement: Settlement) {
        let Some(Lease {
            group, at, offset, ..
        }) = self.streams.leases.remove(lease)
        else {
            return;
        };
        let state = &mut self.streams.groups[group.index()];
        let limit = state.delivery_limit();
        let cursor = &mut state.cursors[at];
        let queue = cursor.stream;
        match settlement {
            Settlement::Ack => cursor.settle(offset, true),
            Settlement::Reject => cursor.settle(offset, false),
            Settlement::Requeue => {
                let stream: &Stream = self.queues[queue.index()].stream_mut();
                cursor.release(stream, offset, limit);
                self.touch(queue);
            }
        }
        self.streams.advancing.push((group, at));
    }
}

/// Locks of shared groups.
impl Broker {
    /// Watches the end of a lease. The first that are over are forgotten.
    fn watch_lock(&mut self, group: GroupId, until: Time, lease: u64) {
        let state = &mut self.streams.groups[group.index()];
        if state.lock().is_none() {
            return;
        }
        while let Some((until, lease)) = state.locks.front()
            && self
                .streams
                .leases
                .get(*lease)
                .is_none_or(|lease| lease.until != *until)
        {
            state.locks.pop_front();
        }
        state.locks.push_back((until, lease));
        let first = state.locks[0].0;
        if !std::mem::replace(&mut state.locks_watched, true) {
            self.timers.watch(first, Watch::Locks(group));
        }
    }

    /// Ends the leases that are due.
    pub(super) fn locks_are_due(&mut self, group: GroupId, out: &mut Vec<Output>) {
        let now = self.timers.now;
        while let Some((until, number)) = self.streams.groups[group.index()].locks.front().copied()
        {
            let lease = self.streams.leases.get(number).copied();
            let lease = lease.filter(|lease| lease.until == until);
            if lease.is_some() && until > now {
                self.timers.watch(until, Watch::Locks(group));
                return;
            }
            let state = &mut self.streams.groups[group.index()];
            state.locks.pop_front();
            if let Some(lease) = lease {
                let queue = state.cursors[lease.at].stream;
                let copy = self.queues[queue.index()].stream_mut().copy(lease.offset);
                self.observe(Event::LeaseExpired { copy }, out);
                self.end_lease_of_record(number, Settlement::Requeue);
            }
        }
        self.streams.groups[group.index()].locks_watched = false;
    }

    pub(super) fn renew(&mut self, id: ChannelId, delivery: u64) {
        let channel = self.connections.channel_mut(id);
        if let Some(unacked) = channel.and_then(|channel| channel.unacked.get(delivery).copied()) {
            self.renew_record(unacked);
        }
    }

    /// Lets a lease begin anew.
    pub(super) fn renew_record(&mut self, unacked: Unacked) {
        let number = unacked.serial;
        let Some(lease) = self.streams.leases.get_mut(number) else {
            return;
        };
        let group = lease.group;
        if let Some(lock) = self.streams.groups[group.index()].lock() {
            let until = self.timers.now + lock;
            lease.until = until;
            self.watch_lock(group, until, number);
        }
    }
}
