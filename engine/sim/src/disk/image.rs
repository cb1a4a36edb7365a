//! The log as bytes, when somebody has to look at them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use queuelab_core::log::{Encoder, EntryPlace, Recovery, SegmentImage, checkpoint, recover};
use queuelab_core::{Entry, LogPosition};
use queuelab_scenario::Unsynced;
use queuelab_workload::Draw;

/// What is known of how the log came about, and of what was done to it: with the entries it gives the bytes.
#[derive(Clone, Debug)]
pub struct History {
    /// What the disk had said was synced when entries from a place on were appended. Only the last of many are kept: an older entry then
    /// says less than it knew, and those that say enough to tell damage from a torn tail are always the last ones.
    claims: VecDeque<(LogPosition, LogPosition)>,
    /// Which life wrote what follows a place: each life begins a segment.
    lives: VecDeque<(LogPosition, u32)>,
    epoch: u32,
    /// What the disk had said was synced when the log's head was let go of last.
    checkpoint: LogPosition,
    harm: Vec<(LogPosition, Harm, u64)>,
    /// Bits of the checkpoints that are not what they were: each draw chooses one.
    flipped: Vec<u64>,
    /// So many bytes more have to be let go of until the next checkpoint is written.
    to_checkpoint: u64,
}

/// What can happen to an entry at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// A bit is not what it was.
    Flipped,
    /// There are zeros in its place.
    Zeroed,
    /// There is a copy of another entry's bytes in its place, as far as they go.
    Overwritten(LogPosition),
}

impl Harm {
    /// Does it to the bytes of an entry; `other` are those of the entry that overwrites it.
    fn strike(self, bytes: &mut [u8], other: Option<Vec<u8>>, draw: u64) {
        match self {
            Harm::Flipped => {
                let bit = draw as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Harm::Zeroed => bytes.fill(0),
            Harm::Overwritten(_) => {
                let copy = other.unwrap_or_default();
                let length = copy.len().min(bytes.len());
                bytes[..length].copy_from_slice(&copy[..length]);
            }
        }
    }
}

impl Default for History {
    fn default() -> History {
        History {
            claims: VecDeque::new(),
            lives: VecDeque::from([(LogPosition(1), 1)]),
            epoch: 1,
            checkpoint: LogPosition(0),
            harm: Vec::new(),
            flipped: Vec::new(),
            to_checkpoint: 0,
        }
    }
}

impl History {
    /// Which life of the log this is, from 1.
    pub fn epoch(&self) -> u64 {
        u64::from(self.epoch)
    }

    /// Entries from `next` on know that the disk has everything up to `through`.
    pub fn synced(&mut self, next: LogPosition, through: LogPosition) {
        if self.claims.len() == CLAIMS {
            self.claims.pop_front();
        }
        self.claims.push_back((next, through));
    }

    /// Nothing before this place is kept.
    pub fn release(&mut self, before: LogPosition, synced: LogPosition) {
        self.checkpoint = self.checkpoint.max(synced);
        while self.lives.get(1).is_some_and(|(from, _)| *from <= before) {
            self.lives.pop_front();
        }
    }

    /// Bits of the checkpoints flip. Returns how many: none, if there is no checkpoint.
    pub fn harm_checkpoints(&mut self, draws: impl Iterator<Item = u64>) -> u64 {
        if self.checkpoint == LogPosition(0) {
            return 0;
        }
        let before = self.flipped.len();
        self.flipped.extend(draws);
        self.to_checkpoint = SEGMENT;
        (self.flipped.len() - before) as u64
    }

    /// An entry is let go of: with a segment of them the next checkpoint takes the place of the older one, and counts.
    #[inline]
    pub fn lets_go(&mut self, entry: &Entry) {
        if !self.flipped.is_empty() {
            self.to_checkpoint = self.to_checkpoint.saturating_sub(entry.size());
            if self.to_checkpoint == 0 {
                self.flipped.clear();
            }
        }
    }

    /// What is in the two slots when the log's head, `head`, is in the first segment: the newest checkpoint, and the one before, whose
    /// segment is gone.
    fn checkpoints(&self, head: LogPosition) -> [Vec<u8>; 2] {
        let before = LogPosition(head.0 - 1);
        let newest = checkpoint(2, head, 1, self.checkpoint.max(before), 1);
        if self.flipped.is_empty() {
            return [newest, Vec::new()];
        }
        let mut slots = [newest, checkpoint(1, head, 0, before, 1)];
        for draw in &self.flipped {
            let slot = &mut slots[(draw % 2) as usize];
            let bit = (draw / 2) as usize % (CHECKPOINT * 8).min(slot.len() * 8);
            slot[bit / 8] ^= 1 << (bit % 8);
        }
        slots
    }

    /// A recovery is done: what follows is of another life, and everything before is synced.
    pub fn reopen(&mut self, next: LogPosition) {
        self.epoch += 1;
        // A life that wrote nothing has left nothing.
        while self.lives.back().is_some_and(|(from, _)| *from >= next) {
            self.lives.pop_back();
        }
        self.lives.push_back((next, self.epoch));
        self.claims.retain(|(from, _)| *from < next);
        self.checkpoint = self.checkpoint.min(LogPosition(next.0 - 1));
        self.synced(next, LogPosition(next.0 - 1));
        self.harm.clear();
        self.flipped.clear();
    }

    /// Something happens to an entry; `draw` says to which part of it.
    pub fn harm(&mut self, victim: LogPosition, harm: Harm, draw: u64) {
        self.harm.push((victim, harm, draw));
    }

    /// The write of the entry at `lost` lands on one of those up to `last`.
    pub fn misdirect(
        &mut self,
        lost: LogPosition,
        first: LogPosition,
        last: LogPosition,
        draw: u64,
    ) {
        let range = (last.0 + 1).saturating_sub(first.0);
        if range > 0 {
            let victim = LogPosition(first.0 + draw % range);
            self.harm(victim, Harm::Overwritten(lost), draw);
        }
        self.harm(lost, Harm::Zeroed, draw);
    }

    /// Whether something has happened to entries at rest.
    pub fn is_damaged(&self) -> bool {
        !self.harm.is_empty() || !self.flipped.is_empty()
    }

    /// What recovery makes of the log after `happen` has been to its bytes: the place of the last entry (`end` if all were let go of), or why
    /// it refuses. Up to `suspect` only known harm can have changed anything.
    ///
    /// # Panics
    ///
    /// If recovery hands out something else than what was appended.
    pub fn look(
        &self,
        entries: &VecDeque<(LogPosition, Entry)>,
        suspect: LogPosition,
        end: LogPosition,
        happen: impl FnOnce(&mut Image),
    ) -> Result<LogPosition, String> {
        if entries.is_empty() {
            return Ok(end);
        }
        let victims = self.harm.iter().map(|(victim, ..)| victim.0);
        let suspect = victims.chain([suspect.0]).min().unwrap_or(suspect.0);
        let first = entries.front().map_or(suspect, |(first, _)| first.0);
        let size: u64 = entries.iter().map(|(_, entry)| entry.size()).sum();
        // What nobody has touched is read as it was written: of a long log the end will do.
        let skip = match size {
            ..WHOLE => 0,
            _ if !self.flipped.is_empty() => 0,
            _ => (suspect.saturating_sub(first).saturating_sub(BEFORE) as usize)
                .min(entries.len() - 1),
        };
        let mut image = Image::encode(self, entries.range(skip..));
        for (victim, harm, draw) in &self.harm {
            image.harm(*victim, *harm, *draw);
        }
        happen(&mut image);
        let [newest, older] = self.checkpoints(image.head);
        let recovery = image.recover([&newest, &older])?;
        let mut appended = entries.range(skip..);
        for (position, entry) in &recovery.recovered.entries {
            let same = appended
                .next()
                .is_some_and(|(place, original)| place == position && original == entry);
            assert!(
                same,
                "recovery read entry {} as something that was not written there",
                position.0
            );
        }
        Ok(recovery.recovered.last)
    }

    /// What has happened to an entry at rest.
    pub fn harm_to(&self, position: LogPosition) -> Vec<(Harm, u64)> {
        let harm = self.harm.iter().filter(|(victim, ..)| *victim == position);
        harm.map(|(_, harm, draw)| (*harm, *draw)).collect()
    }

    /// The entries that have zeros in their places.
    pub fn zeroed(&self) -> BTreeSet<LogPosition> {
        let zeroed = self
            .harm
            .iter()
            .filter(|(_, harm, _)| *harm == Harm::Zeroed);
        zeroed.map(|(victim, ..)| *victim).collect()
    }

    fn life_at(&self, position: LogPosition) -> u32 {
        let begun = self.lives.partition_point(|(from, _)| *from <= position);
        let at = begun.saturating_sub(1);
        self.lives.get(at).map_or(self.epoch, |(_, epoch)| *epoch)
    }

    fn claim_at(&self, position: LogPosition) -> LogPosition {
        let known = self.claims.partition_point(|(from, _)| *from <= position);
        known
            .checked_sub(1)
            .map_or(LogPosition(0), |at| self.claims[at].1)
    }
}

/// What the codec makes of one entry after what has happened to its bytes: `None` if it sees that.
///
/// # Panics
///
/// If it takes the bytes for something else than what was written.
pub fn read_harmed<'e>(
    position: LogPosition,
    entry: &'e Entry,
    harmed: &[(Harm, u64)],
    other: impl Fn(LogPosition) -> Option<&'e Entry>,
) -> Option<Entry> {
    let record = |number, position, entry: &Entry| {
        let mut bytes = Vec::new();
        let before = LogPosition(position - 1);
        let mut encoder = Encoder::new(number, 1, LogPosition(position), before, &mut bytes);
        let place = EntryPlace {
            segment: number,
            offset: encoder.len(),
        };
        encoder.append(LogPosition(position), entry, before, &mut bytes);
        bytes.drain(..place.offset as usize);
        (place, bytes)
    };
    let (place, mut bytes) = record(1, position.0, entry);
    for (harm, draw) in harmed {
        let other = match harm {
            Harm::Overwritten(from) => other(*from).map(|entry| record(2, from.0, entry).1),
            Harm::Flipped | Harm::Zeroed => None,
        };
        harm.strike(&mut bytes, other, *draw);
    }
    let read = place.read(&bytes.into(), position).ok();
    let same = read.as_ref().is_none_or(|read| read == entry);
    assert!(same, "entry {} was read as another one", position.0);
    read
}

/// The log's segments as bytes.
pub struct Image {
    /// The place at which the log begins, whether or not its entry is still there.
    head: LogPosition,
    /// Where that is in the first segment, behind its header.
    start: usize,
    /// Numbered from 1.
    segments: Vec<Vec<u8>>,
    /// Of each entry that is there as a whole: its place, its segment's index, its bytes there.
    places: Vec<(LogPosition, usize, Range<usize>)>,
}

impl Image {
    fn encode<'e>(
        history: &History,
        entries: impl Iterator<Item = &'e (LogPosition, Entry)>,
    ) -> Image {
        let mut entries = entries.peekable();
        let mut image = Image {
            head: entries.peek().map_or(LogPosition(1), |(first, _)| *first),
            start: 0,
            segments: Vec::new(),
            places: Vec::new(),
        };
        let mut open: Option<(Encoder, Vec<u8>)> = None;
        let mut epoch = 0;
        for (position, entry) in entries {
            let claim = history.claim_at(*position);
            let life = history.life_at(*position);
            let full = |(encoder, _): &(Encoder, Vec<u8>)| encoder.len() >= SEGMENT;
            if life != epoch || open.as_ref().is_some_and(full) {
                image.end_segment(open.take(), *position, claim);
                epoch = life;
            }
            let number = image.segments.len() as u32 + 1;
            let (encoder, bytes) = open.get_or_insert_with(|| {
                let mut bytes = Vec::new();
                let encoder = Encoder::new(number, epoch, *position, claim, &mut bytes);
                (encoder, bytes)
            });
            let from = bytes.len();
            encoder.append(*position, entry, claim, bytes);
            image
                .places
                .push((*position, number as usize - 1, from..bytes.len()));
        }
        image.segments.extend(open.map(|(_, bytes)| bytes));
        image.start = image.places.first().map_or(0, |(.., place)| place.start);
        image
    }

    /// The broker's recovery, with both checkpoint slots.
    fn recover(self, slots: [&[u8]; 2]) -> Result<Recovery, String> {
        let numbered = (1..).zip(self.segments);
        let segments: Vec<SegmentImage> = numbered
            .map(|(number, bytes)| SegmentImage {
                number,
                bytes: bytes.into(),
            })
            .collect();
        recover(&segments, slots).map_err(|error| format!("failed to {error}"))
    }

    fn end_segment(
        &mut self,
        open: Option<(Encoder, Vec<u8>)>,
        next: LogPosition,
        claim: LogPosition,
    ) {
        if let Some((encoder, mut bytes)) = open {
            encoder.finish(next, claim, &mut bytes);
            self.segments.push(bytes);
        }
    }

    /// Something happens to an entry at rest, if it is still there.
    fn harm(&mut self, victim: LogPosition, harm: Harm, draw: u64) {
        let Some((segment, place)) = self.place(victim) else {
            return;
        };
        let other = match harm {
            Harm::Overwritten(other) => self.place(other),
            Harm::Flipped | Harm::Zeroed => None,
        };
        let copy = other.map(|(segment, place)| self.segments[segment][place].to_vec());
        harm.strike(&mut self.segments[segment][place], copy, draw);
    }

    /// Of the entry after `written` only the beginning was written.
    pub fn tear_after(&mut self, written: LogPosition, draw: &mut Draw) {
        if let Some((segment, place)) = self.place(LogPosition(written.0 + 1)) {
            let kept = draw.below(place.len() as u64) as usize;
            self.cut(segment, place.start + kept);
        }
    }

    /// What was appended after `platter` is not on the disk for certain: `unsynced` says what becomes of it.
    pub fn lose_unsynced(&mut self, platter: LogPosition, unsynced: Unsynced, draw: &mut Draw) {
        let (first, start) = self.end_of(platter);
        match unsynced {
            Unsynced::Keep => {}
            Unsynced::Drop => self.cut(first, start),
            Unsynced::Random => self.lose_some_entries(platter, draw),
            Unsynced::Torn => {
                let parts = self.segments.iter().enumerate().skip(first);
                let total: usize = parts.map(|(_, bytes)| bytes.len()).sum();
                let mut kept = start + draw.below((total - start.min(total)) as u64 + 1) as usize;
                let mut at = first;
                while at < self.segments.len() && kept > self.segments[at].len() {
                    kept -= self.segments[at].len();
                    at += 1;
                }
                // The disk writes whole sectors, and a sector that was synced in part keeps that part.
                let floor = if at == first { start } else { 0 };
                self.cut(at, (kept / SECTOR * SECTOR).max(floor));
            }
            Unsynced::Corrupt => self.corrupt_some_sectors(first, start, draw),
        }
    }

    /// Each write is there or not, whatever the order: nothing but an fsync keeps it. A file that was created since may have no name.
    fn lose_some_entries(&mut self, platter: LogPosition, draw: &mut Draw) {
        for (position, segment, place) in &self.places {
            if *position > platter && draw.below(2) == 0 {
                self.segments[*segment][place.clone()].fill(0);
            }
        }
        let begun = self
            .places
            .partition_point(|(position, ..)| *position <= platter);
        let last_certain = begun.checked_sub(1).map_or(0, |at| self.places[at].1);
        if self.segments.len() > last_certain + 1 && draw.below(2) == 0 {
            self.cut(last_certain, usize::MAX);
        }
    }

    fn corrupt_some_sectors(&mut self, first: usize, start: usize, draw: &mut Draw) {
        for (at, bytes) in self.segments.iter_mut().enumerate().skip(first) {
            let mut from = if at == first { start } else { 0 };
            while from < bytes.len() {
                let until = ((from / SECTOR + 1) * SECTOR).min(bytes.len());
                match draw.below(4) {
                    0 => bytes[from..until].fill(0),
                    1 => bytes[from..until].fill_with(|| draw.next_u64() as u8),
                    _ => {}
                }
                from = until;
            }
        }
    }

    /// The log ends within this segment; an entry that is not there as a whole has no place any more.
    fn cut(&mut self, segment: usize, length: usize) {
        self.segments.truncate(segment + 1);
        if let Some(bytes) = self.segments.get_mut(segment) {
            bytes.truncate(length);
        }
        self.places
            .retain(|(_, at, place)| *at < segment || *at == segment && place.end <= length);
    }

    fn place(&self, position: LogPosition) -> Option<(usize, Range<usize>)> {
        let at = self
            .places
            .binary_search_by_key(&position, |(place, ..)| *place);
        let (_, segment, place) = &self.places[at.ok()?];
        Some((*segment, place.clone()))
    }

    /// The segment's index and the offset after the last entry up to `position`: what a segment begins with is synced when it is made.
    fn end_of(&self, position: LogPosition) -> (usize, usize) {
        let after = self
            .places
            .partition_point(|(place, ..)| *place <= position);
        match after.checked_sub(1) {
            Some(last) => (self.places[last].1, self.places[last].2.end),
            None => (0, self.start),
        }
    }
}

/// So many fsyncs are remembered for what entries claim.
const CLAIMS: usize = 256;

/// Logs up to this size are read as a whole, of longer ones the end that is in question.
const WHOLE: u64 = 8 << 20;

/// So many entries before that are read, too.
const BEFORE: u64 = 64;

/// A disk writes this much or nothing.
const SECTOR: usize = 512;

/// Bytes of a segment.
const SEGMENT: u64 = 1 << 20;

/// Bytes of a checkpoint that are no padding.
const CHECKPOINT: usize = 50;
