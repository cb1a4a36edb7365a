//! HdrHistogram's V2 encoding, compressed. The crate's own encoder leaves the deflate bytes to whichever library is
//! linked; these bytes are the same everywhere.
//!
//! Layout: <https://github.com/HdrHistogram/HdrHistogram> (`AbstractHistogram.encodeIntoCompressedByteBuffer`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Why text is not a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is not base64.
    #[error("the histogram is not base64")]
    Base64,
    /// The frame, or what is in it, does not begin with the cookie of the V2 encoding.
    #[error("the histogram is not in HdrHistogram's compressed V2 encoding")]
    Cookie,
    /// A length disagrees with what is there.
    #[error("the histogram is cut short or too long")]
    Length,
    /// What is compressed is damaged.
    #[error("the histogram does not decompress")]
    Compression,
    /// It is sound, but of other significant figures, unit or offset than these records use.
    #[error("the histogram has parameters other than 3 significant figures of nanoseconds")]
    Parameters,
    /// Counts lie beyond 64-bit values, or sum to more than 64 bits.
    #[error("the histogram's counts are out of range")]
    Counts,
    /// The histogram disagrees with the exact figures beside it.
    #[error("the histogram contradicts its `{0}`")]
    Contradiction(&'static str),
}

/// The base64 text of a histogram with these counts, of which one at least is not zero.
pub(crate) fn encode(histogram: &[u64]) -> String {
    let (mut counts, mut next) = (Vec::new(), 0);
    for (index, count) in histogram.iter().enumerate() {
        if *count == 0 {
            continue;
        }
        match index - next {
            0 => {}
            // A single zero is written as itself, a run of zeros as its negated length.
            1 => put_varint(&mut counts, 0),
            zeros => put_varint(&mut counts, zig_zag(-(zeros as i64))),
        }
        put_varint(&mut counts, zig_zag((*count).min(i64::MAX as u64) as i64));
        next = index + 1;
    }
    // The bound follows from the largest value, not from how far the histogram in memory has grown.
    let highest = upper(next.saturating_sub(1))
        .max(2 * HALF - 1)
        .checked_add(1)
        .and_then(u64::checked_next_power_of_two);
    let highest = highest.map_or(u64::MAX, |power| power - 1);

    let mut inner = Vec::with_capacity(HEADER + counts.len());
    inner.extend(COOKIE.to_be_bytes());
    inner.extend((counts.len() as u32).to_be_bytes());
    inner.extend(0u32.to_be_bytes()); // normalising offset
    inner.extend(SIGNIFICANT_FIGURES.to_be_bytes());
    inner.extend(1u64.to_be_bytes()); // lowest discernible value
    inner.extend(highest.to_be_bytes());
    inner.extend(1f64.to_be_bytes()); // integer-to-double ratio
    inner.extend(counts);

    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&inner, COMPRESSION_LEVEL);
    let mut frame = Vec::with_capacity(8 + packed.len());
    frame.extend(COMPRESSED_COOKIE.to_be_bytes());
    frame.extend((packed.len() as u32).to_be_bytes());
    frame.extend(packed);
    STANDARD.encode(frame)
}

/// The counts of the histogram that `text` encodes. Memory stays below a megabyte beyond the text's own, whatever the text claims.
pub(crate) fn decode(text: &str) -> Result<Vec<u64>, DecodeError> {
    let frame = STANDARD.decode(text).map_err(|_| DecodeError::Base64)?;
    let mut frame = Bytes(&frame);
    if frame.u32()? != COMPRESSED_COOKIE {
        return Err(DecodeError::Cookie);
    }
    if frame.u32()? as usize != frame.0.len() {
        return Err(DecodeError::Length);
    }
    // Every count takes at most nine bytes, so an honest histogram never needs more.
    let most = HEADER + 9 * INDEXES;
    let inner = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(frame.0, most)
        .map_err(|_| DecodeError::Compression)?;

    let mut inner = Bytes(&inner);
    if inner.u32()? != COOKIE {
        return Err(DecodeError::Cookie);
    }
    let length = inner.u32()? as usize;
    let (offset, figures, lowest) = (inner.u32()?, inner.u32()?, inner.u64()?);
    let (_highest, ratio) = (inner.u64()?, inner.u64()?);
    if (offset, figures, lowest, ratio) != (0, SIGNIFICANT_FIGURES, 1, 1f64.to_bits()) {
        return Err(DecodeError::Parameters);
    }
    if length != inner.0.len() {
        return Err(DecodeError::Length);
    }

    let (mut counts, mut index, mut total) = (Vec::new(), 0u64, 0u64);
    while !inner.0.is_empty() {
        let number = un_zig_zag(inner.varint()?);
        let run = if number < 0 { number.unsigned_abs() } else { 1 };
        index = index
            .checked_add(run)
            .filter(|&index| index <= INDEXES as u64)
            .ok_or(DecodeError::Counts)?;
        if number > 0 {
            total = total
                .checked_add(number as u64)
                .ok_or(DecodeError::Counts)?;
            counts.resize(index as usize, 0);
            counts[index as usize - 1] = number as u64;
        }
    }
    Ok(counts)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Length)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_be_bytes)
    }

    /// LEB128 of at most nine bytes, the ninth of which is taken whole.
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for place in 0..8 {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        let [byte] = self.take()?;
        Ok(value | u64::from(byte) << 56)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    for _ in 0..8 {
        if value < 0x80 {
            return out.push(value as u8);
        }
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zig_zag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn un_zig_zag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Where `value` is counted: units up to 2048, then 1024 steps per doubling.
#[inline]
pub(crate) fn index_of(value: u64) -> usize {
    let bucket = u64::from((value | (2 * HALF - 1)).ilog2()) - 10;
    (bucket * HALF + (value >> bucket)) as usize
}

/// How many counts reach to the end of the doubling in which `value` is counted.
pub(crate) fn length_for(value: u64) -> usize {
    (index_of(value) + 1).next_multiple_of(HALF as usize)
}

/// The least value that is counted at `index`.
fn value_at(index: usize) -> u64 {
    let index = index as u64;
    let bucket = (index / HALF).saturating_sub(1);
    (index - bucket * HALF) << bucket
}

/// The largest value that is counted at `index`.
pub(crate) fn upper(index: usize) -> u64 {
    let bucket = (index as u64 / HALF).saturating_sub(1);
    value_at(index) + ((1 << bucket) - 1)
}

// The 1 marks counts as variable-length integers, as V2 always has them.
const COOKIE: u32 = 0x1c84_9313;
const COMPRESSED_COOKIE: u32 = 0x1c84_9314;
const HEADER: usize = 40;
const SIGNIFICANT_FIGURES: u32 = 3;
const COMPRESSION_LEVEL: u8 = 6;
/// Half of the steps of the first bucket: the steps of every other.
const HALF: u64 = 1024;
/// As many as 64-bit values need.
const INDEXES: usize = 55 * HALF as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_and_values_agree_with_each_other() {
        for index in 0..INDEXES {
            assert_eq!(index_of(value_at(index)), index);
            assert_eq!(index_of(upper(index)), index);
        }
        assert_eq!(index_of(u64::MAX), INDEXES - 1);
        assert_eq!(upper(INDEXES - 1), u64::MAX);
    }
}
