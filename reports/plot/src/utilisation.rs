//! How busy consumers, processors and disks were over time.

use plotters::style::RGBColor;
use queuelab_record::{RunRecord, percent};

use crate::Plot;
use crate::axis::Tick;
use crate::bins::Bins;
use crate::canvas::PALETTE;
use crate::frame::Look;
use crate::hover::Reading;
use crate::lines::{Line, Lines};

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let mut busy: Vec<(String, f64, &[f64])> = Vec::new();
    for consumer in &record.consumers {
        let mean = consumer.utilisation;
        busy.push((consumer.name.clone(), mean, &consumer.utilisation_series));
    }
    for node in &record.nodes {
        busy.push((format!("{} CPU", node.name), node.cpu, &node.cpu_series));
        busy.push((format!("{} disk", node.name), node.disk, &node.disk_series));
    }
    // Costs may be none, and of many the busiest are worth a line.
    busy.retain(|(_, mean, series)| *mean > 0.0 && !series.is_empty());
    busy.sort_by(|left, right| right.1.total_cmp(&left.1));
    busy.truncate(PALETTE.len());

    let bins = Bins::new(record, 200);
    let line = |((name, mean, series), color): ((String, f64, &[f64]), RGBColor)| Line {
        name: format!("{name}: {} on average", percent(mean)),
        color,
        look: Look::Line(2.25),
        values: bins.means(series),
    };
    let mut lines: Vec<Line> = busy.into_iter().zip(PALETTE).map(line).collect();
    lines.reverse();
    let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|value| Tick {
        value,
        label: percent(value),
    });
    Lines {
        name: "utilisation",
        what: "utilisation",
        axis: "share of time busy",
        ticks: ticks.to_vec(),
        height: |share| share,
        reading: Reading::Share,
        lines,
        bins,
        empty: "nobody was busy",
    }
    .draw(record)
}

/// Whether anybody was busy.
pub(crate) fn says_something(record: &RunRecord) -> bool {
    let consumers = record.consumers.iter();
    consumers.map(|it| it.utilisation).sum::<f64>() > 0.0
}
