//! Streams: what is appended, who reads it, and what is kept.

use super::Broker;
use super::commit::{Effect, Origin};
use super::leases::Lease;
use super::timers::Watch;
use crate::config::GroupConfig;
use crate::group::Group;
use crate::hashing::hash;
use crate::id::{GroupId, LogPosition, MessageCopy, QueueId};
use crate::interface::{Command, Event, Output, Removal, Times};
use crate::ledger::Ledger;
use crate::message::Message;
use crate::queue::Queue;
use crate::stream::{Record, Stream};

/// What the groups of all streams share.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) groups: Vec<Group>,
    /// What members hold, by number.
    pub(super) leases: Ledger<Lease>,
    /// The next lease's number; 0 is none.
    pub(super) next_lease: u64,
    /// Cursors that may have moved on: the group, and the stream's place in it.
    pub(super) advancing: Vec<(GroupId, usize)>,
}

impl Streams {
    pub(super) fn new(groups: Vec<Group>) -> Streams {
        Streams {
            groups,
            leases: Ledger::new(),
            next_lease: 1,
            advancing: Vec::new(),
        }
    }
}

/// Makes streams of the queues that are to be, and groups that read them.
///
/// # Panics
///
/// If a group names a queue that is not a stream.
pub(super) fn open(
    queues: &mut [Queue],
    groups: Vec<GroupConfig>,
    first_serial: u64,
) -> Vec<Group> {
    for (id, queue) in (0..).map(QueueId).zip(queues.iter_mut()) {
        if let Some(retention) = queue.config.policy.stream {
            queue.stream = Some(Box::new(Stream::new(id, retention, first_serial)));
            // A stream is bounded by its retention, and does not expire.
            (queue.config.max_length, queue.config.max_bytes) = (None, None);
            queue.config.policy.expires = None;
        }
    }
    let name = |stream: QueueId| hash(&queues[stream.index()].config.name);
    let groups: Vec<Group> = groups
        .into_iter()
        .map(|group| Group::new(group, name))
        .collect();
    for (id, group) in (0..).map(GroupId).zip(&groups) {
        for stream in &group.config.streams {
            let queue = queues.get_mut(stream.index());
            let stream = queue.and_then(|queue| queue.stream.as_mut());
            let stream = stream.expect("a group reads streams");
            stream.groups.push(id);
        }
    }
    groups
}

/// Records.
impl Broker {
    /// Gives a newcomer its offset; the result is to be committed. All records of a durable stream are logged: there are no gaps.
    #[inline(never)]
    pub(super) fn append(
        &mut self,
        queue: QueueId,
        message: Message,
        origin: Origin,
        from: Option<MessageCopy>,
        out: &mut Vec<Output>,
    ) -> (Effect, Option<Command>) {
        let (tag, entered) = (message.tag, self.timers.wall);
        let next = self.log.next();
        let state = &mut self.queues[queue.index()];
        let for_log = state.durable().then(|| message.clone());
        let position = if for_log.is_some() {
            next
        } else {
            LogPosition(0)
        };
        let serial = state.stream_mut().append(message, entered, position);
        let copy = MessageCopy { queue, serial };
        self.observe(Event::Proposed { tag, copy, from }, out);
        let times = Times {
            due: entered,
            ..Times::ANY
        };
        let command = for_log.map(|message| Command::Enqueue {
            copy,
            message,
            times,
        });
        (Effect::Append { copy, origin }, command)
    }

    /// Commits an append: the record can be read.
    pub(super) fn apply_append(
        &mut self,
        copy: MessageCopy,
        origin: Origin,
        out: &mut Vec<Output>,
    ) {
        let state = &mut self.queues[copy.queue.index()];
        let tag = state.stream_mut().commit(copy.offset());
        state.ready += 1;
        self.observe(Event::Enqueued { tag, copy }, out);
        self.touch(copy.queue);
        self.resolve(origin, out);
    }

    /// Commits the removal of one record.
    pub(super) fn apply_retire(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let state = &mut self.queues[copy.queue.index()];
        if let Some((offset, record)) = state.stream_mut().retire(copy.offset()) {
            self.retired(copy.queue, offset, &record, Removal::Retired, out);
        }
    }

    /// Commits the removal of all records before `copy`.
    pub(super) fn apply_truncate(
        &mut self,
        copy: MessageCopy,
        position: LogPosition,
        out: &mut Vec<Output>,
    ) {
        let stream = self.queues[copy.queue.index()].stream_mut();
        stream.set_truncated(position);
        self.retire_before(copy, Removal::Retired, out);
    }

    /// Removes all records before `copy`.
    pub(super) fn retire_before(
        &mut self,
        copy: MessageCopy,
        reason: Removal,
        out: &mut Vec<Output>,
    ) {
        let queue = copy.queue;
        while let Some((offset, record)) = self.queues[queue.index()]
            .stream_mut()
            .pop_before(copy.offset())
        {
            self.retired(queue, offset, &record, reason, out);
        }
    }

    fn retired(
        &mut self,
        queue: QueueId,
        offset: u64,
        record: &Record,
        reason: Removal,
        out: &mut Vec<Output>,
    ) {
        let state = &mut self.queues[queue.index()];
        state.ready -= 1;
        for group in &state.stream_mut().groups {
            let state = &mut self.streams.groups[group.index()];
            if let Some(at) = state.place(queue)
                && state.cursors[at].retired(offset)
            {
                self.streams.advancing.push((*group, at));
            }
        }
        let (tag, serial) = (record.message.tag, record.serial);
        let copy = MessageCopy { queue, serial };
        self.observe(Event::Removed { tag, copy, reason }, out);
    }
}

/// Retention.
impl Broker {
    /// Drops what a stream is not to keep, and sees to it that it is looked at again in time.
    pub(super) fn maintain(&mut self, queue: QueueId, out: &mut Vec<Output>) {
        let state = &mut self.queues[queue.index()];
        let durable = state.durable();
        let stream = state.stream_mut();
        for offset in stream.take_outdated() {
            let copy = self.queues[queue.index()].stream_mut().copy(offset);
            let command = durable.then_some(Command::Remove { copy });
            self.propose(Effect::Retire { copy }, command);
        }
        self.commit(out);

        let (now, read) = (self.timers.wall, self.read_by_all(queue));
        let stream = self.queues[queue.index()].stream_mut();
        if let Some(first) = stream.surplus(read).max(stream.expired(now)) {
            stream.truncating(first);
            let copy = stream.copy(first);
            self.truncate(copy, out);
        }
        let stream = self.queues[queue.index()].stream_mut();
        if !stream.watched
            && let Some(expires) = stream.expires().filter(|expires| *expires > now)
        {
            stream.watched = true;
            let at = self.timers.now + expires.since(now);
            self.timers.watch(at, Watch::Retention(queue));
        }
    }

    pub(super) fn truncate(&mut self, copy: MessageCopy, out: &mut Vec<Output>) {
        let durable = self.queues[copy.queue.index()].durable();
        let position = if durable {
            self.log.next()
        } else {
            LogPosition(0)
        };
        let command = durable.then_some(Command::Truncate { copy });
        self.commit_one(Effect::Truncate { copy, position }, command, out);
    }

    /// Up to where all groups of a stream have read, if that matters.
    pub(super) fn read_by_all(&self, queue: QueueId) -> Option<u64> {
        let stream = self.queues[queue.index()].stream.as_ref()?;
        if !stream.drops_what_is_read() {
            return None;
        }
        let committed = |group: &GroupId| {
            let group = &self.streams.groups[group.index()];
            group
                .place(queue)
                .map_or(0, |at| group.cursors[at].committed())
        };
        stream.groups.iter().map(committed).min()
    }

    /// It may be time to drop the head of a stream.
    pub(super) fn retention_is_due(&mut self, queue: QueueId) {
        self.queues[queue.index()].stream_mut().watched = false;
        self.touch(queue);
    }

    /// Logs anew what only old entries tell, so that the log's head can go.
    pub(super) fn refresh_marks(&mut self, out: &mut Vec<Output>) {
        let old = |position: LogPosition| position > LogPosition(0) && self.log.is_old(position);
        let truncated = self.queues.iter().filter_map(|queue| queue.stream.as_ref());
        let truncated = truncated.filter(|stream| stream.marker().is_some_and(old));
        let truncated: Vec<MessageCopy> =
            truncated.map(|stream| stream.copy(stream.end())).collect();
        let cursors = (0..).map(GroupId).zip(&self.streams.groups);
        let cursors = cursors
            .flat_map(|(group, state)| state.cursors.iter().map(move |cursor| (group, cursor)));
        let cursors = cursors.filter(|(_, cursor)| old(cursor.position));
        let committed: Vec<(GroupId, QueueId, u64)> = cursors
            .map(|(group, cursor)| (group, cursor.stream, cursor.settled()))
            .collect();
        let deleted = (0..).map(QueueId).zip(&self.queues);
        let deleted = deleted.filter(|(_, queue)| old(queue.deleted_at));
        let deleted: Vec<MessageCopy> = deleted
            .map(|(queue, state)| MessageCopy {
                queue,
                serial: state.next_serial(),
            })
            .collect();
        for copy in truncated {
            self.truncate(copy, out);
        }
        for copy in deleted {
            let position = self.log.next();
            let effect = Effect::StayDeleted { copy, position };
            self.commit_one(effect, Some(Command::Delete { copy }), out);
        }
        for (group, queue, offset) in committed {
            self.propose_advance(group, queue, offset);
        }
        self.commit(out);
    }

    /// The log's first place that groups need.
    pub(super) fn oldest_mark(&self) -> Option<LogPosition> {
        let cursors = self.streams.groups.iter().flat_map(|group| &group.cursors);
        let positions = cursors.map(|cursor| cursor.position);
        positions
            .filter(|position| *position > LogPosition(0))
            .min()
    }
}
