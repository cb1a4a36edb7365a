//! A scenario as written. The doc comments are the descriptions of the JSON Schema, so editors show them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::shape::{At, Count, Duration, Number, shapes};

mod clients;
mod consumers;
mod distributions;
mod faults;
mod machines;
mod streams;
mod topology;

pub(crate) use clients::*;
pub(crate) use consumers::*;
pub(crate) use distributions::*;
pub(crate) use faults::*;
pub(crate) use machines::*;
pub(crate) use streams::*;
pub(crate) use topology::*;

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
    /// All rates of producers are multiplied by it; a trace is played so many times faster. Default 1.
    pub(crate) load: Option<At<Number>>,
    /// Named parts of the run, one after the other from time zero. Either this or `duration`.
    pub(crate) phases: Option<At<Vec<RawPhase>>>,
    /// Length of a run with a single phase, named "run". Either this or `phases`.
    pub(crate) duration: Option<At<Duration>>,
    /// What faults there may be: "recoverable" ones, after which the backlog must drain, or any ("unrestricted"). Default "recoverable" if all are.
    pub(crate) budget: Option<At<RawFaultBudget>>,
    /// When everything is healed: no fault is on after that. Default: three quarters into the run, if faults come at random.
    pub(crate) heal: Option<At<Duration>>,
    /// When the run ends before its last phase does: "empty" (all queues are, and nobody has anything more to send), "idle" (nothing happened for 5s), or { idle = "30s" }.
    pub(crate) until: Option<At<RawUntil>>,
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
    /// Groups of consumers of streams: how their members share them.
    pub(crate) group: Vec<At<RawGroup>>,
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
    /// How much of the start to leave out: a duration, or "auto" (the default), what MSER-5 leaves out of the same run (a tenth, where it sees no steady state).
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

shapes! {
    /// What ends a run early.
    RawUntil, "\"empty\", \"idle\", or a table such as { idle = \"5s\" }",
    Text(RawEnd), Table(UntilTable)
}

/// What ends a run early.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "End")]
pub(crate) enum RawEnd {
    /// All queues are empty, and nobody has anything more to send.
    Empty,
    /// Nothing was published, delivered or settled for 5s.
    Idle,
}

/// How long nothing may happen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Until")]
pub(crate) struct UntilTable {
    /// How long nothing was published, delivered or settled.
    pub(crate) idle: At<Duration>,
}
