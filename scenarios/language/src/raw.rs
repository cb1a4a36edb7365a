//! A scenario as written. The doc comments are the descriptions of the JSON Schema, so editors show them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::shape::{At, Bandwidth, Count, Duration, Named, Number, RateText, SizeText, shapes};

/// A queuelab scenario: producers, queues, consumers, machines, faults and what is expected of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Scenario", title = "queuelab scenario")]
pub(crate) struct RawScenario {
    /// For people: "Flash sale". Absent: the file's name.
    pub(crate) title: Option<String>,
    /// What the scenario asks or teaches, in a sentence or two.
    pub(crate) about: Option<String>,
    /// Everything random follows from it. Default 1.
    pub(crate) seed: Option<At<Count>>,
    /// Named parts of the run, one after the other from time zero. Either this or `duration`.
    pub(crate) phases: Option<At<Vec<RawPhase>>>,
    /// Length of a run with a single phase, named "run". Either this or `phases`.
    pub(crate) duration: Option<At<Duration>>,
    /// Asks for the steady state: a warm-up is left out of latencies and rates. Absent: the run counts from its start.
    pub(crate) steady: Option<RawSteady>,
    /// The summary's sentence, with holes such as {backlog.max of orders} and {drain_time}.
    pub(crate) answer: Option<At<String>>,
    /// What to try next.
    #[serde(rename = "try")]
    pub(crate) suggestions: Option<At<Vec<RawSuggestion>>>,
    /// What must hold: "METRIC [of NAME] OP VALUE [in PHASE]", an invariant, or "violates INVARIANT [of QUEUE]".
    pub(crate) expect: Option<At<Vec<At<String>>>>,
    /// The machines, and what things cost on them.
    pub(crate) cluster: RawCluster,
    /// Exchanges route messages to queues.
    pub(crate) exchange: Vec<At<RawExchange>>,
    /// Queues keep messages until a consumer has acknowledged them.
    pub(crate) queue: Vec<At<RawQueue>>,
    /// Groups of equal producers.
    pub(crate) producer: Vec<At<RawProducer>>,
    /// Groups of equal consumers.
    pub(crate) consumer: Vec<At<RawConsumer>>,
    /// What goes wrong, and when.
    pub(crate) fault: Vec<At<RawFault>>,
}

/// A part of the run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Phase")]
pub(crate) struct RawPhase {
    /// Its name, unique.
    pub(crate) name: At<String>,
    /// Its length.
    #[serde(rename = "for")]
    pub(crate) length: At<Duration>,
}

/// How a steady-state run is measured.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Steady")]
pub(crate) struct RawSteady {
    /// How much of the start to leave out: a duration, or "auto" (the default), a tenth of the run.
    pub(crate) warmup: Option<At<String>>,
}

/// A variation, and the question that it answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Try")]
pub(crate) struct RawSuggestion {
    /// What to change: "consumer.fulfilment.count=80", or a list of such.
    pub(crate) set: Overrides,
    /// The question.
    pub(crate) ask: String,
}

shapes! {
    /// One override, "path=value", or a list of them.
    Overrides, "an override such as \"queue.orders.max_length=5\", or a list of them", Text(String), List(String)
}

/// The machines and their cost profile.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Cluster")]
pub(crate) struct RawCluster {
    /// Where the other defaults come from: "lan" (the default), "wan" (clients far away) or "ideal" (everything is free).
    pub(crate) profile: Option<RawProfile>,
    /// How many nodes. Only 1 is supported yet; its name is n1.
    pub(crate) nodes: Option<At<Count>>,
    /// CPU time per operation.
    pub(crate) cpu: RawCpu,
    /// The disk.
    pub(crate) disk: RawDisk,
    /// The network between clients and node.
    pub(crate) network: RawNetwork,
}

/// A cost profile.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Profile")]
pub(crate) enum RawProfile {
    /// Everything is free: for theory.
    Ideal,
    /// One data centre.
    #[default]
    Lan,
    /// Clients far away.
    Wan,
}

/// CPU time per operation.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Cpu")]
pub(crate) struct RawCpu {
    /// Time per publish.
    pub(crate) publish: Option<Duration>,
    /// Time per delivery.
    pub(crate) deliver: Option<Duration>,
    /// Time per ack, nack or other request.
    pub(crate) ack: Option<Duration>,
    /// Time per KiB of body, published or delivered.
    pub(crate) per_kib: Option<Duration>,
    /// Time per batch of inputs that the node takes at once.
    pub(crate) per_batch: Option<Duration>,
    /// How many batches are worked on in parallel.
    pub(crate) cores: Option<At<Count>>,
}

/// The disk of a node.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Disk")]
pub(crate) struct RawDisk {
    /// Time of one fsync, bandwidth apart.
    pub(crate) fsync: Option<At<RawDistribution>>,
    /// Bytes per second, as in "500MB/s", or "unlimited".
    pub(crate) bandwidth: Option<Bandwidth>,
}

/// The network between clients and node.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Network")]
pub(crate) struct RawNetwork {
    /// One-way latency between a client and the node.
    pub(crate) clients: Option<At<RawDistribution>>,
    /// Of each connection and direction, as in "10Gbit/s", or "unlimited".
    pub(crate) bandwidth: Option<Bandwidth>,
}

shapes! {
    /// A distribution of times: a duration (always the same) or a table.
    RawDistribution, "a duration such as \"20ms\", or a table such as { dist = \"exponential\", mean = \"20ms\" }",
    Text(Duration), Table(DistributionTable)
}

/// A distribution of times, by quantities that a person knows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DistributionTable")]
pub(crate) struct DistributionTable {
    /// Its shape; absent with `median` and `p99`: lognormal.
    pub(crate) dist: Option<At<DistributionKind>>,
    /// Of "constant".
    pub(crate) value: Option<At<Duration>>,
    /// Of "exponential" and "erlang".
    pub(crate) mean: Option<At<Duration>>,
    /// Of "erlang": how many exponential stages.
    pub(crate) k: Option<At<Count>>,
    /// Of "lognormal".
    pub(crate) median: Option<At<Duration>>,
    /// Of "lognormal": the 99 % quantile.
    pub(crate) p99: Option<At<Duration>>,
    /// Of "uniform".
    pub(crate) min: Option<At<Duration>>,
    /// Of "uniform".
    pub(crate) max: Option<At<Duration>>,
}

/// The shape of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DistributionKind {
    /// Always the same: `value`.
    Constant,
    /// Memoryless: `mean`.
    Exponential,
    /// The sum of `k` exponentials: `mean`, `k`.
    Erlang,
    /// Skewed, as most times are: `median`, `p99`.
    Lognormal,
    /// Evenly between `min` and `max`.
    Uniform,
}

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
    #[serde(default)]
    pub(crate) kind: RawQueueKind,
    /// Of a durable queue: when a message counts as stored. Default "fsync".
    pub(crate) durability: Option<At<RawDurability>>,
    /// Bindings to exchanges: which messages it wants.
    #[serde(default)]
    pub(crate) bind: Vec<RawBinding>,
    /// Most ready messages (those in flight do not count). Absent: unbounded.
    pub(crate) max_length: Option<At<Count>>,
    /// Most bytes of ready messages. Absent: unbounded.
    pub(crate) max_bytes: Option<At<SizeText>>,
    /// What happens at the bound. Default "drop-head".
    pub(crate) overflow: Option<At<RawOverflow>>,
    /// Where rejected and displaced messages go: a queue, an exchange, or a table.
    pub(crate) dead_letter: Option<At<RawTarget>>,
    /// How messages are spread over the consumers: "round-robin" (the default), "weighted-round-robin", "least-connections", "weighted-least-connections", "random", "power-of-2" (to "power-of-255"), "join-idle-queue".
    #[schemars(extend("examples" = ["round-robin", "weighted-round-robin", "least-connections", "weighted-least-connections", "random", "power-of-2", "join-idle-queue"]))]
    pub(crate) dispatch: Option<At<String>>,
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
}

/// When a message counts as stored.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Durability")]
pub(crate) enum RawDurability {
    /// When the operating system has it: survives a crash of the process, not a power loss.
    Os,
    /// When the disk has it.
    Fsync,
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

/// A binding of a queue to an exchange.
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
    #[serde(default)]
    pub(crate) arrivals: RawArrivals,
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
    /// Whether a message that no queue takes is returned. Default false.
    #[serde(default)]
    pub(crate) mandatory: bool,
    /// Most messages of the whole group. Absent: no limit.
    pub(crate) limit: Option<At<Count>>,
}

/// When messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Arrivals")]
pub(crate) enum RawArrivals {
    /// Evenly; each member starts at a random moment.
    Constant,
    /// At random, independent of each other.
    #[default]
    Poisson,
    /// Each member sends, waits until the message is finished, thinks, sends again.
    Closed,
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
    /// Of "hot": how many keys are hot. Default 1.
    pub(crate) hot: Option<At<Count>>,
    /// Of "hot": the share of messages on hot keys, 0 to 1.
    pub(crate) share: Option<At<Number>>,
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
}

/// The shape of a distribution of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SizeKind {
    /// Evenly between `min` and `max`.
    Uniform,
    /// Skewed, as most sizes are: `median`, `p99`.
    Lognormal,
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

/// A fault.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fault")]
pub(crate) struct RawFault {
    /// Its name, unique. Absent: its kind, numbered.
    pub(crate) name: Option<At<String>>,
    /// What happens.
    pub(crate) kind: RawFaultKind,
    /// When it starts. Either this or `during`.
    pub(crate) at: Option<At<Duration>>,
    /// It starts with this phase, and ends with it unless `for` says otherwise. Either this or `at`.
    pub(crate) during: Option<At<String>>,
    /// To whom: the node n1 (the default where a node is meant), or a group of consumers.
    pub(crate) target: Option<At<String>>,
    /// How many members of the group. Absent: all.
    pub(crate) count: Option<At<Count>>,
    /// Of "slow-disk" and "slow-consumer": how many times as long things take.
    pub(crate) factor: Option<At<Number>>,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub(crate) length: Option<At<Duration>>,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "FaultKind")]
pub(crate) enum RawFaultKind {
    /// The node's process dies: what was not written is gone. It restarts after `for`.
    Crash,
    /// The node's machine dies: what was not synced is gone. It restarts after `for`.
    PowerLoss,
    /// fsync takes `factor` times as long.
    SlowDisk,
    /// Consumers die, and come back after `for`.
    ConsumerCrash,
    /// Service takes `factor` times as long.
    SlowConsumer,
    /// Consumers stand still.
    PauseConsumer,
}

impl RawFaultKind {
    /// As in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            RawFaultKind::Crash => "crash",
            RawFaultKind::PowerLoss => "power-loss",
            RawFaultKind::SlowDisk => "slow-disk",
            RawFaultKind::ConsumerCrash => "consumer-crash",
            RawFaultKind::SlowConsumer => "slow-consumer",
            RawFaultKind::PauseConsumer => "pause-consumer",
        }
    }
}
