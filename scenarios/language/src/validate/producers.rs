//! Producers: who sends, where to, and what happens when it fails.

use std::ops::Range;

use queuelab_core::{Span, Value};

use super::arrivals::arrivals;
use super::distributions::{distribution, distribution_or_zero, some_time};
use super::payload::{MOST_KEYS, keys, size};
use super::topology::{Places, header, header_name, target};
use super::{Check, MOST_MEMBERS, grouped};
use crate::error::Problem;
use crate::raw::{
    ArrivalsKind, BurstKind, ConfirmTable, RawArrivals, RawBatch, RawBinding, RawBurst, RawChurn,
    RawConfirm, RawHeader, RawHeaderValue, RawJitter, RawPriority, RawProducer, RawQueue,
    RawQueueKind, RawRetry, RawRetryPolicy, RawScenario, RawTarget, RawTargets, RawWhenFull,
};
use crate::scenario::{
    Batch, Breaker, Budget, BurstSize, Churn, Confirm, Distribution, Jitter, Keys, MessageMix,
    Phase, Producer, Retry, Size, Target, WhenFull,
};
use crate::shape::{At, Count, Duration, Named};
use crate::trace::Files;

pub(super) fn producers(
    check: &mut Check<'_>,
    raw: &RawScenario,
    places: &Places<'_>,
    phases: &[Phase],
    files: &Files<'_>,
) -> Vec<Producer> {
    let mut keys_left = MOST_KEYS;
    let mut producers = Vec::new();
    for producer in &raw.producer {
        producers.push(self::producer(check, producer, raw, places, phases, files));
        let raw = &producer.value;
        if let (Some(Keys::Zipf { keys, .. }), Some(given)) = (
            producers.last().map(|producer| &producer.message_key),
            &raw.message_key,
        ) {
            match keys_left.checked_sub(*keys) {
                Some(left) => keys_left = left,
                None => {
                    let message = format!(
                        "the Zipf tables of all producers hold more than {} keys",
                        grouped(MOST_KEYS.into())
                    );
                    check.push(Problem::new(given.span.clone(), message));
                }
            }
        }
    }
    producers
}

fn producer(
    check: &mut Check<'_>,
    at: &At<RawProducer>,
    scenario: &RawScenario,
    places: &Places<'_>,
    phases: &[Phase],
    files: &Files<'_>,
) -> Producer {
    let raw = &at.value;
    combinations(check, raw);
    let to = targets(check, &raw.to, places);
    let has_durable = to
        .iter()
        .any(|(target, _)| reaches_durable(target, scenario));
    Producer {
        name: raw.name.value.clone(),
        count: members(check, raw.count.as_ref()),
        arrivals: arrivals(check, at, phases, files),
        message_key: raw
            .message_key
            .as_ref()
            .map_or(Keys::None, |given| keys(check, given)),
        size: raw
            .size
            .as_ref()
            .map_or(Size::Fixed(100), |given| size(check, given)),
        persistent: raw.persistent.as_ref().is_none_or(|given| given.value),
        confirm: confirm(check, raw, has_durable),
        buffer: check.count("buffer", &raw.buffer, 10_000, 1..=1_000_000_000),
        when_full: match raw.when_full {
            RawWhenFull::Wait => WhenFull::Wait,
            RawWhenFull::Drop => WhenFull::Drop,
        },
        reconnect: check.reconnect(&raw.reconnect),
        reconnect_spread: (raw.reconnect_spread.as_ref())
            .map_or(Span::ZERO, |spread| spread.value.0),
        mandatory: raw.mandatory,
        limit: raw
            .limit
            .is_some()
            .then(|| check.count("limit", &raw.limit, 1, 1..=1_000_000_000_000)),
        properties: mix(check, raw),
        burst: burst(check, raw.burst.as_ref()),
        batch: raw
            .batch
            .as_ref()
            .map(|batch| self::batch(check, &batch.value)),
        transaction: raw
            .transaction
            .is_some()
            .then(|| check.count32("transaction", &raw.transaction, 1, 1..=100_000)),
        retry: raw
            .retry
            .as_ref()
            .map(|retry| self::retry(check, &retry.value)),
        patience: raw
            .patience
            .as_ref()
            .map(|patience| some_time(check, "patience", patience)),
        idempotent: is_set(&raw.idempotent),
        start: distribution_or_zero(check, &raw.start),
        churn: raw.churn.as_ref().map(|churn| self::churn(check, churn)),
        to,
    }
}

pub(super) fn members(check: &mut Check<'_>, given: Option<&At<crate::shape::Count>>) -> u32 {
    check.count("count", &given.cloned(), 1, 1..=MOST_MEMBERS) as u32
}

fn targets(check: &mut Check<'_>, raw: &At<RawTargets>, places: &Places<'_>) -> Vec<(Target, f64)> {
    let one = |target: RawTarget| {
        vec![At {
            value: target,
            span: raw.span.clone(),
        }]
    };
    let list = match &raw.value {
        RawTargets::Text(name) => &one(RawTarget::Text(name.clone())),
        RawTargets::Table(table) => &one(RawTarget::Table(table.clone())),
        RawTargets::List(list) => list,
    };
    if list.is_empty() || list.len() > 1_000 {
        check.push(Problem::new(
            raw.span.clone(),
            "a list of targets has 1 to 1_000 entries",
        ));
        return Vec::new();
    }
    let mut targets = Vec::new();
    for item in list {
        let weight = match &item.value {
            RawTarget::Text(_) => 1.0,
            RawTarget::Table(table) => check.weight(&table.weight),
        };
        targets.extend(target(check, item, places).map(|target| (target, weight)));
    }
    targets
}

fn reaches_durable(target: &Target, scenario: &RawScenario) -> bool {
    let durable = |queue: &At<RawQueue>| queue.value.kind() != RawQueueKind::Memory;
    match target {
        Target::Queue(queue) => durable(&scenario.queue[*queue]),
        Target::Exchange { exchange, .. } => {
            let mut reached = vec![scenario.exchange[*exchange].value.name.value.as_str()];
            let mut at = 0;
            while let Some(name) = reached.get(at).copied() {
                let onward = scenario
                    .exchange
                    .iter()
                    .map(|other| &other.value)
                    .filter_map(|other| {
                        let alternate = other.name.value == name;
                        match &other.alternate {
                            Some(alternate_name) if alternate => {
                                Some(alternate_name.value.as_str())
                            }
                            _ if is_bound(&other.bind, name) => Some(other.name.value.as_str()),
                            _ => None,
                        }
                    });
                let new: Vec<_> = onward.filter(|name| !reached.contains(name)).collect();
                reached.extend(new);
                at += 1;
            }
            let is_reached = |queue: &&At<RawQueue>| {
                reached.iter().any(|name| is_bound(&queue.value.bind, name))
            };
            scenario.queue.iter().filter(is_reached).any(durable)
        }
    }
}

fn is_bound(bindings: &[At<RawBinding>], exchange: &str) -> bool {
    bindings
        .iter()
        .any(|bind| bind.value.exchange.value == exchange)
}

/// Confirms are on wherever a message may be stored; for memory queues only, they are a matter of choice.
fn confirm(check: &mut Check<'_>, raw: &RawProducer, has_durable: bool) -> Option<Confirm> {
    // A retry has to know what failed; a transaction's commit takes the place of confirms.
    let wanted = has_durable || raw.retry.is_some() || is_set(&raw.idempotent);
    let table = match raw.confirm.as_ref().map(|raw| &raw.value) {
        Some(RawConfirm::Switch(false)) => return None,
        None if !wanted || raw.transaction.is_some() => return None,
        None | Some(RawConfirm::Switch(true)) => &ConfirmTable::default(),
        Some(RawConfirm::Table(table)) => table,
    };
    if let Some(timeout) = table
        .timeout
        .as_ref()
        .filter(|timeout| timeout.value.0.is_zero())
    {
        check.push(
            Problem::new(timeout.span.clone(), "`timeout` cannot be 0")
                .help("leave it out for no timeout"),
        );
    }
    Some(Confirm {
        window: check.count32("window", &table.window, 100, 1..=1_000_000),
        timeout: table.timeout.as_ref().map(|timeout| timeout.value.0),
    })
}

/// Keys that do not go together.
fn combinations(check: &mut Check<'_>, raw: &RawProducer) {
    let confirms = match &raw.confirm {
        Some(confirm) => !matches!(confirm.value, RawConfirm::Switch(false)),
        None => false,
    };
    let refuses = |check: &mut Check<'_>, span: &Range<usize>, message: &str, help: &str| {
        check.push(Problem::new(span.clone(), message).help(help));
    };
    if let Some(transaction) = &raw.transaction {
        if confirms {
            refuses(
                check,
                &transaction.span,
                "a channel has either transactions or confirms",
                "leave `confirm` out: the commit's answer takes its place",
            );
        }
        if raw.retry.is_some() || is_set(&raw.idempotent) {
            refuses(
                check,
                &transaction.span,
                "`transaction` does not go with `retry` and `idempotent`, which need confirms",
                "leave one of them out",
            );
        }
        if raw.is_closed() && transaction.value.0 > 1 {
            refuses(
                check,
                &transaction.span,
                "a closed loop waits for each message, and the transaction for more messages: nothing would ever be sent",
                "write other arrivals, or leave `transaction` out",
            );
        }
    } else if raw.confirm.is_some() && !confirms {
        for (given, key) in [
            (raw.retry.as_ref().map(|given| &given.span), "retry"),
            (
                raw.idempotent.as_ref().map(|given| &given.span),
                "idempotent",
            ),
        ] {
            if let Some(span) = given {
                let message = format!("without confirms `{key}` knows of no failure");
                refuses(check, span, &message, "leave `confirm` out: it is on then");
            }
        }
    }
    if let Some(duplicates) = &raw.duplicates
        && !is_set(&raw.id)
    {
        refuses(
            check,
            &duplicates.span,
            "`duplicates` repeat an identity, but the messages have none",
            "add `id = true`",
        );
    }
}

impl RawProducer {
    /// Whether each member waits for its message.
    fn is_closed(&self) -> bool {
        self.arrivals.as_ref().is_some_and(|arrivals| {
            matches!(arrivals.value, RawArrivals::Text(ArrivalsKind::Closed))
        })
    }
}

fn mix(check: &mut Check<'_>, raw: &RawProducer) -> MessageMix {
    MessageMix {
        priority: raw
            .priority
            .as_ref()
            .map(|priority| self::priority(check, priority))
            .unwrap_or_default(),
        ttl: raw.ttl.as_ref().map(|ttl| distribution(check, ttl)),
        delay: raw.delay.as_ref().map(|delay| distribution(check, delay)),
        group_by_key: is_set(&raw.group_by_key),
        headers: raw
            .headers
            .as_ref()
            .map(|headers| self::headers(check, headers))
            .unwrap_or_default(),
        id: is_set(&raw.id),
        duplicates: check.number("duplicates", &raw.duplicates, 0.0, 0.0..=1.0),
    }
}

fn priority(check: &mut Check<'_>, raw: &At<RawPriority>) -> Vec<(u8, f64)> {
    let mut one = |given: At<Count>| check.count32("priority", &Some(given), 0, 0..=255) as u8;
    match &raw.value {
        RawPriority::Count(count) => vec![(
            one(At {
                value: *count,
                span: raw.span.clone(),
            }),
            1.0,
        )],
        RawPriority::List(list) => {
            if list.is_empty() || list.len() > 256 {
                check.push(Problem::new(
                    raw.span.clone(),
                    "a list of priorities has 1 to 256 entries",
                ));
            }
            let mut priorities = Vec::new();
            for entry in list.iter().take(256) {
                let priority =
                    check.count32("priority", &Some(entry.priority.clone()), 0, 0..=255) as u8;
                priorities.push((priority, check.weight(&entry.weight)));
            }
            priorities
        }
    }
}

fn headers(check: &mut Check<'_>, raw: &At<Named<RawHeader>>) -> Vec<(String, Vec<(Value, f64)>)> {
    if raw.value.0.len() > 100 {
        check.push(Problem::new(
            raw.span.clone(),
            "a message has at most 100 headers",
        ));
        return Vec::new();
    }
    let mut headers = Vec::new();
    for (name, given) in &raw.value.0 {
        header_name(check, name);
        let values = match &given.value {
            RawHeader::Scalar(value) => vec![(header(value), 1.0)],
            RawHeader::List(list) => {
                if list.is_empty() || list.len() > 1_000 {
                    check.push(Problem::new(
                        given.span.clone(),
                        "a list of values has 1 to 1_000 entries",
                    ));
                }
                let value = |value: &RawHeaderValue| match value {
                    RawHeaderValue::Scalar(value) => (header(value), 1.0),
                    RawHeaderValue::Table(table) => {
                        (header(&table.value), check.weight(&table.weight))
                    }
                };
                list.iter().take(1_000).map(value).collect()
            }
        };
        headers.push((name.value.clone(), values));
    }
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

fn burst(check: &mut Check<'_>, raw: Option<&At<RawBurst>>) -> BurstSize {
    match raw.map(|raw| (&raw.value, &raw.span)) {
        None => BurstSize::One,
        Some((RawBurst::Count(count), span)) => {
            let given = At {
                value: *count,
                span: span.clone(),
            };
            match check.count32("burst", &Some(given), 1, 1..=100_000) {
                1 => BurstSize::One,
                size => BurstSize::Fixed(size),
            }
        }
        Some((RawBurst::Table(table), _)) => {
            let BurstKind::Geometric = table.dist;
            BurstSize::Geometric {
                mean: check.number("mean", &Some(table.mean.clone()), 1.0, 1.0..=100_000.0),
            }
        }
    }
}

fn batch(check: &mut Check<'_>, raw: &RawBatch) -> Batch {
    Batch {
        size: check.count32("size", &Some(raw.size.clone()), 1, 1..=100_000),
        linger: raw
            .linger
            .as_ref()
            .map_or(Span::from_millis(5), |linger| linger.value.0),
    }
}

fn retry(check: &mut Check<'_>, raw: &RawRetry) -> Retry {
    let exponential = raw.policy == RawRetryPolicy::Exponential;
    let span = |given: &Option<At<Duration>>, default| {
        given.as_ref().map_or(default, |given| given.value.0)
    };
    let base = span(&raw.base, Span::from_millis(100));
    if !exponential {
        check.misplaced(&raw.max, "`max` belongs to policy = \"exponential\"");
    }
    if let Some(max) = &raw.max
        && max.value.0 < base
    {
        check.push(Problem::new(
            max.span.clone(),
            "the longest wait is shorter than the first",
        ));
    }
    Retry {
        base,
        max: if exponential {
            span(&raw.max, base.max(Span::from_secs(10)))
        } else {
            base
        },
        exponential,
        jitter: match raw.jitter {
            RawJitter::None => Jitter::None,
            RawJitter::Full => Jitter::Full,
            RawJitter::Equal => Jitter::Equal,
        },
        attempts: check.count32("attempts", &raw.attempts, 5, 2..=1_000_000),
        budget: raw.budget.as_ref().map(|budget| Budget {
            ratio: check.number(
                "ratio",
                &Some(budget.value.ratio.clone()),
                0.0,
                0.0..=1_000.0,
            ),
            burst: check.number("burst", &budget.value.burst, 10.0, 1.0..=1e9),
        }),
        breaker: raw.breaker.as_ref().map(|breaker| Breaker {
            failures: check.count32(
                "failures",
                &Some(breaker.value.failures.clone()),
                1,
                1..=1_000_000,
            ),
            open: check
                .duration("open", &Some(breaker.value.open.clone()))
                .unwrap_or_default(),
        }),
        keeps_waiting: true,
    }
}

pub(super) fn churn(check: &mut Check<'_>, raw: &At<RawChurn>) -> Churn {
    Churn {
        every: some_time(check, "every", &raw.value.every),
        away: raw
            .value
            .away
            .as_ref()
            .map_or(Distribution::Constant(Span::from_secs(1)), |away| {
                distribution(check, away)
            }),
        crash: raw.value.crash,
        declare: raw.value.declare,
    }
}

pub(super) fn is_set(given: &Option<At<bool>>) -> bool {
    given.as_ref().is_some_and(|given| given.value)
}
