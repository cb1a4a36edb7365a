//! A message as the broker holds it.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::{ExchangeId, QueueId};
use crate::time::{Span, WallTime};

/// A message. Cloning shares the routing key, the body and the properties.
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
    /// What most messages do without.
    pub properties: Option<Arc<Properties>>,
}

impl Message {
    /// Bytes that limits and credit count: the body's.
    pub fn size(&self) -> u64 {
        self.body.len() as u64
    }

    /// Its priority; 0 if it gives none.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.properties
            .as_ref()
            .map_or(0, |properties| properties.priority)
    }

    /// A header's value.
    pub fn header(&self, name: &[u8]) -> Option<&Value> {
        let headers = &self.properties.as_ref()?.headers;
        let at = headers
            .binary_search_by(|(other, _)| other[..].cmp(name))
            .ok()?;
        Some(&headers[at].1)
    }
}

/// Optional properties of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Higher is served first, in queues that have priorities.
    pub priority: u8,
    /// How long it may wait in a queue, counted from its entry; the queue's own limit counts too.
    pub ttl: Option<Span>,
    /// How long after its entry into a queue it becomes ready.
    pub delay: Option<Span>,
    /// Messages of one group go to one consumer at a time, in queues that group.
    pub group: Option<Bytes>,
    /// By which queues with a deduplication window know it again.
    pub id: Option<Bytes>,
    /// Its place in the output of an idempotent producer.
    pub producer: Option<ProducerSequence>,
    /// Where the answer is to go: the default exchange routes by it. `Some(empty)` at a publish asks for direct reply-to: the broker
    /// fills in the address of the publisher's channel.
    pub reply_to: Option<Bytes>,
    /// Headers by name, ascending, each name once.
    pub headers: Vec<(Bytes, Value)>,
    /// Where and why it died, the newest first (`x-death`).
    pub deaths: Vec<DeathRecord>,
}

/// A header's value.
#[derive(Clone, Debug)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Bytes),
}

/// Equal in kind and value; floats by their bits, so that equality is an equivalence.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Int(one), Value::Int(other)) => one == other,
            (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
            (Value::Text(one), Value::Text(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// A place in the output of an idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProducerSequence {
    /// Which producer.
    pub id: u64,
    /// Which life of it: a newer one fences the older ones off.
    pub epoch: u32,
    /// Numbers its messages from 0, without gaps, per queue.
    pub sequence: u64,
}

/// Deaths of a message in one queue for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeathRecord {
    /// In which queue.
    pub queue: QueueId,
    /// Why.
    pub reason: Death,
    /// How often.
    pub count: u32,
    /// When first.
    pub first: WallTime,
}

/// Why a message was dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Death {
    /// A consumer rejected it without requeue.
    Rejected,
    /// Its time to live ran out.
    Expired,
    /// The queue was full.
    MaxLength,
    /// It was delivered too often without success.
    DeliveryLimit,
}

impl Death {
    /// As in AMQP's `x-death` header.
    pub fn name(self) -> &'static str {
        match self {
            Death::Rejected => "rejected",
            Death::Expired => "expired",
            Death::MaxLength => "maxlen",
            Death::DeliveryLimit => "delivery_limit",
        }
    }
}
