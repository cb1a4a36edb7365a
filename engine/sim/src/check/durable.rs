//! A confirm implies that the message is durable: looked at in the broker and on the disk, at the moment of the confirm.

use queuelab_core::{Command, Durability, Entry, Ledger, LogPosition, Message, Time};

use super::{Check, Invariant, Place, Tag};

/// What confirms stand for.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    /// By connection of a producer that asks for confirms: how many publishes its channel has had, and those without an answer.
    channels: Vec<Channel>,
    /// How many of the node's lives are over: with each, places after what its disk kept were given away anew.
    life: u32,
    /// By life: the last place that the disk had when it began.
    found: Vec<(u32, LogPosition)>,
}

#[derive(Clone, Debug, Default)]
struct Channel {
    publishes: u64,
    open: Ledger<Tag>,
}

/// How far the log has to be before a message may be confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Awaited {
    /// In a queue.
    queue: u32,
    /// In the operating system's hands up to here.
    written: LogPosition,
    /// On the platter up to here.
    synced: LogPosition,
    /// In which of the node's lives it was logged.
    life: u32,
}

impl Durable {
    /// For so many connections of producers.
    pub fn new(connections: usize) -> Durable {
        Durable {
            channels: vec![Channel::default(); connections],
            life: 0,
            found: Vec::new(),
        }
    }

    /// Which of the node's lives it is.
    pub fn life(&self) -> u32 {
        self.life
    }

    /// Whether every restart since an entry of this life was logged has found it.
    pub fn keeps(&self, entry: Awaited, life: u32) -> bool {
        let mut later = self.found.iter().filter(|(of, _)| *of > life);
        entry.life == life
            && entry.written > LogPosition(0)
            && later.all(|(_, last)| entry.written <= *last)
    }
}

/// A dead letter is an entry of its own, that no confirm waits for.
fn died(message: &Message) -> bool {
    let properties = message.properties.as_deref();
    properties.is_some_and(|properties| !properties.deaths.is_empty())
}

impl Check {
    /// A connection has a new channel, whose confirms count from 1.
    pub fn opened(&mut self, connection: u32) {
        if let Some(channel) = self.durable.channels.get_mut(connection as usize) {
            *channel = Channel::default();
        }
    }

    /// The broker takes up a publish that is to be confirmed.
    #[inline]
    pub fn published(&mut self, connection: u32, tag: u64) {
        if let Some(channel) = self.durable.channels.get_mut(connection as usize) {
            channel.publishes += 1;
            channel.open.push(channel.publishes, Tag(tag));
        }
    }

    /// From now on a queue has this durability: nobody has to wait for more.
    pub fn has_durability(&mut self, queue: usize, durability: Durability) {
        self.rules[queue].durability = durability;
    }

    /// The node is down: its log may have lost its end, whose places mean something else from now on.
    pub fn log_ended(&mut self) {
        self.durable.life += 1;
    }

    /// A restart has found the log up to here.
    pub fn log_found(&mut self, last: LogPosition) {
        self.durable.found.push((self.durable.life, last));
    }

    /// The disk of a node that is down is empty: its places go on, but no restart finds what was logged before.
    pub fn log_wiped(&mut self) {
        self.log_found(LogPosition(0));
    }

    /// An entry is on its way to the log.
    #[inline]
    pub fn persisted(&mut self, position: LogPosition, entry: &Entry) {
        if !self.enabled {
            return;
        }
        for command in entry.commands() {
            if let Command::Enqueue { copy, message, .. } = command
                && !died(message)
            {
                let queue = copy.queue.0;
                let synced = match self.rules[copy.queue.index()].durability {
                    Durability::None => continue,
                    Durability::Fsync => position,
                    // The others promise no more than the operating system's memory.
                    _ => LogPosition(0),
                };
                let written = position;
                let life = self.durable.life;
                self.update(Tag(message.tag), |message| {
                    let before = message.awaited;
                    let known = before.written > LogPosition(0) && before.life == life;
                    // The answer to an earlier attempt may come after a later one was logged.
                    if message.attempts > 1 && known {
                        return;
                    }
                    let earlier = if known { before.synced } else { LogPosition(0) };
                    message.awaited = Awaited {
                        queue,
                        written,
                        synced: synced.max(earlier),
                        life,
                    };
                });
            }
        }
    }

    /// A confirm leaves the broker, with the log as far as `written` and `synced`.
    #[inline]
    pub fn confirms(
        &mut self,
        now: Time,
        (connection, sequence, multiple): (u32, u64, bool),
        accepted: bool,
        (written, synced): (LogPosition, LogPosition),
    ) {
        let confirmed = |check: &mut Check, tag: Option<Tag>| match tag {
            Some(tag) if accepted => check.is_durable(now, tag, written, synced),
            Some(tag) => check.nacked(tag),
            None => {}
        };
        let Some(channel) = self.durable.channels.get_mut(connection as usize) else {
            return;
        };
        if !multiple {
            let tag = channel.open.remove(sequence);
            return confirmed(self, tag);
        }
        while let Some(channel) = self.durable.channels.get_mut(connection as usize)
            && (channel.open.front()).is_some_and(|(first, _)| first <= sequence)
        {
            let tag = channel.open.pop_front().map(|(_, tag)| tag);
            confirmed(self, tag);
        }
    }

    fn is_durable(&mut self, now: Time, tag: Tag, written: LogPosition, synced: LogPosition) {
        let messages = self.messages.get(tag.producer());
        let Some(message) = messages.and_then(|messages| messages.get(tag.sequence())) else {
            return;
        };
        let awaited = message.awaited;
        // What was logged in an earlier life is synced by the restart that found it, or gone.
        if awaited.life != self.durable.life {
            return;
        }
        let place = Place::of(now, awaited.queue as usize, tag);
        let durable = awaited.written <= written && awaited.synced <= synced;
        self.compare(Invariant::ConfirmDurable, place, durable, || {
            format!(
                "at {now}: {tag} was confirmed before its place in the log, {}, was safe: written up to {}, synced up to {}",
                awaited.written.0.max(awaited.synced.0), written.0, synced.0
            )
        });
    }
}
