//! What a queue remembers of messages that it took, to know them again.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::config::Deduplicate;
use crate::message::Properties;
use crate::time::Time;

/// Identities of messages, for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    ids: BTreeSet<Bytes>,
    /// When each was seen first, ascending.
    order: VecDeque<(Time, Bytes)>,
}

/// What takes one message out of the memory again.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    id: Option<Bytes>,
    /// What had to go for it.
    forgotten: Option<(Time, Bytes)>,
}

impl Seen {
    /// Whether it took a message before.
    pub(crate) fn knows(
        &mut self,
        window: Option<&Deduplicate>,
        properties: &Properties,
        now: Time,
    ) -> bool {
        let Some(window) = window else {
            return false;
        };
        self.forget(window, now);
        let id = properties.id.as_ref();
        id.is_some_and(|id| self.ids.contains(id))
    }

    /// Remembers a message, new or repeated.
    pub(crate) fn remember(
        &mut self,
        window: Option<&Deduplicate>,
        properties: &Properties,
        now: Time,
    ) -> Undo {
        let keeps = window.is_some_and(|window| window.capacity > 0);
        let id = properties.id.as_ref().filter(|_| keeps);
        let id = id.filter(|id| self.ids.insert((*id).clone()));
        self.order.extend(id.map(|id| (now, id.clone())));
        let surplus = window.is_some_and(|window| self.order.len() > window.capacity as usize);
        let forgotten = if surplus {
            self.order.pop_front()
        } else {
            None
        };
        if let Some((_, id)) = &forgotten {
            self.ids.remove(id);
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
        if let Some((seen, id)) = undo.forgotten {
            self.ids.insert(id.clone());
            self.order.push_front((seen, id));
        }
    }

    /// Forgets identities that are too old.
    fn forget(&mut self, window: &Deduplicate, now: Time) {
        while let Some((seen, _)) = self.order.front()
            && now >= *seen + window.window
            && let Some((_, id)) = self.order.pop_front()
        {
            self.ids.remove(&id);
        }
    }
}
