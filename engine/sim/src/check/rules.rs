//! What is claimed of each queue.

use queuelab_core::{Durability, GroupKind, Requeue, Span};
use queuelab_scenario::{AnswerPart, Claim, MetricRef, Queue, Scenario};

use crate::topology::Layout;

/// What is claimed of one of the broker's queues.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Most ready messages.
    pub bound: Option<u64>,
    /// Most bytes of these.
    pub bytes: Option<u64>,
    /// First deliveries keep the order of each producer's messages with the same key.
    pub ordered: bool,
    /// Whether first deliveries are compared with that order at all: because it is promised, or because somebody asks how many break it.
    pub follows_order: bool,
    /// The queue's own time to live.
    pub ttl: Option<Span>,
    /// Most unsuccessful deliveries.
    pub limit: Option<u32>,
    /// Higher priorities go first, whoever consumes.
    pub by_priority: bool,
    /// When its commands count.
    pub durability: Durability,
    /// What comes back goes before what came after it.
    pub returns_first: bool,
    /// The queue of the scenario, and which of its partitions this is, if it has several.
    pub partition: Option<(u32, u32)>,
    /// For how long it knows messages again, and how many.
    pub deduplicates: Option<(Span, u32)>,
}

impl Rules {
    /// Whether there is a bound to what is ready.
    #[inline]
    pub fn bounded(&self) -> bool {
        self.bound.is_some() || self.bytes.is_some()
    }

    /// Of one of the broker's queues.
    pub fn new(scenario: &Scenario, layout: &Layout, queue: usize) -> Rules {
        let of = layout.queue_of(queue);
        let spec = &scenario.queues[of];
        let policy = &spec.policy;
        let mut consumers = scenario
            .consumers
            .iter()
            .filter(|group| group.from.contains(&of));
        let selects = consumers.any(|group| group.selector.is_some());
        let mut producers = scenario.producers.iter();
        let delays = producers.any(|producer| producer.properties.delay.is_some());
        let partitions = layout.partitions(of);
        let ordered = keeps_order(scenario, of, spec) || asked_for_order(scenario, &spec.name);
        let is_bounded = policy.stream.is_none() && !spec.brokerless;
        let share = |bound: Option<u64>| layout.share(queue, bound).filter(|_| is_bounded);
        Rules {
            bound: share(spec.max_length),
            bytes: share(spec.max_bytes),
            ordered,
            follows_order: ordered || asks_how_many_break_it(scenario, &spec.name),
            ttl: policy.ttl.filter(|_| policy.stream.is_none()),
            limit: policy.delivery_limit,
            // Groups and selectors keep messages from consumers that others may go to.
            by_priority: policy.max_priority > 0 && !policy.groups && !selects,
            durability: spec.durability,
            returns_first: policy.requeue == Requeue::Original
                && policy.max_priority == 0
                && policy.retry_delay.is_none()
                && policy.stream.is_none()
                && !(policy.groups || selects || policy.dead_letter_at_least_once)
                && !(spec.brokerless || delays),
            partition: (partitions.len() > 1)
                .then_some((of as u32, (queue - partitions.start) as u32)),
            deduplicates: (policy.deduplicate.as_ref())
                .map(|memory| (memory.window, memory.capacity)),
        }
    }
}

/// Whether a queue keeps the order of a producer's messages with the same key, at their first deliveries.
fn keeps_order(scenario: &Scenario, number: usize, queue: &Queue) -> bool {
    let resends = |producer: &queuelab_scenario::Producer| {
        producer.retry.is_some() && !producer.idempotent
            || producer.properties.delay.is_some()
            || producer.patience.is_some()
    };
    if scenario.producers.iter().any(resends) {
        return false;
    }
    let policy = &queue.policy;
    let readers = || {
        scenario
            .consumers
            .iter()
            .filter(|group| group.from.contains(&number))
    };
    if policy.stream.is_some() {
        let partitioned =
            |group: usize| matches!(scenario.groups[group].kind, GroupKind::Partitioned { .. });
        return readers().all(|reader| reader.group.is_none_or(partitioned));
    }
    let plain = policy.max_priority == 0
        && policy.retry_delay.is_none()
        && policy.requeue == Requeue::Original
        && readers().all(|reader| reader.selector.is_none());
    let members: u32 = readers().map(|reader| reader.count).sum();
    let mut priorities = readers().map(|reader| reader.priority);
    let first = priorities.next();
    let alike = priorities.all(|priority| Some(priority) == first);
    plain && (members <= 1 || policy.single_active && alike)
}

fn asked_for_order(scenario: &Scenario, name: &str) -> bool {
    scenario.expectations.iter().any(|expectation| {
        matches!(&expectation.claim, Claim::Invariant { name: invariant, of, .. }
            if invariant == "order-per-key" && of.as_deref().is_none_or(|of| of == name))
    })
}

fn asks_how_many_break_it(scenario: &Scenario, name: &str) -> bool {
    let asked = |metric: &MetricRef| {
        metric.name == "count.reordered" && metric.of.as_deref().is_none_or(|of| of == name)
    };
    let expected = scenario.expectations.iter().any(
        |expectation| matches!(&expectation.claim, Claim::Metric { metric, .. } if asked(metric)),
    );
    let answer = scenario.answer_parts();
    let mut answered = answer.iter();
    expected || answered.any(|part| matches!(part, AnswerPart::Hole(metric) if asked(metric)))
}
