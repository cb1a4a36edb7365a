//! When faults were on, and for how long nothing was delivered around them.

use plotters::style::RGBColor;
use queuelab_core::{Span, Time};
use queuelab_record::RunRecord;

use crate::Plot;
use crate::canvas::{ALARM, Align, Canvas, FAULT, GRID, INK, Point, picture};
use crate::frame::{Frame, LABEL, heading, horizon, phases_over_time};

/// Stretches of time on a line of its own.
struct Row {
    name: String,
    color: RGBColor,
    spans: Vec<(Time, Time)>,
}

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let rows = rows(record);
    let what = "faults, and when nothing was delivered";
    let title = format!("{}: {what}", record.scenario.title);
    picture("faults", &title, |canvas| {
        let top = heading(canvas, record, what, &[]) - 16.0;
        let (frame, x) = phases_over_time(canvas, record, top, LEFT);
        let end = horizon(record);
        let height = ((frame.bottom - frame.top) / rows.len().max(1) as f64).min(96.0);
        for (index, row) in rows.iter().enumerate() {
            let y = frame.top + height * (index as f64 + 0.5);
            canvas.line(&[(frame.left, y), (frame.right, y)], GRID, 1.0);
            let name = canvas.fitted(&row.name, LABEL, LEFT - 40.0);
            canvas.text(&name, (frame.left - 12.0, y), LABEL, Align::Right);
            let place = |time: Time| x.at(time.min(end).as_secs_f64());
            draw_row(canvas, frame, row, (y, height), &place);
        }
        None
    })
}

fn draw_row(
    canvas: &Canvas<'_>,
    frame: Frame,
    row: &Row,
    (y, height): (f64, f64),
    place: &impl Fn(Time) -> f64,
) {
    let half = (height * 0.25).min(16.0);
    let mut free = frame.left;
    for (index, &(from, until)) in row.spans.iter().enumerate() {
        let (left, right) = (place(from), place(until).max(place(from) + 2.0));
        canvas.rectangle((left, y - half), (right, y + half), row.color, 0.85);
        let text = until.since(from).to_string();
        let width = canvas.width_of(&text, LABEL);
        let next = row
            .spans
            .get(index + 1)
            .map_or(frame.right, |it| place(it.0));
        // Beside the bar on the side that has room, if any has.
        let right_of: Point = (right + 8.0, y);
        let left_of: Point = (left - 8.0 - width, y);
        let at = match () {
            () if right_of.0 + width + 6.0 < next => right_of,
            () if left_of.0 > free => left_of,
            () => {
                free = right;
                continue;
            }
        };
        canvas.backdrop(at, width);
        canvas.text(&text, at, LABEL, Align::Left);
        free = right.max(at.0 + width);
    }
}

/// Deliveries first, then each fault, then alarms.
fn rows(record: &RunRecord) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let gaps = gaps(record);
    if !gaps.is_empty() {
        rows.push(Row {
            name: "no deliveries".into(),
            color: INK,
            spans: gaps,
        });
    }
    let faults = record.faults.iter().map(|it| {
        let name = format!("{} {}", it.kind, it.target);
        (name, FAULT, (it.from, it.until))
    });
    let alarms = record.alarms.iter().map(|it| {
        let name = format!("{} alarm {}", it.resource, it.node);
        (name, ALARM, (it.from, it.until))
    });
    for (name, color, span) in faults.chain(alarms) {
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.spans.push(span),
            None => rows.push(Row {
                name,
                color,
                spans: vec![span],
            }),
        }
    }
    rows.truncate(ROWS_MAX);
    rows
}

/// Stretches of windows without a delivery that touch a fault, in runs where a window has so many that chance leaves none out. The
/// resolution is that of the windows.
pub(crate) fn gaps(record: &RunRecord) -> Vec<(Time, Time)> {
    let windows = record.windows();
    let mut delivered = vec![0u64; windows];
    for queue in &record.queues {
        for (sum, count) in delivered.iter_mut().zip(&queue.series.delivered) {
            *sum += count;
        }
    }
    let total: u64 = delivered.iter().sum();
    if windows == 0 || total / (windows as u64) < 5 {
        return Vec::new();
    }
    let mut gaps: Vec<(Time, Time)> = Vec::new();
    let mut window = 0;
    while window < windows {
        let first = window;
        while window < windows && delivered[window] == 0 {
            window += 1;
        }
        if window > first {
            let begin = Time(record.window.0.saturating_mul(first as u64));
            gaps.push((begin, record.window_end(window - 1)));
        }
        window += 1;
    }
    // What a fault sets off may come a little later.
    let slack = Span(record.window.0.saturating_mul(3));
    gaps.retain(|&(from, until)| {
        let touches =
            |it: &queuelab_record::FaultRecord| from <= it.until + slack && it.from <= until;
        record.faults.iter().any(touches)
    });
    gaps
}

/// Room for names.
const LEFT: f64 = 230.0;
const ROWS_MAX: usize = 9;
