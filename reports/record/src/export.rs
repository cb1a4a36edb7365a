//! The files of a run. Contents are pure functions of the record; only the last functions here touch the disk.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use hdrhistogram::Histogram;
use queuelab_core::Span;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Latencies, RecordError, RunRecord};

/// All that may differ between two runs of the same scenario, seed and version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// How long the run took, in seconds.
    pub wall_seconds: f64,
    /// The machine, as far as known: `epyc-3 · linux x86_64`.
    pub host: String,
    /// The commit of queuelab, if known.
    pub commit: Option<String>,
    /// `release` or `debug`.
    pub profile: String,
    /// Threads that worked on the run.
    pub threads: usize,
}

impl Environment {
    /// `environment.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain fields");
        text.push('\n');
        text
    }
}

/// Why a file was not read or written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("failed to {verb} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `create`.
        verb: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was read, but is not a record.
    #[error("failed to read {}: {source}", path.display())]
    Record {
        /// What.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
}

/// `series.csv`: one row per window, the time of its end in `time_s`. Names tell the kind, the name and the unit: columns ending
/// in `_s` are seconds, `published`, `delivered`, `redelivered`, `acked`, `dead_lettered` and `settled` count copies within the window,
/// `ready`, `in_flight`, `delayed`, `lag` and `members` are at its end, `utilisation`, `cpu`, `disk` and `alarm.…` (there if any was on)
/// are shares of the window from 0 to 1.
/// Percentiles of a window without samples are left empty.
pub fn series_csv(record: &RunRecord) -> String {
    let columns = columns(record);
    let mut csv = String::from("time_s");
    for (name, _) in &columns {
        csv.push(',');
        csv.push_str(&quoted(name));
    }
    csv.push('\n');
    for window in 0..record.windows() {
        csv.push_str(&seconds(record.window_end(window).0));
        for (_, cell) in &columns {
            csv.push(',');
            csv.push_str(&cell(window));
        }
        csv.push('\n');
    }
    csv
}

type Column<'a> = (String, Box<dyn Fn(usize) -> String + 'a>);

fn columns(record: &RunRecord) -> Vec<Column<'_>> {
    fn counts(name: String, values: &[u64]) -> Column<'_> {
        (
            name,
            Box::new(|window| values.get(window).map_or(String::new(), u64::to_string)),
        )
    }
    fn shares(name: String, values: &[f64]) -> Column<'_> {
        (
            name,
            Box::new(|window| values.get(window).map_or(String::new(), f64::to_string)),
        )
    }
    let mut columns = Vec::new();
    for queue in &record.queues {
        let (name, series) = (&queue.name, &queue.series);
        columns.push(counts(format!("queue.{name}.ready"), &series.ready));
        columns.push(counts(format!("queue.{name}.ready_max"), &series.ready_max));
        columns.push(counts(format!("queue.{name}.in_flight"), &series.in_flight));
        columns.push((
            format!("queue.{name}.oldest_age_s"),
            Box::new(|window| {
                series
                    .oldest_age
                    .get(window)
                    .map_or(String::new(), |&age| seconds(age))
            }),
        ));
        columns.push(counts(format!("queue.{name}.published"), &series.published));
        columns.push(counts(format!("queue.{name}.delivered"), &series.delivered));
        columns.push(counts(
            format!("queue.{name}.redelivered"),
            &series.redelivered,
        ));
        columns.push(counts(format!("queue.{name}.acked"), &series.acked));
        columns.push(counts(format!("queue.{name}.delayed"), &series.delayed));
        columns.push(counts(
            format!("queue.{name}.dead_lettered"),
            &series.dead_lettered,
        ));
    }
    for group in &record.groups {
        let (name, series) = (&group.name, &group.series);
        columns.push(counts(format!("group.{name}.lag"), &series.lag));
        columns.push(counts(format!("group.{name}.members"), &series.members));
        columns.push(counts(format!("group.{name}.delivered"), &series.delivered));
        columns.push(counts(format!("group.{name}.settled"), &series.settled));
    }
    let mut resources: Vec<(&str, &str)> = record
        .alarms
        .iter()
        .map(|alarm| (alarm.resource.as_str(), alarm.node.as_str()))
        .collect();
    resources.sort_unstable();
    resources.dedup();
    for (resource, node) in resources {
        let values = alarm_shares(record, resource, node);
        columns.push((
            format!("alarm.{resource}.{node}"),
            Box::new(move |window| values.get(window).map_or(String::new(), f64::to_string)),
        ));
    }
    for consumer in &record.consumers {
        columns.push(shares(
            format!("consumer.{}.utilisation", consumer.name),
            &consumer.utilisation_series,
        ));
    }
    for node in &record.nodes {
        columns.push(shares(format!("node.{}.cpu", node.name), &node.cpu_series));
        columns.push(shares(
            format!("node.{}.disk", node.name),
            &node.disk_series,
        ));
        if let Some(bodies) = &node.bodies {
            columns.push(counts(
                format!("node.{}.resident_bytes", node.name),
                &bodies.resident_series,
            ));
        }
    }
    for (name, series) in ["confirm", "delivery", "end_to_end"]
        .iter()
        .zip(&record.latency_series)
    {
        columns.push(counts(format!("latency.{name}.count"), &series.count));
        for (figure, values) in [
            ("p50", &series.p50),
            ("p90", &series.p90),
            ("p99", &series.p99),
            ("max", &series.max),
        ] {
            let cell = move |window: usize| match (series.count.get(window), values.get(window)) {
                (Some(1..), Some(&nanos)) => seconds(nanos),
                _ => String::new(),
            };
            columns.push((format!("latency.{name}.{figure}_s"), Box::new(cell)));
        }
    }
    columns
}

/// The share of each window in which an alarm was on.
fn alarm_shares(record: &RunRecord, resource: &str, node: &str) -> Vec<f64> {
    let width = record.window.0.max(1);
    let mut nanos = vec![0; record.windows()];
    let alarms = record.alarms.iter();
    for alarm in alarms.filter(|it| (it.resource.as_str(), it.node.as_str()) == (resource, node)) {
        let (mut from, until) = (alarm.from.0, alarm.until.0);
        while from < until {
            let window = (from / width) as usize;
            let end = (from / width + 1).saturating_mul(width).min(until);
            match nanos.get_mut(window) {
                Some(sum) => *sum += end - from,
                None => break,
            }
            from = end;
        }
    }
    let share = |(window, nanos): (usize, u64)| {
        let length = record.window_end(window).0 - window as u64 * width;
        nanos as f64 / length.max(1) as f64
    };
    nanos.into_iter().enumerate().map(share).collect()
}

/// Exact seconds, without the digits that say nothing.
fn seconds(nanos: u64) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:09}")
            .trim_end_matches('0')
            .to_string(),
    }
}

/// RFC 4180.
pub(crate) fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_string(),
    }
}

/// `latency.hgrm`: the end-to-end latency of the whole run as HdrHistogram's tools print a percentile distribution (five steps
/// per halving of the distance to 100 %), values in milliseconds.
pub fn latency_hgrm(record: &RunRecord) -> String {
    hgrm(&record.end_to_end(None))
}

fn hgrm(latencies: &Latencies) -> String {
    const MILLISECOND: f64 = 1e6;
    let millis = |span: Option<Span>| span.map_or(0.0, |span| span.0 as f64 / MILLISECOND);
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut deviation = 0.0;
    let mut histogram = Histogram::<u64>::new(3).expect("three significant figures are supported");
    for bucket in latencies.buckets() {
        // An auto-resizing histogram refuses nothing that a 64-bit machine can index.
        let _ = histogram.record_n(bucket.upper.0, bucket.count);
    }
    if !histogram.is_empty() {
        let mut through = 0;
        for step in histogram.iter_quantiles(5) {
            through += step.count_since_last_iteration();
            let value = step
                .value_iterated_to()
                .min(latencies.max().unwrap_or_default().0) as f64
                / MILLISECOND;
            let quantile = step.quantile_iterated_to();
            let _ = match quantile < 1.0 {
                true => writeln!(
                    text,
                    "{value:12.3} {quantile:2.12} {through:10} {:14.2}",
                    1.0 / (1.0 - quantile)
                ),
                false => writeln!(text, "{value:12.3} {quantile:2.12} {through:10}"),
            };
        }
        deviation = histogram.stdev() / MILLISECOND;
    }
    // How many doublings the values span, above the first 2048 nanoseconds.
    let buckets = (latencies.max().unwrap_or_default().0 | 2047).ilog2() - 9;
    let _ = writeln!(
        text,
        "#[Mean    = {:12.3}, StdDeviation   = {deviation:12.3}]",
        millis(latencies.mean())
    );
    let _ = writeln!(
        text,
        "#[Max     = {:12.3}, Total count    = {:12}]",
        millis(latencies.max()),
        latencies.count()
    );
    let _ = writeln!(
        text,
        "#[Buckets = {buckets:12}, SubBuckets     = {:12}]",
        2048
    );
    text
}

/// Writes `record.json`, `environment.json`, `series.csv` and `latency.hgrm` into `dir`, which is created if need be. Each
/// file appears whole or not at all.
pub fn write_all(
    dir: &Path,
    record: &RunRecord,
    environment: &Environment,
) -> Result<(), FileError> {
    write_file(&dir.join("record.json"), record.to_json().as_bytes())?;
    write_file(
        &dir.join("environment.json"),
        environment.to_json().as_bytes(),
    )?;
    write_file(&dir.join("series.csv"), series_csv(record).as_bytes())?;
    write_file(&dir.join("latency.hgrm"), latency_hgrm(record).as_bytes())
}

/// Writes one file by renaming a finished one into place, creating folders as needed. The temporary one lies beside it.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |verb, path: &Path| {
        let path = path.to_path_buf();
        move |source| FileError::Io { verb, path, source }
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(dir).map_err(failed("create", dir))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed("write", path)(error)
    })
}

/// Reads `record.json`, or that of a folder.
pub fn read(path: &Path) -> Result<RunRecord, FileError> {
    let path = if path.is_dir() {
        path.join("record.json")
    } else {
        path.to_path_buf()
    };
    match fs::read_to_string(&path) {
        Ok(text) => {
            RunRecord::from_json(&text).map_err(|source| FileError::Record { path, source })
        }
        Err(source) => Err(FileError::Io {
            verb: "read",
            path,
            source,
        }),
    }
}
