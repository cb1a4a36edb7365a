//! Whether two designs differ.

use serde::{Deserialize, Serialize};

use super::interval::moments;
use super::{Interval, t_tail};

/// A paired comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// The second minus the first.
    pub difference: Interval,
    /// How likely differences at least as clear would be if there were none (two-sided).
    pub p: f64,
}

/// Compares two designs by runs in pairs: `first[i]` and `second[i]` with the same seed, hence with the same arrivals and service times
/// (common random numbers), which cancel out of the difference (the paired t approach, Law 10.2.1). `None` unless there are two pairs at
/// least, and as many of one as of the other.
pub fn paired(first: &[f64], second: &[f64], confidence: f64) -> Option<Paired> {
    if first.len() != second.len() {
        return None;
    }
    let pairs = first.iter().zip(second);
    let differences: Vec<f64> = pairs.map(|(first, second)| second - first).collect();
    let difference = Interval::of_mean(&differences, confidence)?;
    let (mean, variance) = moments(&differences)?;
    let n = differences.len() as f64;
    let p = match variance > 0.0 {
        true => 2.0 * t_tail(mean.abs() / (variance / n).sqrt(), n - 1.0),
        // Always the same difference: none, or one beyond doubt.
        false if mean == 0.0 => 1.0,
        false => 0.0,
    };
    Some(Paired { difference, p })
}

/// P-values of several comparisons made at once, adjusted so that the chance of one or more false alarms stays below the level that they are
/// compared with, however the comparisons depend on each other: the step-down method of Holm (A simple sequentially rejective multiple
/// test procedure, Scandinavian Journal of Statistics 6, 1979). In the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&left, &right| p[left].total_cmp(&p[right]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        let others = (p.len() - rank) as f64;
        // One that is rejected later never looks surer than one before it.
        least = least.max((others * p[index]).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}
