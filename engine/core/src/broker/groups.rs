//! Groups that read streams: members, assignments, and how far they are.

use super::Broker;
use super::commit::Effect;
use super::timers::Watch;
use crate::channel::Reader;
use crate::group::State;
use crate::id::{ChannelId, ConsumerId, GroupId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Consume, Event, GroupView, Output, Response};

/// Membership.
impl Broker {
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
        if consumer == ConsumerId::GET {
            return self.fail_channel(id, 530, "the consumer's name is reserved", out);
        }
        if self.find_consumer(id, consumer).is_some() {
            return self.fail_channel(id, 530, "the consumer exists already", out);
        }
        let request = Consume {
            prefetch,
            ..Consume::new(queue, consumer)
        };
        let key = self.add_reader(id, &request, Reader::Member(group), out);
        let name = [id.connection.0, u32::from(id.number), consumer.0];
        let name: Box<[u8]> = name.iter().flat_map(|part| part.to_be_bytes()).collect();
        self.streams.groups[group.index()].join(key, name);
        self.regroup(group, Some(key), out);
    }

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
    pub(super) fn regroup(&mut self, group: GroupId, joined: Option<u32>, out: &mut Vec<Output>) {
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

    pub(super) fn rebalance(&mut self, group: GroupId, out: &mut Vec<Output>) {
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

    pub(super) fn tell_assignment(&self, group: GroupId, key: u32, out: &mut Vec<Output>) {
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
    pub(super) fn revoke(&mut self, group: GroupId, at: usize) {
        let cursor = &mut self.streams.groups[group.index()].cursors[at];
        for lease in cursor.leases() {
            self.streams.leases.remove(lease);
        }
        cursor.rewind();
    }

    /// Gives a group its place in streams that it reads for the first time.
    pub(super) fn start_cursors(&mut self, group: GroupId, out: &mut Vec<Output>) {
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

    pub(super) fn touch_group(&mut self, group: GroupId) {
        for at in 0..self.streams.groups[group.index()].cursors.len() {
            let queue = self.streams.groups[group.index()].cursors[at].stream;
            self.touch(queue);
        }
    }

    /// Proposes the places of cursors that have moved on.
    #[inline(never)]
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

    pub(super) fn propose_advance(&mut self, group: GroupId, queue: QueueId, offset: u64) {
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
