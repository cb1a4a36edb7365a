//! Everything that happened in a run, small enough to keep: to find the first event in which another run differs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use queuelab_core::Time;
use thiserror::Error;

/// The events of a run: the first million one by one, all of them in blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTrace {
    /// The first events, at most [`EVENTS_MAX`].
    pub first: Vec<TracedEvent>,
    /// The rolling hash after each [`BLOCK`] events, from the first on.
    pub blocks: Vec<u64>,
    /// How many there were.
    pub count: u64,
    /// The rolling hash after all of them.
    pub hash: u64,
}

/// One event of the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracedEvent {
    /// When.
    pub at: Time,
    /// As the how many-th it was scheduled.
    pub sequence: u64,
    /// Of which kind, from 1.
    pub kind: u8,
    /// Whom it is about; 0 if that goes without saying.
    pub target: u32,
    /// Sixteen bits of what it did to messages; 0 if it touched none.
    pub did: u16,
}

/// Where two runs part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// At an event.
    Event {
        /// The how many-th it is, from 1.
        number: u64,
        /// The event then; nothing if there was none.
        then: Option<TracedEvent>,
        /// The event now; nothing if there is none.
        now: Option<TracedEvent>,
    },
    /// Somewhere in a block, beyond the events that are kept one by one.
    Block {
        /// The first event that may differ, from 1.
        from: u64,
        /// The last.
        until: u64,
    },
}

/// Why bytes are no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TraceError {
    /// They are of something else, or of another version.
    #[error("it is not a trace of events that this queuelab reads")]
    Format,
    /// They cannot be unpacked.
    #[error("the trace of events is damaged: it cannot be unpacked")]
    Compression,
    /// They end too early, or say what cannot be.
    #[error("the trace of events is damaged: its {part} make no sense")]
    Damaged {
        /// Which part.
        part: &'static str,
    },
}

impl EventTrace {
    /// The first place in which another run of the same scenario, `now`, differs; `None` if it does not.
    pub fn parting(&self, now: &EventTrace) -> Option<Parting> {
        if self == now {
            return None;
        }
        let (then_kept, now_kept) = (&self.first, &now.first);
        let both = then_kept.len().min(now_kept.len());
        let differs = |at: &usize| then_kept.get(*at) != now_kept.get(*at);
        // One may have kept fewer than the other because it had no more.
        let end = match self.count.min(now.count) > both as u64 {
            true => both,
            false => then_kept.len().max(now_kept.len()),
        };
        if let Some(at) = (0..end).find(differs) {
            return Some(Parting::Event {
                number: at as u64 + 1,
                then: then_kept.get(at).copied(),
                now: now_kept.get(at).copied(),
            });
        }
        let blocks = self.blocks.iter().zip(&now.blocks);
        let same = blocks.take_while(|(then, now)| then == now).count() as u64;
        let until = ((same + 1) * BLOCK).min(self.count.max(now.count));
        Some(Parting::Block {
            from: (same * BLOCK + 1).max(both as u64 + 1).min(until),
            until,
        })
    }

    /// As bytes, three or four per event: column by column, differences in as few bytes as they need, deflated.
    pub fn encode(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(64 + 8 * self.blocks.len() + 9 * self.first.len());
        plain.extend(self.hash.to_le_bytes());
        put(&mut plain, self.count);
        put(&mut plain, self.blocks.len() as u64);
        for block in &self.blocks {
            plain.extend(block.to_le_bytes());
        }
        put(&mut plain, self.first.len() as u64);
        let mut before = TracedEvent::default();
        for event in &self.first {
            put(&mut plain, event.at.0.wrapping_sub(before.at.0));
            before = *event;
        }
        before = TracedEvent::default();
        for event in &self.first {
            put(
                &mut plain,
                zig_zag(event.sequence.wrapping_sub(before.sequence)),
            );
            before = *event;
        }
        plain.extend(self.first.iter().map(|event| event.kind));
        for event in &self.first {
            put(&mut plain, u64::from(event.target));
        }
        for event in &self.first {
            put(&mut plain, u64::from(event.did));
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(miniz_oxide::deflate::compress_to_vec(
            &plain,
            COMPRESSION_LEVEL,
        ));
        bytes
    }

    /// The bytes as base64, for files of text.
    pub fn to_text(&self) -> String {
        STANDARD.encode(self.encode())
    }

    /// The trace that [`EventTrace::to_text`] wrote.
    ///
    /// # Errors
    /// As [`EventTrace::decode`].
    pub fn from_text(text: &str) -> Result<EventTrace, TraceError> {
        let bytes = STANDARD.decode(text).map_err(|_| TraceError::Format)?;
        EventTrace::decode(&bytes)
    }

    /// The trace that [`EventTrace::encode`] wrote. Memory stays bounded, whatever the bytes claim.
    ///
    /// # Errors
    /// If they are of no trace, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<EventTrace, TraceError> {
        let packed = bytes.strip_prefix(&MAGIC).ok_or(TraceError::Format)?;
        let plain = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, UNPACKED_MAX)
            .map_err(|_| TraceError::Compression)?;
        let mut rest = Rest(&plain);
        let header = "counts";
        let hash = rest.word(header)?;
        let count = rest.number(header)?;
        let blocks = rest.length(header, 8)?;
        let blocks = (0..blocks)
            .map(|_| rest.word("blocks"))
            .collect::<Result<_, _>>()?;
        let kept = rest.length(header, 5)?;
        if kept as u64 > count.min(EVENTS_MAX as u64) {
            return Err(TraceError::Damaged { part: header });
        }
        let mut first = vec![TracedEvent::default(); kept];
        let mut at: u64 = 0;
        for event in &mut first {
            at = at.wrapping_add(rest.number("times")?);
            event.at = Time(at);
        }
        let mut sequence: u64 = 0;
        for event in &mut first {
            sequence = sequence.wrapping_add(un_zig_zag(rest.number("sequences")?));
            event.sequence = sequence;
        }
        for event in &mut first {
            event.kind = rest.byte("kinds")?;
        }
        for event in &mut first {
            event.target = rest.narrow("targets")?;
        }
        for event in &mut first {
            event.did = rest.narrow("digests")?;
        }
        match rest.0.is_empty() {
            true => Ok(EventTrace {
                first,
                blocks,
                count,
                hash,
            }),
            false => Err(TraceError::Damaged { part: "ends" }),
        }
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self, part: &'static str) -> Result<u8, TraceError> {
        let (first, rest) = self.0.split_first().ok_or(TraceError::Damaged { part })?;
        self.0 = rest;
        Ok(*first)
    }

    fn word(&mut self, part: &'static str) -> Result<u64, TraceError> {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .ok_or(TraceError::Damaged { part })?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }

    fn number(&mut self, part: &'static str) -> Result<u64, TraceError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(part)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(TraceError::Damaged { part })
    }

    fn narrow<T: TryFrom<u64>>(&mut self, part: &'static str) -> Result<T, TraceError> {
        T::try_from(self.number(part)?).map_err(|_| TraceError::Damaged { part })
    }

    /// A number of things of `size` bytes at least, as many as can follow.
    fn length(&mut self, part: &'static str, size: usize) -> Result<usize, TraceError> {
        let length: usize = self.narrow(part)?;
        match length <= self.0.len() / size {
            true => Ok(length),
            false => Err(TraceError::Damaged { part }),
        }
    }
}

/// Seven bits per byte, the lowest first (LEB128).
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Differences near zero, on either side, as small numbers.
fn zig_zag(difference: u64) -> u64 {
    let signed = difference as i64;
    ((signed << 1) ^ (signed >> 63)) as u64
}

fn un_zig_zag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

/// Events that are kept one by one.
pub const EVENTS_MAX: usize = 1_000_000;

/// Events to one hash.
pub const BLOCK: u64 = 1 << 16;

/// What a trace begins with, its version last.
const MAGIC: [u8; 8] = *b"QLTRACE\x01";

/// More takes longer and saves little.
const COMPRESSION_LEVEL: u8 = 6;

/// A million events of the largest size, and the blocks of 10¹¹ events.
const UNPACKED_MAX: usize = 48 << 20;
