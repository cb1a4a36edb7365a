//! The record's data. Every field is a pure function of (scenario, seed, version).

use queuelab_core::{Durability, Span, Time};
use serde::{Deserialize, Serialize};

use crate::grouped;
use crate::histogram::Latencies;

/// The layout of [`RunRecord`]; raised when a reader of an older one would be misled.
pub const SCHEMA_VERSION: u32 = 2;

/// What one run measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`] at the time of writing.
    pub schema_version: u32,
    /// Version of queuelab.
    pub version: String,
    /// What ran.
    pub scenario: ScenarioInfo,
    /// Seed of everything random.
    pub seed: u64,
    /// How far the run got: its end, or the present of a run under way.
    pub end: Time,
    /// Latencies and rates leave out what is intended before.
    pub warmup: Span,
    /// Phases, as in the scenario.
    pub phases: Vec<PhaseInfo>,
    /// What the figures rest on.
    pub trust: Trust,
    /// Width of a series window.
    pub window: Span,
    /// Queues, as in the scenario. One with several partitions is as many records, `orders/0`, `orders/1`, …; its own name stands for
    /// all of them together.
    pub queues: Vec<QueueRecord>,
    /// Producer groups.
    pub producers: Vec<ProducerRecord>,
    /// Consumer groups.
    pub consumers: Vec<ConsumerRecord>,
    /// Groups that share streams.
    #[serde(default)]
    pub groups: Vec<GroupRecord>,
    /// Nodes.
    pub nodes: Vec<NodeRecord>,
    /// Time per part of the journey, summed over finished copies, with how many copies went into it.
    pub parts: Parts,
    /// Latency percentiles per window, all queues together: confirm, delivery, end-to-end.
    pub latency_series: [LatencySeries; 3],
    /// Messages by what became of them.
    pub outcomes: Outcomes,
    /// Fault activations, in order.
    pub faults: Vec<FaultRecord>,
    /// How often each fault of the scenario has struck; one that never did is worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault_counts: Vec<FaultCount>,
    /// Alarms, in order of their beginnings.
    #[serde(default)]
    pub alarms: Vec<AlarmRecord>,
    /// Expectations with verdicts, as in the scenario.
    pub expectations: Vec<ExpectationRecord>,
    /// Invariants with verdicts.
    pub invariants: Vec<InvariantRecord>,
    /// Little's law on the sample path.
    pub littles_law: LittlesLaw,
    /// The answer in a sentence, holes filled.
    pub answer: Option<String>,
    /// Rolling hash over (time, sequence, kind, target, digest) of every event, in hexadecimal.
    pub trace_hash: String,
    /// Events that the calendar ran.
    pub events: u64,
    /// What became of `try`: commands to type, with their questions.
    pub suggestions: Vec<(String, String)>,
    /// What theory says that the scenario's metrics come to; whoever composes a run fills it in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<PredictionRecord>,
}

/// What theory says that a metric comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// What the scenario was recognised as: `M/M/5`.
    pub model: String,
    /// The metric's name: `latency.end_to_end.p99`.
    pub metric: String,
    /// Of a queue, producer or consumer; of all together if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// In a phase; in the whole run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Seconds, 1/s, a count or a ratio, as the metric is measured.
    pub value: f64,
    /// `exact`, `approximation`, `lower bound`, `upper bound` or `fluid`.
    pub kind: String,
    /// Where the formula comes from.
    pub source: String,
    /// Which parts of a latency it includes; empty where there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub covers: String,
    /// What the scenario has that the model lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<String>,
}

/// What ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// `flash-sale`
    pub name: String,
    /// `Flash sale`
    pub title: String,
    /// What it asks.
    pub about: String,
    /// `path=value` overrides.
    pub overrides: Vec<String>,
    /// The TOML text.
    pub source: String,
    /// The file whose expectations took the place of its own, as it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grading: Option<String>,
}

/// A phase with the offered load and the capacity of each queue in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseInfo {
    /// Its name.
    pub name: String,
    /// From.
    pub from: Time,
    /// Until (not included).
    pub until: Time,
    /// Per queue, in the order of [`RunRecord::queues`].
    pub load: Vec<Load>,
}

/// T = Σp − Σc of one queue in one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Σp: copies routed there per second, measured by intended send.
    pub offered: f64,
    /// Σc: capacity of its consumers (members × concurrency / mean service time); `None` if a service takes no time, or if it depends on which
    /// messages come.
    pub capacity: Option<f64>,
    /// Copies published, per second.
    pub published: f64,
    /// Deliveries per second.
    pub delivered: f64,
    /// Copies acknowledged per second.
    pub acked: f64,
    /// Largest number of ready messages.
    pub ready_max: u64,
    /// Mean number of ready messages over the phase.
    pub ready_mean: f64,
    /// Ready messages at the phase's end.
    pub ready_end: u64,
    /// Age of the oldest ready message, at most (sampled when a message leaves the ready state, and at window ends).
    pub oldest_age_max: Span,
    /// Largest number of delayed messages.
    #[serde(default)]
    pub delayed_max: u64,
    /// Mean number of delayed messages over the phase.
    #[serde(default)]
    pub delayed_mean: f64,
    /// Delayed messages at the phase's end.
    #[serde(default)]
    pub delayed_end: u64,
}

/// What figures rest on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// `ideal`, `lan` or `wan`.
    pub profile: String,
    /// Whether the costs were measured on a real machine.
    pub calibrated: bool,
    /// Whether checkers ran.
    pub checked: bool,
    /// Real systems whose semantics queues carry, as their designs are named; at queuelab's speed.
    #[serde(default)]
    pub designs: Vec<String>,
}

/// A queue, or a partition of one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueRecord {
    /// Its name.
    pub name: String,
    /// What its confirms stand for.
    pub durability: Durability,
    /// Whether it is a stream: an append-only log that is read without being emptied. What is ready in it is what it keeps.
    #[serde(default)]
    pub stream: bool,
    /// Its bound, if any.
    pub max_length: Option<u64>,
    /// Copies enqueued (ready for the first time).
    pub enqueued: u64,
    /// Deliveries, redeliveries included.
    pub delivered: u64,
    /// Redeliveries.
    pub redelivered: u64,
    /// Copies acknowledged.
    pub acked: u64,
    /// Copies moved to the dead-letter target.
    pub dead_lettered: u64,
    /// The same by reason, in the order of [`DEATH_NAMES`].
    #[serde(default)]
    pub deaths: [u64; 4],
    /// Copies dropped at the bound.
    pub dropped: u64,
    /// Copies rejected with no target to take them.
    pub rejected: u64,
    /// Copies whose time to live ran out, with no target to take them.
    #[serde(default)]
    pub expired: u64,
    /// Copies delivered too often without success, with no target to take them.
    #[serde(default)]
    pub exhausted: u64,
    /// Copies that went when the queue was purged or deleted.
    #[serde(default)]
    pub purged: u64,
    /// Copies that the stream keeps no longer.
    #[serde(default)]
    pub retired: u64,
    /// Publishes that the queue had seen before, confirmed and not enqueued.
    #[serde(default)]
    pub deduplicated: u64,
    /// Deliveries that a consumer held for too long.
    #[serde(default)]
    pub lease_expired: u64,
    /// Publishes refused at the bound.
    pub refused: u64,
    /// Copies that a crash took.
    pub lost: u64,
    /// Services of copies that had been served before.
    #[serde(default)]
    pub duplicates: u64,
    /// First deliveries that came after that of a later message of the same producer and key; `None` where nobody counted: it is counted
    /// where the queue promises that order, or the scenario asks for `count.reordered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reordered: Option<u64>,
    /// Ready at the end.
    pub ready_end: u64,
    /// In flight at the end.
    pub in_flight_end: u64,
    /// Not ready before some instant at the end.
    #[serde(default)]
    pub delayed_end: u64,
    /// Dead letters that waited for room in their targets at the end.
    #[serde(default)]
    pub stalled_end: u64,
    /// Those that waited no longer at the end, and whose way out was not committed.
    #[serde(default)]
    pub leaving_end: u64,
    /// Largest number of ready messages, and when first.
    pub ready_max: (u64, Time),
    /// Time from the peak until nothing was ready; `None`: never.
    pub drain_time: Option<Span>,
    /// From the intended send to receipt by a consumer, per phase of the intended send.
    pub delivery: Vec<Latencies>,
    /// From the intended send to the end of service, per phase of the intended send. Services whose consumer publishes on count.
    pub end_to_end: Vec<Latencies>,
    /// Of a queue with priorities: what became of each that was seen, ascending.
    #[serde(default)]
    pub priorities: Vec<PriorityRecord>,
    /// Age of the oldest unfinished copy at the end.
    pub unfinished_age_max: Span,
    /// Copies in the queue or at a consumer that were not served at the end, by phase of the intended send.
    #[serde(default)]
    pub unfinished: Vec<u64>,
    /// Per window.
    pub series: QueueSeries,
}

/// One value per window; times are window ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueSeries {
    /// Ready messages at the window's end.
    pub ready: Vec<u64>,
    /// Most ready messages within the window.
    pub ready_max: Vec<u64>,
    /// In flight at the window's end.
    pub in_flight: Vec<u64>,
    /// Age in ns of the oldest ready message at the window's end.
    pub oldest_age: Vec<u64>,
    /// Copies enqueued in the window.
    pub published: Vec<u64>,
    /// Deliveries in the window.
    pub delivered: Vec<u64>,
    /// Redeliveries in the window.
    pub redelivered: Vec<u64>,
    /// Acks in the window.
    pub acked: Vec<u64>,
    /// Delayed messages at the window's end.
    #[serde(default)]
    pub delayed: Vec<u64>,
    /// Copies moved to the dead-letter target in the window.
    #[serde(default)]
    pub dead_lettered: Vec<u64>,
}

/// Reasons of dead letters, in the order of [`QueueRecord::deaths`].
pub const DEATH_NAMES: [&str; 4] = ["rejected", "expired", "maxlen", "delivery_limit"];

/// The messages of one priority in one queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PriorityRecord {
    /// Which; what is above the queue's highest counts as that.
    pub priority: u8,
    /// Copies enqueued.
    pub enqueued: u64,
    /// Deliveries.
    pub delivered: u64,
    /// From the intended send to receipt by a consumer, the whole run.
    pub delivery: Latencies,
}

/// A producer group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProducerRecord {
    /// Its name.
    pub name: String,
    /// Members.
    pub count: u32,
    /// Messages by what became of them.
    pub outcomes: Outcomes,
    /// From the intended send to the confirm, per phase of the intended send.
    pub confirm: Vec<Latencies>,
    /// From the intended send to receipt by a consumer, of every copy, per phase of the intended send.
    #[serde(default)]
    pub delivery: Vec<Latencies>,
    /// From the intended send to the end of service, of every copy, per phase of the intended send. A message that is published on
    /// counts where it ends.
    #[serde(default)]
    pub end_to_end: Vec<Latencies>,
    /// From the intended send to the end of the last service of the message: of its last copy, or of what was published on from it.
    #[serde(default)]
    pub complete: Vec<Latencies>,
    /// Age of the oldest unfinished copy at the end.
    #[serde(default)]
    pub unfinished_age_max: Span,
    /// Copies that were not served at the end, by phase of the intended send.
    #[serde(default)]
    pub unfinished: Vec<u64>,
    /// Of them, those that no consumer had received.
    #[serde(default)]
    pub undelivered: Vec<u64>,
    /// Messages with copies left at the end, by phase of the intended send.
    #[serde(default)]
    pub incomplete: Vec<u64>,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsumerRecord {
    /// Its name.
    pub name: String,
    /// Members.
    pub count: u32,
    /// Services finished.
    pub served: u64,
    /// Nacks.
    pub nacked: u64,
    /// Share of time that members were serving, 0 to 1.
    pub utilisation: f64,
    /// Services finished by each member, in order.
    pub served_by_member: Vec<u64>,
    /// Messages published on (`then`).
    #[serde(default)]
    pub forwarded: u64,
    /// Utilisation per window.
    pub utilisation_series: Vec<f64>,
}

/// A group of consumers that share streams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its name.
    pub name: String,
    /// Its streams: indexes into [`RunRecord::queues`], one per partition.
    pub streams: Vec<usize>,
    /// Records delivered to its members, repetitions included.
    pub delivered: u64,
    /// Records settled: acknowledged, or committed beyond.
    pub settled: u64,
    /// Records given up after too many deliveries.
    pub archived: u64,
    /// How often its streams were assigned anew.
    pub rebalances: u64,
    /// Members at the end.
    pub members_end: u32,
    /// Records not settled at the end.
    pub lag_end: u64,
    /// Most records not settled, and when first.
    pub lag_max: (u64, Time),
    /// Per phase, in the order of [`RunRecord::phases`].
    pub lag: Vec<Lag>,
    /// From the intended send to the first receipt by a member, per phase of the intended send.
    pub delivery: Vec<Latencies>,
    /// From the intended send to the end of the first service by a member, per phase of the intended send.
    pub end_to_end: Vec<Latencies>,
    /// Per window.
    pub series: GroupSeries,
}

/// How far a group was behind its streams in one phase, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    /// At most.
    pub max: u64,
    /// In the mean over the phase.
    pub mean: f64,
    /// At the phase's end.
    pub end: u64,
}

/// One value per window; times are window ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupSeries {
    /// Records not settled at the window's end.
    pub lag: Vec<u64>,
    /// Members at the window's end.
    pub members: Vec<u64>,
    /// Records delivered in the window.
    pub delivered: Vec<u64>,
    /// Records settled in the window, given up or not.
    pub settled: Vec<u64>,
}

/// A resource that ran short for a while: what connections published was not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRecord {
    /// `memory` or `disk`.
    pub resource: String,
    /// Where.
    pub node: String,
    /// From.
    pub from: Time,
    /// Until (the run's end if it was still on).
    pub until: Time,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// Share of CPU time in use.
    pub cpu: f64,
    /// Share of time that an fsync was under way.
    pub disk: f64,
    /// fsyncs completed.
    pub fsyncs: u64,
    /// Log entries that were synced by them.
    pub synced: u64,
    /// What is wrong with its log, if that is why it is down at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What it had of bodies in memory, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bodies: Option<BodiesRecord>,
    /// CPU use per window.
    pub cpu_series: Vec<f64>,
    /// Disk use per window.
    pub disk_series: Vec<f64>,
}

/// Bodies of messages in a node's memory, where there is a budget for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodiesRecord {
    /// Bytes that are to be in memory at most, about.
    pub budget: u64,
    /// The most bytes that were.
    pub resident_max: u64,
    /// How many bodies were read back from the log.
    pub read: u64,
    /// Bytes in memory at the end of each window.
    pub resident_series: Vec<u64>,
}

/// Parts of a copy's journey, in order. They are consecutive, so they sum to the end-to-end latency exactly.
pub const PART_NAMES: [&str; 10] = [
    "producer wait",
    "network",
    "broker CPU",
    "fsync",
    "replication",
    "earlier attempts",
    "broker queue",
    "delivery",
    "consumer buffer",
    "service",
];

/// Nanoseconds per part, in the order of [`PART_NAMES`], summed over finished copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Copies.
    pub copies: u64,
    /// Sums; decimal text in JSON would lose nothing either, u128 holds any run.
    #[serde(with = "crate::wide")]
    pub nanos: [u128; 10],
}

/// Percentiles per window, in ns; zero where a window has no samples (see `count`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySeries {
    /// Samples.
    pub count: Vec<u64>,
    /// Medians.
    pub p50: Vec<u64>,
    /// 90 % quantiles.
    pub p90: Vec<u64>,
    /// 99 % quantiles.
    pub p99: Vec<u64>,
    /// Largest.
    pub max: Vec<u64>,
}

/// Messages by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Intended by the workload.
    pub offered: u64,
    /// Handed to the network at least once.
    pub sent: u64,
    /// Confirmed.
    pub confirmed: u64,
    /// Refused by the broker.
    pub failed: u64,
    /// Timed out, or lost with their connection: they may or may not have arrived.
    pub unknown: u64,
    /// Dropped by the producer because its buffer was full.
    pub dropped_by_producer: u64,
    /// Still waiting at the producer, in the network or for a confirm at the end.
    pub pending: u64,
    /// Given up while they waited at the producer: patience, retry budget or circuit breaker.
    #[serde(default)]
    pub abandoned: u64,
    /// Sends beyond the first of a message.
    #[serde(default)]
    pub retried: u64,
    /// Accepted, but routed to no queue.
    pub unroutable: u64,
}

/// A fault that was active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its name.
    pub name: String,
    /// `crash`, `power-loss`, …
    pub kind: String,
    /// To whom: `n1`, `workers`.
    pub target: String,
    /// From.
    pub from: Time,
    /// Until (the run's end if it was still on).
    pub until: Time,
    /// What it did: `took 1,204 messages`.
    pub effect: String,
}

/// How often a fault has struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCount {
    /// Its name.
    pub name: String,
    /// `crash`, `power-loss`, …
    pub kind: String,
    /// How often.
    pub fired: u64,
}

/// What became of an expectation or invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It cannot be said.
    Undecided,
}

/// An expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectationRecord {
    /// As written.
    pub text: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What was measured, as a person reads it: `3m45s`.
    pub measured: String,
}

/// An invariant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvariantRecord {
    /// `no-loss`
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Events compared: a green verdict with zero means nothing.
    pub compared: u64,
    /// How often it was violated.
    pub violations: u64,
    /// Violations per queue, in the order of [`RunRecord::queues`].
    pub by_queue: Vec<u64>,
    /// The first few, in words.
    pub examples: Vec<String>,
    /// Of `no-loss`, if it was violated: where the lost messages were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<Losses>,
}

/// Where lost messages were among all that their producers sent: lost ends and lost beginnings have other causes than holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Sent before the first that was kept.
    pub before: u64,
    /// Sent after some and before others that were kept.
    pub amid: u64,
    /// Sent after the last that was kept.
    pub behind: u64,
}

/// "0 before, 12 amid, 3 behind what was kept".
impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [before, amid, behind] = [self.before, self.amid, self.behind].map(grouped);
        write!(
            f,
            "{before} before, {amid} amid, {behind} behind what was kept"
        )
    }
}

/// L = λW, boundary terms included: the time integral of copies in the broker equals the sum of their sojourns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LittlesLaw {
    /// ∫ N(t) dt, in message-nanoseconds.
    #[serde(with = "crate::wide::one")]
    pub integral: u128,
    /// Σ sojourn, in nanoseconds.
    #[serde(with = "crate::wide::one")]
    pub sojourns: u128,
}
