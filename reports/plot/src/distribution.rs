//! Latency by percentile, as HdrHistogram plots it: the axis gives each further nine the same room. And the share of messages by latency.

use plotters::style::RGBColor;
use queuelab_core::Span;
use queuelab_record::{Latencies, RunRecord, percent};

use crate::Plot;
use crate::axis::{Scale, Tick, durations};
use crate::canvas::{GRID, PALETTE, Point, picture};
use crate::frame::{Entry, Look, duration_range, heading, nothing, plain, x_axis, y_axis};
use crate::hover::{Hover, Labels, Reading};

/// Confirm, delivery and end-to-end by percentile.
pub(crate) fn draw(record: &RunRecord) -> Plot {
    let stages = stages(record);
    by_percentile(record, "distribution", "latency by percentile", &stages)
}

/// Confirm, delivery and end-to-end: which share of messages took at most so long.
pub(crate) fn draw_cumulative(record: &RunRecord) -> Plot {
    let mut stages = stages(record);
    stages.retain(|stage| !stage.latencies.is_empty());
    let (low, high) = duration_range(
        stages
            .iter()
            .flat_map(|it| [it.latencies.quantile(0.005), it.latencies.max()])
            .flatten()
            .map(|span| span.0)
            .collect::<Vec<u64>>()
            .into_iter(),
    );
    let ticks = durations(low, high);
    let ends = (ticks[0].value, ticks[ticks.len() - 1].value);
    let legend: Vec<Entry> = stages.iter().map(Stage::entry).collect();
    let what = "share of messages by latency";
    let title = format!("{}: {what}", record.scenario.title);
    picture("cdf", &title, |canvas| {
        let frame = plain(heading(canvas, record, what, &legend));
        let x = Scale::new(ends.0, ends.1, (frame.left, frame.right));
        for tick in &ticks[1..] {
            let x = x.at(tick.value);
            canvas.line(&[(x, frame.top), (x, frame.bottom)], GRID, 1.0);
        }
        let shares = [0.0, 0.25, 0.5, 0.75, 1.0].map(|value| Tick {
            value,
            label: percent(value),
        });
        let y = y_axis(canvas, frame, &shares, "share of messages");
        x_axis(canvas, frame, &x, &ticks, "took at most (log scale)");
        let at = |step: u32| ends.0 + (ends.1 - ends.0) * f64::from(step) / f64::from(POINTS);
        let nanos: Vec<f64> = (0..=POINTS).map(|step| libm::pow(10.0, at(step))).collect();
        let places = (0..=POINTS).map(|step| x.at(at(step))).collect();
        let seconds = nanos.iter().map(|nanos| nanos / 1e9).collect();
        let mut hover = Hover::across(frame, places, Labels::Values(Reading::Time, seconds));
        for stage in &stages {
            let within = |&nanos: &f64| 1.0 - stage.latencies.fraction_above(Span(nanos as u64));
            let shares: Vec<f64> = nanos.iter().map(within).collect();
            let line: Vec<Point> = shares
                .iter()
                .zip(0..)
                .map(|(&share, step)| (x.at(at(step)), y.at(share)))
                .collect();
            canvas.line(&line, stage.color, stage.width);
            let shares = shares.into_iter().map(Some);
            hover.series(stage.name.clone(), stage.color, Reading::Share, shares);
        }
        Some(hover)
    })
}

/// Whether any latency was measured.
pub(crate) fn says_something(record: &RunRecord) -> bool {
    stages(record).iter().any(|it| !it.latencies.is_empty())
}

fn stages(record: &RunRecord) -> Vec<Stage> {
    // The widest lies below: where a backlog decides, the first two are one.
    let stages = [
        ("end-to-end", record.end_to_end(None), PALETTE[0], 5.0),
        ("delivery", record.delivery(None), PALETTE[2], 2.5),
        ("confirm", record.confirm(None), PALETTE[1], 2.5),
    ];
    let stages = stages.map(|(name, latencies, color, width)| Stage {
        name: name.into(),
        label: summary(record, name, &latencies),
        latencies,
        color,
        width,
    });
    stages.into()
}

/// Delivery by priority, of each queue that has any.
pub(crate) fn draw_priorities(record: &RunRecord) -> Plot {
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
                name,
                latencies: class.delivery.clone(),
                color: PALETTE[stages.len() % PALETTE.len()],
                width: 2.5,
            });
        }
    }
    stages.retain(|stage| !stage.latencies.is_empty());
    stages.truncate(PALETTE.len());
    let what = "delivery latency by priority";
    by_percentile(record, "priorities", what, &stages)
}

struct Stage {
    name: String,
    label: String,
    latencies: Latencies,
    color: RGBColor,
    width: f64,
}

impl Stage {
    fn entry(&self) -> Entry {
        Entry {
            label: self.label.clone(),
            color: self.color,
            look: Look::Line(self.width),
        }
    }
}

fn by_percentile(record: &RunRecord, name: &'static str, what: &str, stages: &[Stage]) -> Plot {
    let curves: Vec<Vec<(f64, Span)>> = stages.iter().map(|it| curve(&it.latencies)).collect();
    let nines = curves
        .iter()
        .flatten()
        .map(|point| point.0)
        .fold(2.0, f64::max);
    // The least hundredth would take half of the axis to say nothing.
    let typical = curves.iter().flatten().filter(|point| point.0 > 0.005);
    let (low, high) = duration_range(typical.map(|point| point.1.0));
    let legend: Vec<Entry> = stages.iter().map(Stage::entry).collect();
    let title = format!("{}: {what}", record.scenario.title);
    picture(name, &title, |canvas| {
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
            return None;
        }
        let steps: Vec<f64> = (0..=READINGS)
            .map(|step| nines * f64::from(step) / f64::from(READINGS))
            .collect();
        let places = steps.iter().map(|&step| x.at(step)).collect();
        let labels = steps.iter().map(|&step| percentile(step)).collect();
        let mut hover = Hover::across(frame, places, Labels::Text(labels));
        for (stage, curve) in stages.iter().zip(&curves) {
            // Where a curve has ended there is nothing to read.
            let end = curve.last().map_or(-1.0, |point| point.0);
            let value = |&step: &f64| {
                let share = 1.0 - libm::pow(10.0, -step);
                let latency = stage.latencies.quantile(share)?;
                (step <= end + 1e-9).then_some(latency.as_secs_f64())
            };
            let values = steps.iter().map(value);
            hover.series(stage.name.clone(), stage.color, Reading::Time, values);
        }
        Some(hover)
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

/// `99.97 %`: a number of nines in as many digits as it takes.
fn percentile(nines: f64) -> String {
    let share = 100.0 * (1.0 - libm::pow(10.0, -nines));
    let decimals = nines as usize;
    format!("{share:.decimals$} %")
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
/// Places at which a pointer reads percentiles.
const READINGS: u32 = 200;
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
