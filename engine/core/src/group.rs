//! Groups of consumers that share streams: who is in it, who reads what, and how far they are.

mod assignment;
mod cursor;

use std::collections::VecDeque;
use std::ops::Range;

pub use self::assignment::{Candidate, assign};
pub(crate) use self::cursor::{Cursor, State};
use crate::config::{GroupConfig, GroupKind};
use crate::id::QueueId;
use crate::stream::Stream;
use crate::time::{Span, Time};

/// A group. Members are named by their consumers' keys, streams by their places in the group's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) config: GroupConfig,
    /// Grows with each assignment.
    pub(crate) generation: u32,
    /// In order of joining.
    members: Vec<Member>,
    /// One for each stream.
    pub(crate) cursors: Vec<Cursor>,
    /// Who reads each stream, in a partitioned group.
    readers: Vec<Option<u32>>,
    /// Hashes of the streams' names.
    names: Vec<u64>,
    /// When the streams of a partitioned group are assigned anew; until then nobody reads.
    due: Option<Time>,
    /// The member of a shared group that is served next, and the stream that is read next.
    turn: (usize, usize),
    /// When leases of a shared group end, ascending. One whose lease is over or renewed means nothing.
    pub(crate) locks: VecDeque<(Time, u64)>,
    /// A timer waits for the first of them.
    pub(crate) locks_watched: bool,
}

#[derive(Clone, Debug)]
struct Member {
    key: u32,
    /// What tells it from the others, also when it comes back.
    name: Box<[u8]>,
    /// The stream that is read next.
    turn: usize,
}

impl Group {
    /// A group without members. `name` hashes a stream's name.
    pub(crate) fn new(mut config: GroupConfig, name: impl Fn(QueueId) -> u64) -> Group {
        let mut once = Vec::new();
        config.streams.retain(|stream| {
            let first = !once.contains(stream);
            once.push(*stream);
            first
        });
        Group {
            generation: 0,
            members: Vec::new(),
            cursors: config.streams.iter().copied().map(Cursor::new).collect(),
            readers: vec![None; config.streams.len()],
            names: config.streams.iter().copied().map(name).collect(),
            due: None,
            turn: (0, 0),
            locks: VecDeque::new(),
            locks_watched: false,
            config,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The members' keys, in order of joining.
    pub(crate) fn members(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|member| member.key)
    }

    /// The place of a stream among its streams.
    pub(crate) fn place(&self, stream: QueueId) -> Option<usize> {
        self.cursors
            .iter()
            .position(|cursor| cursor.stream == stream)
    }

    pub(crate) fn cursor_mut(&mut self, stream: QueueId) -> Option<&mut Cursor> {
        let at = self.place(stream)?;
        Some(&mut self.cursors[at])
    }

    /// How long a member may hold a record; only in shared groups.
    pub(crate) fn lock(&self) -> Option<Span> {
        match self.config.kind {
            GroupKind::Shared { lock, .. } => Some(lock),
            GroupKind::Partitioned { .. } => None,
        }
    }

    /// Most deliveries of a record; 0 is unlimited.
    pub(crate) fn delivery_limit(&self) -> u32 {
        match self.config.kind {
            GroupKind::Shared { delivery_limit, .. } => delivery_limit,
            GroupKind::Partitioned { .. } => 0,
        }
    }

    /// Most records of a stream in flight or settled out of order.
    pub(crate) fn window(&self) -> u64 {
        match self.config.kind {
            GroupKind::Shared { window, .. } => u64::from(window.max(1)),
            GroupKind::Partitioned { .. } => u64::MAX,
        }
    }
}

/// Membership.
impl Group {
    pub(crate) fn join(&mut self, key: u32, name: Box<[u8]>) {
        self.members.push(Member { key, name, turn: 0 });
    }

    /// A member is gone; the result is the streams that it has read alone.
    pub(crate) fn leave(&mut self, key: u32) -> Vec<usize> {
        self.members.retain(|member| member.key != key);
        let left: Vec<usize> = self
            .places()
            .filter(|at| self.readers[*at] == Some(key))
            .collect();
        for at in &left {
            self.readers[*at] = None;
        }
        left
    }

    /// Members have come or gone: streams will be assigned anew, unless that is under way. The result is when.
    pub(crate) fn prepare(&mut self, now: Time) -> Option<Time> {
        let GroupKind::Partitioned { rebalance, .. } = self.config.kind else {
            return None;
        };
        if self.due.is_some() {
            return None;
        }
        self.due = Some(now + rebalance);
        self.due
    }

    /// When streams are assigned anew.
    pub(crate) fn due(&self) -> Option<Time> {
        self.due
    }

    /// Assigns the streams of a partitioned group; the result is those that have another reader now, or none.
    pub(crate) fn rebalance(&mut self) -> Vec<usize> {
        self.due = None;
        self.generation += 1;
        let GroupKind::Partitioned { assignment, .. } = self.config.kind else {
            return Vec::new();
        };
        let names: Vec<&[u8]> = self.members.iter().map(|member| &member.name[..]).collect();
        let place = |key| self.members.iter().position(|member| member.key == key);
        let candidates: Vec<Candidate> = self
            .places()
            .map(|at| Candidate {
                name: self.names[at],
                reader: self.readers[at].and_then(place),
            })
            .collect();
        let readers = assign(assignment, &names, &candidates);
        let mut changed = Vec::new();
        for at in self.places() {
            let reader = readers.get(at).map(|member| self.members[*member].key);
            if self.readers[at] != reader {
                self.readers[at] = reader;
                changed.push(at);
            }
        }
        changed
    }

    /// What a member reads.
    pub(crate) fn streams(&self, key: u32) -> Box<[QueueId]> {
        self.reads(key).collect()
    }

    /// The first stream that a member reads.
    pub(crate) fn first_stream(&self, key: u32) -> Option<QueueId> {
        self.reads(key).next()
    }

    fn reads(&self, key: u32) -> impl Iterator<Item = QueueId> {
        let shared = self.lock().is_some();
        let read = move |at: &usize| shared || self.readers[*at] == Some(key);
        self.places().filter(read).map(|at| self.cursors[at].stream)
    }

    /// Who reads a stream alone.
    pub(crate) fn reader(&self, stream: QueueId) -> Option<u32> {
        self.readers[self.place(stream)?]
    }

    fn places(&self) -> Range<usize> {
        0..self.readers.len()
    }
}

/// Whose turn it is.
impl Group {
    /// Takes the next record for a member, from its streams in turn; the result is the stream's place, the offset, and whether it may have
    /// been delivered before.
    pub(crate) fn take<'a>(
        &mut self,
        key: u32,
        lease: u64,
        stream: impl Fn(QueueId) -> Option<&'a Stream>,
    ) -> Option<(usize, u64, bool)> {
        let member = self.members.iter().position(|member| member.key == key)?;
        let (shared, limit) = (self.lock().is_some(), self.window());
        let turn = if shared {
            self.turn.1
        } else {
            self.members[member].turn
        };
        for nth in 0..self.cursors.len() {
            let at = (turn + nth) % self.cursors.len();
            if !shared && self.readers[at] != Some(key) {
                continue;
            }
            let cursor = &mut self.cursors[at];
            let taken = stream(cursor.stream).and_then(|stream| cursor.take(stream, lease, limit));
            if let Some((offset, redelivered)) = taken {
                let turn = at + 1;
                match shared {
                    true => self.turn = (member + 1, turn),
                    false => self.members[member].turn = turn,
                }
                return Some((at, offset, redelivered));
            }
        }
        None
    }

    /// The `nth` member's key, from the one whose turn it is.
    pub(crate) fn in_turn(&self, nth: usize) -> Option<u32> {
        let exists = nth < self.members.len();
        exists.then(|| self.members[(self.turn.0 + nth) % self.members.len()].key)
    }
}
