//! Confidence intervals over independent values.

use serde::{Deserialize, Serialize};

use super::t_quantile;

/// An estimate and how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The best guess, in the middle.
    pub estimate: f64,
    /// The distance from there to each end.
    pub half_width: f64,
}

impl Interval {
    /// The mean of independent values and t(n−1, (1+confidence)/2) · s/√n around it (Law 4.12). It covers the true mean in a share
    /// `confidence` (between 0 and 1) of all experiments if the values are normal, and in nearly as many if they are themselves means
    /// over many messages. `None` for fewer than two values.
    pub fn of_mean(values: &[f64], confidence: f64) -> Option<Interval> {
        let (mean, variance) = moments(values)?;
        let n = values.len() as f64;
        let t = t_quantile(0.5 + confidence / 2.0, n - 1.0);
        Some(Interval {
            estimate: mean,
            half_width: match variance > 0.0 {
                true => t * (variance / n).sqrt(),
                // Also for a confidence of 1, where t is infinite. What is not a number stays that.
                false => variance,
            },
        })
    }

    /// Of a quantile: `pooled` is that of all runs' samples together, `runs` those of each run, whose spread gives the width as in
    /// [`Interval::of_mean`]. Each run's quantile is one independent value, whatever is correlated within it; their mean would be biased,
    /// the quantile of the merged samples is much less so (Law 9.5.3). `None` for fewer than two runs.
    pub fn of_quantile(pooled: f64, runs: &[f64], confidence: f64) -> Option<Interval> {
        let Interval { half_width, .. } = Interval::of_mean(runs, confidence)?;
        Some(Interval {
            estimate: pooled,
            half_width,
        })
    }

    /// Its lower end.
    pub fn low(&self) -> f64 {
        self.estimate - self.half_width
    }

    /// Its upper end.
    pub fn high(&self) -> f64 {
        self.estimate + self.half_width
    }

    /// Whether a value lies in it; the ends do.
    pub fn contains(&self, value: f64) -> bool {
        (value - self.estimate).abs() <= self.half_width
    }

    /// The half-width as a share of the estimate: 0 if nothing varies, infinite about an estimate of zero.
    pub fn relative(&self) -> f64 {
        if self.half_width == 0.0 {
            return 0.0;
        }
        self.half_width / self.estimate.abs()
    }
}

/// Mean and unbiased variance; `None` for fewer than two values. Equal values have a variance of exactly zero.
pub(super) fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let [first, _, ..] = values else { return None };
    let n = values.len() as f64;
    // From the first value on: rounding does not make equal values differ.
    let shift = values.iter().map(|value| value - first).sum::<f64>() / n;
    let squares = values.iter().map(|value| {
        let distance = value - first - shift;
        distance * distance
    });
    Some((first + shift, squares.sum::<f64>() / (n - 1.0)))
}
