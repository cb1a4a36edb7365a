//! What messages look like: their keys and sizes.

use super::distributions::MOST_VALUES;
use super::topology::routing_key;
use super::{Check, not_known};
use crate::error::Problem;
use crate::raw::{
    KeysKind, KeysTable, RawKeys, RawSize, RawSizeValue, RawWord, SizeKind, SizeTable,
};
use crate::scenario::{Keys, Size};
use crate::shape::{At, SizeText};

pub(super) fn keys(check: &mut Check<'_>, raw: &At<RawKeys>) -> Keys {
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
    if !matches!(raw.dist.value, KeysKind::Hot | KeysKind::Shifting) {
        check.misplaced(&raw.hot, "`hot` belongs to dist = \"hot\" and \"shifting\"");
        check.misplaced(
            &raw.share,
            "`share` belongs to dist = \"hot\" and \"shifting\"",
        );
    }
    if raw.dist.value != KeysKind::Shifting {
        check.misplaced(&raw.every, "`every` belongs to dist = \"shifting\"");
    }
    match raw.dist.value {
        KeysKind::RoundRobin => Keys::RoundRobin { keys },
        KeysKind::Uniform => Keys::Uniform { keys },
        KeysKind::Zipf => Keys::Zipf {
            keys,
            exponent: check.number("exponent", &raw.exponent, 1.0, 0.0..=100.0),
        },
        KeysKind::Hot | KeysKind::Shifting => {
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
            if raw.dist.value == KeysKind::Hot {
                return Keys::Hot { keys, hot, share };
            }
            if raw.every.is_none() {
                check.push(
                    Problem::new(raw.dist.span.clone(), "shifting keys need `every`")
                        .help("add `every = \"10s\"`: how long keys stay hot"),
                );
            }
            Keys::Shifting {
                keys,
                hot,
                share,
                every: check.duration("every", &raw.every).unwrap_or_default(),
            }
        }
    }
}

pub(super) fn size(check: &mut Check<'_>, raw: &At<RawSize>) -> Size {
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
    if !size_keys_fit(check, raw, table, kind) {
        return Size::Fixed(0);
    }
    let mut bytes =
        |given: &Option<At<SizeText>>| given.as_ref().map_or(0, |given| body(check, given));
    match kind {
        SizeKind::Uniform => match (bytes(&table.min), bytes(&table.max)) {
            (min, max) if min <= max => Size::Uniform(min, max),
            _ => wrong_order(check, raw, "`min` is above `max`"),
        },
        SizeKind::Lognormal => match (bytes(&table.median), bytes(&table.p99)) {
            (median, p99) if 0 < median && median < p99 => Size::Lognormal {
                median: median as f64,
                p99: p99 as f64,
            },
            _ => wrong_order(check, raw, "`median` must be above 0 and below `p99`"),
        },
        SizeKind::Bimodal => Size::Bimodal {
            small: bytes(&table.small),
            large: bytes(&table.large),
            share: check.number("share", &table.share, 0.5, 0.0..=1.0),
        },
        SizeKind::Empirical => empirical(check, raw, table),
    }
}

/// Every key that the distribution needs is there, and no other.
fn size_keys_fit(
    check: &mut Check<'_>,
    raw: &At<RawSize>,
    table: &SizeTable,
    kind: SizeKind,
) -> bool {
    fn place<T>(given: &Option<At<T>>) -> Option<std::ops::Range<usize>> {
        given.as_ref().map(|given| given.span.clone())
    }
    let mut complete = true;
    for (key, given, owner, name) in [
        ("min", place(&table.min), SizeKind::Uniform, "uniform"),
        ("max", place(&table.max), SizeKind::Uniform, "uniform"),
        (
            "median",
            place(&table.median),
            SizeKind::Lognormal,
            "lognormal",
        ),
        ("p99", place(&table.p99), SizeKind::Lognormal, "lognormal"),
        ("small", place(&table.small), SizeKind::Bimodal, "bimodal"),
        ("large", place(&table.large), SizeKind::Bimodal, "bimodal"),
        ("share", place(&table.share), SizeKind::Bimodal, "bimodal"),
        (
            "values",
            place(&table.values),
            SizeKind::Empirical,
            "empirical",
        ),
    ] {
        match given {
            Some(span) if owner != kind => check.push(Problem::new(
                span,
                format!("`{key}` belongs to dist = \"{name}\""),
            )),
            None if owner == kind => {
                complete = false;
                let parameters = match kind {
                    SizeKind::Uniform => "`min` and `max`",
                    SizeKind::Lognormal => "`median` and `p99`",
                    SizeKind::Bimodal => "`small`, `large` and `share`",
                    SizeKind::Empirical => "`values`",
                };
                check.push(
                    Problem::new(
                        raw.span.clone(),
                        format!("the distribution of sizes has no `{key}`"),
                    )
                    .help(format!("it takes {parameters}")),
                );
            }
            _ => {}
        }
    }
    complete
}

fn empirical(check: &mut Check<'_>, raw: &At<RawSize>, table: &SizeTable) -> Size {
    let values = table
        .values
        .as_ref()
        .map_or(&[][..], |values| &values.value);
    if values.is_empty() || values.len() > MOST_VALUES {
        check.push(Problem::new(
            raw.span.clone(),
            "a list of `values` has 1 to 10_000 entries",
        ));
        return Size::Fixed(0);
    }
    let value = |value: &RawSizeValue| {
        let (size, weight) = match value {
            RawSizeValue::Text(size) => (*size, 1.0),
            RawSizeValue::Table(table) => (table.value, check.weight(&table.weight)),
        };
        let span = raw.span.clone();
        (body(check, &At { value: size, span }), weight)
    };
    Size::Empirical(values.iter().map(value).collect())
}

fn wrong_order(check: &mut Check<'_>, at: &At<RawSize>, message: &str) -> Size {
    check.push(Problem::new(at.span.clone(), message));
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

/// Most keys of one producer, and of all Zipf tables together.
pub(super) const MOST_KEYS: u32 = 10_000_000;

const LARGEST_BODY: u64 = 128 << 20;
