//! How far groups are behind their streams over time.

use queuelab_core::Time;
use queuelab_record::{GroupRecord, RunRecord, grouped};

use crate::Plot;
use crate::axis::{Scale, counts};
use crate::canvas::{Align, Canvas, picture};
use crate::curve::{Counts, Curve, curves, hover};
use crate::frame::{Frame, LABEL, heading, legend_of_bands, nothing, over_time, y_axis};

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let all = record.groups.iter().map(|group| Counts {
        name: label(group),
        values: &group.series.lag,
        bound: None,
        peak: group.lag_max,
    });
    let curves = curves(record, all.collect());
    let highest = curves.iter().map(|curve| curve.peak.0).max().unwrap_or(0);
    let mut legend: Vec<_> = curves.iter().map(Curve::entry).collect();
    legend.extend(legend_of_bands(record));

    picture(
        "groups",
        &format!("{}: lag of groups over time", record.scenario.title),
        |canvas| {
            let top = heading(canvas, record, "lag of groups", &legend);
            let (frame, x) = over_time(canvas, record, top);
            let y = y_axis(canvas, frame, &counts(highest), "records not settled");
            for curve in curves.iter().rev() {
                curve.draw(canvas, frame, &x, &y, highest);
            }
            for curve in &curves {
                let group = record.groups.iter().find(|it| label(it) == curve.name);
                if let Some(group) = group {
                    changes(canvas, record, group, curve, frame, &x);
                }
            }
            match curves.iter().max_by_key(|curve| curve.peak.0) {
                Some(highest) if highest.peak.0 > 0 => highest.mark_peak(canvas, frame, &x, &y),
                _ => nothing(canvas, frame, "no group fell behind"),
            }
            hover(frame, &x, &curves)
        },
    )
}

/// `analytics: 3 rebalances`
fn label(group: &GroupRecord) -> String {
    let times = match group.rebalances {
        1 => "1 rebalance".into(),
        times => format!("{} rebalances", grouped(times)),
    };
    format!("{}: {times}", group.name)
}

/// Where members came or went, which is when streams are assigned anew: a line, and how many members there were from then on.
fn changes(
    canvas: &Canvas<'_>,
    record: &RunRecord,
    group: &GroupRecord,
    curve: &Curve,
    frame: Frame,
    x: &Scale,
) {
    let mut places: Vec<(f64, u64)> = Vec::new();
    for (window, pair) in group.series.members.windows(2).enumerate() {
        let began = Time(record.window.0.saturating_mul(window as u64 + 1));
        let place = x.at(began.as_secs_f64());
        // Those that the eye could not tell apart are one.
        let apart = places.last().is_none_or(|(last, _)| place - last > 3.0);
        if pair[0] != pair[1] && apart {
            places.push((place, pair[1]));
        }
    }
    for (place, _) in &places {
        let ends = [(*place, frame.top), (*place, frame.bottom)];
        canvas.dashed(&ends, curve.color(), 1.5);
    }
    // A row for each group.
    let height = frame.bottom - 16.0 - 24.0 * curve.index as f64;
    for (index, (place, members)) in places.iter().enumerate() {
        let next = places.get(index + 1).map_or(frame.right, |(next, _)| *next);
        let short = grouped(*members);
        let long = match members {
            1 => "1 member".into(),
            _ => format!("{short} members"),
        };
        let fits = |text: &&String| place + 16.0 + canvas.width_of(text, LABEL) < next;
        if let Some(text) = [&long, &short].into_iter().find(fits) {
            canvas.backdrop((place + 8.0, height), canvas.width_of(text, LABEL));
            canvas.text(text, (place + 8.0, height), LABEL, Align::Left);
        }
    }
}
