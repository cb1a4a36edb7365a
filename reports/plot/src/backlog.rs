//! Ready messages per queue over time.

use queuelab_core::Time;
use queuelab_record::{RunRecord, grouped};

use crate::axis::{Scale, counts};
use crate::canvas::{Align, Canvas, PALETTE, Point, picture};
use crate::frame::{Entry, Frame, LABEL, heading, nothing, over_time, y_axis};

pub(crate) fn draw(record: &RunRecord) -> String {
    let curves = curves(record);
    let top = curves.iter().map(|curve| curve.peak.0).max().unwrap_or(0);
    // A bound far above the data would press it to the ground; the legend tells it then.
    let highest = curves
        .iter()
        .filter_map(|curve| curve.bound)
        .filter(|&bound| bound / 4 <= top)
        .max()
        .unwrap_or(0)
        .max(top);
    let legend: Vec<Entry> = curves
        .iter()
        .map(|curve| Entry {
            label: match curve.bound {
                Some(bound) => format!("{} (max_length {})", curve.name, grouped(bound)),
                None => curve.name.clone(),
            },
            color: curve.color(),
            width: 2.5,
        })
        .collect();

    picture(
        &format!("{}: ready messages over time", record.scenario.title),
        |canvas| {
            let top_edge = heading(canvas, record, "backlog", &legend);
            let (frame, x) = over_time(canvas, record, top_edge);
            let y = y_axis(canvas, frame, &counts(highest), "ready messages");
            for curve in curves.iter().rev() {
                curve.draw(canvas, frame, &x, &y, highest);
            }
            match curves.iter().max_by_key(|curve| curve.peak.0) {
                Some(highest) if highest.peak.0 > 0 => mark_peak(canvas, frame, &x, &y, highest),
                _ => nothing(canvas, frame, "no message had to wait"),
            }
        },
    )
}

struct Curve {
    name: String,
    index: usize,
    bound: Option<u64>,
    peak: (u64, Time),
    /// Second and most ready messages since the previous one.
    points: Vec<(f64, u64)>,
}

/// One curve per queue; of many queues the fullest, and the sum of the rest.
fn curves(record: &RunRecord) -> Vec<Curve> {
    let mut queues: Vec<_> = record.queues.iter().collect();
    let own = if queues.len() > PALETTE.len() {
        PALETTE.len() - 1
    } else {
        queues.len()
    };
    if own < queues.len() {
        queues.sort_by_key(|queue| std::cmp::Reverse(queue.ready_max.0));
    }
    let (own, rest) = queues.split_at(own);
    let mut curves: Vec<Curve> = own
        .iter()
        .enumerate()
        .map(|(index, queue)| Curve {
            name: queue.name.clone(),
            index,
            bound: queue.max_length,
            peak: queue.ready_max,
            points: thinned(record, &queue.series.ready_max),
        })
        .collect();
    if !rest.is_empty() {
        let mut sum = vec![0; record.windows()];
        for queue in rest {
            for (sum, ready) in sum.iter_mut().zip(&queue.series.ready_max) {
                *sum += ready;
            }
        }
        let at = (0..sum.len())
            .rev()
            .max_by_key(|&index| sum[index])
            .unwrap_or(0);
        curves.push(Curve {
            name: format!("{} others together", rest.len()),
            index: own.len(),
            bound: None,
            peak: (sum.get(at).copied().unwrap_or(0), record.window_end(at)),
            points: thinned(record, &sum),
        });
    }
    curves
}

/// At most a thousand points, each the largest of the windows it stands for: peaks stay.
fn thinned(record: &RunRecord, values: &[u64]) -> Vec<(f64, u64)> {
    let group = values.len().div_ceil(1_000).max(1);
    let groups = values.chunks(group).enumerate().map(|(index, chunk)| {
        let last = index * group + chunk.len() - 1;
        (
            record.window_end(last).as_secs_f64(),
            chunk.iter().max().copied().unwrap_or(0),
        )
    });
    let start = values.first().map(|_| (0.0, 0));
    start.into_iter().chain(groups).collect()
}

impl Curve {
    fn color(&self) -> plotters::style::RGBColor {
        PALETTE[self.index % PALETTE.len()]
    }

    fn draw(&self, canvas: &Canvas<'_>, frame: Frame, x: &Scale, y: &Scale, highest: u64) {
        if let Some(bound) = self.bound.filter(|&bound| bound <= highest) {
            let height = y.at(bound as f64);
            canvas.dashed(
                (frame.left, height),
                (frame.right, height),
                self.color(),
                1.75,
            );
        }
        let line: Vec<Point> = self
            .points
            .iter()
            .map(|&(second, ready)| (x.at(second), y.at(ready as f64)))
            .collect();
        let (Some(first), Some(last)) = (line.first(), line.last()) else {
            return;
        };
        let outline = [
            &[(first.0, frame.bottom)],
            line.as_slice(),
            &[(last.0, frame.bottom)],
        ]
        .concat();
        canvas.fill(&outline, self.color(), 0.12);
        canvas.line(&line, self.color(), 2.5);
    }
}

/// `peak 179,724 at 3m`, beside the peak on the side that has more room.
fn mark_peak(canvas: &Canvas<'_>, frame: Frame, x: &Scale, y: &Scale, curve: &Curve) {
    let (ready, when) = curve.peak;
    let at = (x.at(when.as_secs_f64()), y.at(ready as f64));
    canvas.dot(at, 5.0, curve.color());
    let text = format!("peak {} at {when}", grouped(ready));
    let width = canvas.width_of(&text, LABEL);
    let right = at.0 + 14.0 + width < frame.right;
    let left = if right {
        at.0 + 14.0
    } else {
        at.0 - 14.0 - width
    };
    // Above the falling side of the peak, unless the bound or the edge is there.
    let ceiling = curve.bound.map_or(frame.top, |bound| y.at(bound as f64));
    let height = if at.1 - ceiling > 30.0 {
        at.1 - 6.0
    } else {
        at.1 + 18.0
    };
    canvas.rectangle(
        (left - 4.0, height - 12.0),
        (left + width + 4.0, height + 12.0),
        plotters::style::WHITE,
        0.85,
    );
    canvas.text(&text, (left, height), LABEL, Align::Left);
}
