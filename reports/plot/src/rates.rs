//! Messages per second: published, delivered, acknowledged.

use plotters::style::RGBColor;
use queuelab_record::{QueueSeries, RunRecord};

use crate::Plot;
use crate::axis::counts;
use crate::bins::Bins;
use crate::canvas::PALETTE;
use crate::frame::Look;
use crate::hover::Reading;
use crate::lines::{Line, Lines};

/// Where a series is kept.
type Series = fn(&QueueSeries) -> &Vec<u64>;

/// From the lowest to the topmost: name, colour, width and series. The last three of them are always shown.
const FLOWS: [(&str, RGBColor, f64, Series); 5] = [
    ("dead-lettered", PALETTE[5], 1.75, |it| &it.dead_lettered),
    ("redelivered", PALETTE[3], 1.75, |it| &it.redelivered),
    ("published", PALETTE[0], 4.0, |it| &it.published),
    ("delivered", PALETTE[2], 2.5, |it| &it.delivered),
    ("acknowledged", PALETTE[1], 1.75, |it| &it.acked),
];

pub(crate) fn draw(record: &RunRecord) -> Plot {
    let sums = FLOWS.map(|(.., series)| sum(record, series));
    let events = sums[2].iter().chain(&sums[3]).sum::<u64>() / 2;
    let bins = Bins::of_events(record, events);
    let lines: Vec<Line> = FLOWS
        .iter()
        .zip(&sums)
        .enumerate()
        .filter(|(index, (_, sum))| *index >= 2 || sum.iter().any(|&count| count > 0))
        .map(|(_, ((name, color, width, _), sum))| Line {
            name: (*name).into(),
            color: *color,
            look: Look::Line(*width),
            values: bins.rates(sum),
        })
        .collect();
    let values = lines.iter().flat_map(|line| line.values.iter().flatten());
    let top = values.fold(0.0, |most: f64, &rate| most.max(rate));
    Lines {
        name: "rates",
        what: "rates, all queues together",
        axis: "messages per second",
        ticks: counts(libm::ceil(top) as u64),
        height: |rate| rate,
        reading: Reading::Rate,
        lines,
        bins,
        empty: "nothing was published",
    }
    .draw(record)
}

/// Per window, over all queues.
fn sum(record: &RunRecord, series: Series) -> Vec<u64> {
    let mut sum = vec![0; record.windows()];
    for queue in &record.queues {
        for (sum, count) in sum.iter_mut().zip(series(&queue.series)) {
            *sum += count;
        }
    }
    sum
}

/// Whether anything flowed.
pub(crate) fn says_something(record: &RunRecord) -> bool {
    record.total(|queue| queue.enqueued + queue.delivered) > 0
}
