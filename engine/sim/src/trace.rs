//! A rolling hash of everything that happened, to tell two runs apart.

mod keep;
mod words;

use queuelab_core::Time;
use queuelab_record::EventTrace;

use keep::{Kept, traced};
pub use words::in_words;

/// Folds (time, sequence, kind, target, digest) of each event into 64 bits, and keeps the events where somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    events: u64,
    kept: Option<Box<Kept>>,
}

impl Default for Trace {
    fn default() -> Self {
        Trace {
            hash: 0x243f_6a88_85a3_08d3,
            events: 0,
            kept: None,
        }
    }
}

impl Trace {
    /// One that keeps events too.
    pub fn keeping() -> Trace {
        Trace {
            kept: Some(Box::default()),
            ..Trace::default()
        }
    }

    /// Takes an event of the calendar in.
    #[inline]
    pub fn event(&mut self, at: Time, sequence: u64, kind: u8, target: u32) {
        self.events += 1;
        if self.kept.is_some() {
            self.keep_event(at, sequence, kind, target);
        }
        self.fold(
            at.0 ^ sequence.rotate_left(32),
            (u64::from(kind) << 32) | u64::from(target),
        );
    }

    /// Takes in what an event did.
    #[inline]
    pub fn digest(&mut self, what: u64, of: u64) {
        if self.kept.is_some() {
            self.keep_digest(what, of);
        }
        self.fold(what, of);
    }

    // Few runs keep events: what that takes stays out of the loop of those that do not.

    #[cold]
    #[inline(never)]
    fn keep_event(&mut self, at: Time, sequence: u64, kind: u8, target: u32) {
        if let Some(kept) = &mut self.kept {
            let event = traced(at, sequence, kind, target);
            kept.event(self.events, self.hash, event);
        }
    }

    #[cold]
    #[inline(never)]
    fn keep_digest(&mut self, what: u64, of: u64) {
        if let Some(kept) = &mut self.kept {
            kept.digest(self.events, what, of);
        }
    }

    /// Events taken in.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The events that were kept; nothing if none were to be.
    pub fn kept(&self) -> Option<EventTrace> {
        let kept = self.kept.as_ref()?;
        Some(kept.trace(self.events, self.hash))
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
    use queuelab_record::{BLOCK, Parting};

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

    #[test]
    fn what_is_kept_tells_where_two_runs_part() {
        let trace = |changed: u64, events: u64| {
            let mut trace = Trace::keeping();
            for number in 1..=events {
                trace.event(Time(number), number, 3, 0);
                trace.digest(number, u64::from(number == changed));
            }
            let kept = trace.kept().unwrap();
            assert_eq!(format!("{:016x}", kept.hash), trace.hash());
            kept
        };
        let then = trace(0, 3 * BLOCK);
        assert_eq!(then.first.len() as u64, 3 * BLOCK);
        assert_eq!(then.blocks.len(), 3);
        assert_eq!(then.blocks[2], then.hash);
        let now = trace(70_000, 3 * BLOCK);
        assert_eq!(then.blocks[0], now.blocks[0]);
        assert_ne!(then.blocks[1], now.blocks[1]);
        let Some(Parting::Event { number, .. }) = then.parting(&now) else {
            panic!("they differ");
        };
        assert_eq!(number, 70_000);
        // Events that are kept leave the hash alone.
        let mut plain = Trace::default();
        for number in 1..=3 * BLOCK {
            plain.event(Time(number), number, 3, 0);
            plain.digest(number, 0);
        }
        assert_eq!(plain.hash(), format!("{:016x}", then.hash));
        assert_eq!(plain.kept(), None);
    }
}
