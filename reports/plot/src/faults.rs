//! When faults were on, for how long nothing was delivered around them, and how deliveries went on.

use plotters::style::RGBColor;
use queuelab_core::{Span, Time};
use queuelab_record::{FaultRecord, RunRecord, grouped};

use crate::Plot;
use crate::axis::{Scale, counts_in};
use crate::canvas::{ALARM, Align, Canvas, FAULT, GRID, INK, PALETTE, Point, picture};
use crate::frame::{Frame, LABEL, SMALL, heading, horizon, phases_between, y_axis};
use crate::hover::{Hover, Labels, Reading};

/// Stretches of time on a line of its own.
struct Row {
    name: String,
    color: RGBColor,
    stretches: Vec<Stretch>,
}

/// What was on, and when.
#[derive(Clone)]
struct Stretch {
    name: String,
    from: Time,
    until: Time,
}

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let delivered = delivered(record);
    let rows = rows(record, &delivered);
    let what = "faults, and when nothing was delivered";
    let title = format!("{}: {what}", record.scenario.title);
    let part = part(record, &rows);
    let rates = rates(record, &delivered, part);
    picture("faults", &title, |canvas| {
        let top = heading(canvas, record, what, &[]) - 16.0;
        let (frame, x) = phases_between(canvas, record, top, LEFT, part);
        let room = frame.bottom - frame.top;
        let (room, most) = match rates.is_empty() {
            true => (room, 96.0),
            false => (room * 0.62, 52.0),
        };
        let height = (room / rows.len().max(1) as f64).min(most);
        let mut panels = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let frame = Frame {
                top: frame.top + height * index as f64,
                bottom: frame.top + height * (index + 1) as f64,
                ..frame
            };
            draw_row(canvas, row, frame, &x);
            panels.push(values(row, frame, &x));
        }
        if !rates.is_empty() {
            let panel = Frame {
                top: frame.top + height * rows.len() as f64 + CAPTION,
                ..frame
            };
            panels.push(draw_rates(canvas, &rows, &rates, panel, &x));
        }
        panels
    })
}

fn draw_row(canvas: &Canvas<'_>, row: &Row, frame: Frame, x: &Scale) {
    let y = (frame.top + frame.bottom) / 2.0;
    let half = ((frame.bottom - frame.top) * 0.3).min(16.0);
    canvas.line(&[(frame.left, y), (frame.right, y)], GRID, 1.0);
    let name = canvas.fitted(&row.name, LABEL, LEFT - 40.0);
    canvas.text(&name, (frame.left - 12.0, y), LABEL, Align::Right);
    let place = |time: Time| x.at(time.as_secs_f64());
    let mut free = frame.left;
    for (index, it) in row.stretches.iter().enumerate() {
        let (left, right) = (place(it.from), place(it.until).max(place(it.from) + 2.0));
        canvas.rectangle((left, y - half), (right, y + half), row.color, 0.85);
        let text = it.until.since(it.from).to_string();
        let width = canvas.width_of(&text, LABEL);
        let next = row
            .stretches
            .get(index + 1)
            .map_or(frame.right, |it| place(it.from));
        // Beside the bar on the side that has room, if any has.
        let right_of: Point = (right + 8.0, y);
        let left_of: Point = (left - 8.0 - width, y);
        let at = match () {
            () if right_of.0 + width + 6.0 < next && right_of.0 > free => right_of,
            () if left_of.0 > free => left_of,
            () => {
                free = free.max(right);
                continue;
            }
        };
        canvas.backdrop(at, width);
        canvas.text(&text, at, LABEL, Align::Left);
        free = free.max(right).max(at.0 + width);
    }
}

/// What a row says where something begins or ends.
fn values(row: &Row, frame: Frame, x: &Scale) -> Hover {
    let edges = row.stretches.iter().flat_map(|it| {
        let place = |time: Time| x.at(time.as_secs_f64());
        [(place(it.from), it), (place(it.until), it)]
    });
    let mut edges: Vec<(f64, &Stretch)> = edges.collect();
    edges.sort_by(|left, right| left.0.total_cmp(&right.0));
    let places = edges.iter().map(|edge| edge.0).collect();
    let label = |it: &Stretch| format!("{}, {} to {}", it.name, it.from, it.until);
    let labels = edges.iter().map(|edge| label(edge.1)).collect();
    let mut hover = Hover::across(frame, places, Labels::Text(labels));
    let length = |it: &Stretch| it.until.since(it.from).as_secs_f64();
    let lengths = edges.iter().map(|edge| Some(length(edge.1)));
    hover.series("lasted", row.color, Reading::Time, lengths);
    hover
}

/// Deliveries per second below the rows, in steps, so that a standstill is as long as it was.
fn draw_rates(
    canvas: &Canvas<'_>,
    rows: &[Row],
    rates: &[(Time, Time, f64)],
    frame: Frame,
    x: &Scale,
) -> Hover {
    let top = rates.iter().map(|it| it.2).fold(0.0, f64::max);
    let y = y_axis(canvas, frame, &counts_in(libm::ceil(top) as u64, 3), "");
    let place = |time: Time| x.at(time.as_secs_f64());
    for row in rows.iter().filter(|row| row.color != INK) {
        for it in &row.stretches {
            let (left, right) = (place(it.from), place(it.until).max(place(it.from) + 2.0));
            canvas.rectangle((left, frame.top), (right, frame.bottom), row.color, 0.18);
        }
    }
    let steps = rates.iter();
    let steps = steps.flat_map(|&(from, until, rate)| [(from, rate), (until, rate)]);
    let line: Vec<Point> = steps
        .map(|(time, rate)| (place(time), y.at(rate)))
        .collect();
    canvas.line(&line, PALETTE[0], 2.0);
    let caption = (frame.left + 6.0, frame.top - 14.0);
    canvas.backdrop(caption, canvas.width_of(DELIVERED, SMALL));
    canvas.text(DELIVERED, caption, SMALL, Align::Left);

    let middle =
        |(from, until, _): &(Time, Time, f64)| (from.as_secs_f64() + until.as_secs_f64()) / 2.0;
    let middles: Vec<f64> = rates.iter().map(middle).collect();
    let places = middles.iter().map(|&middle| x.at(middle)).collect();
    let mut hover = Hover::across(frame, places, Labels::Values(Reading::Time, middles));
    let values = rates.iter().map(|it| Some(it.2));
    hover.series("delivered", PALETTE[0], Reading::Rate, values);
    hover
}

/// The part of the run that is shown: some time before the first and more after the last that is to be seen, so that what recovers is
/// seen too; all of it, if that is most of it.
fn part(record: &RunRecord, rows: &[Row]) -> (Time, Time) {
    let end = horizon(record);
    let stretches = rows.iter().flat_map(|row| &row.stretches);
    let first = stretches
        .clone()
        .map(|it| it.from)
        .min()
        .unwrap_or(Time::ZERO);
    let last = stretches.map(|it| it.until).max().unwrap_or(end).min(end);
    let length = last
        .since(first)
        .0
        .max(record.window.0.saturating_mul(WINDOWS_MIN));
    let from = Time(first.0.saturating_sub(length));
    let until = Time(last.0.saturating_add(length.saturating_mul(3))).min(end);
    match until.since(from).0 < end.0 / 5 * 3 {
        true => (from, until),
        false => (Time::ZERO, end),
    }
}

/// Deliveries per second of all queues, in so many steps that chance is not all that they show; none if nothing was delivered.
fn rates(
    record: &RunRecord,
    delivered: &[u64],
    (from, until): (Time, Time),
) -> Vec<(Time, Time, f64)> {
    let begin = |window: usize| Time(record.window.0.saturating_mul(window as u64));
    let shown = |window: &usize| begin(*window) < until && from < record.window_end(*window);
    let shown: Vec<usize> = (0..delivered.len()).filter(shown).collect();
    let total: u64 = shown.iter().map(|&window| delivered[window]).sum();
    if total == 0 {
        return Vec::new();
    }
    let most = (total / 20).clamp(40, 240) as usize;
    let rate = |windows: &[usize]| {
        let (first, last) = (windows[0], windows[windows.len() - 1]);
        let (begin, end) = (begin(first), record.window_end(last));
        let count: u64 = windows.iter().map(|&window| delivered[window]).sum();
        let length = end.since(begin).as_secs_f64();
        let rate = if length > 0.0 {
            count as f64 / length
        } else {
            0.0
        };
        (begin.max(from), end.min(until), rate)
    };
    let size = shown.len().div_ceil(most).max(1);
    shown.chunks(size).map(rate).collect()
}

/// Deliveries first, then each fault, then alarms. If these are too many, those of a kind are together.
fn rows(record: &RunRecord, delivered: &[u64]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let gaps = gaps(record, delivered).into_iter();
    let gaps = gaps.map(|(from, until)| Stretch {
        name: "no deliveries".into(),
        from,
        until,
    });
    let gaps: Vec<Stretch> = gaps.collect();
    if !gaps.is_empty() {
        rows.push(Row {
            name: "no deliveries".into(),
            color: INK,
            stretches: gaps,
        });
    }
    let end = horizon(record);
    let faults = record.faults.iter().map(|it| {
        let name = format!("{} {}", it.kind, it.target);
        (it.kind.clone(), FAULT, name, it.from, it.until)
    });
    let alarms = record.alarms.iter().map(|it| {
        let kind = format!("{} alarm", it.resource);
        let name = format!("{kind} {}", it.node);
        (kind, ALARM, name, it.from, it.until)
    });
    let all = faults.chain(alarms).filter(|it| it.3 <= end);
    let mut by_target: Vec<(String, Row)> = Vec::new();
    for (kind, color, name, from, until) in all {
        let stretch = Stretch {
            name: name.clone(),
            from,
            until: until.min(end),
        };
        match by_target.iter_mut().find(|(_, row)| row.name == name) {
            Some((_, row)) => row.stretches.push(stretch),
            None => by_target.push((
                kind,
                Row {
                    name,
                    color,
                    stretches: vec![stretch],
                },
            )),
        }
    }
    match by_target.len() > ROWS_MAX {
        true => rows.extend(by_kind(by_target)),
        false => rows.extend(by_target.into_iter().map(|(_, row)| row)),
    }
    for row in &mut rows {
        row.stretches.sort_by_key(|it| (it.from, it.until));
    }
    rows
}

/// A row for each kind, and one for the kinds that have no room.
fn by_kind(by_target: Vec<(String, Row)>) -> Vec<Row> {
    let mut kinds: Vec<(String, u64, Row)> = Vec::new();
    for (kind, row) in by_target {
        let last = kinds.len() + 1 == ROWS_MAX;
        let own = kinds.iter().position(|(it, ..)| *it == kind);
        match own.or((kinds.len() == ROWS_MAX).then_some(ROWS_MAX - 1)) {
            Some(index) => {
                kinds[index].1 += 1;
                kinds[index].2.stretches.extend(row.stretches);
            }
            None => kinds.push((if last { "others".into() } else { kind }, 1, row)),
        }
    }
    let named = kinds.into_iter().map(|(kind, targets, row)| Row {
        name: match targets {
            1 => row.name,
            targets => format!("{kind}, {} targets", grouped(targets)),
        },
        ..row
    });
    named.collect()
}

/// Deliveries per window, of all queues.
pub(crate) fn delivered(record: &RunRecord) -> Vec<u64> {
    let mut delivered = vec![0u64; record.windows()];
    for queue in &record.queues {
        for (sum, count) in delivered.iter_mut().zip(&queue.series.delivered) {
            *sum += count;
        }
    }
    delivered
}

/// Stretches of windows without a delivery that touch a fault, in runs where a window has so many that chance leaves none out. The
/// resolution is that of the windows.
pub(crate) fn gaps(record: &RunRecord, delivered: &[u64]) -> Vec<(Time, Time)> {
    let windows = delivered.len();
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
        let touches = |it: &FaultRecord| from <= it.until + slack && it.from <= until;
        record.faults.iter().any(touches)
    });
    gaps
}

/// Room for names.
const LEFT: f64 = 230.0;
/// Room for the caption of the rates.
const CAPTION: f64 = 38.0;
const DELIVERED: &str = "delivered per second, all queues";
/// Rows of faults and alarms.
const ROWS_MAX: usize = 10;
/// At least so much is shown before what there is to see, that rates have something to say.
const WINDOWS_MIN: u64 = 20;
