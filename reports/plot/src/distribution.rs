//! Latency by percentile, as HdrHistogram plots it: the axis gives each further nine the same room.

use plotters::style::RGBColor;
use queuelab_core::Span;
use queuelab_record::{Latencies, RunRecord};

use crate::axis::{Scale, Tick, durations};
use crate::canvas::{GRID, PALETTE, Point, picture};
use crate::frame::{Entry, Look, duration_range, heading, nothing, plain, x_axis, y_axis};

/// Confirm, delivery and end-to-end.
pub(crate) fn draw(record: &RunRecord) -> String {
    // The widest lies below: where a backlog decides, the first two are one.
    let stages = [
        ("end-to-end", record.end_to_end(None), PALETTE[0], 5.0),
        ("delivery", record.delivery(None), PALETTE[2], 2.5),
        ("confirm", record.confirm(None), PALETTE[1], 2.5),
    ];
    let stages = stages.map(|(name, latencies, color, width)| Stage {
        label: summary(record, name, &latencies),
        latencies,
        color,
        width,
    });
    by_percentile(record, "latency by percentile", &stages)
}

/// Delivery by priority, of each queue that has any.
pub(crate) fn draw_priorities(record: &RunRecord) -> String {
    let named = record.queues.len() > 1;
    let mut stages: Vec<Stage> = Vec::new();
    for queue in &record.queues {
        // The highest first; more than there are colours would not be told apart.
        for class in queue.priorities.iter().rev() {
            let name = match named {
                true => format!("{} priority {}", queue.name, class.priority),
                false => format!("priority {}", class.priority),
            };
            let figures = [("p50", 0.5), ("p99", 0.99)].map(|(figure, share)| {
                let latency = class.delivery.quantile(share).unwrap_or(Span::ZERO);
                format!("{figure} {latency}")
            });
            stages.push(Stage {
                label: format!("{name}: {}", figures.join(", ")),
                latencies: class.delivery.clone(),
                color: PALETTE[stages.len() % PALETTE.len()],
                width: 2.5,
            });
        }
    }
    stages.retain(|stage| !stage.latencies.is_empty());
    stages.truncate(PALETTE.len());
    by_percentile(record, "delivery latency by priority", &stages)
}

struct Stage {
    label: String,
    latencies: Latencies,
    color: RGBColor,
    width: f64,
}

fn by_percentile(record: &RunRecord, what: &str, stages: &[Stage]) -> String {
    let curves: Vec<Vec<(f64, Span)>> = stages.iter().map(|it| curve(&it.latencies)).collect();
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
        .map(|stage| Entry {
            label: stage.label.clone(),
            color: stage.color,
            look: Look::Line(stage.width),
        })
        .collect();

    picture(&format!("{}: {what}", record.scenario.title), |canvas| {
        let frame = plain(heading(canvas, record, what, &legend));
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
        for (curve, stage) in curves.iter().zip(stages) {
            let line: Vec<Point> = curve
                .iter()
                .map(|&(nines, latency)| (x.at(nines), y.at(libm::log10(latency.0.max(1) as f64))))
                .collect();
            if let Some(&last) = line.last() {
                canvas.line(&line, stage.color, stage.width);
                canvas.dot(last, 4.0, stage.color);
            }
        }
        if curves.iter().all(Vec::is_empty) {
            nothing(canvas, frame, "no message was finished");
        }
    })
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
