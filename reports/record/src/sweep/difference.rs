//! Where the points of a sweep differ from its first.

use serde::{Deserialize, Serialize};

use super::{Sweep, SweepPoint};
use crate::statistics::{Interval, holm, paired};

/// How a metric differs from that of the first point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// This point's value minus the first point's, over runs in pairs of one seed.
    pub difference: Interval,
    /// How likely differences at least as clear would be if there were none, for this comparison alone.
    pub p: f64,
    /// The same, adjusted for all comparisons of the sweep (Holm): below 5 % it is not one of many that chance made look so.
    pub adjusted: f64,
}

impl Sweep {
    /// Compares each point with the first one, run by run with the same seed, and adjusts for the number of comparisons.
    pub fn compare(&mut self) {
        let Some((first, others)) = self.points.split_first_mut() else {
            return;
        };
        first.differences.clear();
        let confidence = self.precision.confidence;
        for point in &mut *others {
            let quantities = 0..point.metrics.len();
            point.differences = quantities
                .map(|metric| difference(first, point, metric, confidence))
                .collect();
        }
        let made = others.iter().flat_map(|point| &point.differences).flatten();
        let adjusted = holm(&made.map(|difference| difference.p).collect::<Vec<f64>>());
        let made = others
            .iter_mut()
            .flat_map(|point| &mut point.differences)
            .flatten();
        for (difference, adjusted) in made.zip(adjusted) {
            difference.adjusted = adjusted;
        }
    }
}

/// Nothing if the metric did not come to pass in some run of one of the two: the others alone would flatter it. Runs without samples at one
/// of the points are no pair.
fn difference(
    first: &SweepPoint,
    point: &SweepPoint,
    metric: usize,
    confidence: f64,
) -> Option<Difference> {
    let never = |point: &SweepPoint| point.metrics.get(metric).is_none_or(|it| it.never > 0);
    if never(first) || never(point) {
        return None;
    }
    let value = |point: &SweepPoint, seed: u64| {
        let at = point.seeds.iter().position(|it| *it == seed)?;
        *point.metrics.get(metric)?.values.get(at)?
    };
    let pair = |seed: &u64| Some((value(first, *seed)?, value(point, *seed)?));
    let (left, right): (Vec<f64>, Vec<f64>) = first.seeds.iter().filter_map(pair).unzip();
    let paired = paired(&left, &right, confidence)?;
    Some(Difference {
        difference: paired.difference,
        p: paired.p,
        adjusted: paired.p,
    })
}
