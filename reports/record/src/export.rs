//! The files of a run. Contents are pure functions of the record; only the last functions here touch the disk.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hgrm::hgrm;
use crate::{RecordError, RunRecord};

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
pub fn series_csv(record: &RunRecord) -> String {
    let columns = columns(record);
    let mut csv = String::from("time_s");
    for column in &columns {
        csv.push(',');
        csv.push_str(&quoted(&column.header()));
    }
    csv.push('\n');
    for window in 0..record.windows() {
        csv.push_str(&seconds(record.window_end(window).0));
        for column in &columns {
            csv.push(',');
            csv.push_str(&column.cell(window).map_or(String::new(), Cell::text));
        }
        csv.push('\n');
    }
    csv
}

/// One figure per window of something that has a name.
pub(crate) struct Column<'a> {
    /// `queue`, `group`, `consumer`, `node`, `alarm` or `latency`.
    pub(crate) kind: &'static str,
    /// Of which of them.
    pub(crate) name: &'a str,
    /// `ready`, `p99`, …; of an alarm, the node.
    pub(crate) series: &'a str,
    values: Values<'a>,
}

enum Values<'a> {
    Counts(&'a [u64]),
    Nanos(&'a [u64]),
    /// Of the windows whose count is not zero.
    NanosWhere(&'a [u64], &'a [u64]),
    Shares(Cow<'a, [f64]>),
}

/// A figure of one window.
#[derive(Clone, Copy)]
pub(crate) enum Cell {
    Count(u64),
    Nanos(u64),
    Share(f64),
}

impl Cell {
    fn text(self) -> String {
        match self {
            Cell::Count(count) => count.to_string(),
            Cell::Nanos(nanos) => seconds(nanos),
            Cell::Share(share) => share.to_string(),
        }
    }

    /// A count, seconds or a share.
    pub(crate) fn value(self) -> f64 {
        match self {
            Cell::Count(count) => count as f64,
            Cell::Nanos(nanos) => nanos as f64 / 1e9,
            Cell::Share(share) => share,
        }
    }
}

impl Column<'_> {
    /// Whether its figures are seconds.
    pub(crate) fn is_time(&self) -> bool {
        matches!(self.values, Values::Nanos(_) | Values::NanosWhere(..))
    }

    fn header(&self) -> String {
        let unit = if self.is_time() { "_s" } else { "" };
        format!("{}.{}.{}{unit}", self.kind, self.name, self.series)
    }

    /// The figure of a window; none where nothing was measured.
    pub(crate) fn cell(&self, window: usize) -> Option<Cell> {
        match &self.values {
            Values::Counts(counts) => counts.get(window).copied().map(Cell::Count),
            Values::Nanos(nanos) => nanos.get(window).copied().map(Cell::Nanos),
            Values::NanosWhere(nanos, counts) => {
                let some = counts.get(window).is_some_and(|count| *count > 0);
                nanos.get(window).copied().filter(|_| some).map(Cell::Nanos)
            }
            Values::Shares(shares) => shares.get(window).copied().map(Cell::Share),
        }
    }
}

/// All that is measured per window.
pub(crate) fn columns(record: &RunRecord) -> Vec<Column<'_>> {
    let mut columns = Vec::new();
    let mut push = |kind, name, series, values| {
        columns.push(Column {
            kind,
            name,
            series,
            values,
        });
    };
    for queue in &record.queues {
        let (name, series) = (queue.name.as_str(), &queue.series);
        for (figure, values) in [
            ("ready", Values::Counts(&series.ready)),
            ("ready_max", Values::Counts(&series.ready_max)),
            ("in_flight", Values::Counts(&series.in_flight)),
            ("oldest_age", Values::Nanos(&series.oldest_age)),
            ("published", Values::Counts(&series.published)),
            ("delivered", Values::Counts(&series.delivered)),
            ("redelivered", Values::Counts(&series.redelivered)),
            ("acked", Values::Counts(&series.acked)),
            ("delayed", Values::Counts(&series.delayed)),
            ("dead_lettered", Values::Counts(&series.dead_lettered)),
        ] {
            push("queue", name, figure, values);
        }
    }
    for group in &record.groups {
        let (name, series) = (group.name.as_str(), &group.series);
        for (figure, counts) in [
            ("lag", &series.lag),
            ("members", &series.members),
            ("delivered", &series.delivered),
            ("settled", &series.settled),
        ] {
            push("group", name, figure, Values::Counts(counts));
        }
    }
    let mut resources: Vec<(&str, &str)> = record
        .alarms
        .iter()
        .map(|alarm| (alarm.resource.as_str(), alarm.node.as_str()))
        .collect();
    resources.sort_unstable();
    resources.dedup();
    for (resource, node) in resources {
        let shares = alarm_shares(record, resource, node);
        push("alarm", resource, node, Values::Shares(shares.into()));
    }
    for consumer in &record.consumers {
        let shares = Values::Shares(consumer.utilisation_series.as_slice().into());
        push("consumer", &consumer.name, "utilisation", shares);
    }
    for node in &record.nodes {
        for (figure, series) in [("cpu", &node.cpu_series), ("disk", &node.disk_series)] {
            let shares = Values::Shares(series.as_slice().into());
            push("node", &node.name, figure, shares);
        }
        if let Some(bodies) = &node.bodies {
            let resident = Values::Counts(bodies.resident_series.as_slice());
            push("node", &node.name, "resident_bytes", resident);
        }
    }
    for (name, series) in ["confirm", "delivery", "end_to_end"]
        .into_iter()
        .zip(&record.latency_series)
    {
        push("latency", name, "count", Values::Counts(&series.count));
        for (figure, nanos) in [
            ("p50", &series.p50),
            ("p90", &series.p90),
            ("p99", &series.p99),
            ("max", &series.max),
        ] {
            let nanos = Values::NanosWhere(nanos, &series.count);
            push("latency", name, figure, nanos);
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
pub(crate) fn seconds(nanos: u64) -> String {
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

/// `latency.hgrm`: the end-to-end latency of the whole run as HdrHistogram's tools print a percentile distribution, values in
/// milliseconds.
pub fn latency_hgrm(record: &RunRecord) -> String {
    hgrm(&record.end_to_end(None))
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

/// Writes one file, creating folders as needed. A plain file is replaced by renaming a finished one that lies beside it into place; what is
/// there and is none (a pipe, a device, a link to whatever it may be) is somebody's to keep, and is written into.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |verb, path: &Path| {
        let path = path.to_path_buf();
        move |source| FileError::Io { verb, path, source }
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(dir).map_err(failed("create", dir))?;
    }
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes).map_err(failed("write", path));
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
