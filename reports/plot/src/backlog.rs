//! Ready and delayed messages per queue over time, and the dead letters below.

use queuelab_record::{DEATH_NAMES, QueueRecord, RunRecord, grouped};

use crate::axis::{Scale, counts};
use crate::canvas::{Align, Canvas, INK, picture};
use crate::curve::{Counts, Curve, curves, hover, peak, thinned};
use crate::frame::{
    Entry, Frame, Look, SMALL, heading, legend_of_bands, nothing, over_time, y_axis,
};
use crate::hover::Reading;
use crate::{Plot, fluid};

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let queues = shown(record);
    let waiting = match queues.iter().all(|queue| queue.stream) {
        true if !queues.is_empty() => "records kept",
        _ => "ready messages",
    };
    let ready = ready(record, &queues);
    let delayed = delayed(record, &ready);
    let curves: Vec<&Curve> = ready.iter().chain(&delayed).collect();
    let fluids: Vec<(&Curve, Vec<(f64, f64)>)> = ready
        .iter()
        .filter_map(|curve| Some((curve, fluid::backlog(record, &curve.name)?)))
        .collect();
    let predicted = fluids.iter().flat_map(|(_, points)| points);
    let predicted = predicted.fold(0.0, |most: f64, point| most.max(point.1));
    let top = curves.iter().map(|curve| curve.peak.0).max().unwrap_or(0);
    let top = top.max(predicted as u64);
    // A bound far above the data would press it to the ground; the legend tells it then.
    let highest = curves
        .iter()
        .filter_map(|curve| curve.bound)
        .filter(|&bound| bound / 4 <= top)
        .max()
        .unwrap_or(0)
        .max(top);
    let mut legend: Vec<_> = curves.iter().map(|curve| curve.entry()).collect();
    legend.extend(fluids.first().map(|_| Entry {
        label: "predicted (fluid)".into(),
        color: INK,
        look: Look::Dashes,
    }));
    legend.extend(legend_of_bands(record));
    let title = match delayed.is_empty() {
        true => waiting,
        false => "ready and delayed messages",
    };

    picture(
        "backlog",
        &format!("{}: {title} over time", record.scenario.title),
        |canvas| {
            let top_edge = heading(canvas, record, "backlog", &legend);
            let (whole, x) = over_time(canvas, record, top_edge);
            let dead = queues.iter().any(|queue| queue.dead_lettered > 0);
            let frame = match dead {
                true => whole.above(PANEL),
                false => whole,
            };
            let y = y_axis(canvas, frame, &counts(highest), title);
            for curve in curves.iter().rev() {
                curve.draw(canvas, frame, &x, &y, highest);
            }
            for (_, points) in &fluids {
                let line: Vec<_> = points
                    .iter()
                    .map(|&(second, value)| (x.at(second), y.at(value)))
                    .collect();
                Look::Dashes.draw(canvas, &line, INK);
            }
            match ready.iter().max_by_key(|curve| curve.peak.0) {
                Some(highest) if highest.peak.0 > 0 => highest.mark_peak(canvas, frame, &x, &y),
                _ if delayed.is_empty() => nothing(canvas, frame, "no message had to wait"),
                _ => {}
            }
            if dead {
                dead_letters(canvas, record, &ready, whole.below(PANEL), &x);
            }
            let mut hover = hover(frame, &x, curves.iter().copied())?;
            for (curve, points) in &fluids {
                let seconds = curve.points.iter().map(|point| point.0);
                let values = seconds.map(|second| fluid::at(points, second));
                let name = format!("{} predicted (fluid)", curve.name);
                hover.series(name, INK, Reading::Count, values);
            }
            Some(hover)
        },
    )
}

/// Queues; streams only where there is nothing else, since what they keep does not wait.
fn shown(record: &RunRecord) -> Vec<&QueueRecord> {
    let streams_only = record.queues.iter().all(|queue| queue.stream);
    let queues = record.queues.iter();
    queues
        .filter(|queue| streams_only || !queue.stream)
        .collect()
}

fn ready(record: &RunRecord, queues: &[&QueueRecord]) -> Vec<Curve> {
    let counts = queues.iter().map(|queue| Counts {
        name: queue.name.clone(),
        values: &queue.series.ready_max,
        bound: queue.max_length,
        peak: queue.ready_max,
    });
    curves(record, counts.collect())
}

/// Delayed messages in the colour of their queue, where there were any.
fn delayed(record: &RunRecord, ready: &[Curve]) -> Vec<Curve> {
    let own = of_each(record, ready);
    let delayed = own.filter(|(_, queue)| queue.series.delayed.iter().any(|&count| count > 0));
    let delayed = delayed.map(|(curve, queue)| {
        let peak = peak(record, &queue.series.delayed);
        Curve {
            // Beside a large backlog the curve lies on the ground.
            name: format!("{} delayed (at most {})", queue.name, grouped(peak.0)),
            index: curve.index,
            bound: None,
            peak,
            look: Look::Hollow,
            points: thinned(record, &queue.series.delayed),
        }
    });
    delayed.collect()
}

/// The queues that have a curve of their own.
fn of_each<'a>(
    record: &'a RunRecord,
    curves: &'a [Curve],
) -> impl Iterator<Item = (&'a Curve, &'a QueueRecord)> {
    curves.iter().filter_map(|curve| {
        let mut queues = record.queues.iter();
        Some((curve, queues.find(|queue| queue.name == curve.name)?))
    })
}

/// Dead letters per second, in the colours of the queues that they left.
fn dead_letters(canvas: &Canvas<'_>, record: &RunRecord, ready: &[Curve], frame: Frame, x: &Scale) {
    let window = record.window.as_secs_f64();
    let mut rates: Vec<(&Curve, Vec<(f64, f64)>)> = Vec::new();
    for (curve, queue) in of_each(record, ready).filter(|(_, queue)| queue.dead_lettered > 0) {
        let mut points = thinned(record, &queue.series.dead_lettered);
        points.iter_mut().for_each(|point| point.1 /= window);
        rates.push((curve, points));
    }
    let points = rates.iter().flat_map(|(_, points)| points);
    let top = points.map(|point| point.1).fold(0.0, f64::max);
    let ticks = counts(libm::ceil(top) as u64);
    let ends = [ticks[0].clone(), ticks[ticks.len() - 1].clone()];
    let y = y_axis(canvas, frame, &ends, "");
    for (curve, points) in &rates {
        let line: Vec<_> = points
            .iter()
            .map(|&(second, rate)| (x.at(second), y.at(rate)))
            .collect();
        canvas.line(&line, curve.color(), 2.0);
    }
    let caption = canvas.fitted(&caption(record), SMALL, frame.right - frame.left - 8.0);
    let place = (frame.left + 6.0, frame.top - 15.0);
    canvas.backdrop(place, canvas.width_of(&caption, SMALL));
    canvas.text(&caption, place, SMALL, Align::Left);
}

/// `dead letters per second: 733 in all (183 rejected, 550 delivery_limit)`
fn caption(record: &RunRecord) -> String {
    let total = record.total(|queue| queue.dead_lettered);
    let reasons: Vec<String> = DEATH_NAMES
        .iter()
        .enumerate()
        .map(|(reason, name)| (record.total(|queue| queue.deaths[reason]), name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{} {name}", grouped(count)))
        .collect();
    let reasons = match reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", reasons.join(", ")),
    };
    format!(
        "dead letters per second: {} in all{reasons}",
        grouped(total)
    )
}

/// Pixels that the panel of dead letters takes at the bottom.
const PANEL: f64 = 110.0;
