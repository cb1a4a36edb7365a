//! What `run --format json` prints: the verdict and the figures that scripts ask for (times in seconds). Everything else is in record.json.

use queuelab_record::{Ensemble, Measured, RunRecord, Verdict};
use serde_json::{Value, json};

use crate::ci::JSON_SCHEMA_VERSION;
use crate::summary::{self, Context};

/// An object for one run; for several one with all of theirs as `runs`. Each has what was guessed, if anything was.
pub(crate) fn json(runs: &[(RunRecord, Context, Vec<Value>)]) -> String {
    let objects: Vec<Value> = runs
        .iter()
        .map(|(record, context, guesses)| {
            let mut value = object(record, context);
            if !guesses.is_empty() {
                value["guesses"] = json!(guesses);
            }
            value
        })
        .collect();
    match objects.as_slice() {
        [one] => format!("{one:#}\n"),
        _ => {
            let json = json!({ "schema_version": JSON_SCHEMA_VERSION, "runs": objects });
            format!("{json:#}\n")
        }
    }
}

fn object(record: &RunRecord, context: &Context) -> Value {
    let judgements = summary::judgements(record, context);
    let expectations = judgements[..record.expectations.len()].iter().map(|it| {
        let verdict = word(it.verdict);
        json!({ "text": it.text, "verdict": verdict, "measured": it.measured, "elsewhere": it.elsewhere })
    });
    let invariants = record.invariants.iter().map(|invariant| {
        let verdict = word(invariant.verdict);
        json!({ "name": invariant.name, "verdict": verdict, "compared": invariant.compared, "violations": invariant.violations })
    });
    json!({
        "schema_version": JSON_SCHEMA_VERSION,
        "scenario": record.scenario.name,
        "seed": record.seed,
        "set": record.scenario.overrides,
        "version": record.version,
        "verdict": word(summary::verdict(record, context)),
        "expectations": expectations.collect::<Vec<_>>(),
        "invariants": invariants.collect::<Vec<_>>(),
        "folder": context.files.as_ref().map(|files| files.folder.trim_end_matches('/')),
        "simulated_s": record.end.as_secs_f64(),
        "metrics": metrics(record),
        "at_least": at_least(record),
        "predictions": record.predictions,
        "warnings": context.warnings,
        "replications": context.ensemble.as_ref().map(replications),
        "trace_hash": record.trace_hash,
    })
}

/// What other seeds say; replications.json has the latencies of all runs too.
fn replications(ensemble: &Ensemble) -> Value {
    json!({
        "seeds": ensemble.seeds,
        "precision": ensemble.precision,
        "metrics": ensemble.metrics,
        "expectations": ensemble.expectations,
        "violations": ensemble.violations,
        "unaccounted": ensemble.unaccounted,
        "overloads": ensemble.overloads,
        "transient": ensemble.transient,
        "warnings": ensemble.warnings(),
    })
}

/// Metrics of the whole run under the names that expectations use; null where there was nothing to measure.
fn metrics(record: &RunRecord) -> Value {
    let value = |name: &str| match record.metric(name, None, None) {
        // Counts read as whole numbers, which is what they are unless they are means.
        Ok(Measured::Value { value, .. }) if name.starts_with("count.") => json!(value as u64),
        Ok(Measured::Value { value, .. }) => json!(value),
        _ => Value::Null,
    };
    Value::Object(
        KEY_METRICS
            .iter()
            .map(|name| (name.to_string(), value(name)))
            .collect(),
    )
}

/// Metrics that are lower bounds, because messages were unfinished at the end.
fn at_least(record: &RunRecord) -> Vec<&'static str> {
    let open = |name: &&str| {
        matches!(
            record.metric(name, None, None),
            Ok(Measured::Value { at_least: true, .. })
        )
    };
    KEY_METRICS.into_iter().filter(open).collect()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Undecided => "undecided",
    }
}

const KEY_METRICS: [&str; 26] = [
    "backlog.max",
    "backlog.mean",
    "backlog.end",
    "drain_time",
    "latency.confirm.mean",
    "latency.confirm.p50",
    "latency.confirm.p99",
    "latency.confirm.max",
    "latency.delivery.mean",
    "latency.delivery.p50",
    "latency.delivery.p99",
    "latency.delivery.max",
    "latency.end_to_end.mean",
    "latency.end_to_end.p50",
    "latency.end_to_end.p99",
    "latency.end_to_end.max",
    "count.offered",
    "count.sent",
    "count.confirmed",
    "count.enqueued",
    "count.acked",
    "count.redelivered",
    "count.dead_lettered",
    "count.dropped",
    "count.lost",
    "utilisation",
];

#[cfg(test)]
mod tests {
    use queuelab_record::fixture;

    use super::*;

    #[test]
    fn every_key_metric_exists() {
        let record = fixture::flash_sale();
        for name in KEY_METRICS {
            assert!(record.metric(name, None, None).is_ok(), "{name}");
        }
    }
}
