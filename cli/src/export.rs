//! `queuelab export`: records in the formats of other tools.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use queuelab_record::{
    Latencies, RunRecord, hgrm, long_series_csv, metrics_csv, metrics_json, openmetrics,
    series_json, write_file,
};

use crate::outcome::Status;
use crate::terminal;

/// `queuelab export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Folders of runs, or their record.json.
    #[arg(required = true, value_name = "DIR")]
    runs: Vec<PathBuf>,
    /// The format.
    #[arg(long = "as", value_name = "FORMAT")]
    format: Format,
    /// What to put into a csv, json or parquet table.
    #[arg(long, value_name = "TABLE", default_value = "metrics")]
    table: Table,
    /// Whose distribution to put into an hgrm.
    #[arg(long, value_name = "LATENCY", default_value = "end-to-end")]
    latency: Latency,
    /// The file to write, instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A row per figure, with a header (RFC 4180).
    Csv,
    /// An object with `schema_version` and `rows`.
    Json,
    /// What Prometheus reads.
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// A percentile distribution, as HdrHistogram's tools print and plot it.
    Hgrm,
    /// A columnar file, for pandas, DuckDB and the like.
    Parquet,
}

/// Which figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Table {
    /// All metrics, of each name and phase.
    Metrics,
    /// What is measured per window, over time.
    Series,
}

/// Which latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Latency {
    /// Until the confirm is back at the producer.
    Confirm,
    /// Until a consumer has received it.
    Delivery,
    /// Until the end of service.
    EndToEnd,
}

pub(crate) const EXPORT: &str = "\
Examples:
  queuelab export out/flash-sale-7 --as csv
  queuelab export out/*/ --as parquet --table series --out series.parquet
  queuelab export out/hello-7 --as openmetrics --out /var/lib/node_exporter/queuelab.prom
  queuelab export out/hello-7 out/hello-8 --as hgrm --latency confirm

Tables are long: a row per figure, with the scenario, the seed and the overrides of its run, so that
any number of runs fit one table. An hgrm takes all runs together.

Parquet takes a binary that was built with it: cargo install --path cli --features parquet

Exit status: 0 done, 2 wrong usage or bad input.";

/// Reads records, and writes them in another format.
///
/// # Errors
/// If one cannot be read, is there twice, or the file cannot be written.
pub(crate) fn export(args: &Export) -> anyhow::Result<Status> {
    let records = args
        .runs
        .iter()
        .map(|path| queuelab_record::read(path))
        .collect::<Result<Vec<RunRecord>, _>>()?;
    let mut seen = BTreeSet::new();
    for record in &records {
        let scenario = &record.scenario;
        if !seen.insert((&scenario.name, record.seed, &scenario.overrides)) {
            bail!(
                "failed to export: the run of {} with seed {} is there twice; leave one of them out",
                scenario.name,
                record.seed
            );
        }
    }
    let bytes = match (args.format, args.table) {
        (Format::Csv, Table::Metrics) => metrics_csv(&records).into_bytes(),
        (Format::Csv, Table::Series) => long_series_csv(&records).into_bytes(),
        (Format::Json, Table::Metrics) => metrics_json(&records).into_bytes(),
        (Format::Json, Table::Series) => series_json(&records).into_bytes(),
        (Format::OpenMetrics, _) => openmetrics(&records).into_bytes(),
        (Format::Hgrm, _) => hgrm(&distribution(&records, args.latency)).into_bytes(),
        (Format::Parquet, table) => parquet(&records, table)?,
    };
    match &args.out {
        Some(file) => write_file(file, &bytes)?,
        None => match String::from_utf8(bytes) {
            Ok(text) => terminal::data(&text)?,
            Err(_) => {
                bail!("failed to export: a parquet file is no text; name one with --out FILE")
            }
        },
    }
    Ok(Status::Met)
}

/// The latency of all runs together.
fn distribution(records: &[RunRecord], latency: Latency) -> Latencies {
    let mut all = Latencies::default();
    for record in records {
        all.merge(&match latency {
            Latency::Confirm => record.confirm(None),
            Latency::Delivery => record.delivery(None),
            Latency::EndToEnd => record.end_to_end(None),
        });
    }
    all
}

#[cfg(feature = "parquet")]
fn parquet(records: &[RunRecord], table: Table) -> anyhow::Result<Vec<u8>> {
    let bytes = match table {
        Table::Metrics => queuelab_parquet::metrics(records),
        Table::Series => queuelab_parquet::series(records),
    };
    bytes.context("failed to export as parquet")
}

#[cfg(not(feature = "parquet"))]
fn parquet(_: &[RunRecord], _: Table) -> anyhow::Result<Vec<u8>> {
    Err(anyhow::anyhow!(
        "build it with `cargo install --path cli --features parquet`, or write --as csv"
    ))
    .context("failed to export as parquet: this binary was built without it")
}
