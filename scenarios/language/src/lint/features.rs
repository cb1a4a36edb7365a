//! Features that do not do what they seem to together.

use queuelab_core::{Durability, GroupKind, Overflow, Span};

use super::Warnings;
use crate::scenario::{Ack, Consumer, Distribution, Producer, Queue, Scenario};

/// What is said of each feature.
pub(super) fn check(scenario: &Scenario, warnings: &mut Warnings) {
    for (index, queue) in scenario.queues.iter().enumerate() {
        let consumers = scenario
            .consumers
            .iter()
            .filter(|consumer| consumer.from.contains(&index));
        for consumer in consumers {
            order_per_key(queue, consumer, warnings);
            waits_too_short(queue, consumer, warnings);
            hoarded_priorities(queue, consumer, warnings);
        }
    }
    for queue in &scenario.queues {
        displaced_priorities(queue, warnings);
    }
    for consumer in &scenario.consumers {
        locks_too_short(scenario, consumer, warnings);
        endless_poison(scenario, consumer, warnings);
    }
    budget_without_log(scenario, warnings);
    for producer in &scenario.producers {
        properties_without_effect(scenario, producer, warnings);
    }
}

/// Only what the log has can leave memory.
fn budget_without_log(scenario: &Scenario, warnings: &mut Warnings) {
    let logged =
        |queue: &Queue| queue.durability != Durability::None && queue.policy.stream.is_none();
    if scenario.cluster.limits.bodies.is_some() && !scenario.queues.iter().any(logged) {
        warnings.push(
            "`limits.bodies` has no effect: no queue of this scenario has a log to read bodies back from".into(),
            "write kind = \"durable\", or leave it out",
        );
    }
}

/// Partitions keep the order of a key only as long as one consumer reads each.
fn order_per_key(queue: &Queue, consumer: &Consumer, warnings: &mut Warnings) {
    let at_once = consumer.concurrency > 1 && consumer.prefetch != 1;
    let competing = consumer.count > 1 || at_once;
    let kept = queue.policy.single_active || queue.policy.groups || queue.policy.stream.is_some();
    if queue.partitions > 1 && competing && !kept {
        warnings.push(
            format!(
                "the members of `{}` compete for each partition of `{}`: the order per key is lost",
                consumer.name, queue.name
            ),
            "write single_active = true on the queue, or use a stream with a `group`",
        );
    }
}

fn waits_too_short(queue: &Queue, consumer: &Consumer, warnings: &mut Warnings) {
    let service = consumer.service.mean();
    if let Some(ttl) = queue.policy.ttl
        && !ttl.is_zero()
        && ttl.as_secs_f64() < service
    {
        warnings.push(
            format!("messages of `{}` live for {ttl}, and a service of `{}` takes {} on average: what waits for one expires", queue.name, consumer.name, span(service)),
            "write a longer `ttl`",
        );
    }
}

/// What a consumer holds is not sorted again.
fn hoarded_priorities(queue: &Queue, consumer: &Consumer, warnings: &mut Warnings) {
    let hoards = consumer.prefetch == 0 || consumer.prefetch > 4 * consumer.concurrency;
    if queue.policy.max_priority > 0
        && hoards
        && consumer.pull.is_none()
        && consumer.service.mean() > 0.0
    {
        let held = match consumer.prefetch {
            0 => "any number of".to_string(),
            prefetch => prefetch.to_string(),
        };
        warnings.push(
            format!("a member of `{}` holds {held} messages of `{}`: priorities sort only what waits in the queue", consumer.name, queue.name),
            "write a small `prefetch`",
        );
    }
}

/// The head of a queue is what would be served next.
fn displaced_priorities(queue: &Queue, warnings: &mut Warnings) {
    let bounded = queue.max_length.is_some() || queue.max_bytes.is_some();
    let displaces = matches!(queue.overflow, Overflow::DropHead | Overflow::DeadLetter);
    if queue.policy.max_priority > 0 && bounded && displaces {
        let message = format!(
            "at its bound the queue `{}` gives up what would be served next, the highest priority first",
            queue.name
        );
        warnings.push(
            message,
            "write another `overflow`, or a queue for each priority",
        );
    }
}

/// Locks that run out during the work come back to others while it goes on.
fn locks_too_short(scenario: &Scenario, consumer: &Consumer, warnings: &mut Warnings) {
    if consumer.renew.is_some() || consumer.ack == Ack::Auto {
        return;
    }
    let of_queues = consumer
        .from
        .iter()
        .filter_map(|queue| scenario.queues[*queue].policy.ack_timeout)
        .map(|timeout| timeout.after);
    let of_group = consumer
        .group
        .and_then(|group| match scenario.groups[group].kind {
            GroupKind::Shared { lock, .. } => Some(lock),
            GroupKind::Partitioned { .. } => None,
        });
    let Some(lock) = of_queues.chain(of_group).min() else {
        return;
    };
    let (longest, seconds) = (p99(&consumer.service), lock.as_secs_f64());
    let held =
        f64::from(consumer.prefetch) * consumer.service.mean() / f64::from(consumer.concurrency);
    if longest > seconds {
        warnings.push(
            format!("one service in a hundred of `{}` takes more than {}, and the lock {lock}: messages come back while they are worked on", consumer.name, span(longest)),
            "write a longer lock, or `renew`",
        );
    } else if held > seconds && consumer.pull.is_none() {
        warnings.push(
            format!("a full prefetch of `{}` takes {}, and the lock {lock}: messages come back before their turn", consumer.name, span(held)),
            "write a smaller `prefetch`, a longer lock, or `renew`",
        );
    }
}

fn endless_poison(scenario: &Scenario, consumer: &Consumer, warnings: &mut Warnings) {
    let requeues = match consumer.ack {
        Ack::Manual { nack, .. } => nack.is_none_or(|nack| nack.requeue),
        Ack::Auto => false,
    };
    let endless = |queue: &&usize| {
        let policy = &scenario.queues[**queue].policy;
        policy.delivery_limit.is_none() && policy.stream.is_none()
    };
    if consumer.poison > 0.0
        && requeues
        && let Some(queue) = consumer.from.iter().find(endless)
    {
        warnings.push(
            format!(
                "poisoned messages of `{}` come back without end",
                scenario.queues[*queue].name
            ),
            "write a `delivery_limit` on the queue",
        );
    }
}

/// Properties that no queue looks at.
fn properties_without_effect(scenario: &Scenario, producer: &Producer, warnings: &mut Warnings) {
    let reached: Vec<&Queue> = producer
        .to
        .iter()
        .flat_map(|(target, _)| scenario.reached_by(target))
        .map(|queue| &scenario.queues[queue])
        .collect();
    let nobody = |looks: fn(&Queue) -> bool| !reached.iter().any(|queue| looks(queue));
    let mix = &producer.properties;
    let mut say = |what: &str, help: &str| {
        warnings.push(format!("{what} of `{}` has no effect", producer.name), help);
    };
    if mix.priority.iter().any(|(priority, _)| *priority > 0)
        && nobody(|queue| queue.policy.max_priority > 0)
    {
        say("the priority", "write `max_priority` on the queue");
    }
    if mix.group_by_key && nobody(|queue| queue.policy.groups) {
        say("`group_by_key`", "write groups = true on the queue");
    }
    if mix.id && nobody(|queue| queue.policy.deduplicate.is_some()) {
        say("`id`", "write `deduplicate` on the queue");
    }
}

/// In seconds; for shapes whose quantile has no simple form, the mean.
fn p99(distribution: &Distribution) -> f64 {
    match distribution {
        Distribution::Exponential(mean) => mean.as_secs_f64() * std::f64::consts::LN_10 * 2.0,
        Distribution::Lognormal { p99, .. } => p99.as_secs_f64(),
        Distribution::Uniform(low, high) => {
            low.as_secs_f64() + 0.99 * (high.as_secs_f64() - low.as_secs_f64())
        }
        other => other.mean(),
    }
}

fn span(seconds: f64) -> Span {
    Span((seconds * 1e9) as u64)
}
