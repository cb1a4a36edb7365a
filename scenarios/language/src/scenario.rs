//! A validated scenario: names are resolved, units are gone, the impossible cannot be written.

use std::sync::Arc;

use queuelab_core::{
    Dispatch, Durability, GroupKind, HashKind, HeadersMatch, Limits, Offset, Overflow, QueuePolicy,
    Span, Time, Value,
};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultBudget};

/// One experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file's stem or the library name: `flash-sale`.
    pub name: String,
    /// For people: `Flash sale`.
    pub title: String,
    /// What it asks or teaches, in a sentence or two.
    pub about: String,
    /// The TOML text as read (without overrides).
    pub source: String,
    /// `--set` overrides that were applied, in order, as `path=value`.
    pub overrides: Vec<String>,
    /// The file whose expectations took the place of its own, as it was typed.
    pub grading: Option<String>,
    /// Everything random follows from it.
    pub seed: u64,
    /// At least one; they follow each other from time zero. A plain `duration` makes one phase named `run`.
    pub phases: Vec<Phase>,
    /// Present for a steady-state run: what happens before is left out of latencies and rates.
    pub steady: Option<Steady>,
    /// A template with `{metric}` holes, if the author gave one.
    pub answer: Option<String>,
    /// What must hold.
    pub expectations: Vec<Expectation>,
    /// What to try next.
    pub suggestions: Vec<Suggestion>,
    /// The machines, and what things cost on them.
    pub cluster: Cluster,
    /// Exchanges, in order of declaration.
    pub exchanges: Vec<Exchange>,
    /// Queues, in order of declaration.
    pub queues: Vec<Queue>,
    /// Groups of producers.
    pub producers: Vec<Producer>,
    /// Groups of consumers.
    pub consumers: Vec<Consumer>,
    /// Groups of consumers of streams, in order of declaration.
    pub groups: Vec<Group>,
    /// Faults.
    pub faults: Vec<Fault>,
    /// What faults there may be, and what is expected once they are over.
    pub budget: FaultBudget,
    /// When everything is healed, if that was said.
    pub heal: Option<Time>,
    /// When the run ends before its last phase does.
    pub until: Option<Until>,
}

/// What ends a run early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// All queues are empty (none ready, delayed or in flight), no producer has anything more to send now, and at least one message was sent.
    Empty,
    /// Nothing was published, delivered or settled for so long.
    Idle(Span),
}

impl Scenario {
    /// The end of the last phase.
    pub fn end(&self) -> Time {
        self.phases.last().map_or(Time::ZERO, |phase| phase.until)
    }

    /// The phase at `now`; the last one from its end on.
    pub fn phase_at(&self, now: Time) -> usize {
        self.phases
            .partition_point(|phase| phase.until <= now)
            .min(self.phases.len().saturating_sub(1))
    }
}

/// A named part of the run: `from <= t < until`.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Its start.
    pub from: Time,
    /// Its end.
    pub until: Time,
}

/// A steady-state run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steady {
    /// How much of the start to leave out of latencies; `None` leaves the choice to whoever runs it; the simulator takes a tenth of the run.
    pub warmup: Option<Span>,
}

/// One sentence of `expect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As written.
    pub text: String,
    /// What it says.
    pub claim: Claim,
}

/// What an expectation claims.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// METRIC [of NAME] OP VALUE [in PHASE].
    Metric {
        /// What is measured.
        metric: MetricRef,
        /// How it compares.
        comparison: Comparison,
        /// With what: seconds for a time, 1/s for a rate, a count or a ratio as it is.
        value: f64,
    },
    /// An invariant holds, or (`violates`) is seen not to hold.
    Invariant {
        /// Its name: `no-loss`.
        name: String,
        /// Of one queue only.
        of: Option<String>,
        /// The anomaly is what the scenario shows.
        violated: bool,
    },
}

/// A measured quantity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricRef {
    /// Its name: `latency.end_to_end.p99`.
    pub name: String,
    /// Of a queue, producer or consumer; of all together if absent.
    pub of: Option<String>,
    /// In a phase; in the whole run if absent.
    pub phase: Option<String>,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
}

/// Something to try next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// `path=value` overrides.
    pub set: Vec<String>,
    /// The question it answers.
    pub ask: String,
}

/// The machines and their cost profile. One node for now.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// `ideal`, `lan` or `wan`: where the defaults of the other fields come from.
    pub profile: Profile,
    /// CPU costs.
    pub cpu: Cpu,
    /// The disk.
    pub disk: Disk,
    /// The network.
    pub network: Network,
    /// Alarms and credit flow.
    pub limits: Limits,
    /// The system whose defaults the whole cluster has, if one was named.
    pub design: Option<Design>,
}

/// A cost profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Everything is free: for theory.
    Ideal,
    /// One data centre.
    #[default]
    Lan,
    /// Clients far away.
    Wan,
}

/// CPU time per operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Per publish.
    pub publish: Span,
    /// Per delivery.
    pub deliver: Span,
    /// Per ack, nack or other request.
    pub ack: Span,
    /// Per KiB of body, published or delivered.
    pub per_kib: Span,
    /// Per batch of inputs that the node takes at once.
    pub per_batch: Span,
    /// How many batches are worked on in parallel; at least 1.
    pub cores: u32,
}

/// The disk of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// Time of one fdatasync, bandwidth apart.
    pub fsync: Distribution,
    /// Time to read entries of the log back that lie together, bandwidth apart.
    pub read: Distribution,
    /// Bytes per second; `None` is unlimited.
    pub bandwidth: Option<f64>,
    /// Bytes that the log may take; `None` is unlimited. What is free of it is what the disk alarm looks at.
    pub capacity: Option<u64>,
    /// How long written bytes wait at most before the operating system puts them on the disk by itself (Linux' dirty_expire_centisecs).
    pub writeback: Span,
}

/// The network between clients and node.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// One-way latency between a client and the node.
    pub clients: Distribution,
    /// Bytes per second of each connection and direction; `None` is unlimited.
    pub bandwidth: Option<f64>,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeType,
    /// Where messages go that it routes nowhere: an index into [`Scenario::exchanges`].
    pub alternate: Option<usize>,
    /// Bindings of this exchange to others (it is the destination).
    pub bind: Vec<Binding>,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExchangeType {
    /// Equal keys.
    Direct,
    /// To all.
    Fanout,
    /// By pattern.
    Topic,
    /// By hash of the key.
    ConsistentHash(HashKind),
    /// By headers.
    Headers,
}

/// A queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// `kind = "memory"` is `Durability::None`; a durable one has another.
    pub durability: Durability,
    /// Bindings to declared exchanges.
    pub bind: Vec<Binding>,
    /// Most messages, ready and delayed.
    pub max_length: Option<u64>,
    /// Most bytes of them.
    pub max_bytes: Option<u64>,
    /// At the bound.
    pub overflow: Overflow,
    /// Where dead letters go.
    pub dead_letter: Option<Target>,
    /// How consumers are chosen.
    pub dispatch: Dispatch,
    /// What else the queue does; `policy.stream` makes it a stream.
    pub policy: QueuePolicy,
    /// Partitions: 1 is the plain queue; more are queues `name/0` …, chosen by hash of the message's key. Bounds are of all together,
    /// split evenly.
    pub partitions: u32,
    /// Messages that it holds when the run begins (without keys, of the size that its first producer sends).
    pub backlog: u64,
    /// It lies at its producers, without a broker (ZeroMQ's PUSH): `max_length` is the high-water mark of each pipe, from one sender to one
    /// receiver.
    pub brokerless: bool,
    /// The system whose semantics it has, if one was named.
    pub design: Option<Design>,
}

/// A system whose defaults a queue can take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Design {
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

/// A binding of a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Index into [`Scenario::exchanges`].
    pub exchange: usize,
    /// The binding key.
    pub key: String,
    /// Weight in a consistent-hash exchange.
    pub weight: u32,
    /// In a headers exchange.
    pub headers: Option<HeadersMatch>,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// To one queue, by the default exchange: an index into [`Scenario::queues`].
    Queue(usize),
    /// To an exchange.
    Exchange {
        /// Index into [`Scenario::exchanges`].
        exchange: usize,
        /// The routing key; `None` uses the message's key (its `message_key`, or its own for a dead letter).
        key: Option<String>,
    },
}

/// A group of equal producers. Rates are of the whole group.
#[derive(Clone, Debug, PartialEq)]
pub struct Producer {
    /// Its name.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Where to, with weights (summing to anything positive).
    pub to: Vec<(Target, f64)>,
    /// When.
    pub arrivals: Arrivals,
    /// What routing keys messages have where the target gives none.
    pub message_key: Keys,
    /// Body size in bytes.
    pub size: Size,
    /// `delivery_mode = 2`.
    pub persistent: bool,
    /// Publisher confirms; `None` sends and forgets.
    pub confirm: Option<Confirm>,
    /// How many messages wait on the client while the window is full.
    pub buffer: u64,
    /// What a full buffer does.
    pub when_full: WhenFull,
    /// Wait before connecting again after a reset; `None` stays away.
    pub reconnect: Option<Span>,
    /// A further wait before that, uniformly random from zero to this.
    pub reconnect_spread: Span,
    /// Return messages that no queue takes.
    pub mandatory: bool,
    /// Most messages of the whole group.
    pub limit: Option<u64>,
    /// What messages carry besides key and body.
    pub properties: MessageMix,
    /// So many messages come at each arrival (`rate` counts messages).
    pub burst: BurstSize,
    /// Messages wait on the client to be sent together.
    pub batch: Option<Batch>,
    /// Publishes per transaction.
    pub transaction: Option<u32>,
    /// What happens after a nack, a timeout or a reset; `None` gives up at once.
    pub retry: Option<Retry>,
    /// How long a message may wait at the client; after that it is given up (an impatient producer).
    pub patience: Option<Distribution>,
    /// Messages are numbered so that the broker recognises repetitions.
    pub idempotent: bool,
    /// Each member starts after such a time.
    pub start: Distribution,
    /// How often a member closes its connection and comes back.
    pub churn: Option<Churn>,
}

impl Producer {
    /// Whether its messages have keys, of its own or of the trace that it plays.
    pub fn has_keys(&self) -> bool {
        let recorded = |trace: &Trace| trace.messages.iter().any(|message| message.key.is_some());
        match &self.arrivals {
            Arrivals::Trace(trace) if recorded(trace) => true,
            _ => self.message_key != Keys::None,
        }
    }
}

/// What messages carry besides key and body. Each choice is drawn per message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageMix {
    /// Priorities with weights; empty: 0.
    pub priority: Vec<(u8, f64)>,
    /// Time to live.
    pub ttl: Option<Distribution>,
    /// How long after its entry a message is to be delivered.
    pub delay: Option<Distribution>,
    /// The message's group is its key.
    pub group_by_key: bool,
    /// Headers: name, and values with weights.
    pub headers: Vec<(String, Vec<(Value, f64)>)>,
    /// Messages carry an identity (unique, but the same for each attempt).
    pub id: bool,
    /// How often a message repeats the identity of its predecessor, 0 to 1.
    pub duplicates: f64,
}

impl MessageMix {
    /// True if messages carry nothing more.
    pub fn is_empty(&self) -> bool {
        *self == MessageMix::default()
    }
}

/// How many messages come at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum BurstSize {
    /// One.
    #[default]
    One,
    /// Always so many.
    Fixed(u32),
    /// At least one, geometrically distributed.
    Geometric {
        /// At least 1.
        mean: f64,
    },
}

/// Messages sent together: when the batch is full, or its first message has waited for `linger`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Messages.
    pub size: u32,
    /// Longest wait of the first.
    pub linger: Span,
}

/// Sending again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The first wait; zero retries at once.
    pub base: Span,
    /// The longest wait.
    pub max: Span,
    /// Each wait is twice the one before, up to `max`; otherwise all are `base`.
    pub exponential: bool,
    /// How much of the wait is left to chance.
    pub jitter: Jitter,
    /// Most sends of one message, the first included.
    pub attempts: u32,
    /// A token bucket: each first send puts `ratio` tokens in (up to `burst`), each retry takes one; without a token the message fails.
    pub budget: Option<Budget>,
    /// A circuit breaker.
    pub breaker: Option<Breaker>,
    /// A message that timed out is still at the broker; true: the repetition comes on top of it (as it does in reality).
    pub keeps_waiting: bool,
}

/// How much of a wait is left to chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing.
    None,
    /// All: uniform from zero to the wait.
    #[default]
    Full,
    /// Half: uniform from half of the wait to the wait.
    Equal,
}

/// A token bucket for retries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Tokens per first send.
    pub ratio: f64,
    /// Most tokens.
    pub burst: f64,
}

/// A circuit breaker: after `failures` in a row nothing is sent for `open`, then one message tries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    /// Failures in a row.
    pub failures: u32,
    /// How long nothing is sent.
    pub open: Span,
}

/// Connections that come and go.
#[derive(Clone, Debug, PartialEq)]
pub struct Churn {
    /// Time between two departures of a member.
    pub every: Distribution,
    /// How long it stays away.
    pub away: Distribution,
    /// It is killed, rather than closing its connection in peace: what it holds comes back when the broker notices.
    pub crash: bool,
    /// On its return it declares its queues and binds them again (two requests more per queue).
    pub declare: bool,
}

/// When messages are to be sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Evenly, from a random phase.
    Constant(Rate),
    /// A Poisson process.
    Poisson(Rate),
    /// Each producer sends, waits for its message to be finished (acknowledged or dropped), thinks, sends again.
    Closed {
        /// Think time.
        think: Distribution,
        /// Members join evenly over this time (ramping users).
        ramp: Span,
    },
    /// As many as the window (of confirms, or a transaction's size) and back-pressure let through; without either there would be
    /// no end to them, so one is needed.
    Max,
    /// A renewal process: gaps of this shape, scaled so that the rate is met.
    Renewal {
        /// The rate.
        rate: Rate,
        /// The gap's shape; only its ratio to its mean counts.
        gap: Distribution,
    },
    /// Poisson with a rate that jumps between states (each left after an exponential time, for the next in the list); it starts in the stationary phase.
    /// With several members each has its own state, and its share of the rates.
    Mmpp {
        /// (messages per second, mean time in the state), of the whole group.
        states: Vec<(f64, Span)>,
    },
    /// Poisson at `rate` during `on` times, silent during `off` times, per member. Pareto times give bursts at all scales.
    OnOff {
        /// Messages per second while on, of the whole group if all were on.
        rate: f64,
        /// Time on.
        on: Distribution,
        /// Time off.
        off: Distribution,
    },
    /// Poisson with rate `mean · (1 + amplitude · sin(2π (t / period + phase)))`.
    Diurnal {
        /// Mean messages per second.
        mean: f64,
        /// 0 to 1.
        amplitude: f64,
        /// Length of a day.
        period: Span,
        /// Where in the day the run begins, 0 to 1.
        phase: f64,
    },
    /// Recorded send times (dealt out to the members in turn).
    Trace(Arc<Trace>),
}

/// A recorded workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The file, as written in the scenario.
    pub file: String,
    /// Ascending.
    pub messages: Vec<TraceMessage>,
    /// How many times faster than recorded it is played.
    pub speed: f64,
}

/// A message of a recorded workload.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceMessage {
    /// When it is sent.
    pub at: Time,
    /// Its key, if the file has a column for it.
    pub key: Option<String>,
    /// Its size in bytes, if the file has a column for it.
    pub size: Option<u32>,
}

/// A rate over time: one segment per phase, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// (messages per second at the phase's start, at its end), linear in between; equal for a constant rate.
    pub segments: Vec<(f64, f64)>,
}

/// What routing keys look like: `k0` … `k<n-1>`.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// None: the empty key.
    None,
    /// In turn.
    RoundRobin {
        /// How many.
        keys: u32,
    },
    /// All alike.
    Uniform {
        /// How many.
        keys: u32,
    },
    /// The k-th with weight k^-exponent.
    Zipf {
        /// How many.
        keys: u32,
        /// At least 0.
        exponent: f64,
    },
    /// A share of the messages on the first `hot` keys, uniform within; the rest uniform over the others.
    Hot {
        /// How many.
        keys: u32,
        /// How many of them are hot.
        hot: u32,
        /// Their share, 0 to 1.
        share: f64,
    },
    /// As `Hot`, and every `every` the hot keys move on to the next `hot` ones.
    Shifting {
        /// How many.
        keys: u32,
        /// How many of them are hot at a time.
        hot: u32,
        /// Their share, 0 to 1.
        share: f64,
        /// How long they stay hot.
        every: Span,
    },
    /// These words with weights: `["order.created", "order.paid"]`.
    Words(Vec<(String, f64)>),
}

/// Body size in bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Size {
    /// Always the same.
    Fixed(u64),
    /// Evenly between, both included.
    Uniform(u64, u64),
    /// Lognormal by median and 99 % quantile.
    Lognormal {
        /// Median.
        median: f64,
        /// 99 % quantile, above the median.
        p99: f64,
    },
    /// One of two sizes.
    Bimodal {
        /// The usual size.
        small: u64,
        /// The other one.
        large: u64,
        /// How often it is `large`, 0 to 1.
        share: f64,
    },
    /// These sizes, with weights.
    Empirical(Vec<(u64, f64)>),
}

/// Publisher confirms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confirm {
    /// Most unconfirmed publishes of one producer.
    pub window: u32,
    /// A confirm that takes longer leaves the message unknown (there is no retry yet).
    pub timeout: Option<Span>,
}

/// What a producer does with a message while its buffer is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Waits; intended send times keep to the schedule.
    #[default]
    Wait,
    /// Drops and counts it.
    Drop,
}

/// A group of equal consumers.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// Indexes into [`Scenario::queues`]; each member consumes from all of them.
    pub from: Vec<usize>,
    /// How many.
    pub count: u32,
    /// Most unacknowledged deliveries per consumer and queue; 0 is unlimited.
    pub prefetch: u32,
    /// Time per message.
    pub service: Distribution,
    /// How many are served at a time by one member.
    pub concurrency: u32,
    /// Acknowledgements.
    pub ack: Ack,
    /// Weight in weighted dispatch.
    pub weight: u32,
    /// Wait before connecting again after a reset; `None` stays away.
    pub reconnect: Option<Span>,
    /// A further wait before that, uniformly random from zero to this.
    pub reconnect_spread: Span,
    /// Service times by phase, if they change; `service` is the first phase's.
    pub service_by_phase: Vec<Distribution>,
    /// Most unacknowledged deliveries of a member over all its queues (one channel for all of them).
    pub channel_prefetch: Option<u32>,
    /// Lower ones are served only while all higher ones are busy.
    pub priority: i32,
    /// Nobody else may consume from its queues.
    pub exclusive: bool,
    /// Only messages that this expression accepts.
    pub selector: Option<String>,
    /// It asks for messages, rather than being sent them.
    pub pull: Option<Pull>,
    /// It renews the lock of what it holds so often.
    pub renew: Option<Span>,
    /// An index into [`Scenario::groups`]; `from` names the group's streams.
    pub group: Option<usize>,
    /// Of streams without a group: where to start.
    pub offset: Offset,
    /// Messages that fail however often they are served: chosen by identity, 0 to 1. They are nacked as `nack` says, requeued if it says nothing.
    pub poison: f64,
    /// Most messages per second of one member.
    pub rate_cap: Option<f64>,
    /// Some members are slow.
    pub slow: Option<Slow>,
    /// Each member starts after such a time.
    pub start: Distribution,
    /// How often a member goes away and comes back.
    pub churn: Option<Churn>,
    /// An impatient consumer: after so long without a message it goes away (for good, unless `churn` or `reconnect` brings it back).
    pub patience: Option<Distribution>,
    /// What it publishes when a service ends well.
    pub then: Option<Then>,
}

/// Asking for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull {
    /// How long it waits after an empty answer.
    pub every: Span,
    /// Most messages that it asks for at a time.
    pub batch: u32,
}

/// Some members of a group are slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// The first `ceil(share · count)` members, 0 to 1.
    pub share: f64,
    /// Their services take so many times as long.
    pub factor: f64,
}

/// What a consumer publishes when a service ends well.
#[derive(Clone, Debug, PartialEq)]
pub struct Then {
    /// Where to, with weights; one is drawn for each message. `None` is out: nothing is published.
    pub to: Vec<(Option<Target>, f64)>,
    /// The message and the acknowledgement in one transaction; otherwise the ack follows the confirm.
    pub transaction: bool,
    /// Only when all copies of the message (forked by an exchange) were served: the join of a fork.
    pub join: bool,
    /// The body's size; `None` keeps it.
    pub size: Option<Size>,
}

/// A group of consumers of streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Indexes into [`Scenario::queues`]: streams, each with all its partitions.
    pub streams: Vec<usize>,
    /// Where it starts.
    pub start: Offset,
    /// How its members share the streams.
    pub kind: GroupKind,
}

/// How a consumer acknowledges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ack {
    /// The delivery itself counts as one (`no_ack`).
    Auto,
    /// After the service.
    Manual {
        /// One `multiple` ack for so many.
        every: u32,
        /// How often the outcome is a nack instead.
        nack: Option<Nack>,
    },
}

/// Negative acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nack {
    /// Per delivery, 0 to 1.
    pub probability: f64,
    /// Back to the queue, or to the dead letters.
    pub requeue: bool,
}

/// A distribution of times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Always the same.
    Constant(Span),
    /// By mean.
    Exponential(Span),
    /// Sum of `k` exponentials, by the mean of the sum.
    Erlang {
        /// Of the sum.
        mean: Span,
        /// Stages.
        k: u32,
    },
    /// By median and 99 % quantile.
    Lognormal {
        /// Median.
        median: Span,
        /// 99 % quantile, above the median.
        p99: Span,
    },
    /// Evenly between.
    Uniform(Span, Span),
    /// Gamma by mean and coefficient of variation.
    Gamma {
        /// Mean.
        mean: Span,
        /// Standard deviation over mean, above 0.
        cv: f64,
    },
    /// Two exponentials with balanced means, by mean and coefficient of variation.
    Hyperexponential {
        /// Mean.
        mean: Span,
        /// At least 1.
        cv: f64,
    },
    /// Pareto by mean and tail index: P(X > x) = (m / x)^alpha from the minimum m = mean · (alpha − 1) / alpha on.
    Pareto {
        /// Mean.
        mean: Span,
        /// Above 1.
        alpha: f64,
    },
    /// Weibull by mean and shape.
    Weibull {
        /// Mean.
        mean: Span,
        /// Above 0; below 1 heavier than exponential.
        shape: f64,
    },
    /// Triangular.
    Triangular {
        /// Lowest.
        low: Span,
        /// Most likely.
        mode: Span,
        /// Highest.
        high: Span,
    },
    /// These values, with weights summing to anything positive.
    Empirical(Arc<[(Span, f64)]>),
}

impl Distribution {
    /// The mean, in seconds.
    pub fn mean(&self) -> f64 {
        match self {
            Distribution::Constant(span)
            | Distribution::Exponential(span)
            | Distribution::Erlang { mean: span, .. } => span.as_secs_f64(),
            Distribution::Lognormal { median, p99 } => {
                let (median, p99) = (median.as_secs_f64(), p99.as_secs_f64());
                let sigma = libm::log(p99 / median) / NORMAL_P99;
                median * libm::exp(sigma * sigma / 2.0)
            }
            Distribution::Uniform(low, high) => (low.as_secs_f64() + high.as_secs_f64()) / 2.0,
            Distribution::Gamma { mean, .. }
            | Distribution::Hyperexponential { mean, .. }
            | Distribution::Pareto { mean, .. }
            | Distribution::Weibull { mean, .. } => mean.as_secs_f64(),
            Distribution::Triangular { low, mode, high } => {
                (low.as_secs_f64() + mode.as_secs_f64() + high.as_secs_f64()) / 3.0
            }
            Distribution::Empirical(values) => {
                let total: f64 = values.iter().map(|(_, weight)| weight).sum();
                let sum: f64 = values
                    .iter()
                    .map(|(value, weight)| value.as_secs_f64() * weight)
                    .sum();
                sum / total
            }
        }
    }
}

/// The 99 % quantile of the standard normal distribution.
pub const NORMAL_P99: f64 = 2.326_347_874_040_841;
