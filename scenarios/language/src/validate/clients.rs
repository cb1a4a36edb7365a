//! Producers and consumers.

use super::machines::distribution;
use super::topology::{Places, routing_key, target};
use super::{Check, MOST_MEMBERS, grouped, not_known};
use crate::error::Problem;
use crate::raw::{
    ConfirmTable, KeysKind, KeysTable, Queues, RawAck, RawArrivals, RawConfirm, RawConsumer,
    RawKeys, RawProducer, RawQueueKind, RawRate, RawScenario, RawSegment, RawSize, RawTarget,
    RawTargets, RawWhenFull, RawWord, SizeKind,
};
use crate::scenario::{
    Ack, Arrivals, BurstSize, Confirm, Consumer, Distribution, Keys, MessageMix, Nack, Phase,
    Producer, Rate, Size, Target, WhenFull,
};
use crate::shape::{At, Named, RateText, SizeText};
use queuelab_core::{Offset, Span};

pub(super) fn producers(
    check: &mut Check<'_>,
    raw: &RawScenario,
    places: &Places<'_>,
    phases: &[Phase],
) -> Vec<Producer> {
    let mut keys_left = MOST_KEYS;
    let mut producers = Vec::new();
    for producer in &raw.producer {
        producers.push(self::producer(check, producer, raw, places, phases));
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
) -> Producer {
    let raw = &at.value;
    let to = targets(check, &raw.to, places);
    let has_durable = to
        .iter()
        .any(|(target, _)| reaches_durable(target, scenario));
    Producer {
        name: raw.name.value.clone(),
        count: members(check, raw.count.as_ref()),
        arrivals: arrivals(check, at, phases),
        message_key: raw
            .message_key
            .as_ref()
            .map_or(Keys::None, |given| keys(check, given)),
        size: raw
            .size
            .as_ref()
            .map_or(Size::Fixed(100), |given| size(check, given)),
        persistent: raw.persistent.as_ref().is_none_or(|given| given.value),
        confirm: confirm(check, raw.confirm.as_ref(), has_durable),
        buffer: check.count("buffer", &raw.buffer, 10_000, 1..=1_000_000_000),
        when_full: match raw.when_full {
            RawWhenFull::Wait => WhenFull::Wait,
            RawWhenFull::Drop => WhenFull::Drop,
        },
        reconnect: check.reconnect(&raw.reconnect),
        mandatory: raw.mandatory,
        limit: raw
            .limit
            .is_some()
            .then(|| check.count("limit", &raw.limit, 1, 1..=1_000_000_000_000)),
        properties: MessageMix::default(),
        burst: BurstSize::One,
        batch: None,
        transaction: None,
        retry: None,
        patience: None,
        idempotent: false,
        start: Distribution::Constant(Span::ZERO),
        churn: None,
        to,
    }
}

fn members(check: &mut Check<'_>, given: Option<&At<crate::shape::Count>>) -> u32 {
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
    scenario.queue.iter().enumerate().any(|(index, queue)| {
        queue.value.kind == RawQueueKind::Durable
            && match target {
                Target::Queue(queue) => *queue == index,
                Target::Exchange { exchange, .. } => {
                    let name = &scenario.exchange[*exchange].value.name.value;
                    queue
                        .value
                        .bind
                        .iter()
                        .any(|bind| bind.exchange.value == *name)
                }
            }
    })
}

/// Confirms are on wherever a message may be stored; for memory queues only, they are a matter of choice.
fn confirm(
    check: &mut Check<'_>,
    raw: Option<&At<RawConfirm>>,
    has_durable: bool,
) -> Option<Confirm> {
    let table = match raw.map(|raw| &raw.value) {
        Some(RawConfirm::Switch(false)) => return None,
        None if !has_durable => return None,
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

fn arrivals(check: &mut Check<'_>, at: &At<RawProducer>, phases: &[Phase]) -> Arrivals {
    let raw = &at.value;
    if raw.arrivals == RawArrivals::Closed {
        if let Some(rate) = &raw.rate {
            let problem = Problem::new(
                rate.span.clone(),
                "closed arrivals have no `rate`: each message waits for the one before",
            );
            check.push(problem.help("write `think`, or other arrivals"));
        }
        return Arrivals::Closed {
            think: raw
                .think
                .as_ref()
                .map_or(Distribution::Constant(Span::ZERO), |think| {
                    distribution(check, think)
                }),
            ramp: Span::ZERO,
        };
    }
    check.misplaced(&raw.think, "`think` belongs to arrivals = \"closed\"");
    let rate = match &raw.rate {
        Some(rate) => self::rate(check, rate, phases),
        None => {
            let problem = Problem::new(
                at.span.clone(),
                format!("the producer `{}` has no rate", raw.name.value),
            );
            check.push(problem.help("add `rate = \"200/s\"`"));
            Rate {
                segments: Vec::new(),
            }
        }
    };
    match raw.arrivals {
        RawArrivals::Constant => Arrivals::Constant(rate),
        _ => Arrivals::Poisson(rate),
    }
}

fn rate(check: &mut Check<'_>, raw: &At<RawRate>, phases: &[Phase]) -> Rate {
    let segments = match &raw.value {
        RawRate::Text(RateText(rate)) => vec![(*rate, *rate); phases.len()],
        RawRate::List(ends) => whole_ramp(ramp(check, raw, ends), phases),
        RawRate::Table(by_phase) => rate_by_phase(check, raw, by_phase, phases),
    };
    if check.problems.is_empty() && segments.iter().all(|ends| *ends == (0.0, 0.0)) {
        check.push(
            Problem::new(raw.span.clone(), "the rate is 0 throughout")
                .help("leave the producer out"),
        );
    }
    Rate { segments }
}

fn ramp<T>(check: &mut Check<'_>, at: &At<T>, ends: &[RateText]) -> (f64, f64) {
    match ends {
        [RateText(from), RateText(to)] => (*from, *to),
        _ => {
            check.push(
                Problem::new(at.span.clone(), "a ramp has two rates")
                    .help("for example [\"200/s\", \"4000/s\"]"),
            );
            (0.0, 0.0)
        }
    }
}

/// One ramp over the whole run, cut at the phases' ends.
fn whole_ramp((from, to): (f64, f64), phases: &[Phase]) -> Vec<(f64, f64)> {
    let end = phases
        .last()
        .map_or(1.0, |phase| phase.until.as_secs_f64())
        .max(1e-9);
    let at = |secs: f64| from + (to - from) * secs / end;
    phases
        .iter()
        .map(|phase| (at(phase.from.as_secs_f64()), at(phase.until.as_secs_f64())))
        .collect()
}

fn rate_by_phase(
    check: &mut Check<'_>,
    at: &At<RawRate>,
    by_phase: &Named<RawSegment>,
    phases: &[Phase],
) -> Vec<(f64, f64)> {
    let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
    let mut segments = vec![None; phases.len()];
    let mut otherwise = None;
    for (name, rate) in &by_phase.0 {
        let ends = match &rate.value {
            RawSegment::Text(RateText(rate)) => (*rate, *rate),
            RawSegment::List(ends) => ramp(check, rate, ends),
        };
        match names.iter().position(|phase| *phase == name.value) {
            _ if name.value == "else" => otherwise = Some(ends),
            Some(phase) => segments[phase] = Some(ends),
            None => check.push_unknown(name, "phase", names.iter().copied()),
        }
    }
    let missing: Vec<_> = names
        .iter()
        .zip(&segments)
        .filter(|(_, ends)| ends.is_none())
        .map(|(name, _)| *name)
        .collect();
    if otherwise.is_none()
        && let Some(name) = missing.first()
    {
        let problem = Problem::new(
            at.span.clone(),
            format!("there is no rate for the phase `{name}`"),
        );
        check.push(problem.help("add it, or `else = \"200/s\"` for all others"));
    }
    segments
        .into_iter()
        .map(|ends| ends.or(otherwise).unwrap_or((0.0, 0.0)))
        .collect()
}

fn keys(check: &mut Check<'_>, raw: &At<RawKeys>) -> Keys {
    match &raw.value {
        RawKeys::Text(text) if text == "none" => Keys::None,
        RawKeys::Text(text) => {
            let text = At {
                value: text.clone(),
                span: raw.span.clone(),
            };
            let help = match text.value.as_str() {
                "round-robin" | "uniform" => {
                    format!("write {{ dist = \"{}\", keys = 1000 }}", text.value)
                }
                "zipf" => "write { dist = \"zipf\", keys = 1000, exponent = 1.1 }".into(),
                "hot" => "write { dist = \"hot\", keys = 1000, hot = 1, share = 0.5 }".into(),
                word => format!(
                    "for one fixed key write [\"{}\"]",
                    crate::units::short(word)
                ),
            };
            check.push(not_known(&text, "choice of keys", &["none"]).help(help));
            Keys::None
        }
        RawKeys::List(words) if words.is_empty() => {
            check.push(
                Problem::new(raw.span.clone(), "the list of keys is empty")
                    .help("write \"none\" for no key"),
            );
            Keys::None
        }
        RawKeys::List(words) => Keys::Words(
            words
                .iter()
                .map(|word| self::word(check, word, raw))
                .collect(),
        ),
        RawKeys::Table(table) => keys_table(check, table),
    }
}

fn word(check: &mut Check<'_>, word: &RawWord, list: &At<RawKeys>) -> (String, f64) {
    let (key, weight) = match word {
        RawWord::Text(key) => (key, 1.0),
        RawWord::Table(table) => (&table.key, check.weight(&table.weight)),
    };
    (
        routing_key(
            check,
            &At {
                value: key.clone(),
                span: list.span.clone(),
            },
        ),
        weight,
    )
}

fn keys_table(check: &mut Check<'_>, raw: &KeysTable) -> Keys {
    let keys = check.count32("keys", &Some(raw.keys.clone()), 1, 1..=MOST_KEYS);
    if raw.dist.value != KeysKind::Zipf {
        check.misplaced(&raw.exponent, "`exponent` belongs to dist = \"zipf\"");
    }
    if raw.dist.value != KeysKind::Hot {
        check.misplaced(&raw.hot, "`hot` belongs to dist = \"hot\"");
        check.misplaced(&raw.share, "`share` belongs to dist = \"hot\"");
    }
    match raw.dist.value {
        KeysKind::RoundRobin => Keys::RoundRobin { keys },
        KeysKind::Uniform => Keys::Uniform { keys },
        KeysKind::Zipf => Keys::Zipf {
            keys,
            exponent: check.number("exponent", &raw.exponent, 1.0, 0.0..=100.0),
        },
        KeysKind::Hot => {
            if raw.share.is_none() {
                check.push(
                    Problem::new(raw.dist.span.clone(), "hot keys need a `share`")
                        .help("add `share = 0.5`"),
                );
            }
            let hot = check.count32("hot", &raw.hot, 1, 1..=keys);
            let share = check.number("share", &raw.share, 0.5, 0.0..=1.0);
            if hot == keys && share < 1.0 {
                check.push(Problem::new(
                    raw.keys.span.clone(),
                    "all keys are hot: nothing is left for the other messages",
                ));
            }
            Keys::Hot { keys, hot, share }
        }
    }
}

fn size(check: &mut Check<'_>, raw: &At<RawSize>) -> Size {
    let table = match &raw.value {
        RawSize::Text(size) => {
            return Size::Fixed(body(
                check,
                &At {
                    value: *size,
                    span: raw.span.clone(),
                },
            ));
        }
        RawSize::Table(table) => table,
    };
    let kind = match &table.dist {
        Some(kind) => kind.value,
        None if table.median.is_some() || table.p99.is_some() => SizeKind::Lognormal,
        None => SizeKind::Uniform,
    };
    match kind {
        SizeKind::Uniform => {
            check.misplaced(&table.median, "`median` belongs to dist = \"lognormal\"");
            check.misplaced(&table.p99, "`p99` belongs to dist = \"lognormal\"");
            match pair(check, raw, (&table.min, "min"), (&table.max, "max")) {
                Some((min, max)) if min <= max => Size::Uniform(min, max),
                other => wrong_order(check, raw, other.is_some(), "`min` is above `max`"),
            }
        }
        SizeKind::Lognormal => {
            check.misplaced(&table.min, "`min` belongs to dist = \"uniform\"");
            check.misplaced(&table.max, "`max` belongs to dist = \"uniform\"");
            match pair(check, raw, (&table.median, "median"), (&table.p99, "p99")) {
                Some((median, p99)) if 0 < median && median < p99 => Size::Lognormal {
                    median: median as f64,
                    p99: p99 as f64,
                },
                other => wrong_order(
                    check,
                    raw,
                    other.is_some(),
                    "`median` must be above 0 and below `p99`",
                ),
            }
        }
    }
}

fn pair(
    check: &mut Check<'_>,
    at: &At<RawSize>,
    (low, low_key): (&Option<At<SizeText>>, &str),
    (high, high_key): (&Option<At<SizeText>>, &str),
) -> Option<(u64, u64)> {
    match (low, high) {
        (Some(low), Some(high)) => Some((body(check, low), body(check, high))),
        _ => {
            check.push(Problem::new(
                at.span.clone(),
                format!("a distribution of sizes by `{low_key}` and `{high_key}` needs both"),
            ));
            None
        }
    }
}

fn wrong_order(check: &mut Check<'_>, at: &At<RawSize>, given: bool, message: &str) -> Size {
    if given {
        check.push(Problem::new(at.span.clone(), message));
    }
    Size::Fixed(0)
}

/// A body's size, bounded as RabbitMQ bounds it.
fn body(check: &mut Check<'_>, size: &At<SizeText>) -> u64 {
    if size.value.0 > LARGEST_BODY {
        check.push(Problem::new(
            size.span.clone(),
            "a message has at most 128MiB",
        ));
    }
    size.value.0.min(LARGEST_BODY)
}

pub(super) fn consumers(
    check: &mut Check<'_>,
    raw: &RawScenario,
    places: &Places<'_>,
) -> Vec<Consumer> {
    raw.consumer
        .iter()
        .map(|consumer| self::consumer(check, &consumer.value, places))
        .collect()
}

fn consumer(check: &mut Check<'_>, raw: &RawConsumer, places: &Places<'_>) -> Consumer {
    Consumer {
        name: raw.name.value.clone(),
        from: from(check, &raw.from, places),
        count: members(check, raw.count.as_ref()),
        prefetch: check.count32("prefetch", &raw.prefetch, 50, 0..=65_535),
        service: raw
            .service
            .as_ref()
            .map_or(Distribution::Constant(Span::ZERO), |given| {
                distribution(check, given)
            }),
        concurrency: check.count32("concurrency", &raw.concurrency, 1, 1..=10_000),
        ack: ack(check, raw),
        weight: check.count32("weight", &raw.weight, 1, 1..=1_000_000),
        reconnect: check.reconnect(&raw.reconnect),
        service_by_phase: Vec::new(),
        channel_prefetch: None,
        priority: 0,
        exclusive: false,
        selector: None,
        pull: None,
        renew: None,
        group: None,
        offset: Offset::default(),
        poison: 0.0,
        rate_cap: None,
        slow: None,
        start: Distribution::Constant(Span::ZERO),
        churn: None,
        patience: None,
        then: None,
    }
}

fn from(check: &mut Check<'_>, raw: &At<Queues>, places: &Places<'_>) -> Vec<usize> {
    let names = match &raw.value {
        Queues::Text(name) => &vec![At {
            value: name.clone(),
            span: raw.span.clone(),
        }],
        Queues::List(names) => names,
    };
    if names.is_empty() {
        check.push(Problem::new(
            raw.span.clone(),
            "the list of queues is empty",
        ));
    }
    let mut queues = Vec::new();
    for name in names {
        let Some(queue) = check.resolve(name, &places.queues) else {
            continue;
        };
        if queues.contains(&queue) {
            check.push(Problem::new(
                name.span.clone(),
                format!("the queue `{}` is named twice", name.value),
            ));
        }
        queues.push(queue);
    }
    queues
}

fn ack(check: &mut Check<'_>, raw: &RawConsumer) -> Ack {
    if raw.ack == RawAck::Auto {
        check.misplaced(&raw.every, "`every` belongs to ack = \"manual\"");
        check.misplaced(&raw.nack, "`nack` belongs to ack = \"manual\"");
        return Ack::Auto;
    }
    let every = check.count32("every", &raw.every, 1, 1..=65_535);
    let prefetch = raw
        .prefetch
        .as_ref()
        .map_or(50, |prefetch| prefetch.value.0);
    if let Some(given) = &raw.every
        && prefetch != 0
        && prefetch < u64::from(every)
    {
        let problem = Problem::new(
            given.span.clone(),
            format!(
                "one ack for {every} messages, but a prefetch of {prefetch}: the consumer would wait forever"
            ),
        );
        check.push(problem.help(format!(
            "write a `prefetch` of {every} or more, or a smaller `every`"
        )));
    }
    let nack = raw.nack.as_ref().map(|nack| {
        let probability = check.number(
            "probability",
            &Some(nack.value.probability.clone()),
            0.0,
            0.0..=1.0,
        );
        let requeue = nack.value.requeue.unwrap_or(true);
        if requeue && probability == 1.0 {
            let problem = Problem::new(
                nack.span.clone(),
                "every message is refused and comes back: nothing is ever finished",
            );
            check.push(problem.help("write a probability below 1, or `requeue = false`"));
        }
        Nack {
            probability,
            requeue,
        }
    });
    Ack::Manual { every, nack }
}

/// Most keys of one producer, and of all Zipf tables together.
const MOST_KEYS: u32 = 10_000_000;

const LARGEST_BODY: u64 = 128 << 20;
