//! What is measured at the ends of windows and phases, what streams are read by whom, and when the run is over early.

use queuelab_core::{GroupId, MessageCopy, QueueId, Span, Time};
use queuelab_scenario::Until;
use queuelab_workload::Consumer;

use crate::check::Tag;
use crate::journey::{Journey, State};
use crate::metrics::{Latency, Measured};
use crate::world::{Event, World};

impl World {
    pub fn end_window(&mut self) {
        let now = self.calendar.now();
        let (node, journeys, brokerless) = (&self.node, &self.journeys, &self.brokerless);
        let samples = (0..self.layout.len() as u32).map(|queue| {
            let age = |journey: Option<&Journey>| {
                journey.map_or(Span::ZERO, |journey| now - journey.committed)
            };
            if let Some((_, in_flight)) = brokerless.depths(queue as usize) {
                let mut held = journeys.of_queue(queue as usize).map(|(_, held)| held);
                return (in_flight, age(held.find(|held| held.state == State::Ready)));
            }
            let Some(broker) = &node.broker else {
                // What the log holds will be ready again.
                let mut held = journeys.of_queue(queue as usize).map(|(_, held)| held);
                return (0, age(held.find(|held| held.state != State::Removed)));
            };
            let oldest = broker.oldest_ready(QueueId(queue));
            let oldest = oldest.and_then(|copy| journeys.get(copy));
            (broker.in_flight(QueueId(queue)), age(oldest))
        });
        self.metrics.end_window(now, samples);
        self.check_liveness();
        if self.check.enabled() {
            self.look_for_stalls();
            self.account_often();
        }
        let window = self.window.0 as f64;
        let share = |until: Span, before: &mut Span| {
            let share = (until - *before).0 as f64 / window;
            *before = until;
            share.min(1.0)
        };
        let cores = self.node.cores() as u64;
        let cpu = Span(self.node.busy_until(now).0 / cores);
        self.cpu_series.push(share(cpu, &mut self.cpu_sampled));
        self.disk_series.push(share(
            self.node.disk.busy_until(now),
            &mut self.disk_sampled,
        ));
        if self.scenario.cluster.limits.bodies.is_some() {
            let broker = self.node.broker.as_ref();
            let resident = broker.map_or(0, |broker| broker.bodies().resident_bytes);
            self.bodies_series.push(resident);
        }
        for group in 0..self.groups.len() {
            let spec = &self.scenario.consumers[group];
            let busy = self.group_busy(group, now);
            let capacity =
                self.window.0 as f64 * f64::from(spec.count) * f64::from(spec.concurrency);
            let slot = &mut self.groups[group];
            slot.utilisation_series
                .push((busy - slot.busy_sampled).0 as f64 / capacity);
            slot.busy_sampled = busy;
        }
        if now < self.end {
            self.calendar
                .schedule((now + self.window).min(self.end), Event::Window);
        }
    }

    /// Looks at whether queues deliver that could.
    fn look_for_stalls(&mut self) {
        let now = self.calendar.now();
        for queue in 0..self.layout.len() {
            let could = self.could_deliver(queue);
            let counts = &self.metrics.queues[queue].counts;
            self.check.delivers(now, queue, could, counts.delivered);
        }
    }

    /// Whether a queue has ready messages that nothing keeps from a consumer that is there and holds none of it.
    fn could_deliver(&self, queue: usize) -> bool {
        let of = self.layout.queue_of(queue);
        let policy = &self.scenario.queues[of].policy;
        let Some(broker) = &self.node.broker else {
            return false;
        };
        let id = QueueId(queue as u32);
        let plain = policy.stream.is_none() && !policy.groups && self.active.is_empty();
        if !plain || broker.ready(id) == 0 || broker.in_flight(id) > 0 {
            return false;
        }
        // The next message may wait for its body, as long as somebody reads.
        if self.node.is_reading() && broker.queue(id).absent > 0 {
            return false;
        }
        let asks = |group: &queuelab_scenario::Consumer| {
            group.pull.is_none() && group.selector.is_none() && group.channel_prefetch.is_none()
        };
        // Who of them is the active one is not known here.
        let mut takers = self.scenario.consumers.iter();
        let all_ask = takers.all(|group| !group.from.contains(&of) || asks(group));
        if policy.single_active && !all_ask {
            return false;
        }
        self.consumers.iter().enumerate().any(|(number, slot)| {
            let group = &self.scenario.consumers[slot.group as usize];
            let connection = self.consumer_connection(number as u32);
            group.from.contains(&of)
                && asks(group)
                && !self.groups[slot.group as usize].auto_ack
                && self.connections[connection as usize].live
                && self.node.unread.reads(connection)
                && slot.crashes == 0
                && slot.pauses == 0
        })
    }

    pub fn end_phase(&mut self) {
        let now = self.calendar.now();
        self.metrics.end_phase(now);
        if now < self.end {
            let name = self.scenario.phases[self.metrics.phase].name.clone();
            self.say(format!("phase {name}"));
        }
    }

    /// Time that the members of a group have served so far, summed.
    pub fn group_busy(&self, group: usize, now: Time) -> Span {
        self.members(group)
            .fold(Span::ZERO, |sum, member| sum + member.busy_time(now))
    }

    /// The members of a consumer group.
    pub fn members(&self, group: usize) -> impl Iterator<Item = &Consumer> {
        let first = self.groups[group].first as usize;
        let count = self.scenario.consumers[group].count as usize;
        self.consumers[first..first + count]
            .iter()
            .map(|slot| &slot.machine)
    }

    // Streams

    /// Who a consumer reads streams for: its group, or itself.
    fn reader(&self, consumer: u32) -> u32 {
        let slot = &self.consumers[consumer as usize];
        match self.scenario.consumers[slot.group as usize].group {
            Some(group) => group as u32,
            None => self.scenario.groups.len() as u32 + consumer,
        }
    }

    /// A record of a stream leaves for a consumer.
    pub fn record_dispatched(&mut self, connection: u32, copy: MessageCopy) {
        let now = self.calendar.now();
        let Some(consumer) = connection.checked_sub(self.producers.len() as u32) else {
            return;
        };
        let reader = self.reader(consumer);
        if let Some(reading) = self.journeys.reading(copy, reader, now) {
            reading.attempts += 1;
            reading.dispatched = now;
            reading.holder = connection;
        }
    }

    /// A record of a stream reaches a consumer. Returns how often it was dispatched to its reader, and whether it was to this consumer.
    pub fn record_arrives(
        &mut self,
        consumer: u32,
        connection: u32,
        copy: MessageCopy,
    ) -> (u32, bool) {
        let now = self.calendar.now();
        let reader = self.reader(consumer);
        let Some(journey) = self.journeys.get(copy) else {
            // The stream keeps it no longer, but did when it was sent.
            return (1, true);
        };
        let (tag, phase, intended) = (journey.tag, journey.phase as usize, journey.stamps.intended);
        let Some(reading) = self.journeys.reading(copy, reader, now) else {
            return (1, true);
        };
        let (attempts, held) = (reading.attempts, reading.holder == connection);
        if !std::mem::replace(&mut reading.received, true) {
            let origin = self.origin(tag, intended);
            let of = Measured {
                queue: copy.queue.index(),
                producer: origin.producer,
                phase,
            };
            self.metrics
                .latency(Latency::Delivery, of, origin.intended, now);
            if (reader as usize) < self.metrics.groups.len() {
                let group = reader as usize;
                self.metrics
                    .read(group, Latency::Delivery, phase, origin.intended, now);
            }
            self.check
                .first_received(now, Tag(tag), copy, (reader, attempts));
        }
        // Another member may have it by now, while this one has the earlier delivery.
        (attempts, held || reader < self.scenario.groups.len() as u32)
    }

    /// A service of a record of a stream has ended well: received, started, ended.
    pub fn record_served(
        &mut self,
        consumer: u32,
        copy: MessageCopy,
        times: [Time; 3],
        goes_on: bool,
    ) {
        let [received, started, ended] = times;
        let (queue, reader) = (copy.queue.index(), self.reader(consumer));
        let was_done = self.relays.counts() && self.is_done(copy);
        let now = self.calendar.now();
        let Some(journey) = self.journeys.get_mut(copy) else {
            return;
        };
        let first = !std::mem::replace(&mut journey.served, true);
        let journey = journey.clone();
        let Some(reading) = self.journeys.reading(copy, reader, now) else {
            return;
        };
        if std::mem::replace(&mut reading.served, true) {
            self.metrics.queues[queue].duplicates += 1;
            return;
        }
        // It may have been dispatched again meanwhile, or a restart may have found it.
        let ready = journey.ready.min(received);
        let dispatched = reading.dispatched.min(received).max(ready);
        let read = Journey {
            ready,
            dispatched,
            ..journey
        };
        let parts = read.parts(received, started, ended);
        let (tag, phase, intended) = (read.tag, read.phase as usize, read.stamps.intended);
        self.service_measured(tag, queue, phase, intended, ended, parts, goes_on);
        let origin = self.origin(tag, intended);
        if (reader as usize) < self.metrics.groups.len() {
            let group = reader as usize;
            self.metrics
                .read(group, Latency::EndToEnd, phase, origin.intended, ended);
        }
        if self.relays.counts() && !was_done && self.is_done(copy) {
            self.copy_ends(tag);
        }
        if first && !goes_on {
            self.consumed(tag);
        }
    }

    /// Notes how far the groups are behind a stream that something has happened to.
    pub fn measure_lag(&mut self, queue: QueueId) {
        let now = self.calendar.now();
        let of = self.layout.queue_of(queue.index());
        let Some(broker) = &self.node.broker else {
            return;
        };
        for (group, spec) in self.scenario.groups.iter().enumerate() {
            if spec.streams.contains(&of) {
                let view = broker.group(GroupId(group as u32));
                let metrics = &mut self.metrics.groups[group];
                metrics.lag.set(now, self.metrics.phase, view.lag);
                metrics.members = view.members;
            }
        }
    }

    // The end

    /// Begins to look for the end, if the run is to end early.
    pub fn watch_for_idleness(&mut self) {
        if let Some(Until::Idle(span)) = self.scenario.until {
            self.calendar.after(span, Event::Idle);
        }
    }

    /// Nothing may have happened for so long that the run is over.
    pub fn look_for_idleness(&mut self) {
        let Some(Until::Idle(span)) = self.scenario.until else {
            return;
        };
        let due = self.active_at + span;
        if due <= self.calendar.now() {
            self.end_now();
        } else {
            self.calendar.schedule(due, Event::Idle);
        }
    }

    /// Whether the run is over because all is done, if it is to end so.
    #[inline(always)]
    pub fn look_for_emptiness(&mut self) {
        if self.ends_when_empty {
            self.end_if_empty();
        }
    }

    fn end_if_empty(&mut self) {
        if self.is_empty() {
            self.end_now();
        }
    }

    fn is_empty(&self) -> bool {
        let producers = self.producers.iter().map(|slot| &slot.machine);
        let mut busy = producers.filter(|it| it.has_more() || it.waiting() + it.unconfirmed() > 0);
        let mut connections = self.connections.iter();
        let streams = (0..self.layout.len()).any(|queue| self.journeys.is_stream(queue));
        let inside = match streams {
            // What streams hold, they keep.
            true => (0..self.layout.len())
                .filter(|queue| !self.journeys.is_stream(*queue))
                .any(|queue| self.journeys.of_queue(queue).next().is_some()),
            false => self.metrics.littles.inside() > 0,
        };
        !inside
            && self.metrics.groups.iter().all(|group| group.lag.value == 0)
            && self.metrics.queues.iter().any(|queue| queue.begun > 0)
            && busy.next().is_none()
            && connections.all(|link| link.up.is_empty())
            && self.node.is_idle()
            && self.brokerless.is_idle()
    }

    /// The run ends here.
    fn end_now(&mut self) {
        let now = self.calendar.now();
        self.end = now;
        self.end_window();
        self.say("nothing is left to do".into());
        self.calendar.clear();
    }
}
