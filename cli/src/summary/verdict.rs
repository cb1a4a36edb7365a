//! The answer, the expectations and the verdict.

use queuelab_record::{Judgement, RunRecord, Verdict};

use super::{INDENT, Page, faults, figures};
use crate::layout::{Align, Cell, Painter, Style, chain, fits, table, wrap};
use crate::summary;

/// The answer in a sentence or two: what is not met first, then the author's words or ours.
pub(super) fn answer(page: &Page<'_>) -> Vec<String> {
    let judgements = summary::judgements(page.record, page.context);
    let text = page.record.answer_in_words(&judgements);
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
    lines.extend(faults::section(page));
    let trust = page.record.trust_in_words(page.context.ensemble.as_ref());
    lines.extend(page.labelled("trust", chain(&trust, page.context.width - super::LABEL)));
    lines
}

/// Where another seed shows what this one does not: commands that show it, with what for.
pub(super) fn other_seeds(page: &Page<'_>, scenario: &str) -> Vec<(String, String)> {
    let Some(ensemble) = &page.context.ensemble else {
        return Vec::new();
    };
    let sets = page.record.scenario.overrides.iter();
    let sets: String = sets
        .map(|set| format!(" --set {}", figures::shell_word(set)))
        .collect();
    let other = |seeds: &[u64]| seeds.iter().copied().find(|seed| *seed != page.record.seed);
    let violated = ensemble.violations.iter().find_map(|it| {
        let seed = other(&it.seeds).filter(|_| !it.seeds.contains(&page.record.seed))?;
        let command = format!("queuelab hunt {scenario}{sets} --first-seed {seed} --seeds 1");
        Some((command, format!("How is {} violated?", it.invariant)))
    });
    let mut expectations = page.record.expectations.iter().zip(&ensemble.expectations);
    let chance = expectations.find_map(|(own, all)| {
        let anomaly = own.text.trim_start().starts_with("violates ");
        let seed = other(&all.unmet).filter(|_| own.verdict == Verdict::Pass && !anomaly)?;
        let grading = grading(page.record);
        let command = format!("queuelab run {scenario}{sets} --seed {seed}{grading}");
        Some((
            command,
            format!("What is different where {} fails?", own.text),
        ))
    });
    violated.into_iter().chain(chance).collect()
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
    let grading = grading(record);
    let trace: String = record.trace_hash.chars().take(8).collect();
    format!(
        "{} {count} · trace {trace} · repeat with --seed {}{grading}",
        painter.paint(style, word),
        record.seed
    )
}

/// ` --expect grading.toml`, if a second file judged.
fn grading(record: &RunRecord) -> String {
    let grading = record.scenario.grading.as_ref();
    grading.map_or(String::new(), |it| {
        format!(" --expect {}", figures::shell_word(it))
    })
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

/// A sentence reads better in lines that are not too long.
const ANSWER_WIDTH: usize = 92;
