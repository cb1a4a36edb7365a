//! What a restart finds becomes entries again, or an error: never a guess.
//!
//! The rule: an entry that cannot be read is the *torn tail* if nothing shows that it was synced (a crash may lose any part of what was
//! not), and *corruption* if anything does. Then going on would lose what was confirmed. What shows it are the positions that were synced
//! when later records were appended, and checkpoints. When everything is synced and nothing comes, a *mark* says so; but a machine that loses
//! power may lose that, too. Damage to the last batch then looks like a torn tail, and is reported as one ([`Recovery::truncated`]).

use bytes::Bytes;

use super::File;
use super::checkpoint::Checkpoint;
use super::claims::Claims;
use super::entry::read_entry;
use super::error::{Damage, LogError, Proof, Wrong};
use super::index::{EntryPlace, Index};
use super::record::{Header, Kind, next_candidate};
use crate::id::LogPosition;
use crate::interface::Recovered;

/// A segment's file.
#[derive(Clone, Debug)]
pub struct SegmentImage {
    /// The number in its name.
    pub number: u32,
    /// All that it holds. Bodies of messages share its memory.
    pub bytes: Bytes,
}

/// A log that could be read.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// What the broker starts with.
    pub recovered: Recovered,
    /// What was cut off, if anything was: nothing shows that it was synced.
    pub truncated: Option<Tail>,
    /// Where a [`super::Writer`] goes on.
    pub start: Start,
}

/// The end of a log that a crash has torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The file that it begins in.
    pub file: File,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The first entry that is cut off.
    pub position: LogPosition,
    /// What it looks like.
    pub damage: Damage,
    /// How many records that seem whole lie behind it.
    pub behind: u64,
}

/// Where a log goes on: in a new segment, in a new life.
#[derive(Clone, Debug)]
pub struct Start {
    /// The number of the new segment.
    pub segment: u32,
    /// Which life of the log it begins.
    pub epoch: u32,
    /// The place of the next entry.
    pub next: LogPosition,
    /// The first entry that is needed.
    pub head: LogPosition,
    /// The newest checkpoint's number; 0 without one.
    pub(super) generation: u64,
    pub(super) index: Index,
    /// Files that hold nothing that is needed.
    pub(super) garbage: Vec<u32>,
}

/// An empty log.
impl Default for Start {
    fn default() -> Start {
        Start {
            segment: 1,
            epoch: 1,
            next: LogPosition(1),
            head: LogPosition(1),
            generation: 0,
            index: Index::default(),
            garbage: Vec::new(),
        }
    }
}

impl Start {
    /// Where a recovered entry is.
    pub fn locate(&self, position: LogPosition) -> Option<EntryPlace> {
        self.index.locate(position)
    }
}

/// Reads a log: its segments in any order, and both checkpoint slots (empty if there is no such file).
///
/// # Errors
///
/// If an entry that may be needed cannot be read and is not the torn tail; see [`LogError`].
pub fn recover(segments: &[SegmentImage], checkpoints: [&[u8]; 2]) -> Result<Recovery, LogError> {
    let mut recovery = Scan::new(segments, checkpoints).run()?;
    recovery.recovered.last = LogPosition(recovery.start.next.0 - 1);
    Ok(recovery)
}

/// A segment with what its header says.
struct Segment<'a> {
    number: u32,
    bytes: &'a Bytes,
    header: Result<Header, Damage>,
}

impl Segment<'_> {
    /// Its first entry's place, and its epoch.
    fn span(&self) -> Option<(LogPosition, u32)> {
        let header = self.header.as_ref().ok()?;
        Some((header.position, header.place.epoch))
    }
}

/// Where reading stopped.
struct Stop {
    /// The segment's index; absent if there was none to begin with.
    at: Option<usize>,
    offset: usize,
    /// Absent at a footer.
    damage: Option<Damage>,
}

struct Scan<'a> {
    segments: Vec<Segment<'a>>,
    checkpoint: Option<Checkpoint>,
    /// A slot has content, but none is whole.
    slots_damaged: bool,
    head: LogPosition,
    next: LogPosition,
    claims: Claims,
    found: Recovery,
}

impl<'a> Scan<'a> {
    fn new(images: &'a [SegmentImage], slots: [&[u8]; 2]) -> Scan<'a> {
        let mut segments: Vec<Segment> = images
            .iter()
            .map(|image| Segment {
                number: image.number,
                bytes: &image.bytes,
                header: segment_header(image),
            })
            .collect();
        segments.sort_by_key(|segment| segment.number);
        let checkpoint = (0..2)
            .filter_map(|slot| Checkpoint::decode(slots[slot], slot as u8))
            .max_by_key(|checkpoint| checkpoint.generation);
        let written = slots.iter().any(|slot| slot.iter().any(|byte| *byte != 0));
        let head = checkpoint.map_or(LogPosition(1), |checkpoint| checkpoint.head);
        let mut claims = Claims::default();
        if let Some(checkpoint) = checkpoint {
            let file = File::Checkpoint(checkpoint.slot());
            claims.note(file, 0, checkpoint.synced, checkpoint.epoch);
        }
        Scan {
            segments,
            checkpoint,
            slots_damaged: written && checkpoint.is_none(),
            head,
            next: head,
            claims,
            found: Recovery::default(),
        }
    }

    fn run(mut self) -> Result<Recovery, LogError> {
        let mut stop = Stop {
            at: None,
            offset: 0,
            damage: Some(Damage::Nothing),
        };
        let mut following = self.first()?;
        while let Some(at) = following {
            stop = self.read(at)?;
            following = self.following(at);
        }
        self.check_epochs(stop.at)?;
        self.decide(&stop)?;
        self.find_start();
        Ok(self.found)
    }

    /// The entries from here on in a segment's epoch are leftovers: a later life of the log began before them.
    fn limit(&self, number: u32, epoch: u32) -> LogPosition {
        let later = self.segments.iter().filter(|later| later.number > number);
        let spans = later.filter_map(Segment::span);
        let newer = spans.filter(|(_, newer)| *newer > epoch);
        newer
            .map(|(first, _)| first)
            .min()
            .unwrap_or(LogPosition(u64::MAX))
    }

    /// Those segments that hold more than leftovers, with their first places.
    fn valid(&self) -> impl DoubleEndedIterator<Item = (usize, LogPosition)> {
        let spans = self.segments.iter().enumerate();
        spans.filter_map(|(at, segment)| {
            let (first, epoch) = segment.span()?;
            (first < self.limit(segment.number, epoch)).then_some((at, first))
        })
    }

    /// The segment that the head is in; none in an empty log.
    fn first(&self) -> Result<Option<usize>, LogError> {
        let missing = |number, proof| LogError {
            file: File::Segment(number),
            offset: 0,
            position: self.head,
            wrong: match proof {
                None if self.slots_damaged => Wrong::Checkpoints,
                proof => Wrong::Missing { proof },
            },
        };
        if let Some(checkpoint) = self.checkpoint {
            let named = |segment: &&Segment| segment.number == checkpoint.segment;
            let there = self.segments.iter().find(named);
            if there.is_none_or(|segment| segment.header.is_err()) {
                let proof = Proof {
                    synced: checkpoint.synced,
                    file: File::Checkpoint(checkpoint.slot()),
                    offset: 0,
                };
                return Err(missing(checkpoint.segment, Some(proof)));
            }
        }
        if let Some((at, _)) = self.valid().rfind(|(_, first)| *first <= self.head) {
            return Ok(Some(at));
        }
        match self.valid().next() {
            Some((at, _)) => Err(missing(self.segments[at].number.saturating_sub(1), None)),
            None => Ok(None),
        }
    }

    /// The segment that goes on where the one before has ended.
    fn following(&self, at: usize) -> Option<usize> {
        let next = self
            .valid()
            .find(|(other, first)| *other > at && *first == self.next);
        next.map(|(at, _)| at)
    }

    /// Reads a segment as far as it goes.
    fn read(&mut self, at: usize) -> Result<Stop, LogError> {
        let Segment { number, bytes, .. } = self.segments[at];
        let Ok(header) = self.segments[at].header else {
            unreachable!("only segments with a header are read");
        };
        let limit = self.limit(number, header.place.epoch);
        let file = File::Segment(number);
        self.claims.note(file, 0, header.synced, header.place.epoch);
        self.found.start.index.begin(number, header.position);
        self.next = header.position;
        let mut offset = header.end(bytes).unwrap_or(bytes.len());
        loop {
            let stop = |damage| Stop {
                at: Some(at),
                offset,
                damage,
            };
            if self.next >= limit {
                return Ok(stop(None));
            }
            match self.record(bytes, number, header.place.epoch, offset) {
                Ok(Some(end)) => offset = end,
                Ok(None) => return Ok(stop(None)),
                Err(damage) => {
                    let resumed = self.resume(bytes, number, header.place.epoch, offset);
                    let Some(resumed) = resumed else {
                        // What is damaged may not be needed; then all that is needed would follow.
                        self.next = self.next.max(self.head);
                        return Ok(stop(Some(damage)));
                    };
                    offset = resumed;
                }
            }
        }
    }

    /// Reads the record at `offset`, which is the next entry or a footer; the result is where the next one begins.
    fn record(
        &mut self,
        bytes: &Bytes,
        number: u32,
        epoch: u32,
        offset: usize,
    ) -> Result<Option<usize>, Damage> {
        let header = Header::read(bytes, number, offset)?;
        if header.place.epoch != epoch {
            return Err(Damage::Epoch);
        }
        let end = header.end(bytes).ok_or(Damage::Length)?;
        match header.kind {
            Kind::Segment | Kind::Checkpoint => return Err(Damage::Content),
            _ if header.position != self.next => return Err(Damage::Order(header.position)),
            Kind::Entry if self.next >= self.head => {
                let entry = read_entry(&header.body(bytes)?).ok_or(Damage::Content)?;
                self.found.recovered.entries.push((self.next, entry));
                self.found.start.index.push(self.next, offset as u64);
            }
            Kind::Entry | Kind::Footer | Kind::Mark => {}
        }
        let file = File::Segment(number);
        self.claims.note(file, offset as u64, header.synced, epoch);
        self.next.0 += u64::from(header.kind == Kind::Entry);
        Ok((header.kind != Kind::Footer).then_some(end))
    }

    /// Before the head damage does no harm: reading goes on with the next entry that can be found, if that is not beyond the head.
    fn resume(&mut self, bytes: &Bytes, number: u32, epoch: u32, offset: usize) -> Option<usize> {
        let mut from = offset + 1;
        while self.next < self.head {
            let at = next_candidate(bytes, from)?;
            if let Ok(header) = Header::read(bytes, number, at)
                && header.place.epoch == epoch
                && header.kind == Kind::Entry
                && header.position > self.next
                && header.position <= self.head
            {
                self.next = header.position;
                return Some(at);
            }
            from = at + 1;
        }
        None
    }

    /// Lives of the log follow each other; a segment of an earlier one behind one of a later one is a stranger.
    fn check_epochs(&self, last: Option<usize>) -> Result<(), LogError> {
        let spans = self.segments.iter().take(last.map_or(0, |last| last + 1));
        let mut epochs = spans.filter_map(|segment| Some((segment.number, segment.span()?.1)));
        let mut newest = 0;
        match epochs.find(|(_, epoch)| {
            let earlier = *epoch < newest;
            newest = newest.max(*epoch);
            earlier
        }) {
            None => Ok(()),
            Some((number, _)) => Err(LogError {
                file: File::Segment(number),
                offset: 0,
                position: self.next,
                wrong: Wrong::Foreign(Damage::Epoch),
            }),
        }
    }

    /// Is what stopped the reading the torn tail?
    fn decide(&mut self, stop: &Stop) -> Result<(), LogError> {
        let mut behind = 0;
        let mut claims = self.claims;
        let from = stop.at.unwrap_or(0);
        for (at, segment) in self.segments.iter().enumerate().skip(from) {
            let offset = if Some(at) == stop.at { stop.offset } else { 0 };
            behind += claims.search(segment.bytes, segment.number, offset, |header| {
                header.position < self.limit(segment.number, header.place.epoch)
            });
        }
        self.claims = claims;
        let number = stop.at.map_or(1, |at| self.segments[at].number);
        let (file, offset) = match stop.damage {
            Some(_) => (File::Segment(number), stop.offset as u64),
            None => (File::Segment(number + 1), 0),
        };
        let error = |wrong| LogError {
            file,
            offset,
            position: self.next,
            wrong,
        };
        let proof = claims.proof(self.next);
        let damage = stop.damage.unwrap_or(Damage::Nothing);
        if damage.is_foreign() {
            return Err(error(Wrong::Foreign(damage)));
        }
        match (proof, stop.damage) {
            (Some(proof), Some(damage)) => Err(error(Wrong::Damaged { damage, proof })),
            (Some(proof), None) => Err(error(Wrong::Missing { proof: Some(proof) })),
            (None, _) => {
                let torn = damage != Damage::Nothing || behind > 0;
                self.found.truncated = torn.then_some(Tail {
                    file,
                    offset,
                    position: self.next,
                    damage,
                    behind,
                });
                Ok(())
            }
        }
    }

    /// Where the log goes on.
    fn find_start(&mut self) {
        let named = self.checkpoint.map(|checkpoint| checkpoint.segment);
        let numbers = self.segments.iter().map(|segment| segment.number);
        let highest = numbers.clone().chain(named).max().unwrap_or(0);
        let start = &mut self.found.start;
        start.segment = highest.saturating_add(1);
        start.epoch = self.claims.epoch.saturating_add(1);
        start.next = self.next;
        start.head = self.head;
        start.generation = self
            .checkpoint
            .map_or(0, |checkpoint| checkpoint.generation);
        let kept = |number: &u32| start.index.holds(*number);
        start.garbage = numbers.filter(|number| !kept(number)).collect();
    }
}

fn segment_header(image: &SegmentImage) -> Result<Header, Damage> {
    let header = Header::read(&image.bytes, image.number, 0)?;
    header.body(&image.bytes)?;
    match header.kind {
        Kind::Segment if header.position.0 >= 1 && header.synced.0 < header.position.0 => {
            Ok(header)
        }
        _ => Err(Damage::Content),
    }
}
