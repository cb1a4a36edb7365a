//! Random times.

use queuelab_core::Span;
use queuelab_scenario::{Distribution, NORMAL_P99};
use rand::Rng;

use crate::choice::Weighted;
use crate::gamma::gamma_quantile;
use crate::normal::normal_quantile;
use crate::random::Draw;

/// A [`Distribution`], ready to be drawn from: whole nanoseconds, by inversion where there is one, so that a draw moves
/// smoothly with the parameters.
#[derive(Clone, Debug)]
pub struct Sampler {
    shape: Shape,
    /// In seconds.
    mean: f64,
}

/// Times in nanoseconds.
#[derive(Clone, Debug)]
enum Shape {
    Constant(Span),
    Exponential { mean: f64 },
    Erlang { stage: f64, k: u32 },
    Lognormal(Box<Lognormal>),
    Uniform { low: u64, values: u64 },
    Other(Box<Other>),
}

/// Shapes that are drawn less often: out of the way of the others.
#[derive(Clone, Debug)]
enum Other {
    Gamma(Gamma),
    /// One of two exponentials: (how often the first, its mean, the other's).
    Hyperexponential {
        first: f64,
        means: [f64; 2],
    },
    /// minimum · U^-exponent.
    Pareto {
        minimum: f64,
        exponent: f64,
    },
    /// scale · E^exponent with an exponential E.
    Weibull {
        scale: f64,
        exponent: f64,
    },
    Triangular {
        low: f64,
        mode: f64,
        high: f64,
    },
    Empirical {
        values: Vec<Span>,
        weights: Weighted,
    },
}

impl Sampler {
    /// Prepares a distribution.
    pub fn new(distribution: &Distribution) -> Sampler {
        let shape = match *distribution {
            Distribution::Constant(span) => Shape::Constant(span),
            Distribution::Exponential(mean) => Shape::Exponential {
                mean: mean.0 as f64,
            },
            Distribution::Erlang { mean, k } => Shape::Erlang {
                stage: mean.0 as f64 / f64::from(k.max(1)),
                k: k.max(1),
            },
            Distribution::Lognormal { median, p99 } => {
                Shape::Lognormal(Box::new(Lognormal::new(median.0 as f64, p99.0 as f64)))
            }
            Distribution::Uniform(low, high) => Shape::Uniform {
                low: low.0,
                values: (high - low).0.saturating_add(1),
            },
            ref other => Shape::Other(Box::new(Other::new(other))),
        };
        // Not a number (a lognormal without a median) is zero.
        let mean = distribution.mean().max(0.0);
        Sampler { shape, mean }
    }

    /// One time.
    #[inline]
    pub fn sample(&self, draw: &mut Draw) -> Span {
        match self.shape {
            Shape::Constant(span) => span,
            Shape::Exponential { mean } => nanos(mean * draw.next_exponential()),
            Shape::Erlang { stage, k } => {
                nanos(stage * (0..k).map(|_| draw.next_exponential()).sum::<f64>())
            }
            Shape::Lognormal(ref lognormal) => nanos(lognormal.sample(draw)),
            Shape::Uniform { low, values } => Span(low.saturating_add(draw.below(values))),
            Shape::Other(ref other) => other.sample(draw),
        }
    }

    /// The mean, in seconds.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// True if every draw is zero.
    pub fn is_zero(&self) -> bool {
        self.mean == 0.0
    }
}

impl Other {
    fn new(distribution: &Distribution) -> Other {
        match distribution {
            Distribution::Gamma { mean, cv } => Other::Gamma(Gamma::new(mean.0 as f64, *cv)),
            Distribution::Hyperexponential { mean, cv } => {
                // Balanced means: both branches carry half of the load. Whitt: Approximating a point process by a renewal
                // process, Operations Research 30 (1982) 125–147, (3.7).
                let square = (cv * cv).max(1.0);
                let first = 0.5 * (1.0 + ((square - 1.0) / (square + 1.0)).sqrt());
                let half = mean.0 as f64 / 2.0;
                Other::Hyperexponential {
                    first,
                    means: [half / first, half / (1.0 - first)],
                }
            }
            Distribution::Pareto { mean, alpha } => Other::Pareto {
                minimum: mean.0 as f64 * (alpha - 1.0).max(0.0) / alpha,
                exponent: 1.0 / alpha,
            },
            Distribution::Weibull { mean, shape } => Other::Weibull {
                scale: mean.0 as f64 * libm::exp(-libm::lgamma(1.0 + 1.0 / shape)),
                exponent: 1.0 / shape,
            },
            Distribution::Triangular { low, mode, high } => Other::Triangular {
                low: low.0 as f64,
                mode: mode.0 as f64,
                high: high.0 as f64,
            },
            Distribution::Empirical(values) => Other::Empirical {
                values: values.iter().map(|(value, _)| *value).collect(),
                weights: Weighted::new(values.iter().map(|(_, weight)| *weight).collect()),
            },
            Distribution::Constant(_)
            | Distribution::Exponential(_)
            | Distribution::Erlang { .. }
            | Distribution::Lognormal { .. }
            | Distribution::Uniform(..) => unreachable!("these have shapes of their own"),
        }
    }

    fn sample(&self, draw: &mut Draw) -> Span {
        let value = match self {
            Other::Gamma(gamma) => gamma.sample(draw),
            Other::Hyperexponential { first, means } => {
                let mean = means[usize::from(draw.next_f64() >= *first)];
                mean * draw.next_exponential()
            }
            Other::Pareto { minimum, exponent } => minimum * libm::pow(draw.next_open(), -exponent),
            Other::Weibull { scale, exponent } => {
                scale * libm::pow(draw.next_exponential(), *exponent)
            }
            Other::Triangular { low, mode, high } => {
                let (u, width) = (draw.next_f64(), high - low);
                if u * width < mode - low {
                    low + (u * width * (mode - low)).sqrt()
                } else {
                    high - ((1.0 - u) * width * (high - mode)).sqrt()
                }
            }
            Other::Empirical { values, weights } => {
                let at = weights.pick(draw) as usize;
                return values.get(at).copied().unwrap_or(Span::ZERO);
            }
        };
        nanos(value)
    }
}

/// For any generator: one word of it seeds the draw.
impl rand_distr::Distribution<Span> for Sampler {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Span {
        Sampler::sample(self, &mut Draw::from_word(rng.next_u64()))
    }
}

/// A lognormal variable, by its median and its 99 % quantile.
///
/// Network and disk draw it several times per message, so its quantile function is tabled: between neighbouring knots a
/// straight line misses it by less than 0.005 % of the logarithm's standard deviation.
#[derive(Clone, Debug)]
pub(crate) struct Lognormal {
    median: f64,
    /// Standard deviation of the logarithm.
    sigma: f64,
    table: Table,
}

impl Lognormal {
    /// With `p99` at or below the median it is constant.
    pub(crate) fn new(median: f64, p99: f64) -> Lognormal {
        let sigma = if p99 > median && median > 0.0 {
            libm::log(p99 / median) / NORMAL_P99
        } else {
            0.0
        };
        Lognormal {
            median,
            sigma,
            table: Table::new(|p| lognormal_quantile(p, median, sigma)),
        }
    }

    #[inline]
    pub(crate) fn sample(&self, draw: &mut Draw) -> f64 {
        self.table.sample(draw, |p| self.quantile(p))
    }

    fn quantile(&self, p: f64) -> f64 {
        lognormal_quantile(p, self.median, self.sigma)
    }
}

fn lognormal_quantile(p: f64, median: f64, sigma: f64) -> f64 {
    median * libm::exp(sigma * normal_quantile(p))
}

/// A gamma variable, by its mean and coefficient of variation.
#[derive(Clone, Debug)]
struct Gamma {
    shape: f64,
    scale: f64,
    table: Table,
}

impl Gamma {
    fn new(mean: f64, cv: f64) -> Gamma {
        let shape = 1.0 / (cv * cv);
        let scale = mean / shape;
        Gamma {
            shape,
            scale,
            table: Table::new(|p| scale * gamma_quantile(p, shape)),
        }
    }

    fn sample(&self, draw: &mut Draw) -> f64 {
        self.table
            .sample(draw, |p| self.scale * gamma_quantile(p, self.shape))
    }
}

/// A quantile function, tabled where it is smooth; the outer 2 % are computed.
#[derive(Clone, Debug)]
struct Table {
    /// Quantiles at i / KNOTS, for i from 0 to KNOTS; the outer ones are not used.
    quantiles: Box<[f64; KNOTS as usize + 1]>,
}

impl Table {
    fn new(quantile: impl Fn(f64) -> f64) -> Table {
        let inner = |knot| (1..KNOTS as usize).contains(&knot);
        Table {
            quantiles: Box::new(std::array::from_fn(|knot| match inner(knot) {
                true => quantile(knot as f64 / f64::from(KNOTS)),
                false => 0.0,
            })),
        }
    }

    #[inline]
    fn sample(&self, draw: &mut Draw, quantile: impl Fn(f64) -> f64) -> f64 {
        // The middles of 2^52 equal intervals: neither 0 nor 1 is among them.
        let interval = draw.next_u64() >> 12;
        let middle = interval as f64 + 0.5;
        // Both factors are powers of two, so that nothing is rounded: the knot below is in the interval's upper bits.
        let knot = (interval >> (52 - KNOTS.ilog2())) as usize;
        if !(TAIL..KNOTS as usize - TAIL).contains(&knot) {
            return quantile(middle * (1.0 / (1u64 << 52) as f64));
        }
        let place = middle * (f64::from(KNOTS) / (1u64 << 52) as f64);
        let (below, above) = (self.quantiles[knot], self.quantiles[knot + 1]);
        below + (above - below) * (place - knot as f64)
    }
}

/// Intervals of a quantile table: a power of two.
const KNOTS: u32 = 4096;

/// Intervals at either end that are too curved for a straight line.
const TAIL: usize = 41;

/// The nearest whole nanosecond; `as` saturates.
#[inline]
fn nanos(value: f64) -> Span {
    Span((value + 0.5) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn the_quantile_table_is_smooth_and_close() {
        let (median, p99) = (1e6, 8e6);
        let lognormal = Lognormal::new(median, p99);
        let stream = Stream::new(1, "table", 0);
        for counter in 0..50_000 {
            let drawn = lognormal.sample(&mut stream.at(counter));
            let word = stream.at(counter).next_u64();
            let p = ((word >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
            let error = libm::log(drawn / lognormal.quantile(p)).abs() / lognormal.sigma;
            assert!(error < 5e-5, "at {p}: {error} standard deviations off");
        }
    }

    const N: usize = 100_000;

    fn draws(distribution: &Distribution) -> Vec<f64> {
        let (sampler, stream) = (Sampler::new(distribution), Stream::new(42, "test", 0));
        let mut values: Vec<f64> = (0..N as u64)
            .map(|k| sampler.sample(&mut stream.at(k)).as_secs_f64())
            .collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// (distribution, standard deviation in seconds, [(quantile's p, its value in seconds)]).
    type Case = (Distribution, f64, Vec<(f64, f64)>);

    fn cases() -> Vec<Case> {
        let ms = Span::from_millis;
        // -ln(1 - p) times the mean.
        let exponential = vec![
            (0.5, 0.020 * std::f64::consts::LN_2),
            (0.99, 0.020 * 4.605_170_185_99),
        ];
        // Quantiles of the gamma distribution with shape 4, scale 1: 3.672060749, 10.04511756 (half of chi-square's, 8 degrees).
        let erlang = vec![(0.5, 0.005 * 3.672_060_749), (0.99, 0.005 * 10.045_117_56)];
        let sigma: f64 = libm::log(8.0) / NORMAL_P99;
        let deviation =
            0.001 * libm::exp(sigma * sigma / 2.0) * (libm::exp(sigma * sigma) - 1.0).sqrt();
        vec![
            (Distribution::Constant(ms(3)), 0.0, vec![(0.5, 0.003)]),
            (Distribution::Exponential(ms(20)), 0.020, exponential),
            (Distribution::Erlang { mean: ms(20), k: 4 }, 0.010, erlang),
            (
                Distribution::Lognormal {
                    median: ms(1),
                    p99: ms(8),
                },
                deviation,
                vec![(0.5, 0.001), (0.99, 0.008)],
            ),
            (
                Distribution::Uniform(ms(2), ms(6)),
                0.004 / 12f64.sqrt(),
                vec![(0.25, 0.003), (0.75, 0.005)],
            ),
            (
                Distribution::Gamma {
                    mean: ms(20),
                    cv: 0.5,
                },
                0.010,
                vec![(0.5, 0.005 * 3.672_060_749), (0.99, 0.005 * 10.045_117_56)],
            ),
            // Shape 1/2: half of the square of a standard normal variable, times 2 for mean 1.
            (
                Distribution::Gamma {
                    mean: ms(20),
                    cv: std::f64::consts::SQRT_2,
                },
                0.020 * std::f64::consts::SQRT_2,
                vec![
                    (0.5, 0.020 * 0.674_489_750_2 * 0.674_489_750_2),
                    (0.98, 0.020 * NORMAL_P99 * NORMAL_P99),
                ],
            ),
            hyperexponential(),
            // P(X <= x) = 1 - (m / x)^3 with m = 4 ms; variance m² · 3 / (4 · 1).
            (
                Distribution::Pareto {
                    mean: ms(6),
                    alpha: 3.0,
                },
                0.004 * 0.75f64.sqrt(),
                vec![(0.5, 0.004 * libm::cbrt(2.0)), (0.999, 0.040)],
            ),
            // Scale 10 ms, as Γ(3) = 2; variance s² (Γ(5) - Γ(3)²).
            (
                Distribution::Weibull {
                    mean: ms(20),
                    shape: 0.5,
                },
                0.010 * 20f64.sqrt(),
                vec![
                    (0.5, 0.010 * 0.480_453_013_9),
                    (0.99, 0.010 * 21.207_592_44),
                ],
            ),
            // Variance (a² + b² + c² - ab - ac - bc) / 18.
            (
                Distribution::Triangular {
                    low: ms(1),
                    mode: ms(2),
                    high: ms(6),
                },
                0.001 * (21f64 / 18.0).sqrt(),
                vec![(0.2, 0.002), (0.8, 0.004)],
            ),
            (
                Distribution::Empirical(vec![(ms(1), 3.0), (ms(5), 1.0)].into()),
                0.004 * (3f64 / 16.0).sqrt(),
                vec![(0.75, 0.001)],
            ),
        ]
    }

    /// With cv² = 3: branches of 1/2 ± 1/√8, each with half of the load.
    fn hyperexponential() -> Case {
        let mean = 0.020;
        let first = 0.5 + 1.0 / 8f64.sqrt();
        let below = |x: f64| {
            let part = |p: f64| p * (1.0 - libm::exp(-x * 2.0 * p / mean));
            part(first) + part(1.0 - first)
        };
        let distribution = Distribution::Hyperexponential {
            mean: Span::from_millis(20),
            cv: 3f64.sqrt(),
        };
        let quantiles = [0.005, 0.02, 0.1].map(|x| (below(x), x));
        (distribution, mean * 3f64.sqrt(), quantiles.to_vec())
    }

    #[test]
    fn deviations_are_right() {
        // The heavy tails are left out: their fourth moments are huge or infinite.
        for (distribution, deviation, _) in cases() {
            if matches!(
                distribution,
                Distribution::Pareto { .. } | Distribution::Weibull { .. }
            ) {
                continue;
            }
            let values = draws(&distribution);
            let mean = values.iter().sum::<f64>() / N as f64;
            let squares = values.iter().map(|value| (value - mean) * (value - mean));
            let drawn = (squares.sum::<f64>() / N as f64).sqrt();
            assert!(
                (drawn - deviation).abs() <= 0.05 * deviation + 1e-12,
                "{distribution:?}: {drawn}, not {deviation}"
            );
        }
    }

    #[test]
    fn one_parameter_more_or_less_is_the_same_distribution() {
        // Constant within the rounding, exponential, at the limits of the parameters.
        let mean = Span::from_millis(20);
        let narrow = draws(&Distribution::Gamma { mean, cv: 1e-9 });
        assert!((narrow[0] - 0.020).abs() < 1e-8 && (narrow[N - 1] - 0.020).abs() < 1e-8);
        let exponential = draws(&Distribution::Exponential(mean));
        let gamma = draws(&Distribution::Gamma { mean, cv: 1.0 });
        let weibull = draws(&Distribution::Weibull { mean, shape: 1.0 });
        for at in [N / 10, N / 2, N * 9 / 10] {
            assert!((gamma[at] / exponential[at] - 1.0).abs() < 0.02);
            assert!((weibull[at] / exponential[at] - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn means_and_quantiles_are_right() {
        for (distribution, deviation, quantiles) in cases() {
            let values = draws(&distribution);
            let mean = values.iter().sum::<f64>() / N as f64;
            let sampler = Sampler::new(&distribution);
            assert!(
                (sampler.mean() - distribution.mean()).abs() < 1e-9,
                "{distribution:?}"
            );
            let allowed = 4.0 * deviation / (N as f64).sqrt() + 1e-9;
            assert!(
                (mean - distribution.mean()).abs() < allowed,
                "{distribution:?}: mean {mean}"
            );
            for (p, value) in quantiles.into_iter().filter(|_| deviation > 0.0) {
                let below = values.partition_point(|drawn| *drawn <= value) as f64;
                let allowed = 4.0 * (N as f64 * p * (1.0 - p)).sqrt();
                assert!(
                    (below - p * N as f64).abs() < allowed,
                    "{distribution:?}: {below} at or below {value}"
                );
            }
        }
    }

    #[test]
    fn bounds_are_kept() {
        let values = draws(&Distribution::Uniform(Span(10), Span(13)));
        assert_eq!((values[0], values[N - 1]), (10e-9, 13e-9));
        // The widest range does not overflow.
        assert!(draws(&Distribution::Uniform(Span(0), Span::MAX))[N / 2] > 8e9);
    }

    #[test]
    fn a_draw_scales_with_its_mean() {
        let stream = Stream::new(1, "x", 0);
        let at = |mean| {
            Sampler::new(&Distribution::Exponential(mean))
                .sample(&mut stream.at(3))
                .0
        };
        assert!(at(Span::from_secs(2)).abs_diff(2 * at(Span::from_secs(1))) <= 1);
    }

    #[test]
    fn only_what_is_always_zero_is_zero() {
        for (distribution, zero) in [
            (Distribution::Constant(Span::ZERO), true),
            (Distribution::Exponential(Span::ZERO), true),
            (Distribution::Uniform(Span::ZERO, Span::ZERO), true),
            (Distribution::Uniform(Span::ZERO, Span(1)), false),
            (Distribution::Constant(Span(1)), false),
        ] {
            let sampler = Sampler::new(&distribution);
            assert_eq!(sampler.is_zero(), zero, "{distribution:?}");
            if zero {
                assert_eq!(
                    sampler.sample(&mut Stream::new(1, "x", 0).at(0)),
                    Span::ZERO
                );
            }
        }
    }

    #[test]
    fn rand_distr_can_draw_from_it() {
        let sampler = Sampler::new(&Distribution::Uniform(Span(10), Span(13)));
        let span = rand_distr::Distribution::sample(&sampler, &mut Stream::new(1, "x", 0).at(0));
        assert!((10..=13).contains(&span.0));
    }
}
