//! What a queue remembers of messages that it took, to know them again.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::config::Deduplicate;
use crate::id::LogPosition;
use crate::message::Properties;
use crate::time::Time;

/// Identities of messages, for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    ids: BTreeSet<Bytes>,
    /// As each was seen first, ascending.
    order: VecDeque<Identity>,
}

/// What a message was known by first.
#[derive(Clone, Debug)]
struct Identity {
    seen: Time,
    /// Its place in the log, or one before it: a restart knows it by what is there. Zero if it has none.
    position: LogPosition,
    id: Bytes,
}

/// What takes one message out of the memory again.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    id: Option<Bytes>,
    /// What had to go for it.
    forgotten: Option<Identity>,
}

impl Seen {
    /// Whether it took a message before.
    pub(crate) fn knows(
        &mut self,
        window: &Deduplicate,
        properties: &Properties,
        now: Time,
    ) -> bool {
        self.forget(window, now);
        let id = properties.id.as_ref();
        id.is_some_and(|id| self.ids.contains(id))
    }

    /// Remembers a message; its place in the log is not before `position`.
    pub(crate) fn remember(
        &mut self,
        window: &Deduplicate,
        properties: &Properties,
        position: LogPosition,
        now: Time,
    ) -> Undo {
        let id = properties.id.as_ref().filter(|_| window.capacity > 0);
        let id = id.filter(|id| self.ids.insert((*id).clone()));
        self.order.extend(id.map(|id| Identity {
            seen: now,
            position,
            id: id.clone(),
        }));
        let surplus = self.order.len() > window.capacity as usize;
        let forgotten = if surplus {
            self.order.pop_front()
        } else {
            None
        };
        if let Some(forgotten) = &forgotten {
            self.ids.remove(&forgotten.id);
        }
        Undo {
            id: id.cloned(),
            forgotten,
        }
    }

    /// Takes back what was remembered last.
    pub(crate) fn undo(&mut self, undo: Undo) {
        if let Some(id) = undo.id {
            self.ids.remove(&id);
            self.order.pop_back();
        }
        if let Some(forgotten) = undo.forgotten {
            self.ids.insert(forgotten.id.clone());
            self.order.push_front(forgotten);
        }
    }

    /// Forgets identities that are too old.
    fn forget(&mut self, window: &Deduplicate, now: Time) {
        while let Some(first) = self.order.front()
            && now >= first.seen + window.window
            && let Some(first) = self.order.pop_front()
        {
            self.ids.remove(&first.id);
        }
    }

    /// A restart knows what the log has, and not since when: all of it counts as seen now.
    pub(crate) fn starts(&mut self, now: Time) {
        for identity in &mut self.order {
            identity.seen = now;
        }
    }

    /// How many identities are remembered.
    pub(crate) fn identities(&self) -> u64 {
        self.order.len() as u64
    }

    /// The log's first place that a restart needs to know identities again.
    pub(crate) fn oldest_position(
        &mut self,
        window: &Deduplicate,
        now: Time,
    ) -> Option<LogPosition> {
        self.forget(window, now);
        let mut positions = self.order.iter().map(|identity| identity.position);
        positions.find(|position| *position > LogPosition(0))
    }
}
