//! What the broker says it did: into journeys, metrics and checkers.

use queuelab_core::{Event as BrokerEvent, GroupId, MessageCopy, QueueId, Removal, Resource, Time};
use queuelab_record::AlarmRecord;

use crate::check::Tag;
use crate::journey::{Journey, NOBODY, State};
use crate::network::{Delivered, Stamps};
use crate::node::Publishing;
use crate::world::World;

impl World {
    /// A copy leaves the ready state for a consumer. True if its queue holds it.
    #[inline]
    pub fn dispatched(&mut self, now: Time, connection: u32, delivered: &Delivered) -> bool {
        let Delivered {
            copy,
            redelivered,
            size,
            channel,
            delivery,
            ..
        } = *delivered;
        self.touch(copy.queue);
        let phase = self.metrics.phase;
        let queue = &mut self.metrics.queues[copy.queue.index()];
        queue.count(phase, |counts| {
            counts.delivered += 1;
            counts.redelivered += u64::from(redelivered);
        });
        if self.journeys.is_stream(copy.queue.index()) {
            if let Some(journey) = self.journeys.get_mut(copy) {
                journey.size = size;
                journey.holder = connection;
                journey.delivery = (channel, delivery);
            }
            self.check.read(now, copy.queue, connection);
            self.record_dispatched(connection, copy);
            return true;
        }
        let mut held = false;
        if let Some(journey) = self.journeys.get_mut(copy) {
            held = matches!(
                journey.state,
                State::Ready | State::Delayed | State::InFlight
            );
            self.check.dispatched(now, copy, journey);
            self.check.flagged(now, copy, journey, redelivered);
            self.check.in_turn(now, Tag(journey.tag), copy);
            journey.acked = false;
            if !queue.priorities.is_empty() {
                let level = queue.level_of(journey.priority);
                queue.priorities[level].delivered += 1;
                if journey.state == State::Ready {
                    queue.count_priority(journey.priority, false);
                }
                let higher = &queue.priorities[level + 1..];
                let passed_over = higher.iter().any(|higher| higher.ready > 0);
                self.check.by_priority(now, copy, passed_over);
            }
            if journey.state != State::Removed {
                journey.state = State::InFlight;
            }
            queue.came_back -= u64::from(std::mem::take(&mut journey.came_back));
            journey.dispatched = now;
            journey.attempts += 1;
            journey.size = size;
            journey.holder = connection;
            journey.delivery = (channel, delivery);
            queue.aged(phase, now - journey.committed);
        }
        held
    }

    /// A member of a group has been told what it reads.
    pub fn assigned(&mut self, now: Time, connection: u32, generation: u32, streams: &[QueueId]) {
        let consumer = connection - self.producers.len() as u32;
        let slot = &self.consumers[consumer as usize];
        if let Some(group) = self.scenario.consumers[slot.group as usize].group {
            self.check
                .assigned(now, group, connection, generation, streams);
        }
    }

    /// Takes note of what happened outside of the broker.
    pub fn observe(&mut self, now: Time, event: &BrokerEvent) {
        self.observed(now, event);
    }

    /// Takes note of what the broker did.
    // Always inlined, into the loop that calls it several times for each message above all.
    #[inline(always)]
    pub fn observed(&mut self, now: Time, event: &BrokerEvent) {
        self.tell_event(event);
        match *event {
            BrokerEvent::Routed { tag, copies } => {
                self.answered(now, tag);
                self.check.routed(Tag(tag), copies);
                self.taken(tag, copies);
                if copies == 0 {
                    if let Some(slot) = self.producers.get(Tag(tag).producer()) {
                        let group = slot.group as usize;
                        self.metrics.producers[group].outcomes.unroutable += 1;
                    }
                    self.consumed(tag);
                }
            }
            BrokerEvent::Refused { tag, queue } => {
                self.answered(now, tag);
                let stamps = self.stamps_of(now, tag);
                self.check.refused(Tag(tag), queue.index());
                self.not_taken(tag);
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
                let queue = &mut self.metrics.queues[copy.queue.index()];
                queue.count(phase, |counts| counts.enqueued += 1);
                self.metrics.littles.enter(now);
                if let Some(journey) = self.journeys.get_mut(copy) {
                    journey.state = State::Ready;
                    journey.synced = now;
                    journey.committed = now;
                    journey.ready = now;
                    if !queue.priorities.is_empty() {
                        let level = queue.level_of(journey.priority);
                        queue.priorities[level].enqueued += 1;
                        queue.priorities[level].ready += 1;
                    }
                }
            }
            BrokerEvent::Returned {
                copy, deliveries, ..
            } => {
                self.touch(copy.queue);
                self.check.returned(now, copy, deliveries);
                self.check.came_back(copy);
                if let Some(journey) = self.journeys.get_mut(copy) {
                    self.check.counted(now, copy, journey, deliveries);
                    journey.in_vain = deliveries;
                    journey.state = State::Ready;
                    journey.ready = now;
                    journey.holder = NOBODY;
                    journey.came_back = true;
                    let queue = &mut self.metrics.queues[copy.queue.index()];
                    queue.came_back += 1;
                    queue.count_priority(journey.priority, true);
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
                    if journey.state == State::Delayed {
                        // If it still is, the broker says so next.
                        let delayed = &mut self.metrics.queues[copy.queue.index()].delayed;
                        delayed.set(now, self.metrics.phase, delayed.value - 1);
                    }
                    journey.state = State::Ready;
                    journey.ready = now;
                    journey.holder = NOBODY;
                    journey.came_back = true;
                    let queue = &mut self.metrics.queues[copy.queue.index()];
                    queue.came_back += 1;
                    queue.count_priority(journey.priority, true);
                }
            }
            _ => self.observe_rare(now, *event),
        }
        self.active_at = now;
    }

    /// What most queues never do.
    #[inline(never)]
    fn observe_rare(&mut self, now: Time, event: BrokerEvent) {
        let phase = self.metrics.phase;
        match event {
            BrokerEvent::Delayed { copy, .. } => {
                self.touch(copy.queue);
                self.check.no_longer_back(copy);
                let queue = &mut self.metrics.queues[copy.queue.index()];
                if let Some(journey) = self.journeys.get_mut(copy)
                    && journey.state == State::Ready
                {
                    journey.state = State::Delayed;
                    queue.came_back -= u64::from(journey.came_back);
                    queue.count_priority(journey.priority, false);
                    queue.delayed.set(now, phase, queue.delayed.value + 1);
                }
            }
            BrokerEvent::Due { copy, .. } => {
                self.touch(copy.queue);
                let queue = &mut self.metrics.queues[copy.queue.index()];
                if let Some(journey) = self.journeys.get_mut(copy)
                    && journey.state == State::Delayed
                {
                    journey.state = State::Ready;
                    journey.ready = now;
                    queue.came_back += u64::from(journey.came_back);
                    queue.count_priority(journey.priority, true);
                    queue.delayed.set(now, phase, queue.delayed.value - 1);
                }
            }
            BrokerEvent::Leaving { copy, .. } => self.leaves(now, copy),
            BrokerEvent::Stalled { copy, .. } => {
                self.touch(copy.queue);
                if let Some(journey) = self.journeys.get_mut(copy)
                    && journey.state != State::Stalled
                {
                    journey.state = State::Stalled;
                    self.metrics.queues[copy.queue.index()].stalled += 1;
                }
            }
            BrokerEvent::LeaseExpired { copy } => {
                self.metrics.queues[copy.queue.index()].lease_expired += 1;
                self.lease_expired(copy);
            }
            BrokerEvent::Deduplicated { tag, queue } => {
                self.answered(now, tag);
                self.metrics.queues[queue.index()].deduplicated += 1;
                self.check.deduplicated(Tag(tag));
                self.not_taken(tag);
                self.consumed(tag);
            }
            BrokerEvent::StreamDelivered { group, copy, .. } => {
                self.touch(copy.queue);
                if let Some(GroupId(group)) = group {
                    self.metrics.groups[group as usize].delivered += 1;
                }
            }
            BrokerEvent::StreamSettled {
                group, copy, acked, ..
            } => {
                self.touch(copy.queue);
                let group = &mut self.metrics.groups[group.index()];
                group.settled += u64::from(acked);
                group.archived += u64::from(!acked);
                let queue = &mut self.metrics.queues[copy.queue.index()];
                queue.count(phase, |counts| counts.acked += u64::from(acked));
            }
            BrokerEvent::Rebalanced { group, members, .. } => {
                let group = &mut self.metrics.groups[group.index()];
                group.rebalances += 1;
                group.members = members;
            }
            BrokerEvent::QueueDeleted { queue } => self.check.deleted(now, queue.index()),
            BrokerEvent::Alarm { resource, on } => self.alarm(now, resource, on),
            // What they are about is told by other events.
            _ => {}
        }
    }

    /// A copy that waited waits no longer.
    fn leaves(&mut self, now: Time, copy: MessageCopy) {
        self.touch(copy.queue);
        self.check.no_longer_back(copy);
        let phase = self.metrics.phase;
        let queue = &mut self.metrics.queues[copy.queue.index()];
        let Some(journey) = self.journeys.get_mut(copy) else {
            return;
        };
        match journey.state {
            State::Ready => {
                queue.came_back -= u64::from(std::mem::take(&mut journey.came_back));
                queue.aged(phase, now - journey.committed);
                queue.count_priority(journey.priority, false);
            }
            State::Delayed => queue.delayed.set(now, phase, queue.delayed.value - 1),
            State::Stalled => queue.stalled -= 1,
            State::Proposed | State::InFlight | State::Leaving | State::Removed => {}
        }
        journey.state = State::Leaving;
    }

    /// A consumer's delivery is void: its queue does not count it any more.
    fn lease_expired(&mut self, copy: MessageCopy) {
        let Some(journey) = self.journeys.get_mut(copy) else {
            return;
        };
        // The delivery may still be on its way.
        let (channel, delivery) = std::mem::take(&mut journey.delivery);
        let consumer = journey.holder.checked_sub(self.producers.len() as u32);
        let slot = consumer.and_then(|consumer| self.consumers.get(consumer as usize));
        if let Some(slot) = slot.filter(|_| channel > 0) {
            let at = slot.subscriptions + u32::from(channel) - 1;
            self.check.settled(at as usize, delivery, false, |_| {});
        }
    }

    fn alarm(&mut self, now: Time, resource: Resource, on: bool) {
        let resource = match resource {
            Resource::Memory => "memory",
            Resource::Disk => "disk",
        };
        let is_on =
            |alarm: &&mut AlarmRecord| alarm.resource == resource && alarm.until == Time::MAX;
        let open = self.alarms.iter_mut().find(is_on);
        match (open, on) {
            (Some(alarm), false) => alarm.until = now,
            (None, true) => self.alarms.push(AlarmRecord {
                resource: resource.into(),
                node: "n1".into(),
                from: now,
                until: Time::MAX,
            }),
            _ => return,
        }
        let word = if on { "begins" } else { "is over" };
        self.say(format!("{resource} alarm {word}"));
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
        } else {
            self.answered_late(now, tag);
        }
    }

    #[inline(never)]
    fn answered_late(&mut self, now: Time, tag: u64) {
        if let Some((publishing, since)) = self.parked.remove(&tag) {
            // A publish that is being handled now and is not answered yet stays behind the parked ones.
            self.park_current(now);
            // Back-pressure is the producer's wait: what came after it moves by as much.
            let waited = now - since;
            let stamps = Stamps {
                sent: publishing.stamps.sent + waited,
                received: publishing.stamps.received + waited,
                ..publishing.stamps
            };
            self.node.publishing = Some(Publishing {
                stamps,
                answered: true,
                ..publishing
            });
        }
    }

    #[inline]
    pub fn park_current(&mut self, now: Time) {
        if let Some(current) = self.node.publishing.take()
            && !current.answered
        {
            self.park(current, now);
        }
    }

    #[cold]
    fn park(&mut self, current: Publishing, now: Time) {
        self.parked.insert(current.tag, (current, now));
    }

    #[inline]
    fn proposed(&mut self, now: Time, tag: u64, copy: MessageCopy, from: Option<MessageCopy>) {
        self.check.begun(Tag(tag), from.is_some());
        if from.is_none() {
            self.check.routed_to(now, Tag(tag), copy);
        }
        let source = from.and_then(|from| self.journeys.get(from));
        let journey = match source {
            Some(source) => source.moved(now),
            None => {
                let stamps = self.stamps_of(now, tag);
                let intended = self.origin(tag, stamps.intended).intended;
                let phase = self.metrics.phase_of(intended);
                Journey {
                    priority: self.priority_of(tag),
                    ..Journey::new(now, tag, phase as u32, stamps)
                }
            }
        };
        self.copy_begins(tag, journey.stamps.intended, from.is_some());
        let queue = &mut self.metrics.queues[copy.queue.index()];
        queue.begun += 1;
        queue.phases[journey.phase as usize].offered += 1;
        self.journeys.begin(copy, journey);
    }

    /// The priority of the publish in the broker's hands.
    #[inline]
    fn priority_of(&self, tag: u64) -> u8 {
        match self.node.publishing {
            Some(publishing) if publishing.tag == tag => publishing.priority,
            _ => 0,
        }
    }

    #[inline]
    fn removed(&mut self, now: Time, tag: u64, copy: MessageCopy, reason: Removal) {
        self.touch(copy.queue);
        let phase = self.metrics.phase;
        let queue = &mut self.metrics.queues[copy.queue.index()];
        match reason {
            Removal::Acked => queue.count(phase, |counts| counts.acked += 1),
            Removal::DeadLettered(death) => queue.deaths[death as usize] += 1,
            Removal::Dropped => queue.dropped += 1,
            Removal::Rejected => queue.rejected += 1,
            Removal::Expired => queue.expired += 1,
            Removal::Exhausted => queue.exhausted += 1,
            Removal::Purged => queue.purged += 1,
            Removal::Retired => queue.retired += 1,
        }
        self.check.ended(Tag(tag));
        self.check.no_longer_back(copy);
        let Some(journey) = self.journeys.get_mut(copy) else {
            if let Removal::DeadLettered(_) = reason {
                self.check.dead_lettered(now, copy, false);
            }
            return;
        };
        if let Removal::DeadLettered(_) = reason {
            let there = journey.state != State::Removed;
            self.check.dead_lettered(now, copy, there);
        }
        if journey.state != State::Proposed {
            self.metrics.littles.leave(now, journey.committed);
        }
        if journey.state == State::Ready {
            // A stream keeps it no longer.
            queue.came_back -= u64::from(std::mem::take(&mut journey.came_back));
            queue.aged(phase, now - journey.committed);
            queue.count_priority(journey.priority, false);
        }
        let acks_by_itself = |holder: u32| {
            let consumer = holder.checked_sub(self.producers.len() as u32);
            consumer
                .and_then(|consumer| self.consumers.get(consumer as usize))
                .is_some_and(|slot| self.groups[slot.group as usize].auto_ack)
        };
        if reason == Removal::Acked {
            let automatic = acks_by_itself(journey.holder);
            self.check.acked(now, copy, journey, automatic);
        }
        // A service comes after the acknowledgement if that is automatic; a copy that a crash brought back has one more.
        let being_served =
            reason == Removal::Acked && (!journey.served || acks_by_itself(journey.holder));
        if being_served {
            journey.state = State::Removed;
        } else {
            self.end_journey(copy);
        }
        if !matches!(reason, Removal::Acked | Removal::DeadLettered(_)) {
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
    pub fn measure_depths(&mut self, now: Time) {
        let Some(broker) = &self.node.broker else {
            return;
        };
        let phase = self.metrics.phase;
        let mut streams = false;
        for queue in &self.node.touched {
            let ready = broker.ready(*queue);
            let at = queue.index();
            self.metrics.queues[at].set_ready(now, phase, ready);
            let came_back = self.metrics.queues[at].came_back;
            let bytes = || broker.queue(*queue).ready_bytes;
            self.check.depth(now, at, (ready, came_back), bytes);
            streams |= self.journeys.is_stream(at);
        }
        if streams {
            for queue in std::mem::take(&mut self.node.touched) {
                if self.journeys.is_stream(queue.index()) {
                    self.measure_lag(queue);
                }
            }
        }
        self.node.touched.clear();
    }
}
