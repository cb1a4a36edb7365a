//! Run records to pictures: SVG, and PNG made from it.
//!
//! [`plots`] is a pure function of the record: equal records give equal bytes. This crate does not know how a run is made, and
//! writes no files.

mod axis;
mod backlog;
mod canvas;
mod distribution;
mod frame;
mod latency;
mod raster;

use queuelab_record::RunRecord;

pub use raster::{Error, png};

/// A picture, 1200 × 640.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// What it shows, fit for a file name: `backlog`, `latency`, `distribution`.
    pub name: &'static str,
    /// The SVG document.
    pub svg: String,
}

/// The pictures of a run:
///
/// - `backlog`: ready messages per queue over time, with phases, faults and bounds;
/// - `latency`: percentiles of the end-to-end latency over time;
/// - `distribution`: confirm, delivery and end-to-end latency by percentile.
pub fn plots(record: &RunRecord) -> Vec<Plot> {
    vec![
        Plot {
            name: "backlog",
            svg: backlog::draw(record),
        },
        Plot {
            name: "latency",
            svg: latency::draw(record),
        },
        Plot {
            name: "distribution",
            svg: distribution::draw(record),
        },
    ]
}
