//! Exchanges, queues, and where messages go.

use queuelab_core::{Dispatch, Durability, HashKind, Overflow, QueuePolicy};

use super::{Check, Index, grouped, not_known};
use crate::error::{Problem, suggest};
use crate::raw::{
    HashTable, RawBinding, RawDurability, RawExchange, RawExchangeType, RawHash, RawHashKind,
    RawOverflow, RawQueue, RawQueueKind, RawScenario, RawTarget, TargetTable,
};
use crate::scenario::{Binding, Exchange, ExchangeType, Queue, Target};
use crate::shape::At;
use crate::units::short;

/// What a target may name.
pub(super) struct Places<'n> {
    pub(super) exchanges: Index<'n>,
    pub(super) queues: Index<'n>,
}

pub(super) fn exchange(check: &mut Check<'_>, raw: &RawExchange) -> Exchange {
    if raw.kind != RawExchangeType::ConsistentHash {
        check.misplaced(
            &raw.hash,
            "`hash` belongs to an exchange of type \"consistent-hash\"",
        );
    }
    let kind = match raw.kind {
        RawExchangeType::Direct => ExchangeType::Direct,
        RawExchangeType::Fanout => ExchangeType::Fanout,
        RawExchangeType::Topic => ExchangeType::Topic,
        RawExchangeType::ConsistentHash => {
            ExchangeType::ConsistentHash(hash(check, raw.hash.as_ref()))
        }
    };
    Exchange {
        name: raw.name.value.clone(),
        kind,
        alternate: None,
        bind: Vec::new(),
    }
}

fn hash(check: &mut Check<'_>, raw: Option<&At<RawHash>>) -> HashKind {
    let plain = |kind| HashTable {
        kind,
        vnodes: None,
        epsilon: None,
        table: None,
        probes: None,
    };
    let raw = match raw.map(|raw| &raw.value) {
        None => &plain(RawHashKind::Ring),
        Some(RawHash::Text(kind)) => &plain(*kind),
        Some(RawHash::Table(table)) => table,
    };
    if !matches!(raw.kind, RawHashKind::Ring | RawHashKind::BoundedRing) {
        check.misplaced(
            &raw.vnodes,
            "`vnodes` belongs to \"ring\" and \"bounded-ring\"",
        );
    }
    if raw.kind != RawHashKind::BoundedRing {
        check.misplaced(&raw.epsilon, "`epsilon` belongs to \"bounded-ring\"");
    }
    if raw.kind != RawHashKind::Maglev {
        check.misplaced(&raw.table, "`table` belongs to \"maglev\"");
    }
    if raw.kind != RawHashKind::MultiProbe {
        check.misplaced(&raw.probes, "`probes` belongs to \"multi-probe\"");
    }
    let vnodes = check.count32("vnodes", &raw.vnodes, 128, 1..=10_000);
    match raw.kind {
        RawHashKind::Ring => HashKind::Ring { vnodes },
        RawHashKind::BoundedRing => HashKind::BoundedRing {
            vnodes,
            epsilon: check.number("epsilon", &raw.epsilon, 0.25, 0.001..=1000.0),
        },
        RawHashKind::Jump => HashKind::Jump,
        RawHashKind::Rendezvous => HashKind::Rendezvous,
        RawHashKind::Maglev => HashKind::Maglev {
            table: maglev_table(check, raw),
        },
        RawHashKind::MultiProbe => HashKind::MultiProbe {
            probes: check.count32("probes", &raw.probes, 21, 1..=1_000),
        },
    }
}

fn maglev_table(check: &mut Check<'_>, raw: &HashTable) -> u32 {
    let size = check.count32("table", &raw.table, 65_537, 3..=10_000_019);
    let is_prime = |n: u32| {
        n >= 2
            && (2..)
                .take_while(|d| d * d <= n)
                .all(|d| !n.is_multiple_of(d))
    };
    if let Some(table) = &raw.table
        && !is_prime(size)
    {
        let next = (size..).find(|n| is_prime(*n)).unwrap_or(65_537);
        let problem = Problem::new(
            table.span.clone(),
            "the size of a Maglev table is a prime, so that its permutations reach every slot",
        );
        check.push(problem.help(format!("the next one is {}", grouped(next.into()))));
    }
    size
}

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
    let durability = match (raw.kind, &raw.durability) {
        (RawQueueKind::Memory, None) => Durability::None,
        (RawQueueKind::Memory, Some(given)) => {
            let problem = Problem::new(given.span.clone(), "a memory queue has no durability");
            check.push(problem.help("leave it out, or write kind = \"durable\""));
            Durability::None
        }
        (RawQueueKind::Durable, given) => match given.as_ref().map(|given| given.value) {
            Some(RawDurability::Os) => Durability::Os,
            Some(RawDurability::Fsync) | None => Durability::Fsync,
        },
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
        bind: raw
            .bind
            .iter()
            .filter_map(|bind| binding(check, bind, places, scenario))
            .collect(),
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
        policy: QueuePolicy::default(),
        partitions: 1,
        backlog: 0,
        brokerless: false,
        design: None,
    }
}

fn binding(
    check: &mut Check<'_>,
    raw: &RawBinding,
    places: &Places<'_>,
    scenario: &RawScenario,
) -> Option<Binding> {
    let exchange = check.resolve(&raw.exchange, &places.exchanges)?;
    let kind = scenario.exchange[exchange].value.kind;
    if raw.key.is_none() && matches!(kind, RawExchangeType::Direct | RawExchangeType::Topic) {
        let problem = Problem::new(
            raw.exchange.span.clone(),
            format!(
                "a binding to `{}` needs a `key`",
                short(&raw.exchange.value)
            ),
        );
        check.push(
            problem.help(
                "write the routing key, or for a topic exchange a pattern such as \"order.*\"",
            ),
        );
    }
    if kind != RawExchangeType::ConsistentHash {
        check.misplaced(
            &raw.weight,
            "`weight` belongs to a binding to a consistent-hash exchange",
        );
    }
    let key = raw
        .key
        .as_ref()
        .map(|key| routing_key(check, key))
        .unwrap_or_default();
    Some(Binding {
        exchange,
        key,
        weight: check.count32("weight", &raw.weight, 1, 1..=1_000),
        headers: None,
    })
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
    given: &At<RawTarget>,
    places: &Places<'_>,
) -> Option<Target> {
    if let RawTarget::Table(TargetTable { weight, .. }) = &given.value {
        check.misplaced(weight, "`weight` belongs to a list of targets");
    }
    let target = target(check, given, places)?;
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

/// The one queue or exchange that `raw` names.
pub(super) fn target(
    check: &mut Check<'_>,
    raw: &At<RawTarget>,
    places: &Places<'_>,
) -> Option<Target> {
    match &raw.value {
        RawTarget::Text(name) => target_by_name(
            check,
            &At {
                value: name.clone(),
                span: raw.span.clone(),
            },
            places,
        ),
        RawTarget::Table(table) => target_by_table(check, table, raw, places),
    }
}

fn target_by_name(check: &mut Check<'_>, name: &At<String>, places: &Places<'_>) -> Option<Target> {
    let find = |index: &Index<'_>| index.by_name.get(name.value.as_str()).copied();
    match (find(&places.queues), find(&places.exchanges)) {
        (Some(queue), None) => Some(Target::Queue(queue)),
        (None, Some(exchange)) => Some(Target::Exchange {
            exchange,
            key: None,
        }),
        (Some(_), Some(_)) => {
            let text = short(&name.value);
            let problem = Problem::new(
                name.span.clone(),
                format!("`{text}` is a queue and an exchange"),
            );
            check.push(problem.help(format!(
                "write {{ queue = \"{text}\" }} or {{ exchange = \"{text}\" }}"
            )));
            None
        }
        (None, None) => {
            let known = places
                .queues
                .by_name
                .keys()
                .chain(places.exchanges.by_name.keys());
            check.push_unknown(name, "queue or exchange", known.copied());
            None
        }
    }
}

fn target_by_table(
    check: &mut Check<'_>,
    table: &TargetTable,
    raw: &At<RawTarget>,
    places: &Places<'_>,
) -> Option<Target> {
    match (&table.queue, &table.exchange) {
        (Some(queue), None) => {
            check.misplaced(&table.key, "a queue is reached by its name, not by a `key`");
            check.resolve(queue, &places.queues).map(Target::Queue)
        }
        (None, Some(exchange)) => {
            let exchange = check.resolve(exchange, &places.exchanges)?;
            Some(Target::Exchange {
                exchange,
                key: table.key.as_ref().map(|key| routing_key(check, key)),
            })
        }
        _ => {
            let problem = Problem::new(
                raw.span.clone(),
                "a target names either a queue or an exchange",
            );
            check.push(problem.help(
                "write { queue = \"orders\" } or { exchange = \"shop\", key = \"order.created\" }",
            ));
            None
        }
    }
}

/// A routing key: AMQP has 255 bytes for it.
pub(super) fn routing_key(check: &mut Check<'_>, key: &At<String>) -> String {
    if key.value.len() > 255 {
        check.push(Problem::new(
            key.span.clone(),
            "a routing key has at most 255 bytes",
        ));
    }
    key.value.clone()
}

const DISPATCHES: &[&str] = &[
    "round-robin",
    "weighted-round-robin",
    "least-connections",
    "weighted-least-connections",
    "random",
    "power-of-2",
    "join-idle-queue",
];
