//! This run, all seeds and theory, side by side.

use queuelab_record::{BatchMeans, PredictionRecord, Quantity};

use super::{INDENT, Page, figures};
use crate::layout::{Align, Cell, Style, fits, table, wrap};
use crate::predict;

/// A row per metric, then what is taken for granted, then warnings.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let mut lines = compared(page);
    for warning in warnings(page) {
        let wrapped = wrap(&warning, page.context.width.saturating_sub(super::LABEL));
        lines.extend(page.labelled("warning", wrapped));
    }
    lines
}

/// What one metric came to.
struct Row<'a> {
    quantity: Quantity,
    prediction: Option<&'a PredictionRecord>,
    /// Over seeds, or from batches of this run.
    interval: String,
}

fn compared(page: &Page<'_>) -> Vec<String> {
    let rows = rows(page);
    if rows.is_empty() {
        return Vec::new();
    }
    let shown = &rows[..rows.len().min(ROWS_MAX)];
    let kinds = shown.iter().filter_map(|row| Some(&row.prediction?.kind));
    let first = kinds.clone().next();
    let one_kind = kinds.clone().all(|kind| Some(kind) == first);
    let predicted = match first {
        Some(kind) if one_kind => format!("predicted ({kind})"),
        Some(_) => "predicted".into(),
        None => String::new(),
    };
    let head = [String::new(), "this run".into(), intervals(page), predicted];
    let mut cells = vec![head.map(|text| Cell::new(Style::Dim, text)).to_vec()];
    cells.extend(shown.iter().map(|row| row.cells(page, one_kind)));
    let align = [
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Left,
    ];
    // The model is worth its space, but not a broken table.
    if !fits(&cells, &align, page.context.width - INDENT.len()) {
        cells.iter_mut().for_each(|row| row.truncate(4));
    }
    let mut lines = table(&cells, &align, page.painter);
    let more = rows.len() - shown.len();
    if more > 0 {
        let file = match page.context.ensemble {
            Some(_) => "replications.json",
            None => "record.json",
        };
        lines.push(format!("and {more} more in {file}"));
    }
    let predictions: Vec<PredictionRecord> = shown
        .iter()
        .filter_map(|row| row.prediction.cloned())
        .collect();
    for assumption in predict::assumptions(&predictions) {
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

/// What theory predicts first; with other seeds also what is expected, and what one looks at first.
fn rows<'a>(page: &Page<'a>) -> Vec<Row<'a>> {
    let predictions = &page.record.predictions;
    let quantity = |it: &PredictionRecord| Quantity {
        metric: it.metric.clone(),
        of: it.of.clone(),
        phase: it.phase.clone(),
    };
    let predicted = predictions.iter().map(|it| (quantity(it), Some(it)));
    let measured = page.context.ensemble.iter().flat_map(|it| &it.metrics);
    let measured = measured.map(|it| (it.quantity.clone(), None));
    let mut rows: Vec<Row<'a>> = Vec::new();
    for (quantity, prediction) in predicted.chain(measured) {
        // One metric may have two predictions, a bound and an estimate.
        let known = rows.iter().any(|row| row.quantity == quantity);
        if prediction.is_none() && known {
            continue;
        }
        let interval = match known {
            true => String::new(),
            false => interval(page, &quantity),
        };
        rows.push(Row {
            quantity,
            prediction,
            interval,
        });
    }
    rows
}

fn interval(page: &Page<'_>, quantity: &Quantity) -> String {
    if let Some(ensemble) = &page.context.ensemble {
        let metric = ensemble.metric(quantity);
        return metric.map_or(String::new(), |metric| metric.shown());
    }
    let batches = page.record.batch_means(quantity, CONFIDENCE);
    batches.map_or(String::new(), |it| it.shown())
}

/// The head of the column of intervals; it vanishes where there are none.
fn intervals(page: &Page<'_>) -> String {
    match &page.context.ensemble {
        Some(ensemble) => {
            let confidence = ensemble.precision.confidence * 100.0;
            format!("{} seeds, {confidence:.0} %", ensemble.seeds.len())
        }
        None if batches(page).is_empty() => String::new(),
        None => format!("batch means, {:.0} %", CONFIDENCE * 100.0),
    }
}

fn batches(page: &Page<'_>) -> Vec<BatchMeans> {
    let predictions = page.record.predictions.iter();
    let batches = predictions.filter_map(|it| {
        let quantity = Quantity {
            metric: it.metric.clone(),
            of: it.of.clone(),
            phase: it.phase.clone(),
        };
        page.record.batch_means(&quantity, CONFIDENCE)
    });
    batches.collect()
}

impl Row<'_> {
    fn cells(&self, page: &Page<'_>, one_kind: bool) -> Vec<Cell> {
        let Row {
            quantity,
            prediction,
            interval,
        } = self;
        let (predicted, model) = match prediction {
            Some(prediction) => (prediction.value_in_words(), model(prediction, one_kind)),
            None => Default::default(),
        };
        vec![
            quantity.to_string().into(),
            measured(page, quantity).into(),
            interval.as_str().into(),
            predicted.into(),
            Cell::new(Style::Dim, model),
        ]
    }
}

/// A metric of this run; a dash in place of a percentile so far out that a few messages decide it.
fn measured(page: &Page<'_>, quantity: &Quantity) -> String {
    match page.record.is_scarce(quantity) {
        true => figures::NOTHING.into(),
        false => {
            let (of, phase) = (quantity.of.as_deref(), quantity.phase.as_deref());
            page.record.metric_shown(&quantity.metric, of, phase)
        }
    }
}

fn model(prediction: &PredictionRecord, one_kind: bool) -> String {
    let known = if one_kind {
        ""
    } else {
        prediction.kind.as_str()
    };
    match (known, prediction.model.as_str()) {
        (known, model) if model == prediction.kind => known.to_string(),
        ("", model) => model.to_string(),
        (kind, model) => format!("{kind} · {model}"),
    }
}

/// Of theory, then of what all seeds show.
fn warnings(page: &Page<'_>) -> Vec<String> {
    let mut warnings = page.context.warnings.clone();
    match &page.context.ensemble {
        Some(ensemble) => {
            // Theory says the same of loads that can be known before.
            let told = |queue: &str| warnings.iter().any(|it| it.contains(&format!("`{queue}`")));
            let lasting = ensemble.overloads.iter().filter(|it| it.lasting);
            let untold = lasting.filter(|it| !told(&it.queue)).count() > 0;
            if untold {
                warnings.extend(ensemble.overloaded());
            }
            warnings.extend(ensemble.warnings());
        }
        None => {
            let unsound = batches(page).iter().filter(|it| !it.is_sound()).count();
            if unsound > 0 {
                warnings.push(
                    "neighbouring batches are alike: the run is too short for its intervals, which are too narrow; --replications 10 gives better ones".into(),
                );
            }
        }
    }
    let rows = rows(page);
    let mut shown = rows.iter().take(ROWS_MAX);
    if shown.any(|row| page.record.is_scarce(&row.quantity)) {
        warnings.push(
            "a percentile with fewer than 100 latencies beyond it hangs on a few messages, and is left out (p99.9 takes 100,000)"
                .into(),
        );
    }
    warnings
}

/// More rows would push the verdict off the screen.
const ROWS_MAX: usize = 10;

/// Of intervals.
const CONFIDENCE: f64 = 0.95;
