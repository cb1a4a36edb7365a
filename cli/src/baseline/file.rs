//! A baseline as files: what is kept in JSON, and the events in a trace beside it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use queuelab_record::{
    EventTrace, ExpectationEnsemble, Quantity, Unit, Violation, json_text, write_file,
};
use serde::{Deserialize, Serialize};

use crate::capsule::Source;
use crate::host::Host;

/// What a scenario did and measured when it was last looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    /// [`SCHEMA_VERSION`] at the time of writing.
    pub(super) schema_version: u32,
    /// The queuelab that wrote it.
    pub(super) version: String,
    /// What ran.
    pub(super) scenario: Source,
    /// The run whose events are kept.
    pub(super) trace: Trace,
    /// Of the runs whose figures are kept, in order.
    pub(super) seeds: Vec<u64>,
    /// What they measured.
    pub(super) metrics: Vec<Kept>,
    /// The scenario's expectations.
    pub(super) expectations: Vec<ExpectationEnsemble>,
    /// Invariants that were violated although no expectation speaks of it.
    pub(super) violations: Vec<Violation>,
    /// How long runs took, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wall_clock: Option<WallClock>,
}

/// A run whose events are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trace {
    /// Its seed.
    pub(super) seed: u64,
    /// The hash of all its events.
    pub(super) hash: String,
    /// How many there were.
    pub(super) events: u64,
}

/// A metric with its value in each run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Which.
    #[serde(flatten)]
    pub(super) quantity: Quantity,
    /// Of its values.
    pub(super) unit: Option<Unit>,
    /// In the order of seeds; nothing where it did not come to pass, or had no samples.
    pub(super) values: Vec<Option<f64>>,
    /// Runs in which it did not come to pass.
    pub(super) never: usize,
}

/// Real time that runs took, one after the other on one thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WallClock {
    /// Where.
    pub(super) host: Host,
    /// In seconds, of runs with the trace's seed.
    pub(super) seconds: Vec<f64>,
}

impl Baseline {
    /// Writes it, and the events beside it.
    ///
    /// # Errors
    /// Of a file or folder that cannot be written.
    pub(super) fn write(&self, path: &Path, events: &EventTrace) -> anyhow::Result<()> {
        if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            fs::create_dir_all(folder)
                .with_context(|| format!("failed to make {}", folder.display()))?;
        }
        write_file(&beside(path), &events.encode())?;
        write_file(path, json_text(self).as_bytes())?;
        Ok(())
    }

    /// Reads it, and the events beside it.
    ///
    /// # Errors
    /// If there is none, or it is damaged, newer, or without its events.
    pub(super) fn read(path: &Path) -> anyhow::Result<(Baseline, EventTrace)> {
        let beside = beside(path);
        let baseline =
            parsed(path).with_context(|| format!("failed to read {}", path.display()))?;
        let events = bytes(&beside)
            .and_then(|bytes| Ok(EventTrace::decode(&bytes)?))
            .with_context(|| {
                format!(
                    "failed to read {}, the events of {}",
                    beside.display(),
                    path.display()
                )
            })?;
        ensure!(
            format!("{:016x}", events.hash) == baseline.trace.hash,
            "{} is not of the same run as {}: save the baseline again",
            beside.display(),
            path.display()
        );
        Ok((baseline, events))
    }
}

fn parsed(path: &Path) -> anyhow::Result<Baseline> {
    let text = String::from_utf8(bytes(path)?).context("it is not text")?;
    let any: Version = serde_json::from_str(&text).context("it is not a baseline")?;
    ensure!(
        any.schema_version == SCHEMA_VERSION,
        "its schema version is {}, and this queuelab reads {SCHEMA_VERSION}",
        any.schema_version
    );
    let baseline: Baseline = serde_json::from_str(&text).context("it is not a baseline")?;
    let runs = baseline.seeds.len();
    match baseline.metrics.iter().find(|it| it.values.len() != runs) {
        Some(metric) => bail!(
            "{} has {} values for {runs} seeds",
            metric.quantity,
            metric.values.len()
        ),
        None => Ok(baseline),
    }
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if read as u64 > LARGEST {
        bail!("it is larger than {} MiB", LARGEST >> 20);
    }
    Ok(bytes)
}

/// The events lie beside the JSON, under the same name.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("trace")
}

/// What every version has.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// The layout of [`Baseline`] that this program writes and reads.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// Larger files are refused before they are parsed.
const LARGEST: u64 = 64 << 20;
