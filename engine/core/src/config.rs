//! What a broker is made of when it starts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{ExchangeId, QueueId};

/// Topology and limits of one broker.
#[derive(Clone, Debug, Default)]
pub struct BrokerConfig {
    /// Exchanges; an [`ExchangeId`] is an index.
    pub exchanges: Vec<ExchangeConfig>,
    /// Queues; a [`QueueId`] is an index. Names are unique.
    pub queues: Vec<QueueConfig>,
    /// Bindings, in order of declaration.
    pub bindings: Vec<Binding>,
    /// Which life of this node it is: 0 at first, one more after each restart.
    pub incarnation: u32,
    /// Whether `Output::Observe` is wanted.
    pub observe: bool,
}

/// An exchange.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// Its name; not empty, unique.
    pub name: Bytes,
    /// How it routes.
    pub kind: ExchangeKind,
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
#[derive(Clone, Debug)]
pub struct QueueConfig {
    /// Its name; unique. The default exchange routes by it.
    pub name: Bytes,
    /// Where its messages live and when its commands count.
    pub durability: Durability,
    /// Most ready messages, if bounded.
    pub max_length: Option<u64>,
    /// Most bytes of ready messages, if bounded.
    pub max_bytes: Option<u64>,
    /// What happens at the bound.
    pub overflow: Overflow,
    /// Where rejected messages (and, with [`Overflow::DeadLetter`], displaced ones) go.
    pub dead_letter: Option<DeadLetter>,
    /// How messages are spread over the consumers.
    pub dispatch: Dispatch,
}

/// When a queue's commands take effect. An ordering: a later variant outlives more.
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
    /// When the disk has the entry.
    Fsync,
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
#[derive(Clone, Debug)]
pub struct Binding {
    /// From.
    pub exchange: ExchangeId,
    /// To.
    pub queue: QueueId,
    /// The binding key: a routing key, a topic pattern, or nothing that matters (fanout, hash).
    pub key: Bytes,
    /// Weight in a consistent-hash exchange; 1 elsewhere.
    pub weight: u32,
}
