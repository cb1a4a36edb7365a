//! Checkpoints: where the log's head is.

use super::record::{Header, Kind, Place, put_record};
use super::wire::{Reader, put_int};
use crate::id::LogPosition;
use bytes::Bytes;

/// What is known without the entries before the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Counts checkpoints: the newest one counts, and is in slot `generation % 2`.
    pub(super) generation: u64,
    /// Entries before this one are not needed.
    pub(super) head: LogPosition,
    /// The segment that the head is in, or will be in.
    pub(super) segment: u32,
    /// The disk had everything up to here.
    pub(super) synced: LogPosition,
    /// The life of the log that wrote it.
    pub(super) epoch: u32,
}

impl Checkpoint {
    /// The slot that it belongs into.
    pub(super) fn slot(&self) -> u8 {
        (self.generation % 2) as u8
    }

    /// The whole content of its slot.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let place = Place {
            segment: name(self.slot()),
            epoch: self.epoch,
            offset: 0,
        };
        put_record(
            &mut out,
            Kind::Checkpoint,
            place,
            self.head,
            self.synced,
            |body| {
                put_int(body, self.generation);
                put_int(body, self.segment.into());
            },
        );
        out
    }

    /// What a slot holds, if that is whole.
    pub(super) fn decode(bytes: &[u8], slot: u8) -> Option<Checkpoint> {
        let header = Header::read(bytes, name(slot), 0).ok()?;
        if header.kind != Kind::Checkpoint {
            return None;
        }
        let end = header.end(bytes)?;
        let body = header
            .body(&Bytes::copy_from_slice(bytes.get(..end)?))
            .ok()?;
        let mut reader = Reader::new(&body);
        let checkpoint = Checkpoint {
            generation: reader.int()?,
            head: header.position,
            segment: reader.small()?,
            synced: header.synced,
            epoch: header.place.epoch,
        };
        // Nobody drops what may still be torn.
        let sensible = checkpoint.head.0 >= 1
            && checkpoint.head.0 - 1 <= checkpoint.synced.0
            && checkpoint.slot() == slot
            && reader.is_empty();
        sensible.then_some(checkpoint)
    }
}

/// What stands for the segment's number in a checkpoint's record: no segment has such a number.
fn name(slot: u8) -> u32 {
    u32::MAX - u32::from(slot)
}

/// What the slot `generation % 2` holds when the log's head is `head`, which is in the segment of that number, and the disk has everything
/// up to `synced`; `epoch` is the life of the log that says so.
pub fn checkpoint(
    generation: u64,
    head: LogPosition,
    segment: u32,
    synced: LogPosition,
    epoch: u32,
) -> Vec<u8> {
    let checkpoint = Checkpoint {
        generation,
        head,
        segment,
        synced,
        epoch,
    };
    checkpoint.encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_slot_and_whole_content_count() {
        let checkpoint = Checkpoint {
            generation: 7,
            head: LogPosition(100),
            segment: 3,
            synced: LogPosition(120),
            epoch: 2,
        };
        let bytes = checkpoint.encode();
        assert_eq!(Checkpoint::decode(&bytes, 1), Some(checkpoint));
        assert_eq!(Checkpoint::decode(&bytes, 0), None);
        for length in 0..bytes.len() - 6 {
            assert_eq!(Checkpoint::decode(&bytes[..length], 1), None, "{length}");
        }
        for bit in 0..(bytes.len() - 6) * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Checkpoint::decode(&bytes, 1), None, "bit {bit}");
        }
    }
}
