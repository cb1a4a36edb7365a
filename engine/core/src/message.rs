//! A message as the broker holds it.

use bytes::Bytes;

use crate::id::ExchangeId;

/// A message. Cloning shares the routing key and the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Opaque to the broker; logged and echoed. Checkers put (producer, sequence) into it.
    pub tag: u64,
    /// Where it was published.
    pub exchange: ExchangeId,
    /// Survives a restart if the queue is durable too (`delivery_mode = 2`).
    pub persistent: bool,
    /// What exchanges route by.
    pub routing_key: Bytes,
    /// The content.
    pub body: Bytes,
}

impl Message {
    /// Bytes that limits and credit count: the body's.
    pub fn size(&self) -> u64 {
        self.body.len() as u64
    }
}
