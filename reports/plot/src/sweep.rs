//! What changes with a scenario's settings.

use std::cmp::Reverse;

use queuelab_record::{MetricEnsemble, Quantity, Sampling, Sweep, SweepPoint, Unit};

use crate::Plot;
use crate::axis::{Scale, Tick, durations, values};
use crate::canvas::{Align, Canvas, Font, GRID, INK, PALETTE, Point, QUIET, picture};
use crate::frame::{
    Entry, Frame, LABEL, Look, SMALL, circumstances_of, heading_of, nothing, plain, x_axis, y_axis,
};
use crate::hover::{Hover, Labels, Reading};

/// The pictures of a sweep, one per quantity (the first eight): a curve over the axis with the interval at each point, what theory says
/// dashed, and the boundary that a search found; of a grid of two axes a heat map; of more axes or a Latin hypercube, dots over the axis
/// that matters most.
pub fn sweep_plots(sweep: &Sweep) -> Vec<Plot> {
    let quantities = sweep.quantities.iter().enumerate().take(QUANTITIES_MAX);
    let draw = |(index, quantity): (usize, &Quantity)| {
        let picture = Sheet {
            sweep,
            index,
            quantity,
        };
        match (sweep.axes.len(), sweep.sampling) {
            (0, _) => None,
            (1, Sampling::LatinHypercube) => Some(picture.dots(0)),
            (1, _) => Some(picture.curve()),
            (2, Sampling::Grid) => Some(picture.heat()),
            _ => Some(picture.dots(picture.strongest())),
        }
    };
    quantities.filter_map(draw).collect()
}

/// A picture of one quantity.
struct Sheet<'a> {
    sweep: &'a Sweep,
    index: usize,
    quantity: &'a Quantity,
}

impl Sheet<'_> {
    fn name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let quantity = self.quantity.to_string();
        let quantity: String = quantity.chars().take(60).map(plain).collect();
        format!("sweep-{}-{quantity}", self.index + 1)
    }

    fn title(&self) -> String {
        format!("{}: {}", self.sweep.scenario.title, self.quantity)
    }

    fn circumstances(&self) -> String {
        let points = self.sweep.points.len();
        let runs = self.sweep.points.iter().map(|it| it.seeds.len()).max();
        format!(
            "{points} points × {} runs each · {}",
            runs.unwrap_or(0),
            circumstances_of(&self.sweep.scenario)
        )
    }

    fn metric<'a>(&self, point: &'a SweepPoint) -> Option<&'a MetricEnsemble> {
        point.metrics.get(self.index)
    }

    fn reading(&self) -> Reading {
        let units = self
            .sweep
            .points
            .iter()
            .filter_map(|it| self.metric(it)?.unit);
        let unit: Option<Unit> = units.into_iter().next();
        unit.into()
    }

    /// Middle, and half the width of the interval.
    fn value(&self, point: &SweepPoint) -> Option<(f64, f64)> {
        middle(self.metric(point)?)
    }

    /// The axis whose settings go with the largest differences of the metric: its correlation with ranks is strongest.
    fn strongest(&self) -> usize {
        let strength = |axis: usize| {
            let pairs = self.sweep.points.iter().filter_map(|point| {
                let place = point.settings[axis].number?;
                Some((place, self.value(point)?.0))
            });
            correlation(&pairs.collect::<Vec<_>>()).abs()
        };
        let axes = 0..self.sweep.axes.len();
        axes.rev()
            .max_by(|&left, &right| strength(left).total_cmp(&strength(right)))
            .unwrap_or(0)
    }

    /// Where a point lies on an axis, from 0 to 1: by its number, or by its rank where there are words.
    fn place(&self, point: &SweepPoint, axis: usize) -> f64 {
        let info = &self.sweep.axes[axis];
        let numbers: Vec<f64> = info.values.iter().filter_map(|it| it.number).collect();
        let setting = &point.settings[axis];
        let (low, high) = (least(&numbers), most(&numbers));
        if let Some(number) = setting
            .number
            .filter(|_| numbers.len() == info.values.len())
        {
            return match () {
                () if high <= low => 0.5,
                () if logarithmic(low, high) && numbers.len() > 3 => {
                    libm::log(number / low) / libm::log(high / low)
                }
                () => (number - low) / (high - low),
            };
        }
        let rank = info.values.iter().position(|it| it.text == setting.text);
        (rank.unwrap_or(0) as f64 + 0.5) / info.values.len().max(1) as f64
    }

    /// Settings as ticks: those that have room.
    fn ticks(&self, canvas: &Canvas<'_>, frame: Frame, axis: usize) -> Vec<Tick> {
        let mut all: Vec<Tick> = self
            .sweep
            .points
            .iter()
            .map(|point| Tick {
                value: self.place(point, axis),
                label: point.settings[axis].text.clone(),
            })
            .collect();
        all.sort_by(|left, right| left.value.total_cmp(&right.value));
        all.dedup_by(|left, right| left.value == right.value);
        let width = frame.right - frame.left;
        let mut free = f64::NEG_INFINITY;
        all.retain(|tick| {
            let half = canvas.width_of(&tick.label, LABEL) / 2.0;
            let middle = frame.left + tick.value * width;
            let fits = middle - half > free;
            if fits {
                free = middle + half + 14.0;
            }
            fits
        });
        all
    }

    /// Ticks of the vertical axis, and where a value stands on it.
    fn vertical(&self) -> (Vec<Tick>, fn(f64) -> f64, &'static str) {
        let mut all: Vec<f64> = Vec::new();
        for point in &self.sweep.points {
            if let Some((middle, half)) = self.value(point) {
                all.extend([middle - half, middle + half]);
            }
            all.extend(point.prediction(self.quantity).map(|it| it.value));
        }
        all.retain(|value| value.is_finite());
        let positive: Vec<f64> = all.iter().copied().filter(|&value| value > 0.0).collect();
        let (low, high) = (least(&positive), most(&positive));
        if self.reading() == Reading::Time && !positive.is_empty() && high / low > 30.0 {
            let nanos = |seconds: f64| queuelab_core::Span::from_secs_f64(seconds);
            let low = low.max(high / 1e8);
            return (
                durations(nanos(low), nanos(high)),
                |seconds| libm::log10((seconds * 1e9).max(1.0)),
                " (log scale)",
            );
        }
        // Of an interval that reaches below what can be, no more than that is shown.
        let mut middles = self.sweep.points.iter().filter_map(|it| self.value(it));
        let possible = match middles.all(|(middle, _)| middle >= 0.0) {
            true => 0.0,
            false => least(&all),
        };
        let (low, high) = (possible.min(0.0), most(&all).max(0.0));
        let high = if high > low { high } else { low + 1.0 };
        (values(low, high, self.reading()), |value| value, "")
    }

    /// One axis: a curve.
    fn curve(&self) -> Plot {
        let sweep = self.sweep;
        let mut points: Vec<&SweepPoint> = sweep.points.iter().collect();
        points.sort_by(|left, right| self.place(left, 0).total_cmp(&self.place(right, 0)));
        let predicted = points
            .iter()
            .filter_map(|point| point.prediction(self.quantity));
        let model = predicted
            .map(|it| format!("predicted ({}, {})", it.model, it.kind))
            .next();
        let confidence = queuelab_record::percent(sweep.precision.confidence);
        let mut legend = vec![Entry {
            label: format!("measured, with {confidence} intervals"),
            color: PALETTE[0],
            look: Look::Line(2.5),
        }];
        legend.extend(model.map(|label| Entry {
            label,
            color: INK,
            look: Look::Dashes,
        }));
        let boundary = sweep.boundary.as_ref();
        legend.extend(boundary.map(|it| Entry {
            label: format!("{} ceases to hold", it.conditions.join(" and ")),
            color: PALETTE[2],
            look: Look::Shade(BOUNDARY),
        }));
        picture(self.name(), &self.title(), |canvas| {
            let top = heading_of(canvas, &self.title(), &self.circumstances(), &legend);
            let frame = plain(top);
            let (ticks, height, scale) = self.vertical();
            let x = Scale::new(0.0, 1.0, (frame.left + 12.0, frame.right - 12.0));
            if let Some(boundary) = boundary {
                let place = |setting: &Option<queuelab_record::Setting>| {
                    let text = &setting.as_ref()?.text;
                    let mut points = points.iter();
                    let point = points.find(|it| it.settings[0].text == *text)?;
                    Some(x.at(self.place(point, 0)))
                };
                let left = place(&boundary.holds).unwrap_or(frame.left);
                let right = place(&boundary.fails).unwrap_or(frame.right);
                let corners = [
                    (left.min(right), frame.top),
                    (right.max(left + 2.0), frame.bottom),
                ];
                canvas.rectangle(corners[0], corners[1], PALETTE[2], BOUNDARY);
                // However narrow it is.
                for (x, _) in corners {
                    canvas.line(&[(x, frame.top), (x, frame.bottom)], PALETTE[2], 1.5);
                }
            }
            let y = y_axis(
                canvas,
                frame,
                &ticks,
                &format!("{}{scale}", self.quantity.metric),
            );
            let inner = Frame {
                left: frame.left + 12.0,
                right: frame.right - 12.0,
                ..frame
            };
            let settings = self.ticks(canvas, inner, 0);
            x_axis(canvas, frame, &x, &settings, &sweep.axes[0].path);
            let at =
                |point: &SweepPoint, value: f64| (x.at(self.place(point, 0)), y.at(height(value)));

            let runs: Vec<Option<(&SweepPoint, f64, f64)>> = points
                .iter()
                .map(|point| {
                    self.value(point)
                        .map(|(middle, half)| (*point, middle, half))
                })
                .collect();
            for run in runs.split(Option::is_none).filter(|run| !run.is_empty()) {
                let run: Vec<_> = run.iter().flatten().copied().collect();
                let upper = run
                    .iter()
                    .map(|&(point, middle, half)| at(point, middle + half));
                let lower = run
                    .iter()
                    .map(|&(point, middle, half)| at(point, middle - half));
                let outline: Vec<Point> = upper.chain(lower.rev()).collect();
                canvas.fill(&outline, PALETTE[0], 0.22);
                let line: Vec<Point> = run.iter().map(|it| at(it.0, it.1)).collect();
                canvas.line(&line, PALETTE[0], 2.5);
                for &(point, middle, half) in &run {
                    let ends = [at(point, middle - half), at(point, middle + half)];
                    canvas.line(&ends, PALETTE[0], 1.25);
                    canvas.dot(at(point, middle), 4.0, PALETTE[0]);
                }
            }
            let predicted: Vec<Option<Point>> = points
                .iter()
                .map(|point| Some(at(point, point.prediction(self.quantity)?.value)))
                .collect();
            for run in predicted.split(Option::is_none).filter(|run| run.len() > 1) {
                let run: Vec<Point> = run.iter().flatten().copied().collect();
                canvas.dashed(&run, INK, 2.0);
            }
            if runs.iter().all(Option::is_none) {
                nothing(canvas, frame, "no run has a value");
            }
            let places = points.iter().map(|point| x.at(self.place(point, 0)));
            Some(self.hover(frame, places.collect(), &points))
        })
    }

    /// What points measured, and what theory says of them, each at its place.
    fn hover(&self, frame: Frame, places: Vec<f64>, points: &[&SweepPoint]) -> Hover {
        let labels = points.iter().map(|point| {
            let settings = point.settings.iter().zip(&self.sweep.axes);
            let settings = settings.map(|(it, axis)| format!("{} = {}", axis.path, it.text));
            settings.collect::<Vec<_>>().join(", ")
        });
        let mut hover = Hover::across(frame, places, Labels::Text(labels.collect()));
        let reading = self.reading();
        let values: Vec<Option<(f64, f64)>> = points.iter().map(|it| self.value(it)).collect();
        let bounded = |point: &SweepPoint| self.metric(point).is_some_and(|it| it.at_least > 0);
        for (name, bound) in [("measured", false), ("at least", true)] {
            let of = points.iter().zip(&values);
            let of = of.map(|(it, value)| value.filter(|_| bounded(it) == bound));
            let middles = of.map(|value| Some(value?.0));
            hover.series(name, PALETTE[0], reading, middles);
        }
        let halves = points.iter();
        let halves = halves.map(|it| Some(self.metric(it)?.interval?.half_width));
        hover.series("±", QUIET, reading, halves);
        let without = points.iter().zip(&values).map(|(point, value)| {
            let shown = || {
                self.metric(point)
                    .map_or(NOTHING.into(), MetricEnsemble::shown)
            };
            value.is_none().then(shown)
        });
        hover.notes("", QUIET, without);
        let predictions = points
            .iter()
            .map(|it| Some(it.prediction(self.quantity)?.value));
        hover.series("predicted", INK, reading, predictions);
        hover
    }

    /// Points over one of the axes, each for itself.
    fn dots(&self, axis: usize) -> Plot {
        let mut points: Vec<&SweepPoint> = self.sweep.points.iter().collect();
        points.sort_by(|left, right| self.place(left, axis).total_cmp(&self.place(right, axis)));
        let others: Vec<&str> = self
            .sweep
            .axes
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != axis)
            .map(|(_, axis)| axis.path.as_str())
            .collect();
        let label = match others.is_empty() {
            true => "a point of the sweep".into(),
            false => format!("a point of the sweep; {} differ too", others.join(", ")),
        };
        let legend = [Entry {
            label,
            color: PALETTE[0],
            look: Look::Dot,
        }];
        picture(self.name(), &self.title(), |canvas| {
            let top = heading_of(canvas, &self.title(), &self.circumstances(), &legend);
            let frame = plain(top);
            let (ticks, height, scale) = self.vertical();
            let x = Scale::new(0.0, 1.0, (frame.left + 12.0, frame.right - 12.0));
            let y = y_axis(
                canvas,
                frame,
                &ticks,
                &format!("{}{scale}", self.quantity.metric),
            );
            let inner = Frame {
                left: frame.left + 12.0,
                right: frame.right - 12.0,
                ..frame
            };
            let settings = self.ticks(canvas, inner, axis);
            x_axis(canvas, frame, &x, &settings, &self.sweep.axes[axis].path);
            for point in &points {
                if let Some((middle, half)) = self.value(point) {
                    let at = |value: f64| (x.at(self.place(point, axis)), y.at(height(value)));
                    canvas.line(&[at(middle - half), at(middle + half)], PALETTE[0], 1.25);
                    canvas.dot(at(middle), 4.0, PALETTE[0]);
                }
            }
            let places = points.iter().map(|point| x.at(self.place(point, axis)));
            Some(self.hover(frame, places.collect(), &points))
        })
    }

    /// Two axes: a cell for each pair of settings, the deeper in colour the larger its value, with the value in it.
    fn heat(&self) -> Plot {
        let sweep = self.sweep;
        let found: Vec<f64> = sweep
            .points
            .iter()
            .filter_map(|point| Some(self.value(point)?.0))
            .collect();
        let (low, high) = (least(&found), most(&found));
        let by_ratio = low > 0.0 && high / low > 30.0;
        let share = |value: f64| match () {
            () if high <= low => 0.5,
            () if by_ratio => libm::log(value / low) / libm::log(high / low),
            () => (value - low) / (high - low),
        };
        let depth = |value: f64| SHADES.0 + (SHADES.1 - SHADES.0) * share(value);
        let reading = self.reading();
        let mut ends = vec![(low, "")];
        if high > low {
            ends.push((high, if by_ratio { " (steps are ratios)" } else { "" }));
        }
        let legend = ends.into_iter().map(|(value, scale)| Entry {
            label: format!("{}{scale}", reading.text(value)),
            color: PALETTE[0],
            look: Look::Shade(depth(value)),
        });
        let legend: Vec<Entry> = legend.filter(|_| !found.is_empty()).collect();
        picture(self.name(), &self.title(), |canvas| {
            let top = heading_of(canvas, &self.title(), &self.circumstances(), &legend);
            let (columns, rows) = (&sweep.axes[1].values, &sweep.axes[0].values);
            let widest = rows.iter().map(|it| canvas.width_of(&it.text, LABEL));
            let widest = widest.fold(0.0, f64::max).min(240.0);
            let frame = Frame {
                left: 60.0 + widest,
                top: top - 4.0,
                ..plain(top)
            };
            let width = (frame.right - frame.left) / columns.len().max(1) as f64;
            let height = (frame.bottom - frame.top) / rows.len().max(1) as f64;
            let mut located = self.located();
            for &(row, column, point) in &located {
                // The first row is the lowest, as on an axis.
                let left = frame.left + width * column as f64;
                let upper = frame.bottom - height * (row + 1) as f64;
                let corner = (left + width, upper + height);
                let depth = self.value(point).map_or(0.0, |(value, _)| depth(value));
                canvas.rectangle((left, upper), corner, PALETTE[0], depth);
                let text = match self.metric(point) {
                    Some(metric) if metric.never > 0 => "never".into(),
                    Some(metric) => figure(metric),
                    None => NOTHING.into(),
                };
                let font = Font::plain(if width < 90.0 { 13.0 } else { 16.0 }, INK);
                if canvas.width_of(&text, font) < width - 4.0 && height > 16.0 {
                    let middle = (left + width / 2.0, upper + height / 2.0);
                    canvas.text(&text, middle, font, Align::Centre);
                }
            }
            for row in 0..=rows.len() {
                let y = frame.bottom - height * row as f64;
                canvas.line(&[(frame.left, y), (frame.right, y)], GRID, 1.0);
            }
            for column in 0..=columns.len() {
                let x = frame.left + width * column as f64;
                canvas.line(&[(x, frame.top), (x, frame.bottom)], GRID, 1.0);
            }
            let every = (columns.iter())
                .map(|it| canvas.width_of(&it.text, LABEL) + 12.0)
                .fold(1.0, f64::max);
            let step = (every / width).ceil().max(1.0) as usize;
            for (column, setting) in columns.iter().enumerate().step_by(step) {
                let x = frame.left + width * (column as f64 + 0.5);
                canvas.text(
                    &setting.text,
                    (x, frame.bottom + 18.0),
                    LABEL,
                    Align::Centre,
                );
            }
            let step = (20.0 / height).ceil().max(1.0) as usize;
            for (row, setting) in rows.iter().enumerate().step_by(step) {
                let y = frame.bottom - height * (row as f64 + 0.5);
                let text = canvas.fitted(&setting.text, LABEL, widest);
                canvas.text(&text, (frame.left - 10.0, y), LABEL, Align::Right);
            }
            let middle = (frame.left + frame.right) / 2.0;
            canvas.text(
                &sweep.axes[1].path,
                (middle, frame.bottom + 48.0),
                SMALL,
                Align::Centre,
            );
            canvas.upward(
                &sweep.axes[0].path,
                (22.0, (frame.top + frame.bottom) / 2.0),
                SMALL,
            );
            // A panel for each row, from the topmost; of points that share a cell, the first.
            located.sort_by_key(|&(row, column, _)| (Reverse(row), column));
            located.dedup_by_key(|&mut (row, column, _)| (row, column));
            let panels = located.chunk_by(|left, right| left.0 == right.0);
            let panels = panels.map(|cells| {
                let lower = frame.bottom - height * cells[0].0 as f64;
                let frame = Frame {
                    top: lower - height,
                    bottom: lower,
                    ..frame
                };
                let middle = |column: usize| frame.left + width * (column as f64 + 0.5);
                let places = cells.iter().map(|cell| middle(cell.1)).collect();
                let points: Vec<&SweepPoint> = cells.iter().map(|cell| cell.2).collect();
                self.hover(frame, places, &points).cells(width)
            });
            panels.collect::<Vec<_>>()
        })
    }

    /// Points with the row and the column of their cell, of two axes.
    fn located(&self) -> Vec<(usize, usize, &SweepPoint)> {
        let index = |point: &SweepPoint, axis: usize| {
            let mut values = self.sweep.axes[axis].values.iter();
            values.position(|it| it.text == point.settings[axis].text)
        };
        let points = self.sweep.points.iter();
        let located = points.filter_map(|it| Some((index(it, 0)?, index(it, 1)?, it)));
        located.collect()
    }
}

/// A metric over runs without its interval: `≥ 13.4 s`; `never in 3 of 10`, `—`.
pub(crate) fn figure(metric: &MetricEnsemble) -> String {
    let bound = if metric.at_least > 0 { "≥ " } else { "" };
    let text = |(value, _)| format!("{bound}{}", Reading::from(metric.unit).text(value));
    middle(metric).map(text).unwrap_or_else(|| metric.shown())
}

/// Of a metric over runs; one run alone has no width.
pub(crate) fn middle(metric: &MetricEnsemble) -> Option<(f64, f64)> {
    let half_width = metric.interval.map_or(0.0, |it| it.half_width);
    Some((metric.estimate()?, half_width))
}

/// Pearson's; 0 where nothing varies.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (left, right) = (mean(|it| it.0), mean(|it| it.1));
    let mut sums = [0.0; 3];
    for (a, b) in pairs {
        let (a, b) = (a - left, b - right);
        sums = [sums[0] + a * b, sums[1] + a * a, sums[2] + b * b];
    }
    let width = (sums[1] * sums[2]).sqrt();
    if width > 0.0 { sums[0] / width } else { 0.0 }
}

/// Whether an axis from `low` to `high` spans so much that steps are ratios.
fn logarithmic(low: f64, high: f64) -> bool {
    low > 0.0 && high / low >= 50.0
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::min).unwrap_or(0.0)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::max).unwrap_or(0.0)
}

/// Opacities of the smallest and the largest value. Text stays legible on both, in the light and in the dark.
const SHADES: (f64, f64) = (0.05, 0.65);
/// Opacity of the place where conditions cease to hold.
const BOUNDARY: f64 = 0.35;
const NOTHING: &str = "—";
/// More pictures would not be looked at; sweep.csv has all figures.
const QUANTITIES_MAX: usize = 8;
