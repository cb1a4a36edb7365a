//! What all pictures share: title, legend, axes, phases and faults.

use plotters::style::RGBColor;
use queuelab_core::{Span, Time};
use queuelab_record::{RunRecord, ScenarioInfo};

use crate::axis::{Scale, Tick, instants};
use crate::canvas::{
    ALARM, Align, Canvas, FAULT, Font, GRID, HEIGHT, INK, PAPER, Point, QUIET, WIDTH,
};

/// One entry of a legend.
pub(crate) struct Entry {
    pub(crate) label: String,
    pub(crate) color: RGBColor,
    pub(crate) look: Look,
}

/// What something looks like beside its colour.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    /// A line of some width.
    Line(f64),
    /// A line with a white core.
    Hollow,
    /// A line of dashes: what is predicted.
    Dashes,
    /// A band over time.
    Band,
    /// A surface of some opacity.
    Shade(f64),
    /// A dot.
    Dot,
}

impl Look {
    /// Draws a line of this look.
    pub(crate) fn draw(self, canvas: &Canvas<'_>, points: &[Point], color: RGBColor) {
        match self {
            Look::Line(width) => canvas.line(points, color, width),
            Look::Hollow => {
                canvas.line(points, color, 4.0);
                canvas.line(points, PAPER, 1.75);
            }
            Look::Dashes => canvas.dashed(points, color, 2.0),
            Look::Band | Look::Shade(_) | Look::Dot => {}
        }
    }
}

/// The space between the axes, in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    /// What a panel of `height` at the bottom leaves.
    pub(crate) fn above(self, height: f64) -> Frame {
        Frame {
            bottom: self.bottom - height,
            ..self
        }
    }

    /// A panel of `height` at the bottom, with room for a caption above it.
    pub(crate) fn below(self, height: f64) -> Frame {
        Frame {
            top: self.bottom - height + 34.0,
            ..self
        }
    }
}

/// `Flash sale: backlog` with the circumstances below it and the legend below that; returns where they end.
pub(crate) fn heading(
    canvas: &Canvas<'_>,
    record: &RunRecord,
    what: &str,
    legend: &[Entry],
) -> f64 {
    let title = format!("{}: {what}", record.scenario.title);
    heading_of(canvas, &title, &circumstances(record), legend)
}

/// A title with the circumstances below it and the legend below that; returns where they end.
pub(crate) fn heading_of(
    canvas: &Canvas<'_>,
    title: &str,
    circumstances: &str,
    legend: &[Entry],
) -> f64 {
    let width = WIDTH - 2.0 * MARGIN;
    canvas.text(
        &canvas.fitted(title, TITLE, width),
        (MARGIN, 32.0),
        TITLE,
        Align::Left,
    );
    canvas.text(
        &canvas.fitted(circumstances, SMALL, width),
        (MARGIN, 60.0),
        SMALL,
        Align::Left,
    );

    let (mut x, mut y) = (MARGIN, 90.0);
    for entry in legend {
        let label = canvas.fitted(&entry.label, LABEL, width - SWATCH);
        let needed = SWATCH + canvas.width_of(&label, LABEL);
        if x > MARGIN && x + needed > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + 24.0);
        }
        let swatch = [(x, y), (x + 26.0, y)];
        let corners = [(x, y - 8.0), (x + 26.0, y + 8.0)];
        match entry.look {
            Look::Line(width) => canvas.line(&swatch, entry.color, width.max(2.0) * 1.5),
            Look::Hollow | Look::Dashes => entry.look.draw(canvas, &swatch, entry.color),
            Look::Band => canvas.rectangle(corners[0], corners[1], entry.color, BAND),
            Look::Shade(depth) => canvas.rectangle(corners[0], corners[1], entry.color, depth),
            Look::Dot => canvas.dot((x + 13.0, y), 4.0, entry.color),
        }
        canvas.text(&label, (x + SWATCH, y), LABEL, Align::Left);
        x += needed + 28.0;
    }
    y + 20.0
}

/// `seed 7 · 15m simulated · costs lan, uncalibrated · consumer.fulfilment.count=80`
fn circumstances(record: &RunRecord) -> String {
    let calibrated = if record.trust.calibrated {
        "calibrated"
    } else {
        "uncalibrated"
    };
    let mut parts = vec![
        format!("seed {}", record.seed),
        format!("{} simulated", record.end),
        format!("costs {}, {calibrated}", record.trust.profile),
    ];
    parts.extend(record.scenario.overrides.iter().cloned());
    parts.join(" · ")
}

/// What ran, for pictures of several runs: `flash-sale · consumer.fulfilment.count=80`.
pub(crate) fn circumstances_of(scenario: &ScenarioInfo) -> String {
    let name = [scenario.name.clone()];
    let changes = scenario.overrides.iter().cloned();
    name.into_iter()
        .chain(changes)
        .collect::<Vec<_>>()
        .join(" · ")
}

/// The horizontal axis of a picture over time: from zero to where the run got.
pub(crate) fn horizon(record: &RunRecord) -> Time {
    let planned = record.phases.last().map_or(Time::ZERO, |phase| phase.until);
    match (record.end, planned) {
        (Time::ZERO, Time::ZERO) => Time(1_000_000_000),
        (Time::ZERO, planned) => planned,
        (end, _) => end,
    }
}

/// Draws phases, faults and the time axis; returns the frame and the scale of seconds.
pub(crate) fn over_time(canvas: &Canvas<'_>, record: &RunRecord, top: f64) -> (Frame, Scale) {
    let end = horizon(record);
    let mut bands: Vec<Band> = record
        .faults
        .iter()
        .filter(|fault| fault.from <= end)
        .map(|fault| Band {
            text: format!("{} {}", fault.kind, fault.target),
            from: fault.from,
            until: fault.until,
            color: FAULT,
        })
        .collect();
    bands.extend(alarms(record, end));
    if !record.warmup.is_zero() {
        bands.insert(
            0,
            Band {
                text: "warm-up".into(),
                from: Time::ZERO,
                until: Time::ZERO + record.warmup,
                color: QUIET,
            },
        );
    }
    with_bands(canvas, record, top, LEFT, (Time::ZERO, end), &bands)
}

/// Draws phases and the axis of a part of the time only, right of `left`; returns the frame and the scale of seconds.
pub(crate) fn phases_between(
    canvas: &Canvas<'_>,
    record: &RunRecord,
    top: f64,
    left: f64,
    part: (Time, Time),
) -> (Frame, Scale) {
    with_bands(canvas, record, top, left, part, &[])
}

fn with_bands(
    canvas: &Canvas<'_>,
    record: &RunRecord,
    top: f64,
    left: f64,
    (begin, end): (Time, Time),
    bands: &[Band],
) -> (Frame, Scale) {
    let right = WIDTH - RIGHT;
    let scale = Scale::new(begin.as_secs_f64(), end.as_secs_f64(), (left, right));
    let place = |time: Time| scale.at(time.as_secs_f64());

    let phases: Vec<Label> = record
        .phases
        .iter()
        .filter(|phase| phase.from < end && begin < phase.until && record.phases.len() > 1)
        .map(|phase| Label {
            text: phase.name.clone(),
            from: place(phase.from),
            until: place(phase.until),
        })
        .collect();
    let fault_labels: Vec<Label> = bands
        .iter()
        .map(|band| Label {
            text: band.text.clone(),
            from: place(band.from),
            until: place(band.until),
        })
        .collect();

    let (phase_rows, phases_high) = arranged(canvas, &phases, PHASE, (left, right));
    let (fault_rows, faults_high) = arranged(canvas, &fault_labels, PHASE, (left, right));
    let frame = Frame {
        left,
        right,
        top: top + phases_high + faults_high + 4.0,
        bottom: HEIGHT - BOTTOM,
    };

    for (index, phase) in phases.iter().enumerate() {
        if index % 2 == 1 {
            canvas.rectangle((phase.from, top), (phase.until, frame.bottom), GRID, 0.35);
        }
        if phase.from > left {
            canvas.dashed(&[(phase.from, top), (phase.from, frame.bottom)], QUIET, 1.0);
        }
    }
    for (phase, row) in phases.iter().zip(&phase_rows) {
        if let Some((x, row)) = row {
            let y = top + 13.0 + row * ROW;
            let width = canvas.width_of(&phase.text, PHASE);
            // One that is wider than its phase would be crossed by the phase's edges.
            if width > phase.until - phase.from - 8.0 {
                canvas.backdrop((x - width / 2.0, y), width);
            }
            canvas.text(&phase.text, (*x, y), SMALL, Align::Centre);
        }
    }
    for ((band, label), row) in bands.iter().zip(&fault_labels).zip(&fault_rows) {
        let until = label.until.max(label.from + 2.0);
        canvas.rectangle(
            (label.from, frame.top),
            (until, frame.bottom),
            band.color,
            BAND,
        );
        for x in [label.from, until] {
            canvas.line(&[(x, frame.top), (x, frame.bottom)], band.color, 0.75);
        }
        if let Some((x, row)) = row {
            let y = top + phases_high + 13.0 + row * ROW;
            let font = Font::plain(16.0, band.color);
            let half = canvas.width_of(&label.text, font) / 2.0;
            canvas.backdrop((x - half, y), 2.0 * half);
            canvas.text(&label.text, (*x, y), font, Align::Centre);
        }
    }
    let whole = horizon(record);
    let title = match (begin, end) == (Time::ZERO, whole) {
        true => "simulated time".into(),
        false => format!("simulated time, {begin} to {end} of {whole}"),
    };
    x_axis(canvas, frame, &scale, &instants(begin, end), &title);
    (frame, scale)
}

/// Draws the horizontal axis below the frame.
pub(crate) fn x_axis(
    canvas: &Canvas<'_>,
    frame: Frame,
    scale: &Scale,
    ticks: &[Tick],
    title: &str,
) {
    canvas.line(
        &[(frame.left, frame.bottom), (frame.right, frame.bottom)],
        INK,
        1.25,
    );
    for tick in ticks {
        let x = scale.at(tick.value);
        canvas.line(&[(x, frame.bottom), (x, frame.bottom + 6.0)], INK, 1.25);
        let half = canvas.width_of(&tick.label, LABEL) / 2.0;
        let middle = x.min(WIDTH - 6.0 - half);
        canvas.text(
            &tick.label,
            (middle, frame.bottom + 20.0),
            LABEL,
            Align::Centre,
        );
    }
    canvas.text(
        title,
        ((frame.left + frame.right) / 2.0, frame.bottom + 48.0),
        LABEL,
        Align::Centre,
    );
}

/// Draws the vertical axis left of the frame and its grid through it; returns its scale.
pub(crate) fn y_axis(canvas: &Canvas<'_>, frame: Frame, ticks: &[Tick], title: &str) -> Scale {
    let (low, high) = (ticks[0].value, ticks[ticks.len() - 1].value);
    let scale = Scale::new(low, high, (frame.bottom, frame.top));
    let mut widest: f64 = 0.0;
    for (index, tick) in ticks.iter().enumerate() {
        let y = scale.at(tick.value);
        if index > 0 {
            canvas.line(&[(frame.left, y), (frame.right, y)], GRID, 1.0);
        }
        canvas.text(&tick.label, (frame.left - 10.0, y), LABEL, Align::Right);
        widest = widest.max(canvas.width_of(&tick.label, LABEL));
    }
    canvas.line(
        &[(frame.left, frame.top), (frame.left, frame.bottom)],
        INK,
        1.25,
    );
    let x = (frame.left - 10.0 - widest - 20.0).max(14.0);
    if title.is_empty() {
        return scale;
    }
    canvas.upward(title, (x, (frame.top + frame.bottom) / 2.0), LABEL);
    scale
}

/// Says that there is nothing to see.
pub(crate) fn nothing(canvas: &Canvas<'_>, frame: Frame, what: &str) {
    let font = Font::plain(20.0, QUIET);
    let (x, y) = (
        (frame.left + frame.right) / 2.0,
        (frame.top + frame.bottom) / 2.0,
    );
    let half = canvas.width_of(what, font) / 2.0 + 16.0;
    canvas.rectangle((x - half, y - 22.0), (x + half, y + 22.0), PAPER, 1.0);
    canvas.text(what, (x, y), font, Align::Centre);
}

/// Round times around what is to be shown; a millisecond's surroundings if nothing is.
pub(crate) fn duration_range(values: impl Iterator<Item = u64> + Clone) -> (Span, Span) {
    let high = values.clone().max().unwrap_or(1_000_000).max(1);
    // A cost-free step takes no time, which a logarithmic axis cannot show.
    let low = values
        .filter(|&nanos| nanos > 0)
        .min()
        .unwrap_or(high)
        .max(high / 100_000_000)
        .max(1);
    (Span(low), Span(high))
}

/// What the bands of a picture over time stand for, where they do not say it themselves.
pub(crate) fn legend_of_bands(record: &RunRecord) -> Option<Entry> {
    let mut resources: Vec<&str> = record
        .alarms
        .iter()
        .map(|it| it.resource.as_str())
        .collect();
    resources.sort_unstable();
    resources.dedup();
    (!resources.is_empty()).then(|| Entry {
        label: format!("{} alarm: publishers blocked", resources.join(" or ")),
        color: ALARM,
        look: Look::Band,
    })
}

/// Alarms; those of a resource that the eye could not tell apart are one.
fn alarms(record: &RunRecord, end: Time) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    let close = Span(end.0 / 500);
    for alarm in record.alarms.iter().filter(|alarm| alarm.from <= end) {
        let text = format!("{} alarm {}", alarm.resource, alarm.node);
        let before = bands.iter_mut().rfind(|band| band.text == text);
        match before.filter(|band| alarm.from.since(band.until) < close) {
            Some(band) => band.until = band.until.max(alarm.until),
            None => bands.push(Band {
                text,
                from: alarm.from,
                until: alarm.until,
                color: ALARM,
            }),
        }
    }
    bands
}

struct Band {
    text: String,
    from: Time,
    until: Time,
    color: RGBColor,
}

struct Label {
    text: String,
    from: f64,
    until: f64,
}

/// Gives each label a place near the middle of its span, on the first of two rows where it covers no other; those that fit on
/// neither are left out. Also returns how high the rows are together.
fn arranged(
    canvas: &Canvas<'_>,
    labels: &[Label],
    font: Font,
    (left, right): (f64, f64),
) -> (Vec<Option<(f64, f64)>>, f64) {
    let mut free = [left; 2];
    let mut rows = 0;
    let places = labels
        .iter()
        .map(|label| {
            let half = canvas.width_of(&label.text, font) / 2.0;
            let x = ((label.from + label.until) / 2.0)
                .min(right - half)
                .max(left + half);
            let row = (0..2).find(|&row| x - half >= free[row])?;
            free[row] = x + half + 14.0;
            rows = rows.max(row + 1);
            Some((x, row as f64))
        })
        .collect();
    (places, rows as f64 * ROW)
}

pub(crate) const LABEL: Font = Font::plain(16.0, INK);
const PHASE: Font = LABEL;
pub(crate) const SMALL: Font = Font::plain(16.0, QUIET);
const TITLE: Font = Font::bold(24.0, INK);
/// Opacity of bands.
const BAND: f64 = 0.18;
const SWATCH: f64 = 34.0;
const ROW: f64 = 22.0;
const MARGIN: f64 = 24.0;
const LEFT: f64 = 132.0;
const RIGHT: f64 = 36.0;
const BOTTOM: f64 = 70.0;

/// The frame of a picture that is not over time.
pub(crate) fn plain(top: f64) -> Frame {
    Frame {
        left: LEFT,
        right: WIDTH - RIGHT,
        top: top + 10.0,
        bottom: HEIGHT - BOTTOM,
    }
}
