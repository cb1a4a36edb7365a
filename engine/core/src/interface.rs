//! What goes into the broker and what comes out of it.

use std::sync::Arc;

use bytes::Bytes;

use crate::config::{Binding, Offset};
use crate::id::{
    ChannelId, ConnectionId, ConsumerId, ExchangeId, GroupId, LogPosition, MessageCopy, QueueId,
};
use crate::message::{Death, Message};
use crate::selector::Selector;
use crate::time::WallTime;

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client has connected. `window` is the bytes of deliveries that it takes before it grants more by
    /// [`Input::Writable`]; `u64::MAX` never runs out.
    Opened {
        /// The connection's name.
        connection: ConnectionId,
        /// Initial credit in bytes.
        window: u64,
    },
    /// A connection is gone, whoever closed it.
    Closed {
        /// The connection.
        connection: ConnectionId,
    },
    /// A client asks. Channels open with their first request.
    Client {
        /// On which channel.
        channel: ChannelId,
        /// For what.
        request: Request,
    },
    /// The client has read: credit for `bytes` more.
    Writable {
        /// The connection.
        connection: ConnectionId,
        /// Credit to add.
        bytes: u64,
    },
    /// How far the node's log is. Never goes back; `synced <= written`.
    Log {
        /// The operating system has all entries up to here.
        written: LogPosition,
        /// The disk has all entries up to here.
        synced: LogPosition,
    },
    /// The log can no longer be relied on. The broker closes its connections, confirms nothing more and ignores what follows: whether
    /// entries that were not synced are on the disk is known to a restart only. An fsync that failed is never tried again: what it
    /// was to write may be gone although the next one succeeds.
    LogFailed(LogFailure),
    /// Answers [`Output::Read`], once for each: the entry, or what came in place of it. A failure has the consequences of
    /// [`Input::LogFailed`], unless nobody needs the entry any more.
    Read {
        /// Which question.
        token: u64,
        /// The entry that was persisted at the place, its checksums verified. Its bodies had better not share the memory of much else:
        /// one that is kept keeps all of that.
        result: Result<Entry, LogFailure>,
    },
    /// The wall clock's reading: at the start, and when the clock steps. Until the first, wall time is the broker's own time.
    Clock(WallTime),
    /// How many bytes are free on the disk, when that has changed notably.
    Disk {
        /// Free bytes.
        free: u64,
    },
}

/// What went wrong with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogFailure {
    /// A write reported an error.
    Write,
    /// A write found no space.
    Full,
    /// An fsync reported an error.
    Sync,
    /// A read reported an error.
    Read,
    /// A read gave something else than what was written.
    Damaged,
}

impl std::fmt::Display for LogFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LogFailure::Write => "failed to write to the log: input/output error",
            LogFailure::Full => "failed to write to the log: no space left on device",
            LogFailure::Sync => "failed to sync the log: input/output error",
            LogFailure::Read => "failed to read from the log: input/output error",
            LogFailure::Damaged => "failed to read from the log: an entry is not what was written",
        })
    }
}

/// What a client can ask for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Number the publishes of this channel from 1 and confirm each.
    ConfirmSelect,
    /// Route a message.
    Publish {
        /// To this exchange's bindings; [`ExchangeId::DEFAULT`] routes by queue name.
        exchange: ExchangeId,
        /// Return the message if no queue gets it.
        mandatory: bool,
        /// What. `message.exchange` equals `exchange`.
        message: Message,
    },
    /// Deliver from a queue to this channel.
    Consume(Box<Consume>),
    /// End a consumer. What it holds stays unacknowledged.
    Cancel {
        /// Which.
        consumer: ConsumerId,
    },
    /// Done with delivery `delivery`, or with all up to it.
    Ack {
        /// The delivery tag.
        delivery: u64,
        /// All up to it (0: all).
        multiple: bool,
    },
    /// Not done: put back or dead-letter. `basic.reject` is this without `multiple`.
    Nack {
        /// The delivery tag.
        delivery: u64,
        /// All up to it (0: all).
        multiple: bool,
        /// Back into the queue (where to says [`crate::Requeue`]); otherwise dead-lettered, or dropped if the queue has no target.
        requeue: bool,
    },
    /// Still working: the ack timeout of a delivery starts anew. One that has run out is ignored.
    Renew {
        /// The delivery tag.
        delivery: u64,
    },
    /// Most unacknowledged deliveries of the channel's consumers together, besides each consumer's own; 0 is unlimited. Answer: `Done`.
    ChannelPrefetch {
        /// The limit.
        limit: u32,
    },
    /// Take the next message of a queue, if there is one. Answer: `Deliver` to [`ConsumerId::GET`], or `Empty`. Prefetch does not count.
    Get {
        /// From.
        queue: QueueId,
        /// It counts as acknowledged at once.
        no_ack: bool,
    },
    /// From now on publishes and acknowledgements of this channel wait for `Commit`. Not on a channel with confirms, nor the reverse (406). Answer: `Done`.
    TransactionSelect,
    /// Carry out all that was gathered, in one atomic step, and go on gathering. Answer: `Done` once it is as durable as the queues ask;
    /// if a queue refuses one of its publishes, nothing of it happens and the answer is `TransactionFailed`.
    /// Commits and rollbacks of one channel are answered in order.
    Commit,
    /// Forget what was gathered (its deliveries stay unacknowledged). Answer: `Done`.
    Rollback,
    /// Make sure that a configured queue exists: one that was deleted or has expired comes back, empty, with its configured bindings. Answer: `Declared`.
    Declare {
        /// The queue.
        queue: QueueId,
    },
    /// Drop all ready and delayed messages. Answer: `Declared` with what remains.
    Purge {
        /// The queue.
        queue: QueueId,
    },
    /// Delete a queue, its bindings and its messages; its consumers are told (`Cancelled`). Answer: `Done`.
    Delete {
        /// The queue.
        queue: QueueId,
    },
    /// Add a binding; one that exists already stays one. It lasts until a restart: then those of the configuration hold. Answer: `Done`.
    Bind(Box<Binding>),
    /// Take a binding away, if it is there, until a restart. Answer: `Done`.
    Unbind(Box<Binding>),
    /// Join a group: streams are assigned (`Assigned`), and deliveries come under this consumer's name. Ends by `Cancel`.
    Join {
        /// The group.
        group: GroupId,
        /// The consumer's name on the channel.
        consumer: ConsumerId,
        /// Most unsettled deliveries; 0 is unlimited.
        prefetch: u32,
    },
}

/// What a consumer wants.
#[derive(Clone, Debug)]
pub struct Consume {
    /// From where; [`QueueId::REPLY_TO`] for direct replies (`no_ack` only).
    pub queue: QueueId,
    /// The consumer's name on the channel.
    pub consumer: ConsumerId,
    /// Most deliveries that may be unacknowledged; 0 is unlimited.
    pub prefetch: u32,
    /// A delivery counts as acknowledged when it is sent (and does not count against `prefetch`).
    pub no_ack: bool,
    /// Share in the weighted dispatches; at least 1.
    pub weight: u32,
    /// Those of lower priority are served only while all of higher priority are busy.
    pub priority: i32,
    /// Nobody else may consume from the queue (403 for whoever comes second).
    pub exclusive: bool,
    /// Only messages that it accepts.
    pub selector: Option<Arc<Selector>>,
    /// Of a stream: where to start.
    pub from: Offset,
}

impl Consume {
    /// A plain consumer: manual acknowledgement, no limit.
    pub fn new(queue: QueueId, consumer: ConsumerId) -> Consume {
        Consume {
            queue,
            consumer,
            prefetch: 0,
            no_ack: false,
            weight: 1,
            priority: 0,
            exclusive: false,
            selector: None,
            from: Offset::default(),
        }
    }
}

/// What the broker answers.
#[derive(Clone, Debug)]
pub enum Response {
    /// Every queue has accepted the publish (`accepted`), or one refused it. With `multiple`, all outstanding ones up to `sequence`.
    Confirm {
        /// The publish's number on the channel.
        sequence: u64,
        /// All outstanding up to it.
        multiple: bool,
        /// Ack or nack.
        accepted: bool,
    },
    /// No queue for a mandatory message; precedes its confirm.
    Returned {
        /// The message.
        message: Message,
    },
    /// Here is a message.
    Deliver {
        /// For this consumer.
        consumer: ConsumerId,
        /// Number to acknowledge it by: from 1 on each channel.
        delivery: u64,
        /// It may have been delivered before.
        redelivered: bool,
        /// Which copy it is, for checkers.
        copy: MessageCopy,
        /// The message.
        message: Message,
    },
    /// The consumer is registered.
    Consuming {
        /// Which.
        consumer: ConsumerId,
    },
    /// The consumer has ended, by its own wish or because its queue is gone; nothing for it follows.
    Cancelled {
        /// Which.
        consumer: ConsumerId,
    },
    /// The queue had nothing for a `Get`.
    Empty,
    /// A request without a better answer is carried out.
    Done,
    /// A queue refused a publish of the transaction, or a delivery had been taken back: nothing of it has happened.
    TransactionFailed,
    /// The queue exists.
    Declared {
        /// Ready messages.
        ready: u64,
        /// Consumers.
        consumers: u32,
    },
    /// A member of a group reads these streams from now on, and no others.
    Assigned {
        /// Which member.
        consumer: ConsumerId,
        /// Grows with each assignment.
        generation: u32,
        /// The streams.
        streams: Box<[QueueId]>,
    },
    /// An alarm is on: what this connection publishes is not read (on channel 0).
    Blocked,
    /// The alarm is over (on channel 0).
    Unblocked,
    /// The connection is closed, as nothing that it could ask for will be done (on channel 0).
    ConnectionClosed {
        /// 541 internal error.
        code: u16,
        /// For a person.
        reason: &'static str,
    },
    /// The channel is closed for a client's error, with AMQP's reply code; what it held is requeued. A later request reopens the number.
    ChannelClosed {
        /// 403 access refused, 404 not found, 406 precondition failed, 530 not allowed.
        code: u16,
        /// For a person.
        reason: &'static str,
    },
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send to a client, in order.
    Client {
        /// On which channel.
        channel: ChannelId,
        /// What.
        response: Response,
    },
    /// Read from a connection, or stop reading from it: a publish of it is parked, or its credit is used up, or an alarm is on and it has
    /// published. Requests already read may still be handed over: behind a parked publish they wait inside, else they are carried out.
    Reading {
        /// The connection.
        connection: ConnectionId,
        /// On or off.
        on: bool,
    },
    /// Append to the node's log, in order.
    Persist {
        /// Its place: the last one plus 1.
        position: LogPosition,
        /// What.
        entry: Entry,
    },
    /// The disk should have everything up to here; the driver groups.
    Sync {
        /// Up to here.
        through: LogPosition,
    },
    /// Read an entry back: the body of a message left memory. The place is written, and not released by an earlier output; what is
    /// released later may be read or not. Reads of a batch come in order, so that a driver can join those that are neighbours.
    Read {
        /// To answer by [`Input::Read`].
        token: u64,
        /// Its place.
        position: LogPosition,
    },
    /// Nothing before this place is needed for recovery any more.
    Release {
        /// The first place that is.
        before: LogPosition,
    },
    /// For metrics and checkers; dropping it changes nothing.
    Observe(Event),
}

// What is larger moves by a call of memcpy.
const _: () = assert!(size_of::<Entry>() <= 128);

/// One atomic record of the log: the commands of one or more queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The usual case, without an allocation.
    One(Command),
    /// All or nothing.
    Many(Box<[Command]>),
}

/// No commands, and no allocation.
impl Default for Entry {
    fn default() -> Entry {
        Entry::Many(Box::default())
    }
}

impl Entry {
    /// Its commands, in order.
    pub fn commands(&self) -> &[Command] {
        match self {
            Entry::One(command) => std::slice::from_ref(command),
            Entry::Many(commands) => commands,
        }
    }

    /// Bytes it takes in the log, about: a header per entry and command, and the bodies.
    pub fn size(&self) -> u64 {
        const HEADER: u64 = 32;
        let commands: u64 = self
            .commands()
            .iter()
            .map(|command| HEADER + command.size())
            .sum();
        HEADER + commands
    }
}

/// A queue's state changes only by these; choices and instants are inside them, so that replaying them gives the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A message enters.
    Enqueue {
        /// The new copy.
        copy: MessageCopy,
        /// The message.
        message: Message,
        /// When it may be delivered.
        times: Times,
    },
    /// A message leaves, for whatever reason.
    Remove {
        /// The copy.
        copy: MessageCopy,
    },
    /// A delivered message is ready again, or will be.
    Return {
        /// The copy.
        copy: MessageCopy,
        /// How often it has been delivered without success.
        deliveries: u32,
        /// When it is ready again.
        due: WallTime,
        /// Where it stands then, if not at its serial: before the message of this serial, in this order.
        place: Option<(u64, u64)>,
    },
    /// A stream's messages before this one are gone. The copy is the first that is kept.
    Truncate {
        /// The stream, and the first offset that is kept.
        copy: MessageCopy,
    },
    /// A group has read a stream up to here. The copy is the first that it has not.
    Advance {
        /// The stream, and the group's next offset.
        copy: MessageCopy,
        /// The group.
        group: GroupId,
    },
    /// A queue was deleted, with all that it held. The copy's serial is the first that it has not given out.
    Delete {
        /// The queue, and the next serial.
        copy: MessageCopy,
    },
    /// A queue exists (again).
    Declare {
        /// The queue, and the next serial.
        copy: MessageCopy,
    },
}

/// When a message may be delivered: from `due` on, before `expires`. A stream's records are due from when they entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Not earlier; zero: at once.
    pub due: WallTime,
    /// Not from here on.
    pub expires: WallTime,
}

impl Times {
    /// At any time.
    pub const ANY: Times = Times {
        due: WallTime::ZERO,
        expires: WallTime::MAX,
    };
}

impl Command {
    /// The copy that it is about.
    pub fn copy(&self) -> MessageCopy {
        match self {
            Command::Enqueue { copy, .. }
            | Command::Remove { copy }
            | Command::Return { copy, .. }
            | Command::Truncate { copy }
            | Command::Advance { copy, .. }
            | Command::Delete { copy }
            | Command::Declare { copy } => *copy,
        }
    }

    /// Bytes of content that it carries.
    pub fn size(&self) -> u64 {
        match self {
            Command::Enqueue { message, .. } => message.size() + message.routing_key.len() as u64,
            _ => 0,
        }
    }
}

/// What the broker did, for metrics and checkers. Emitted at the moment it takes effect (for a durable queue: when its entry is committed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A publish was routed and accepted for `copies` queues (0: unroutable).
    Routed {
        /// The message.
        tag: u64,
        /// How many queues take it.
        copies: u32,
    },
    /// A publish was refused by a full queue.
    Refused {
        /// The message.
        tag: u64,
        /// The queue that was full.
        queue: QueueId,
    },
    /// A publish waits for room; its connection is not read.
    Parked {
        /// The message.
        tag: u64,
        /// The queue that is full.
        queue: QueueId,
    },
    /// A copy will be enqueued when its command commits: its name is known from here on.
    Proposed {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
        /// The copy that it replaces, for a dead-letter move.
        from: Option<MessageCopy>,
    },
    /// A copy is in its queue; ready, unless `Delayed` follows at once.
    Enqueued {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
    /// A copy that was in flight is back; ready, unless `Delayed` follows at once.
    Returned {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
        /// Unsuccessful deliveries so far.
        deliveries: u32,
    },
    /// A copy has left its queue.
    Removed {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
        /// Why.
        reason: Removal,
    },
    /// A restart found this copy in the log; ready, unless `Delayed` follows at once.
    Recovered {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
    /// A copy that has just entered its queue, or come back, is not ready yet.
    Delayed {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
    /// A delayed copy is ready.
    Due {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
    /// A copy that waited — ready, delayed or stalled — waits no longer: that it leaves is not committed. `Removed` follows, or `Stalled`.
    Leaving {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
    /// A dead letter waits in its source, for room in its target or for its body; `Leaving` follows.
    Stalled {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
    /// A consumer held a copy for too long: `Returned` (or `Removed`) follows.
    LeaseExpired {
        /// The copy.
        copy: MessageCopy,
    },
    /// A publish was confirmed and not enqueued: the queue has seen it already (its id, or its place in an idempotent producer's output).
    Deduplicated {
        /// The message.
        tag: u64,
        /// The queue.
        queue: QueueId,
    },
    /// A member of a group got a record of a stream; nothing leaves the stream by that.
    StreamDelivered {
        /// The message.
        tag: u64,
        /// The stream and the offset.
        copy: MessageCopy,
        /// The group, if a group reads.
        group: Option<GroupId>,
    },
    /// A group has finished a record: acknowledged (committed beyond it), or archived undelivered (`acked` false).
    StreamSettled {
        /// The message.
        tag: u64,
        /// The stream and the offset.
        copy: MessageCopy,
        /// The group.
        group: GroupId,
        /// Acknowledged, not given up.
        acked: bool,
    },
    /// The streams of a group were assigned anew.
    Rebalanced {
        /// The group.
        group: GroupId,
        /// Which assignment.
        generation: u32,
        /// How many members.
        members: u32,
    },
    /// Another consumer is served alone from now on.
    Activated {
        /// The queue.
        queue: QueueId,
        /// The consumer's channel.
        channel: ChannelId,
    },
    /// A queue was deleted, or has expired; its copies were `Removed` before.
    QueueDeleted {
        /// The queue.
        queue: QueueId,
    },
    /// A resource runs short, or no longer.
    Alarm {
        /// Which.
        resource: Resource,
        /// It does.
        on: bool,
    },
}

/// What can run short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Memory for bodies.
    Memory,
    /// Disk space.
    Disk,
}

/// Why a copy left its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Acknowledged.
    Acked,
    /// Moved to the dead-letter target.
    DeadLettered(Death),
    /// Dropped at the bound (it may never have been ready: a newcomer without a head to drop).
    Dropped,
    /// Rejected without requeue, and no dead-letter target took it.
    Rejected,
    /// Its time to live ran out, and no dead-letter target took it.
    Expired,
    /// Delivered too often without success, and no dead-letter target took it.
    Exhausted,
    /// Its queue was purged or deleted.
    Purged,
    /// Its stream keeps no more than it should.
    Retired,
}

/// What a restart found in the log, in order.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Entries with their places, ascending.
    pub entries: Vec<(LogPosition, Entry)>,
    /// The place of the last entry; new ones follow it.
    pub last: LogPosition,
}

/// The state of a queue, for screens and checkers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// The queue's name.
    pub name: Bytes,
    /// Messages that could be delivered now.
    pub ready: u64,
    /// Delivered and not settled.
    pub in_flight: u64,
    /// In the queue and not ready before some instant.
    pub delayed: u64,
    /// Dead letters that wait: for room in their targets, or for their bodies.
    pub stalled: u64,
    /// Bytes of the ready ones.
    pub ready_bytes: u64,
    /// Publishes that wait for room.
    pub parked: u64,
    /// Consumers registered.
    pub consumers: u32,
    /// Groups of messages that it keeps together.
    pub groups: u64,
    /// Bytes of bodies that are in memory, whatever the state of their messages; not counted for streams.
    pub resident_bytes: u64,
    /// Messages whose body is in the log only.
    pub absent: u64,
}

/// Where the bodies of messages are, for screens and checkers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodiesView {
    /// Bytes of those in memory.
    pub resident_bytes: u64,
    /// The most bytes that were in memory since the start, where something limits them; else what is now.
    pub most_resident_bytes: u64,
    /// Messages whose body is in the log only.
    pub absent: u64,
    /// How many were read back from the log.
    pub read: u64,
}

/// The state of a group, for screens and checkers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// The group's name.
    pub name: Bytes,
    /// How many members.
    pub members: u32,
    /// Which assignment.
    pub generation: u32,
    /// Records that it has not settled, all its streams together.
    pub lag: u64,
    /// Records that its members hold.
    pub in_flight: u64,
}

/// What a delivery costs of a connection's window besides its body: method and header frames, about.
pub const DELIVERY_OVERHEAD: u64 = 64;
