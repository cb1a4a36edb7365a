//! Run records to pictures: SVG, and PNG made from it.
//!
//! [`plots`] is a pure function of the record: equal records give equal bytes. This crate does not know how a run is made, and
//! writes no files.

mod axis;
mod backlog;
mod canvas;
mod curve;
mod distribution;
mod frame;
mod groups;
mod latency;
mod raster;

use queuelab_record::RunRecord;

pub use raster::{Error, png};

/// A picture, 1200 × 640.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// What it shows, fit for a file name: `backlog`, `latency`, …
    pub name: &'static str,
    /// The SVG document.
    pub svg: String,
}

/// The pictures of a run:
///
/// - `backlog`: ready and delayed messages per queue over time, with phases, faults, alarms and bounds, and dead letters below;
/// - `latency`: percentiles of the end-to-end latency over time;
/// - `distribution`: confirm, delivery and end-to-end latency by percentile;
/// - `priorities`, where queues have any: delivery latency by percentile, a curve per priority;
/// - `groups`, where there are any: how far each is behind its streams over time, and when its members changed.
pub fn plots(record: &RunRecord) -> Vec<Plot> {
    let mut plots = vec![
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
    ];
    if record.queues.iter().any(|queue| queue.priorities.len() > 1) {
        plots.push(Plot {
            name: "priorities",
            svg: distribution::draw_priorities(record),
        });
    }
    if !record.groups.is_empty() {
        plots.push(Plot {
            name: "groups",
            svg: groups::draw(record),
        });
    }
    plots
}
