//! Latencies of any number of messages in bounded memory.

use std::fmt;

use hdrhistogram::Histogram;
use queuelab_core::Span;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hdr;

/// Latencies in nanoseconds: an HDR histogram of 3 significant figures (quantiles are within 0.1 %), with the count,
/// sum, least and largest kept exactly.
///
/// An empty one owns no memory; one that reaches an hour takes a quarter of a megabyte, however many messages it saw.
/// In JSON the buckets are the base64 text that HdrHistogram's tools read (V2, compressed).
#[derive(Clone, Default)]
pub struct Latencies {
    histogram: Option<Box<Histogram<u64>>>,
    sum: u128,
    min: u64,
    max: u64,
}

impl Latencies {
    /// Adds one latency.
    #[inline]
    pub fn record(&mut self, latency: Span) {
        let nanos = latency.0;
        match &mut self.histogram {
            Some(histogram) => {
                // An auto-resizing histogram refuses nothing that a 64-bit machine can index.
                let _ = histogram.record(nanos);
            }
            None => self.record_first(nanos),
        }
        if nanos > self.max {
            self.max = nanos;
        }
        if nanos < self.min {
            self.min = nanos;
        }
        self.sum += u128::from(nanos);
    }

    #[cold]
    fn record_first(&mut self, nanos: u64) {
        let mut histogram = hdr::empty();
        let _ = histogram.record(nanos);
        self.histogram = Some(Box::new(histogram));
        self.min = u64::MAX;
    }

    /// Adds all that `other` saw. The result is the same as if every latency had been recorded here.
    pub fn merge(&mut self, other: &Latencies) {
        let Some(theirs) = other.filled() else { return };
        if self.is_empty() {
            self.min = u64::MAX;
        }
        match &mut self.histogram {
            Some(ours) => {
                let _ = ours.add(theirs);
            }
            None => self.histogram = Some(Box::new(theirs.clone())),
        }
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Forgets all latencies but keeps the memory, for windows.
    pub fn reset(&mut self) {
        if let Some(histogram) = &mut self.histogram {
            histogram.reset();
            self.min = u64::MAX;
        }
        self.sum = 0;
        self.max = 0;
    }

    /// How many latencies were recorded.
    #[inline]
    pub fn count(&self) -> u64 {
        self.histogram
            .as_ref()
            .map_or(0, |histogram| histogram.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Their exact sum in nanoseconds.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The exact mean, rounded to a nanosecond; `None` without latencies.
    pub fn mean(&self) -> Option<Span> {
        let count = u128::from(self.count());
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
        let histogram = self.filled()?;
        // Not-a-number reads as zero.
        let q = if q > 0.0 { q.min(1.0) } else { 0.0 };
        Some(Span(
            histogram.value_at_quantile(q).clamp(self.min, self.max),
        ))
    }

    /// The share of latencies above `limit`, to the width of a bucket (0.1 %); 0 without latencies.
    pub fn fraction_above(&self, limit: Span) -> f64 {
        let Some(histogram) = self.filled() else {
            return 0.0;
        };
        if limit.0 >= self.max {
            return 0.0;
        }
        let above: u64 = self
            .buckets()
            .skip_while(|bucket| bucket.upper <= limit)
            .map(|bucket| bucket.count)
            .sum();
        above as f64 / histogram.len() as f64
    }

    /// The buckets that hold latencies, in order: what a distribution is plotted from.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let mut through = 0;
        let total = self.count();
        self.filled()
            .into_iter()
            .flat_map(|histogram| histogram.iter_recorded())
            .map(move |value| {
                through += value.count_at_value();
                Bucket {
                    upper: Span(value.value_iterated_to().clamp(self.min, self.max)),
                    count: value.count_at_value(),
                    through: through as f64 / total as f64,
                }
            })
    }

    /// The histogram, if it holds anything.
    pub(crate) fn filled(&self) -> Option<&Histogram<u64>> {
        self.histogram
            .as_deref()
            .filter(|histogram| !histogram.is_empty())
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
        let hdr = self.filled().map_or(String::new(), hdr::encode);
        let (min, max) = if self.is_empty() {
            (0, 0)
        } else {
            (self.min, self.max)
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
        let histogram = hdr::decode(&hdr)?;
        if histogram.len() != count {
            return Err(Contradiction("count"));
        }
        if !histogram.equivalent(histogram.min(), min) {
            return Err(Contradiction("min"));
        }
        if !histogram.equivalent(histogram.max(), max) || max < min {
            return Err(Contradiction("max"));
        }
        let bounds = u128::from(min) * u128::from(count)..=u128::from(max) * u128::from(count);
        if !bounds.contains(&sum) {
            return Err(Contradiction("sum"));
        }
        Ok(Latencies {
            histogram: Some(Box::new(histogram)),
            sum,
            min,
            max,
        })
    }
}
