//! Entries that the broker reads back.

use std::collections::VecDeque;

use queuelab_core::{Entry, LogFailure, LogPosition, Span, Time};
use queuelab_workload::{Sampler, Stream};

use super::{Disk, History};

/// What was read for the broker's questions, by their tokens.
pub type Answers = Vec<(u64, Result<Entry, LogFailure>)>;

/// Reads of single entries. What is asked for meanwhile waits, and then goes in one piece as far as it lies together.
#[derive(Clone, Debug)]
pub struct Reads {
    /// Time of one read of what lies together, bandwidth apart.
    latency: Sampler,
    stream: Stream,
    waiting: Vec<(u64, LogPosition)>,
    under_way: Vec<(u64, LogPosition)>,
    /// An event will say how it goes on.
    busy: bool,
    /// Its time is over, and the disk stands still.
    late: bool,
    /// Pieces that were read.
    pieces: u64,
    /// Entries that were read.
    pub entries: u64,
}

/// How reading goes on.
#[derive(Clone, Debug)]
pub enum ReadStep {
    /// The next piece takes so long.
    Takes(Span),
    /// These are done; if more waits, it takes so long.
    Done(Answers, Option<Span>),
    /// Nothing happens until somebody asks for more, or the disk goes on.
    Rests,
}

impl Reads {
    pub(super) fn new(latency: Sampler, stream: Stream) -> Reads {
        Reads {
            latency,
            stream,
            waiting: Vec::new(),
            under_way: Vec::new(),
            busy: false,
            late: false,
            pieces: 0,
            entries: 0,
        }
    }

    /// Whether something is being read, or about to be.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// The process is gone: nobody waits for answers.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.under_way.clear();
        self.busy = false;
        self.late = false;
    }
}

impl Disk {
    /// Asks for an entry. True if nothing is under way: then [`Disk::read_goes_on`] is to be called at this instant, once all is asked for.
    pub fn read(&mut self, token: u64, position: LogPosition) -> bool {
        self.reads.waiting.push((token, position));
        !std::mem::replace(&mut self.reads.busy, true)
    }

    /// Reads what waits, or tells what was read.
    pub fn read_goes_on(&mut self, now: Time) -> ReadStep {
        if self.is_stalled() {
            self.reads.late = true;
            return ReadStep::Rests;
        }
        let done = std::mem::take(&mut self.reads.under_way);
        let next = self.start_reading(now);
        if done.is_empty() {
            return next.map_or(ReadStep::Rests, ReadStep::Takes);
        }
        self.reads.entries += done.len() as u64;
        let answers = done
            .into_iter()
            .map(|(token, position)| (token, self.look_up(position)));
        ReadStep::Done(answers.collect(), next)
    }

    /// Goes on after a stall: true if reading does, at this instant.
    pub fn reads_resume(&mut self) -> bool {
        !self.is_stalled() && std::mem::take(&mut self.reads.late)
    }

    /// What reading what waits takes. One piece after the other: neighbours in the log, and what lies between them, are one.
    fn start_reading(&mut self, now: Time) -> Option<Span> {
        self.reads.busy = !self.reads.waiting.is_empty();
        if !self.reads.busy {
            return None;
        }
        std::mem::swap(&mut self.reads.waiting, &mut self.reads.under_way);
        let mut places: Vec<LogPosition> = self
            .reads
            .under_way
            .iter()
            .map(|(_, position)| *position)
            .collect();
        places.sort_unstable();
        let mut latency = 0.0;
        let mut bytes = 0;
        let mut from = None;
        for position in places {
            let near = from.filter(|from: &LogPosition| position.0 - from.0 <= NEAR);
            if near.is_none() {
                let draw = &mut self.reads.stream.at(self.reads.pieces);
                latency += self.reads.latency.sample(draw).as_secs_f64();
                self.reads.pieces += 1;
            }
            let first = near.map_or(position, |from| LogPosition(from.0 + 1));
            for place in first.0..=position.0 {
                bytes += self.entry(LogPosition(place)).map_or(0, Entry::size);
            }
            from = Some(position);
        }
        let transfer = self.transfer(now, bytes);
        Some(Span::from_secs_f64(latency * self.factor) + transfer)
    }

    /// What the disk has at a place.
    fn look_up(&self, position: LogPosition) -> Result<Entry, LogFailure> {
        let trouble = self.trouble.as_ref();
        if let Some(failure) = trouble.and_then(|trouble| trouble.read(position.0)) {
            return Err(failure);
        }
        let entry = self.entry(position).ok_or(LogFailure::Read)?;
        if !self.history.is_damaged() {
            return Ok(entry.clone());
        }
        let other = |position| self.entry(position);
        self.history
            .read_back(position, entry, other)
            .ok_or(LogFailure::Damaged)
    }

    fn entry(&self, position: LogPosition) -> Option<&Entry> {
        let (first, _) = self.entries.front()?;
        let at = usize::try_from(position.0.checked_sub(first.0)?).ok()?;
        let (found, entry) = self.entries.get(at)?;
        debug_assert_eq!(*found, position, "entries are dense");
        Some(entry)
    }

    /// Why the log is given up: what was read is not what should be there.
    pub fn fail(&mut self, failure: LogFailure) {
        self.failure.get_or_insert(failure);
    }
}

/// Entries that are asked for with no more than so many others between them are read in one piece.
const NEAR: u64 = 64;

/// Answers that wait for a core, batch by batch.
pub type WaitingAnswers = VecDeque<Answers>;

impl History {
    /// What is read where an entry was written: `None` if that is damaged, as the codec sees it.
    fn read_back<'e>(
        &self,
        position: LogPosition,
        entry: &'e Entry,
        other: impl Fn(LogPosition) -> Option<&'e Entry>,
    ) -> Option<Entry> {
        let harmed = self.harm_to(position);
        match harmed.is_empty() {
            true => Some(entry.clone()),
            false => super::image::read_harmed(position, entry, &harmed, other),
        }
    }
}
