//! Messages that clients fetch, and how many they may hold in all.

use super::Broker;
use crate::channel::Consumer;
use crate::id::{ChannelId, ConsumerId, MessageCopy, QueueId};
use crate::interface::{Output, Response};

/// Somebody asks for a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Get {
    id: ChannelId,
    /// The channel's life.
    epoch: u32,
    queue: QueueId,
    no_ack: bool,
}

impl Broker {
    /// Hands the next message of a queue to who asks, once all that is due is done: what has expired is not handed out.
    pub(super) fn get(
        &mut self,
        id: ChannelId,
        queue: QueueId,
        no_ack: bool,
        out: &mut Vec<Output>,
    ) {
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        let get = Get {
            id,
            epoch: channel.epoch,
            queue,
            no_ack,
        };
        let waits = !self.gets.is_empty() || !self.catch_up(out);
        if waits || !self.hand_out(get, out) {
            self.gets.push_back(get);
        }
    }

    /// All that is due is done: who has asked meanwhile gets his answer.
    pub(super) fn answer_gets(&mut self, out: &mut Vec<Output>) {
        while let Some(get) = self.gets.pop_front() {
            let channel = self.connections.channel_mut(get.id);
            let open = channel.is_some_and(|channel| channel.epoch == get.epoch);
            if open && !self.hand_out(get, out) {
                return self.gets.push_front(get);
            }
        }
    }

    /// A get is a consumer that has ended already: prefetch does not count, and what it holds is settled as usual. False if the message's
    /// body has to be read first.
    fn hand_out(&mut self, get: Get, out: &mut Vec<Output>) -> bool {
        let Get {
            id, queue, no_ack, ..
        } = get;
        if !self.require_queue(id, queue, out) {
            return true;
        }
        if self.queues[queue.index()].stream.is_some() {
            self.fail_channel(id, 540, "a stream has no next message", out);
            return true;
        }
        self.note_use(queue);
        // What belongs to a consumer is not for others.
        let Some(first) = self.queues[queue.index()].first_free() else {
            out.push(Output::Client {
                channel: id,
                response: Response::Empty,
            });
            return true;
        };
        let copy = MessageCopy {
            queue,
            serial: first,
        };
        if self.queues[queue.index()].bodies.absent > 0 && !self.body_is_here(copy, out) {
            return false;
        }
        let key = self.consumers.insert(Consumer {
            id: ConsumerId::GET,
            channel: id,
            queue,
            seat: None,
            prefetch: 0,
            no_ack,
            limited: false,
            unacked: 0,
            reader: None,
        });
        let chosen = self.queues[queue.index()].lanes.is_some().then_some(first);
        self.deliver_to(queue, key, chosen, out);
        self.forget_if_done(key);
        self.touch(queue);
        true
    }

    /// Bounds what the consumers of a channel hold together.
    pub(super) fn limit_channel(&mut self, id: ChannelId, limit: u32, out: &mut Vec<Output>) {
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        let mut held = 0;
        for (_, unacked) in channel.unacked.iter() {
            let consumer = &mut self.consumers[unacked.consumer];
            if consumer.id != ConsumerId::GET {
                consumer.limited = limit > 0;
                held += 1;
            }
        }
        for key in &channel.consumers {
            let consumer = &mut self.consumers[*key];
            consumer.limited = limit > 0 && !consumer.no_ack;
        }
        (channel.limit, channel.held) = (limit, held);
        out.push(Output::Client {
            channel: id,
            response: Response::Done,
        });
        self.refresh_connection(id.connection);
    }

    /// One delivery to a limited consumer is settled.
    pub(super) fn relieve_channel(&mut self, id: ChannelId) {
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        let was_full = !channel.has_credit();
        channel.held -= 1;
        if was_full {
            self.refresh_connection(id.connection);
        }
    }
}
