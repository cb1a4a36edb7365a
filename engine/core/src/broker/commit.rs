//! From proposal to effect: what changes a queue waits for the log, as long as the queue's durability asks.

use std::collections::VecDeque;

use super::timers::Watch;
use super::{Broker, append};
use crate::config::Durability;
use crate::id::{ChannelId, GroupId, LogPosition, MessageCopy};
use crate::interface::{Command, Entry, Event, Output, Removal};
use crate::time::{Span, Time};

/// What a command does when it is committed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    Enqueue {
        copy: MessageCopy,
        origin: Origin,
    },
    Remove {
        copy: MessageCopy,
        reason: Removal,
    },
    Return {
        copy: MessageCopy,
        deliveries: u32,
    },
    /// A stream's record can be read.
    Append {
        copy: MessageCopy,
        origin: Origin,
    },
    /// A stream's record is gone.
    Retire {
        copy: MessageCopy,
    },
    /// A stream's records before this one are gone; the log says so at `position`.
    Truncate {
        copy: MessageCopy,
        position: LogPosition,
    },
    /// A group is done with a stream's records before this one; the log says so at `position`.
    Advance {
        copy: MessageCopy,
        group: GroupId,
        position: LogPosition,
    },
    /// The source's removal in a dead-letter move.
    Leave {
        copy: MessageCopy,
        moving: u32,
    },
    /// A message that a queue has seen before.
    Repeat {
        copy: MessageCopy,
        origin: Origin,
    },
    /// The end of a queue, and of all its serials before this one.
    Delete {
        copy: MessageCopy,
    },
    /// The log has a message again, at `position`.
    Copied {
        copy: MessageCopy,
        position: LogPosition,
    },
    /// The log says at `position` again that a queue was deleted.
    StayDeleted {
        copy: MessageCopy,
        position: LogPosition,
    },
}

/// Who waits for a copy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// Nobody.
    Unconfirmed,
    /// A publish that asked for a confirm.
    Publish {
        channel: ChannelId,
        epoch: u32,
        sequence: u64,
    },
    /// A dead-letter move, by its key.
    Move(u32),
}

impl Effect {
    fn copy(&self) -> MessageCopy {
        match self {
            Effect::Enqueue { copy, .. }
            | Effect::Remove { copy, .. }
            | Effect::Return { copy, .. }
            | Effect::Append { copy, .. }
            | Effect::Retire { copy }
            | Effect::Truncate { copy, .. }
            | Effect::Advance { copy, .. }
            | Effect::Leave { copy, .. }
            | Effect::Repeat { copy, .. }
            | Effect::Copied { copy, .. }
            | Effect::StayDeleted { copy, .. }
            | Effect::Delete { copy } => *copy,
        }
    }
}

/// Commands and effects that belong together: one entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Transaction {
    commands: Vec<Command>,
    /// Each with whether one of the commands stands for it.
    effects: Vec<(Effect, bool)>,
    pub(super) needs_sync: bool,
    /// More is to come: what would end the transaction does not.
    pub(super) held: bool,
    /// Dead-letter moves that other moves set off.
    pub(super) consequent_moves: u32,
}

/// The log as the broker knows it: places given out, how far the driver came, and the effects that wait for it.
#[derive(Clone, Debug)]
pub(super) struct Log {
    last: LogPosition,
    written: LogPosition,
    synced: LogPosition,
    unwritten: VecDeque<(LogPosition, Effect)>,
    unsynced: VecDeque<(LogPosition, Effect)>,
    needs_sync: bool,
    /// The first place that is kept.
    released: LogPosition,
    /// `last` at the last look for a head to release.
    looked: LogPosition,
    /// When what waits for its interval is synced; never while nothing does.
    sync_at: Time,
}

impl Log {
    pub(super) fn new(last: LogPosition) -> Log {
        Log {
            last,
            written: last,
            synced: last,
            unwritten: VecDeque::new(),
            unsynced: VecDeque::new(),
            needs_sync: false,
            released: LogPosition(1),
            looked: last,
            sync_at: Time::MAX,
        }
    }

    /// The place that the next entry will have.
    pub(super) fn next(&self) -> LogPosition {
        LogPosition(self.last.0 + 1)
    }

    /// Appends what `make` says: entries are large, and this one is written where it stays.
    #[inline(always)]
    fn persist(&mut self, make: impl FnOnce() -> Entry, needs_sync: bool, out: &mut Vec<Output>) {
        self.last = self.next();
        self.needs_sync |= needs_sync;
        let position = self.last;
        append(out, || Output::Persist {
            position,
            entry: make(),
        });
    }

    /// Appends; the effect waits for the disk, whatever its queue asks for.
    pub(super) fn persist_synced(&mut self, entry: Entry, effect: Effect, out: &mut Vec<Output>) {
        self.persist(|| entry, true, out);
        self.unsynced.push_back((self.last, effect));
    }

    /// Nothing waits for it any more, and nothing will be asked of it.
    pub(super) fn abandon(&mut self) {
        *self = Log {
            released: self.released,
            ..Log::new(self.last)
        };
    }

    /// Up to where the log is written, and synced.
    pub(super) fn reached(&self) -> (LogPosition, LogPosition) {
        (self.written, self.synced)
    }

    pub(super) fn advance(&mut self, written: LogPosition, synced: LogPosition) {
        debug_assert!(
            synced <= written && written <= self.last,
            "the log has what was persisted"
        );
        self.written = self.written.max(written);
        self.synced = self.synced.max(synced);
    }

    /// Takes the next effect that waits no longer.
    pub(super) fn next_committed(&mut self) -> Option<Effect> {
        fn due(
            waiting: &mut VecDeque<(LogPosition, Effect)>,
            reached: LogPosition,
        ) -> Option<Effect> {
            let (_, effect) = waiting.pop_front_if(|(position, _)| *position <= reached)?;
            Some(effect)
        }
        due(&mut self.unwritten, self.written).or_else(|| due(&mut self.unsynced, self.synced))
    }

    /// Up to where the disk should have the log, if that changed.
    pub(super) fn sync(&mut self) -> Option<LogPosition> {
        std::mem::take(&mut self.needs_sync).then_some(self.last)
    }

    /// True if the end of a batch has something to do about it.
    #[inline]
    pub(super) fn needs_attention(&self) -> bool {
        self.needs_sync || self.release_is_due()
    }

    /// True if so much was appended that the search for a new head pays.
    #[inline]
    pub(super) fn release_is_due(&self) -> bool {
        self.last.0 - self.looked.0 >= RELEASE_ENTRIES
    }

    /// True if so much was appended since that an entry should not hold the head back.
    pub(super) fn is_old(&self, position: LogPosition) -> bool {
        self.last.0.saturating_sub(position.0) >= RELEASE_ENTRIES
    }

    /// The new head, if it moved. `oldest` is the oldest place that a queue needs.
    pub(super) fn release(&mut self, oldest: Option<LogPosition>) -> Option<LogPosition> {
        self.looked = self.last;
        let unwritten = LogPosition(self.written.0 + 1);
        let before = oldest.unwrap_or(unwritten).min(unwritten);
        let moved = before > self.released;
        self.released = before.max(self.released);
        moved.then_some(before)
    }

    /// Takes an effect that is not in the log, if it has to wait for earlier ones of its kind.
    fn wait_in_turn(&mut self, durability: Durability, effect: Effect) -> Option<Effect> {
        let waiting = match durability {
            Durability::None => return Some(effect),
            Durability::Os | Durability::Interval(_) => &mut self.unwritten,
            Durability::Fsync => &mut self.unsynced,
        };
        let Some((position, _)) = waiting.back() else {
            return Some(effect);
        };
        waiting.push_back((*position, effect));
        None
    }
}

/// So many entries at a time are looked at for a new head.
const RELEASE_ENTRIES: u64 = 1024;

impl Broker {
    /// Adds to the transaction. `command` is for the log: absent for what does not outlive the process.
    pub(super) fn propose(&mut self, effect: Effect, command: Option<Command>) {
        let durability = self.queues[effect.copy().queue.index()].config.durability;
        self.transaction.effects.push((effect, command.is_some()));
        if let Some(command) = command {
            self.transaction.needs_sync |= self.syncs_at_once(durability);
            self.transaction.commands.push(command);
        }
    }

    /// Logs a command that took effect already.
    pub(super) fn commit_done(&mut self, command: Command, out: &mut Vec<Output>) {
        let durability = self.queues[command.copy().queue.index()].config.durability;
        let needs_sync = self.syncs_at_once(durability);
        if self.transaction.held {
            self.transaction.needs_sync |= needs_sync;
            return self.transaction.commands.push(command);
        }
        self.log.persist(|| Entry::One(command), needs_sync, out);
    }

    /// Whether an entry of a queue has to be synced at the batch's end; if its interval's end will do, that is seen to.
    #[inline(always)]
    fn syncs_at_once(&mut self, durability: Durability) -> bool {
        if let Durability::Interval(every) = durability {
            self.sync_within(every);
        }
        durability == Durability::Fsync
    }

    #[inline(never)]
    fn sync_within(&mut self, every: Span) {
        let at = self.timers.now + every;
        if at < self.log.sync_at {
            self.log.sync_at = at;
            self.timers.watch(at, Watch::Sync);
        }
    }

    /// An interval is over: the batch's end syncs.
    pub(super) fn sync_is_due(&mut self, at: Time) {
        if self.log.sync_at == at {
            self.log.sync_at = Time::MAX;
            self.log.needs_sync = true;
        }
    }

    /// Ends the transaction: its commands become one entry, its effects wait for it or apply at once.
    pub(super) fn commit(&mut self, out: &mut Vec<Output>) {
        if self.transaction.held {
            return;
        }
        self.transaction.consequent_moves = 0;
        let commands = &mut self.transaction.commands;
        let entry = match commands.len() {
            0 => None,
            1 => commands.pop().map(Entry::One),
            _ => Some(Entry::Many(commands.drain(..).collect())),
        };
        if let Some(entry) = entry {
            let needs_sync = std::mem::take(&mut self.transaction.needs_sync);
            self.log.persist(|| entry, needs_sync, out);
        }
        let mut effects = std::mem::take(&mut self.transaction.effects);
        for (effect, logged) in effects.drain(..) {
            self.enact(effect, logged, out);
        }
        self.transaction.effects = effects;
    }

    /// Proposes and commits one effect: a transaction of its own, without the detour.
    #[inline(always)]
    pub(super) fn commit_one(
        &mut self,
        effect: Effect,
        command: Option<Command>,
        out: &mut Vec<Output>,
    ) {
        self.commit_made(effect, command.map(|command| || command), out);
    }

    /// The same of a command that is made where it stays: commands are large.
    #[inline(always)]
    pub(super) fn commit_made(
        &mut self,
        effect: Effect,
        make: Option<impl FnOnce() -> Command>,
        out: &mut Vec<Output>,
    ) {
        if self.transaction.held {
            return self.propose(effect, make.map(|make| make()));
        }
        debug_assert!(self.transaction.effects.is_empty() && self.transaction.commands.is_empty());
        let logged = make.is_some();
        if let Some(make) = make {
            let durability = self.queues[effect.copy().queue.index()].config.durability;
            let needs_sync = self.syncs_at_once(durability);
            self.log.persist(|| Entry::One(make()), needs_sync, out);
        }
        self.enact(effect, logged, out);
    }

    /// Lets an effect wait for the log, or carries it out.
    #[inline(always)]
    fn enact(&mut self, effect: Effect, logged: bool, out: &mut Vec<Output>) {
        let durability = self.queues[effect.copy().queue.index()].config.durability;
        match (logged, durability) {
            (true, Durability::Os | Durability::Interval(_)) => {
                self.log.unwritten.push_back((self.log.last, effect))
            }
            (true, Durability::Fsync) => self.log.unsynced.push_back((self.log.last, effect)),
            (_, Durability::None) => self.apply(effect, out),
            _ => {
                if let Some(effect) = self.log.wait_in_turn(durability, effect) {
                    self.apply(effect, out);
                }
            }
        }
    }

    /// Carries a committed effect out.
    pub(super) fn apply(&mut self, effect: Effect, out: &mut Vec<Output>) {
        match effect {
            Effect::Enqueue { copy, origin } => {
                let now = self.timers.wall;
                let (tag, timed) = self.queues[copy.queue.index()].enqueue(copy.serial, now);
                self.observe(Event::Enqueued { tag, copy }, out);
                if timed {
                    self.watch_copy(copy, out);
                }
                self.touch(copy.queue);
                self.resolve(origin, out);
            }
            Effect::Remove { copy, reason } => {
                if let Some((tag, _)) = self.take_out(copy) {
                    self.observe(Event::Removed { tag, copy, reason }, out);
                }
            }
            Effect::Return { copy, deliveries } => {
                let now = self.timers.wall;
                let queue = &mut self.queues[copy.queue.index()];
                let (tag, timed) = queue.give_back(copy.serial, deliveries, now);
                let event = Event::Returned {
                    tag,
                    copy,
                    deliveries,
                };
                self.observe(event, out);
                if timed {
                    self.watch_copy(copy, out);
                }
                self.touch(copy.queue);
            }
            Effect::Repeat { origin, .. } => self.resolve(origin, out),
            Effect::Delete { copy } => self.finish_delete(copy, out),
            Effect::Copied { copy, position } => self.apply_copied(copy, position),
            Effect::StayDeleted { copy, position } => {
                let queue = &mut self.queues[copy.queue.index()];
                if !queue.exists {
                    queue.deleted_at = position;
                }
            }
            Effect::Append { copy, origin } => self.apply_append(copy, origin, out),
            Effect::Retire { copy } => self.apply_retire(copy, out),
            Effect::Truncate { copy, position } => self.apply_truncate(copy, position, out),
            Effect::Advance {
                copy,
                group,
                position,
            } => self.apply_advance(copy, group, position, out),
            Effect::Leave { moving, .. } => self.resolve_move(moving, out),
        }
    }
}
