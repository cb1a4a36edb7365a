//! What theory predicts, beside what was measured.

use queuelab_record::PredictionRecord;

use super::{INDENT, Page, figures};
use crate::layout::{Align, Cell, Style, table, wrap};
use crate::predict;

/// A row per predicted metric, then what is taken for granted, then warnings.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let mut lines = compared(page);
    for warning in &page.context.warnings {
        let wrapped = wrap(warning, page.context.width.saturating_sub(super::LABEL));
        lines.extend(page.labelled("warning", wrapped));
    }
    lines
}

fn compared(page: &Page<'_>) -> Vec<String> {
    let predictions = &page.record.predictions;
    let Some(first) = predictions.first() else {
        return Vec::new();
    };
    let shown = &predictions[..predictions.len().min(ROWS_MAX)];
    let one_kind = shown.iter().all(|prediction| prediction.kind == first.kind);
    let head = match one_kind {
        true => format!("predicted ({})", first.kind),
        false => "predicted".into(),
    };
    let mut rows = vec![vec![
        Cell::default(),
        Cell::new(Style::Dim, "this run"),
        Cell::new(Style::Dim, head),
    ]];
    rows.extend(
        shown
            .iter()
            .map(|prediction| row(page, prediction, one_kind)),
    );
    let align = [Align::Left, Align::Right, Align::Right, Align::Left];
    let mut lines = table(&rows, &align, page.painter);
    let more = predictions.len() - shown.len();
    if more > 0 {
        lines.push(format!("and {more} more in record.json"));
    }
    for assumption in predict::assumptions(shown) {
        let lines_of = wrap(assumption, page.context.width.saturating_sub(INDENT.len()));
        lines.extend(
            lines_of
                .iter()
                .map(|line| page.painter.paint(Style::Dim, line)),
        );
    }
    lines
        .into_iter()
        .map(|line| format!("{INDENT}{line}"))
        .collect()
}

fn row(page: &Page<'_>, prediction: &PredictionRecord, one_kind: bool) -> Vec<Cell> {
    let measured = figures::metric(
        page.record,
        &prediction.metric,
        prediction.of.as_deref(),
        prediction.phase.as_deref(),
    );
    let known = if one_kind {
        ""
    } else {
        prediction.kind.as_str()
    };
    let model = match (known, prediction.model.as_str()) {
        (known, model) if model == prediction.kind => known.to_string(),
        ("", model) => model.to_string(),
        (kind, model) => format!("{kind} · {model}"),
    };
    vec![
        predict::metric(prediction).into(),
        measured.into(),
        predict::value(prediction).into(),
        Cell::new(Style::Dim, model),
    ]
}

/// More rows would push the verdict off the screen.
const ROWS_MAX: usize = 10;
