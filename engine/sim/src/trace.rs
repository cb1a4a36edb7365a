//! A rolling hash of everything that happened, to tell two runs apart.

use queuelab_core::Time;

/// Folds (time, sequence, kind, target, digest) of each event into 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    events: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Trace {
            hash: 0x243f_6a88_85a3_08d3,
            events: 0,
        }
    }
}

impl Trace {
    /// Takes an event of the calendar in.
    #[inline]
    pub fn event(&mut self, at: Time, sequence: u64, kind: u8, target: u32) {
        self.events += 1;
        self.fold(
            at.0 ^ sequence.rotate_left(32),
            (u64::from(kind) << 32) | u64::from(target),
        );
    }

    /// Takes in what an event did.
    #[inline]
    pub fn digest(&mut self, what: u64, of: u64) {
        self.fold(what, of);
    }

    /// Events taken in.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash, in hexadecimal.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.hash)
    }

    /// One widening multiplication: every bit of both words reaches every bit of the hash.
    #[inline]
    fn fold(&mut self, a: u64, b: u64) {
        let product = u128::from(self.hash ^ a ^ 0x9e37_79b9_7f4a_7c15)
            * u128::from(b ^ 0xd6e8_feb8_6659_fd93 ^ self.hash.rotate_left(29));
        self.hash = (product as u64) ^ ((product >> 64) as u64) ^ a.rotate_left(17) ^ b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_matter() {
        let hash = |events: &[(u64, u64, u8, u32)]| {
            let mut trace = Trace::default();
            events.iter().for_each(|&(at, sequence, kind, target)| {
                trace.event(Time(at), sequence, kind, target)
            });
            trace.hash()
        };
        let base = hash(&[(1, 1, 1, 1), (2, 2, 2, 2)]);
        assert_eq!(base, hash(&[(1, 1, 1, 1), (2, 2, 2, 2)]));
        for other in [
            [(2, 2, 2, 2), (1, 1, 1, 1)],
            [(1, 1, 1, 1), (3, 2, 2, 2)],
            [(1, 1, 1, 1), (2, 3, 2, 2)],
            [(1, 1, 1, 1), (2, 2, 3, 2)],
            [(1, 1, 1, 1), (2, 2, 2, 3)],
        ] {
            assert_ne!(base, hash(&other));
        }
    }
}
