//! The durable log as bytes: entries to checksummed records in segments, and back.
//!
//! Nothing here touches a file. A [`Writer`] says which file operations keep a log, [`recover()`] reads what they left behind, and a driver
//! (a simulated disk, a real one) carries the operations out. A directory holds
//!
//! - segments, `NNNNNNNNNN.log`: a header, then entries at dense [`LogPosition`]s, then a footer once it is full;
//! - two checkpoint slots, `checkpoint.a` and `checkpoint.b`, written in turn: where the log's head is.
//!
//! Everything in them is a *record*: 48 bytes of header, a body, zeros up to a multiple of 8.
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0–1 | magic | where a record may begin |
//! | 2 | kind | segment header, entry, footer, checkpoint, mark |
//! | 3 | version | of the format |
//! | 4–7 | body checksum | CRC32C |
//! | 8–15 | length | of the body |
//! | 16–23 | position | of the entry; elsewhere of the next one |
//! | 24–31 | synced | the disk had all entries up to here when this was appended |
//! | 32–35 | segment | the record's own place: a misdirected or copied block is recognised |
//! | 36–39 | epoch | which life of the log: each recovery begins a new one, with a segment of its own |
//! | 40–43 | offset / 8 | its own place, again |
//! | 44–47 | header checksum | CRC32C of the 44 bytes before |
//!
//! All integers are little-endian.

mod checkpoint;
mod claims;
mod entry;
mod error;
mod index;
mod record;
mod recover;
mod segment;
mod wire;
mod writer;

use std::fmt;

pub use self::checkpoint::checkpoint;
pub use self::entry::{put_entry, read_entry};
pub use self::error::{Damage, LogError, Proof, Wrong};
pub use self::index::EntryPlace;
pub use self::recover::{Recovery, SegmentImage, Start, Tail, recover};
pub use self::segment::Encoder;
pub use self::writer::{FileOperation, Writer};

#[cfg(doc)]
use crate::id::LogPosition;

/// A file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    /// A segment, by its number: from 1, never used twice.
    Segment(u32),
    /// A checkpoint slot: 0 or 1.
    Checkpoint(u8),
}

impl File {
    /// The file whose name this is; `None` if it is none of the log's.
    pub fn parse(name: &str) -> Option<File> {
        match name {
            "checkpoint.a" => return Some(File::Checkpoint(0)),
            "checkpoint.b" => return Some(File::Checkpoint(1)),
            _ => {}
        }
        let number = name.strip_suffix(".log")?.parse().ok()?;
        let file = File::Segment(number);
        (file.to_string() == name).then_some(file)
    }
}

/// Its name in the log's directory.
impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            File::Segment(number) => write!(f, "{number:010}.log"),
            File::Checkpoint(0) => f.write_str("checkpoint.a"),
            File::Checkpoint(_) => f.write_str("checkpoint.b"),
        }
    }
}

/// The usual size of a segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;
