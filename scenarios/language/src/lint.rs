//! What is allowed but was probably not meant.

mod features;

use std::fmt;

use queuelab_core::{Dispatch, Durability, HashKind};

use crate::fault::{FaultKind, Whose};
use crate::scenario::{
    Ack, Arrivals, Consumer, ExchangeType, Keys, Producer, Profile, Queue, Scenario, Target,
};

/// A suspicious combination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is suspicious, in one line.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

/// Looks for suspicious combinations.
pub fn lint(scenario: &Scenario) -> Vec<Warning> {
    let mut warnings = Warnings(Vec::new());
    let flow = Flow::of(scenario);
    for (index, queue) in scenario.queues.iter().enumerate() {
        check_queue(scenario, index, queue, &flow, &mut warnings);
    }
    for index in 0..scenario.exchanges.len() {
        check_exchange(scenario, index, &mut warnings);
    }
    for producer in &scenario.producers {
        check_producer(scenario, producer, &mut warnings);
    }
    for (index, consumer) in scenario.consumers.iter().enumerate() {
        check_consumer(scenario, index, consumer, &mut warnings);
    }
    features::check(scenario, &mut warnings);
    check_whole(scenario, &mut warnings);
    warnings.0
}

struct Warnings(Vec<Warning>);

impl Warnings {
    fn push(&mut self, message: String, help: &str) {
        self.0.push(Warning {
            message,
            help: help.to_string(),
        });
    }
}

/// Which queues messages come to, by queue.
struct Flow {
    published: Vec<bool>,
    dead_letters: Vec<bool>,
    consumed: Vec<bool>,
    /// A producer group whose messages are not persistent.
    transient: Vec<Option<usize>>,
}

impl Flow {
    fn of(scenario: &Scenario) -> Flow {
        let none = vec![false; scenario.queues.len()];
        let mut flow = Flow {
            published: none.clone(),
            dead_letters: none.clone(),
            consumed: none,
            transient: vec![None; scenario.queues.len()],
        };
        for (index, producer) in scenario.producers.iter().enumerate() {
            for queue in producer
                .to
                .iter()
                .flat_map(|(target, _)| scenario.reached_by(target))
            {
                flow.published[queue] = true;
                if !producer.persistent {
                    flow.transient[queue] = Some(index);
                }
            }
        }
        for queue in published_on(scenario).flat_map(|target| scenario.reached_by(target)) {
            flow.published[queue] = true;
        }
        for (index, queue) in scenario.queues.iter().enumerate() {
            flow.published[index] |= queue.backlog > 0;
        }
        for queue in scenario
            .queues
            .iter()
            .filter_map(|queue| queue.dead_letter.as_ref())
            .flat_map(|target| scenario.reached_by(target))
        {
            flow.dead_letters[queue] = true;
        }
        for queue in scenario
            .consumers
            .iter()
            .flat_map(|consumer| &consumer.from)
        {
            flow.consumed[*queue] = true;
        }
        flow
    }
}

/// Where consumers publish on to.
fn published_on(scenario: &Scenario) -> impl Iterator<Item = &Target> {
    let then = scenario
        .consumers
        .iter()
        .filter_map(|consumer| consumer.then.as_ref());
    then.flat_map(|then| &then.to)
        .filter_map(|(target, _)| target.as_ref())
}

fn check_queue(
    scenario: &Scenario,
    index: usize,
    queue: &Queue,
    flow: &Flow,
    warnings: &mut Warnings,
) {
    let name = &queue.name;
    if !flow.published[index] && !flow.dead_letters[index] {
        warnings.push(
            format!("nobody publishes to the queue `{name}`"),
            "let a producer or a binding name it, or leave it out",
        );
    }
    // A queue of dead letters is for people to look into.
    if !flow.consumed[index] && !flow.dead_letters[index] {
        warnings.push(
            format!("nobody consumes the queue `{name}`"),
            "let a consumer name it in `from`",
        );
    }
    let bounded = queue.max_length.is_some()
        || queue.max_bytes.is_some()
        || queue.policy.stream.is_some()
        || queue.policy.ttl.is_some()
        || scenario
            .producers
            .iter()
            .any(|producer| producer.properties.ttl.is_some())
        || scenario.until.is_some();
    if let (Some(offered), Some(capacity), false) = (
        offered_at_end(scenario, index),
        scenario.capacity(index, scenario.phases.len().saturating_sub(1)),
        bounded,
    ) && flow.consumed[index]
        && offered >= capacity
    {
        let message = format!(
            "the queue `{name}` is offered {offered:.1}/s at the end, its consumers can do {capacity:.1}/s: the backlog grows without end"
        );
        warnings.push(
            message,
            "add a phase in which it drains, a bound, or consumers",
        );
    }
    if queue.durability != Durability::None
        && let Some(producer) = flow.transient[index].map(|index| &scenario.producers[index])
    {
        let message = format!(
            "the queue `{name}` is durable, but messages of `{}` are not persistent: a restart forgets them",
            producer.name
        );
        warnings.push(message, "write persistent = true, or kind = \"memory\"");
    }
}

fn check_exchange(scenario: &Scenario, index: usize, warnings: &mut Warnings) {
    let exchange = &scenario.exchanges[index];
    let name = &exchange.name;
    let bindings: Vec<_> = scenario
        .queues
        .iter()
        .flat_map(|queue| &queue.bind)
        .chain(
            scenario
                .exchanges
                .iter()
                .flat_map(|exchange| &exchange.bind),
        )
        .filter(|binding| binding.exchange == index)
        .collect();
    if bindings.is_empty() && exchange.alternate.is_none() {
        warnings.push(
            format!("no queue is bound to the exchange `{name}`"),
            "add `bind` to a queue",
        );
    }
    let is_target =
        |target: &Target| matches!(target, Target::Exchange { exchange, .. } if *exchange == index);
    let used = scenario
        .producers
        .iter()
        .flat_map(|producer| &producer.to)
        .any(|(target, _)| is_target(target))
        || scenario
            .queues
            .iter()
            .filter_map(|queue| queue.dead_letter.as_ref())
            .any(is_target)
        || published_on(scenario).any(is_target)
        || !exchange.bind.is_empty()
        || scenario
            .exchanges
            .iter()
            .any(|other| other.alternate == Some(index));
    if !used {
        warnings.push(
            format!("nobody publishes to the exchange `{name}`"),
            "let a producer name it in `to`, or leave it out",
        );
    }
    if exchange.kind == ExchangeType::ConsistentHash(HashKind::Jump)
        && bindings.iter().any(|binding| binding.weight != 1)
    {
        warnings.push(
            format!("the exchange `{name}` hashes by jump, which knows no weights"),
            "use \"ring\" or \"rendezvous\"",
        );
    }
}

fn check_producer(scenario: &Scenario, producer: &Producer, warnings: &mut Warnings) {
    let name = &producer.name;
    for (target, _) in &producer.to {
        let Target::Exchange { exchange, key } = target else {
            continue;
        };
        let exchange_name = &scenario.exchanges[*exchange].name;
        let kind = scenario.exchanges[*exchange].kind;
        let has_own_key = producer.message_key != Keys::None;
        if matches!(kind, ExchangeType::ConsistentHash(_)) && (key.is_some() || !has_own_key) {
            warnings.push(
                format!("all messages of `{name}` have the same key, so `{exchange_name}` sends them to one queue"),
                "give the producer a `message_key`, and the target no `key`",
            );
        }
        let leads_on = leads_on(scenario, *exchange);
        if !matches!(kind, ExchangeType::Direct | ExchangeType::Topic) || leads_on {
            continue;
        }
        let known_keys: Vec<&str> = match (key, &producer.message_key) {
            (Some(key), _) => vec![key],
            (None, Keys::Words(words)) => words.iter().map(|(word, _)| word.as_str()).collect(),
            (None, Keys::None) => vec![""],
            _ => continue,
        };
        for key in known_keys {
            if !scenario
                .queues
                .iter()
                .any(|queue| is_bound(queue, *exchange, kind, key))
            {
                warnings.push(format!("messages of `{name}` with the key \"{key}\" match no binding of `{exchange_name}`"), "add a binding, or change the key");
            }
        }
    }
    let to_fsync = producer
        .to
        .iter()
        .flat_map(|(target, _)| scenario.reached_by(target))
        .any(|queue| scenario.queues[queue].durability == Durability::Fsync);
    if producer.confirm.is_none() && producer.transaction.is_none() && to_fsync {
        warnings.push(format!("`{name}` waits for no confirms: what the disk has not synced may be lost without a trace"), "leave `confirm` out");
    }
    if let Arrivals::Constant(rate) | Arrivals::Poisson(rate) = &producer.arrivals {
        let messages: f64 = scenario
            .phases
            .iter()
            .zip(&rate.segments)
            .map(|(phase, (from, to))| (from + to) / 2.0 * (phase.until - phase.from).as_secs_f64())
            .sum();
        if messages.min(producer.limit.map_or(f64::INFINITY, |limit| limit as f64)) > 1e9 {
            warnings.push(
                format!("`{name}` sends {messages:.1e} messages: that takes a while"),
                "shorten the run, or set a `limit`",
            );
        }
    }
}

fn check_consumer(scenario: &Scenario, index: usize, consumer: &Consumer, warnings: &mut Warnings) {
    let name = &consumer.name;
    let service = consumer.service.mean();
    let manual = matches!(consumer.ack, Ack::Manual { .. });
    // Who pulls holds what it asked for, whatever its prefetch.
    let pushed = manual && consumer.pull.is_none();
    // The theory of lines at servers knows no such limit.
    let ideal = scenario.cluster.profile == Profile::Ideal;
    if pushed && consumer.prefetch == 0 && service > 0.0 && !ideal {
        warnings.push(
            format!("`{name}` has no prefetch limit: one member may take the whole backlog into its buffer"),
            "write `prefetch`, about twice what it can serve within a round trip",
        );
    }
    let held = f64::from(consumer.prefetch) * service / f64::from(consumer.concurrency);
    if pushed && held > 60.0 {
        warnings.push(
            format!(
                "a full prefetch of `{name}` holds {held:.0} s of work: other members cannot help"
            ),
            "write a smaller `prefetch`",
        );
    }
    // The prefetch is per queue, and a partition is one.
    let partitions = consumer
        .from
        .iter()
        .map(|queue| scenario.queues[*queue].partitions);
    let gets = partitions.sum::<u32>().saturating_mul(consumer.prefetch);
    if manual && consumer.prefetch != 0 && gets < consumer.concurrency {
        warnings.push(
            format!(
                "`{name}` serves {} at a time, but gets only {gets}",
                consumer.concurrency
            ),
            "raise `prefetch`",
        );
    }
    let dispatches = consumer
        .from
        .iter()
        .map(|queue| scenario.queues[*queue].dispatch);
    let weighted = |dispatch| {
        matches!(
            dispatch,
            Dispatch::WeightedRoundRobin | Dispatch::WeightedLeastConnections
        )
    };
    if consumer.weight != 1 && !dispatches.into_iter().any(weighted) {
        warnings.push(
            format!("the weight of `{name}` has no effect"),
            "use dispatch = \"weighted-round-robin\" or \"weighted-least-connections\"",
        );
    }
    let crashes = scenario.faults.iter().any(
        |fault| matches!(fault.kind, FaultKind::ConsumerCrash { clients } if clients.of == Whose::Consumer(index)),
    );
    // A system without acknowledgements leaves no choice.
    let chosen = !consumer.from.iter().any(|queue| {
        let design = scenario.queues[*queue].design;
        let mut choices = design.iter().flat_map(|design| design.info().choices);
        choices.any(|choice| choice.key == "ack" && !choice.free)
    });
    if consumer.ack == Ack::Auto && crashes && chosen {
        warnings.push(
            format!("`{name}` crashes, and with ack = \"auto\" loses what it was working on"),
            "write ack = \"manual\"",
        );
    }
}

fn check_whole(scenario: &Scenario, warnings: &mut Warnings) {
    if scenario.producers.is_empty() {
        warnings.push("there is no producer".into(), "add [[producer]]");
    }
    if scenario.expectations.is_empty() {
        warnings.push(
            "nothing is expected, so nothing can fail but an invariant".into(),
            "add `expect`",
        );
    }
    for suggestion in scenario.suggestions.iter().take(MOST_SUGGESTIONS) {
        let overrides: Vec<_> = scenario
            .overrides
            .iter()
            .chain(&suggestion.set)
            .cloned()
            .collect();
        if let Err(error) = scenario.with(&overrides) {
            let reason = error
                .problems()
                .first()
                .map(|problem| problem.message().to_string())
                .unwrap_or_default();
            warnings.push(
                format!(
                    "the suggestion `{}` does not work: {reason}",
                    suggestion.set.join(" ")
                ),
                "correct it",
            );
        }
    }
}

/// Messages per second at the end of the run; `None` if that depends on random keys or on a closed loop.
fn offered_at_end(scenario: &Scenario, queue: usize) -> Option<f64> {
    let mut offered = 0.0;
    for producer in &scenario.producers {
        if !producer
            .to
            .iter()
            .any(|(target, _)| scenario.reached_by(target).contains(&queue))
            || producer.limit.is_some()
            || producer.properties.ttl.is_some()
        {
            continue;
        }
        let (Arrivals::Constant(rate) | Arrivals::Poisson(rate)) = &producer.arrivals else {
            return None;
        };
        let (_, rate) = rate.segments.last()?;
        let total: f64 = producer.to.iter().map(|(_, weight)| weight).sum();
        for (target, weight) in &producer.to {
            offered += rate * weight / total * scenario.share(producer, target, queue)?;
        }
    }
    Some(offered)
}

impl Scenario {
    /// Which share of the messages that `producer` sends to `target` comes to `queue`, an index into [`Scenario::queues`]; `None` if
    /// that depends on a hash or on random keys.
    pub fn share(&self, producer: &Producer, target: &Target, queue: usize) -> Option<f64> {
        let yes = |is: bool| Some(if is { 1.0 } else { 0.0 });
        match target {
            Target::Queue(index) => yes(*index == queue),
            Target::Exchange { exchange, key } => {
                let kind = self.exchanges[*exchange].kind;
                let bound = |key: &str| is_bound(&self.queues[queue], *exchange, kind, key);
                if leads_on(self, *exchange) {
                    return None;
                }
                match (kind, key, &producer.message_key) {
                    (ExchangeType::Headers, _, _) => None,
                    (ExchangeType::Fanout, _, _) => yes(bound("")),
                    (ExchangeType::ConsistentHash(_), _, _) => None,
                    (_, Some(key), _) => yes(bound(key)),
                    (_, None, Keys::None) => yes(bound("")),
                    (_, None, Keys::Words(words)) => {
                        let weight = |wanted: bool| {
                            words
                                .iter()
                                .filter(|(word, _)| !wanted || bound(word))
                                .map(|(_, weight)| weight)
                                .sum::<f64>()
                        };
                        Some(weight(true) / weight(false))
                    }
                    _ => None,
                }
            }
        }
    }
}

/// Whether messages go on from the exchange to other exchanges.
fn leads_on(scenario: &Scenario, exchange: usize) -> bool {
    scenario.exchanges[exchange].alternate.is_some()
        || scenario
            .exchanges
            .iter()
            .flat_map(|other| &other.bind)
            .any(|binding| binding.exchange == exchange)
}

fn is_bound(queue: &Queue, exchange: usize, kind: ExchangeType, key: &str) -> bool {
    queue
        .bind
        .iter()
        .filter(|binding| binding.exchange == exchange)
        .any(|binding| match kind {
            ExchangeType::Direct => binding.key == key,
            ExchangeType::Topic => topic_matches(&binding.key, key),
            ExchangeType::Fanout | ExchangeType::ConsistentHash(_) | ExchangeType::Headers => true,
        })
}

/// Words between dots: `*` is one word, `#` none or more.
fn topic_matches(pattern: &str, key: &str) -> bool {
    let words: Vec<_> = key.split('.').collect();
    // reachable[i]: the pattern so far matches the first i words.
    let mut reachable = vec![false; words.len() + 1];
    reachable[0] = true;
    for part in pattern.split('.') {
        if part == "#" {
            let first = reachable
                .iter()
                .position(|is| *is)
                .unwrap_or(reachable.len());
            reachable[first..].fill(true);
        } else {
            for at in (0..words.len()).rev() {
                reachable[at + 1] = reachable[at] && (part == "*" || part == words[at]);
            }
            reachable[0] = false;
        }
    }
    reachable[words.len()]
}

/// Suggestions beyond these are not tried out.
const MOST_SUGGESTIONS: usize = 20;

#[cfg(test)]
mod tests {
    use super::topic_matches;

    #[test]
    fn topics() {
        for (pattern, key) in [
            ("order.*", "order.created"),
            ("#", "a.b.c"),
            ("#", ""),
            ("a.#", "a"),
            ("#.c", "a.b.c"),
            ("a.#.d", "a.d"),
            ("*.*", "a.b"),
        ] {
            assert!(topic_matches(pattern, key), "{pattern} {key}");
        }
        for (pattern, key) in [
            ("order.*", "order"),
            ("order.*", "order.a.b"),
            ("a.#.d", "a.b"),
            ("*", "a.b"),
            ("a", "b"),
        ] {
            assert!(!topic_matches(pattern, key), "{pattern} {key}");
        }
    }
}
