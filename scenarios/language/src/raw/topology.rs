//! Exchanges, queues, and where messages go.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use queuelab_core::{Durability, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::shape::{At, Count, Duration, Named, Number, Scalar, SizeText, shapes};
use crate::units::{parse_duration, short};

/// An exchange.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Exchange")]
pub(crate) struct RawExchange {
    /// Its name, unique among exchanges.
    pub(crate) name: At<String>,
    /// How it routes. Default "direct".
    #[serde(rename = "type", default)]
    pub(crate) kind: RawExchangeType,
    /// Of "consistent-hash": "ring" (the default), "bounded-ring", "jump", "rendezvous", "maglev", "multi-probe", or a table with parameters.
    pub(crate) hash: Option<At<RawHash>>,
    /// The exchange to which messages go that this one routes nowhere.
    pub(crate) alternate: Option<At<String>>,
    /// Bindings of this exchange to others: what they route here goes on from here.
    #[serde(default)]
    pub(crate) bind: Vec<At<RawBinding>>,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ExchangeType")]
pub(crate) enum RawExchangeType {
    /// To the queues whose binding key equals the routing key.
    #[default]
    Direct,
    /// To all bound queues.
    Fanout,
    /// To the queues whose pattern matches: words between dots, `*` one word, `#` none or more.
    Topic,
    /// To one bound queue, by hash of the routing key.
    ConsistentHash,
    /// By the message's headers.
    Headers,
}

shapes! {
    /// A consistent hash: its name, or a table with parameters.
    RawHash, "a hash such as \"ring\", or a table such as { kind = \"ring\", vnodes = 128 }",
    Text(RawHashKind), Table(HashTable)
}

/// A consistent hash with parameters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashTable {
    /// Which one.
    pub(crate) kind: RawHashKind,
    /// Of "ring" and "bounded-ring": points per unit of weight. Default 128.
    pub(crate) vnodes: Option<At<Count>>,
    /// Of "bounded-ring": how far above the average load a queue may go. Default 0.25.
    pub(crate) epsilon: Option<At<Number>>,
    /// Of "maglev": size of the lookup table, a prime. Default 65_537.
    pub(crate) table: Option<At<Count>>,
    /// Of "multi-probe": probes per key. Default 21.
    pub(crate) probes: Option<At<Count>>,
}

/// A consistent hash.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawHashKind {
    /// A ring with virtual nodes.
    Ring,
    /// A ring whose nodes have a bound on their load.
    BoundedRing,
    /// Jump hash.
    Jump,
    /// Highest random weight.
    Rendezvous,
    /// Maglev's lookup table.
    Maglev,
    /// One point per node, several probes per key.
    MultiProbe,
}

/// A queue.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Queue")]
pub(crate) struct RawQueue {
    /// Its name, unique among queues.
    pub(crate) name: At<String>,
    /// Where its messages live. Default "durable".
    pub(crate) kind: Option<At<RawQueueKind>>,
    /// Of a durable queue or a stream: when a message counts as stored. Default "fsync".
    pub(crate) durability: Option<At<RawDurability>>,
    /// Bindings to exchanges: which messages it wants.
    #[serde(default)]
    pub(crate) bind: Vec<At<RawBinding>>,
    /// Most messages, ready and delayed (those in flight do not count). Absent: unbounded.
    pub(crate) max_length: Option<At<Count>>,
    /// Most bytes of them. Absent: unbounded.
    pub(crate) max_bytes: Option<At<SizeText>>,
    /// What happens at the bound. Default "drop-head".
    pub(crate) overflow: Option<At<RawOverflow>>,
    /// Where rejected and displaced messages go: a queue, an exchange, or a table.
    pub(crate) dead_letter: Option<At<RawDeadLetter>>,
    /// How messages are spread over the consumers: "round-robin" (the default), "weighted-round-robin", "least-connections", "weighted-least-connections", "random", "power-of-2" (to "power-of-255"), "join-idle-queue".
    #[schemars(extend("examples" = ["round-robin", "weighted-round-robin", "least-connections", "weighted-least-connections", "random", "power-of-2", "join-idle-queue"]))]
    pub(crate) dispatch: Option<At<String>>,
    /// The highest priority, 1 to 255: higher ones are served first. Absent: no priorities.
    pub(crate) max_priority: Option<At<Count>>,
    /// How long a message may wait; a message's own limit counts too. Absent: forever.
    pub(crate) ttl: Option<At<Duration>>,
    /// A queue that nobody uses for so long is deleted.
    pub(crate) expires: Option<At<Duration>>,
    /// Most unsuccessful deliveries; with one more a message is dead-lettered. Absent: no limit.
    pub(crate) delivery_limit: Option<At<Count>>,
    /// How long a message that comes back waits. Absent: not at all.
    pub(crate) retry_delay: Option<At<RawRetryDelay>>,
    /// Where a message that comes back waits for its next delivery. Default "original".
    pub(crate) requeue: Option<At<RawRequeue>>,
    /// How long a consumer may hold a message: a duration (after which that message comes back), or a table.
    pub(crate) ack_timeout: Option<At<RawAckTimeout>>,
    /// Only one consumer at a time is served, the next takes over when it goes. Default false.
    pub(crate) single_active: Option<At<bool>>,
    /// Messages of a group (see `group_by_key` of producers) go to one consumer, as long as it lives. Default false.
    pub(crate) groups: Option<At<bool>>,
    /// Messages whose id was seen within this window are confirmed and dropped: a duration, or a table.
    pub(crate) deduplicate: Option<At<RawDeduplicate>>,
    /// Of a stream: how much of it is kept. Absent: everything.
    pub(crate) retention: Option<At<RawRetention>>,
    /// Partitions, chosen by hash of the message's key; bounds are of all together. Default 1.
    pub(crate) partitions: Option<At<Count>>,
    /// Messages that it holds when the run begins. Default 0.
    pub(crate) backlog: Option<At<Count>>,
    /// The system whose defaults it has.
    pub(crate) design: Option<At<RawDesign>>,
    /// Allows keys that the system named by `design` does not have. Default false.
    pub(crate) beyond_design: Option<At<bool>>,
}

/// Whether a queue has such a key.
pub(crate) fn is_queue_key(key: &str) -> bool {
    static KEYS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let schema = schemars::schema_for!(RawQueue);
        let properties = schema.get("properties").and_then(|keys| keys.as_object());
        properties
            .into_iter()
            .flat_map(|keys| keys.keys().cloned())
            .collect()
    });
    KEYS.contains(key)
}

/// A system whose defaults a queue can take over.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Design")]
pub(crate) enum RawDesign {
    /// RabbitMQ's classic queues.
    RabbitmqClassic,
    /// RabbitMQ's quorum queues.
    RabbitmqQuorum,
    /// Kafka's topics.
    Kafka,
    /// Redis lists.
    RedisList,
    /// Redis streams.
    RedisStream,
    /// ActiveMQ Classic.
    Activemq,
    /// ZeroMQ's PUSH and PULL.
    Zeromq,
    /// NATS JetStream.
    NatsJetstream,
    /// Amazon SQS.
    Sqs,
}

/// How long a message that comes back waits, by how often it came back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RetryDelay")]
pub(crate) struct RawRetryDelay {
    /// The first wait.
    pub(crate) base: At<Duration>,
    /// The longest wait. Absent: `base` for "fixed", an hour otherwise.
    pub(crate) max: Option<At<Duration>>,
    /// How it grows with each return. Default "linear".
    #[serde(default)]
    pub(crate) growth: RawGrowth,
    /// How much of it is left to chance, 0 to 1. Default 0.
    pub(crate) jitter: Option<At<Number>>,
}

/// How a wait grows with the number n of returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Growth")]
pub(crate) enum RawGrowth {
    /// `base`, always.
    Fixed,
    /// `base` times n.
    #[default]
    Linear,
    /// Twice the one before.
    Exponential,
}

/// Where a message that comes back waits.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Requeue")]
pub(crate) enum RawRequeue {
    /// Where it was.
    Original,
    /// Before all others.
    Head,
    /// After all others.
    Tail,
}

shapes! {
    /// How long a consumer may hold a message: a duration, or a table.
    RawAckTimeout, "a duration such as \"30s\", or a table such as { after = \"30m\", action = \"close-channel\" }",
    Text(Duration), Table(AckTimeoutTable)
}

/// How long a consumer may hold a message, and what happens then.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AckTimeout")]
pub(crate) struct AckTimeoutTable {
    /// How long, from the delivery or the last renewal.
    pub(crate) after: At<Duration>,
    /// What happens then. Default "requeue".
    #[serde(default)]
    pub(crate) action: RawTimeoutAction,
}

/// What happens to a message that is held for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TimeoutAction")]
pub(crate) enum RawTimeoutAction {
    /// That message comes back.
    #[default]
    Requeue,
    /// The consumer's channel is closed, and all that it held comes back.
    CloseChannel,
}

shapes! {
    /// A window of message identities: how long, or a table.
    RawDeduplicate, "a duration such as \"2m\", or a table such as { window = \"2m\", capacity = 100_000 }",
    Text(Duration), Table(DeduplicateTable)
}

/// A window of message identities.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Deduplicate")]
pub(crate) struct DeduplicateTable {
    /// How long an identity is remembered, from its first message on.
    pub(crate) window: At<Duration>,
    /// Most identities; then the oldest is forgotten. Default 100_000.
    pub(crate) capacity: Option<At<Count>>,
}

/// How much of a stream is kept. It goes in whole segments.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Retention")]
pub(crate) struct RawRetention {
    /// Most bytes of bodies.
    pub(crate) max_bytes: Option<At<SizeText>>,
    /// Most messages.
    pub(crate) max_length: Option<At<Count>>,
    /// How long messages are kept.
    pub(crate) max_age: Option<At<Duration>>,
    /// Messages per segment. Default 1_000.
    pub(crate) segment: Option<At<Count>>,
    /// Only the last message of each key is kept (besides the open segment). Default false.
    pub(crate) compact: bool,
    /// What all groups have read is dropped. Default false.
    pub(crate) interest: bool,
}

/// Where messages live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "QueueKind")]
pub(crate) enum RawQueueKind {
    /// In memory: a restart forgets them.
    Memory,
    /// In a log on disk.
    #[default]
    Durable,
    /// In a log on disk that is read without being emptied.
    Stream,
}

/// When a message counts as stored: `"os"`, `"interval(100ms)"` or `"fsync"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RawDurability {
    /// When the operating system has it: survives a crash of the process, not a power loss.
    Os,
    /// The same, and the log is synced within this time.
    Interval(Span),
    /// When the disk has it.
    Fsync,
}

impl<'de> Deserialize<'de> for RawDurability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = RawDurability;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"os\", \"interval(100ms)\" or \"fsync\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawDurability, E> {
                parse_durability(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

fn parse_durability(text: &str) -> Result<RawDurability, String> {
    let interval = text.strip_prefix("interval(");
    match (text, interval.and_then(|rest| rest.strip_suffix(')'))) {
        ("os", _) => Ok(RawDurability::Os),
        ("fsync", _) => Ok(RawDurability::Fsync),
        (_, Some(every)) => match parse_duration(every)? {
            Span::ZERO => Err("an interval cannot be 0: write \"fsync\"".into()),
            every => Ok(RawDurability::Interval(every)),
        },
        _ => Err(format!(
            "`{}` is not a durability; they are \"os\", \"interval(100ms)\" and \"fsync\"",
            short(text)
        )),
    }
}

impl From<RawDurability> for Durability {
    fn from(raw: RawDurability) -> Durability {
        match raw {
            RawDurability::Os => Durability::Os,
            RawDurability::Interval(every) => Durability::Interval(every),
            RawDurability::Fsync => Durability::Fsync,
        }
    }
}

impl JsonSchema for RawDurability {
    fn schema_name() -> Cow<'static, str> {
        "Durability".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "When a message counts as stored: when the operating system has it (os), the same with a sync at intervals, or when the disk has it (fsync).",
            "type": "string",
            "pattern": r"^(os|fsync|interval\([0-9][^)]*\))$",
            "examples": ["fsync", "os", "interval(100ms)"]
        })
    }
}

/// What a full queue does with one more message.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Overflow")]
pub(crate) enum RawOverflow {
    /// Drops the oldest ready message.
    DropHead,
    /// Refuses the newcomer.
    RejectPublish,
    /// Moves the oldest ready message to `dead_letter`.
    DeadLetter,
    /// Lets producers wait.
    Block,
}

/// A binding of a queue, or of an exchange, to an exchange.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Binding")]
pub(crate) struct RawBinding {
    /// The exchange.
    pub(crate) exchange: At<String>,
    /// The routing key or topic pattern; not needed for fanout and consistent-hash.
    pub(crate) key: Option<At<String>>,
    /// Weight in a consistent-hash exchange. Default 1.
    pub(crate) weight: Option<At<Count>>,
    /// In a headers exchange: header = value, and `match` = "all" (the default) or "any".
    pub(crate) headers: Option<At<Named<RawHeaderMatch>>>,
}

shapes! {
    /// What a header has to be: a text, a number, true or false; or { present = true } for any value.
    RawHeaderMatch, "a text, a number, true, false or { present = true }",
    Scalar(Scalar), Table(PresentTable)
}

/// A header with any value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Present")]
pub(crate) struct PresentTable {
    /// True: the header must be there, whatever its value.
    pub(crate) present: At<bool>,
}

shapes! {
    /// Where dead letters go: the name of a queue or an exchange, or a table.
    RawDeadLetter, "a queue or an exchange by name, or a table such as { exchange = \"dead\", key = \"order\" }",
    Text(String), Table(DeadLetterTable)
}

/// Where dead letters go, and how safely.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeadLetter")]
pub(crate) struct DeadLetterTable {
    /// The queue.
    pub(crate) queue: Option<At<String>>,
    /// The exchange.
    pub(crate) exchange: Option<At<String>>,
    /// The routing key. Absent: the message's own key.
    pub(crate) key: Option<At<String>>,
    /// Dead letters leave only once their targets have them. Default false.
    pub(crate) at_least_once: Option<At<bool>>,
}

shapes! {
    /// Where messages go: the name of a queue or an exchange, or a table.
    RawTarget, "a queue or an exchange by name, or a table such as { exchange = \"shop\", key = \"order.created\" }",
    Text(String), Table(TargetTable)
}

shapes! {
    /// Where messages go: the name of a queue or an exchange, a table, or a weighted list of these.
    RawTargets, "a queue or an exchange by name, a table such as { queue = \"orders\" }, or a list of these",
    Text(String), List(At<RawTarget>), Table(TargetTable)
}

/// A queue, or an exchange with a routing key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Target")]
pub(crate) struct TargetTable {
    /// The queue.
    pub(crate) queue: Option<At<String>>,
    /// The exchange.
    pub(crate) exchange: Option<At<String>>,
    /// The routing key. Absent: the message's own key.
    pub(crate) key: Option<At<String>>,
    /// Share of the messages, in a list. Default 1.
    pub(crate) weight: Option<At<Number>>,
}
