//! Combinations that cannot work: deadlocks, endless loops at one instant, and requests for unbounded memory.

use queuelab_core::{Durability, GroupKind, HashKind, Overflow};

use super::{Check, grouped};
use crate::error::Problem;
use crate::raw::RawScenario;
use crate::scenario::{
    Ack, Arrivals, Consumer, Distribution, ExchangeType, Producer, Queue, Scenario, Size, Target,
};
use crate::units::short;

pub(super) fn check(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    dead_letters_into_blocking_queues(check, raw, scenario);
    dead_letter_cycles(check, raw, scenario);
    bodies_that_never_fit(check, raw, scenario);
    transactions_that_never_fit(check, raw, scenario);
    exchanges_in_a_circle(check, raw, scenario);
    nobody_else(check, raw, scenario);
    renewals(check, raw, scenario);
    time_that_stands_still(check, raw, scenario);
    services_that_stand_still(check, raw, scenario);
    hashes_that_are_too_large(check, raw, scenario);
    without_a_broker(check, raw, scenario);
}

/// Pipes between peers: nobody confirms, routes, keeps or takes back what is in them.
fn without_a_broker(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    /// Each sender has a pipe to each receiver, and each pipe its memory.
    const MOST_PIPES: u64 = 100_000;
    let brokerless = |queue: &usize| scenario.queues[*queue].brokerless;
    for (queue, raw) in scenario.queues.iter().zip(&raw.queue) {
        let routed = !queue.bind.is_empty() || queue.partitions > 1 || queue.backlog > 0;
        let dead = queue.dead_letter.as_ref();
        let dead = dead.is_some_and(|target| scenario.reached_by(target).iter().any(brokerless));
        if queue.brokerless && (routed || queue.dead_letter.is_some()) {
            let problem = Problem::new(
                raw.value.name.span.clone(),
                "a queue without a broker has no bindings, partitions, backlog or dead letters",
            );
            check.push(problem.help("leave them out, or choose another `design`"));
        } else if dead {
            let problem = Problem::new(
                raw.value.name.span.clone(),
                "its dead letters would go to a queue without a broker",
            );
            check.push(problem.help("name a queue at the broker as `dead_letter`"));
        }
    }
    let mut senders = vec![0; scenario.queues.len()];
    for (producer, raw) in scenario.producers.iter().zip(&raw.producer) {
        let targets = producer.to.iter();
        let reached = targets.flat_map(|(target, _)| scenario.reached_by(target));
        let (peers, brokers): (Vec<usize>, Vec<usize>) = reached.partition(brokerless);
        for queue in &peers {
            senders[*queue] += u64::from(producer.count);
        }
        let answered = producer.confirm.is_some()
            || producer.transaction.is_some()
            || producer.retry.is_some();
        if !peers.is_empty() && (answered || !brokers.is_empty()) {
            let problem = Problem::new(
                raw.value.to.span.clone(),
                "without a broker nobody confirms, and a producer has either peers or a broker",
            );
            check.push(problem.help(
                "leave `confirm`, `transaction` and `retry` out, and give other targets a producer of their own",
            ));
        }
    }
    for (consumer, raw) in scenario.consumers.iter().zip(&raw.consumer) {
        let (peers, brokers): (Vec<usize>, Vec<usize>) =
            consumer.from.iter().partition(|queue| brokerless(queue));
        let pipes: u64 = peers.iter().map(|queue| senders[*queue]).sum();
        let wrong = if peers.is_empty() {
            continue;
        } else if !brokers.is_empty() {
            "a consumer has either peers or a broker"
        } else if consumer.ack != Ack::Auto || consumer.pull.is_some() {
            "without a broker nothing is acknowledged or asked for"
        } else if pipes.saturating_mul(u64::from(consumer.count)) > MOST_PIPES {
            "more than 100,000 pipes between senders and receivers"
        } else {
            continue;
        };
        let problem = Problem::new(raw.value.from.span.clone(), wrong);
        check.push(problem.help(
            "write ack = \"auto\" without `pull`, fewer members, and a consumer of its own for the broker's queues",
        ));
    }
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

/// The size that no body of a producer exceeds, if there is one.
fn largest_body(producer: &Producer) -> Option<u64> {
    match &producer.size {
        Size::Fixed(largest) | Size::Uniform(_, largest) => Some(*largest),
        Size::Bimodal { small, large, .. } => Some(*small.max(large)),
        Size::Empirical(values) => values.iter().map(|(size, _)| *size).max(),
        Size::Lognormal { .. } => None,
    }
}

/// The smallest body of a producer; of some distributions there is none.
fn smallest_body(producer: &Producer) -> u64 {
    match &producer.size {
        Size::Fixed(smallest) | Size::Uniform(smallest, _) => *smallest,
        Size::Bimodal { small, large, .. } => *small.min(large),
        Size::Empirical(values) => values.iter().map(|(size, _)| *size).min().unwrap_or(0),
        Size::Lognormal { .. } => 0,
    }
}

/// A body above `max_bytes` would block its connection forever, or as a dead letter wait forever for its target.
fn bodies_that_never_fit(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    for (producer, raw) in scenario.producers.iter().zip(&raw.producer) {
        let Some(largest) = largest_body(producer) else {
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
            let dead = (queue.dead_letter.as_ref())
                .filter(|_| queue.policy.dead_letter_at_least_once)
                .map_or(Vec::new(), |target| scenario.reached_by(target));
            let too_small = dead
                .into_iter()
                .map(|dead| &scenario.queues[dead])
                .find(|dead| {
                    dead.overflow == Overflow::RejectPublish
                        && dead.max_bytes.is_some_and(|most| most < largest)
                });
            if let Some(dead) = too_small {
                let span = raw.value.size.as_ref().map(|size| &size.span);
                let message = format!(
                    "bodies of {largest} bytes never fit into the queue `{}`: as dead letters of `{}` they would wait for it forever, and others behind them",
                    short(&dead.name),
                    short(&queue.name)
                );
                let problem = Problem::new(span.unwrap_or(&raw.span).clone(), message);
                check.push(problem.help(
                    "write a larger `max_bytes`, another `overflow`, or leave `at_least_once` out",
                ));
                break;
            }
        }
    }
}

/// Its messages enter together: more than a queue can hold would neither enter nor wait, but be refused each time.
fn transactions_that_never_fit(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    for (producer, raw) in scenario.producers.iter().zip(&raw.producer) {
        let (Some(transaction), Some(given)) = (producer.transaction, &raw.value.transaction)
        else {
            continue;
        };
        let count = u64::from(transaction);
        let bytes = smallest_body(producer).saturating_mul(count);
        let too_small = |queue: &&Queue| {
            queue.overflow == Overflow::Block
                && queue.partitions == 1
                && (queue.max_length.is_some_and(|most| most < count)
                    || queue.max_bytes.is_some_and(|most| most < bytes))
        };
        // What an exchange or weights deal out is not for one queue to hold.
        let queue = match producer.to.as_slice() {
            [(Target::Queue(queue), _)] => scenario.queues.get(*queue),
            _ => None,
        };
        if let Some(queue) = queue.filter(too_small) {
            let message = format!(
                "a transaction of {} messages never fits into the queue `{}`: it would be refused each time",
                grouped(count),
                short(&queue.name)
            );
            check.push(
                Problem::new(given.span.clone(), message)
                    .help("write a smaller `transaction`, a larger bound, or another `overflow`"),
            );
        }
    }
}

/// A message would be routed round and round.
fn exchanges_in_a_circle(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    for (index, exchange) in raw.exchange.iter().enumerate() {
        let returns = scenario
            .onward(index)
            .any(|next| scenario.reached_exchanges(next)[index]);
        if returns {
            let problem = Problem::new(
                exchange.value.name.span.clone(),
                format!(
                    "bindings and alternates lead from the exchange `{}` back to it",
                    short(&exchange.value.name.value)
                ),
            );
            return check.push(problem.help("take one of them out"));
        }
    }
}

/// An exclusive consumer tolerates no other.
fn nobody_else(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    for (index, (consumer, raw)) in scenario.consumers.iter().zip(&raw.consumer).enumerate() {
        let Some(given) = raw.value.exclusive.as_ref().filter(|given| given.value) else {
            continue;
        };
        let others = scenario.consumers.iter().enumerate();
        let rival = others
            .filter(|(other, _)| *other != index)
            .find(|(_, other)| other.from.iter().any(|queue| consumer.from.contains(queue)));
        if let Some((_, rival)) = rival {
            let message = format!(
                "`{}` consumes the same queue: one of the two would be refused",
                short(&rival.name)
            );
            let problem = Problem::new(given.span.clone(), message);
            check.push(
                problem.help("leave `exclusive` out, or write `single_active = true` on the queue"),
            );
        }
    }
}

/// A renewal needs something that runs out, and has to come in time.
fn renewals(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    for (consumer, raw) in scenario.consumers.iter().zip(&raw.consumer) {
        let (Some(renew), Some(given)) = (consumer.renew, &raw.value.renew) else {
            continue;
        };
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
        match of_queues.chain(of_group).min() {
            None => check.push(
                Problem::new(given.span.clone(), "`renew` where no lock runs out").help(
                    "give the queue an `ack_timeout`, or the consumer a `group` of kind \"shared\"",
                ),
            ),
            Some(shortest) if renew >= shortest => check.push(
                Problem::new(
                    given.span.clone(),
                    format!("the lock runs out after {shortest}, before it is renewed"),
                )
                .help("write a shorter time"),
            ),
            Some(_) => {}
        }
    }
}

/// Messages that go round without any time in between: refused, poisoned, or published on in a circle.
fn services_that_stand_still(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    if takes_time(scenario) {
        return;
    }
    let instant =
        |consumer: &Consumer| consumer.service.mean() == 0.0 && consumer.rate_cap.is_none();
    for (consumer, raw) in scenario.consumers.iter().zip(&raw.consumer) {
        let endless = consumer.from.iter().any(|queue| {
            let policy = &scenario.queues[*queue].policy;
            policy.delivery_limit.is_none() && policy.retry_delay.is_none()
        });
        if let Some(given) = raw
            .value
            .poison
            .as_ref()
            .filter(|given| given.value.0 > 0.0)
            && endless
            && instant(consumer)
        {
            let problem = Problem::new(
                given.span.clone(),
                "poisoned messages come back without any time in between, for ever",
            );
            check.push(
                problem.help("write a `delivery_limit` on the queue, or let the service take time"),
            );
        }
        if let Some(given) = &raw.value.then
            && goes_round(scenario, consumer, &instant)
        {
            let problem = Problem::new(
                given.span.clone(),
                "messages are published on in a circle without any time in between",
            );
            check.push(problem.help("let a service take time"));
        }
    }
}

/// Whether what `consumer` publishes comes back to it through services that take no time, never leaving.
fn goes_round(
    scenario: &Scenario,
    consumer: &Consumer,
    instant: &dyn Fn(&Consumer) -> bool,
) -> bool {
    let onward = |consumer: &Consumer| -> Vec<usize> {
        let then = consumer.then.iter().flat_map(|then| &then.to);
        let is_out = then.clone().any(|(target, _)| target.is_none());
        let targets = then.filter_map(|(target, _)| target.as_ref());
        if is_out || !instant(consumer) {
            return Vec::new();
        }
        targets
            .flat_map(|target| scenario.reached_by(target))
            .collect()
    };
    let mut seen = vec![false; scenario.queues.len()];
    let mut open = onward(consumer);
    while let Some(queue) = open.pop() {
        if std::mem::replace(&mut seen[queue], true) {
            continue;
        }
        let next = scenario
            .consumers
            .iter()
            .filter(|other| other.from.contains(&queue));
        open.extend(next.flat_map(onward));
    }
    consumer.from.iter().any(|queue| seen[*queue])
}

/// Whether a message takes time on its way from a producer to a consumer, whatever they do.
fn takes_time(scenario: &Scenario) -> bool {
    let (cpu, network) = (&scenario.cluster.cpu, &scenario.cluster.network);
    // The loop goes round without waiting for the ack, so what that costs does not hold it up.
    let costs = [cpu.publish, cpu.deliver, cpu.per_batch];
    network.clients.mean() > 0.0 || costs.iter().any(|cost| !cost.is_zero())
}

/// A closed loop in which nothing takes time goes round endlessly at one instant.
fn time_that_stands_still(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    let no_time = |distribution: &Distribution| distribution.mean() == 0.0;
    unlimited_producers(check, raw, scenario);
    if takes_time(scenario) {
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

/// "max" has to be held back by something.
fn unlimited_producers(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    let takes_time = takes_time(scenario);
    for (producer, raw) in scenario.producers.iter().zip(&raw.producer) {
        if producer.arrivals != Arrivals::Max || producer.limit.is_some() {
            continue;
        }
        let answered = producer.confirm.is_some() || producer.transaction.is_some();
        let blocks = |queue: &usize| {
            let queue = &scenario.queues[*queue];
            let bounded = queue.max_length.is_some() || queue.max_bytes.is_some();
            bounded && queue.overflow == Overflow::Block || queue.brokerless
        };
        let syncs = |queue: &usize| {
            scenario.queues[*queue].durability == Durability::Fsync
                && scenario.cluster.disk.fsync.mean() > 0.0
        };
        let mut reached = producer
            .to
            .iter()
            .flat_map(|(target, _)| scenario.reached_by(target));
        let held_back = reached.clone().any(|queue| blocks(&queue))
            || answered && (takes_time || reached.any(|queue| syncs(&queue)));
        if !held_back {
            let message = format!(
                "nothing holds `{}` back: it would send without end at one instant",
                short(&producer.name)
            );
            check.push(Problem::new(raw.span.clone(), message).help(
                "give it `confirm`, a `limit`, or a queue with a bound and overflow = \"block\"",
            ));
        }
    }
}

/// Points of a ring, or slots of a table.
fn hashes_that_are_too_large(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    let mut points = vec![0_u64; scenario.exchanges.len()];
    let of_queues = scenario.queues.iter().flat_map(|queue| &queue.bind);
    let of_exchanges = scenario
        .exchanges
        .iter()
        .flat_map(|exchange| &exchange.bind);
    for binding in of_queues.chain(of_exchanges) {
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
    /// The queues that a message to `target` may come to: for an exchange, all that are bound to it or to exchanges behind it.
    pub fn reached_by(&self, target: &Target) -> Vec<usize> {
        match target {
            Target::Queue(queue) => vec![*queue],
            Target::Exchange { exchange, .. } => {
                let exchanges = self.reached_exchanges(*exchange);
                let is_reached = |index: &usize| {
                    let bindings = &self.queues[*index].bind;
                    bindings.iter().any(|binding| exchanges[binding.exchange])
                };
                (0..self.queues.len()).filter(is_reached).collect()
            }
        }
    }

    /// The exchanges that a message to `exchange` may come through: those that are bound to it, and alternates.
    fn reached_exchanges(&self, exchange: usize) -> Vec<bool> {
        let mut reached = vec![false; self.exchanges.len()];
        let mut open = vec![exchange];
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                open.extend(self.onward(at));
            }
        }
        reached
    }

    /// The exchanges that get messages from `exchange`.
    fn onward(&self, exchange: usize) -> impl Iterator<Item = usize> {
        let bound = move |other: &usize| {
            let bindings = &self.exchanges[*other].bind;
            bindings.iter().any(|binding| binding.exchange == exchange)
        };
        let alternate = self.exchanges[exchange].alternate;
        (0..self.exchanges.len()).filter(bound).chain(alternate)
    }
}

const MOST_POINTS: u64 = 10_000_000;
