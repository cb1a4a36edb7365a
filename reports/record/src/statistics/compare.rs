//! Whether two designs differ.

use serde::{Deserialize, Serialize};

use super::interval::moments;
use super::{Interval, t_quantile, t_tail};

/// A comparison of two designs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The second minus the first.
    pub difference: Interval,
    /// How likely differences at least as clear would be if there were none (two-sided).
    pub p: f64,
}

/// Compares two designs by runs in pairs: `first[i]` and `second[i]` with the same seed, hence with the same arrivals and service times
/// (common random numbers), which cancel out of the difference (the paired t approach, Law 10.2.1). `None` unless there are two pairs at
/// least, and as many of one as of the other.
pub fn paired(first: &[f64], second: &[f64], confidence: f64) -> Option<Compared> {
    if first.len() != second.len() {
        return None;
    }
    let pairs = first.iter().zip(second);
    let differences: Vec<f64> = pairs.map(|(first, second)| second - first).collect();
    let difference = Interval::of_mean(&differences, confidence)?;
    let (mean, variance) = moments(&differences)?;
    let n = differences.len() as f64;
    let p = two_sided(mean, (variance / n).sqrt(), n - 1.0);
    Some(Compared { difference, p })
}

/// Compares two designs by runs that are independent of each other, as many of one as there are, whose spreads may differ: Welch's t with
/// the degrees of freedom of Welch and Satterthwaite (Law 10.2.2). `None` unless there are two runs of each at least.
pub fn unpaired(first: &[f64], second: &[f64], confidence: f64) -> Option<Compared> {
    let (first_mean, first_variance) = moments(first)?;
    let (second_mean, second_variance) = moments(second)?;
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (first_part, second_part) = (first_variance / n, second_variance / m);
    let estimate = second_mean - first_mean;
    let variance = first_part + second_part;
    let squares = first_part * first_part / (n - 1.0) + second_part * second_part / (m - 1.0);
    let df = if squares > 0.0 {
        variance * variance / squares
    } else {
        n + m - 2.0
    };
    let error = variance.sqrt();
    let half_width = match error > 0.0 {
        true => t_quantile(0.5 + confidence / 2.0, df) * error,
        false => error,
    };
    Some(Compared {
        difference: Interval {
            estimate,
            half_width,
        },
        p: two_sided(estimate, error, df),
    })
}

/// How likely two shares, `first[0]` of all in `first` and `second[0]` of all in `second`, would be at least as far apart if there were no
/// difference: Fisher's exact test, two-sided, which adds up the tables that are no likelier than this one (Fisher, The logic of inductive
/// inference, Journal of the Royal Statistical Society 98, 1935).
pub fn fisher(first: [u64; 2], second: [u64; 2]) -> f64 {
    let (n, m) = (first[0] + first[1], second[0] + second[1]);
    let hits = first[0] + second[0];
    let choose = |of: u64, some: u64| {
        let factorial = |n: u64| libm::lgamma(n as f64 + 1.0);
        factorial(of) - factorial(some) - factorial(of - some)
    };
    let chance = |hit: u64| libm::exp(choose(n, hit) + choose(m, hits - hit) - choose(n + m, hits));
    let seen = chance(first[0]);
    let tables = hits.saturating_sub(m)..=hits.min(n);
    let chances = tables.map(chance);
    // Tables as likely as this one differ from it by rounding.
    let no_likelier = chances.filter(|chance| *chance <= seen * (1.0 + 1e-9));
    no_likelier.sum::<f64>().min(1.0)
}

/// The chance of an estimate at least as far from zero as this one, if the truth is zero.
fn two_sided(estimate: f64, error: f64, df: f64) -> f64 {
    match error > 0.0 {
        true => 2.0 * t_tail(estimate.abs() / error, df),
        // Always the same difference: none, or one beyond doubt.
        false if estimate == 0.0 => 1.0,
        false => 0.0,
    }
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
