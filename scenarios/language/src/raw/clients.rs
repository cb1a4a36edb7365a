//! Producers: when they send, what, and what they do when it fails.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawDistribution, RawTargets};
use crate::shape::{At, Count, Duration, Named, Number, RateText, Scalar, SizeText, shapes};

/// A group of equal producers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Producer")]
pub(crate) struct RawProducer {
    /// Its name, unique among producers.
    pub(crate) name: At<String>,
    /// How many members. Default 1.
    pub(crate) count: Option<At<Count>>,
    /// Where messages go.
    pub(crate) to: At<RawTargets>,
    /// When messages are sent. Default "poisson".
    pub(crate) arrivals: Option<At<RawArrivals>>,
    /// How many messages the whole group sends per time: "200/s", a ramp ["200/s", "4000/s"], or by phase { burst = "4000/s", else = "200/s" }.
    pub(crate) rate: Option<At<RawRate>>,
    /// Of "closed" arrivals: time between the end of one message and the next. Default "0s".
    pub(crate) think: Option<At<RawDistribution>>,
    /// Routing keys where the target gives none. Default "none".
    pub(crate) message_key: Option<At<RawKeys>>,
    /// Size of bodies. Default "100B".
    pub(crate) size: Option<At<RawSize>>,
    /// Whether messages outlive a restart, in a durable queue. Default true.
    pub(crate) persistent: Option<At<bool>>,
    /// Publisher confirms: true (the default), false, or a table.
    pub(crate) confirm: Option<At<RawConfirm>>,
    /// How many messages a member holds back while its window is full. Default 10_000.
    pub(crate) buffer: Option<At<Count>>,
    /// What a member with a full buffer does. Default "wait".
    #[serde(default)]
    pub(crate) when_full: RawWhenFull,
    /// Wait before connecting again after a reset, or "never". Default "1s".
    pub(crate) reconnect: Option<At<String>>,
    /// A further wait before connecting again, each time and for each member another one, random from zero to this. Default "0s".
    pub(crate) reconnect_spread: Option<At<Duration>>,
    /// Whether a message that no queue takes is returned. Default false.
    #[serde(default)]
    pub(crate) mandatory: bool,
    /// Most messages of the whole group. Absent: no limit.
    pub(crate) limit: Option<At<Count>>,
    /// Of "closed" arrivals: members join evenly over this time. Default "0s".
    pub(crate) ramp: Option<At<Duration>>,
    /// Priority of messages, 0 to 255: a number, or a list of { priority, weight }. Default 0.
    pub(crate) priority: Option<At<RawPriority>>,
    /// How long messages may wait in a queue: a distribution.
    pub(crate) ttl: Option<At<RawDistribution>>,
    /// How long after its entry into a queue a message becomes ready: a distribution.
    pub(crate) delay: Option<At<RawDistribution>>,
    /// The message's key is its group too. Default false.
    pub(crate) group_by_key: Option<At<bool>>,
    /// Headers of messages: name = value, or a list of values with weights.
    pub(crate) headers: Option<At<Named<RawHeader>>>,
    /// Messages carry an identity, by which queues with `deduplicate` know them again. Default false.
    pub(crate) id: Option<At<bool>>,
    /// How often a message repeats the identity of the one before, 0 to 1. Default 0.
    pub(crate) duplicates: Option<At<Number>>,
    /// How many messages come at once: a number, or { dist = "geometric", mean = 4 }. Default 1.
    pub(crate) burst: Option<At<RawBurst>>,
    /// Messages are sent together. Absent: each alone.
    pub(crate) batch: Option<At<RawBatch>>,
    /// Publishes per transaction. Absent: none.
    pub(crate) transaction: Option<At<Count>>,
    /// What happens after a refusal, a timeout or a reset. Absent: the message is given up.
    pub(crate) retry: Option<At<RawRetry>>,
    /// How long a message may wait at the producer before it is given up: a distribution.
    pub(crate) patience: Option<At<RawDistribution>>,
    /// Messages are numbered, so that the broker recognises repetitions. Default false.
    pub(crate) idempotent: Option<At<bool>>,
    /// Each member starts after such a time: a distribution. Default "0s".
    pub(crate) start: Option<At<RawDistribution>>,
    /// Members go away and come back.
    pub(crate) churn: Option<At<RawChurn>>,
}

shapes! {
    /// When messages are sent: "constant", "poisson", "closed", "max", or a table.
    RawArrivals, "\"constant\", \"poisson\", \"closed\", \"max\", or a table such as { dist = \"on-off\", rate = \"200/s\", on = \"1s\", off = \"9s\" }",
    Text(ArrivalsKind), Table(ArrivalsTable)
}

/// When messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ArrivalsKind {
    /// Evenly; each member starts at a random moment.
    Constant,
    /// At random, independent of each other.
    #[default]
    Poisson,
    /// Each member sends, waits until the message is finished, thinks, sends again.
    Closed,
    /// As fast as the window, the buffer and back-pressure let it.
    Max,
}

/// Arrivals that come in bursts, by the time of day, or as recorded.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ArrivalsTable")]
pub(crate) struct ArrivalsTable {
    /// What kind of process.
    pub(crate) dist: At<ProcessKind>,
    /// Of "mmpp": the rates that it jumps between.
    pub(crate) states: Option<At<Vec<RawState>>>,
    /// Of "on-off" and "pareto-burst": messages per time of the whole group while on.
    pub(crate) rate: Option<At<RateText>>,
    /// Of "on-off" (a distribution) and "pareto-burst" (a mean): the time on.
    pub(crate) on: Option<At<RawDistribution>>,
    /// Of "on-off" (a distribution) and "pareto-burst" (a mean): the time off.
    pub(crate) off: Option<At<RawDistribution>>,
    /// Of "pareto-burst": the tail index of the times, above 1. Default 1.5.
    pub(crate) alpha: Option<At<Number>>,
    /// Of "diurnal": the mean rate of the whole group.
    pub(crate) mean: Option<At<RateText>>,
    /// Of "diurnal": how far the rate goes from its mean, 0 to 1. Default 0.5.
    pub(crate) amplitude: Option<At<Number>>,
    /// Of "diurnal": the length of a day.
    pub(crate) period: Option<At<Duration>>,
    /// Of "diurnal": where in the day the run begins, 0 to 1. Default 0: at the mean, rising.
    pub(crate) phase: Option<At<Number>>,
    /// Of "trace": a CSV file beside the scenario, with the columns at, key, size.
    pub(crate) file: Option<At<String>>,
    /// Of "renewal": the distribution of the gaps; it is scaled to the producer's `rate`.
    pub(crate) gap: Option<At<RawDistribution>>,
}

/// A kind of arrival process.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProcessKind {
    /// Poisson with a rate that jumps between `states`.
    Mmpp,
    /// Poisson at `rate` for the time `on`, nothing for the time `off`.
    OnOff,
    /// As "on-off", with Pareto times: bursts of all lengths.
    ParetoBurst,
    /// Poisson with a rate that follows a sine.
    Diurnal,
    /// As recorded in `file`.
    Trace,
    /// With independent gaps.
    Renewal,
}

/// A state of an MMPP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "State")]
pub(crate) struct RawState {
    /// Messages per time of the whole group in this state.
    pub(crate) rate: RateText,
    /// Mean time in it.
    pub(crate) mean: At<Duration>,
}

shapes! {
    /// A priority, or priorities with weights.
    RawPriority, "a number such as 5, or a list such as [{ priority = 9, weight = 1 }, { priority = 0, weight = 9 }]",
    Count(Count), List(PriorityTable)
}

/// A priority and its weight.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Priority")]
pub(crate) struct PriorityTable {
    /// The priority, 0 to 255.
    pub(crate) priority: At<Count>,
    /// Share of the messages. Default 1.
    pub(crate) weight: Option<At<Number>>,
}

shapes! {
    /// A header: its value, or a list of values of which one is drawn for each message.
    RawHeader, "a text, a number, true, false, or a list such as [{ value = \"a\", weight = 2 }]",
    Scalar(Scalar), List(RawHeaderValue)
}

shapes! {
    /// A value of a header, or a table with a weight.
    RawHeaderValue, "a text, a number, true, false, or a table such as { value = \"a\", weight = 2 }",
    Scalar(Scalar), Table(HeaderValueTable)
}

/// A value of a header and its weight.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HeaderValue")]
pub(crate) struct HeaderValueTable {
    /// The value.
    pub(crate) value: Scalar,
    /// Share of the messages. Default 1.
    pub(crate) weight: Option<At<Number>>,
}

shapes! {
    /// How many messages come at once: a number, or a table.
    RawBurst, "a number such as 10, or a table such as { dist = \"geometric\", mean = 4 }",
    Count(Count), Table(BurstTable)
}

/// A distribution of numbers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Burst")]
pub(crate) struct BurstTable {
    /// Its shape.
    pub(crate) dist: BurstKind,
    /// Its mean, 1 or more.
    pub(crate) mean: At<Number>,
}

/// The shape of a distribution of numbers.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BurstKind {
    /// At least one, geometrically distributed.
    Geometric,
}

/// Messages sent together.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Batch")]
pub(crate) struct RawBatch {
    /// Messages per batch.
    pub(crate) size: At<Count>,
    /// Longest wait of the first for the others. Default "5ms".
    pub(crate) linger: Option<At<Duration>>,
}

/// Sending again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Retry")]
pub(crate) struct RawRetry {
    /// How the waits grow. Default "exponential".
    pub(crate) policy: RawRetryPolicy,
    /// The first wait. Default "100ms".
    pub(crate) base: Option<At<Duration>>,
    /// Of "exponential": the longest wait. Default "10s".
    pub(crate) max: Option<At<Duration>>,
    /// How much of the wait is left to chance. Default "full".
    pub(crate) jitter: RawJitter,
    /// Most sends of one message, the first included. Default 5.
    pub(crate) attempts: Option<At<Count>>,
    /// A token bucket: without a token nothing is sent again.
    pub(crate) budget: Option<At<RawBudget>>,
    /// A circuit breaker: after failures in a row nothing is sent for a while.
    pub(crate) breaker: Option<At<RawBreaker>>,
}

/// How waits grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RetryPolicy")]
pub(crate) enum RawRetryPolicy {
    /// All are `base`.
    Fixed,
    /// Each is twice the one before, up to `max`.
    #[default]
    Exponential,
}

/// How much of a wait is left to chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Jitter")]
pub(crate) enum RawJitter {
    /// Nothing.
    None,
    /// All: from zero to the wait.
    #[default]
    Full,
    /// Half: from half of the wait to the wait.
    Equal,
}

/// A token bucket for retries.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Budget")]
pub(crate) struct RawBudget {
    /// Tokens that each first send puts in; each retry takes one out.
    pub(crate) ratio: At<Number>,
    /// Most tokens. Default 10.
    pub(crate) burst: Option<At<Number>>,
}

/// A circuit breaker.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Breaker")]
pub(crate) struct RawBreaker {
    /// Failures in a row that open it.
    pub(crate) failures: At<Count>,
    /// How long nothing is sent; then one message tries.
    pub(crate) open: At<Duration>,
}

/// Members that go away and come back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Churn")]
pub(crate) struct RawChurn {
    /// Time between two departures of a member: a distribution.
    pub(crate) every: At<RawDistribution>,
    /// How long it stays away: a distribution. Default "1s".
    pub(crate) away: Option<At<RawDistribution>>,
    /// It is killed, rather than closing its connection in peace. Default false.
    #[serde(default)]
    pub(crate) crash: bool,
    /// On its return it declares and binds its queues again. Default false.
    #[serde(default)]
    pub(crate) declare: bool,
}

shapes! {
    /// A rate over time.
    RawRate, "a rate such as \"200/s\", a ramp such as [\"200/s\", \"4000/s\"], or a table of rates by phase",
    Text(RateText), List(RateText), Table(Named<RawSegment>)
}

shapes! {
    /// A rate, or a ramp over the phase.
    RawSegment, "a rate such as \"200/s\", or a ramp such as [\"200/s\", \"4000/s\"]",
    Text(RateText), List(RateText)
}

shapes! {
    /// Routing keys: "none", a list of words, or a table.
    RawKeys, "\"none\", a list of words, or a table such as { dist = \"zipf\", keys = 1000, exponent = 1.1 }",
    Text(String), List(RawWord), Table(KeysTable)
}

shapes! {
    /// A routing key, or a table { key, weight }.
    RawWord, "a word such as \"order.created\", or a table such as { key = \"order.paid\", weight = 2 }",
    Text(String), Table(WordTable)
}

/// A routing key with its weight.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Word")]
pub(crate) struct WordTable {
    /// The key.
    pub(crate) key: String,
    /// Share of the messages. Default 1.
    pub(crate) weight: Option<At<Number>>,
}

/// Generated routing keys: k0, k1, …
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Keys")]
pub(crate) struct KeysTable {
    /// How they are chosen.
    pub(crate) dist: At<KeysKind>,
    /// How many keys.
    pub(crate) keys: At<Count>,
    /// Of "zipf": the k-th key has weight k^-exponent. Default 1.
    pub(crate) exponent: Option<At<Number>>,
    /// Of "hot" and "shifting": how many keys are hot. Default 1.
    pub(crate) hot: Option<At<Count>>,
    /// Of "hot" and "shifting": the share of messages on hot keys, 0 to 1.
    pub(crate) share: Option<At<Number>>,
    /// Of "shifting": how long keys stay hot, before the next ones are.
    pub(crate) every: Option<At<Duration>>,
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeysKind {
    /// In turn.
    RoundRobin,
    /// All alike.
    Uniform,
    /// Few often, many seldom.
    Zipf,
    /// A share of the messages on a few keys.
    Hot,
    /// As "hot", and the hot keys move on.
    Shifting,
}

shapes! {
    /// Size of bodies: always the same, or a table.
    RawSize, "a size such as \"700B\", or a table such as { dist = \"lognormal\", median = \"700B\", p99 = \"8KiB\" }",
    Text(SizeText), Table(SizeTable)
}

/// A distribution of sizes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SizeTable {
    /// Its shape; absent with `median` and `p99`: lognormal.
    pub(crate) dist: Option<At<SizeKind>>,
    /// Of "uniform".
    pub(crate) min: Option<At<SizeText>>,
    /// Of "uniform", included.
    pub(crate) max: Option<At<SizeText>>,
    /// Of "lognormal".
    pub(crate) median: Option<At<SizeText>>,
    /// Of "lognormal": the 99 % quantile.
    pub(crate) p99: Option<At<SizeText>>,
    /// Of "bimodal": the usual size.
    pub(crate) small: Option<At<SizeText>>,
    /// Of "bimodal": the other size.
    pub(crate) large: Option<At<SizeText>>,
    /// Of "bimodal": how often it is the large one, 0 to 1.
    pub(crate) share: Option<At<Number>>,
    /// Of "empirical": the sizes, each with its weight.
    pub(crate) values: Option<At<Vec<RawSizeValue>>>,
}

shapes! {
    /// A value of an empirical distribution: a size, or a table with a weight.
    RawSizeValue, "a size such as \"1KiB\", or a table such as { value = \"1KiB\", weight = 3 }",
    Text(SizeText), Table(SizeValueTable)
}

/// A size and its weight.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SizeValue")]
pub(crate) struct SizeValueTable {
    /// The size.
    pub(crate) value: SizeText,
    /// How often, in proportion. Default 1.
    pub(crate) weight: Option<At<Number>>,
}

/// The shape of a distribution of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SizeKind {
    /// Evenly between `min` and `max`.
    Uniform,
    /// Skewed, as most sizes are: `median`, `p99`.
    Lognormal,
    /// One of two: `small`, `large`, `share`.
    Bimodal,
    /// As measured: `values`.
    Empirical,
}

shapes! {
    /// Publisher confirms: on, off, or a table.
    RawConfirm, "true, false, or a table such as { window = 100, timeout = \"2s\" }",
    Switch(bool), Table(ConfirmTable)
}

/// Publisher confirms.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Confirm")]
pub(crate) struct ConfirmTable {
    /// Most unconfirmed messages of one member. Default 100.
    pub(crate) window: Option<At<Count>>,
    /// A confirm that takes longer leaves the message unknown. Absent: no timeout.
    pub(crate) timeout: Option<At<Duration>>,
}

/// What a full buffer does.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "WhenFull")]
pub(crate) enum RawWhenFull {
    /// The producer waits; intended send times keep to the schedule.
    #[default]
    Wait,
    /// The message is dropped and counted.
    Drop,
}
