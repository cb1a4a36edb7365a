//! Random times.

use queuelab_core::Span;
use queuelab_scenario::{Distribution, NORMAL_P99};
use rand::Rng;

use crate::normal::normal_quantile;
use crate::random::Draw;

/// A [`Distribution`], ready to be drawn from: whole nanoseconds, by inversion, so that a draw moves smoothly with the
/// parameters.
#[derive(Clone, Debug)]
pub struct Sampler {
    shape: Shape,
}

/// Times in nanoseconds.
#[derive(Clone, Debug)]
enum Shape {
    Constant(Span),
    Exponential { mean: f64 },
    Erlang { stage: f64, k: u32 },
    Lognormal(Box<Lognormal>),
    Uniform { low: u64, values: u64 },
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
            _ => unimplemented!(),
        };
        Sampler { shape }
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
        }
    }

    /// The mean, in seconds.
    pub fn mean(&self) -> f64 {
        let nanos = match self.shape {
            Shape::Constant(span) => span.0 as f64,
            Shape::Exponential { mean } => mean,
            Shape::Erlang { stage, k } => stage * f64::from(k),
            Shape::Lognormal(ref lognormal) => lognormal.mean(),
            Shape::Uniform { low, values } => low as f64 + (values - 1) as f64 / 2.0,
        };
        nanos / 1e9
    }

    /// True if every draw is zero.
    pub fn is_zero(&self) -> bool {
        match self.shape {
            Shape::Constant(span) => span.is_zero(),
            Shape::Exponential { mean } => mean == 0.0,
            Shape::Erlang { stage, .. } => stage == 0.0,
            Shape::Lognormal(ref lognormal) => lognormal.median == 0.0,
            Shape::Uniform { low, values } => low == 0 && values == 1,
        }
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
/// Network and disk draw it several times per message, so its quantile function is tabled where it is smooth: between
/// neighbouring knots a straight line misses it by less than 0.005 % of the logarithm's standard deviation. The outer 2 %
/// are computed.
#[derive(Clone, Debug)]
pub(crate) struct Lognormal {
    median: f64,
    /// Standard deviation of the logarithm.
    sigma: f64,
    /// Quantiles at i / KNOTS, for i from 0 to KNOTS; the outer ones are not used.
    quantiles: Vec<f64>,
}

impl Lognormal {
    /// With `p99` at or below the median it is constant.
    pub(crate) fn new(median: f64, p99: f64) -> Lognormal {
        let sigma = if p99 > median && median > 0.0 {
            libm::log(p99 / median) / NORMAL_P99
        } else {
            0.0
        };
        let mut lognormal = Lognormal {
            median,
            sigma,
            quantiles: Vec::new(),
        };
        let knots = (0..=KNOTS).map(|knot| match knot {
            0 | KNOTS => 0.0,
            _ => lognormal.quantile(f64::from(knot) / f64::from(KNOTS)),
        });
        lognormal.quantiles = knots.collect();
        lognormal
    }

    #[inline]
    pub(crate) fn sample(&self, draw: &mut Draw) -> f64 {
        // The middles of 2^52 equal intervals: neither 0 nor 1 is among them.
        let p = ((draw.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64);
        let place = p * f64::from(KNOTS);
        let knot = place as usize;
        if !(TAIL..KNOTS as usize - TAIL).contains(&knot) {
            return self.quantile(p);
        }
        let (below, above) = (self.quantiles[knot], self.quantiles[knot + 1]);
        below + (above - below) * (place - knot as f64)
    }

    fn quantile(&self, p: f64) -> f64 {
        self.median * libm::exp(self.sigma * normal_quantile(p))
    }

    fn mean(&self) -> f64 {
        self.median * libm::exp(self.sigma * self.sigma / 2.0)
    }
}

/// Intervals of a quantile table.
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
        ]
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
