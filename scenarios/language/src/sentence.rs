//! The sentences of `expect` and the holes of `answer`.

use std::ops::Range;

use crate::error::{Problem, closest, suggest};
use crate::metrics::{self, INVARIANTS, MetricScope, MetricUnit};
use crate::scenario::{Claim, Comparison, MetricRef, Scenario};
use crate::units::{decimal, parse_duration, parse_rate, short, shown};

/// The names that a sentence may mention.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    pub(crate) phases: Vec<&'a str>,
    pub(crate) queues: Vec<&'a str>,
    pub(crate) producers: Vec<&'a str>,
    pub(crate) consumers: Vec<&'a str>,
    pub(crate) groups: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// Those of a scenario.
    pub(crate) fn of(scenario: &'a Scenario) -> Names<'a> {
        Names {
            phases: scenario.phases.iter().map(|it| it.name.as_str()).collect(),
            queues: scenario.queues.iter().map(|it| it.name.as_str()).collect(),
            producers: (scenario.producers.iter())
                .map(|it| it.name.as_str())
                .collect(),
            consumers: (scenario.consumers.iter())
                .map(|it| it.name.as_str())
                .collect(),
            groups: scenario.groups.iter().map(|it| it.name.as_str()).collect(),
        }
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// As it is.
    Text(String),
    /// A measured value goes here.
    Hole(MetricRef),
}

/// Reads one sentence of `expect`. Spans of problems are within `text`.
pub(crate) fn expectation(text: &str, names: &Names<'_>) -> Result<Claim, Problem> {
    let words = words(text);
    let Some(first) = words.first() else {
        return Err(Problem::new(0..text.len(), "the expectation is empty").help(USAGE));
    };
    if let Some(at) = words
        .iter()
        .position(|word| comparison(word.text).is_some())
    {
        return claim_of_metric(text, &words, at, names);
    }
    if first.text == "violates"
        || INVARIANTS
            .iter()
            .any(|invariant| invariant.name == first.text)
    {
        return claim_of_invariant(text, &words, names);
    }
    if metrics::find(first.text).is_some() {
        return Err(Problem::new(
            0..text.len(),
            format!("`{}` is compared with nothing", first.text),
        )
        .help(USAGE));
    }
    let known = known_names();
    let help = match closest(first.text, known.iter().map(String::as_str)) {
        Some(name) => format!("did you mean `{name}`?"),
        None => USAGE.into(),
    };
    Err(Problem::new(
        first.span.clone(),
        format!("`{}` is not a metric or an invariant", short(first.text)),
    )
    .help(help))
}

/// Reads a metric with what it is of: METRIC [of NAME] [in PHASE]. Spans of problems are within `text`.
pub(crate) fn metric(text: &str, names: &Names<'_>) -> Result<MetricRef, Problem> {
    metric_ref(text, &words(text), names)
}

/// Reads a template: text with `{METRIC [of NAME] [in PHASE]}` holes; `{{` and `}}` are braces.
pub(crate) fn answer(text: &str, names: &Names<'_>) -> Result<Vec<AnswerPart>, Problem> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find(['{', '}']) {
        plain.push_str(&text[at..at + offset]);
        at += offset;
        let brace = &text[at..at + 1];
        if text[at + 1..].starts_with(brace) {
            plain.push_str(brace);
            at += 2;
            continue;
        }
        let end = match text[at..].find('}') {
            Some(end) if brace == "{" => at + end,
            _ => {
                return Err(Problem::new(at..at + 1, "a brace without its partner")
                    .help("write `{{` for a brace"));
            }
        };
        let inner = &text[at + 1..end];
        let words = words(inner);
        let metric = metric_ref(inner, &words, names).map_err(|problem| moved(problem, at + 1))?;
        if !plain.is_empty() {
            parts.push(AnswerPart::Text(std::mem::take(&mut plain)));
        }
        parts.push(AnswerPart::Hole(metric));
        at = end + 1;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        parts.push(AnswerPart::Text(plain));
    }
    Ok(parts)
}

fn claim_of_metric(
    text: &str,
    words: &[Word<'_>],
    at: usize,
    names: &Names<'_>,
) -> Result<Claim, Problem> {
    let (left, right) = (&words[..at], &words[at + 1..]);
    let value_end = right
        .iter()
        .position(|word| matches!(word.text, "in" | "of"))
        .unwrap_or(right.len());
    let (value_words, after) = right.split_at(value_end);
    if left.is_empty() {
        return Err(Problem::new(0..text.len(), "a metric goes before the comparison").help(USAGE));
    }
    let sentence: Vec<_> = left.iter().chain(after).cloned().collect();
    let metric = metric_ref(text, &sentence, names)?;
    let unit = metrics::metric_unit(&metric.name).unwrap_or(MetricUnit::Count);
    let (Some(first), Some(last)) = (value_words.first(), value_words.last()) else {
        return Err(Problem::new(words[at].span.clone(), "nothing to compare with").help(USAGE));
    };
    let span = first.span.start..last.span.end;
    let value = value(&text[span.clone()], unit, &metric.name).map_err(|(message, help)| {
        let problem = Problem::new(span, message);
        if help.is_empty() {
            problem
        } else {
            problem.help(help)
        }
    })?;
    let comparison = comparison(words[at].text).unwrap_or(Comparison::Equal);
    Ok(Claim::Metric {
        metric,
        comparison,
        value,
    })
}

fn claim_of_invariant(text: &str, words: &[Word<'_>], names: &Names<'_>) -> Result<Claim, Problem> {
    let violated = words[0].text == "violates";
    let rest = &words[usize::from(violated)..];
    let Some(name) = rest.first() else {
        return Err(Problem::new(0..text.len(), "violates what?")
            .help("for example: \"violates no-loss of orders\""));
    };
    if !INVARIANTS
        .iter()
        .any(|invariant| invariant.name == name.text)
    {
        let known: Vec<_> = INVARIANTS.iter().map(|invariant| invariant.name).collect();
        return Err(Problem::new(
            name.span.clone(),
            format!("`{}` is not an invariant", short(name.text)),
        )
        .help(suggest(name.text, &known)));
    }
    let of = match &rest[1..] {
        [] => None,
        [of, queue] if of.text == "of" => Some(known(queue, &names.queues, "queue")?),
        [word, ..] => {
            return Err(Problem::new(
                word.span.start..text.len(),
                "an invariant is followed by `of QUEUE` or by nothing",
            ));
        }
    };
    Ok(Claim::Invariant {
        name: name.text.to_string(),
        of,
        violated,
    })
}

/// METRIC [of NAME] [in PHASE]
fn metric_ref(text: &str, words: &[Word<'_>], names: &Names<'_>) -> Result<MetricRef, Problem> {
    let Some((first, mut rest)) = words.split_first() else {
        return Err(Problem::new(0..text.len(), "a metric is missing").help(USAGE));
    };
    let Some(metric) = metrics::find(first.text) else {
        let known = metrics::names();
        let help = match closest(first.text, known.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!(
                "metrics are {}",
                metrics::METRICS
                    .iter()
                    .map(|metric| metric.name)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        return Err(Problem::new(
            first.span.clone(),
            format!("`{}` is not a metric", short(first.text)),
        )
        .help(help));
    };
    let (mut of, mut phase) = (None, None);
    while let [preposition, rest_words @ ..] = rest {
        let Some((name, after)) = rest_words.split_first() else {
            return Err(Problem::new(
                preposition.span.clone(),
                "something is missing after this word",
            )
            .help(USAGE));
        };
        match preposition.text {
            "of" if of.is_none() => {
                let either;
                let (candidates, what) = match metric.scope {
                    MetricScope::Queue => (&names.queues, "queue"),
                    MetricScope::Producer => (&names.producers, "producer"),
                    MetricScope::Consumer => (&names.consumers, "consumer"),
                    MetricScope::Group => (&names.groups, "group"),
                    MetricScope::QueueOrProducer => {
                        either = [&names.queues[..], &names.producers].concat();
                        (&either, "queue or producer")
                    }
                    MetricScope::Broker => {
                        return Err(Problem::new(
                            preposition.span.start..name.span.end,
                            format!("`{}` is of the whole broker", first.text),
                        ));
                    }
                };
                of = Some(known(name, candidates, what)?);
            }
            "in" if phase.is_none() && !metric.phased => {
                return Err(Problem::new(
                    preposition.span.start..name.span.end,
                    format!("`{}` is of the whole run only", first.text),
                ));
            }
            "in" if phase.is_none() => phase = Some(known(name, &names.phases, "phase")?),
            _ => {
                return Err(Problem::new(
                    preposition.span.clone(),
                    format!("`{}` is not understood here", short(preposition.text)),
                )
                .help(USAGE));
            }
        }
        rest = after;
    }
    Ok(MetricRef {
        name: first.text.to_string(),
        of,
        phase,
    })
}

fn value(text: &str, unit: MetricUnit, metric: &str) -> Result<f64, (String, String)> {
    let with_unit = |message| (message, String::new());
    match unit {
        MetricUnit::Time if decimal(text).is_ok() => Err((
            format!("`{metric}` is a time: {} has no unit", shown(text)),
            format!("write `{text}ms`, `{text}s` or `{text}m`"),
        )),
        MetricUnit::Time => parse_duration(text)
            .map(|span| span.as_secs_f64())
            .map_err(with_unit),
        MetricUnit::Rate if decimal(text).is_ok() => Err((
            format!("`{metric}` is a rate: {} has no unit", shown(text)),
            format!("write `{text}/s`"),
        )),
        MetricUnit::Rate => parse_rate(text).map_err(with_unit),
        MetricUnit::Count => decimal(text).map_err(|_| {
            (
                format!("`{metric}` is a number of messages, not {}", shown(text)),
                "write a plain number, such as `200_000`".into(),
            )
        }),
        MetricUnit::Ratio => match text.strip_suffix('%') {
            Some(percent) => decimal(percent.trim()).map(|percent| percent / 100.0),
            // It is shown in percent, so 60 is meant so, and 6,000 % would hold of anything.
            None if decimal(text).is_ok_and(|share| share > 1.0) => {
                return Err((
                    format!("`{metric}` is a share: {} without % is above 1", shown(text)),
                    format!(
                        "write `{text}%`, or a number from 0 to 1; a share above 1 is written with % too: `105%`"
                    ),
                ));
            }
            None => decimal(text),
        }
        .map_err(|_| {
            (
                format!("`{metric}` is a share, not {}", shown(text)),
                "write `0.8` or `80%`".into(),
            )
        }),
    }
}

fn known(word: &Word<'_>, candidates: &[&str], what: &str) -> Result<String, Problem> {
    if candidates.contains(&word.text) {
        return Ok(word.text.to_string());
    }
    Err(Problem::new(
        word.span.clone(),
        format!("there is no {what} `{}`", short(word.text)),
    )
    .help(suggest(word.text, candidates)))
}

fn comparison(word: &str) -> Option<Comparison> {
    Some(match word {
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Greater,
        ">=" => Comparison::AtLeast,
        "==" | "=" => Comparison::Equal,
        _ => return None,
    })
}

#[derive(Clone)]
struct Word<'a> {
    text: &'a str,
    span: Range<usize>,
}

/// Words between white space; a comparison needs none around it.
fn words(text: &str) -> Vec<Word<'_>> {
    let kind = |c: char| match c {
        _ if c.is_whitespace() => 0,
        '<' | '>' | '=' => 1,
        _ => 2,
    };
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut previous = 0;
    for (at, c) in text.char_indices() {
        let (current, end) = (kind(c), at + c.len_utf8());
        match words.last_mut() {
            Some(word) if current == previous && current != 0 => {
                word.span.end = end;
                word.text = &text[word.span.clone()];
            }
            _ if current != 0 => words.push(Word {
                text: &text[at..end],
                span: at..end,
            }),
            _ => {}
        }
        previous = current;
    }
    words
}

fn known_names() -> Vec<String> {
    metrics::names()
        .into_iter()
        .chain(
            INVARIANTS
                .iter()
                .map(|invariant| invariant.name.to_string()),
        )
        .collect()
}

fn moved(problem: Problem, by: usize) -> Problem {
    Problem {
        span: problem.span.start + by..problem.span.end + by,
        ..problem
    }
}

const USAGE: &str = "for example: \"latency.end_to_end.p99 < 200ms in after\", \"backlog.max of orders < 200_000\", \"no-loss\"";
