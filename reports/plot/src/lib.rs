//! Run records to pictures (SVG, and PNG made from it) and reports (HTML).
//!
//! [`plots`] and [`report()`] are pure functions of the record: equal records give equal bytes. This crate does not know how a run is
//! made, and writes no files.

mod axis;
mod backlog;
mod balance;
mod bins;
mod bodies;
mod canvas;
mod comparison;
mod curve;
mod distribution;
mod faults;
mod fluid;
mod frame;
mod groups;
mod hover;
mod html;
mod latency;
mod lines;
mod parts;
mod raster;
mod rates;
mod reading;
mod report;
mod sweep;
mod theme;
mod utilisation;
mod welch;

use queuelab_record::RunRecord;

pub use comparison::comparison_plots;
pub use raster::{Error, png};
pub use report::{comparison_report, report, sweep_report};
pub use sweep::sweep_plots;
pub use theme::dark;
pub use welch::ensemble_plots;

/// A picture, 1200 × 640.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// What it shows, fit for a file name: `backlog`, `latency`, …
    pub name: String,
    /// The same in words: `Flash sale: ready messages over time`.
    pub says: String,
    /// The SVG document. It is light, and dark where a viewer asks for that.
    pub svg: String,
    /// What a pointer over it reads, as JSON for the script of a report.
    pub hover: Option<String>,
}

/// The pictures of a run. The first three are of every run, the others of those that they say something of:
///
/// - `backlog`: ready and delayed messages per queue over time, with phases, faults, alarms and bounds, what a fluid would do, and dead
///   letters below;
/// - `latency`: percentiles of the end-to-end latency over time;
/// - `distribution`: confirm, delivery and end-to-end latency by percentile;
/// - `cdf`: the same as the share of messages that took at most so long;
/// - `rates`: messages published, delivered, acknowledged, redelivered and dead-lettered per second;
/// - `parts`: where the time of a mean journey goes;
/// - `utilisation`: how busy consumers, processors and disks were;
/// - `balance`: how evenly members, partitions or queues share the work;
/// - `bodies`, where a node has a budget for them: bytes of bodies in memory over time;
/// - `faults`: when faults and alarms were on, and when nothing was delivered;
/// - `priorities`, where queues have any: delivery latency by percentile, a curve per priority;
/// - `groups`, where there are any: how far each is behind its streams over time, and when its members changed.
pub fn plots(record: &RunRecord) -> Vec<Plot> {
    type Draw = fn(&RunRecord) -> Plot;
    let prioritised = record.queues.iter().any(|queue| queue.priorities.len() > 1);
    let faulty = !record.faults.is_empty() || !record.alarms.is_empty();
    let all: [(bool, Draw); 12] = [
        (true, backlog::draw),
        (true, latency::draw),
        (true, distribution::draw),
        (
            distribution::says_something(record),
            distribution::draw_cumulative,
        ),
        (rates::says_something(record), rates::draw),
        (parts::says_something(record), parts::draw),
        (utilisation::says_something(record), utilisation::draw),
        (balance::says_something(record), balance::draw),
        (bodies::says_something(record), bodies::draw),
        (faulty, faults::draw),
        (prioritised, distribution::draw_priorities),
        (!record.groups.is_empty(), groups::draw),
    ];
    let wanted = all.into_iter().filter(|(wanted, _)| *wanted);
    wanted.map(|(_, draw)| draw(record)).collect()
}
