//! Who reads streams, and what they get.

use super::Broker;
use super::consume::Settlement;
use super::leases::Lease;
use crate::channel::{Consumer, Reader, Unacked};
use crate::id::{ChannelId, GroupId, MessageCopy, QueueId};
use crate::interface::{Consume, Event, Output, Response};
use crate::message::Message;
use crate::time::Time;

/// Readers.
impl Broker {
    /// Registers a consumer of a stream, for itself.
    pub(super) fn read_stream(&mut self, id: ChannelId, request: &Consume, out: &mut Vec<Output>) {
        let stream = self.queues[request.queue.index()].stream_mut();
        let reader = Reader::Alone {
            next: stream.locate(request.from),
            selector: request.selector.clone(),
        };
        let key = self.add_reader(id, request, reader, out);
        let stream = self.queues[request.queue.index()].stream_mut();
        stream.readers.push(key);
        self.touch(request.queue);
    }

    /// Registers a reader; the result is its key.
    pub(super) fn add_reader(
        &mut self,
        id: ChannelId,
        request: &Consume,
        reader: Reader,
        out: &mut Vec<Output>,
    ) -> u32 {
        let Consume {
            queue,
            consumer,
            prefetch,
            no_ack,
            ..
        } = *request;
        let channel = self.connections.channel_mut(id);
        let limited = !no_ack && channel.is_some_and(|channel| channel.limit > 0);
        let key = self.consumers.insert(Consumer {
            id: consumer,
            channel: id,
            queue,
            seat: None,
            prefetch: if no_ack { 0 } else { prefetch },
            no_ack,
            limited,
            unacked: 0,
            reader: Some(reader),
        });
        if let Some(channel) = self.connections.channel_mut(id) {
            channel.consumers.push(key);
        }
        let response = Response::Consuming { consumer };
        out.push(Output::Client {
            channel: id,
            response,
        });
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
/// Deliveries.
impl Broker {
    /// Delivers from a stream as long as there are records and takers.
    #[inline(never)]
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

    pub(super) fn serve_reader(&mut self, queue: QueueId, key: u32, out: &mut Vec<Output>) {
        while self.can_take(key)
            && let Some(Reader::Alone { next, selector }) = &mut self.consumers[key].reader
            && let Some((offset, record)) = self.queues[queue.index()].stream_mut().read(*next)
        {
            *next = offset + 1;
            if selector
                .as_ref()
                .is_some_and(|selector| !selector.matches(&record.message))
            {
                continue;
            }
            let copy = MessageCopy {
                queue,
                serial: record.serial,
            };
            let message = record.message.clone();
            self.deliver_record(key, copy, message, false, None, out);
        }
    }

    /// Serves the members of a shared group in turn.
    pub(super) fn serve_shared(&mut self, group: GroupId, out: &mut Vec<Output>) {
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
    pub(super) fn serve_member(&mut self, group: GroupId, key: u32, out: &mut Vec<Output>) -> bool {
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

    pub(super) fn deliver_record(
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
}
