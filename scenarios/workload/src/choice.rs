//! Which target, which key, how large.

use bytes::Bytes;
use queuelab_scenario::{Keys, Size};
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use crate::distribution::Lognormal;
use crate::random::Stream;

/// A choice by weight in constant time (Walker's alias method).
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    /// `None` if there is nothing to choose: it is always the first.
    alias: Option<WeightedAliasIndex<f64>>,
}

impl Weighted {
    pub(crate) fn new(weights: Vec<f64>) -> Weighted {
        let alias = if weights.len() > 1 {
            WeightedAliasIndex::new(weights).ok()
        } else {
            None
        };
        Weighted { alias }
    }

    #[inline]
    pub(crate) fn choose(&self, stream: &Stream, counter: u64) -> u32 {
        self.alias
            .as_ref()
            .map_or(0, |alias| alias.sample(&mut stream.at(counter)) as u32)
    }
}

/// The keys of a group's messages, by index.
#[derive(Clone, Debug)]
pub(crate) struct KeyChoice {
    rule: KeyRule,
    names: KeyNames,
}

#[derive(Clone, Debug)]
enum KeyRule {
    First,
    InTurn { keys: u64 },
    Uniform { keys: u64 },
    Weighted(Weighted),
    Hot { keys: u64, hot: u64, share: f64 },
}

#[derive(Clone, Debug)]
enum KeyNames {
    Table(Vec<Bytes>),
    /// So many that a table would be a burden: made when asked for.
    Formula,
}

impl KeyChoice {
    pub(crate) fn new(keys: &Keys) -> KeyChoice {
        let (rule, names) = match keys {
            Keys::None => (KeyRule::First, KeyNames::Table(vec![Bytes::new()])),
            Keys::RoundRobin { keys } => (
                KeyRule::InTurn {
                    keys: u64::from(*keys).max(1),
                },
                numbered(*keys),
            ),
            Keys::Uniform { keys } => (
                KeyRule::Uniform {
                    keys: u64::from(*keys),
                },
                numbered(*keys),
            ),
            Keys::Zipf { keys, exponent } => {
                let weights = (1..=*keys)
                    .map(|k| libm::pow(f64::from(k), -exponent))
                    .collect();
                (KeyRule::Weighted(Weighted::new(weights)), numbered(*keys))
            }
            Keys::Hot { keys, hot, share } => {
                let hot = u64::from(*hot.min(keys));
                // With no key on one side the other has all.
                let share = if hot == u64::from(*keys) { 1.0 } else { *share };
                let share = if hot == 0 { 0.0 } else { share };
                (
                    KeyRule::Hot {
                        keys: u64::from(*keys),
                        hot,
                        share,
                    },
                    numbered(*keys),
                )
            }
            Keys::Shifting { .. } => unimplemented!(),
            Keys::Words(words) => {
                let weights = words.iter().map(|(_, weight)| *weight).collect();
                let names = words
                    .iter()
                    .map(|(word, _)| Bytes::copy_from_slice(word.as_bytes()))
                    .collect();
                (
                    KeyRule::Weighted(Weighted::new(weights)),
                    KeyNames::Table(names),
                )
            }
        };
        KeyChoice { rule, names }
    }

    /// The key of a member's message number `sequence`. Members take their turns from different starts.
    #[inline]
    pub(crate) fn choose(&self, stream: &Stream, member: u32, sequence: u64) -> u32 {
        match &self.rule {
            KeyRule::First => 0,
            KeyRule::InTurn { keys } => (sequence.wrapping_add(u64::from(member)) % keys) as u32,
            KeyRule::Uniform { keys } => stream.at(sequence).below(*keys) as u32,
            KeyRule::Weighted(weighted) => weighted.choose(stream, sequence),
            KeyRule::Hot { keys, hot, share } => {
                let mut draw = stream.at(sequence);
                let key = if draw.next_f64() < *share {
                    draw.below(*hot)
                } else {
                    hot + draw.below(keys - hot)
                };
                key as u32
            }
        }
    }

    pub(crate) fn name(&self, key: u32) -> Bytes {
        match &self.names {
            KeyNames::Table(names) => names.get(key as usize).cloned().unwrap_or_default(),
            KeyNames::Formula => numbered_name(key),
        }
    }
}

fn numbered(keys: u32) -> KeyNames {
    if keys <= MOST_NAMES {
        KeyNames::Table((0..keys).map(numbered_name).collect())
    } else {
        KeyNames::Formula
    }
}

fn numbered_name(key: u32) -> Bytes {
    Bytes::from(format!("k{key}"))
}

/// The largest table of names: a few megabytes.
const MOST_NAMES: u32 = 100_000;

/// The sizes of a group's messages.
#[derive(Clone, Debug)]
pub(crate) enum SizeChoice {
    Fixed(u32),
    Uniform { low: u64, values: u64 },
    Lognormal(Lognormal),
}

impl SizeChoice {
    pub(crate) fn new(size: &Size) -> SizeChoice {
        match *size {
            Size::Bimodal { .. } | Size::Empirical(_) => unimplemented!(),
            Size::Fixed(bytes) => SizeChoice::Fixed(saturate(bytes)),
            Size::Uniform(low, high) => SizeChoice::Uniform {
                low,
                values: high.saturating_sub(low).saturating_add(1),
            },
            Size::Lognormal { median, p99 } => SizeChoice::Lognormal(Lognormal::new(median, p99)),
        }
    }

    #[inline]
    pub(crate) fn choose(&self, stream: &Stream, sequence: u64) -> u32 {
        match self {
            SizeChoice::Fixed(bytes) => *bytes,
            SizeChoice::Uniform { low, values } => {
                saturate(low.saturating_add(stream.at(sequence).below(*values)))
            }
            SizeChoice::Lognormal(lognormal) => {
                (lognormal.sample(&mut stream.at(sequence)) + 0.5) as u32
            }
        }
    }
}

fn saturate(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u64 = 100_000;

    fn counts(keys: &Keys, kinds: usize) -> Vec<f64> {
        let (choice, stream) = (KeyChoice::new(keys), Stream::new(5, "keys", 0));
        let mut counts = vec![0.0; kinds];
        (0..N).for_each(|sequence| counts[choice.choose(&stream, 0, sequence) as usize] += 1.0);
        counts
    }

    fn check(keys: &Keys, shares: &[f64]) {
        for (count, share) in counts(keys, shares.len()).into_iter().zip(shares) {
            let (expected, allowed) = (
                share * N as f64,
                4.0 * (N as f64 * share * (1.0 - share)).sqrt(),
            );
            assert!(
                (count - expected).abs() <= allowed,
                "{keys:?}: {count}, not {expected}"
            );
        }
    }

    #[test]
    fn keys_have_their_frequencies() {
        check(&Keys::None, &[1.0]);
        check(&Keys::RoundRobin { keys: 4 }, &[0.25; 4]);
        check(&Keys::Uniform { keys: 10 }, &[0.1; 10]);
        check(
            &Keys::Words(vec![
                ("a".into(), 1.0),
                ("b".into(), 3.0),
                ("c".into(), 0.0),
            ]),
            &[0.25, 0.75, 0.0],
        );
        check(
            &Keys::Hot {
                keys: 6,
                hot: 2,
                share: 0.8,
            },
            &[0.4, 0.4, 0.05, 0.05, 0.05, 0.05],
        );
        check(
            &Keys::Hot {
                keys: 2,
                hot: 2,
                share: 0.5,
            },
            &[0.5, 0.5],
        );
        check(
            &Keys::Hot {
                keys: 2,
                hot: 0,
                share: 0.5,
            },
            &[0.5, 0.5],
        );
        for exponent in [0.0, 1.0, 1.2] {
            let weights: Vec<f64> = (1..=50)
                .map(|k| libm::pow(f64::from(k), -exponent))
                .collect();
            let sum: f64 = weights.iter().sum();
            let shares: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            check(&Keys::Zipf { keys: 50, exponent }, &shares);
        }
    }

    #[test]
    fn keys_have_names_with_and_without_a_table() {
        let name = |keys, key| KeyChoice::new(&keys).name(key);
        assert_eq!(name(Keys::None, 0), "");
        assert_eq!(name(Keys::Uniform { keys: 10 }, 9), "k9");
        assert_eq!(
            name(
                Keys::Uniform {
                    keys: 4_000_000_000
                },
                3_999_999_999
            ),
            "k3999999999"
        );
        assert_eq!(
            name(Keys::Words(vec![("a".into(), 1.0), ("b".into(), 1.0)]), 1),
            "b"
        );
    }

    #[test]
    fn sizes_have_their_ranges_and_medians() {
        let stream = Stream::new(5, "sizes", 0);
        let sizes = |size| {
            let choice = SizeChoice::new(&size);
            let mut sizes: Vec<u32> = (0..10_001)
                .map(|sequence| choice.choose(&stream, sequence))
                .collect();
            sizes.sort_unstable();
            sizes
        };
        assert!(sizes(Size::Fixed(700)).iter().all(|size| *size == 700));
        let uniform = sizes(Size::Uniform(100, 109));
        assert_eq!((uniform[0], uniform[10_000]), (100, 109));
        let lognormal = sizes(Size::Lognormal {
            median: 700.0,
            p99: 8192.0,
        });
        let above = |bound| lognormal.iter().filter(|size| **size > bound).count() as f64;
        assert!((above(700) - 5000.0).abs() < 4.0 * 50.0, "{}", above(700));
        assert!((above(8192) - 100.0).abs() < 4.0 * 10.0, "{}", above(8192));
        assert_eq!(sizes(Size::Fixed(u64::MAX))[0], u32::MAX);
    }
}
