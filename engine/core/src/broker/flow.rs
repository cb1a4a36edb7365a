//! Back-pressure: which connections are not read, and what waits meanwhile.
//!
//! A connection is read unless a publish of it is parked (or requests wait behind one), or its credit for publishes is used up, or an
//! alarm is on and it has published. The last two bound what comes in, no more: requests that were read before the stop are carried out.

use std::collections::VecDeque;

use super::Broker;
use super::bodies::Bodies;
use crate::config::{Durability, Limits};
use crate::id::{ChannelId, ConnectionId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Event, Output, Request, Resource, Response};

/// What the broker's limits watch; absent without limits.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    limits: Limits,
    /// Bytes free on the disk, once they are known.
    pub(super) disk_free: Option<u64>,
    /// Bytes of bodies that all queues have in memory.
    pub(super) held: u64,
    /// The most that it has been.
    pub(super) most_held: u64,
    /// Those that are not.
    pub(super) bodies: Bodies,
    memory_alarm: bool,
    disk_alarm: bool,
    /// Publishes that wait for the log to be written, or synced, up to a place.
    unwritten: VecDeque<(LogPosition, Uncommitted)>,
    unsynced: VecDeque<(LogPosition, Uncommitted)>,
}

/// Publishes that wait for the log.
#[derive(Clone, Copy, Debug)]
struct Uncommitted {
    connection: ConnectionId,
    /// Which life of the connection's number.
    birth: u64,
    publishes: u32,
}

impl Flow {
    /// `held` is what queues hold at the start.
    pub(super) fn new(limits: Limits, held: u64) -> Option<Box<Flow>> {
        (limits != Limits::default()).then(|| {
            Box::new(Flow {
                limits,
                held,
                most_held: held,
                bodies: Bodies::new(limits.bodies),
                disk_free: None,
                memory_alarm: false,
                disk_alarm: false,
                unwritten: VecDeque::new(),
                unsynced: VecDeque::new(),
            })
        })
    }

    fn alarm(&self) -> bool {
        self.memory_alarm || self.disk_alarm
    }
}

impl Broker {
    /// Reads from a connection again, or stops, as its state asks.
    pub(super) fn update_reading(&mut self, id: ConnectionId, out: &mut Vec<Output>) {
        let alarm = self.flow.as_ref().is_some_and(|flow| flow.alarm());
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let on = connection.parked.is_none()
            && connection.backlog.is_empty()
            && !connection.throttled
            && !(alarm && connection.published);
        if connection.reading != on {
            connection.reading = on;
            out.push(Output::Reading { connection: id, on });
            self.refresh_connection(id);
        }
    }
}

/// Credit for publishes.
impl Broker {
    /// Counts publishes that were accepted when the next place in the log was `before`: if an entry came of them, they wait for it, as long
    /// as their `targets` ask.
    pub(super) fn spend_credit(
        &mut self,
        id: ConnectionId,
        publishes: u32,
        before: LogPosition,
        targets: &[QueueId],
        out: &mut Vec<Output>,
    ) {
        let position = before;
        let Some(flow) = &mut self.flow else { return };
        let Some(limit) = flow.limits.publish_credit else {
            return;
        };
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if self.log.next() == position {
            return;
        }
        let uncommitted = Uncommitted {
            connection: id,
            birth: connection.birth,
            publishes,
        };
        let fsync =
            |queue: &QueueId| self.queues[queue.index()].config.durability == Durability::Fsync;
        match targets.iter().any(fsync) {
            true => flow.unsynced.push_back((position, uncommitted)),
            false => flow.unwritten.push_back((position, uncommitted)),
        }
        connection.uncommitted += publishes;
        if connection.uncommitted >= limit {
            connection.throttled = true;
            self.update_reading(id, out);
        }
    }

    /// The log has got on: connections with at most half of their credit in use are read again.
    pub(super) fn restore_credit(&mut self, out: &mut Vec<Output>) {
        while let Some(flow) = &mut self.flow {
            let (written, synced) = self.log.reached();
            let Some((_, done)) = flow
                .unwritten
                .pop_front_if(|(position, _)| *position <= written)
                .or_else(|| {
                    flow.unsynced
                        .pop_front_if(|(position, _)| *position <= synced)
                })
            else {
                return;
            };
            let half = flow.limits.publish_credit.unwrap_or(0) / 2;
            let connection = self.connections.get_mut(done.connection);
            if let Some(connection) = connection.filter(|open| open.birth == done.birth) {
                connection.uncommitted -= done.publishes;
                if connection.throttled && connection.uncommitted <= half {
                    connection.throttled = false;
                    self.update_reading(done.connection, out);
                }
            }
        }
    }
}

/// Alarms.
impl Broker {
    /// Whether the disk alarm is on.
    #[inline]
    pub(super) fn disk_is_short(&self) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.disk_alarm)
    }

    /// A queue that held so many bytes has taken messages, or let go of some.
    #[inline]
    pub(super) fn weigh(&mut self, queue: QueueId, before: u64) {
        if let Some(flow) = &mut self.flow {
            flow.held = flow.held + self.queues[queue.index()].held_bytes - before;
            flow.most_held = flow.most_held.max(flow.held);
        }
    }

    /// Takes a message out of its queue for good; the result is its tag, and whether it is in the log. `None` if the queue was deleted
    /// meanwhile.
    #[inline]
    pub(super) fn take_out(&mut self, copy: MessageCopy) -> Option<(u64, bool)> {
        let queue = &mut self.queues[copy.queue.index()];
        let before = queue.held_bytes;
        let removed = queue.remove(copy.serial);
        self.weigh(copy.queue, before);
        removed
    }

    /// Notes that a connection publishes: it is told of an alarm.
    pub(super) fn note_publisher(&mut self, id: ConnectionId, out: &mut Vec<Output>) {
        let alarm = self.flow.as_ref().is_some_and(|flow| flow.alarm());
        if let Some(connection) = self.connections.get_mut(id)
            && !std::mem::replace(&mut connection.published, true)
            && alarm
        {
            self.tell_alarm(id, true, out);
        }
    }

    /// Raises or ends alarms, as resources are.
    #[inline(never)]
    pub(super) fn check_alarms(&mut self, out: &mut Vec<Output>) {
        let Some(flow) = &mut self.flow else { return };
        let before = flow.alarm();
        let (memory_was, disk_was) = (flow.memory_alarm, flow.disk_alarm);
        debug_assert_eq!(
            flow.held,
            self.queues.iter().map(|queue| queue.held_bytes).sum()
        );
        flow.memory_alarm = flow.limits.memory.is_some_and(|limit| flow.held >= limit);
        let least = flow.limits.disk_free.unwrap_or(0);
        flow.disk_alarm = flow.disk_free.is_some_and(|free| free < least);
        let (memory, disk, after) = (flow.memory_alarm, flow.disk_alarm, flow.alarm());
        for (resource, was, on) in [
            (Resource::Memory, memory_was, memory),
            (Resource::Disk, disk_was, disk),
        ] {
            if was != on {
                self.observe(Event::Alarm { resource, on }, out);
            }
        }
        if before != after {
            for id in self.connections.publishers() {
                self.tell_alarm(id, after, out);
            }
            self.serve_touched(out);
        }
    }

    fn tell_alarm(&mut self, id: ConnectionId, on: bool, out: &mut Vec<Output>) {
        let response = if on {
            Response::Blocked
        } else {
            Response::Unblocked
        };
        let channel = ChannelId {
            connection: id,
            number: 0,
        };
        out.push(Output::Client { channel, response });
        self.update_reading(id, out);
    }
}

/// Parked publishes.
impl Broker {
    /// Makes a connection wait for room in a queue; its requests pile up behind the publish.
    #[inline(never)]
    pub(super) fn park(
        &mut self,
        id: ChannelId,
        queue: QueueId,
        request: Request,
        (count, bytes, tag): (u64, u64, u64),
        out: &mut Vec<Output>,
    ) {
        self.observe(Event::Parked { tag, queue }, out);
        let Some(connection) = self.connections.get_mut(id.connection) else {
            return;
        };
        connection.parked = Some(queue);
        connection.demand = (count, bytes);
        connection.backlog.push_front((id.number, request));
        self.queues[queue.index()].parked.push_back(id.connection);
        self.update_reading(id.connection, out);
    }

    /// Lets parked publishes in while there is room, one of each connection in turn.
    pub(super) fn resume_parked(&mut self, queue: QueueId, out: &mut Vec<Output>) {
        while let Some(id) = self.queues[queue.index()].parked.front().copied() {
            if !self.catch_up(out) {
                return self.touch(queue);
            }
            let connection = self
                .connections
                .get_mut(id)
                .expect("a parked connection is open");
            let (count, bytes) = connection.demand;
            let state = &self.queues[queue.index()];
            if state.exists && !state.has_room_for(count, bytes) {
                return;
            }
            self.queues[queue.index()].parked.pop_front();
            self.unpark(id, queue, out);
        }
    }

    /// Goes on with the requests of a parked connection, until one of them parks it again.
    fn unpark(&mut self, id: ConnectionId, queue: QueueId, out: &mut Vec<Output>) {
        let mut resumed = Some(queue);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.parked = None;
        }
        while let Some(connection) = self.connections.get_mut(id)
            && connection.parked.is_none()
        {
            if let Some((number, request)) = connection.backlog.pop_front() {
                self.request_later(
                    ChannelId {
                        connection: id,
                        number,
                    },
                    request,
                    resumed.take(),
                    out,
                );
            } else {
                return self.update_reading(id, out);
            }
        }
    }
}
