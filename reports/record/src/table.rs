//! Records as long tables: a row per figure, so that the records of many runs fit one table, whatever they have in them.

use serde::Serialize;

use crate::export::{columns, quoted};
use crate::{METRICS, Measured, RunRecord, Unit};

/// What a metric came to in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricRow {
    /// The scenario's name.
    pub scenario: String,
    /// The run's seed.
    pub seed: u64,
    /// `path=value` overrides, a space between; empty without any.
    pub overrides: String,
    /// `latency.end_to_end.p99`
    pub metric: String,
    /// Of a queue, producer, consumer or group; of all together if absent.
    pub of: Option<String>,
    /// In a phase; in the whole run if absent.
    pub phase: Option<String>,
    /// Absent if it never came to pass, as a drain may not.
    pub value: Option<f64>,
    /// `seconds`, `per_second`, `messages` or `share`.
    pub unit: &'static str,
    /// The truth may be larger: messages that were unfinished at the end would have counted.
    pub at_least: bool,
}

/// A figure of one window of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesRow {
    /// The scenario's name.
    pub scenario: String,
    /// The run's seed.
    pub seed: u64,
    /// `path=value` overrides, a space between; empty without any.
    pub overrides: String,
    /// The window's end in seconds.
    pub time_s: f64,
    /// `queue`, `group`, `consumer`, `node`, `alarm` or `latency`.
    pub kind: &'static str,
    /// Of which of them.
    pub name: String,
    /// `ready`, `p99_s`, …; of an alarm, the node. What ends in `_s` is seconds.
    pub series: String,
    /// A count, seconds or a share.
    pub value: f64,
}

/// All metrics of a run that came to something: of all together and of each name, in the whole run and in each phase. Percentiles are
/// p50, p90, p99 and p99.9.
pub fn metric_rows(record: &RunRecord) -> Vec<MetricRow> {
    let metrics: Vec<String> = METRICS
        .iter()
        .flat_map(|metric| match metric.strip_suffix(".pN") {
            Some(latency) => PERCENTILES.map(|p| format!("{latency}.{p}")).to_vec(),
            None => vec![metric.to_string()],
        })
        .collect();
    let names = names(record);
    let phases = record.phases.iter().map(|phase| Some(phase.name.as_str()));
    let phases: Vec<Option<&str>> = [None].into_iter().chain(phases).collect();
    let mut rows = Vec::new();
    for metric in &metrics {
        for of in &names {
            for phase in &phases {
                let (value, unit, at_least) = match record.metric(metric, *of, *phase) {
                    Ok(Measured::Value {
                        value,
                        unit,
                        at_least,
                    }) => (Some(value), unit, at_least),
                    Ok(Measured::Never) => (None, Unit::Time, false),
                    Ok(Measured::NoSamples) | Err(_) => continue,
                };
                rows.push(MetricRow {
                    scenario: record.scenario.name.clone(),
                    seed: record.seed,
                    overrides: record.scenario.overrides.join(" "),
                    metric: metric.clone(),
                    of: of.map(str::to_string),
                    phase: phase.map(str::to_string),
                    value,
                    unit: match unit {
                        Unit::Time => "seconds",
                        Unit::Rate => "per_second",
                        Unit::Count => "messages",
                        Unit::Ratio => "share",
                    },
                    at_least,
                });
            }
        }
    }
    rows
}

/// No name, then each one once.
fn names(record: &RunRecord) -> Vec<Option<&str>> {
    let queues = record.queues.iter().map(|it| it.name.as_str());
    let producers = record.producers.iter().map(|it| it.name.as_str());
    let consumers = record.consumers.iter().map(|it| it.name.as_str());
    let groups = record.groups.iter().map(|it| it.name.as_str());
    let mut names = vec![None];
    for name in queues.chain(producers).chain(consumers).chain(groups) {
        if !names.contains(&Some(name)) {
            names.push(Some(name));
        }
    }
    names
}

/// All figures of all windows of a run.
pub fn series_rows(record: &RunRecord) -> Vec<SeriesRow> {
    let mut rows = Vec::new();
    for column in columns(record) {
        let unit = if column.is_time() { "_s" } else { "" };
        for window in 0..record.windows() {
            let Some(cell) = column.cell(window) else {
                continue;
            };
            rows.push(SeriesRow {
                scenario: record.scenario.name.clone(),
                seed: record.seed,
                overrides: record.scenario.overrides.join(" "),
                time_s: record.window_end(window).as_secs_f64(),
                kind: column.kind,
                name: column.name.into(),
                series: format!("{}{unit}", column.series),
                value: cell.value(),
            });
        }
    }
    rows
}

/// Metrics as CSV, with a header; what is absent is empty.
pub fn metrics_csv(records: &[RunRecord]) -> String {
    let mut csv = String::from("scenario,seed,overrides,metric,of,phase,value,unit,at_least\n");
    for row in records.iter().flat_map(metric_rows) {
        let fields = [
            quoted(&row.scenario),
            row.seed.to_string(),
            quoted(&row.overrides),
            row.metric,
            quoted(row.of.as_deref().unwrap_or("")),
            quoted(row.phase.as_deref().unwrap_or("")),
            row.value.map_or(String::new(), |value| value.to_string()),
            row.unit.into(),
            row.at_least.to_string(),
        ];
        csv.push_str(&fields.join(","));
        csv.push('\n');
    }
    csv
}

/// Series as CSV, with a header.
pub fn long_series_csv(records: &[RunRecord]) -> String {
    let mut csv = String::from("scenario,seed,overrides,time_s,kind,name,series,value\n");
    for row in records.iter().flat_map(series_rows) {
        let fields = [
            quoted(&row.scenario),
            row.seed.to_string(),
            quoted(&row.overrides),
            row.time_s.to_string(),
            row.kind.into(),
            quoted(&row.name),
            quoted(&row.series),
            row.value.to_string(),
        ];
        csv.push_str(&fields.join(","));
        csv.push('\n');
    }
    csv
}

/// Metrics as JSON: `schema_version`, and `rows` of what [`MetricRow`] has.
pub fn metrics_json(records: &[RunRecord]) -> String {
    json(records.iter().flat_map(metric_rows).collect::<Vec<_>>())
}

/// Series as JSON: `schema_version`, and `rows` of what [`SeriesRow`] has.
pub fn series_json(records: &[RunRecord]) -> String {
    json(records.iter().flat_map(series_rows).collect::<Vec<_>>())
}

fn json<Row: Serialize>(rows: Vec<Row>) -> String {
    #[derive(Serialize)]
    struct Table<Row> {
        schema_version: u32,
        rows: Vec<Row>,
    }
    let table = Table {
        schema_version: TABLE_SCHEMA_VERSION,
        rows,
    };
    // Only finite numbers and text are in it; a number that is not finite would be written as null.
    let mut text = serde_json::to_string(&table).unwrap_or_default();
    text.push('\n');
    text
}

const PERCENTILES: [&str; 4] = ["p50", "p90", "p99", "p99.9"];

/// Raised when a reader of an older table would be misled.
const TABLE_SCHEMA_VERSION: u32 = 1;
