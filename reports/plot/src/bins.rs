//! Windows taken together, so that a picture shows as many values as its width can.

use queuelab_core::Time;
use queuelab_record::RunRecord;

/// Stretches of the run with as many windows each.
pub(crate) struct Bins {
    /// Windows per bin.
    size: usize,
    /// Where each begins and ends.
    spans: Vec<(Time, Time)>,
}

impl Bins {
    /// At most `most` bins.
    pub(crate) fn new(record: &RunRecord, most: usize) -> Bins {
        let windows = record.windows();
        let size = windows.div_ceil(most.max(1)).max(1);
        let begin = |window: usize| Time(record.window.0.saturating_mul(window as u64));
        let span = |first: usize| {
            let last = (first + size).min(windows) - 1;
            (begin(first), record.window_end(last))
        };
        Bins {
            size,
            spans: (0..windows).step_by(size).map(span).collect(),
        }
    }

    /// So many that `count` events leave some fifty in each, and a rate is not all chance.
    pub(crate) fn of_events(record: &RunRecord, count: u64) -> Bins {
        let most = (count / 50).clamp(40, 240);
        Bins::new(record, most as usize)
    }

    /// The middle of each, in seconds.
    pub(crate) fn middles(&self) -> Vec<f64> {
        let middle =
            |(from, until): &(Time, Time)| (from.as_secs_f64() + until.as_secs_f64()) / 2.0;
        self.spans.iter().map(middle).collect()
    }

    /// Events per second.
    pub(crate) fn rates(&self, counts: &[u64]) -> Vec<Option<f64>> {
        let sums = counts
            .chunks(self.size)
            .map(|chunk| chunk.iter().sum::<u64>());
        let rate = |(sum, (from, until)): (u64, &(Time, Time))| {
            let length = until.since(*from).as_secs_f64();
            (length > 0.0).then(|| sum as f64 / length)
        };
        sums.zip(&self.spans).map(rate).collect()
    }

    /// Means of values per window.
    pub(crate) fn means(&self, values: &[f64]) -> Vec<Option<f64>> {
        let mean = |chunk: &[f64]| Some(chunk.iter().sum::<f64>() / chunk.len() as f64);
        values.chunks(self.size).map(mean).collect()
    }

    /// The one in the middle of each; nothing where no window has a value. Of percentiles there is no mean.
    pub(crate) fn medians(
        &self,
        values: impl IntoIterator<Item = Option<f64>>,
    ) -> Vec<Option<f64>> {
        let values: Vec<Option<f64>> = values.into_iter().collect();
        let median = |chunk: &[Option<f64>]| {
            let mut known: Vec<f64> = chunk.iter().copied().flatten().collect();
            known.sort_by(f64::total_cmp);
            known.get(known.len() / 2).copied()
        };
        values.chunks(self.size).map(median).collect()
    }

    /// The largest of each; nothing where no window has a value.
    pub(crate) fn largest(
        &self,
        values: impl IntoIterator<Item = Option<f64>>,
    ) -> Vec<Option<f64>> {
        let values: Vec<Option<f64>> = values.into_iter().collect();
        let largest = |chunk: &[Option<f64>]| chunk.iter().copied().flatten().reduce(f64::max);
        values.chunks(self.size).map(largest).collect()
    }
}
