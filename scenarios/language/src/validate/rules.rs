//! Combinations that cannot work: deadlocks, endless loops at one instant, and requests for unbounded memory.

use queuelab_core::{HashKind, Overflow};

use super::{Check, grouped};
use crate::error::Problem;
use crate::raw::RawScenario;
use crate::scenario::{Arrivals, Distribution, ExchangeType, Scenario, Size, Target};
use crate::units::short;

pub(super) fn check(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    dead_letters_into_blocking_queues(check, raw, scenario);
    dead_letter_cycles(check, raw, scenario);
    bodies_that_never_fit(check, raw, scenario);
    time_that_stands_still(check, raw, scenario);
    hashes_that_are_too_large(check, raw, scenario);
}

/// A dead letter has no producer that could wait.
fn dead_letters_into_blocking_queues(
    check: &mut Check<'_>,
    raw: &RawScenario,
    scenario: &Scenario,
) {
    for (queue, raw) in scenario.queues.iter().zip(&raw.queue) {
        let (Some(target), Some(given)) = (&queue.dead_letter, &raw.value.dead_letter) else {
            continue;
        };
        for index in scenario.reached_by(target) {
            let reached = &scenario.queues[index];
            if reached.overflow == Overflow::Block {
                let name = short(&reached.name);
                let problem = Problem::new(
                    given.span.clone(),
                    format!(
                        "the dead-letter target `{name}` blocks when it is full, but a dead letter cannot wait"
                    ),
                );
                check.push(problem.help(format!("give `{name}` another `overflow`")));
            }
        }
    }
}

/// Full queues that move their oldest message round in a circle would never come to rest.
fn dead_letter_cycles(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    let displaced_to: Vec<Vec<usize>> = scenario
        .queues
        .iter()
        .map(|queue| match &queue.dead_letter {
            Some(target) if queue.overflow == Overflow::DeadLetter => scenario.reached_by(target),
            _ => Vec::new(),
        })
        .collect();
    // A queue that can be taken away, because it displaces to none that is left, is in no cycle.
    let mut waits_for: Vec<usize> = displaced_to.iter().map(Vec::len).collect();
    let mut comes_from = vec![Vec::new(); displaced_to.len()];
    for (from, targets) in displaced_to.iter().enumerate() {
        for to in targets {
            comes_from[*to].push(from);
        }
    }
    let mut free: Vec<usize> = (0..waits_for.len())
        .filter(|queue| waits_for[*queue] == 0)
        .collect();
    while let Some(queue) = free.pop() {
        for from in &comes_from[queue] {
            waits_for[*from] -= 1;
            if waits_for[*from] == 0 {
                free.push(*from);
            }
        }
    }
    if let Some(queue) = waits_for.iter().position(|count| *count > 0)
        && let Some(given) = &raw.queue[queue].value.dead_letter
    {
        let problem = Problem::new(
            given.span.clone(),
            "full queues displace messages to each other in a circle",
        );
        check.push(problem.help("let one of them drop or reject instead"));
    }
}

/// A body above `max_bytes` would block its connection forever.
fn bodies_that_never_fit(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    for (producer, raw) in scenario.producers.iter().zip(&raw.producer) {
        let (Size::Fixed(largest) | Size::Uniform(_, largest)) = producer.size else {
            continue;
        };
        for index in producer
            .to
            .iter()
            .flat_map(|(target, _)| scenario.reached_by(target))
        {
            let queue = &scenario.queues[index];
            if queue.overflow == Overflow::Block
                && queue.max_bytes.is_some_and(|most| most < largest)
            {
                let span = raw
                    .value
                    .size
                    .as_ref()
                    .map_or(raw.span.clone(), |size| size.span.clone());
                let message = format!(
                    "bodies of {largest} bytes never fit into the queue `{}`: its producers would block forever",
                    short(&queue.name)
                );
                check.push(
                    Problem::new(span, message)
                        .help("write a larger `max_bytes`, or another `overflow`"),
                );
                break;
            }
        }
    }
}

/// A closed loop in which nothing takes time goes round endlessly at one instant.
fn time_that_stands_still(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    let no_time = |distribution: &Distribution| distribution.mean() == 0.0;
    let (cpu, network) = (&scenario.cluster.cpu, &scenario.cluster.network);
    // The loop goes round without waiting for the ack, so what that costs does not hold it up.
    let costs = [cpu.publish, cpu.deliver, cpu.per_batch];
    if !no_time(&network.clients) || costs.iter().any(|cost| !cost.is_zero()) {
        return;
    }
    for (producer, raw) in scenario.producers.iter().zip(&raw.producer) {
        let Arrivals::Closed { think, .. } = &producer.arrivals else {
            continue;
        };
        if !no_time(think) || producer.limit.is_some() {
            continue;
        }
        let reached: Vec<_> = producer
            .to
            .iter()
            .flat_map(|(target, _)| scenario.reached_by(target))
            .collect();
        let takes_time = scenario
            .consumers
            .iter()
            .any(|consumer| consumer.from.iter().any(|queue| reached.contains(queue)))
            && scenario
                .consumers
                .iter()
                .all(|consumer| !no_time(&consumer.service));
        if !takes_time {
            let message = format!(
                "the closed loop of `{}` takes no time at all: the run would never get past its first moment",
                short(&producer.name)
            );
            check.push(
                Problem::new(raw.span.clone(), message)
                    .help("give it a `think` time or a `limit`, or let the service take time"),
            );
        }
    }
    for (consumer, raw) in scenario.consumers.iter().zip(&raw.consumer) {
        // A refused message comes back at once; the expected number of rounds is 1 / (1 - p).
        if let crate::Ack::Manual {
            nack: Some(nack), ..
        } = consumer.ack
            && nack.requeue
            && nack.probability > 0.999
            && no_time(&consumer.service)
        {
            let span = raw
                .value
                .nack
                .as_ref()
                .map_or(raw.span.clone(), |nack| nack.span.clone());
            let problem = Problem::new(
                span,
                "refused messages come back without any time in between, more than a thousand times each",
            );
            check.push(problem.help("let the service take time, or write a smaller probability"));
        }
    }
}

/// Points of a ring, or slots of a table.
fn hashes_that_are_too_large(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    let mut points = vec![0_u64; scenario.exchanges.len()];
    for binding in scenario.queues.iter().flat_map(|queue| &queue.bind) {
        if let ExchangeType::ConsistentHash(
            HashKind::Ring { vnodes } | HashKind::BoundedRing { vnodes, .. },
        ) = scenario.exchanges[binding.exchange].kind
        {
            points[binding.exchange] += u64::from(vnodes) * u64::from(binding.weight);
        }
    }
    for (exchange, points) in raw.exchange.iter().zip(points) {
        if points > MOST_POINTS {
            let message = format!(
                "the ring has {} points, more than {}",
                grouped(points),
                grouped(MOST_POINTS)
            );
            let span = exchange
                .value
                .hash
                .as_ref()
                .map_or(exchange.value.name.span.clone(), |hash| hash.span.clone());
            check
                .push(Problem::new(span, message).help("write fewer `vnodes`, or smaller weights"));
        }
    }
}

impl Scenario {
    /// The queues that a message to `target` may come to: for an exchange, all that are bound to it.
    pub fn reached_by(&self, target: &Target) -> Vec<usize> {
        match target {
            Target::Queue(queue) => vec![*queue],
            Target::Exchange { exchange, .. } => {
                let is_bound = |index: &usize| {
                    self.queues[*index]
                        .bind
                        .iter()
                        .any(|binding| binding.exchange == *exchange)
                };
                (0..self.queues.len()).filter(is_bound).collect()
            }
        }
    }
}

const MOST_POINTS: u64 = 10_000_000;
