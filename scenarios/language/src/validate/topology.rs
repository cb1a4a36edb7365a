//! Exchanges, bindings, and where messages go.

use queuelab_core::{HashKind, HeadersMatch, Value};

use super::{Check, Index, grouped};
use crate::error::Problem;
use crate::raw::{
    HashTable, RawBinding, RawExchange, RawExchangeType, RawHash, RawHashKind, RawHeaderMatch,
    RawScenario, RawTarget, TargetTable,
};
use crate::scenario::{Binding, Exchange, ExchangeType, Target};
use crate::shape::{At, Named, Scalar};
use crate::units::short;

/// What a target may name.
pub(super) struct Places<'n> {
    pub(super) exchanges: Index<'n>,
    pub(super) queues: Index<'n>,
}

pub(super) fn exchange(
    check: &mut Check<'_>,
    raw: &RawExchange,
    places: &Places<'_>,
    scenario: &RawScenario,
) -> Exchange {
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
        RawExchangeType::Headers => ExchangeType::Headers,
    };
    Exchange {
        name: raw.name.value.clone(),
        kind,
        alternate: raw
            .alternate
            .as_ref()
            .and_then(|alternate| check.resolve(alternate, &places.exchanges)),
        bind: bindings(check, &raw.bind, places, scenario),
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

pub(super) fn bindings(
    check: &mut Check<'_>,
    raw: &[At<RawBinding>],
    places: &Places<'_>,
    scenario: &RawScenario,
) -> Vec<Binding> {
    raw.iter()
        .filter_map(|bind| binding(check, &bind.value, places, scenario))
        .collect()
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
    if kind != RawExchangeType::Headers {
        check.misplaced(
            &raw.headers,
            "`headers` belongs to a binding to an exchange of type \"headers\"",
        );
    } else {
        check.misplaced(&raw.key, "a headers exchange knows no `key`");
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
        headers: raw
            .headers
            .as_ref()
            .map(|headers| headers_match(check, headers)),
    })
}

/// What has to match: `match` is a word of the language, all other keys are headers.
fn headers_match(check: &mut Check<'_>, raw: &At<Named<RawHeaderMatch>>) -> HeadersMatch {
    let mut all = true;
    let mut headers = Vec::new();
    for (name, wanted) in &raw.value.0 {
        if name.value == "match" {
            match &wanted.value {
                RawHeaderMatch::Scalar(Scalar::Text(text)) if text == "all" => all = true,
                RawHeaderMatch::Scalar(Scalar::Text(text)) if text == "any" => all = false,
                _ => check.push(
                    Problem::new(wanted.span.clone(), "`match` is \"all\" or \"any\"")
                        .help("a header of this name cannot be matched"),
                ),
            }
            continue;
        }
        header_name(check, name);
        let value = match &wanted.value {
            RawHeaderMatch::Scalar(value) => Some(header(value)),
            RawHeaderMatch::Table(table) => {
                if !table.present.value {
                    let problem = Problem::new(
                        table.present.span.clone(),
                        "a headers exchange cannot ask for the absence of a header",
                    );
                    check.push(problem.help("leave it out, or use a `selector`"));
                }
                None
            }
        };
        headers.push((name.value.clone().into(), value));
    }
    if headers.is_empty() {
        check.push(
            Problem::new(raw.span.clone(), "no header has to match")
                .help("write for example { region = \"eu\" }"),
        );
    }
    let mut wanted = HeadersMatch { all, headers };
    wanted
        .headers
        .sort_by(|(one, _), (other, _)| one.cmp(other));
    wanted
}

/// A header's name: AMQP has 255 bytes for it.
pub(super) fn header_name(check: &mut Check<'_>, name: &At<String>) {
    if name.value.is_empty() || name.value.len() > 255 {
        check.push(Problem::new(
            name.span.clone(),
            "the name of a header has 1 to 255 bytes",
        ));
    }
}

pub(super) fn header(value: &Scalar) -> Value {
    match value {
        Scalar::Bool(value) => Value::Bool(*value),
        Scalar::Int(value) => Value::Int(*value),
        Scalar::Float(value) => Value::Float(*value),
        Scalar::Text(text) => Value::Text(text.clone().into()),
    }
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
