//! Latency by percentile, as HdrHistogram plots it: the axis gives each further nine the same room.

use queuelab_core::Span;
use queuelab_record::{Latencies, RunRecord};

use crate::axis::{Scale, Tick, durations};
use crate::canvas::{GRID, PALETTE, Point, picture};
use crate::frame::{Entry, duration_range, heading, nothing, plain, x_axis, y_axis};

pub(crate) fn draw(record: &RunRecord) -> String {
    // The widest lies below: where a backlog decides, the first two are one.
    let stages = [
        ("end-to-end", record.end_to_end(None), PALETTE[0], 5.0),
        ("delivery", record.delivery(None), PALETTE[2], 2.5),
        ("confirm", record.confirm(None), PALETTE[1], 2.5),
    ];
    let curves = stages
        .each_ref()
        .map(|(_, latencies, _, _)| curve(latencies));
    let nines = curves
        .iter()
        .flatten()
        .map(|point| point.0)
        .fold(2.0, f64::max);
    // The least hundredth would take half of the axis to say nothing.
    let typical = curves.iter().flatten().filter(|point| point.0 > 0.005);
    let (low, high) = duration_range(typical.map(|point| point.1.0));
    let legend: Vec<Entry> = stages
        .iter()
        .map(|(name, latencies, color, width)| Entry {
            label: summary(record, name, latencies),
            color: *color,
            width: *width,
        })
        .collect();

    picture(
        &format!("{}: latency by percentile", record.scenario.title),
        |canvas| {
            let frame = plain(heading(canvas, record, "latency by percentile", &legend));
            let x = Scale::new(0.0, nines, (frame.left, frame.right));
            let ticks: Vec<Tick> = PERCENTILES
                .iter()
                .map(|&(share, label)| Tick {
                    value: -libm::log10(1.0 - share),
                    label: label.into(),
                })
                .filter(|tick| tick.value <= nines + 1e-6)
                .collect();
            for tick in &ticks[1..] {
                let x = x.at(tick.value);
                canvas.line(&[(x, frame.top), (x, frame.bottom)], GRID, 1.0);
            }
            let y = y_axis(canvas, frame, &durations(low, high), "latency (log scale)");
            x_axis(
                canvas,
                frame,
                &x,
                &ticks,
                "share of messages that took at most this long",
            );
            for (curve, (_, _, color, width)) in curves.iter().zip(&stages) {
                let line: Vec<Point> = curve
                    .iter()
                    .map(|&(nines, latency)| {
                        (x.at(nines), y.at(libm::log10(latency.0.max(1) as f64)))
                    })
                    .collect();
                if let Some(&last) = line.last() {
                    canvas.line(&line, *color, *width);
                    canvas.dot(last, 4.0, *color);
                }
            }
            if curves.iter().all(Vec::is_empty) {
                nothing(canvas, frame, "no message was finished");
            }
        },
    )
}

/// `confirm: p50 1.6 ms, p99 9.8 ms, max 31 ms`
fn summary(record: &RunRecord, name: &str, latencies: &Latencies) -> String {
    if latencies.is_empty() {
        return format!("{name}: none");
    }
    // As metrics, they say where messages unfinished at the end make them lower bounds.
    let metric = name.replace('-', "_");
    let figures = ["p50", "p99", "max"].map(|figure| {
        let measured = record.metric(&format!("latency.{metric}.{figure}"), None, None);
        let measured = measured.map_or_else(|error| error.to_string(), |it| it.to_string());
        format!("{figure} {measured}")
    });
    format!("{name}: {}", figures.join(", "))
}

/// Number of nines and latency there, up to the largest: of n messages, that is the one with a share of 1/n from it on.
fn curve(latencies: &Latencies) -> Vec<(f64, Span)> {
    let (Some(max), count) = (latencies.max(), latencies.count()) else {
        return Vec::new();
    };
    let end = libm::log10(count as f64).clamp(1.0, MOST_NINES);
    let points = (0..POINTS).filter_map(|index| {
        let nines = end * index as f64 / POINTS as f64;
        latencies
            .quantile(1.0 - libm::pow(10.0, -nines))
            .map(|latency| (nines, latency))
    });
    points.chain([(end, max)]).collect()
}

const POINTS: u32 = 400;
const MOST_NINES: f64 = 5.0;
const PERCENTILES: [(f64, &str); 7] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (0.99999, "99.999 %"),
];
