//! `--set path=value`.
//!
//! A path is keys joined by dots; a table in a list is addressed by its name, or by its number from 0. A segment that
//! has a dot in it is put in quotes. The value is TOML, or else taken as text.

use std::borrow::Cow;
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::error::{Problem, suggest};
use crate::read::syntax_problem;
use crate::units::short;

/// Sets one value within `root`. `text` stands at `offset` of the source; spans of what is set point there.
pub(crate) fn apply<'i>(
    root: &mut DeValue<'i>,
    offset: usize,
    text: &'i str,
) -> Result<(), Problem> {
    let (path, value_at) = split(text).map_err(|problem| moved_problem(problem, offset))?;
    let value =
        value(&text[value_at..]).map_err(|problem| moved_problem(problem, offset + value_at))?;
    let value = moved(value, offset + value_at);
    let path: Vec<_> = path
        .into_iter()
        .map(|(name, span)| Segment {
            name,
            span: shifted(span, offset),
        })
        .collect();
    set(root, &path, value)
}

struct Segment<'i> {
    name: &'i str,
    span: Range<usize>,
}

fn set<'i>(
    root: &mut DeValue<'i>,
    path: &[Segment<'i>],
    value: Spanned<DeValue<'i>>,
) -> Result<(), Problem> {
    let Some((last, parents)) = path.split_last() else {
        unreachable!("a path has a segment")
    };
    let mut node = root;
    for (depth, segment) in parents.iter().enumerate() {
        node = descend(node, &path[..depth], segment)?;
    }
    match node {
        DeValue::Table(table) => {
            // Removed first: inserting alone would keep the old key, and with it the old place.
            table.remove(last.name);
            table.insert(
                Spanned::new(last.span.clone(), Cow::Borrowed(last.name)),
                value,
            );
            Ok(())
        }
        DeValue::Array(items) => {
            let at = find(items, parents, last)?;
            *items.get_mut(at).expect("it was found") = value;
            Ok(())
        }
        _ => Err(has_no_parts(parents, last)),
    }
}

fn descend<'n, 'i>(
    node: &'n mut DeValue<'i>,
    parents: &[Segment<'i>],
    segment: &Segment<'i>,
) -> Result<&'n mut DeValue<'i>, Problem> {
    match node {
        DeValue::Table(table) => {
            if !table.contains_key(segment.name) {
                if parents.is_empty() && NAMED.contains(&segment.name) {
                    return Err(Problem::new(
                        segment.span.clone(),
                        format!("the scenario has no {}", segment.name),
                    ));
                }
                let key = Spanned::new(segment.span.clone(), Cow::Borrowed(segment.name));
                table.insert(
                    key,
                    Spanned::new(segment.span.clone(), DeValue::Table(DeTable::new())),
                );
            }
            Ok(table
                .get_mut(segment.name)
                .expect("it was found or inserted above")
                .get_mut())
        }
        DeValue::Array(items) => {
            let at = find(items, parents, segment)?;
            Ok(items.get_mut(at).expect("it was found").get_mut())
        }
        _ => Err(has_no_parts(parents, segment)),
    }
}

/// The item that `segment` names: by its `name`, or by its number.
fn find(
    items: &DeArray<'_>,
    parents: &[Segment<'_>],
    segment: &Segment<'_>,
) -> Result<usize, Problem> {
    let names = names(items);
    if let Some(at) = names.iter().position(|name| *name == segment.name) {
        return Ok(at);
    }
    if let Some(at) = segment.name.parse().ok().filter(|at| *at < items.len()) {
        return Ok(at);
    }
    let what = parents.last().map_or("item", |parent| parent.name);
    let known: Vec<_> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    let help = if known.is_empty() {
        format!("address it by a number below {}", items.len())
    } else {
        suggest(segment.name, &known)
    };
    Err(Problem::new(
        segment.span.clone(),
        format!("there is no {what} `{}`", short(segment.name)),
    )
    .help(help))
}

/// The name of each item; a nameless fault has its numbered kind, anything else nameless an empty one.
fn names(items: &DeArray<'_>) -> Vec<String> {
    let text = |item: &Spanned<DeValue<'_>>, key: &str| {
        item.get_ref()
            .as_table()?
            .get(key)?
            .get_ref()
            .as_str()
            .map(str::to_string)
    };
    let given: Vec<_> = items
        .iter()
        .map(|item| (text(item, "name"), text(item, "kind")))
        .collect();
    numbered(&given)
}

/// Names as given; for the nameless, their kind, with a number from the second on that is not taken.
pub(crate) fn numbered(given: &[(Option<String>, Option<String>)]) -> Vec<String> {
    let mut taken: std::collections::BTreeSet<String> =
        given.iter().filter_map(|(name, _)| name.clone()).collect();
    let mut next = std::collections::BTreeMap::<&str, u64>::new();
    let mut names = Vec::new();
    for (name, kind) in given {
        names.push(match (name, kind) {
            (Some(name), _) => name.clone(),
            (None, None) => String::new(),
            (None, Some(kind)) => loop {
                let number = next.entry(kind).or_insert(0);
                *number += 1;
                let name = if *number == 1 {
                    kind.clone()
                } else {
                    format!("{kind}-{number}")
                };
                if taken.insert(name.clone()) {
                    break name;
                }
            },
        });
    }
    names
}

fn has_no_parts(parents: &[Segment<'_>], segment: &Segment<'_>) -> Problem {
    let path = parents
        .iter()
        .map(|parent| parent.name)
        .collect::<Vec<_>>()
        .join(".");
    Problem::new(
        segment.span.clone(),
        format!(
            "`{}` is a plain value here, it has no `{}`",
            short(&path),
            short(segment.name)
        ),
    )
    .help(format!("set the whole value: {}=…", short(&path)))
}

/// The path's segments with their places, and where the value starts.
#[allow(clippy::type_complexity)]
fn split(text: &str) -> Result<(Vec<(&str, Range<usize>)>, usize), Problem> {
    let mut segments = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let (name, length) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => match rest[1..].find(quote) {
                Some(end) => (&rest[1..1 + end], end + 2),
                None => return Err(Problem::new(at..text.len(), "the quote is not closed")),
            },
            _ => {
                let length = rest.find(['.', '=']).unwrap_or(rest.len());
                (rest[..length].trim(), length)
            }
        };
        if name.is_empty() {
            return Err(Problem::new(at..at + length, "a part of the path is empty").help(USAGE));
        }
        segments.push((name, at..at + length));
        at += length;
        let space = text[at..].len() - text[at..].trim_start().len();
        at += space;
        match text[at..].chars().next() {
            Some('.') => at += 1,
            Some('=') => return Ok((segments, at + 1)),
            _ => {
                return Err(
                    Problem::new(0..text.len(), "an override is a path, `=` and a value")
                        .help(USAGE),
                );
            }
        }
    }
}

fn value(text: &str) -> Result<Spanned<DeValue<'_>>, Problem> {
    let trimmed = text.trim();
    let start = text.len() - text.trim_start().len();
    match DeValue::parse(trimmed) {
        Ok(value) => Ok(moved(value, start)),
        // What starts like TOML was meant as TOML.
        Err(error) if trimmed.starts_with(['"', '\'', '[', '{']) => {
            Err(moved_problem(syntax_problem(&error), start))
        }
        Err(_) => Ok(Spanned::new(
            start..start + trimmed.len(),
            DeValue::String(Cow::Borrowed(trimmed)),
        )),
    }
}

fn moved<'i>(value: Spanned<DeValue<'i>>, by: usize) -> Spanned<DeValue<'i>> {
    let span = shifted(value.span(), by);
    let value = match value.into_inner() {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| moved(item, by)).collect())
        }
        DeValue::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let span = shifted(key.span(), by);
                (Spanned::new(span, key.into_inner()), moved(value, by))
            });
            DeValue::Table(entries.collect())
        }
        plain => plain,
    };
    Spanned::new(span, value)
}

fn moved_problem(problem: Problem, by: usize) -> Problem {
    Problem {
        span: shifted(problem.span.clone(), by),
        ..problem
    }
}

fn shifted(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// Lists at the root whose tables have names.
const NAMED: [&str; 7] = [
    "phases", "exchange", "queue", "producer", "consumer", "group", "fault",
];

const USAGE: &str = "for example: --set producer.checkout.count=80";
