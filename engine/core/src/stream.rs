//! The log of one stream: records by offset, in segments.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::config::{Offset, Retention};
use crate::id::{GroupId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Times};
use crate::ledger::Ledger;
use crate::message::Message;
use crate::queue::{InLog, oldest_original, originals_before};
use crate::time::{Span, WallTime};

/// Records that are appended and read, and leave from the head in whole segments.
///
/// Offsets are dense: 0, 1, 2, … also across restarts. A segment is a stretch of offsets that starts at a multiple of
/// [`Retention::segment`], so a restart finds the same ones. A record can be read once its append is committed.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    queue: QueueId,
    retention: Retention,
    /// What this incarnation's serials begin with; offsets are the rest.
    first_serial: u64,
    records: Ledger<Record>,
    /// Those with committed records, oldest first.
    segments: VecDeque<Segment>,
    /// The offset of the next append.
    next: u64,
    /// The first offset that is not committed.
    end: u64,
    length: u64,
    bytes: u64,
    /// A truncation up to here is on its way, or done.
    truncating: u64,
    /// Where the log has the last truncation.
    truncated: LogPosition,
    /// No record before this offset is in the log, but for copies.
    oldest_logged: u64,
    /// The last record of each key in the segments that are full.
    latest: BTreeMap<Bytes, u64>,
    /// Records that compaction found to be outdated, until their removal is proposed.
    outdated: Vec<u64>,
    /// A timer waits for the next segment to be too old.
    pub(crate) watched: bool,
    /// Consumers without a group, in order of registration.
    pub(crate) readers: Vec<u32>,
    /// The groups that read it.
    pub(crate) groups: Vec<GroupId>,
}

/// A message in a stream.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Its copy's serial: the offset, and the incarnation that appended it.
    pub(crate) serial: u64,
    pub(crate) message: Message,
    pub(crate) entered: WallTime,
    /// The place of its append in the log; zero if it was not logged.
    pub(crate) position: LogPosition,
    /// Its entry in the log is a copy: it is younger than its offset says.
    copied: bool,
    /// Its removal is proposed, and not committed.
    leaving: bool,
}

impl InLog for Record {
    fn position(&self) -> LogPosition {
        self.position
    }

    fn is_copy(&self) -> bool {
        self.copied
    }
}

impl Record {
    /// What the log says of its times.
    pub(crate) fn times(&self) -> Times {
        Times {
            due: self.entered,
            ..Times::ANY
        }
    }
}

/// What is committed of a segment.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Its first offset, whether or not there still is a record.
    first: u64,
    length: u64,
    bytes: u64,
    newest: WallTime,
}

impl Stream {
    pub(crate) fn new(queue: QueueId, retention: Retention, first_serial: u64) -> Stream {
        Stream {
            queue,
            retention: Retention {
                segment: retention.segment.max(1),
                ..retention
            },
            first_serial,
            records: Ledger::new(),
            segments: VecDeque::new(),
            next: 0,
            end: 0,
            length: 0,
            bytes: 0,
            truncating: 0,
            truncated: LogPosition(0),
            oldest_logged: 0,
            latest: BTreeMap::new(),
            outdated: Vec::new(),
            watched: false,
            readers: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Bytes of the bodies of the records that can be read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first offset that was not given out.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The first offset that is not committed.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The first offset that is kept; the end if none is.
    pub(crate) fn first(&self) -> u64 {
        self.records.front().map_or(self.end, |(offset, _)| offset)
    }

    /// How an offset is named in commands and events: by the record's own serial if it is there.
    pub(crate) fn copy(&self, offset: u64) -> MessageCopy {
        let known = self.records.get(offset).map(|record| record.serial);
        MessageCopy {
            queue: self.queue,
            serial: known.unwrap_or(self.first_serial | offset),
        }
    }
}

/// Appending.
impl Stream {
    /// Takes a record whose append will be committed later; the result is its copy's serial.
    pub(crate) fn append(
        &mut self,
        message: Message,
        entered: WallTime,
        position: LogPosition,
    ) -> u64 {
        let serial = self.first_serial | self.next;
        let record = Record {
            serial,
            message,
            entered,
            position,
            copied: false,
            leaving: false,
        };
        self.records.push(self.next, record);
        self.next += 1;
        serial
    }

    /// Commits an append: appends commit in the order of their offsets. The result is the message's tag.
    pub(crate) fn commit(&mut self, offset: u64) -> u64 {
        debug_assert!(self.end <= offset, "appends commit in order");
        let record = self.records.get(offset).expect("an appended record stays");
        let (tag, size, entered) = (record.message.tag, record.message.size(), record.entered);
        self.end = offset + 1;
        self.length += 1;
        self.bytes += size;
        let first = self.segment_of(offset);
        match self.segments.back_mut() {
            Some(segment) if segment.first == first => {
                segment.length += 1;
                segment.bytes += size;
                segment.newest = segment.newest.max(entered);
            }
            _ => self.segments.push_back(Segment {
                first,
                length: 1,
                bytes: size,
                newest: entered,
            }),
        }
        if self.retention.compact && self.end == first + self.segment() {
            self.compact(first);
        }
        tag
    }

    /// Puts a record in as recovery found it.
    fn recover(&mut self, offset: u64, record: Record) {
        // The last record of a full segment may be outdated and gone: then this is how its end shows.
        if let Some(full) = self.segments.back().map(|segment| segment.first)
            && full < self.segment_of(offset)
            && self.end < full + self.segment()
            && self.retention.compact
        {
            self.compact(full);
        }
        self.records.push(offset, record);
        self.next = offset + 1;
        self.commit(offset);
    }

    fn segment(&self) -> u64 {
        u64::from(self.retention.segment)
    }

    fn segment_of(&self, offset: u64) -> u64 {
        offset - offset % self.segment()
    }

    /// Finds what the records of a full segment outdate.
    fn compact(&mut self, first: u64) {
        let full = self.records.iter_from(first);
        for (offset, record) in
            full.take_while(|(offset, _)| *offset < first + u64::from(self.retention.segment))
        {
            let key = record.message.routing_key.clone();
            self.outdated.extend(self.latest.insert(key, offset));
        }
    }
}

/// Reading.
impl Stream {
    /// The first record at or after an offset.
    pub(crate) fn read(&self, from: u64) -> Option<(u64, &Record)> {
        let found = self.records.at_or_after(from);
        found.filter(|(offset, _)| *offset < self.end)
    }

    /// Tags and copies of all records that can be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, MessageCopy)> {
        let records = self.records.iter();
        let records = records.take_while(|(offset, _)| *offset < self.end);
        records.map(|(_, record)| {
            let copy = MessageCopy {
                queue: self.queue,
                serial: record.serial,
            };
            (record.message.tag, copy)
        })
    }

    pub(crate) fn get(&self, offset: u64) -> Option<&Record> {
        self.records.get(offset)
    }

    /// How many records there are at or after an offset.
    pub(crate) fn count_from(&self, from: u64) -> u64 {
        if !self.retention.compact {
            return self.end.saturating_sub(from.max(self.first()));
        }
        let rest = self.records.iter_from(from);
        rest.take_while(|(offset, _)| *offset < self.end).count() as u64
    }

    /// Where reading starts.
    pub(crate) fn locate(&self, from: Offset) -> u64 {
        match from {
            Offset::First => self.first(),
            Offset::Next => self.end,
            Offset::Last => {
                let last = self.end.saturating_sub(1);
                self.read(last).map_or(self.end, |(offset, _)| offset)
            }
            Offset::At(offset) => offset,
            Offset::Since(instant) => self.since(instant),
        }
    }

    fn since(&self, instant: WallTime) -> u64 {
        let segment = self
            .segments
            .iter()
            .find(|segment| segment.newest >= instant);
        let from = segment.map_or(self.end, |segment| segment.first);
        let late =
            |(offset, record): &(u64, &Record)| *offset >= self.end || record.entered >= instant;
        let found = self.records.iter_from(from).find(late);
        found.map_or(self.end, |(offset, _)| offset.min(self.end))
    }
}

/// Retention.
impl Stream {
    /// The first offset to keep, if the bounds (or `read`, up to where all groups have read) ask for a truncation that is not on its way.
    /// The open segment stays.
    pub(crate) fn surplus(&self, read: Option<u64>) -> Option<u64> {
        let Retention {
            max_length,
            max_bytes,
            ..
        } = self.retention;
        let (mut length, mut bytes, mut keep) = (self.length, self.bytes, self.truncating);
        for segment in &self.segments {
            let end = segment.first + self.segment();
            let beyond = max_length.is_some_and(|max| length > max)
                || max_bytes.is_some_and(|max| bytes > max)
                || read.is_some_and(|read| end <= read);
            if end > self.end || !(beyond || end <= self.truncating) {
                break;
            }
            keep = keep.max(end);
            length -= segment.length;
            bytes -= segment.bytes;
        }
        (keep > self.truncating).then_some(keep)
    }

    /// The first offset to keep at `now`, if that asks for a truncation that is not on its way. What is too old goes with the open segment,
    /// too, unless an append to it is on its way.
    pub(crate) fn expired(&self, now: WallTime) -> Option<u64> {
        let max_age = self.retention.max_age?;
        let mut keep = self.truncating;
        for segment in &self.segments {
            let end = (segment.first + self.segment()).min(self.next);
            if segment.newest + max_age > now || end > self.end {
                break;
            }
            keep = keep.max(end);
        }
        (keep > self.truncating).then_some(keep)
    }

    /// When the next segment will be too old.
    pub(crate) fn expires(&self) -> Option<WallTime> {
        let max_age: Span = self.retention.max_age?;
        let kept =
            |segment: &&Segment| (segment.first + self.segment()).min(self.next) > self.truncating;
        let oldest = self.segments.iter().find(kept)?;
        Some(oldest.newest + max_age)
    }

    /// True if it drops what all groups have read.
    pub(crate) fn drops_what_is_read(&self) -> bool {
        self.retention.interest
    }

    /// Takes the records that compaction found to be outdated; their removal is to be proposed.
    pub(crate) fn take_outdated(&mut self) -> Vec<u64> {
        for offset in &self.outdated {
            if let Some(record) = self.records.get_mut(*offset) {
                record.leaving = true;
            }
        }
        std::mem::take(&mut self.outdated)
    }

    /// Notes that a truncation is on its way.
    pub(crate) fn truncating(&mut self, first: u64) {
        self.truncating = self.truncating.max(first);
    }

    /// Commits a truncation, one record at a time, until there is none left before `first`.
    pub(crate) fn pop_before(&mut self, first: u64) -> Option<(u64, Record)> {
        let (offset, _) = self.records.front()?;
        if offset >= first.min(self.end) {
            return None;
        }
        self.retire(offset)
    }

    /// Where the log has the last truncation.
    pub(crate) fn set_truncated(&mut self, position: LogPosition) {
        self.truncated = position;
    }

    /// Removes a record.
    pub(crate) fn retire(&mut self, offset: u64) -> Option<(u64, Record)> {
        let record = self.records.remove(offset)?;
        let first = self.segment_of(offset);
        let at = self
            .segments
            .partition_point(|segment| segment.first < first);
        let segment = &mut self.segments[at];
        segment.length -= 1;
        segment.bytes -= record.message.size();
        if segment.length == 0 {
            self.segments.remove(at);
        }
        self.length -= 1;
        self.bytes -= record.message.size();
        if self.latest.get(&record.message.routing_key) == Some(&offset) {
            self.latest.remove(&record.message.routing_key);
        }
        Some((offset, record))
    }

    /// Where the log has the last truncation, if that is all that tells where the stream goes on.
    pub(crate) fn marker(&self) -> Option<LogPosition> {
        (self.records.is_empty() && self.truncated > LogPosition(0)).then_some(self.truncated)
    }
}

/// What the log has.
impl Stream {
    /// A record, if the log has it, and nothing more about it is on its way there.
    pub(crate) fn logged(&self, serial: u64) -> Option<&Record> {
        let offset = offset_of(serial);
        let kept = (self.truncating..self.end).contains(&offset);
        let record = self.records.get(offset).filter(|_| kept)?;
        (record.position > LogPosition(0) && !record.leaving).then_some(record)
    }

    /// Serials of records that the log has before a place, but for copies.
    pub(crate) fn logged_before(&self, end: LogPosition) -> Vec<u64> {
        let originals = originals_before(&self.records, self.oldest_logged, end);
        originals.map(|(_, record)| record.serial).collect()
    }

    /// Serials and places of records whose entry in the log is a copy.
    pub(crate) fn copies(&self) -> Vec<(u64, LogPosition)> {
        let copies = self.records.iter().filter(|(_, record)| record.copied);
        copies
            .map(|(_, record)| (record.serial, record.position))
            .collect()
    }

    /// Where the log has a record.
    pub(crate) fn position(&self, serial: u64) -> Option<LogPosition> {
        self.records
            .get(offset_of(serial))
            .map(|record| record.position)
    }

    /// The log has a record at another place from now on; false if the record is gone.
    pub(crate) fn replace_entry(&mut self, serial: u64, position: LogPosition) -> bool {
        let Some(record) = self.records.get_mut(offset_of(serial)) else {
            return false;
        };
        record.position = position;
        record.copied = true;
        true
    }

    /// The log's first place that this stream needs, but for copies: its oldest record's, or else what tells that there is none.
    pub(crate) fn oldest_position(&mut self) -> Option<LogPosition> {
        let oldest = oldest_original(&self.records, &mut self.oldest_logged);
        oldest.or_else(|| self.marker())
    }
}

/// What the log tells of a stream, command by command.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    records: BTreeMap<u64, Record>,
    /// The first offset that was not given out.
    next: u64,
    /// The place of the last truncation.
    truncated: LogPosition,
}

impl Trace {
    pub(crate) fn replay(&mut self, position: LogPosition, command: &Command) {
        let copy = command.copy();
        let offset = copy.offset();
        match command {
            Command::Enqueue { message, times, .. } => {
                let copied = offset < self.next;
                self.next = self.next.max(offset + 1);
                let record = Record {
                    serial: copy.serial,
                    message: message.clone(),
                    entered: times.due,
                    position,
                    // Offsets grow; what is out of order was logged again.
                    copied,
                    leaving: false,
                };
                self.records.insert(offset, record);
            }
            Command::Remove { .. } => {
                self.next = self.next.max(offset + 1);
                self.records.remove(&offset);
            }
            Command::Truncate { .. } | Command::Delete { .. } => {
                self.next = self.next.max(offset);
                self.truncated = position;
                self.records = self.records.split_off(&offset);
            }
            Command::Return { .. } | Command::Advance { .. } | Command::Declare { .. } => {}
        }
    }

    /// Fills an empty stream.
    pub(crate) fn restore(self, stream: &mut Stream) {
        for (offset, record) in self.records {
            stream.recover(offset, record);
        }
        stream.next = stream.next.max(self.next);
        stream.end = stream.next;
        stream.truncated = self.truncated;
    }
}

fn offset_of(serial: u64) -> u64 {
    let queue = QueueId(0);
    MessageCopy { queue, serial }.offset()
}
