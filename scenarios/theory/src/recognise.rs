//! What a scenario is, in terms of theory, and what its metrics come to.
//!
//! A scenario is read into *stations*: a queue, what comes to it, and who serves it. Each recogniser of `MODELS` looks at a station; the
//! first that knows it speaks for it. Networks, forks and confirms are recognised beside them, overload as a fluid.

mod broker;
mod confirm;
mod fluid;
mod known;
mod network;
mod station;
mod steady;

use std::fmt;

use queuelab_scenario::{MetricRef, Scenario};

use station::Station;

/// What theory says that a metric comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// What the scenario was recognised as: `M/M/5`.
    pub model: String,
    /// Which metric.
    pub metric: MetricRef,
    /// Seconds, 1/s, a count or a ratio, as the metric is measured.
    pub value: f64,
    /// How far it goes.
    pub kind: Kind,
    /// Where the formula comes from.
    pub source: &'static str,
    /// Which parts of a latency it includes; empty for other metrics.
    pub covers: String,
    /// What the scenario has that the model lacks.
    pub assumptions: Vec<String>,
}

/// How far a prediction goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The model is the scenario, and its solution exact.
    Exact,
    /// Close, without a bound.
    Approximation,
    /// The truth is above.
    LowerBound,
    /// The truth is below.
    UpperBound,
    /// Chance is left aside.
    Fluid,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Exact => "exact",
            Kind::Approximation => "approximation",
            Kind::LowerBound => "lower bound",
            Kind::UpperBound => "upper bound",
            Kind::Fluid => "fluid",
        })
    }
}

/// Which closed forms apply to a scenario, and what they say. Empty if none does.
pub fn recognise(scenario: &Scenario) -> Vec<Prediction> {
    let stations = Station::all(scenario);
    let mut predictions = network::jackson(scenario, &stations).unwrap_or_default();
    // A network speaks for all of its queues.
    let alone = predictions.is_empty();
    predictions.extend(network::fork(scenario, &stations));
    predictions.extend(stations.iter().flat_map(fluid::predictions));
    if alone {
        predictions.extend(stations.iter().flat_map(steady::predictions));
    }
    predictions.extend(confirm::predictions(scenario, &stations));
    predictions.retain(|prediction| prediction.value.is_finite());
    predictions
}

/// What is about to go wrong: phases in which more is offered than can be served, retries that hold up a storm, a broker that is nearly busy.
pub fn warnings(scenario: &Scenario) -> Vec<String> {
    let stations = Station::all(scenario);
    let mut warnings: Vec<String> = stations.iter().flat_map(fluid::warnings).collect();
    warnings.extend(stations.iter().flat_map(|station| confirm::storms(station)));
    warnings.extend(broker::warnings(scenario, &stations));
    warnings
}

/// What is known of a scenario besides metrics: how evenly a ring spreads keys, why a model does not apply.
pub fn notes(scenario: &Scenario) -> Vec<String> {
    let mut notes = network::rings(scenario);
    notes.extend(broker::notes(scenario));
    notes
}

/// A metric by name.
fn metric(name: &str, of: Option<&str>, phase: Option<&str>) -> MetricRef {
    MetricRef {
        name: name.to_string(),
        of: of.map(str::to_string),
        phase: phase.map(str::to_string),
    }
}

/// `4000/s`, for people.
fn per_second(rate: f64) -> String {
    let tenths = (rate * 10.0).round() / 10.0;
    format!("{tenths}/s")
}

/// `1.2 ms`, for people.
fn shown(seconds: f64) -> String {
    queuelab_scenario::Span::from_secs_f64(seconds.max(0.0)).to_string()
}
