//! How many bytes of bodies nodes had in memory over time, where they have a budget for them.

use std::cmp::Reverse;

use queuelab_record::{BodiesRecord, NodeRecord, RunRecord, bytes, grouped};

use crate::Plot;
use crate::axis::sizes;
use crate::bins::Bins;
use crate::canvas::PALETTE;
use crate::frame::Look;
use crate::hover::Reading;
use crate::lines::{Line, Lines};

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let bins = Bins::new(record, 200);
    let mut lines = Vec::new();
    let mut top = 0;
    // Of many the fullest are worth a line.
    let mut fullest: Vec<_> = limited(record).collect();
    fullest.sort_by_key(|(_, bodies)| Reverse(bodies.resident_max));
    for ((node, bodies), color) in fullest.into_iter().zip(PALETTE) {
        let resident = bodies.resident_series.iter();
        let values = bins.largest(resident.map(|bytes| Some(*bytes as f64)));
        let budget = bodies.budget as f64;
        lines.push(Line {
            name: format!("budget of {}: {}", node.name, bytes(bodies.budget)),
            color,
            look: Look::Dashes,
            values: values.iter().map(|_| Some(budget)).collect(),
        });
        lines.push(Line {
            name: format!(
                "{}: at most {}, {} read back",
                node.name,
                bytes(bodies.resident_max),
                grouped(bodies.read)
            ),
            color,
            look: Look::Line(2.25),
            values,
        });
        top = top.max(bodies.budget).max(bodies.resident_max);
    }
    Lines {
        name: "bodies",
        what: "bodies in memory",
        axis: "bytes of bodies in memory",
        ticks: sizes(top),
        height: |bytes| bytes,
        reading: Reading::Size,
        lines,
        bins,
        empty: "nothing was in memory",
    }
    .draw(record)
}

/// Whether anybody had a budget.
pub(crate) fn says_something(record: &RunRecord) -> bool {
    limited(record).next().is_some()
}

fn limited(record: &RunRecord) -> impl Iterator<Item = (&NodeRecord, &BodiesRecord)> {
    let nodes = record.nodes.iter();
    nodes.filter_map(|node| Some((node, node.bodies.as_ref()?)))
}
