//! Counts over time: backlogs, lags, rates.

use plotters::style::RGBColor;
use queuelab_core::Time;
use queuelab_record::{RunRecord, grouped};

use crate::axis::Scale;
use crate::canvas::{Align, Canvas, PALETTE, Point};
use crate::frame::{Entry, Frame, LABEL, Look};
use crate::hover::{Hover, Labels, Reading};

/// A count over time.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) index: usize,
    pub(crate) bound: Option<u64>,
    pub(crate) peak: (u64, Time),
    pub(crate) look: Look,
    /// Second and most since the previous one.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A name with a count per window.
pub(crate) struct Counts<'a> {
    pub(crate) name: String,
    pub(crate) values: &'a [u64],
    pub(crate) bound: Option<u64>,
    pub(crate) peak: (u64, Time),
}

/// One curve for each; of many the highest, and the sum of the rest.
pub(crate) fn curves(record: &RunRecord, mut all: Vec<Counts<'_>>) -> Vec<Curve> {
    let own = if all.len() > PALETTE.len() {
        all.sort_by_key(|counts| std::cmp::Reverse(counts.peak.0));
        PALETTE.len() - 1
    } else {
        all.len()
    };
    let (own, rest) = all.split_at(own);
    let mut curves: Vec<Curve> = own
        .iter()
        .enumerate()
        .map(|(index, counts)| Curve {
            name: counts.name.clone(),
            index,
            bound: counts.bound,
            peak: counts.peak,
            look: Look::Line(2.5),
            points: thinned(record, counts.values),
        })
        .collect();
    if !rest.is_empty() {
        let mut sum = vec![0; record.windows()];
        for counts in rest {
            for (sum, value) in sum.iter_mut().zip(counts.values) {
                *sum += value;
            }
        }
        curves.push(Curve {
            name: format!("{} others together", rest.len()),
            index: own.len(),
            bound: None,
            peak: peak(record, &sum),
            look: Look::Line(2.5),
            points: thinned(record, &sum),
        });
    }
    curves
}

/// A pointer over curves of the same windows reads their values.
pub(crate) fn hover<'a>(
    frame: Frame,
    x: &Scale,
    curves: impl IntoIterator<Item = &'a Curve>,
) -> Option<Hover> {
    let curves: Vec<&Curve> = curves.into_iter().collect();
    let seconds: Vec<f64> = curves.first()?.points.iter().map(|point| point.0).collect();
    let places = seconds.iter().map(|&second| x.at(second)).collect();
    let mut hover = Hover::across(frame, places, Labels::Values(Reading::Time, seconds));
    curves.iter().for_each(|curve| curve.hover(&mut hover));
    Some(hover)
}

/// The largest of a series, and when first.
pub(crate) fn peak(record: &RunRecord, values: &[u64]) -> (u64, Time) {
    let at = (0..values.len())
        .rev()
        .max_by_key(|&index| values[index])
        .unwrap_or(0);
    (values.get(at).copied().unwrap_or(0), record.window_end(at))
}

/// At most a thousand points, each the largest of the windows it stands for: peaks stay.
pub(crate) fn thinned(record: &RunRecord, values: &[u64]) -> Vec<(f64, f64)> {
    let group = values.len().div_ceil(1_000).max(1);
    let groups = values.chunks(group).enumerate().map(|(index, chunk)| {
        let last = index * group + chunk.len() - 1;
        (
            record.window_end(last).as_secs_f64(),
            chunk.iter().max().copied().unwrap_or(0) as f64,
        )
    });
    let start = values.first().map(|_| (0.0, 0.0));
    start.into_iter().chain(groups).collect()
}

impl Curve {
    pub(crate) fn color(&self) -> RGBColor {
        PALETTE[self.index % PALETTE.len()]
    }

    pub(crate) fn entry(&self) -> Entry {
        let label = match self.bound {
            Some(bound) => format!("{} (max_length {})", self.name, grouped(bound)),
            None => self.name.clone(),
        };
        Entry {
            label,
            color: self.color(),
            look: self.look,
        }
    }

    /// Draws the curve, and its bound where that is no higher than `highest`.
    pub(crate) fn draw(
        &self,
        canvas: &Canvas<'_>,
        frame: Frame,
        x: &Scale,
        y: &Scale,
        highest: u64,
    ) {
        if let Some(bound) = self.bound.filter(|&bound| bound <= highest) {
            let height = y.at(bound as f64);
            let ends = [(frame.left, height), (frame.right, height)];
            canvas.dashed(&ends, self.color(), 1.75);
        }
        let line: Vec<Point> = self
            .points
            .iter()
            .map(|&(second, value)| (x.at(second), y.at(value)))
            .collect();
        let (Some(first), Some(last)) = (line.first(), line.last()) else {
            return;
        };
        if let Look::Line(_) = self.look {
            let outline = [
                &[(first.0, frame.bottom)],
                line.as_slice(),
                &[(last.0, frame.bottom)],
            ]
            .concat();
            canvas.fill(&outline, self.color(), 0.12);
        }
        self.look.draw(canvas, &line, self.color());
    }

    /// Its values for a pointer over the picture.
    pub(crate) fn hover(&self, hover: &mut Hover) {
        let values = self.points.iter().map(|&(_, value)| Some(value));
        hover.series(&self.name, self.color(), Reading::Count, values);
    }

    /// `peak 179,724 at 3m`, beside the peak on the side that has more room.
    pub(crate) fn mark_peak(&self, canvas: &Canvas<'_>, frame: Frame, x: &Scale, y: &Scale) {
        let (value, when) = self.peak;
        let at = (x.at(when.as_secs_f64()), y.at(value as f64));
        canvas.dot(at, 5.0, self.color());
        let text = format!("peak {} at {when}", grouped(value));
        let width = canvas.width_of(&text, LABEL);
        let right = at.0 + 14.0 + width < frame.right;
        let left = if right {
            at.0 + 14.0
        } else {
            at.0 - 14.0 - width
        };
        // Above the falling side of the peak, unless the bound or the edge is there.
        let ceiling = self.bound.map_or(frame.top, |bound| y.at(bound as f64));
        let height = if at.1 - ceiling > 30.0 {
            at.1 - 6.0
        } else {
            at.1 + 18.0
        };
        canvas.backdrop((left, height), width);
        canvas.text(&text, (left, height), LABEL, Align::Left);
    }
}
