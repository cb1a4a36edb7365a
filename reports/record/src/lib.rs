//! The run record: what one run of a scenario measured, and its files.
//!
//! Every runner makes a [`RunRecord`], every viewer reads one. It is a pure function of scenario, seed and version; what
//! differs from machine to machine is in [`Environment`]. This crate does not know how a run is made or shown.

mod batches;
mod comparison;
mod ensemble;
mod events;
mod export;
pub mod fixture;
mod hdr;
mod hgrm;
mod histogram;
mod json;
mod judgement;
mod metric;
mod openmetrics;
mod preference;
mod record;
pub mod statistics;
mod sweep;
mod table;
mod text;
mod view;
mod wide;
mod words;

pub use batches::BatchMeans;
pub use comparison::{
    ACCOUNT, COMPARISON_SCHEMA_VERSION, Comparison, ComparisonError, Contrast, Entrant, Finding,
    MetricComparison, Variant,
};
pub use ensemble::{
    ENSEMBLE_SCHEMA_VERSION, Ensemble, EnsembleError, ExpectationEnsemble, MetricEnsemble,
    Overload, Quantity, Transient, Violation,
};
pub use events::{BLOCK, EVENTS_MAX, EventTrace, Parting, TraceError, TracedEvent};
pub use export::{Environment, FileError, latency_hgrm, read, series_csv, write_all, write_file};
pub use hdr::DecodeError;
pub use hgrm::hgrm;
pub use histogram::{Bucket, Latencies};
pub use json::{RecordError, text as json_text};
pub use judgement::Judgement;
pub use metric::{METRICS, Measured, MetricError, Unit};
pub use openmetrics::openmetrics;
pub use preference::{Preference, less_and_more, preference};
pub use record::*;
pub use sweep::{
    Axis, AxisUnit, Boundary, Busiest, Difference, SWEEP_SCHEMA_VERSION, Sampling, Setting, Sweep,
    SweepPoint,
};
pub use table::{
    MetricRow, SeriesRow, long_series_csv, metric_rows, metrics_csv, metrics_json, series_json,
    series_rows,
};
pub use text::{bytes, grouped, number, percent, rate, seeds, signed_rate, sparkline};
