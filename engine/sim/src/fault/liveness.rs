//! After the last fault: what must drain, and until when.

use queuelab_core::{QueueId, Span};
use queuelab_scenario::{Consumer, Distribution, Fault, FaultBudget, When};

use crate::check::Bound;
use crate::world::World;

impl World {
    /// A fault is over: if it was the last one, from now on what waits has to drain.
    pub fn mind_liveness(&mut self) {
        let recoverable = self.scenario.budget == FaultBudget::Recoverable;
        self.drains.clear();
        if !self.check.enabled() || !recoverable || !self.active.is_empty() || !self.is_quiet() {
            return;
        }
        let since = self.calendar.now();
        let links = self.connections.iter();
        let delays = links.map(|link| link.up.is_delayed(since).max(link.down.is_delayed(since)));
        let delayed = delays.max().unwrap_or_default();
        for queue in 0..self.layout.len() {
            if let Some(span) = self.drains_within(queue) {
                let until = since + delayed + span;
                self.drains.push(Bound {
                    queue,
                    until,
                    since,
                });
            }
        }
    }

    /// Looks whether what had to drain has.
    pub fn check_liveness(&mut self) {
        let now = self.calendar.now();
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

    /// How long it takes at most until what waits in a queue now has been delivered: three times what its consumers' capacity implies, and
    /// the waits of clients and leases. `None` where capacity does not say that.
    fn drains_within(&self, queue: usize) -> Option<Span> {
        let of = self.layout.queue_of(queue);
        let spec = &self.scenario.queues[of];
        let policy = &spec.policy;
        let by_turns = policy.max_priority == 0 && !policy.single_active && !policy.groups;
        if self.brokerless.is(queue) || policy.stream.is_some() || !by_turns {
            return None;
        }
        let takers = || {
            let consumers = self.scenario.consumers.iter();
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
        let mut slack = Span::from_secs(15);
        let mut rate = 0.0;
        let mut queues: Vec<usize> = Vec::new();
        for consumer in takers() {
            let mean = consumer.service.mean().max(LEAST_SERVICE.as_secs_f64());
            rate += f64::from(consumer.count) * f64::from(consumer.concurrency) / mean;
            let hand = f64::from(consumer.prefetch.max(1)) * mean;
            slack = slack.max(Span::from_secs(15) + Span::from_secs_f64(3.0 * hand));
            slack += consumer.reconnect.unwrap_or_default() + consumer.reconnect_spread;
            queues.extend(&consumer.from);
        }
        queues.sort_unstable();
        queues.dedup();
        for other in &queues {
            let policy = &self.scenario.queues[*other].policy;
            let lease = policy
                .ack_timeout
                .as_ref()
                .map_or(Span::ZERO, |timeout| timeout.after);
            slack += lease;
        }
        let backlog: usize = queues
            .iter()
            .flat_map(|other| self.layout.partitions(*other))
            .map(|queue| self.journeys.of_queue(queue).count())
            .sum();
        Some(slack + Span::from_secs_f64(3.0 * backlog as f64 / rate))
    }
}

/// A service that takes no time still costs the node and the network some.
const LEAST_SERVICE: Span = Span::from_micros(100);
