//! Queues and streams: where messages wait, and what happens to them there.

use queuelab_core::{
    AckTimeout, Deduplicate, Dispatch, Durability, Growth, Overflow, QueuePolicy, Requeue,
    Retention, RetryDelay, Span,
};

use super::machines::size;
use super::topology::{Places, bindings, target};
use super::{Check, not_known};
use crate::error::{Problem, suggest};
use crate::raw::{
    RawAckTimeout, RawDeadLetter, RawDeduplicate, RawDesign, RawGrowth, RawOverflow, RawQueue,
    RawQueueKind, RawRequeue, RawRetention, RawRetryDelay, RawScenario, RawTarget,
    RawTimeoutAction, TargetTable,
};
use crate::scenario::{Design, Queue, Target};
use crate::shape::{At, Duration};
use crate::units::short;

pub(super) fn queues(check: &mut Check<'_>, raw: &RawScenario, places: &Places<'_>) -> Vec<Queue> {
    raw.queue
        .iter()
        .map(|queue| self::queue(check, &queue.value, places, raw))
        .collect()
}

fn queue(
    check: &mut Check<'_>,
    raw: &RawQueue,
    places: &Places<'_>,
    scenario: &RawScenario,
) -> Queue {
    let kind = raw.kind();
    match kind {
        RawQueueKind::Stream => refused_of_streams(check, raw),
        _ => check.misplaced(&raw.retention, "`retention` belongs to kind = \"stream\""),
    }
    let durability = match (kind, &raw.durability) {
        (RawQueueKind::Memory, None) => Durability::None,
        (RawQueueKind::Memory, Some(given)) => {
            let problem = Problem::new(given.span.clone(), "a memory queue has no durability");
            check.push(problem.help("leave it out, or write kind = \"durable\""));
            Durability::None
        }
        (RawQueueKind::Durable | RawQueueKind::Stream, given) => given
            .as_ref()
            .map_or(Durability::Fsync, |given| given.value.into()),
    };
    let max_length = raw
        .max_length
        .is_some()
        .then(|| check.count("max_length", &raw.max_length, 1, 1..=1_000_000_000_000));
    let max_bytes = raw.max_bytes.as_ref().map(|given| {
        if given.value.0 == 0 {
            check.push(Problem::new(given.span.clone(), "`max_bytes` cannot be 0"));
        }
        given.value.0
    });
    Queue {
        name: raw.name.value.clone(),
        durability,
        bind: bindings(check, &raw.bind, places, scenario),
        max_length,
        max_bytes,
        overflow: overflow(check, raw),
        dead_letter: raw
            .dead_letter
            .as_ref()
            .and_then(|given| dead_letter(check, raw, given, places)),
        dispatch: raw
            .dispatch
            .as_ref()
            .map_or(Dispatch::RoundRobin, |text| dispatch(check, text)),
        policy: policy(check, raw),
        partitions: partitions(check, raw, places),
        backlog: backlog(check, raw),
        brokerless: raw
            .design
            .as_ref()
            .is_some_and(|design| design.value == RawDesign::Zeromq),
        design: design(check, raw),
    }
}

/// A stream is read without being emptied: what speaks of messages that wait or come back has no meaning there.
fn refused_of_streams(check: &mut Check<'_>, raw: &RawQueue) {
    fn place<T>(given: &Option<At<T>>) -> Option<std::ops::Range<usize>> {
        given.as_ref().map(|given| given.span.clone())
    }
    const RETENTION: &str = "write `retention = { max_length = 100_000, max_age = \"1h\" }`";
    const SHARED: &str = "a [[group]] of kind \"shared\" has `lock` and `delivery_limit`";
    const NOTHING: &str = "leave it out, or write another `kind`";
    for (key, given, help) in [
        ("max_length", place(&raw.max_length), RETENTION),
        ("max_bytes", place(&raw.max_bytes), RETENTION),
        ("overflow", place(&raw.overflow), RETENTION),
        ("ttl", place(&raw.ttl), RETENTION),
        ("expires", place(&raw.expires), RETENTION),
        ("delivery_limit", place(&raw.delivery_limit), SHARED),
        ("ack_timeout", place(&raw.ack_timeout), SHARED),
        ("retry_delay", place(&raw.retry_delay), SHARED),
        ("requeue", place(&raw.requeue), NOTHING),
        ("dead_letter", place(&raw.dead_letter), NOTHING),
        ("dispatch", place(&raw.dispatch), NOTHING),
        ("max_priority", place(&raw.max_priority), NOTHING),
        ("single_active", place(&raw.single_active), NOTHING),
        ("groups", place(&raw.groups), NOTHING),
    ] {
        if let Some(span) = given {
            check.push(Problem::new(span, format!("a stream has no `{key}`")).help(help));
        }
    }
}

fn policy(check: &mut Check<'_>, raw: &RawQueue) -> QueuePolicy {
    let stream = raw.kind() == RawQueueKind::Stream;
    let at_least_once = match raw.dead_letter.as_ref().map(|given| &given.value) {
        Some(RawDeadLetter::Table(table)) => table.at_least_once.as_ref(),
        _ => None,
    };
    QueuePolicy {
        max_priority: check.count32("max_priority", &raw.max_priority, 0, 1..=255) as u8,
        ttl: raw.ttl.as_ref().map(|ttl| ttl.value.0),
        expires: check.duration("expires", &raw.expires),
        delivery_limit: raw
            .delivery_limit
            .is_some()
            .then(|| check.count32("delivery_limit", &raw.delivery_limit, 0, 0..=1_000_000)),
        retry_delay: raw
            .retry_delay
            .as_ref()
            .map(|delay| retry_delay(check, delay)),
        requeue: match raw.requeue.as_ref().map(|requeue| requeue.value) {
            None | Some(RawRequeue::Original) => Requeue::Original,
            Some(RawRequeue::Head) => Requeue::Head,
            Some(RawRequeue::Tail) => Requeue::Tail,
        },
        ack_timeout: raw
            .ack_timeout
            .as_ref()
            .map(|timeout| ack_timeout(check, timeout)),
        single_active: is_set(&raw.single_active),
        groups: is_set(&raw.groups),
        deduplicate: raw
            .deduplicate
            .as_ref()
            .map(|window| deduplicate(check, window)),
        dead_letter_at_least_once: at_least_once.is_some_and(|given| {
            dead_letters_can_wait(check, raw, given);
            given.value
        }),
        stream: stream.then(|| retention(check, raw.retention.as_ref())),
    }
}

/// A queue that makes room by displacing messages has none for dead letters that wait.
fn dead_letters_can_wait(check: &mut Check<'_>, raw: &RawQueue, given: &At<bool>) {
    let bounded = raw.max_length.is_some() || raw.max_bytes.is_some();
    let overflow = raw
        .overflow
        .as_ref()
        .map_or(RawOverflow::DropHead, |overflow| overflow.value);
    if given.value && bounded && matches!(overflow, RawOverflow::DropHead | RawOverflow::DeadLetter)
    {
        let problem = Problem::new(
            given.span.clone(),
            "`at_least_once` cannot be promised by a queue that drops or moves messages when it is full",
        );
        check.push(
            problem
                .help("write overflow = \"reject-publish\" or \"block\", or leave the bound out"),
        );
    }
}

fn retry_delay(check: &mut Check<'_>, raw: &At<RawRetryDelay>) -> RetryDelay {
    let RawRetryDelay {
        base,
        max,
        growth,
        jitter,
    } = &raw.value;
    let fixed = *growth == RawGrowth::Fixed;
    if fixed {
        check.misplaced(max, "`max` belongs to a delay that grows");
    }
    if let Some(max) = max
        && max.value.0 < base.value.0
    {
        check.push(Problem::new(
            max.span.clone(),
            "the longest delay is shorter than the first",
        ));
    }
    let longest = base.value.0.max(Span::from_secs(3_600));
    RetryDelay {
        base: base.value.0,
        max: match max {
            _ if fixed => base.value.0,
            Some(max) => max.value.0,
            None => longest,
        },
        growth: match growth {
            RawGrowth::Fixed => Growth::Fixed,
            RawGrowth::Linear => Growth::Linear,
            RawGrowth::Exponential => Growth::Exponential,
        },
        jitter: check.number("jitter", jitter, 0.0, 0.0..=1.0),
    }
}

fn ack_timeout(check: &mut Check<'_>, raw: &At<RawAckTimeout>) -> AckTimeout {
    let (after, span, closes_channel) = match &raw.value {
        RawAckTimeout::Text(Duration(after)) => (*after, &raw.span, false),
        RawAckTimeout::Table(table) => (
            table.after.value.0,
            &table.after.span,
            table.action == RawTimeoutAction::CloseChannel,
        ),
    };
    if after.is_zero() {
        check.push(Problem::new(span.clone(), "`ack_timeout` cannot be 0"));
    }
    AckTimeout {
        after,
        closes_channel,
    }
}

fn deduplicate(check: &mut Check<'_>, raw: &At<RawDeduplicate>) -> Deduplicate {
    let (window, span, capacity) = match &raw.value {
        RawDeduplicate::Text(Duration(window)) => (*window, &raw.span, &None),
        RawDeduplicate::Table(table) => (table.window.value.0, &table.window.span, &table.capacity),
    };
    if window.is_zero() {
        check.push(Problem::new(
            span.clone(),
            "the window of `deduplicate` cannot be 0",
        ));
    }
    Deduplicate {
        window,
        capacity: check.count32("capacity", capacity, 100_000, 1..=10_000_000),
    }
}

fn retention(check: &mut Check<'_>, raw: Option<&At<RawRetention>>) -> Retention {
    let nothing = RawRetention::default();
    let raw = raw.map_or(&nothing, |raw| &raw.value);
    Retention {
        max_bytes: size(check, "max_bytes", &raw.max_bytes),
        max_length: raw
            .max_length
            .is_some()
            .then(|| check.count("max_length", &raw.max_length, 1, 1..=1_000_000_000_000)),
        max_age: check.duration("max_age", &raw.max_age),
        segment: check.count32("segment", &raw.segment, 1_000, 1..=10_000_000),
        compact: raw.compact,
        interest: raw.interest,
    }
}

fn partitions(check: &mut Check<'_>, raw: &RawQueue, places: &Places<'_>) -> u32 {
    let Some(given) = &raw.partitions else {
        return 1;
    };
    let partitions = check.count32("partitions", &raw.partitions, 1, 1..=1_000);
    let refuse = |check: &mut Check<'_>, message: String, help: &str| {
        check.push(Problem::new(given.span.clone(), message).help(help));
    };
    let name = &raw.name.value;
    if partitions > 1
        && let Some(taken) = (0..partitions)
            .map(|partition| format!("{name}/{partition}"))
            .find(|partition| places.queues.by_name.contains_key(partition.as_str()))
    {
        let message = format!("the partition `{}` has the name of a queue", short(&taken));
        refuse(check, message, "rename that queue");
    }
    let too_small = raw
        .max_length
        .as_ref()
        .is_some_and(|most| most.value.0 < partitions.into())
        || raw
            .max_bytes
            .as_ref()
            .is_some_and(|most| most.value.0 < partitions.into());
    if too_small {
        refuse(
            check,
            "the bound is split evenly, and leaves some partitions without room".into(),
            "write a larger bound, or fewer partitions",
        );
    }
    partitions
}

fn backlog(check: &mut Check<'_>, raw: &RawQueue) -> u64 {
    let backlog = check.count("backlog", &raw.backlog, 0, 0..=MOST_BACKLOG);
    if let (Some(given), Some(most)) = (&raw.backlog, &raw.max_length)
        && backlog > most.value.0
    {
        check.push(
            Problem::new(given.span.clone(), "the backlog is above `max_length`")
                .help("write a smaller one, or a larger bound"),
        );
    }
    backlog
}

fn design(check: &mut Check<'_>, raw: &RawQueue) -> Option<Design> {
    if raw.design.is_none() {
        check.misplaced(&raw.beyond_design, "`beyond_design` without a `design`");
    }
    raw.design.as_ref().map(|design| design.value.into())
}

fn is_set(given: &Option<At<bool>>) -> bool {
    given.as_ref().is_some_and(|given| given.value)
}

impl RawQueue {
    /// Where its messages live.
    pub(super) fn kind(&self) -> RawQueueKind {
        self.kind
            .as_ref()
            .map_or(RawQueueKind::Durable, |kind| kind.value)
    }
}

fn overflow(check: &mut Check<'_>, raw: &RawQueue) -> Overflow {
    let Some(given) = &raw.overflow else {
        return Overflow::DropHead;
    };
    if raw.max_length.is_none() && raw.max_bytes.is_none() {
        let problem = Problem::new(
            given.span.clone(),
            "`overflow` without a bound never happens",
        );
        check.push(problem.help("add `max_length` or `max_bytes`"));
    }
    match given.value {
        RawOverflow::DropHead => Overflow::DropHead,
        RawOverflow::RejectPublish => Overflow::RejectPublish,
        RawOverflow::Block => Overflow::Block,
        RawOverflow::DeadLetter => {
            if raw.dead_letter.is_none() {
                let problem = Problem::new(
                    given.span.clone(),
                    "`overflow = \"dead-letter\"` needs a `dead_letter` target",
                );
                check.push(
                    problem.help("add `dead_letter` with the name of a queue or an exchange"),
                );
            }
            Overflow::DeadLetter
        }
    }
}

fn dead_letter(
    check: &mut Check<'_>,
    queue: &RawQueue,
    given: &At<RawDeadLetter>,
    places: &Places<'_>,
) -> Option<Target> {
    let value = match &given.value {
        RawDeadLetter::Text(name) => RawTarget::Text(name.clone()),
        RawDeadLetter::Table(table) => RawTarget::Table(TargetTable {
            queue: table.queue.clone(),
            exchange: table.exchange.clone(),
            key: table.key.clone(),
            weight: None,
        }),
    };
    let span = given.span.clone();
    let target = target(check, &At { value, span }, places)?;
    if let Target::Queue(index) = target
        && places.queues.by_name.get(queue.name.value.as_str()) == Some(&index)
    {
        let problem = Problem::new(
            given.span.clone(),
            format!(
                "the queue `{}` is its own dead-letter target",
                short(&queue.name.value)
            ),
        );
        check.push(problem.help("name another queue"));
    }
    Some(target)
}

fn dispatch(check: &mut Check<'_>, text: &At<String>) -> Dispatch {
    match text.value.as_str() {
        "round-robin" => return Dispatch::RoundRobin,
        "weighted-round-robin" => return Dispatch::WeightedRoundRobin,
        "least-connections" => return Dispatch::LeastConnections,
        "weighted-least-connections" => return Dispatch::WeightedLeastConnections,
        "random" => return Dispatch::Random,
        "join-idle-queue" => return Dispatch::JoinIdleQueue,
        _ => {}
    }
    if let Some(choices) = text.value.strip_prefix("power-of-") {
        if let Some(choices) = choices
            .parse()
            .ok()
            .filter(|choices| (2..=255_u8).contains(choices))
        {
            return Dispatch::PowerOf(choices);
        }
        check.push(
            Problem::new(
                text.span.clone(),
                "the number of choices goes from 2 to 255",
            )
            .help("write \"power-of-2\""),
        );
        return Dispatch::RoundRobin;
    }
    if text.value == "peak-ewma" {
        check.push(
            Problem::new(text.span.clone(), "`peak-ewma` is not supported yet")
                .help(suggest("", DISPATCHES)),
        );
    } else {
        check.push(not_known(text, "dispatch", DISPATCHES));
    }
    Dispatch::RoundRobin
}

/// Most messages of a backlog.
const MOST_BACKLOG: u64 = 10_000_000;

const DISPATCHES: &[&str] = &[
    "round-robin",
    "weighted-round-robin",
    "least-connections",
    "weighted-least-connections",
    "random",
    "power-of-2",
    "join-idle-queue",
];
