//! A validated scenario: names are resolved, units are gone, the impossible cannot be written.

use queuelab_core::{Dispatch, Durability, HashKind, Overflow, Span, Time};

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
    /// Faults.
    pub faults: Vec<Fault>,
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
    /// How much of the start to leave out of latencies; `None` asks for an automatic choice (until then a tenth of the run).
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
    /// Bytes per second; `None` is unlimited.
    pub bandwidth: Option<f64>,
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
}

/// A queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// `kind = "memory"` is `Durability::None`; a durable one has `Os` or `Fsync`.
    pub durability: Durability,
    /// Bindings to declared exchanges.
    pub bind: Vec<Binding>,
    /// Most ready messages.
    pub max_length: Option<u64>,
    /// Most bytes of ready messages.
    pub max_bytes: Option<u64>,
    /// At the bound.
    pub overflow: Overflow,
    /// Where dead letters go.
    pub dead_letter: Option<Target>,
    /// How consumers are chosen.
    pub dispatch: Dispatch,
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
    /// Return messages that no queue takes.
    pub mandatory: bool,
    /// Most messages of the whole group.
    pub limit: Option<u64>,
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
    },
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
#[derive(Clone, Debug, PartialEq)]
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
        }
    }
}

/// The 99 % quantile of the standard normal distribution.
pub const NORMAL_P99: f64 = 2.326_347_874_040_841;

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Its name, unique; a number is added where the author gave none.
    pub name: String,
    /// What happens.
    pub kind: FaultKind,
    /// When it starts.
    pub at: Time,
    /// How long it lasts.
    pub span: Span,
}

/// What a fault does, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The node's process dies: what was not written is gone; it restarts from what the disk kept after `span`.
    Crash,
    /// The node's machine dies: what was not synced is gone; it restarts after `span`.
    PowerLoss,
    /// fsync takes `factor` times as long.
    SlowDisk {
        /// Above 0.
        factor: f64,
    },
    /// Members of a consumer group die and come back after `span`.
    ConsumerCrash(Members),
    /// Service takes `factor` times as long.
    SlowConsumer {
        /// Who.
        members: Members,
        /// Above 0.
        factor: f64,
    },
    /// No new service starts and nothing is read, a service under way is suspended, until `span` is over.
    PauseConsumer(Members),
}

/// Some members of a consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// Index into [`Scenario::consumers`].
    pub group: usize,
    /// The first so many members; `None` is all.
    pub count: Option<u32>,
}
