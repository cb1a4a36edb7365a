//! The answer, the expectations and the verdict.

use std::collections::BTreeSet;

use queuelab_core::Time;
use queuelab_record::{Judgement, RunRecord, Verdict, grouped, percent};

use super::{INDENT, LABEL, Page};
use crate::layout::{Align, Cell, Painter, Style, chain, fits, table, wrap};
use crate::summary;

/// The answer in a sentence or two: what is not met first, then the author's words or ours.
pub(super) fn answer(page: &Page<'_>) -> Vec<String> {
    let judgements = summary::judgements(page.record, page.context);
    let mut text = headline(&judgements).unwrap_or_default();
    let words = page.record.answer.clone();
    let words = words.unwrap_or_else(|| match text.is_empty() {
        true => format!("{} {}", all_met(&judgements), backlog(page.record)),
        false => backlog(page.record),
    });
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(&words);
    let style = match summary::verdict(page.record, page.context) {
        Verdict::Pass => Style::Bold,
        Verdict::Fail => Style::Red,
        Verdict::Undecided => Style::Yellow,
    };
    let lines = wrap(&text, page.context.width.min(ANSWER_WIDTH) - INDENT.len());
    lines
        .iter()
        .map(|line| format!("{INDENT}{}", page.painter.paint(style, line)))
        .collect()
}

/// Expectations with ✓, ✗ or ? and what was measured; then faults and what the figures rest on.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let judgements = summary::judgements(page.record, page.context);
    let row = |judgement: &Judgement| {
        let (sign, style) = match judgement.verdict {
            Verdict::Pass => ("✓", Style::Green),
            Verdict::Fail => ("✗", Style::Red),
            Verdict::Undecided => ("?", Style::Yellow),
        };
        vec![
            Cell::new(style, format!("{sign} {}", judgement.text)),
            judgement.measured.clone().into(),
            Cell::new(Style::Dim, judgement.elsewhere.clone().unwrap_or_default()),
        ]
    };
    let mut rows: Vec<Vec<Cell>> = judgements.iter().map(row).collect();
    // What other seeds say goes below where there is no room beside.
    let beside = fits(&rows, &[Align::Left; 3], page.context.width - INDENT.len());
    if !beside {
        rows.iter_mut().for_each(|row| row.truncate(2));
    }
    let table = table(&rows, &[Align::Left; 3], page.painter);
    let mut lines = Vec::new();
    for (line, judgement) in table.into_iter().zip(&judgements) {
        lines.push(format!("{INDENT}{line}"));
        if let Some(elsewhere) = judgement.elsewhere.as_ref().filter(|_| !beside) {
            let elsewhere = page.painter.paint(Style::Dim, elsewhere);
            lines.push(format!("{INDENT}  {elsewhere}"));
        }
    }
    lines.extend(examples(page));
    lines.extend(faults(page));
    lines.extend(page.labelled(
        "trust",
        chain(&trust(page), page.context.width - super::LABEL),
    ));
    lines
}

/// `PASS 4 of 4 · trace 5f1c9e02 · repeat with --seed 7`
pub(super) fn line(record: &RunRecord, judgements: &[Judgement], painter: Painter) -> String {
    let met = judgements
        .iter()
        .filter(|judgement| judgement.verdict == Verdict::Pass)
        .count();
    let verdict = Verdict::worst(judgements.iter().map(|judgement| judgement.verdict));
    let (word, style) = match verdict {
        Verdict::Pass => ("PASS", Style::Green),
        Verdict::Fail => ("FAIL", Style::Red),
        Verdict::Undecided => ("UNDECIDED", Style::Yellow),
    };
    let count = match judgements.len() {
        0 => "nothing expected".into(),
        all if met == all => format!("{met} of {all}"),
        all => format!("{met} of {all} met"),
    };
    let trace: String = record.trace_hash.chars().take(8).collect();
    format!(
        "{} {count} · trace {trace} · repeat with --seed {}",
        painter.paint(style, word),
        record.seed
    )
}

/// What is not met or cannot be said; `None` if all is well.
fn headline(judgements: &[Judgement]) -> Option<String> {
    let verdict = Verdict::worst(judgements.iter().map(|judgement| judgement.verdict));
    let word = match verdict {
        Verdict::Pass => return None,
        Verdict::Fail => "NOT MET",
        Verdict::Undecided => "UNDECIDED",
    };
    let named = judgements
        .iter()
        .filter(|judgement| judgement.verdict == verdict);
    let named: Vec<String> = named
        .map(|it| match &it.elsewhere {
            // A figure that meets it does not say why it is undecided.
            Some(elsewhere) => format!("{} ({}; {elsewhere})", it.text, it.measured),
            None => format!("{} ({})", it.text, it.measured),
        })
        .collect();
    Some(format!("{word}: {}.", named.join(", ")))
}

fn all_met(judgements: &[Judgement]) -> String {
    match judgements.len() {
        0 => "NOTHING WAS EXPECTED.".into(),
        1 => "THE EXPECTATION IS MET.".into(),
        _ => "ALL EXPECTATIONS MET.".into(),
    }
}

/// What the backlog did, for scenarios whose author wrote no answer.
fn backlog(record: &RunRecord) -> String {
    let queues = record.queues.iter().filter(|queue| !queue.stream);
    let Some(queue) = queues.max_by_key(|queue| queue.ready_max.0) else {
        return lag(record);
    };
    let (peak, at) = queue.ready_max;
    if peak == 0 {
        return "No message had to wait in a queue.".into();
    }
    let when = if at == Time::ZERO {
        String::new()
    } else {
        format!(" at {at}")
    };
    let then = match queue.drain_time {
        Some(span) => format!("was gone {span} later"),
        None => format!("was {} at the end", grouped(queue.ready_end)),
    };
    format!(
        "The backlog of {} peaked at {}{when} and {then}.",
        queue.name,
        grouped(peak)
    )
}

/// How far the group that was furthest behind was, where all messages go to streams.
fn lag(record: &RunRecord) -> String {
    match record.groups.iter().max_by_key(|group| group.lag_max.0) {
        None => String::new(),
        Some(group) if group.lag_max.0 == 0 => "No group fell behind its streams.".into(),
        Some(group) => format!(
            "The group {} was {} records behind at {}, and {} at the end.",
            group.name,
            grouped(group.lag_max.0),
            group.lag_max.1,
            grouped(group.lag_end)
        ),
    }
}

/// The first violations in words, where an invariant failed and no expectation wanted it to.
fn examples(page: &Page<'_>) -> Vec<String> {
    let failed: Vec<String> = summary::judgements(page.record, page.context)
        .into_iter()
        .filter(|j| j.verdict == Verdict::Fail)
        .map(|j| j.text)
        .collect();
    let invariants = page.record.invariants.iter();
    let unmet = invariants.filter(|invariant| {
        let speaks = |text: &String| text.split_whitespace().next() == Some(&invariant.name);
        invariant.verdict == Verdict::Fail && failed.iter().any(speaks)
    });
    unmet
        .flat_map(|invariant| invariant.examples.iter().take(3))
        .map(|example| format!("{INDENT}  {example}"))
        .collect()
}

fn faults(page: &Page<'_>) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = page
        .record
        .faults
        .iter()
        .take(FAULTS_MAX)
        .map(|fault| {
            let what = format!("{} of {}", fault.kind, fault.target);
            let when = format!("{} – {}", fault.from, fault.until);
            vec![
                fault.name.clone().into(),
                what.into(),
                when.into(),
                fault.effect.clone().into(),
            ]
        })
        .collect();
    let mut lines = table(&rows, &[Align::Left; 4], page.painter);
    let more = page.record.faults.len().saturating_sub(FAULTS_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    let stopped = page.record.nodes.iter().filter_map(|node| {
        let reason = node.stopped.as_ref()?;
        Some(format!("{} is down: {reason}", node.name))
    });
    let width = page.context.width.saturating_sub(LABEL);
    lines.extend(stopped.flat_map(|line| wrap(&line, width)));
    page.labelled("faults", lines)
}

/// What the figures rest on.
fn trust(page: &Page<'_>) -> Vec<String> {
    let record = page.record;
    let names = |durability| {
        let queues = record
            .queues
            .iter()
            .filter(|queue| queue.durability == durability);
        queues.map(|queue| queue.name.as_str()).collect::<Vec<_>>()
    };
    let kinds: BTreeSet<_> = record.queues.iter().map(|queue| queue.durability).collect();
    let used: Vec<(String, Vec<&str>)> = kinds
        .into_iter()
        .rev()
        .map(|durability| (durability.to_string(), names(durability)))
        .collect();
    let durability = match used.as_slice() {
        [(word, _)] => word.to_string(),
        several => {
            let each = several
                .iter()
                .map(|(word, queues)| match queues.as_slice() {
                    [a] => format!("{word} ({a})"),
                    [a, b] => format!("{word} ({a}, {b})"),
                    many => format!("{word} ({} queues)", many.len()),
                });
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let costs = match (record.trust.profile.as_str(), record.trust.calibrated) {
        ("ideal", _) => "costs ideal: only services take time".into(),
        (profile, true) => format!("costs {profile}, calibrated"),
        (profile, false) => format!("costs {profile}, uncalibrated"),
    };
    let compared: u64 = record
        .invariants
        .iter()
        .map(|invariant| invariant.compared)
        .sum();
    let checks = match record.trust.checked {
        true => format!("{} events compared", grouped(compared)),
        false => "checks off".into(),
    };
    let mut items = vec![format!("durability {durability}"), costs, checks];
    if !record.trust.designs.is_empty() {
        let designs = record.trust.designs.join(", ");
        items.push(format!(
            "carries the semantics of {designs} at queuelab's speed"
        ));
    }
    let law = littles_law(record);
    items.extend(law.map(|law| match &page.context.ensemble {
        Some(it) if it.unaccounted.is_empty() => format!("{law} in {} runs", it.seeds.len()),
        _ => law,
    }));
    items
}

/// Whether L = λW held on the sample path; `None` if nothing was in the broker.
fn littles_law(record: &RunRecord) -> Option<String> {
    let law = record.littles_law;
    if law.integral == law.sojourns {
        return (law.integral > 0).then(|| "L = λW exact".into());
    }
    let difference =
        law.integral.abs_diff(law.sojourns) as f64 / law.integral.max(law.sojourns) as f64;
    Some(format!("L = λW off by {}", percent(difference)))
}

/// A sentence reads better in lines that are not too long.
const ANSWER_WIDTH: usize = 92;

/// More activations than this are in the record.
const FAULTS_MAX: usize = 8;
