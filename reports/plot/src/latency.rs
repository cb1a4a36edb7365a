//! End-to-end latency over time.

use plotters::style::RGBColor;
use queuelab_record::{LatencySeries, RunRecord};

use crate::axis::durations;
use crate::canvas::{PALETTE, Point, picture};
use crate::frame::{
    Entry, Look, duration_range, heading, legend_of_bands, nothing, over_time, y_axis,
};

/// Label, colour and width from the largest down, so that the median lies on top.
const FIGURES: [(&str, RGBColor, f64); 4] = [
    ("max", RGBColor(0x88, 0x88, 0x88), 1.5),
    ("p99", PALETTE[2], 2.0),
    ("p90", PALETTE[4], 2.0),
    ("p50", PALETTE[0], 3.0),
];

pub(crate) fn draw(record: &RunRecord) -> String {
    let series = &record.latency_series[2];
    let figures = thinned(series);
    let (low, high) = duration_range(figures.iter().flatten().flatten().map(|&(_, nanos)| nanos));
    let legend: Vec<Entry> = FIGURES
        .iter()
        .rev()
        .map(|&(label, color, width)| Entry {
            label: label.into(),
            color,
            look: Look::Line(width),
        })
        .chain(legend_of_bands(record))
        .collect();

    picture(
        &format!("{}: end-to-end latency over time", record.scenario.title),
        |canvas| {
            let top = heading(
                canvas,
                record,
                "end-to-end latency, by when service was done",
                &legend,
            );
            let (frame, x) = over_time(canvas, record, top);
            let y = y_axis(canvas, frame, &durations(low, high), "latency (log scale)");
            let place = |&(window, nanos): &(usize, u64)| -> Point {
                (
                    x.at(record.window_end(window).as_secs_f64()),
                    y.at(libm::log10(nanos.max(1) as f64)),
                )
            };
            for ((_, color, width), points) in FIGURES.iter().zip(&figures) {
                // A window without samples breaks the line.
                for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
                    let run: Vec<Point> = run.iter().flatten().map(place).collect();
                    match run.as_slice() {
                        [lonely] => canvas.dot(*lonely, *width, *color),
                        _ => canvas.line(&run, *color, *width),
                    }
                }
            }
            if figures.iter().flatten().flatten().next().is_none() {
                nothing(canvas, frame, "no message was finished");
            }
        },
    )
}

/// Per figure, the last window and the nanoseconds of at most a thousand points; of several windows the one with the
/// largest value stands for all, so that no peak is lost.
fn thinned(series: &LatencySeries) -> [Vec<Option<(usize, u64)>>; 4] {
    let group = series.count.len().div_ceil(1_000).max(1);
    [&series.max, &series.p99, &series.p90, &series.p50].map(|values| {
        let windows: Vec<Option<(usize, u64)>> = series
            .count
            .iter()
            .zip(values)
            .enumerate()
            .map(|(window, (&count, &nanos))| (count > 0).then_some((window, nanos)))
            .collect();
        let largest = |chunk: &[Option<(usize, u64)>]| {
            chunk
                .iter()
                .flatten()
                .copied()
                .max_by_key(|&(_, nanos)| nanos)
        };
        windows.chunks(group).map(largest).collect()
    })
}
