//! What a broker is made of when it starts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{ExchangeId, QueueId};
use crate::message::Value;
use crate::time::{Span, WallTime};

/// Topology and limits of one broker.
#[derive(Clone, Debug, Default)]
pub struct BrokerConfig {
    /// Exchanges; an [`ExchangeId`] is an index.
    pub exchanges: Vec<ExchangeConfig>,
    /// Queues; a [`QueueId`] is an index. Names are unique.
    pub queues: Vec<QueueConfig>,
    /// Bindings, in order of declaration.
    pub bindings: Vec<Binding>,
    /// Groups of consumers of streams; a [`crate::GroupId`] is an index.
    pub groups: Vec<GroupConfig>,
    /// What the whole broker can take.
    pub limits: Limits,
    /// Which life of this node it is: 0 at first, one more after each restart.
    pub incarnation: u32,
    /// Whether `Output::Observe` is wanted.
    pub observe: bool,
}

/// What the whole broker can take. Above a limit publishers wait; nothing is lost. A connection that is not read gets no deliveries either
/// (its acknowledgements could not come through), so those who publish and consume had better use two, as with RabbitMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The memory alarm: bytes of bodies in memory from which on connections that publish are no longer read, until they fall below it.
    pub memory: Option<u64>,
    /// The disk alarm: free bytes (see [`crate::Input::Disk`]) below which connections that publish are no longer read.
    pub disk_free: Option<u64>,
    /// Credit flow: so many publishes of a connection may wait for the log; then it is not read until half of them are committed.
    pub publish_credit: Option<u32>,
    /// The budget: so many bytes of bodies are kept in memory, about. Above three quarters of it bodies of logged messages are let go once
    /// they are written, those at the tail first; they are read back as their turn comes. What is in no log stays.
    pub bodies: Option<u64>,
}

/// An exchange.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// Its name; not empty, unique.
    pub name: Bytes,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Where messages go that it routes nowhere.
    pub alternate: Option<ExchangeId>,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExchangeKind {
    /// To the queues whose binding key equals the routing key.
    Direct,
    /// To all bound queues.
    Fanout,
    /// To the queues whose pattern matches: words between dots, `*` one word, `#` none or more.
    Topic,
    /// To one bound queue, by hash of the routing key; binding weights count.
    ConsistentHash(HashKind),
    /// By the message's headers, see [`Binding::headers`].
    Headers,
    /// To one of the bound queues, in order of binding: jump hash of the routing key; messages without a key in turn.
    Partition,
}

/// A consistent hash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HashKind {
    /// A ring with `vnodes` points per unit of weight, clockwise successor.
    Ring {
        /// Points per node of weight 1.
        vnodes: u32,
    },
    /// A ring on which a node takes at most ceil((1 + epsilon) · average), then the walk goes on clockwise. The load is each queue's depth.
    BoundedRing {
        /// Points per node of weight 1.
        vnodes: u32,
        /// How far above the average a node may go.
        epsilon: f64,
    },
    /// Jump hash (Lamping, Veach 2014). Weights are not supported: all are taken as 1.
    Jump,
    /// Highest random weight (Thaler, Ravishankar 1998), weighted by −w / ln u.
    Rendezvous,
    /// Maglev's lookup table (Eisenbud et al. 2016).
    Maglev {
        /// Size of the table; a prime well above the number of nodes.
        table: u32,
    },
    /// One point per node, several probes per key (Appleton, O'Reilly 2015).
    MultiProbe {
        /// Probes per key.
        probes: u32,
    },
}

/// A queue.
#[derive(Clone, Debug, Default)]
pub struct QueueConfig {
    /// Its name; unique. The default exchange routes by it.
    pub name: Bytes,
    /// Where its messages live and when its commands count.
    pub durability: Durability,
    /// Most ready and delayed messages, if bounded.
    pub max_length: Option<u64>,
    /// Most bytes of ready and delayed messages, if bounded.
    pub max_bytes: Option<u64>,
    /// What happens at the bound.
    pub overflow: Overflow,
    /// Where messages go that were rejected, have expired or were delivered too often (and, with [`Overflow::DeadLetter`], displaced ones).
    pub dead_letter: Option<DeadLetter>,
    /// How messages are spread over the consumers.
    pub dispatch: Dispatch,
    /// What else it does.
    pub policy: QueuePolicy,
}

/// What a queue can do beyond keeping messages. The default is nothing of it, at no cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueuePolicy {
    /// The highest priority, strictly served before lower ones, FIFO within each; higher ones count as this. 0: no priorities.
    pub max_priority: u8,
    /// How long a message may wait; the message's own limit counts too. Zero: it expires unless it is delivered at once.
    pub ttl: Option<Span>,
    /// A queue without consumers, gets and declarations for so long is deleted, with what it holds.
    pub expires: Option<Span>,
    /// Most unsuccessful deliveries; with one more, a message is dead-lettered (or dropped).
    pub delivery_limit: Option<u32>,
    /// How long a message that comes back waits before it is ready again.
    pub retry_delay: Option<RetryDelay>,
    /// Where a message that comes back waits for its next delivery.
    pub requeue: Requeue,
    /// How long a consumer may hold a message.
    pub ack_timeout: Option<AckTimeout>,
    /// Only one consumer at a time is served: the one registered first among those of the highest priority.
    pub single_active: bool,
    /// Messages with the same `group` go to one consumer, as long as the queue holds any of them: then the group is forgotten, and the next
    /// message of that name may go to anybody (as in SQS's FIFO queues; memory follows the backlog, whatever number of groups there ever was).
    pub groups: bool,
    /// Messages whose `id` was seen lately are confirmed and dropped.
    pub deduplicate: Option<Deduplicate>,
    /// Dead letters leave only once their targets have them; with full targets they wait.
    pub dead_letter_at_least_once: bool,
    /// An append-only log that is read without being emptied. Bounds, TTL and priorities do not apply: `retention` does.
    pub stream: Option<Retention>,
}

/// How long a message waits before it is redelivered, by how often it came back. In nanoseconds of the broker's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryDelay {
    /// The first delay.
    pub base: Span,
    /// The longest.
    pub max: Span,
    /// How it grows.
    pub growth: Growth,
    /// How much of it is left to chance, 0 to 1: the delay is uniform between `(1 - jitter) · delay` and `delay`.
    pub jitter: f64,
}

/// How a delay grows with the number of failures `n` (from 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Growth {
    /// `base`.
    Fixed,
    /// `base · n`.
    #[default]
    Linear,
    /// `base · 2^(n - 1)`.
    Exponential,
}

/// Where a message that comes back waits for its next delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requeue {
    /// Where it was: before all that came after it (RabbitMQ's classic queues, ActiveMQ).
    #[default]
    Original,
    /// Before all others, in the order of coming back (RabbitMQ's quorum queues: a queue of returns that is served first).
    Head,
    /// After all others (Redis lists, retry by publishing again).
    Tail,
}

/// How long a consumer may hold a message, from its delivery or the last renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckTimeout {
    /// How long.
    pub after: Span,
    /// True: the channel is closed with 406, and all that it held comes back (RabbitMQ). False: that message comes back (SQS, JetStream, Kafka's share groups).
    pub closes_channel: bool,
}

/// A window of message identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deduplicate {
    /// For how long an identity is remembered, from its first message on.
    pub window: Span,
    /// How many at most: then the oldest is forgotten.
    pub capacity: u32,
}

/// How much of a stream is kept. The head goes in whole segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Most bytes of bodies.
    pub max_bytes: Option<u64>,
    /// Most messages.
    pub max_length: Option<u64>,
    /// How long messages are kept.
    pub max_age: Option<Span>,
    /// Messages per segment; at least 1.
    pub segment: u32,
    /// Only the last message of each routing key is kept (besides the open segment).
    pub compact: bool,
    /// What all groups have read is dropped.
    pub interest: bool,
}

/// A group of consumers that share streams: the partitions of one topic, usually.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupConfig {
    /// Its name; unique.
    pub name: Bytes,
    /// The streams.
    pub streams: Vec<QueueId>,
    /// Where it starts to read where it has committed nothing.
    pub start: Offset,
    /// How its members share the streams.
    pub kind: GroupKind,
}

/// How the members of a group share streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GroupKind {
    /// Each stream has one reader (Kafka's consumer groups). Reading goes on at the committed offset after a change.
    Partitioned {
        /// Who gets which.
        assignment: Assignment,
        /// How long members come and go before streams are assigned anew; nobody reads meanwhile.
        rebalance: Span,
    },
    /// All read all, record by record (Kafka's share groups, JetStream's and Redis' consumer groups).
    Shared {
        /// How long a record stays with a member: after that it is available again.
        lock: Span,
        /// Most deliveries of a record; then it is archived (dropped for this group). 0: no limit.
        delivery_limit: u32,
        /// How many records of a stream may be in flight or settled out of order.
        window: u32,
    },
}

/// Which member of a group reads which stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assignment {
    /// Neighbouring streams to one member.
    #[default]
    Range,
    /// In turn.
    RoundRobin,
    /// Balanced, with as few changes as possible.
    Sticky,
    /// By consistent hash of the members (a ring): few changes, less balance.
    ConsistentHash,
}

/// Where reading a stream starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offset {
    /// At the oldest message that is kept.
    First,
    /// After the newest.
    #[default]
    Next,
    /// At the newest message.
    Last,
    /// At this offset, or the first one kept after it.
    At(u64),
    /// At the first message that was appended at this instant or later.
    Since(WallTime),
}

/// When a queue's commands take effect. An ordering: a later variant outlives more (of two intervals nothing is said by that).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// At once; nothing outlives the process.
    #[default]
    None,
    /// When the operating system has the entry: survives a crash of the process, not a power loss.
    Os,
    /// When the operating system has the entry, which is synced within this time: a power loss takes what came since the last sync
    /// at most. The broker's one log is shared, so the shortest interval that waits counts for all.
    Interval(Span),
    /// When the disk has the entry.
    Fsync,
}

impl std::fmt::Display for Durability {
    /// As scenarios and summaries write it: `memory`, `os`, `interval(100ms)`, `fsync`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Durability::None => f.write_str("memory"),
            Durability::Os => f.write_str("os"),
            Durability::Interval(every) => {
                write!(f, "interval({})", every.to_string().replace(' ', ""))
            }
            Durability::Fsync => f.write_str("fsync"),
        }
    }
}

/// What a full queue does with one more message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// Drop the oldest ready message; if there is none, the newcomer. The publish is confirmed.
    #[default]
    DropHead,
    /// Refuse the publish with a nack.
    RejectPublish,
    /// Move the oldest ready message to the dead-letter target, in one atomic entry.
    DeadLetter,
    /// Park the publish unconfirmed and stop reading its connection until there is room.
    Block,
}

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The exchange; [`ExchangeId::DEFAULT`] to name a queue by key.
    pub exchange: ExchangeId,
    /// The routing key; `None` keeps the message's own.
    pub routing_key: Option<Bytes>,
}

/// How a queue chooses among the consumers that have credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dispatch {
    /// In turn.
    #[default]
    RoundRobin,
    /// In turn, in proportion to weight, evenly interleaved (nginx's smooth algorithm).
    WeightedRoundRobin,
    /// To the one with the fewest in flight; ties at random.
    LeastConnections,
    /// To the one with the fewest in flight per weight; ties at random.
    WeightedLeastConnections,
    /// At random.
    Random,
    /// To the one with the fewest in flight among `d` distinct ones chosen at random; ties at random.
    PowerOf(u8),
    /// To an idle one (at random), else to any (at random).
    JoinIdleQueue,
}

/// A binding of a queue to an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// From.
    pub exchange: ExchangeId,
    /// To.
    pub to: Destination,
    /// The binding key: a routing key, a topic pattern, or nothing that matters (fanout, hash, headers).
    pub key: Bytes,
    /// Weight in a consistent-hash exchange; 1 elsewhere.
    pub weight: u32,
    /// In a headers exchange: what has to match. Absent: everything does.
    pub headers: Option<HeadersMatch>,
}

/// Where a binding leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// To a queue.
    Queue(QueueId),
    /// On to another exchange.
    Exchange(ExchangeId),
}

impl From<QueueId> for Destination {
    fn from(queue: QueueId) -> Destination {
        Destination::Queue(queue)
    }
}

/// What a headers exchange compares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadersMatch {
    /// True: all must match; false: one is enough.
    pub all: bool,
    /// Headers with their values; without a value any will do.
    pub headers: Vec<(Bytes, Option<Value>)>,
}
