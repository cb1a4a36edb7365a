//! Integers and byte strings in a record's body.

use bytes::Bytes;

/// Appends an integer in groups of 7 bits, the lowest first (LEB128).
pub(super) fn put_int(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer, small magnitudes in few bytes (zigzag).
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_int(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a byte string with its length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_int(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes apart what `put_…` put together. Every method answers `None` where the bytes don't say what is asked.
pub(super) struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a Bytes) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn int(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                return None;
            }
            value |= group << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        u32::try_from(self.int()?).ok()
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let value = self.int()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Eight bytes as they are.
    pub(super) fn fixed(&mut self) -> Option<u64> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(8)?)?;
        self.at += 8;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// A byte string, which shares the memory of what is read.
    pub(super) fn bytes(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.int()?).ok()?;
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.bytes.len())?;
        let bytes = self.bytes.slice(self.at..end);
        self.at = end;
        Some(bytes)
    }
}
