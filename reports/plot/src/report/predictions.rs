//! What theory says, beside what was measured in this run and in others.

use queuelab_record::{Ensemble, PredictionRecord, Quantity, RunRecord};

use super::table::{Cell, NOTHING, Table};
use crate::html::escaped;

/// A row per prediction.
pub(super) fn section(record: &RunRecord, ensemble: Option<&Ensemble>) -> String {
    let mut table = Table::new(
        "",
        &[
            "<metric",
            "this run",
            "replications",
            "predicted",
            "<kind",
            "<model",
            "<source",
        ],
    );
    for prediction in &record.predictions {
        let (of, phase) = (prediction.of.as_deref(), prediction.phase.as_deref());
        let over_runs = ensemble.and_then(|it| it.metric(&quantity(prediction)));
        table.row([
            quantity(prediction).to_string(),
            record.metric_shown(&prediction.metric, of, phase),
            over_runs.map_or(NOTHING.into(), |it| it.shown()),
            prediction.value_in_words(),
            prediction.kind.clone(),
            prediction.model.clone(),
            prediction.source.clone(),
        ]);
    }
    let mut html = table.without_empty_columns().html();
    let mut told: Vec<&str> = Vec::new();
    for assumption in record.predictions.iter().flat_map(|it| &it.assumptions) {
        if !told.contains(&assumption.as_str()) {
            told.push(assumption);
        }
    }
    for assumption in told {
        html.push_str(&format!("<p class=\"quiet\">{}</p>\n", escaped(assumption)));
    }
    html
}

fn quantity(prediction: &PredictionRecord) -> Quantity {
    Quantity {
        metric: prediction.metric.clone(),
        of: prediction.of.clone(),
        phase: prediction.phase.clone(),
    }
}

/// Metrics and expectations over several seeds.
pub(super) fn replications(ensemble: Option<&Ensemble>) -> String {
    let Some(ensemble) = ensemble else {
        return String::new();
    };
    let confidence = queuelab_record::percent(ensemble.precision.confidence);
    let mut metrics = Table::new(
        format!(
            "Over {} seeds ({} to {}): means, percentiles of all runs' latencies together, and {confidence} intervals.",
            ensemble.seeds.len(),
            ensemble.seeds.iter().min().copied().unwrap_or_default(),
            ensemble.seeds.iter().max().copied().unwrap_or_default(),
        ),
        &["<metric", "estimate", "<converged"],
    );
    for it in &ensemble.metrics {
        let converged = match (it.interval, it.converged) {
            (None, _) => Cell::from(NOTHING),
            (_, true) => Cell::new("pass", "✓"),
            (_, false) => Cell::new("undecided", "not yet"),
        };
        metrics.row([
            Cell::from(it.quantity.to_string()),
            it.shown().into(),
            converged,
        ]);
    }
    let mut expectations = Table::new(
        "Expectations over all seeds.",
        &[
            "<expectation",
            "<met",
            "<not met with seeds",
            "<undecided with seeds",
        ],
    );
    for it in &ensemble.expectations {
        let met = format!("{} of {}", it.met, ensemble.seeds.len());
        let class = match it.met == ensemble.seeds.len() {
            true => "pass",
            false if it.unmet.is_empty() => "undecided",
            false => "fail",
        };
        expectations.row([
            Cell::from(it.text.as_str()),
            Cell::new(class, met),
            seeds(&it.unmet).into(),
            seeds(&it.undecided).into(),
        ]);
    }
    let mut violations = Table::new(
        "Invariants that were violated although no expectation speaks of it.",
        &["<invariant", "<with seeds"],
    );
    for it in &ensemble.violations {
        violations.row([it.invariant.clone(), seeds(&it.seeds)]);
    }
    metrics.html() + &expectations.without_empty_columns().html() + &violations.html()
}

/// `9, 12 and 3 more`
fn seeds(seeds: &[u64]) -> String {
    let shown: Vec<String> = seeds.iter().take(SEEDS_MAX).map(u64::to_string).collect();
    match seeds.len().saturating_sub(SEEDS_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

const SEEDS_MAX: usize = 8;
