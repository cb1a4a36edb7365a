//! Queues that come and go.

use super::Broker;
use super::commit::Effect;
use super::dead_letter::Departure;
use crate::id::{ChannelId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Event, Output, Removal, Response};
use crate::queue::State;

impl Broker {
    /// True if there is such a queue; the channel fails otherwise.
    pub(super) fn require_queue(
        &mut self,
        id: ChannelId,
        queue: QueueId,
        out: &mut Vec<Output>,
    ) -> bool {
        let exists = self
            .queues
            .get(queue.index())
            .is_some_and(|queue| queue.exists);
        if !exists {
            self.fail_channel(id, 404, "no such queue", out);
        }
        exists
    }

    /// Makes sure that a configured queue exists.
    pub(super) fn declare(&mut self, id: ChannelId, queue: QueueId, out: &mut Vec<Output>) {
        let Some(state) = self.queues.get_mut(queue.index()) else {
            return self.fail_channel(id, 404, "no such queue", out);
        };
        if !std::mem::replace(&mut state.exists, true) {
            self.router.restore_queue(queue);
            state.deleted_at = LogPosition(0);
            if state.durable() {
                let copy = MessageCopy {
                    queue,
                    serial: state.next_serial(),
                };
                self.commit_done(Command::Declare { copy }, out);
            }
        }
        self.note_use(queue);
        self.answer_declared(id, queue, out);
    }

    /// Drops all that waits in a queue.
    pub(super) fn purge(&mut self, id: ChannelId, queue: QueueId, out: &mut Vec<Output>) {
        if !self.require_queue(id, queue, out) {
            return;
        }
        if self.queues[queue.index()].stream.is_some() {
            return self.fail_channel(id, 540, "a stream is not purged", out);
        }
        for serial in self.queues[queue.index()].waiting() {
            let copy = MessageCopy { queue, serial };
            let state = &mut self.queues[queue.index()];
            let Some(slot) = state.slot(serial) else {
                continue;
            };
            let departure = Departure::new(copy, slot, Removal::Purged);
            state.take(serial, State::Leaving);
            self.leaves(&departure, out);
            self.discard(departure, out);
        }
        self.commit(out);
        self.touch(queue);
        self.answer_declared(id, queue, out);
    }

    fn answer_declared(&mut self, channel: ChannelId, queue: QueueId, out: &mut Vec<Output>) {
        let state = &self.queues[queue.index()];
        let response = Response::Declared {
            ready: state.ready,
            consumers: state.view().consumers,
        };
        out.push(Output::Client { channel, response });
    }

    pub(super) fn delete_on_request(
        &mut self,
        id: ChannelId,
        queue: QueueId,
        out: &mut Vec<Output>,
    ) {
        if self.require_queue(id, queue, out) {
            self.delete(queue, out);
            let response = Response::Done;
            out.push(Output::Client {
                channel: id,
                response,
            });
        }
    }

    /// Deletes a queue: nobody finds it any more, its consumers are told, and its messages are gone once that is committed.
    pub(super) fn delete(&mut self, queue: QueueId, out: &mut Vec<Output>) {
        self.cancel_consumers(queue, out);
        let state = &mut self.queues[queue.index()];
        let waited = state.abandon();
        self.router.remove_queue(queue);
        for (serial, tag) in waited {
            let copy = MessageCopy { queue, serial };
            self.observe(Event::Leaving { tag, copy }, out);
        }
        let state = &mut self.queues[queue.index()];
        let copy = MessageCopy {
            queue,
            serial: state.next_serial(),
        };
        let command = state.durable().then_some(Command::Delete { copy });
        if command.is_some() {
            state.deleted_at = self.log.next();
            if let Some(stream) = &mut state.stream {
                stream.set_truncated(state.deleted_at);
                stream.truncating(copy.offset());
            }
        }
        self.commit_one(Effect::Delete { copy }, command, out);
        // Who waits for room in it waits for nothing.
        self.touch(queue);
    }

    /// Commits a deletion.
    pub(super) fn finish_delete(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let queue = copy.queue;
        if self.queues[queue.index()].stream.is_some() {
            self.retire_before(copy, Removal::Purged, out);
        }
        let before = self.queues[queue.index()].held_bytes;
        let cleared = self.queues[queue.index()].clear_before(copy.serial);
        self.weigh(queue, before);
        for (serial, tag) in cleared {
            let copy = MessageCopy { queue, serial };
            let reason = Removal::Purged;
            self.observe(Event::Removed { tag, copy, reason }, out);
        }
        self.observe(Event::QueueDeleted { queue }, out);
    }
}
