//! Messages whose time has come and that cannot be sent yet.

use queuelab_core::{Ledger, Time};

use crate::arrivals::Cursor;

/// The messages that arrived and could not be sent yet.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// Where none is dropped they follow each other, and a cursor finds them again: a producer that is far behind needs no
    /// more memory than another.
    Counted { first: Cursor, count: u64 },
    /// Intended times by sequence, at most the buffer's capacity.
    Stored(Ledger<Time>),
}

impl Waiting {
    #[inline]
    pub(super) fn len(&self) -> u64 {
        match self {
            Waiting::Counted { count, .. } => *count,
            Waiting::Stored(messages) => messages.len() as u64,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, arrival: Cursor) {
        match self {
            Waiting::Counted { first, count } => {
                if *count == 0 {
                    *first = arrival;
                }
                *count += 1;
            }
            Waiting::Stored(messages) => messages.push(arrival.index, arrival.time),
        }
    }

    pub(super) fn pop(&mut self, advance: impl FnOnce(&mut Cursor)) -> Option<(u64, Time)> {
        match self {
            Waiting::Counted { count: 0, .. } => None,
            Waiting::Counted { first, count } => {
                let message = (first.index, first.time);
                *count -= 1;
                advance(first);
                Some(message)
            }
            Waiting::Stored(messages) => messages.pop_front(),
        }
    }

    /// Takes a message out of the middle; `None` if it does not wait, or is only counted.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<Time> {
        match self {
            Waiting::Counted { .. } => None,
            Waiting::Stored(messages) => messages.remove(sequence),
        }
    }
}
