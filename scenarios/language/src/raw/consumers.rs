//! Consumers: what they take, how long it takes them, and what they do then.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawChurn, RawDistribution, RawOffset, RawSize};
use crate::shape::{At, Count, Duration, Named, Number, RateText, Signed, shapes};

/// A group of equal consumers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Consumer")]
pub(crate) struct RawConsumer {
    /// Its name, unique among consumers.
    pub(crate) name: At<String>,
    /// A queue, or a list of queues: each member consumes from all of them.
    pub(crate) from: At<Queues>,
    /// How many members. Default 1.
    pub(crate) count: Option<At<Count>>,
    /// Most unacknowledged deliveries per member and queue; 0 is unlimited. Default 50.
    pub(crate) prefetch: Option<At<Count>>,
    /// Time per message. Default "0s".
    pub(crate) service: Option<At<RawDistribution>>,
    /// How many messages one member serves at a time. Default 1.
    pub(crate) concurrency: Option<At<Count>>,
    /// Acknowledgements. Default "manual".
    #[serde(default)]
    pub(crate) ack: RawAck,
    /// With "manual": one ack for so many messages. Default 1.
    pub(crate) every: Option<At<Count>>,
    /// With "manual": how often a message is refused instead.
    pub(crate) nack: Option<At<RawNack>>,
    /// Weight in weighted dispatch. Default 1.
    pub(crate) weight: Option<At<Count>>,
    /// Wait before connecting again after a reset, or "never". Default "1s".
    pub(crate) reconnect: Option<At<String>>,
    /// A further wait before connecting again, each time and for each member another one, random from zero to this. Default "0s".
    pub(crate) reconnect_spread: Option<At<Duration>>,
    /// Time per message by phase, where it is not `service`: { burst = "40ms" }.
    pub(crate) service_by_phase: Option<At<Named<At<RawDistribution>>>>,
    /// Most unacknowledged deliveries of a member over all its queues. Absent: unlimited.
    pub(crate) channel_prefetch: Option<At<Count>>,
    /// Consumers of lower priority are served only while all higher ones are busy. Default 0.
    pub(crate) priority: Option<At<Signed>>,
    /// Nobody else may consume from its queues. Default false.
    pub(crate) exclusive: Option<At<bool>>,
    /// Only messages that this expression over their headers accepts: "region = 'eu' AND size > 10".
    pub(crate) selector: Option<At<String>>,
    /// It asks for messages, rather than being sent them: how long it waits after an empty answer, or a table.
    pub(crate) pull: Option<At<RawPull>>,
    /// How often it renews the lock of what it holds, where the queue has an `ack_timeout`.
    pub(crate) renew: Option<At<Duration>>,
    /// The group in which it reads streams: one of `[[group]]`, or a new one on its `from`.
    pub(crate) group: Option<At<String>>,
    /// Of a stream without a group: where it starts to read, "first", "next" (the default), "last", a number, or { since = "30s" } into the run.
    pub(crate) offset: Option<At<RawOffset>>,
    /// Share of the messages, 0 to 1, that fail however often they are served.
    pub(crate) poison: Option<At<Number>>,
    /// Most messages per time of one member.
    pub(crate) rate_cap: Option<At<RateText>>,
    /// Some members are slow.
    pub(crate) slow: Option<At<RawSlow>>,
    /// Each member starts after such a time: a distribution. Default "0s".
    pub(crate) start: Option<At<RawDistribution>>,
    /// Members go away and come back.
    pub(crate) churn: Option<At<RawChurn>>,
    /// After so long without a message a member goes away: a distribution.
    pub(crate) patience: Option<At<RawDistribution>>,
    /// What it publishes when a service ends well.
    pub(crate) then: Option<At<RawThen>>,
}

shapes! {
    /// Asking for messages: how long to wait after an empty answer, or a table.
    RawPull, "a duration such as \"10ms\", or a table such as { every = \"10ms\", batch = 10 }",
    Text(Duration), Table(PullTable)
}

/// Asking for messages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pull")]
pub(crate) struct PullTable {
    /// How long it waits after an empty answer.
    pub(crate) every: At<Duration>,
    /// Most messages that it asks for at a time. Default 1.
    pub(crate) batch: Option<At<Count>>,
}

/// Some members are slow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Slow")]
pub(crate) struct RawSlow {
    /// Which share of the members, 0 to 1.
    pub(crate) share: At<Number>,
    /// How many times as long their services take.
    pub(crate) factor: At<Number>,
}

/// What a consumer publishes when a service ends well.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Then")]
pub(crate) struct RawThen {
    /// Where to: a queue or an exchange, or a weighted list in which { out = true } publishes nothing.
    pub(crate) to: At<RawOutcomes>,
    /// The message and the ack take effect together. Default false: the ack follows the confirm.
    pub(crate) transaction: Option<At<bool>>,
    /// Only when all copies of the message were served: the join of a fork. Default false.
    pub(crate) join: Option<At<bool>>,
    /// Size of the body. Absent: as it came.
    pub(crate) size: Option<At<RawSize>>,
}

shapes! {
    /// Where a served message goes on to: a queue or an exchange by name, a table, or a weighted list of these.
    RawOutcomes, "a queue or an exchange by name, a table such as { queue = \"billing\" }, or a list of these",
    Text(String), List(At<RawOutcome>), Table(OutcomeTable)
}

shapes! {
    /// Where a served message may go on to.
    RawOutcome, "a queue or an exchange by name, or a table such as { queue = \"billing\", weight = 2 } or { out = true }",
    Text(String), Table(OutcomeTable)
}

/// A queue, an exchange with a routing key, or nowhere.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Outcome")]
pub(crate) struct OutcomeTable {
    /// The queue.
    pub(crate) queue: Option<At<String>>,
    /// The exchange.
    pub(crate) exchange: Option<At<String>>,
    /// The routing key. Absent: the message's own key.
    pub(crate) key: Option<At<String>>,
    /// True: nothing is published, the message leaves.
    pub(crate) out: Option<At<bool>>,
    /// Share of the messages, in a list. Default 1.
    pub(crate) weight: Option<At<Number>>,
}

shapes! {
    /// A queue by name, or a list of queues.
    Queues, "a queue by name, or a list of queues", Text(String), List(At<String>)
}

/// Acknowledgements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Ack")]
pub(crate) enum RawAck {
    /// The delivery itself counts as one.
    Auto,
    /// After the service.
    #[default]
    Manual,
}

/// Negative acknowledgements.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Nack")]
pub(crate) struct RawNack {
    /// Per delivery, 0 to 1.
    pub(crate) probability: At<Number>,
    /// Back to the queue (the default), or else to the dead letters.
    pub(crate) requeue: Option<bool>,
}
