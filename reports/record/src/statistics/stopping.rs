//! When there are enough replications.

use serde::{Deserialize, Serialize};

use super::Interval;

/// How precise figures are to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// Of intervals: the share of experiments in which they cover the truth, between 0 and 1.
    pub confidence: f64,
    /// The half-width of an interval, at most, as a share of its estimate.
    pub relative: f64,
    /// Replications, at least: a spread of a few is known too badly to stop by.
    pub least: usize,
}

impl Default for Precision {
    fn default() -> Precision {
        Precision {
            confidence: 0.95,
            relative: 0.05,
            least: 10,
        }
    }
}

impl Precision {
    /// Whether an interval is narrow enough. One that is not a number never is.
    pub fn is_met_by(&self, interval: &Interval) -> bool {
        interval.relative() <= self.relative
    }

    /// After how many replications all `metrics` (the values of each, in order of replications) are precise enough: the sequential procedure
    /// of Law 9.4.1, for several metrics at once. `None` if there are too few yet.
    ///
    /// Replications are judged in the order of their index, each prefix by itself: whatever ran in parallel and was done first, the answer
    /// is the same, and what was run beyond it is thrown away. A stop as soon as chance makes an interval narrow covers a little less than
    /// `confidence`, the less the larger `least` is. Intervals hold one by one; all k together with 1 − k · (1 − confidence) at least
    /// (Bonferroni, Law 9.7).
    pub fn reached(&self, metrics: &[&[f64]]) -> Option<usize> {
        let replications = metrics.iter().map(|values| values.len()).min()?;
        (self.least.max(2)..=replications).find(|&first| {
            metrics.iter().all(|values| {
                Interval::of_mean(&values[..first], self.confidence)
                    .is_some_and(|interval| self.is_met_by(&interval))
            })
        })
    }

    /// About how many replications an interval over `replications` would take to be narrow enough: widths shrink with their root
    /// (Law 9.4.1). `None` if no number would do.
    pub fn needed(&self, interval: &Interval, replications: usize) -> Option<u64> {
        let ratio = interval.relative() / self.relative;
        let needed = (replications as f64 * ratio * ratio).ceil();
        needed
            .is_finite()
            .then(|| (needed as u64).max(self.least as u64))
    }
}
