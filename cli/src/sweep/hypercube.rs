//! Latin hypercube sampling: few points that still cover the range of every axis.

use queuelab_record::Setting;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

use super::amount::{Amount, setting};
use super::axis::{Values, Vary};

/// `count` points: the range of each axis is cut into `count` parts of one size, and each part has one point (McKay, Beckman, Conover:
/// A comparison of three methods for selecting values of input variables, Technometrics 21, 1979). `whole(axis)` says where only whole
/// numbers will do. The same seed gives the same points.
pub(super) fn sample(
    varies: &[Vary],
    count: usize,
    seed: u64,
    whole: impl Fn(usize) -> bool,
) -> Vec<Vec<Setting>> {
    let columns: Vec<Vec<Setting>> = varies
        .iter()
        .enumerate()
        .map(|(axis, vary)| {
            // An axis has a stream of its own: another one beside it moves nothing.
            let mut random = SplitMix64::seed_from_u64(seed ^ (axis as u64 + 1).rotate_left(32));
            column(vary, count, whole(axis), &mut random)
        })
        .collect();
    let point = |at: usize| columns.iter().map(|column| column[at].clone()).collect();
    (0..count).map(point).collect()
}

fn column(vary: &Vary, count: usize, whole: bool, random: &mut SplitMix64) -> Vec<Setting> {
    let strata = shuffled(count, random);
    let parts = strata.into_iter().map(|stratum| {
        let within = random.next_u64() >> 32;
        Part {
            stratum,
            within,
            count,
        }
    });
    match &vary.values {
        Values::These(settings) => parts
            .map(|part| settings[part.of(settings.len() as i128) as usize].clone())
            .collect(),
        Values::Between(from, to) => parts
            .map(|part| setting(&value(from, to, &part, whole).text()))
            .collect(),
    }
}

/// A place in one of `count` parts of equal size.
struct Part {
    stratum: usize,
    /// In units of 2⁻³² of the part.
    within: u64,
    count: usize,
}

impl Part {
    /// Which of `size` things lies there.
    fn of(&self, size: i128) -> i128 {
        let place = ((self.stratum as i128) << 32) + i128::from(self.within);
        size * place / ((self.count as i128) << 32)
    }
}

fn value(from: &Amount, to: &Amount, part: &Part, whole: bool) -> Amount {
    let written = from.scale().max(to.scale());
    let scale = if whole {
        written
    } else {
        written + MORE_DIGITS
    };
    let (low, high) = (from.at(scale), to.at(scale));
    from.with(low + part.of(high - low + 1), scale)
}

/// Fisher and Yates: each order is as likely.
fn shuffled(count: usize, random: &mut SplitMix64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        let other = (u128::from(random.next_u64()) * (at as u128 + 1)) >> 64;
        order.swap(at, other as usize);
    }
    order
}

/// Digits that a value has beyond those of the ends of its range.
const MORE_DIGITS: u32 = 2;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn vary(text: &str) -> Vary {
        Vary::parse(text).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn numbers(points: &[Vec<Setting>], axis: usize) -> Vec<f64> {
        points.iter().map(|it| it[axis].number.unwrap()).collect()
    }

    #[test]
    fn each_part_of_each_axis_has_one_point() {
        let varies = [vary("load=0.5..1.5"), vary("p.rate=100/s..500/s")];
        let points = sample(&varies, 20, 7, |_| false);
        for (axis, (low, width)) in [(0.5, 1.0), (100.0, 400.0)].into_iter().enumerate() {
            let part = |value: f64| ((value - low) / width * 20.0 - 1e-6).max(0.0) as usize;
            let parts: BTreeSet<usize> = numbers(&points, axis).into_iter().map(part).collect();
            assert_eq!(parts.len(), 20, "{points:?}");
        }
        // Axes are not sorted alike.
        let (first, second) = (numbers(&points, 0), numbers(&points, 1));
        assert!(!first.is_sorted() && !second.is_sorted());
        let ranks = |values: &[f64]| -> Vec<usize> {
            let below = |value: &f64| values.iter().filter(|other| *other < value).count();
            values.iter().map(below).collect()
        };
        assert_ne!(ranks(&first), ranks(&second));
    }

    #[test]
    fn whole_numbers_and_lists_are_taken_evenly() {
        let varies = [vary("n=1..4"), vary("d=a,b")];
        let points = sample(&varies, 8, 3, |axis| axis == 0);
        let mut counts = numbers(&points, 0);
        counts.sort_by(f64::total_cmp);
        assert_eq!(counts, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
        let words = points.iter().filter(|point| point[1].text == "a");
        assert_eq!(words.count(), 4);
    }

    #[test]
    fn a_seed_repeats_and_another_axis_moves_nothing() {
        let one = sample(&[vary("load=0..1")], 9, 5, |_| false);
        let two = sample(&[vary("load=0..1"), vary("n=1..9")], 9, 5, |_| false);
        assert_eq!(numbers(&one, 0), numbers(&two, 0));
        assert_ne!(one, sample(&[vary("load=0..1")], 9, 6, |_| false));
    }
}
