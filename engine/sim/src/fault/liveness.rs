//! After the last fault: what must drain, and until when.

use queuelab_core::{QueueId, Span, Time};
use queuelab_scenario::{Ack, Consumer, Distribution, Fault, FaultBudget, Scenario, When};

use crate::check::Bound;
use crate::world::World;

impl World {
    /// A fault is over: if it was the last one, from now on what waits has to drain.
    pub fn mind_liveness(&mut self) {
        let recoverable = self.scenario.budget == FaultBudget::Recoverable;
        self.forget_drains();
        if !self.check.enabled() || !recoverable || !self.active.is_empty() || !self.is_quiet() {
            return;
        }
        let since = self.calendar.now();
        let links = self.connections.iter();
        let delays = links.map(|link| link.up.is_delayed(since).max(link.down.is_delayed(since)));
        // Both hold up whatever comes later.
        let delayed = delays.max().unwrap_or_default() + self.work() * 3;
        self.drains_from = Some((since, delayed));
    }

    /// A fault begins: nothing has to drain now.
    pub fn forget_drains(&mut self) {
        self.drains.clear();
        self.drains_from = None;
    }

    /// Until when what waits in queues is to have left them; how long that takes counts from the end of the last fault, and so much later.
    fn bound_drains(&self, since: Time, delayed: Span) -> Vec<Bound> {
        let mut serving = Scenario::clone(&self.scenario);
        for consumer in &mut serving.consumers {
            if consumer.service.mean() < LEAST_SERVICE.as_secs_f64() {
                consumer.service = Distribution::Constant(LEAST_SERVICE);
            }
        }
        let bound = |queue| {
            let until = since + delayed + self.drains_within(queue, &serving)?;
            Some(Bound {
                queue,
                until,
                since,
            })
        };
        (0..self.layout.len()).filter_map(bound).collect()
    }

    /// Looks whether what had to drain has.
    pub fn check_liveness(&mut self) {
        let now = self.calendar.now();
        // Not at the instant at which the last fault was over: all that waited at clients may come then.
        if let Some((since, delayed)) = self.drains_from.take() {
            self.drains = self.bound_drains(since, delayed);
        }
        for bound in self.drains.clone() {
            let queue = QueueId(bound.queue as u32);
            let broker = self.node.broker.as_ref();
            let oldest = broker.and_then(|broker| broker.oldest_ready(queue));
            let oldest = oldest.and_then(|copy| self.journeys.get(copy));
            let oldest = oldest.map(|journey| journey.ready);
            let up = self.node.broker.is_some();
            self.check.drained(now, bound, oldest, up);
        }
    }

    /// Whether no fault is to come.
    fn is_quiet(&self) -> bool {
        let now = self.calendar.now();
        let over = |fault: &Fault| match fault.when {
            When::At(at) => {
                at < now || fault.span == Distribution::Constant(Span::ZERO) && at <= now
            }
            When::Every { until, .. } | When::EachStep { until, .. } => until <= now,
            When::On { .. } => false,
        };
        self.strikes.healed.is_some() || self.scenario.faults.iter().all(over)
    }

    /// How long it takes at most until what waits in a queue now has been delivered, with the services of `scenario`: three times what its
    /// consumers' capacity implies, and the waits of clients and leases. `None` where capacity does not say that.
    fn drains_within(&self, queue: usize, scenario: &Scenario) -> Option<Span> {
        let of = self.layout.queue_of(queue);
        let spec = &scenario.queues[of];
        let policy = &spec.policy;
        let by_turns = policy.max_priority == 0 && !policy.single_active && !policy.groups;
        if self.brokerless.is(queue) || policy.stream.is_some() || !by_turns {
            return None;
        }
        let takers = || {
            let consumers = scenario.consumers.iter();
            consumers.filter(move |consumer| consumer.from.contains(&of))
        };
        let plain = |consumer: &Consumer| {
            consumer.reconnect.is_some()
                && consumer.pull.is_none()
                && consumer.selector.is_none()
                && consumer.rate_cap.is_none()
                && consumer.churn.is_none()
                && consumer.patience.is_none()
                && consumer.then.is_none()
                && consumer.poison == 0.0
                && consumer.slow.is_none()
                && consumer.service_by_phase.is_empty()
        };
        if takers().count() == 0 || !takers().all(plain) {
            return None;
        }
        let waits = takers().map(|consumer| self.waits_for_network(consumer, spec.partitions));
        let capacity = scenario.full_capacity(of, self.metrics.phase, waits.fold(0.0, f64::max))?;
        let mut slack = Span::from_secs(15);
        let mut queues: Vec<usize> = Vec::new();
        for consumer in takers() {
            let mean = consumer.service.mean();
            let hand = f64::from(consumer.prefetch.max(1)) * mean;
            slack = slack.max(Span::from_secs(15) + Span::from_secs_f64(3.0 * hand));
            slack += consumer.reconnect.unwrap_or_default() + consumer.reconnect_spread;
            queues.extend(&consumer.from);
        }
        queues.sort_unstable();
        queues.dedup();
        for other in &queues {
            let policy = &scenario.queues[*other].policy;
            let lease = policy
                .ack_timeout
                .as_ref()
                .map_or(Span::ZERO, |timeout| timeout.after);
            slack += lease;
        }
        let queues = queues
            .iter()
            .flat_map(|other| self.layout.partitions(*other));
        // Who cannot keep up with all his queues may leave what waits in one of them for what comes to another.
        let offered: f64 = queues.clone().map(|queue| self.offered(queue)).sum();
        if capacity < offered {
            return None;
        }
        let backlog: usize = (queues.clone())
            .map(|queue| self.journeys.of_queue(queue).count())
            .sum();
        let broker = self.node.broker.as_ref();
        let bytes: u64 = queues
            .filter_map(|queue| Some(broker?.queue(QueueId(queue as u32)).ready_bytes))
            .sum();
        let connections: u32 = takers().map(|consumer| consumer.count).sum();
        // Each connection transfers so much.
        let transfer = scenario
            .cluster
            .network
            .bandwidth
            .map_or(0.0, |each| bytes as f64 / (each * f64::from(connections)));
        Some(slack + Span::from_secs_f64(3.0 * (backlog as f64 / capacity + transfer)))
    }

    /// How many seconds longer than its service a message keeps its consumer from the next one, at least in the mean: who may hold no more
    /// waits for the way of an acknowledgement, and for that of a message.
    fn waits_for_network(&self, consumer: &Consumer, partitions: u32) -> f64 {
        let Ack::Manual { every, .. } = consumer.ack else {
            return 0.0;
        };
        let each = (consumer.prefetch > 0).then(|| consumer.prefetch.saturating_mul(partitions));
        let Some(held) = each.into_iter().chain(consumer.channel_prefetch).min() else {
            return 0.0;
        };
        let cluster = &self.scenario.cluster;
        let cpu = cluster.cpu.deliver + cluster.cpu.ack + cluster.cpu.per_batch * 2;
        let round_trip = 2.0 * cluster.network.clients.mean() + cpu.as_secs_f64();
        let service = consumer.service.mean();
        let places = f64::from(consumer.concurrency.max(1).min(held));
        // An acknowledgement waits for all the services that it is for.
        let services = (f64::from(every) / places).max(1.0) * service;
        let cycle = (services + round_trip) * places / f64::from(held);
        (cycle - service).max(0.0)
    }

    /// Messages per second that were for a queue in this phase so far.
    fn offered(&self, queue: usize) -> f64 {
        let phase = self.metrics.phase;
        let begun = self.scenario.phases.get(phase).map(|phase| phase.from);
        let elapsed = self.calendar.now() - begun.unwrap_or_default();
        match elapsed.is_zero() {
            true => 0.0,
            false => {
                self.metrics.queues[queue].phases[phase].offered as f64 / elapsed.as_secs_f64()
            }
        }
    }
}

/// A service that takes no time still costs the node and the network some.
const LEAST_SERVICE: Span = Span::from_micros(100);
