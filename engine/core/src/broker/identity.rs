//! Messages that tell who they are: repetitions are confirmed without effect.

use super::Broker;
use super::commit::{Effect, Origin};
use super::publish::Arrival;
use crate::config::Durability;
use crate::id::{ChannelId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Event, Output};
use crate::message::{Message, Properties};
use crate::producers::{self, Verdict};
use crate::seen::Undo;

impl Message {
    /// What queues may know it again by.
    #[inline]
    pub(super) fn identity(&self) -> Option<&Properties> {
        let properties = self.properties.as_deref()?;
        (properties.id.is_some() || properties.producer.is_some()).then_some(properties)
    }
}

impl Broker {
    /// Takes the queues that have seen a message out of its targets. An error, with the first target, says that it is out of order.
    pub(super) fn split_seen(
        &mut self,
        properties: &Properties,
        targets: &mut Vec<QueueId>,
    ) -> Result<Vec<QueueId>, Option<QueueId>> {
        let (restarted, now) = (self.incarnation > 0, self.timers.now);
        let judge = |place| self.producers.judge(place, restarted, now);
        match properties.producer.map_or(Verdict::New, judge) {
            Verdict::New => {}
            Verdict::OutOfOrder => return Err(targets.first().copied()),
            Verdict::Repeated(slowest) => {
                // Where it goes today is not always where it went.
                let answers = self.slowest_of(targets).map(|(how, _)| how);
                let slowest = slowest.filter(|(how, _)| Some(*how) > answers);
                targets.extend(slowest.map(|(_, queue)| queue));
                return Ok(std::mem::take(targets));
            }
        }
        let mut seen = Vec::new();
        for target in targets.iter() {
            let queue = &mut self.queues[target.index()];
            if let Some(window) = &queue.config.policy.deduplicate {
                let memory = queue.seen.get_or_insert_default();
                if memory.knows(window, properties, now) {
                    seen.push(*target);
                }
            }
        }
        targets.retain(|target| !seen.contains(target));
        Ok(seen)
    }

    /// The first of the most durable of some queues, if one of them waits for the disk at all.
    fn slowest_of(&self, queues: &[QueueId]) -> Option<(Durability, QueueId)> {
        let durability = |queue: &QueueId| self.queues[queue.index()].config.durability;
        let durable = queues.iter().map(|queue| (durability(queue), *queue));
        let durable = durable.filter(|(how, _)| *how > Durability::None);
        durable.rev().max_by_key(|(how, _)| *how)
    }

    /// Notes that a message was taken, by these queues.
    pub(super) fn remember_producer(
        &mut self,
        properties: &Properties,
        queues: &[QueueId],
    ) -> Option<producers::Undo> {
        let place = properties.producer?;
        let slowest = self.slowest_of(queues);
        Some(self.producers.remember(place, slowest, self.timers.now))
    }

    /// Notes that a queue takes a message; nothing if it has no window to know it by.
    pub(super) fn remember(&mut self, queue: QueueId, properties: &Properties) -> Option<Undo> {
        let queue = &mut self.queues[queue.index()];
        let window = queue.config.policy.deduplicate.as_ref()?;
        let memory = queue.seen.get_or_insert_default();
        Some(memory.remember(window, properties, self.log.next(), self.timers.now))
    }

    /// The log's first place that a restart needs to know messages again: as long as their window is open, whatever became of them.
    pub(super) fn oldest_identity(&mut self) -> Option<LogPosition> {
        let now = self.timers.now;
        let durable = self.queues.iter_mut().filter(|queue| queue.durable());
        let oldest = durable.filter_map(|queue| {
            let window = queue.config.policy.deduplicate.as_ref()?;
            queue.seen.as_mut()?.oldest_position(window, now)
        });
        oldest.min()
    }

    /// How many identities the log is needed for.
    pub(super) fn identities(&self) -> u64 {
        let durable = self.queues.iter().filter(|queue| queue.durable());
        let memories = durable.filter_map(|queue| queue.seen.as_ref());
        memories.map(|memory| memory.identities()).sum()
    }

    /// Accepts a publish that some of its targets have seen. It is confirmed once they have committed what they saw.
    pub(super) fn accept_repeated(
        &mut self,
        id: ChannelId,
        message: Message,
        targets: &mut [QueueId],
        seen: &[QueueId],
        out: &mut Vec<Output>,
    ) {
        let (tag, copies) = (message.tag, targets.len() as u32);
        let before = self.log.next();
        let origin = self.begin_publish(id, copies + seen.len() as u32);
        if copies > 0 {
            self.observe(Event::Routed { tag, copies }, out);
        }
        for queue in seen.iter().copied() {
            self.observe(Event::Deduplicated { tag, queue }, out);
        }
        if copies > 0 {
            let arrival = Arrival {
                message,
                origin,
                from: None,
                hops: 0,
            };
            self.place_all(targets, arrival, out);
            self.commit(out);
        }
        self.repeat(seen, origin, out);
        if self.flow.is_some() {
            self.spend_credit(id.connection, 1, before, targets, out);
        }
    }

    /// Answers for queues that have seen a message, in turn with what they have not committed.
    pub(super) fn repeat(&mut self, seen: &[QueueId], origin: Origin, out: &mut Vec<Output>) {
        for queue in seen.iter().copied() {
            let copy = MessageCopy { queue, serial: 0 };
            self.commit_one(Effect::Repeat { copy, origin }, None, out);
        }
    }
}
