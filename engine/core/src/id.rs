//! Names of things: small integers, dense where the broker assigns them.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The identifier as an index into a dense table.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id! {
    /// A client's connection. The driver chooses the number and may reuse it once it has reported `Closed`.
    ConnectionId(u32)
}
id! {
    /// A queue, by its place in [`crate::BrokerConfig::queues`].
    QueueId(u32)
}
id! {
    /// An exchange, by its place in [`crate::BrokerConfig::exchanges`]; [`ExchangeId::DEFAULT`] is the default exchange.
    ExchangeId(u32)
}
id! {
    /// A group of consumers of streams, by its place in [`crate::BrokerConfig::groups`].
    GroupId(u32)
}
id! {
    /// A consumer on its channel; the client chooses the number.
    ConsumerId(u32)
}
id! {
    /// A place in the node's log: dense, in the order of `Output::Persist`, from 1. Zero is before every entry.
    LogPosition(u64)
}

impl ConsumerId {
    /// Under this name come the answers to `Get`.
    pub const GET: ConsumerId = ConsumerId(u32::MAX);
}

impl QueueId {
    /// The pseudo-queue of direct reply-to: who consumes from it gets the answers to what its channel asks.
    pub const REPLY_TO: QueueId = QueueId(u32::MAX);
}

impl ExchangeId {
    /// The nameless exchange that routes by queue name.
    pub const DEFAULT: ExchangeId = ExchangeId(u32::MAX);
}

/// A channel: delivery tags, confirms and prefetch belong to one channel of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId {
    /// The connection that carries the channel.
    pub connection: ConnectionId,
    /// The channel's number on that connection.
    pub number: u16,
}

/// One copy of a message: routing puts one into each queue, a dead-letter move makes a new one.
///
/// Serials grow by one per enqueue and hold the broker's incarnation in their upper bits (see [`MessageCopy::first_serial`]),
/// so that a copy's name is never used twice, restarts included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageCopy {
    /// The queue that holds it.
    pub queue: QueueId,
    /// Its serial in that queue.
    pub serial: u64,
}

impl MessageCopy {
    /// The first serial that incarnation `incarnation` of a broker assigns.
    pub const fn first_serial(incarnation: u32) -> u64 {
        (incarnation as u64) << Self::OFFSET_BITS
    }

    /// In a stream: its offset, dense from 0, which is the serial without the incarnation.
    pub const fn offset(self) -> u64 {
        self.serial & ((1 << Self::OFFSET_BITS) - 1)
    }

    const OFFSET_BITS: u32 = 40;
}
