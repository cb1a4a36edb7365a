//! Text to raw types: TOML, overrides, and serde's messages in the words of the language.

use std::ops::Range;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use crate::designs;
use crate::error::{Problem, closest, suggest};
use crate::overrides;
use crate::raw::RawScenario;
use crate::shape::At;
use crate::source::Source;
use crate::units::short;

/// Reads `source` into the raw types, or says everything that keeps it from being one.
pub(crate) fn read(source: &Source) -> Result<RawScenario, Vec<Problem>> {
    let document = DeTable::parse(source.file()).map_err(|error| vec![syntax_problem(&error)])?;
    let span = document.span();
    let mut root = DeValue::Table(document.into_inner());
    let mut problems = Vec::new();
    for (offset, text) in source.overrides() {
        if let Err(problem) = overrides::apply(&mut root, offset, text) {
            problems.push(problem);
        }
    }
    let DeValue::Table(mut root) = root else {
        unreachable!("overrides replace parts of the root only")
    };
    designs::apply(&mut root, &mut problems);

    // Each table on its own, so that an error in one does not hide those in the others.
    let exchange = tables(&mut root, "exchange", &mut problems);
    let queue = tables(&mut root, "queue", &mut problems);
    let producer = tables(&mut root, "producer", &mut problems);
    let consumer = tables(&mut root, "consumer", &mut problems);
    let group = tables(&mut root, "group", &mut problems);
    let fault = tables(&mut root, "fault", &mut problems);
    match RawScenario::deserialize(Spanned::new(span, DeValue::Table(root)).into_deserializer()) {
        Ok(raw) if problems.is_empty() => Ok(RawScenario {
            exchange,
            queue,
            producer,
            consumer,
            group,
            fault,
            ..raw
        }),
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(serde_problem(&error));
            Err(problems)
        }
    }
}

/// Takes the array of tables `key` out of `root`; anything else there is left for serde to refuse.
fn tables<'de, T: Deserialize<'de>>(
    root: &mut DeTable<'de>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Vec<At<T>> {
    if !root
        .get(key)
        .is_some_and(|value| value.get_ref().is_array())
    {
        return Vec::new();
    }
    let Some(DeValue::Array(items)) = root.remove(key).map(Spanned::into_inner) else {
        unreachable!("it is an array")
    };
    let mut read = Vec::new();
    for item in items {
        match At::<T>::deserialize(item.into_deserializer()) {
            Ok(item) => read.push(item),
            Err(error) => problems.push(serde_problem(&error)),
        }
    }
    read
}

/// An error of the TOML parser.
pub(crate) fn syntax_problem(error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    Problem::new(span, format!("this is not TOML: {}", error.message())).label("here")
}

/// An error of serde, in the words of the language.
pub(crate) fn serde_problem(error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_key(span, rest);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let (word, known) = quoted(rest);
        return if LATER_VALUES.contains(&word) {
            Problem::new(span, format!("`{word}` is not supported yet")).help(suggest("", &known))
        } else {
            Problem::new(span, format!("`{}` is not a known value here", short(word)))
                .help(suggest(word, &known))
        };
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let (key, _) = quoted(rest);
        return Problem::new(span, format!("the key `{key}` is missing")).label("in this table");
    }
    if let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        return wrong_type(span, found, expected);
    }
    Problem::new(span, message)
}

fn unknown_key(span: Range<usize>, rest: &str) -> Problem {
    let (word, known) = quoted(rest);
    match closest(word, known.iter().copied()) {
        Some(candidate) => Problem::new(span, format!("unknown key `{}`", short(word)))
            .help(format!("did you mean `{candidate}`?")),
        None if LATER_KEYS.contains(&word) => {
            Problem::new(span, format!("the key `{word}` is not supported yet"))
                .help("leave it out")
        }
        None => Problem::new(span, format!("unknown key `{}`", short(word)))
            .help(format!("known here: {}", known.join(", "))),
    }
}

fn wrong_type(span: Range<usize>, found: &str, expected: &str) -> Problem {
    // serde names some of its own types where a reader expects TOML's.
    let expected = match expected {
        "a string" => "text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    };
    let problem = Problem::new(span, format!("expected {expected}"));
    let (kind, number) = match found
        .split_once(" `")
        .map(|(kind, rest)| (kind, rest.trim_end_matches('`')))
    {
        Some((kind, number)) => (kind, number),
        None => {
            let found = match found.split_once(' ') {
                Some(("string", text)) => format!("the text {}", short(text)),
                _ => found
                    .replace("sequence", "a list")
                    .replace("map", "a table"),
            };
            return problem.label(format!("found {found}"));
        }
    };
    let is_number = matches!(kind, "integer" | "floating point");
    if is_number && (number.starts_with('-') || number.contains("NaN") || number.contains("inf")) {
        return problem.label(format!("found {number}"));
    }
    let problem = problem.label(format!(
        "found the {} {}",
        kind.replace("floating point", "number"),
        short(number)
    ));
    match expected.split_whitespace().nth(1) {
        Some("duration") if is_number => problem.help(format!(
            "say of what: \"{number}us\", \"{number}ms\", \"{number}s\" or \"{number}m\""
        )),
        Some("rate") if is_number => {
            problem.help(format!("say per what: \"{number}/s\" or \"{number}/m\""))
        }
        Some("size") if is_number => {
            problem.help(format!("say of what: \"{number}B\" or \"{number}KiB\""))
        }
        Some("bandwidth") if is_number => problem.help(format!(
            "say of what: \"{number}MB/s\" or \"{number}Mbit/s\""
        )),
        _ => problem,
    }
}

/// The first word in backticks, and all others.
fn quoted(text: &str) -> (&str, Vec<&str>) {
    // The first word is the author's and may itself hold backticks; what serde lists after it never does.
    let (first, rest) = match text
        .find("`, expected ")
        .or_else(|| text.find("`, there are no"))
    {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text.strip_suffix('`').unwrap_or(text), ""),
    };
    (
        first.strip_prefix('`').unwrap_or(first),
        rest.split('`').skip(1).step_by(2).collect(),
    )
}

/// Keys of later releases: a reader who knows the design should not be told that they are misspelt.
const LATER_KEYS: &[&str] = &[
    "replicas",
    "placement",
    "node",
    "link",
    "zone",
    "entry",
    "peers",
    "loss",
    "quorum",
];

/// Values of later releases.
const LATER_VALUES: &[&str] = &["quorum", "peak-ewma", "partition"];
