//! What can be wrong with a log.

use std::fmt;

use super::File;
use crate::id::LogPosition;

/// Why a log was not read: going on would lose or invent what was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogError {
    /// The file in question.
    pub file: File,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The entry that could not be had.
    pub position: LogPosition,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// An entry is damaged, and something later shows that it was synced: no crash does that.
    Damaged {
        /// What it looks like.
        damage: Damage,
        /// What shows it.
        proof: Proof,
    },
    /// The file does not go on where it should, or is not there.
    Missing {
        /// What shows that it should, if that is not the log's beginning.
        proof: Option<Proof>,
    },
    /// A record is whole and makes no sense: another version wrote it, or it belongs somewhere else.
    Foreign(Damage),
    /// No checkpoint is whole, and the log does not begin at the first entry: nobody knows where its head is.
    Checkpoints,
}

/// What shows how far the disk was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Everything up to here was synced,
    pub synced: LogPosition,
    /// says a record in this file,
    pub file: File,
    /// at this offset.
    pub offset: u64,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// There is none: zeros, or the end of the file.
    Nothing,
    /// Its header fails its checksum.
    Header,
    /// It ends beyond the end of the file.
    Length,
    /// Its body fails its checksum.
    Body,
    /// It was written for another place.
    Misplaced,
    /// An earlier life of the log wrote it, or a later one.
    Epoch,
    /// It is not the entry that comes next, but this one.
    Order(LogPosition),
    /// It passes its checksums and has no meaning.
    Content,
    /// It is in this version of the format, which is unknown.
    Version(u8),
}

impl Damage {
    /// True if no crash leaves it behind, since the checksums are right.
    pub(super) fn is_foreign(self) -> bool {
        matches!(
            self,
            Damage::Order(_) | Damage::Content | Damage::Version(_)
        )
    }
}

impl LogError {
    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self.wrong {
            Wrong::Foreign(Damage::Version(_)) => {
                "start the version of queuelab that wrote the log, or move the log away to begin with an empty one"
            }
            _ => {
                "restore the log from a replica or a backup, or move it away to begin with an empty one"
            }
        }
    }
}

/// Completes "failed to …".
impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogError {
            file,
            offset,
            position: LogPosition(position),
            wrong,
        } = self;
        write!(
            f,
            "read entry {position} of the log at byte {offset} of {file}: "
        )?;
        match wrong {
            Wrong::Damaged { damage, proof } => write!(f, "{damage}, although {proof}")?,
            Wrong::Missing { proof: Some(proof) } => write!(f, "it is missing, although {proof}")?,
            Wrong::Missing { proof: None } => f.write_str("it is missing")?,
            Wrong::Foreign(damage) => damage.fmt(f)?,
            Wrong::Checkpoints => f.write_str(
                "it is missing, and neither checkpoint is whole to say whether it is needed",
            )?,
        }
        write!(f, "; {}", self.remedy())
    }
}

impl std::error::Error for LogError {}

/// Completes "although …".
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proof {
            synced,
            file,
            offset,
        } = self;
        write!(
            f,
            "byte {offset} of {file} says that the disk had all entries up to {}",
            synced.0
        )
    }
}

/// A clause about the record.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Nothing => "there is nothing",
            Damage::Header => "its header fails its checksum",
            Damage::Length => "it ends beyond the end of the file",
            Damage::Body => "its body fails its checksum",
            Damage::Misplaced => "a record of another place is there",
            Damage::Epoch => "a record of another life of the log is there",
            Damage::Order(LogPosition(found)) => {
                return write!(f, "entry {found} is there");
            }
            Damage::Content => "it passes its checksums and has no meaning",
            Damage::Version(version) => {
                return write!(
                    f,
                    "it is in version {version} of the format, which is unknown here"
                );
            }
        })
    }
}
