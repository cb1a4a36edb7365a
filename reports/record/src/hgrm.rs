//! Percentile distributions as HdrHistogram's tools print them, byte for byte: what they plot, and people compare.
//!
//! The steps, the order of operations and the rounding are those of HdrHistogram's `outputPercentileDistribution`; hdr-histogram-js printed
//! the file that the tests compare with.

use std::fmt::Write as _;

use crate::{Bucket, Latencies, hdr};

/// `latencies` in milliseconds: five steps per halving of the distance to 100 %, then mean, deviation and maximum. The mean is that of
/// the buckets, as the tools have it; all else they know is exact.
pub fn hgrm(latencies: &Latencies) -> String {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let total = latencies.count();
    let (mut level, mut through) = (0.0, 0);
    let mut last = 0;
    for bucket in latencies.buckets() {
        through += bucket.count;
        last = upper(&bucket);
        while 100.0 * through as f64 / total as f64 >= level {
            let _ = writeln!(
                text,
                "{:>12} {} {through:>10} {:>14}",
                millis(last),
                rounded(level / 100.0, 12),
                rounded(1.0 / (1.0 - level / 100.0), 2),
            );
            if through >= total {
                break;
            }
            level += 100.0 / ticks(level);
        }
    }
    if total > 0 {
        let _ = writeln!(text, "{:>12} 1.000000000000 {total:>10}", millis(last));
    }
    let (mean, deviation) = moments(latencies);
    let largest = latencies.max().unwrap_or_default().0;
    // How many doublings the values span, above the first 2048 nanoseconds.
    let buckets = (largest | 2047).ilog2() - 9;
    let _ = write!(
        text,
        "#[Mean    = {:>12}, StdDeviation   = {:>12}]\n\
         #[Max     = {:>12}, Total count    = {total:>12}]\n\
         #[Buckets = {buckets:>12}, SubBuckets     = {:>12}]\n",
        rounded(mean / MILLISECOND, 3),
        rounded(deviation / MILLISECOND, 3),
        millis(largest),
        2048
    );
    text
}

/// The steps that the way from 0 to 100 % would take at this level: twice as many in each half of what is left.
fn ticks(level: f64) -> f64 {
    let mut ticks = 2.0 * TICKS_PER_HALF;
    let mut left = 100.0 / (100.0 - level);
    while left >= 2.0 {
        left /= 2.0;
        ticks *= 2.0;
    }
    ticks
}

/// The largest value that is counted where the bucket is.
fn upper(bucket: &Bucket) -> u64 {
    hdr::upper(hdr::index_of(bucket.upper.0))
}

/// Mean and standard deviation, of values in the middle of their buckets.
fn moments(latencies: &Latencies) -> (f64, f64) {
    let total = latencies.count() as f64;
    if latencies.is_empty() {
        return (0.0, 0.0);
    }
    let middle = |bucket: &Bucket| {
        let index = hdr::index_of(bucket.upper.0);
        let lower = match index {
            0 => 0,
            index => hdr::upper(index - 1) + 1,
        };
        (lower + (hdr::upper(index) - lower).div_ceil(2)) as f64
    };
    let sum: f64 = latencies
        .buckets()
        .map(|bucket| middle(&bucket) * bucket.count as f64)
        .sum();
    let mean = sum / total;
    let squares: f64 = latencies
        .buckets()
        .map(|bucket| {
            let deviation = middle(&bucket) - mean;
            deviation * deviation * bucket.count as f64
        })
        .sum();
    (mean, (squares / total).sqrt())
}

/// Three decimals, halves away from zero.
fn millis(nanos: u64) -> String {
    let micros = nanos / 1_000 + u64::from(nanos % 1_000 >= 500);
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

/// A number that is not negative, with so many decimals. Halves of its shortest decimal form go up, as in Java and JavaScript; Rust
/// would go by the binary number's own.
fn rounded(value: f64, decimals: usize) -> String {
    let shortest = value.to_string();
    let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
    let mut digits: Vec<u8> = whole.bytes().collect();
    digits.extend(
        fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(decimals),
    );
    let mut carry = fraction
        .as_bytes()
        .get(decimals)
        .is_some_and(|digit| *digit >= b'5');
    for digit in digits
        .iter_mut()
        .rev()
        .filter(|digit| digit.is_ascii_digit())
    {
        if !carry {
            break;
        }
        carry = *digit == b'9';
        *digit = if carry { b'0' } else { *digit + 1 };
    }
    let mut text: String = digits.into_iter().map(char::from).collect();
    if carry {
        text.insert(0, '1');
    }
    text.insert(text.len() - decimals, '.');
    text
}

const MILLISECOND: f64 = 1e6;
const TICKS_PER_HALF: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up_as_people_write_them() {
        for (value, decimals, text) in [
            (0.0, 3, "0.000"),
            (0.999_975_585_937_5, 12, "0.999975585938"),
            (1.005, 2, "1.01"),
            (9.999_6, 3, "10.000"),
            (99.994, 2, "99.99"),
            (1e15, 2, "1000000000000000.00"),
        ] {
            assert_eq!(rounded(value, decimals), text);
        }
        assert_eq!(millis(1_499), "0.001");
        assert_eq!(millis(1_500), "0.002");
    }
}
