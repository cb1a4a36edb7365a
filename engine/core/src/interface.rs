//! What goes into the broker and what comes out of it.

use bytes::Bytes;

use crate::id::{
    ChannelId, ConnectionId, ConsumerId, ExchangeId, LogPosition, MessageCopy, QueueId,
};
use crate::message::Message;

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
    Consume {
        /// From.
        queue: QueueId,
        /// The consumer's name on the channel; unused so far.
        consumer: ConsumerId,
        /// Most deliveries that may be unacknowledged; 0 is unlimited.
        prefetch: u32,
        /// A delivery counts as acknowledged when it is sent (and does not count against `prefetch`).
        no_ack: bool,
        /// Share in the weighted dispatches; at least 1.
        weight: u32,
    },
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
        /// Back to its original position; otherwise dead-lettered, or dropped if the queue has no target.
        requeue: bool,
    },
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
    /// The consumer has ended; nothing for it follows.
    Cancelled {
        /// Which.
        consumer: ConsumerId,
    },
    /// The channel is closed for a client's error, with AMQP's reply code; what it held is requeued. A later request reopens the number.
    ChannelClosed {
        /// 404 not found, 406 precondition failed, 530 not allowed.
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
    /// Read from a connection, or stop reading from it (requests already read may still be handed over: they wait inside).
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
    /// Nothing before this place is needed for recovery any more.
    Release {
        /// The first place that is.
        before: LogPosition,
    },
    /// For metrics and checkers; dropping it changes nothing.
    Observe(Event),
}

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
    },
    /// A message leaves, for whatever reason.
    Remove {
        /// The copy.
        copy: MessageCopy,
    },
    /// A delivered message is ready again, at its original position.
    Return {
        /// The copy.
        copy: MessageCopy,
        /// How often it has been delivered without success.
        deliveries: u32,
    },
}

impl Command {
    /// The copy that it is about.
    pub fn copy(&self) -> MessageCopy {
        match self {
            Command::Enqueue { copy, .. }
            | Command::Remove { copy }
            | Command::Return { copy, .. } => *copy,
        }
    }

    /// Bytes of content that it carries.
    pub fn size(&self) -> u64 {
        match self {
            Command::Enqueue { message, .. } => message.size() + message.routing_key.len() as u64,
            Command::Remove { .. } | Command::Return { .. } => 0,
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
    /// A copy is in its queue and ready.
    Enqueued {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
    /// A copy that was in flight is ready again.
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
    /// A restart found this copy in the log.
    Recovered {
        /// The message.
        tag: u64,
        /// The copy.
        copy: MessageCopy,
    },
}

/// Why a copy left its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Acknowledged.
    Acked,
    /// Moved to the dead-letter target, after a rejection or by overflow.
    DeadLettered,
    /// Dropped at the bound (it may never have been ready: a newcomer without a head to drop).
    Dropped,
    /// Rejected without requeue, and no dead-letter target took it.
    Rejected,
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
    /// Bytes of the ready ones.
    pub ready_bytes: u64,
    /// Publishes that wait for room.
    pub parked: u64,
    /// Consumers registered.
    pub consumers: u32,
}

/// What a delivery costs of a connection's window besides its body: method and header frames, about.
pub const DELIVERY_OVERHEAD: u64 = 64;
