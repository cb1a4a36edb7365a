//! What `compare --format json` prints. Everything else is in compare.json.

use std::path::Path;

use queuelab_record::{ACCOUNT, Comparison, Ensemble, Finding, MetricComparison, Variant, Verdict};
use serde_json::{Map, Value, json};

use super::{verdict, verdict_of};
use crate::ci::JSON_SCHEMA_VERSION;

/// One object. Times are in seconds.
pub(super) fn json(comparison: &Comparison, folder: &Path) -> String {
    let metrics = comparison.metrics.iter().map(|it| metric(comparison, it));
    let json = json!({
        "schema_version": JSON_SCHEMA_VERSION,
        "version": comparison.version,
        "verdict": word(verdict(comparison)),
        "reference": comparison.variants.first().map(|it| &it.label),
        "confidence": comparison.confidence,
        "designs": comparison.variants.iter().map(design).collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
        "folder": folder,
    });
    format!("{json:#}\n")
}

fn design(variant: &Variant) -> Value {
    let Some(ensemble) = &variant.ensemble else {
        return json!({ "label": variant.label, "refused": variant.refused });
    };
    json!({
        "label": variant.label,
        "verdict": word(verdict_of(ensemble)),
        "seeds": ensemble.seeds,
        "set": ensemble.scenario.overrides,
        "expectations": ensemble.expectations,
        "violations": ensemble.violations,
        "account": account(variant),
        "unaccounted": ensemble.unaccounted,
    })
}

/// Sums over all runs; null where nobody counted.
fn account(variant: &Variant) -> Value {
    let total = |metric: &str| variant.total(metric).map(|it| it as u64);
    let totals = ACCOUNT.map(|metric| (metric.to_string(), json!(total(metric))));
    Value::Object(Map::from_iter(totals))
}

fn metric(comparison: &Comparison, metric: &MetricComparison) -> Value {
    let designs = comparison.variants.iter().zip(&metric.differences);
    let designs = designs.map(|(variant, difference)| {
        let measured = variant.ensemble.as_ref().and_then(|it| figures(it, metric));
        let difference = difference.map(|it| {
            json!({
                "estimate": it.interval.estimate,
                "half_width": it.interval.half_width,
                "paired": it.paired,
                "p": it.p,
                "p_adjusted": it.p_adjusted,
                "finding": finding(it.finding),
            })
        });
        json!({ "label": variant.label, "measured": measured, "difference": difference })
    });
    json!({
        "metric": metric.quantity.to_string(),
        "designs": designs.collect::<Vec<_>>(),
    })
}

fn figures(ensemble: &Ensemble, metric: &MetricComparison) -> Option<Value> {
    let metric = ensemble.metric(&metric.quantity)?;
    Some(json!({
        "estimate": metric.interval.map(|it| it.estimate),
        "half_width": metric.interval.map(|it| it.half_width),
        "values": metric.values,
        "never": metric.never,
        "at_least": metric.at_least,
    }))
}

fn finding(finding: Finding) -> &'static str {
    match finding {
        Finding::Less => "less",
        Finding::More => "more",
        Finding::Nothing => "nothing",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Undecided => "undecided",
    }
}
