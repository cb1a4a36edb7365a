//! Consumers: what they take, how long it takes them, and what they do then.

use queuelab_core::{Offset, Selector, Span, WallTime};

use super::distributions::{distribution, distribution_or_zero, some_time};
use super::payload::size;
use super::producers::{churn, is_set, members};
use super::streams::Groups;
use super::topology::{Places, target};
use super::{Check, Index};
use crate::error::Problem;
use crate::raw::{
    OutcomeTable, Queues, RawAck, RawConsumer, RawDistribution, RawGroupKind, RawOffset,
    RawOutcome, RawOutcomes, RawPull, RawQueueKind, RawScenario, RawSlow, RawStart, RawTarget,
    RawThen, TargetTable,
};
use crate::scenario::{Ack, Consumer, Distribution, Nack, Phase, Pull, Slow, Target, Then};
use crate::shape::{At, Duration, Named};
use crate::units::short;

pub(super) fn consumers(
    check: &mut Check<'_>,
    raw: &RawScenario,
    places: &Places<'_>,
    phases: &[Phase],
    groups: &mut Groups,
) -> Vec<Consumer> {
    raw.consumer
        .iter()
        .map(|consumer| self::consumer(check, &consumer.value, raw, places, phases, groups))
        .collect()
}

fn consumer(
    check: &mut Check<'_>,
    raw: &RawConsumer,
    scenario: &RawScenario,
    places: &Places<'_>,
    phases: &[Phase],
    groups: &mut Groups,
) -> Consumer {
    let from = from(check, &raw.from, &places.queues);
    source_fits(check, raw, scenario, &from);
    combinations(check, raw);
    Consumer {
        name: raw.name.value.clone(),
        count: members(check, raw.count.as_ref()),
        prefetch: check.count32("prefetch", &raw.prefetch, 50, 0..=65_535),
        service: distribution_or_zero(check, &raw.service),
        concurrency: check.count32("concurrency", &raw.concurrency, 1, 1..=10_000),
        ack: ack(check, raw, scenario, &from),
        weight: check.count32("weight", &raw.weight, 1, 1..=1_000_000),
        reconnect: check.reconnect(&raw.reconnect),
        reconnect_spread: (raw.reconnect_spread.as_ref())
            .map_or(Span::ZERO, |spread| spread.value.0),
        service_by_phase: raw
            .service_by_phase
            .as_ref()
            .map(|by_phase| service_by_phase(check, raw, by_phase, phases))
            .unwrap_or_default(),
        channel_prefetch: raw
            .channel_prefetch
            .is_some()
            .then(|| check.count32("channel_prefetch", &raw.channel_prefetch, 1, 1..=65_535)),
        priority: raw.priority.as_ref().map_or(0, |priority| priority.value.0),
        exclusive: is_set(&raw.exclusive),
        selector: raw
            .selector
            .as_ref()
            .map(|selector| self::selector(check, selector)),
        pull: raw.pull.as_ref().map(|pull| self::pull(check, pull)),
        renew: check.duration("renew", &raw.renew),
        group: raw
            .group
            .as_ref()
            .and_then(|group| groups.of_consumer(check, group, &from)),
        offset: raw
            .offset
            .as_ref()
            .map_or(Offset::default(), |offset| self::offset(&offset.value)),
        poison: check.number("poison", &raw.poison, 0.0, 0.0..=1.0),
        rate_cap: raw.rate_cap.as_ref().map(|cap| {
            if cap.value.0 == 0.0 {
                check.push(Problem::new(cap.span.clone(), "`rate_cap` cannot be 0"));
            }
            cap.value.0
        }),
        slow: raw.slow.as_ref().map(|slow| self::slow(check, &slow.value)),
        start: distribution_or_zero(check, &raw.start),
        churn: raw.churn.as_ref().map(|churn| self::churn(check, churn)),
        patience: raw
            .patience
            .as_ref()
            .map(|patience| some_time(check, "patience", patience)),
        then: raw
            .then
            .as_ref()
            .map(|then| self::then(check, raw, then, places)),
        from,
    }
}

/// Queues are emptied, streams are read: what a consumer may ask for depends on which it takes from.
fn source_fits(check: &mut Check<'_>, raw: &RawConsumer, scenario: &RawScenario, from: &[usize]) {
    fn place<T>(given: &Option<At<T>>) -> Option<std::ops::Range<usize>> {
        given.as_ref().map(|given| given.span.clone())
    }
    let is_stream = |queue: &usize| scenario.queue[*queue].value.kind() == RawQueueKind::Stream;
    let streams = from.iter().filter(|queue| is_stream(queue)).count();
    if from.is_empty() {
        return;
    }
    if streams == 0 {
        check.misplaced(&raw.group, "`group` belongs to consumers of streams");
        check.misplaced(&raw.offset, "`offset` belongs to consumers of streams");
    } else if streams < from.len() {
        check.push(
            Problem::new(
                raw.from.span.clone(),
                "a consumer takes from queues or from streams, not from both",
            )
            .help("write two consumers"),
        );
    } else {
        for (key, given) in [
            ("priority", place(&raw.priority)),
            ("exclusive", place(&raw.exclusive)),
            ("selector", place(&raw.selector)),
            ("pull", place(&raw.pull)),
            ("weight", place(&raw.weight)),
        ] {
            if let Some(span) = given {
                let message = format!("a consumer of a stream has no `{key}`");
                check.push(Problem::new(span, message).help("leave it out"));
            }
        }
        if let (Some(offset), Some(_)) = (&raw.offset, &raw.group) {
            check.push(
                Problem::new(
                    offset.span.clone(),
                    "a group goes on where it stopped: its members have no `offset`",
                )
                .help("write `start` in its [[group]]"),
            );
        }
    }
}

/// Keys that do not go together.
fn combinations(check: &mut Check<'_>, raw: &RawConsumer) {
    if let Some(exclusive) = &raw.exclusive
        && exclusive.value
        && let Some(count) = raw.count.as_ref().filter(|count| count.value.0 > 1)
    {
        let problem = Problem::new(
            exclusive.span.clone(),
            format!("of {} members only one can be exclusive", count.value.0),
        );
        check.push(problem.help("write count = 1, or `single_active = true` on the queue"));
    }
    if raw.pull.is_some() {
        let message = "a consumer that pulls has no prefetch: it gets what it asks for";
        check.misplaced(&raw.prefetch, message);
        check.misplaced(&raw.channel_prefetch, message);
        check.misplaced(
            &raw.priority,
            "a consumer that pulls has no `priority`: it comes when it comes",
        );
        check.misplaced(&raw.selector, "a consumer that pulls has no `selector`");
    }
}

fn service_by_phase(
    check: &mut Check<'_>,
    raw: &RawConsumer,
    by_phase: &At<Named<At<RawDistribution>>>,
    phases: &[Phase],
) -> Vec<Distribution> {
    let usual = distribution_or_zero(check, &raw.service);
    let mut services = vec![usual; phases.len()];
    for (name, service) in &by_phase.value.0 {
        match phases.iter().position(|phase| phase.name == name.value) {
            Some(phase) => services[phase] = distribution(check, &service.value),
            None => check.push_unknown(
                name,
                "phase",
                phases.iter().map(|phase| phase.name.as_str()),
            ),
        }
    }
    services
}

fn selector(check: &mut Check<'_>, text: &At<String>) -> String {
    if let Err(error) = Selector::parse(&text.value) {
        let at = error.at.min(text.value.len());
        let end = text.value[at..]
            .chars()
            .next()
            .map_or(at, |c| at + c.len_utf8());
        check.push_within(text, Problem::new(at..end, error.problem));
    }
    text.value.clone()
}

fn pull(check: &mut Check<'_>, raw: &At<RawPull>) -> Pull {
    let (every, span, batch) = match &raw.value {
        RawPull::Text(Duration(every)) => (*every, &raw.span, &None),
        RawPull::Table(table) => (table.every.value.0, &table.every.span, &table.batch),
    };
    if every.is_zero() {
        check.push(
            Problem::new(
                span.clone(),
                "a consumer that pulls has to wait after an empty answer",
            )
            .help("write a duration above 0, such as \"10ms\""),
        );
    }
    Pull {
        every,
        batch: check.count32("batch", batch, 1, 1..=10_000),
    }
}

fn slow(check: &mut Check<'_>, raw: &RawSlow) -> Slow {
    Slow {
        share: check.number("share", &Some(raw.share.clone()), 0.0, 0.0..=1.0),
        factor: check.number("factor", &Some(raw.factor.clone()), 1.0, 0.001..=1e6),
    }
}

pub(super) fn offset(raw: &RawOffset) -> Offset {
    match raw {
        RawOffset::Count(count) => Offset::At(count.0),
        RawOffset::Text(RawStart::First) => Offset::First,
        RawOffset::Text(RawStart::Next) => Offset::Next,
        RawOffset::Text(RawStart::Last) => Offset::Last,
        RawOffset::Table(table) => Offset::Since(WallTime(table.since.0.0)),
    }
}

fn then(
    check: &mut Check<'_>,
    consumer: &RawConsumer,
    raw: &At<RawThen>,
    places: &Places<'_>,
) -> Then {
    let RawThen {
        to,
        transaction,
        join,
        size: given_size,
    } = &raw.value;
    if consumer.ack == RawAck::Auto {
        check.misplaced(
            transaction,
            "with ack = \"auto\" there is no ack to put into a `transaction`",
        );
    }
    Then {
        to: outcomes(check, to, places),
        transaction: is_set(transaction),
        join: is_set(join),
        size: given_size.as_ref().map(|given| size(check, given)),
    }
}

fn outcomes(
    check: &mut Check<'_>,
    raw: &At<RawOutcomes>,
    places: &Places<'_>,
) -> Vec<(Option<Target>, f64)> {
    let one = |value: RawOutcome| {
        vec![At {
            value,
            span: raw.span.clone(),
        }]
    };
    let list = match &raw.value {
        RawOutcomes::Text(name) => &one(RawOutcome::Text(name.clone())),
        RawOutcomes::Table(table) => &one(RawOutcome::Table(table.clone())),
        RawOutcomes::List(list) => list,
    };
    if list.is_empty() || list.len() > 1_000 {
        check.push(Problem::new(
            raw.span.clone(),
            "a list of targets has 1 to 1_000 entries",
        ));
        return Vec::new();
    }
    let mut outcomes = Vec::new();
    for item in list {
        let (value, weight) = match &item.value {
            RawOutcome::Text(name) => (RawTarget::Text(name.clone()), 1.0),
            RawOutcome::Table(table) => {
                let weight = check.weight(&table.weight);
                if is_set(&table.out) {
                    is_out(check, table, item);
                    outcomes.push((None, weight));
                    continue;
                }
                let target = RawTarget::Table(TargetTable {
                    queue: table.queue.clone(),
                    exchange: table.exchange.clone(),
                    key: table.key.clone(),
                    weight: None,
                });
                (target, weight)
            }
        };
        let span = item.span.clone();
        let target = target(check, &At { value, span }, places);
        outcomes.extend(target.map(|target| (Some(target), weight)));
    }
    if check.problems.is_empty() && outcomes.iter().all(|(target, _)| target.is_none()) {
        check.push(
            Problem::new(raw.span.clone(), "nothing is ever published")
                .help("leave `then` out, or name a queue or an exchange too"),
        );
    }
    outcomes
}

fn is_out(check: &mut Check<'_>, table: &OutcomeTable, at: &At<RawOutcome>) {
    if table.queue.is_some() || table.exchange.is_some() || table.key.is_some() {
        check.push(
            Problem::new(at.span.clone(), "what is out goes nowhere")
                .help("write { out = true, weight = 1 } alone"),
        );
    }
}

/// The queues that a name or a list of names stands for.
pub(super) fn from(check: &mut Check<'_>, raw: &At<Queues>, index: &Index<'_>) -> Vec<usize> {
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
        let Some(queue) = check.resolve(name, index) else {
            continue;
        };
        if queues.contains(&queue) {
            check.push(Problem::new(
                name.span.clone(),
                format!("the queue `{}` is named twice", short(&name.value)),
            ));
        }
        queues.push(queue);
    }
    queues
}

/// Whether the consumer's group gives a record up that was delivered often enough, as shared ones do unless told otherwise.
fn group_gives_up(raw: &RawConsumer, scenario: &RawScenario) -> bool {
    let Some(name) = &raw.group else {
        return false;
    };
    let mut groups = scenario.group.iter().map(|group| &group.value);
    groups.any(|group| {
        group.name.value == name.value
            && group.kind == RawGroupKind::Shared
            && group
                .delivery_limit
                .as_ref()
                .is_none_or(|limit| limit.value.0 > 0)
    })
}

fn ack(check: &mut Check<'_>, raw: &RawConsumer, scenario: &RawScenario, from: &[usize]) -> Ack {
    if raw.ack == RawAck::Auto {
        check.misplaced(&raw.every, "`every` belongs to ack = \"manual\"");
        check.misplaced(&raw.nack, "`nack` belongs to ack = \"manual\"");
        check.misplaced(&raw.poison, "`poison` belongs to ack = \"manual\"");
        check.misplaced(&raw.renew, "`renew` belongs to ack = \"manual\"");
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
    if let Some(given) = &raw.every
        && let Some(most) = raw.channel_prefetch.as_ref().map(|most| most.value.0)
        && most < u64::from(every)
    {
        let problem = Problem::new(
            given.span.clone(),
            format!(
                "one ack for {every} messages, but the channel holds {most}: the consumer would wait forever"
            ),
        );
        check.push(problem.help("write a larger `channel_prefetch`, or a smaller `every`"));
    }
    let endless = !group_gives_up(raw, scenario)
        && from
            .iter()
            .any(|queue| scenario.queue[*queue].value.delivery_limit.is_none());
    let nack = raw.nack.as_ref().map(|nack| {
        let probability = check.number(
            "probability",
            &Some(nack.value.probability.clone()),
            0.0,
            0.0..=1.0,
        );
        let requeue = nack.value.requeue.unwrap_or(true);
        if requeue && probability == 1.0 && endless {
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
