//! Latencies of any number of messages in bounded memory.

use std::fmt;

use queuelab_core::Span;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hdr;

/// Latencies in nanoseconds: a histogram of 3 significant figures, bucketed as HdrHistogram does (quantiles are within
/// 0.1 %), with the count, sum, least and largest kept exactly.
///
/// An empty one owns no memory; one that reaches an hour takes a quarter of a megabyte, however many messages it saw.
/// In JSON the buckets are the base64 text that HdrHistogram's tools read (V2, compressed).
#[derive(Clone, Default)]
pub struct Latencies {
    /// By [`hdr::index_of`], as far as the largest reaches.
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Latencies {
    /// Adds one latency.
    // Several are recorded per message of a run: all but the first in their doubling come by with an index and an addition.
    #[inline]
    pub fn record(&mut self, latency: Span) {
        let nanos = latency.0;
        match self.counts.get_mut(hdr::index_of(nanos)) {
            Some(count) => *count += 1,
            None => self.record_beyond(nanos),
        }
        self.count += 1;
        self.sum += u128::from(nanos);
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
    }

    #[cold]
    fn record_beyond(&mut self, nanos: u64) {
        self.reach(hdr::length_for(nanos));
        self.counts[hdr::index_of(nanos)] += 1;
    }

    /// Makes room for so many buckets.
    fn reach(&mut self, length: usize) {
        if self.is_empty() {
            self.min = u64::MAX;
        }
        if length > self.counts.len() {
            self.counts.reserve_exact(length - self.counts.len());
            self.counts.resize(length, 0);
        }
    }

    /// Adds all that `other` saw. The result is the same as if every latency had been recorded here.
    pub fn merge(&mut self, other: &Latencies) {
        if other.is_empty() {
            return;
        }
        self.reach(other.counts.len());
        for (ours, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *ours = ours.saturating_add(*theirs);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Forgets all latencies but keeps the memory, for windows.
    pub fn reset(&mut self) {
        self.counts.fill(0);
        (self.count, self.sum) = (0, 0);
        (self.min, self.max) = (u64::MAX, 0);
    }

    /// How many latencies were recorded.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their exact sum in nanoseconds.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The exact mean, rounded to a nanosecond; `None` without latencies.
    pub fn mean(&self) -> Option<Span> {
        let count = u128::from(self.count);
        (count > 0).then(|| Span(((self.sum + count / 2) / count) as u64))
    }

    /// The exact least; `None` without latencies.
    pub fn min(&self) -> Option<Span> {
        (!self.is_empty()).then_some(Span(self.min))
    }

    /// The exact largest; `None` without latencies.
    pub fn max(&self) -> Option<Span> {
        (!self.is_empty()).then_some(Span(self.max))
    }

    /// The latency that a share `q` (0 to 1, clamped) of all are not above: the one of rank ⌈q · count⌉, at most 0.1 %
    /// too high; `None` without latencies.
    pub fn quantile(&self, q: f64) -> Option<Span> {
        if self.is_empty() {
            return None;
        }
        // Not-a-number reads as zero.
        let q = if q > 0.0 { q.min(1.0) } else { 0.0 };
        if q == 0.0 {
            return self.min();
        }
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut through = 0;
        let index = self.counts.iter().position(|count| {
            through += count;
            through >= rank
        });
        let upper = index.map_or(self.max, hdr::upper);
        Some(Span(upper.clamp(self.min, self.max)))
    }

    /// The share of latencies above `limit`, to the width of a bucket (0.1 %); 0 without latencies.
    pub fn fraction_above(&self, limit: Span) -> f64 {
        if self.is_empty() || limit.0 >= self.max {
            return 0.0;
        }
        let above: u64 = self
            .buckets()
            .skip_while(|bucket| bucket.upper <= limit)
            .map(|bucket| bucket.count)
            .sum();
        above as f64 / self.count as f64
    }

    /// The buckets that hold latencies, in order: what a distribution is plotted from.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let mut through = 0;
        let filled = self.counts.iter().enumerate();
        filled
            .filter(|(_, count)| **count > 0)
            .map(move |(index, count)| {
                through += count;
                Bucket {
                    upper: Span(hdr::upper(index).clamp(self.min, self.max)),
                    count: *count,
                    through: through as f64 / self.count as f64,
                }
            })
    }
}

/// Latencies that the histogram does not tell apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The largest latency that falls here (and not above the largest that was seen).
    pub upper: Span,
    /// How many did.
    pub count: u64,
    /// The share of all latencies that fall here or below, 0 to 1.
    pub through: f64,
}

impl PartialEq for Latencies {
    fn eq(&self, other: &Latencies) -> bool {
        self.sum == other.sum
            && self.min() == other.min()
            && self.max() == other.max()
            && self.count() == other.count()
            && self.buckets().eq(other.buckets())
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("count", &self.count())
            .field("min", &self.min())
            .field("mean", &self.mean())
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish()
    }
}

/// What stands in JSON.
#[derive(Serialize, Deserialize)]
struct Text {
    count: u64,
    #[serde(with = "crate::wide::one")]
    sum: u128,
    min: u64,
    max: u64,
    hdr: String,
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (hdr, min, max) = match self.is_empty() {
            true => (String::new(), 0, 0),
            false => (hdr::encode(&self.counts), self.min, self.max),
        };
        Text {
            count: self.count(),
            sum: self.sum,
            min,
            max,
            hdr,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Latencies, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Latencies::try_from(text).map_err(de::Error::custom)
    }
}

impl TryFrom<Text> for Latencies {
    type Error = hdr::DecodeError;

    /// The parts are checked against each other, so that no damaged record passes for a measurement.
    fn try_from(text: Text) -> Result<Latencies, hdr::DecodeError> {
        use hdr::DecodeError::Contradiction;
        let Text {
            count,
            sum,
            min,
            max,
            hdr,
        } = text;
        if count == 0 {
            let empty = sum == 0 && min == 0 && max == 0 && hdr.is_empty();
            return if empty {
                Ok(Latencies::default())
            } else {
                Err(Contradiction("count"))
            };
        }
        let counts = hdr::decode(&hdr)?;
        if counts.iter().sum::<u64>() != count {
            return Err(Contradiction("count"));
        }
        let filled = |count: &u64| *count > 0;
        if counts.iter().position(filled) != Some(hdr::index_of(min)) {
            return Err(Contradiction("min"));
        }
        if counts.iter().rposition(filled) != Some(hdr::index_of(max)) || max < min {
            return Err(Contradiction("max"));
        }
        let bounds = u128::from(min) * u128::from(count)..=u128::from(max) * u128::from(count);
        if !bounds.contains(&sum) {
            return Err(Contradiction("sum"));
        }
        Ok(Latencies {
            counts,
            count,
            sum,
            min,
            max,
        })
    }
}
