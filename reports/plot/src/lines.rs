//! Pictures of lines over time.

use plotters::style::RGBColor;
use queuelab_record::RunRecord;

use crate::Plot;
use crate::axis::{Scale, Tick};
use crate::bins::Bins;
use crate::canvas::{Canvas, Point, picture};
use crate::frame::{Entry, Look, heading, legend_of_bands, nothing, over_time, y_axis};
use crate::hover::{Hover, Labels, Reading};

/// A line: one value per bin, and gaps where there is none.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) color: RGBColor,
    pub(crate) look: Look,
    pub(crate) values: Vec<Option<f64>>,
}

/// Lines over time.
pub(crate) struct Lines<'a> {
    /// Of the file.
    pub(crate) name: &'static str,
    /// `latency over time`
    pub(crate) what: &'a str,
    /// What the vertical axis is called.
    pub(crate) axis: &'a str,
    pub(crate) ticks: Vec<Tick>,
    /// Where a value stands on the axis.
    pub(crate) height: fn(f64) -> f64,
    pub(crate) reading: Reading,
    /// From the lowest to the topmost.
    pub(crate) lines: Vec<Line>,
    pub(crate) bins: Bins,
    /// What to say if there is no value.
    pub(crate) empty: &'a str,
}

impl Lines<'_> {
    pub(crate) fn draw(&self, record: &RunRecord) -> Plot {
        let entry = |line: &Line| Entry {
            label: line.name.clone(),
            color: line.color,
            look: line.look,
        };
        let legend: Vec<Entry> = self
            .lines
            .iter()
            .rev()
            .map(entry)
            .chain(legend_of_bands(record))
            .collect();
        let title = format!("{}: {}", record.scenario.title, self.what);
        picture(self.name, &title, |canvas| {
            let top = heading(canvas, record, self.what, &legend);
            let (frame, x) = over_time(canvas, record, top);
            let y = y_axis(canvas, frame, &self.ticks, self.axis);
            let middles = self.bins.middles();
            for line in &self.lines {
                self.draw_line(canvas, line, &middles, &x, &y);
            }
            if self
                .lines
                .iter()
                .all(|it| it.values.iter().all(Option::is_none))
            {
                nothing(canvas, frame, self.empty);
                return None;
            }
            let places = middles.iter().map(|&middle| x.at(middle)).collect();
            let labels = Labels::Values(Reading::Time, middles);
            let mut hover = Hover::across(frame, places, labels);
            for line in self.lines.iter().rev() {
                let values = line.values.iter().copied();
                hover.series(&line.name, line.color, self.reading, values);
            }
            Some(hover)
        })
    }

    /// A bin without a value breaks the line.
    fn draw_line(&self, canvas: &Canvas<'_>, line: &Line, middles: &[f64], x: &Scale, y: &Scale) {
        let points: Vec<Option<Point>> = middles
            .iter()
            .zip(&line.values)
            .map(|(&middle, value)| Some((x.at(middle), y.at((self.height)((*value)?)))))
            .collect();
        for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
            let run: Vec<Point> = run.iter().flatten().copied().collect();
            match run.as_slice() {
                [lonely] => canvas.dot(*lonely, 2.0, line.color),
                _ => line.look.draw(canvas, &run, line.color),
            }
        }
    }
}
