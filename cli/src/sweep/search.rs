//! Where a condition ceases to hold: bisection over a lattice of values.

use std::collections::BTreeMap;

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ground {
    /// From here to there: a few values spread over all of it first, which also shows where the condition is not monotone.
    Between(i128, i128),
    /// From here on, doubling or halving as far as [`REACH`] times.
    From(i128),
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// Values that were tried, and whether it held there.
    pub(super) seen: BTreeMap<i128, bool>,
    /// The values next to the boundary, the lower one first; `None` if it held, or failed, wherever it was tried.
    pub(super) bracket: Option<(i128, i128)>,
}

impl Search {
    /// How often the condition changed from one value to the next: once, if it is monotone.
    pub(super) fn changes(&self) -> usize {
        let held: Vec<bool> = self.seen.values().copied().collect();
        held.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

/// Finds the lowest boundary. `probe` says for each of several values whether the condition holds; `narrow(low, high)` whether the
/// bracket is narrow enough.
///
/// # Errors
/// Of `probe`.
pub(super) fn search<E>(
    ground: Ground,
    narrow: impl Fn(i128, i128) -> bool,
    mut probe: impl FnMut(&[i128]) -> Result<Vec<bool>, E>,
) -> Result<Search, E> {
    let mut seen = BTreeMap::new();
    match ground {
        Ground::Between(from, to) => {
            let parts = (to - from).clamp(1, SPREAD);
            let values: Vec<i128> = (0..=parts)
                .map(|part| from + (to - from) * part / parts)
                .collect();
            seen.extend(values.iter().copied().zip(probe(&values)?));
        }
        Ground::From(start) => {
            let held = probe(&[start])?.first() == Some(&true);
            seen.insert(start, held);
            let mut value = start;
            for _ in 0..REACH.ilog2() {
                value = if held { value * 2 } else { value / 2 };
                let holds = probe(&[value])?.first() == Some(&true);
                seen.insert(value, holds);
                if holds != held {
                    break;
                }
            }
        }
    }
    let bracket = lowest_change(&seen);
    let Some((mut low, mut high)) = bracket else {
        return Ok(Search { seen, bracket });
    };
    let low_held = seen.get(&low).copied();
    while high - low > 1 && !narrow(low, high) {
        let middle = round_middle(low, high);
        let holds = probe(&[middle])?.first() == Some(&true);
        seen.insert(middle, holds);
        match Some(holds) == low_held {
            true => low = middle,
            false => high = middle,
        }
    }
    Ok(Search {
        seen,
        bracket: Some((low, high)),
    })
}

fn lowest_change(seen: &BTreeMap<i128, bool>) -> Option<(i128, i128)> {
    let pairs = seen.iter().zip(seen.iter().skip(1));
    let mut changes = pairs.filter(|((_, left), (_, right))| left != right);
    changes.next().map(|((low, _), (high, _))| (*low, *high))
}

/// The number with the fewest digits in the middle half of a bracket: what people read and type again.
fn round_middle(low: i128, high: i128) -> i128 {
    let width = high - low;
    let mut unit = 10_i128.pow(width.max(1).ilog10() + 1);
    loop {
        let middle = (low + width / 2 + unit / 2).div_euclid(unit) * unit;
        if unit == 1 || (middle - low >= width / 4 && high - middle >= width / 4 && width >= 4) {
            return middle.clamp(low + 1, high - 1);
        }
        unit /= 10;
    }
}

/// How far a search goes where no range is given.
pub(super) const REACH: u32 = 1024;

/// Parts of a range whose ends are tried first.
const SPREAD: i128 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ground: Ground, tolerance: i128, holds: impl Fn(i128) -> bool) -> Search {
        let mut probes = 0;
        let found = search(
            ground,
            |low, high| high - low <= tolerance,
            |values| {
                probes += values.len();
                Ok::<_, ()>(values.iter().map(|value| holds(*value)).collect())
            },
        );
        let found = found.unwrap();
        assert_eq!(probes, found.seen.len(), "no value is tried twice");
        found
    }

    #[test]
    fn every_boundary_is_found() {
        for boundary in 1..=1000 {
            let search = found(Ground::Between(0, 1000), 1, |value| value < boundary);
            assert_eq!(search.bracket, Some((boundary - 1, boundary)));
            assert_eq!(search.changes(), 1);
            assert!(search.seen.len() <= 5 + 14, "{}", search.seen.len());
        }
    }

    /// More consumers help: the condition fails below.
    #[test]
    fn the_condition_may_hold_above() {
        let search = found(Ground::Between(1, 50), 1, |value| value >= 17);
        assert_eq!(search.bracket, Some((16, 17)));
    }

    #[test]
    fn the_bracket_is_as_narrow_as_was_asked() {
        let search = found(Ground::Between(0, 100_000), 500, |value| value <= 77_777);
        let (low, high) = search.bracket.unwrap();
        assert!(low <= 77_777 && 77_777 < high && high - low <= 500);
    }

    #[test]
    fn without_a_range_it_doubles_or_halves() {
        for boundary in [3, 700, 1_000, 1_001, 5_000, 900_000] {
            let search = found(Ground::From(1_000), 1, |value| value <= boundary);
            assert_eq!(search.bracket, Some((boundary, boundary + 1)), "{boundary}");
        }
        assert_eq!(found(Ground::From(1_000), 1, |_| true).bracket, None);
        let nowhere = found(Ground::From(1 << 20), 1, |_| false);
        assert_eq!((nowhere.bracket, nowhere.seen.len()), (None, 11));
    }

    #[test]
    fn what_holds_throughout_or_nowhere_has_no_boundary() {
        for held in [true, false] {
            let search = found(Ground::Between(10, 90), 1, |_| held);
            assert_eq!((search.bracket, search.seen.len()), (None, 5));
        }
    }

    #[test]
    fn of_several_boundaries_the_lowest_is_found_and_the_others_are_seen() {
        let search = found(Ground::Between(0, 100), 1, |value| {
            !(30..=90).contains(&value)
        });
        assert_eq!(search.bracket, Some((29, 30)));
        assert_eq!(search.changes(), 2);
    }

    #[test]
    fn values_in_the_middle_are_round() {
        assert_eq!(round_middle(1_000_000, 2_000_000), 1_500_000);
        assert_eq!(round_middle(1_500_000, 2_000_000), 1_800_000);
        assert_eq!(round_middle(0, 3), 1);
        assert_eq!(round_middle(7, 9), 8);
        for low in -20..20 {
            for high in low + 2..low + 60 {
                let middle = round_middle(low, high);
                assert!(low < middle && middle < high, "{low} {middle} {high}");
            }
        }
    }
}
