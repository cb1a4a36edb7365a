//! Which target, which key, how large.

use std::collections::BTreeMap;

use bytes::Bytes;
use queuelab_core::{Span, Time};
use queuelab_scenario::{Keys, Size, Trace};
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use crate::distribution::Lognormal;
use crate::random::{Draw, Stream};

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

    pub(crate) fn pick(&self, draw: &mut Draw) -> u32 {
        self.alias
            .as_ref()
            .map_or(0, |alias| alias.sample(draw) as u32)
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
    Hot(Hot),
    Shifting { hot: Hot, every: Span },
    Recorded(Recorded),
}

/// Some keys get more than the others.
#[derive(Clone, Copy, Debug)]
struct Hot {
    keys: u64,
    hot: u64,
    share: f64,
}

impl Hot {
    fn new(keys: u32, hot: u32, share: f64) -> Hot {
        let hot = u64::from(hot.min(keys));
        // With no key on one side the other has all.
        let share = if hot == u64::from(keys) { 1.0 } else { share };
        Hot {
            keys: u64::from(keys),
            hot,
            share: if hot == 0 { 0.0 } else { share },
        }
    }

    #[inline]
    fn choose(&self, mut draw: Draw) -> u64 {
        if draw.next_f64() < self.share {
            draw.below(self.hot)
        } else {
            self.hot + draw.below(self.keys - self.hot)
        }
    }
}

/// A column of a recorded workload, dealt out to the members in turn.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    values: Vec<u32>,
    members: u64,
}

impl Recorded {
    fn new(values: Vec<u32>, members: u32) -> Recorded {
        Recorded {
            values,
            members: u64::from(members.max(1)),
        }
    }

    fn get(&self, member: u32, sequence: u64) -> u32 {
        let at = sequence * self.members + u64::from(member);
        self.values.get(at as usize).copied().unwrap_or(0)
    }
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
                (KeyRule::Hot(Hot::new(*keys, *hot, *share)), numbered(*keys))
            }
            Keys::Shifting {
                keys,
                hot,
                share,
                every,
            } => (
                KeyRule::Shifting {
                    hot: Hot::new(*keys, *hot, *share),
                    every: *every,
                },
                numbered(*keys),
            ),
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

    /// The keys of a recorded workload, if it has any.
    pub(crate) fn recorded(trace: &Trace, members: u32) -> Option<KeyChoice> {
        trace.messages.iter().find(|row| row.key.is_some())?;
        let words = trace
            .messages
            .iter()
            .map(|row| row.key.as_deref().unwrap_or(""));
        let mut numbers: BTreeMap<&str, u32> = words.clone().map(|word| (word, 0)).collect();
        for (number, at) in (0..).zip(numbers.values_mut()) {
            *at = number;
        }
        let names = numbers
            .keys()
            .map(|word| Bytes::copy_from_slice(word.as_bytes()));
        Some(KeyChoice {
            names: KeyNames::Table(names.collect()),
            rule: KeyRule::Recorded(Recorded::new(
                words.map(|word| numbers[word]).collect(),
                members,
            )),
        })
    }

    /// The key of a member's message number `sequence`. Members take their turns from different starts.
    #[inline]
    pub(crate) fn choose(
        &self,
        stream: &Stream,
        member: u32,
        sequence: u64,
        intended: Time,
    ) -> u32 {
        match &self.rule {
            KeyRule::First => 0,
            KeyRule::InTurn { keys } => (sequence.wrapping_add(u64::from(member)) % keys) as u32,
            KeyRule::Uniform { keys } => stream.at(sequence).below(*keys) as u32,
            KeyRule::Weighted(weighted) => weighted.choose(stream, sequence),
            KeyRule::Hot(hot) => hot.choose(stream.at(sequence)) as u32,
            KeyRule::Shifting { hot, every } => {
                let shifts = intended.0 / every.0.max(1);
                // The remainders first, lest a product of large numbers overflow.
                let from = shifts % hot.keys.max(1) * hot.hot;
                ((from + hot.choose(stream.at(sequence))) % hot.keys.max(1)) as u32
            }
            KeyRule::Recorded(column) => column.get(member, sequence),
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
    Bimodal { small: u32, large: u32, share: f64 },
    Empirical { sizes: Vec<u32>, weights: Weighted },
    Recorded(Recorded),
}

impl SizeChoice {
    pub(crate) fn new(size: &Size) -> SizeChoice {
        match *size {
            Size::Bimodal {
                small,
                large,
                share,
            } => SizeChoice::Bimodal {
                small: saturate(small),
                large: saturate(large),
                share,
            },
            Size::Empirical(ref sizes) => SizeChoice::Empirical {
                sizes: sizes.iter().map(|(bytes, _)| saturate(*bytes)).collect(),
                weights: Weighted::new(sizes.iter().map(|(_, weight)| *weight).collect()),
            },
            Size::Fixed(bytes) => SizeChoice::Fixed(saturate(bytes)),
            Size::Uniform(low, high) => SizeChoice::Uniform {
                low,
                values: high.saturating_sub(low).saturating_add(1),
            },
            Size::Lognormal { median, p99 } => SizeChoice::Lognormal(Lognormal::new(median, p99)),
        }
    }

    /// The sizes of a recorded workload, if it has any.
    pub(crate) fn recorded(trace: &Trace, members: u32) -> Option<SizeChoice> {
        trace.messages.iter().find(|row| row.size.is_some())?;
        let sizes = trace.messages.iter().map(|row| row.size.unwrap_or(0));
        Some(SizeChoice::Recorded(Recorded::new(
            sizes.collect(),
            members,
        )))
    }

    #[inline]
    pub(crate) fn choose(&self, stream: &Stream, member: u32, sequence: u64) -> u32 {
        match self {
            SizeChoice::Fixed(bytes) => *bytes,
            SizeChoice::Uniform { low, values } => {
                saturate(low.saturating_add(stream.at(sequence).below(*values)))
            }
            SizeChoice::Lognormal(lognormal) => {
                (lognormal.sample(&mut stream.at(sequence)) + 0.5) as u32
            }
            SizeChoice::Bimodal {
                small,
                large,
                share,
            } => {
                if stream.at(sequence).next_f64() < *share {
                    *large
                } else {
                    *small
                }
            }
            SizeChoice::Empirical { sizes, weights } => {
                let at = weights.choose(stream, sequence) as usize;
                sizes.get(at).copied().unwrap_or(0)
            }
            SizeChoice::Recorded(column) => column.get(member, sequence),
        }
    }
}

fn saturate(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use queuelab_scenario::TraceMessage;

    const N: u64 = 100_000;

    fn counts(keys: &Keys, kinds: usize) -> Vec<f64> {
        let (choice, stream) = (KeyChoice::new(keys), Stream::new(5, "keys", 0));
        let mut counts = vec![0.0; kinds];
        (0..N).for_each(|sequence| {
            counts[choice.choose(&stream, 0, sequence, Time::ZERO) as usize] += 1.0
        });
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
    fn hot_keys_move_on() {
        let keys = Keys::Shifting {
            keys: 10,
            hot: 2,
            share: 0.8,
            every: Span::from_secs(5),
        };
        let (choice, stream) = (KeyChoice::new(&keys), Stream::new(5, "keys", 0));
        for (seconds, hot) in [
            (0, [0, 1]),
            (4, [0, 1]),
            (5, [2, 3]),
            (24, [8, 9]),
            (25, [0, 1]),
        ] {
            let now = Time::ZERO + Span::from_secs(seconds);
            let mut counts = [0u32; 10];
            (0..N).for_each(|k| counts[choice.choose(&stream, 0, k, now) as usize] += 1);
            for (key, count) in counts.into_iter().enumerate() {
                let share: f64 = if hot.contains(&key) { 0.4 } else { 0.025 };
                let allowed = 5.0 * (N as f64 * share * (1.0 - share)).sqrt();
                let expected = share * N as f64;
                assert!(
                    (f64::from(count) - expected).abs() < allowed,
                    "{seconds} s: {counts:?}"
                );
            }
        }
    }

    #[test]
    fn recorded_columns_are_dealt_out_in_turn() {
        let row = |key: &str, size| TraceMessage {
            at: Time::ZERO,
            key: Some(key.into()),
            size: Some(size),
        };
        let trace = Trace {
            file: "x.csv".into(),
            messages: vec![
                row("b", 1),
                row("a", 2),
                row("b", 3),
                row("c", 4),
                row("a", 5),
            ],
            speed: 1.0,
        };
        let stream = Stream::new(5, "x", 0);
        let keys = KeyChoice::recorded(&trace, 2).expect("it has keys");
        let sizes = SizeChoice::recorded(&trace, 2).expect("it has sizes");
        let of = |member: u32, count| -> Vec<(Bytes, u32)> {
            (0..count)
                .map(|k| {
                    let key = keys.choose(&stream, member, k, Time::ZERO);
                    (keys.name(key), sizes.choose(&stream, member, k))
                })
                .collect()
        };
        assert_eq!(
            of(0, 3),
            [("b".into(), 1), ("b".into(), 3), ("a".into(), 5)]
        );
        assert_eq!(of(1, 2), [("a".into(), 2), ("c".into(), 4)]);
        let bare = Trace {
            messages: vec![TraceMessage {
                at: Time::ZERO,
                key: None,
                size: None,
            }],
            ..trace
        };
        assert!(
            KeyChoice::recorded(&bare, 2).is_none() && SizeChoice::recorded(&bare, 2).is_none()
        );
    }

    #[test]
    fn sizes_have_their_frequencies() {
        let stream = Stream::new(5, "sizes", 0);
        let bimodal = Size::Bimodal {
            small: 100,
            large: 9000,
            share: 0.1,
        };
        let empirical = Size::Empirical(vec![(10, 1.0), (20, 2.0), (9000, 1.0)]);
        for (size, share) in [(bimodal, 0.1f64), (empirical, 0.25)] {
            let choice = SizeChoice::new(&size);
            let large = (0..N)
                .filter(|k| choice.choose(&stream, 0, *k) == 9000)
                .count() as f64;
            let allowed = 5.0 * (N as f64 * share * (1.0 - share)).sqrt();
            assert!(
                (large - share * N as f64).abs() < allowed,
                "{size:?}: {large}"
            );
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
                .map(|sequence| choice.choose(&stream, 0, sequence))
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
