//! End-to-end latency over time.

use plotters::style::RGBColor;
use queuelab_record::RunRecord;

use crate::Plot;
use crate::axis::durations;
use crate::bins::Bins;
use crate::canvas::{GREY, PALETTE};
use crate::frame::{Look, duration_range};
use crate::hover::Reading;
use crate::lines::{Line, Lines};

/// Label, colour and width from the largest down, so that the median lies on top.
const FIGURES: [(&str, RGBColor, f64); 4] = [
    ("max", GREY, 1.25),
    ("p99", PALETTE[2], 2.0),
    ("p90", PALETTE[4], 2.0),
    ("p50", PALETTE[0], 3.0),
];

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let series = &record.latency_series[2];
    // Of several windows the middle value stands for all, but of maxima the largest: no peak is lost.
    let bins = Bins::new(record, 240);
    let lines: Vec<Line> = [&series.max, &series.p99, &series.p90, &series.p50]
        .into_iter()
        .zip(FIGURES)
        .map(|(values, (name, color, width))| {
            let seconds = series.count.iter().zip(values).map(|(&count, &nanos)| {
                // A window without samples has no percentile.
                (count > 0).then_some(nanos as f64 / 1e9)
            });
            let values = match name {
                "max" => bins.largest(seconds),
                _ => bins.medians(seconds),
            };
            Line {
                name: name.into(),
                color,
                look: Look::Line(width),
                values,
            }
        })
        .collect();
    let values = lines.iter().flat_map(|line| line.values.iter().flatten());
    let (low, high) = duration_range(values.map(|seconds| (seconds * 1e9 + 0.5) as u64));
    Lines {
        name: "latency",
        what: "end-to-end latency, by when service was done",
        axis: "latency (log scale)",
        ticks: durations(low, high),
        height: |seconds| libm::log10((seconds * 1e9).max(1.0)),
        reading: Reading::Time,
        lines,
        bins,
        empty: "no message was finished",
    }
    .draw(record)
}
