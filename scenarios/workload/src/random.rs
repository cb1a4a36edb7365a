//! Counter-based randomness: a draw depends on its stream's name and its counter, on no draw before it.

use std::convert::Infallible;

use rand::TryRng;

/// A named stream of random decisions, addressed by counter.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The stream of purpose `name` that belongs to `entity`: a member of a group, or zero.
    pub fn new(seed: u64, name: &str, entity: u64) -> Stream {
        let named = mix(mix(seed.wrapping_add(GOLDEN)) ^ fnv1a(name));
        Stream {
            key: mix(named ^ entity.wrapping_mul(GOLDEN)),
        }
    }

    /// The decision number `counter`.
    #[inline]
    pub fn at(&self, counter: u64) -> Draw {
        Draw {
            state: mix(self.key.wrapping_add(counter.wrapping_mul(GOLDEN))),
        }
    }

    /// The decision of a pair, such as (message, attempt).
    #[inline]
    pub fn at2(&self, a: u64, b: u64) -> Draw {
        Stream {
            key: self.at(a).state,
        }
        .at(b)
    }
}

/// The generator of one decision: SplitMix64 from a hashed state.
///
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
#[derive(Debug)]
pub struct Draw {
    state: u64,
}

impl Draw {
    pub(crate) fn from_word(word: u64) -> Draw {
        Draw { state: mix(word) }
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Evenly in `[0, 1)`, a multiple of 2^-53.
    #[inline]
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * UNIT
    }

    /// Evenly in `(0, 1]`, a multiple of 2^-53: its logarithm is finite.
    #[inline]
    pub fn next_open(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 * UNIT
    }

    /// Exponential with mean 1, by inversion.
    #[inline]
    pub fn next_exponential(&mut self) -> f64 {
        -libm::log(self.next_open())
    }

    /// Evenly among the integers below `n`, off by less than `n` / 2^64; zero if `n` is zero.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }
}

/// So that the distributions of `rand_distr` can be drawn from it.
impl TryRng for Draw {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// SplitMix64's finaliser, a bijection (Stafford's variant 13 of MurmurHash3's).
#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a: names are hashed once per stream, so simple beats fast.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// 2^-53.
const UNIT: f64 = 1.0 / (1u64 << 53) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_is_the_published_one() {
        // The first outputs for seed 1234567, as in Vigna's splitmix64.c.
        let mut draw = Draw { state: 1_234_567 };
        let outputs = [draw.next_u64(), draw.next_u64(), draw.next_u64()];
        assert_eq!(
            outputs,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_draw_depends_on_nothing_but_its_name_and_counter() {
        let first =
            |seed, name, entity, counter| Stream::new(seed, name, entity).at(counter).next_u64();
        let base = first(7, "arrivals", 3, 5);
        assert_eq!(base, first(7, "arrivals", 3, 5));
        for other in [
            first(8, "arrivals", 3, 5),
            first(7, "sizes", 3, 5),
            first(7, "arrivals", 4, 5),
            first(7, "arrivals", 3, 6),
        ] {
            assert_ne!(base, other);
        }
        let stream = Stream::new(7, "service", 0);
        assert_ne!(stream.at2(1, 2).next_u64(), stream.at2(2, 1).next_u64());
    }

    #[test]
    fn neighbouring_counters_and_entities_are_uncorrelated() {
        const N: u64 = 100_000;
        let by_counter = Stream::new(1, "x", 0);
        let at = |k: u64| by_counter.at(k).next_f64();
        let of = |k: u64| Stream::new(1, "x", k).at(0).next_f64();
        let pair = |k: u64| by_counter.at2(k, 0).next_f64();
        let checks: [&dyn Fn(u64) -> f64; 3] = [&at, &of, &pair];
        for sample in checks {
            let covariance = (0..N)
                .map(|k| (sample(k) - 0.5) * (sample(k + 1) - 0.5))
                .sum::<f64>()
                / N as f64;
            let mean = (0..N).map(sample).sum::<f64>() / N as f64;
            // A uniform variable's variance is 1/12.
            assert!(
                (mean - 0.5).abs() < 4.0 * (1.0 / 12.0 / N as f64).sqrt(),
                "mean {mean}"
            );
            assert!(
                covariance.abs() < 4.0 / 12.0 / (N as f64).sqrt(),
                "covariance {covariance}"
            );
        }
    }

    #[test]
    fn integers_below_a_bound_are_even() {
        const N: u64 = 60_000;
        let stream = Stream::new(1, "dice", 0);
        let mut counts = [0u64; 6];
        (0..N).for_each(|k| counts[stream.at(k).below(6) as usize] += 1);
        for count in counts {
            assert!(
                (count as f64 - 1e4).abs() < 4.0 * (N as f64 * 5.0 / 36.0).sqrt(),
                "{counts:?}"
            );
        }
        assert_eq!(stream.at(0).below(0), 0);
    }
}
