//! Scales and their ticks.

use queuelab_core::{Span, Time};
use queuelab_record::{bytes, grouped};

use crate::reading::Reading;

/// Maps values to pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    /// Pixels at `low` and at `high`.
    pixels: (f64, f64),
}

impl Scale {
    /// From `low` to `high`, which are different.
    pub(crate) fn new(low: f64, high: f64, pixels: (f64, f64)) -> Scale {
        Scale { low, high, pixels }
    }

    /// Where `value` lies; values outside are held at the edges.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }
}

/// A marked value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

/// Round counts from zero to a little above `top`; the last one is the axis' end.
pub(crate) fn counts(top: u64) -> Vec<Tick> {
    counts_in(top, 6)
}

/// The same in at most so many steps.
pub(crate) fn counts_in(top: u64, most: u64) -> Vec<Tick> {
    let steps = (0..19).flat_map(|power| [1, 2, 5].map(|digit| digit * 10u64.pow(power)));
    up_to(top.max(1), most, steps, grouped)
}

/// Round sizes from zero to a little above `top` bytes; the last one is the axis' end.
pub(crate) fn sizes(top: u64) -> Vec<Tick> {
    let top = top.clamp(1, 1 << 60);
    up_to(top, 6, (0..60).map(|power| 1 << power), bytes)
}

/// From zero to `top` or a little above, in the first of `steps` of which at most so many get there.
fn up_to(
    top: u64,
    most: u64,
    mut steps: impl Iterator<Item = u64>,
    label: fn(u64) -> String,
) -> Vec<Tick> {
    let step = steps
        .find(|step| top.div_ceil(*step) <= most)
        .unwrap_or(u64::MAX / most);
    let tick = |index: u64| {
        let value = index.saturating_mul(step);
        Tick {
            value: value as f64,
            label: label(value),
        }
    };
    (0..=top.div_ceil(step)).map(tick).collect()
}

/// Round values around `low` to `high`, which are different; at most some seven.
pub(crate) fn values(low: f64, high: f64, reading: Reading) -> Vec<Tick> {
    let least = ((high - low) / 6.0).max(1e-12);
    let power = libm::floor(libm::log10(least));
    let decimal = [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * libm::pow(10.0, power))
        .into_iter()
        .find(|&step| step >= least * (1.0 - 1e-9));
    // Beyond seconds people do not count in tens.
    let sixties = [
        10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0,
    ];
    let sixty = sixties.into_iter().find(|&step| step >= least);
    let step = match reading {
        Reading::Time if least > 5.0 => sixty.or(decimal),
        _ => decimal,
    };
    let step = step.unwrap_or(least);
    let (first, last) = (
        libm::floor(low / step + 1e-9),
        libm::ceil(high / step - 1e-9),
    );
    let count = (last - first) as usize;
    (0..=count.clamp(1, 20))
        .map(|index| {
            let value = (first + index as f64) * step;
            let label = fine(value, step, reading).unwrap_or_else(|| reading.text(value));
            Tick { value, label }
        })
        .collect()
}

/// A value between steps so small that it would lose its last figures if it read as others do.
fn fine(value: f64, step: f64, reading: Reading) -> Option<String> {
    let (factor, kept, unit) = match reading {
        Reading::Time | Reading::Size => return None,
        Reading::Share => (100.0, 0.1, " %"),
        Reading::Rate => (1.0, 0.01, "/s"),
        Reading::Count => (1.0, 0.01, ""),
    };
    let (value, step) = (value * factor, step * factor);
    if step > kept * (1.0 - 1e-9) || value.abs() < step / 2.0 {
        return None;
    }
    let decimals = libm::ceil(-libm::log10(step) - 1e-9).clamp(0.0, 12.0) as usize;
    let sign = if value < 0.0 { "−" } else { "" };
    Some(format!("{sign}{:.decimals$}{unit}", value.abs()))
}

/// Instants from `from` to `until` in steps that people count in, in seconds.
pub(crate) fn instants(from: Time, until: Time) -> Vec<Tick> {
    const SECOND: u64 = 1_000_000_000;
    let below = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10u64.pow(power)));
    let above = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200,
        86_400,
    ];
    let days = (1..16).map(|power| (86_400 * SECOND) << power);
    let mut steps = below
        .chain(above.map(|seconds| seconds * SECOND))
        .chain(days.take_while(|&step| step < u64::MAX / 2));
    let length = until.since(from).0;
    let step = steps.find(|step| length / step <= 12).unwrap_or(u64::MAX);
    (from.0.div_ceil(step)..=until.0 / step)
        .map(|index| Tick {
            value: (index * step) as f64 / 1e9,
            label: Span(index * step).to_string().replace(" s", "s"),
        })
        .collect()
}

/// Round times from at most `low` to at least `high`, with log₁₀ of their nanoseconds as values. Both are at least 1 ns.
pub(crate) fn durations(low: Span, high: Span) -> Vec<Tick> {
    // Tens, and what people take for tens above a second; then with steps in between, for narrow ranges.
    let tens: Vec<u64> = decades(&[1], &[1, 10, 60, 600, 3_600, 36_000, 360_000, 3_600_000]);
    let fine: Vec<u64> = decades(
        &[1, 2, 5],
        &[
            1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 18_000, 36_000,
            72_000, 180_000, 360_000, 3_600_000,
        ],
    );
    let mut nanos = around(&fine, low, high);
    if let [first, .., last] = nanos[..] {
        let between = tens.iter().filter(|&&nanos| first < nanos && nanos < last);
        let coarse: Vec<u64> = between.copied().collect();
        if coarse.len() > 2 {
            // The ends stay fine: up to a ten, most of a decade would be empty.
            nanos = [vec![first], coarse, vec![last]].concat();
        }
    }
    nanos
        .into_iter()
        .map(|nanos| Tick {
            value: libm::log10(nanos as f64),
            label: Span(nanos).to_string(),
        })
        .collect()
}

fn decades(digits: &[u64], seconds: &[u64]) -> Vec<u64> {
    let below = (0..9).flat_map(|power| digits.iter().map(move |digit| digit * 10u64.pow(power)));
    below
        .chain(seconds.iter().map(|seconds| seconds * 1_000_000_000))
        .collect()
}

/// The candidates from the last at or below `low` to the first at or above `high`, two at least.
fn around(candidates: &[u64], low: Span, high: Span) -> Vec<u64> {
    let first = candidates
        .partition_point(|&nanos| nanos <= low.0)
        .saturating_sub(1)
        .min(candidates.len() - 2);
    let last = candidates
        .partition_point(|&nanos| nanos < high.0)
        .clamp(first + 1, candidates.len() - 1);
    candidates[first..=last].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: Vec<Tick>) -> String {
        ticks
            .into_iter()
            .map(|tick| tick.label)
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn counts_are_round_and_reach_the_top() {
        assert_eq!(labels(counts(0)), "0 | 1");
        assert_eq!(
            labels(counts(179_724)),
            "0 | 50,000 | 100,000 | 150,000 | 200,000"
        );
        assert_eq!(labels(counts(6)), "0 | 1 | 2 | 3 | 4 | 5 | 6");
        assert!(counts(u64::MAX).len() < 9);
    }

    #[test]
    fn sizes_are_round_and_reach_the_top() {
        assert_eq!(labels(sizes(0)), "0 B | 1 B");
        assert_eq!(
            labels(sizes(33 << 20)),
            "0 B | 8 MiB | 16 MiB | 24 MiB | 32 MiB | 40 MiB"
        );
        assert!(sizes(u64::MAX).len() > 1);
    }

    #[test]
    fn values_are_round_and_enclose_their_range() {
        for (low, high, reading, shown) in [
            (
                0.0,
                0.83,
                Reading::Share,
                "0 % | 20 % | 40 % | 60 % | 80 % | 100 %",
            ),
            (
                0.0,
                170.0,
                Reading::Time,
                "0s | 30 s | 1m | 1m30s | 2m | 2m30s | 3m",
            ),
            (
                0.0,
                0.05,
                Reading::Time,
                "0s | 10 ms | 20 ms | 30 ms | 40 ms | 50 ms",
            ),
            (
                -3.0,
                9.0,
                Reading::Count,
                "−4 | −2 | 0 | 2 | 4 | 6 | 8 | 10",
            ),
            (
                0.0,
                4_100.0,
                Reading::Rate,
                "0/s | 1,000/s | 2,000/s | 3,000/s | 4,000/s | 5,000/s",
            ),
            (
                -0.000_3,
                0.000_6,
                Reading::Share,
                "−0.04 % | −0.02 % | 0 % | 0.02 % | 0.04 % | 0.06 %",
            ),
            (
                0.0,
                0.004,
                Reading::Count,
                "0 | 0.001 | 0.002 | 0.003 | 0.004",
            ),
        ] {
            assert_eq!(labels(values(low, high, reading)), shown);
        }
    }

    #[test]
    fn instants_are_what_people_count_in() {
        let to = |end: u64| instants(Time::ZERO, Time(end));
        assert_eq!(labels(to(0)), "0s");
        assert_eq!(
            labels(to(900_000_000_000)),
            "0s | 2m | 4m | 6m | 8m | 10m | 12m | 14m"
        );
        assert_eq!(
            labels(to(30_000_000_000)),
            "0s | 5s | 10s | 15s | 20s | 25s | 30s"
        );
        let between = instants(Time(24_900_000_000), Time(29_000_000_000));
        assert_eq!(
            labels(between),
            "25s | 25.5s | 26s | 26.5s | 27s | 27.5s | 28s | 28.5s | 29s"
        );
        assert!(to(u64::MAX).len() < 14);
    }

    #[test]
    fn durations_enclose_their_range() {
        assert_eq!(
            labels(durations(Span::from_millis(3), Span::from_secs(180))),
            "2 ms | 10 ms | 100 ms | 1 s | 10 s | 1m | 5m"
        );
        assert_eq!(
            labels(durations(Span::from_millis(3), Span::from_millis(40))),
            "2 ms | 5 ms | 10 ms | 20 ms | 50 ms"
        );
        assert_eq!(labels(durations(Span(1), Span(1))), "1 ns | 2 ns");
        assert!(durations(Span(1), Span::MAX).len() < 20);
        assert_eq!(durations(Span::MAX, Span::MAX).len(), 2);
    }
}
