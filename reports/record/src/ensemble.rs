//! Several runs of one scenario that differ in their seeds.

mod verdict;
mod warning;

use queuelab_core::{Span, Time};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::json;
use crate::metric::{Figure, Sample};
use crate::statistics::{Interval, Precision, mean_series, mser5};
use crate::{
    Latencies, Measured, MetricError, RecordError, RunRecord, ScenarioInfo, Unit, Verdict,
};

/// The layout of [`Ensemble`]; raised when a reader of an older one would be misled.
pub const ENSEMBLE_SCHEMA_VERSION: u32 = 1;

/// What several runs (replications) measured. A pure function of their records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// [`ENSEMBLE_SCHEMA_VERSION`] at the time of writing.
    pub schema_version: u32,
    /// Version of queuelab.
    pub version: String,
    /// What ran.
    pub scenario: ScenarioInfo,
    /// Seeds, in order. What else is listed per run is in the same order.
    pub seeds: Vec<u64>,
    /// How precise figures were to be.
    pub precision: Precision,
    /// Metrics over the runs, as asked.
    pub metrics: Vec<MetricEnsemble>,
    /// Expectations over the runs, as in the scenario.
    pub expectations: Vec<ExpectationEnsemble>,
    /// Invariants that were violated although no expectation speaks of it.
    pub violations: Vec<Violation>,
    /// Seeds of runs in which L = λW did not hold on the sample path: their accounting is wrong.
    pub unaccounted: Vec<u64>,
    /// Queues that were offered at least as much as their consumers can do, in some phase, in the mean over the runs.
    pub overloads: Vec<Overload>,
    /// Of steady-state runs: whether enough was left out at the start.
    pub transient: Option<Transient>,
    /// All latencies of all runs from the intended send: to the confirm, to receipt by a consumer, to the end of service.
    pub latencies: [Latencies; 3],
}

/// A measured quantity by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quantity {
    /// `latency.end_to_end.p99`
    pub metric: String,
    /// Of a queue, producer or consumer; of all together if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// In a phase; in the whole run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

impl std::fmt::Display for Quantity {
    /// As expectations write it: `backlog.max of orders in burst`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.metric)?;
        for (word, name) in [("of", &self.of), ("in", &self.phase)] {
            if let Some(name) = name {
                write!(f, " {word} {name}")?;
            }
        }
        Ok(())
    }
}

/// A metric over several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricEnsemble {
    /// Which.
    #[serde(flatten)]
    pub quantity: Quantity,
    /// Of its values: seconds, 1/s, a count or a ratio. `None` if no run has a value.
    pub unit: Option<Unit>,
    /// What each run measured; nothing where it did not come to pass, or had no samples.
    pub values: Vec<Option<f64>>,
    /// Runs in which it did not come to pass: a drain that never ended.
    pub never: usize,
    /// Runs in which messages that were unfinished at the end may have made it larger.
    pub at_least: usize,
    /// The estimate and its interval: of a mean over the runs with a value or, for a percentile of latencies, of that of all runs' latencies
    /// merged. `None` if it never came to pass in some run, if fewer than two have a value, or if a percentile has fewer than a hundred
    /// latencies above it.
    pub interval: Option<Interval>,
    /// Whether the interval is as narrow as was asked for.
    pub converged: bool,
    /// Of a percentile of latencies: how many of all runs' latencies are above it. Below a hundred, it has no interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
}

/// An expectation over several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationEnsemble {
    /// As written.
    pub text: String,
    /// Runs in which it holds.
    pub met: usize,
    /// Seeds of runs in which it does not.
    pub unmet: Vec<u64>,
    /// Seeds of runs in which it cannot be said.
    pub undecided: Vec<u64>,
}

/// An invariant that was violated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// `no-loss`
    pub invariant: String,
    /// Seeds of runs in which it was.
    pub seeds: Vec<u64>,
}

/// A queue that was offered at least as much as its consumers can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    /// Which.
    pub queue: String,
    /// In which phase.
    pub phase: String,
    /// ρ: copies offered over the capacity, 1 or more.
    pub load: f64,
    /// Nothing comes after in which the backlog could drain: the figures depend on how long the run is.
    pub lasting: bool,
}

/// The transient of steady-state runs, judged by the copies in the broker, and the records that groups have not settled, at the windows' ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transient {
    /// What each run left out of latencies and rates.
    pub left_out: Vec<Span>,
    /// What [`mser5`] would leave out of each run; `None` where it sees no steady state or too few windows, or nothing to judge by.
    pub cuts: Vec<Option<Time>>,
    /// Width of a window.
    #[serde(default)]
    pub window: Span,
    /// Copies in the broker, and records that groups have not settled, at the windows' ends, in the mean over the runs: what Welch's plot is
    /// drawn from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<f64>,
}

/// Why records make no ensemble.
#[derive(Debug, Error)]
pub enum EnsembleError {
    /// There are none.
    #[error("there are no runs")]
    Empty,
    /// They are of different scenarios, or were changed differently.
    #[error("the runs with seeds {} and {} are not of the same scenario", seeds[0], seeds[1])]
    Different {
        /// Seeds of two of them.
        seeds: [u64; 2],
    },
    /// Two have the same seed: the same run twice tells nothing new.
    #[error("there are two runs with seed {seed}")]
    Twice {
        /// Their seed.
        seed: u64,
    },
    /// There is no such metric.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

impl Ensemble {
    /// Runs of one scenario with different seeds taken together; `quantities` are the metrics that one asks about.
    ///
    /// # Errors
    /// If there are no runs, if they are not of one scenario, if two have the same seed, or if there is no such metric.
    pub fn of(
        runs: &[RunRecord],
        quantities: &[Quantity],
        precision: Precision,
    ) -> Result<Ensemble, EnsembleError> {
        let first = runs.first().ok_or(EnsembleError::Empty)?;
        check(first, runs)?;
        let seeds: Vec<u64> = runs.iter().map(|run| run.seed).collect();
        let metrics: Result<_, MetricError> = quantities
            .iter()
            .map(|quantity| metric(runs, quantity, precision))
            .collect();
        let broken = |run: &&RunRecord| run.littles_law.integral != run.littles_law.sojourns;
        Ok(Ensemble {
            schema_version: ENSEMBLE_SCHEMA_VERSION,
            version: first.version.clone(),
            scenario: first.scenario.clone(),
            seeds,
            precision,
            metrics: metrics?,
            expectations: expectations(runs),
            violations: violations(runs),
            unaccounted: runs.iter().filter(broken).map(|run| run.seed).collect(),
            overloads: overloads(runs),
            transient: transient(runs),
            latencies: merged(runs),
        })
    }

    /// A metric, if it was asked about.
    pub fn metric(&self, quantity: &Quantity) -> Option<&MetricEnsemble> {
        self.metrics.iter().find(|it| it.quantity == *quantity)
    }

    /// `replications.json`. Equal ensembles give equal text.
    pub fn to_json(&self) -> String {
        json::text(self)
    }

    /// The ensemble that [`Ensemble::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is not that of an ensemble, or of a newer one.
    pub fn from_json(text: &str) -> Result<Ensemble, RecordError> {
        json::check_version(text, ENSEMBLE_SCHEMA_VERSION)?;
        Ok(serde_json::from_str(text)?)
    }
}

impl std::str::FromStr for Quantity {
    type Err = String;

    /// What [`Quantity`] displays: METRIC [of NAME] [in PHASE].
    fn from_str(text: &str) -> Result<Quantity, String> {
        let mut words = text.split_whitespace();
        let metric = words.next().ok_or("it is METRIC [of NAME] [in PHASE]")?;
        let mut quantity = Quantity {
            metric: metric.into(),
            of: None,
            phase: None,
        };
        while let Some(word) = words.next() {
            let place = match word {
                "of" if quantity.of.is_none() && quantity.phase.is_none() => &mut quantity.of,
                "in" if quantity.phase.is_none() => &mut quantity.phase,
                _ => {
                    return Err(format!(
                        "`{word}` is not understood; it is METRIC [of NAME] [in PHASE]"
                    ));
                }
            };
            let name = words
                .next()
                .ok_or_else(|| format!("a name is missing after `{word}`"))?;
            *place = Some(name.into());
        }
        Ok(quantity)
    }
}

impl MetricEnsemble {
    /// What all runs say it is: the middle of the interval or, of one run alone, what that measured. `None` if it never came to pass in some
    /// run, and where several runs are not enough for an interval.
    pub fn estimate(&self) -> Option<f64> {
        match (self.interval, self.values.as_slice()) {
            _ if self.never > 0 => None,
            (Some(interval), _) => Some(interval.estimate),
            (None, [alone]) => *alone,
            (None, _) => None,
        }
    }

    /// What a run measured in a mean run, as a person reads it: `180,052 ± 225`, `180,100` of one run alone, `never in 3 of 10`, `—`.
    pub fn shown(&self) -> String {
        let figure = |value: f64| self.unit.unwrap_or(Unit::Count).shown(value);
        let bound = if self.at_least > 0 { "≥ " } else { "" };
        match (self.interval, self.estimate()) {
            _ if self.never > 0 => format!("never in {} of {}", self.never, self.values.len()),
            (Some(interval), _) => {
                let middle = figure(interval.estimate);
                format!("{bound}{middle} ± {}", figure(interval.half_width))
            }
            (None, Some(alone)) => format!("{bound}{}", figure(alone)),
            (None, None) => "—".into(),
        }
    }

    /// Of a percentile that has no interval because too few latencies are above it: with about how many runs it would have one. `None` if
    /// it has one, or if runs alone would not help.
    pub fn runs_for_interval(&self) -> Option<u64> {
        let above = self.above.filter(|above| *above > 0.0)?;
        let runs = (self.values.len() as f64 * ABOVE_MIN / above).ceil() as u64;
        (self.interval.is_none() && self.never == 0 && above < ABOVE_MIN).then_some(runs)
    }
}

impl Transient {
    /// How much most runs would leave out; `None` if half of them or more see no steady state.
    pub fn cut(&self) -> Option<Time> {
        let mut cuts: Vec<Time> = self
            .cuts
            .iter()
            .map(|cut| cut.unwrap_or(Time(u64::MAX)))
            .collect();
        cuts.sort_unstable();
        let median = cuts.get(self.cuts.len() / 2)?;
        (*median != Time(u64::MAX)).then_some(*median)
    }

    /// Whether there is something to judge by: something was unfinished at the end of some window.
    pub fn is_judged(&self) -> bool {
        self.inside.iter().any(|&copies| copies > 0.0)
    }

    /// Whether most runs left out what they would.
    pub fn is_left_out(&self) -> bool {
        let runs = self.cuts.iter().zip(&self.left_out);
        let enough = runs.filter(|(cut, left)| cut.is_some_and(|cut| cut.0 <= left.0));
        2 * enough.count() > self.cuts.len()
    }

    /// The least that a run left out.
    pub fn least(&self) -> Span {
        self.left_out.iter().copied().min().unwrap_or_default()
    }
}

fn check(first: &RunRecord, runs: &[RunRecord]) -> Result<(), EnsembleError> {
    if let Some(other) = runs.iter().find(|run| run.scenario != first.scenario) {
        let seeds = [first.seed, other.seed];
        return Err(EnsembleError::Different { seeds });
    }
    let mut seeds: Vec<u64> = runs.iter().map(|run| run.seed).collect();
    seeds.sort_unstable();
    match seeds.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(EnsembleError::Twice { seed: pair[0] }),
        None => Ok(()),
    }
}

fn metric(
    runs: &[RunRecord],
    quantity: &Quantity,
    precision: Precision,
) -> Result<MetricEnsemble, MetricError> {
    let Quantity { metric, of, phase } = quantity;
    let (of, phase) = (of.as_deref(), phase.as_deref());
    let measured = runs.iter().map(|run| run.metric(metric, of, phase));
    let measured: Vec<Measured> = measured.collect::<Result<_, _>>()?;
    let value = |it: &Measured| match it {
        Measured::Value { value, .. } => Some(*value),
        _ => None,
    };
    let values: Vec<Option<f64>> = measured.iter().map(value).collect();
    let unit = measured.iter().find_map(|it| match it {
        Measured::Value { unit, .. } => Some(*unit),
        _ => None,
    });
    let counted = |is: fn(&Measured) -> bool| measured.iter().filter(|it| is(it)).count();
    let never = counted(|it| *it == Measured::Never);
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    let pooled = pooled(runs, metric, of, phase)?;
    let interval = match pooled {
        _ if never > 0 => None,
        Pooled::Not => Interval::of_mean(&known, precision.confidence),
        Pooled::Scarce { .. } => None,
        Pooled::Quantile { value, .. } => {
            Interval::of_quantile(value, &known, precision.confidence)
        }
    };
    Ok(MetricEnsemble {
        quantity: quantity.clone(),
        unit,
        never,
        at_least: counted(|it| matches!(it, Measured::Value { at_least: true, .. })),
        converged: interval.is_some_and(|interval| precision.is_met_by(&interval)),
        above: match pooled {
            Pooled::Not => None,
            Pooled::Scarce { above } | Pooled::Quantile { above, .. } => Some(above),
        },
        interval,
        values,
    })
}

/// A percentile over all runs' latencies.
enum Pooled {
    /// It is no percentile.
    Not,
    /// Too few latencies are above it.
    Scarce {
        above: f64,
    },
    Quantile {
        value: f64,
        above: f64,
    },
}

fn pooled(
    runs: &[RunRecord],
    metric: &str,
    of: Option<&str>,
    phase: Option<&str>,
) -> Result<Pooled, MetricError> {
    let mut all = Sample::default();
    let mut asked = None;
    for run in runs {
        match run.latency_sample(metric, of, phase)? {
            Some((Figure::Quantile(share), sample)) => {
                asked = Some(share);
                all.merge(&sample);
            }
            _ => return Ok(Pooled::Not),
        }
    }
    let Some(share) = asked else {
        return Ok(Pooled::Not);
    };
    // A product such as 100,000 · (1 − 0.999) is a little below 100.
    let above = all.latencies.count() as f64 * (1.0 - share) * (1.0 + 1e-9);
    Ok(match Figure::Quantile(share).of(&all) {
        Measured::Value { value, .. } if above >= ABOVE_MIN => Pooled::Quantile { value, above },
        _ => Pooled::Scarce { above },
    })
}

/// Expectations are the scenario's, hence the same in every run.
fn expectations(runs: &[RunRecord]) -> Vec<ExpectationEnsemble> {
    let of = |index: usize| {
        let verdicts = runs.iter().filter_map(|run| {
            let expectation = run.expectations.get(index)?;
            Some((expectation.verdict, run.seed))
        });
        let seeds = |wanted: Verdict| {
            let chosen = verdicts.clone().filter(|(verdict, _)| *verdict == wanted);
            chosen.map(|(_, seed)| seed).collect::<Vec<u64>>()
        };
        ExpectationEnsemble {
            text: runs[0].expectations[index].text.clone(),
            met: seeds(Verdict::Pass).len(),
            unmet: seeds(Verdict::Fail),
            undecided: seeds(Verdict::Undecided),
        }
    };
    (0..runs[0].expectations.len()).map(of).collect()
}

fn violations(runs: &[RunRecord]) -> Vec<Violation> {
    let mut violations: Vec<Violation> = Vec::new();
    for run in runs {
        for invariant in run.unexpected() {
            let known = violations
                .iter_mut()
                .find(|it| it.invariant == invariant.name);
            match known {
                Some(violation) => violation.seeds.push(run.seed),
                None => violations.push(Violation {
                    invariant: invariant.name.clone(),
                    seeds: vec![run.seed],
                }),
            }
        }
    }
    violations
}

/// By queue, then by phase.
fn overloads(runs: &[RunRecord]) -> Vec<Overload> {
    let first = &runs[0];
    let mut overloads = Vec::new();
    for (queue, record) in first.queues.iter().enumerate() {
        for (phase, info) in first.phases.iter().enumerate() {
            let loads = runs.iter().filter_map(|run| {
                let load = run.phases.get(phase)?.load.get(queue)?;
                // A queue that nobody consumes is not overloaded: it keeps what it gets.
                let capacity = load.capacity.filter(|capacity| *capacity > 0.0)?;
                Some(load.offered / capacity)
            });
            let loads: Vec<f64> = loads.collect();
            let load = loads.iter().sum::<f64>() / loads.len() as f64;
            if load >= 1.0 {
                overloads.push(Overload {
                    queue: record.name.clone(),
                    phase: info.name.clone(),
                    load,
                    lasting: phase + 1 == first.phases.len() || !first.warmup.is_zero(),
                });
            }
        }
    }
    overloads
}

/// Runs that leave nothing out are terminating ones.
fn transient(runs: &[RunRecord]) -> Option<Transient> {
    let left_out: Vec<Span> = runs.iter().map(|run| run.warmup).collect();
    let steady = left_out.iter().any(|span| !span.is_zero());
    steady.then(|| Transient {
        left_out,
        cuts: runs.iter().map(RunRecord::transient).collect(),
        window: runs[0].window,
        inside: mean_series(&runs.iter().map(inside).collect::<Vec<_>>()),
    })
}

impl RunRecord {
    /// Whether a quantity is p99.9 or beyond of too few latencies: a few messages decide it, and it should not be shown. p99.9 takes about
    /// 100,000.
    pub fn is_scarce(&self, quantity: &Quantity) -> bool {
        let Quantity { metric, of, phase } = quantity;
        match self.latency_sample(metric, of.as_deref(), phase.as_deref()) {
            Ok(Some((Figure::Quantile(share), sample))) if share > EXTREME => {
                (sample.latencies.count() as f64) * (1.0 - share) < ABOVE_MIN * (1.0 - 1e-9)
            }
            _ => false,
        }
    }

    /// How long the transient takes, by what is unfinished at the windows' ends: what [`mser5`] would leave out. `None` where it sees no
    /// steady state, or too few windows, or where nothing is unfinished at any of them, which says nothing of what came between.
    pub fn transient(&self) -> Option<Time> {
        let inside = inside(self);
        if inside.iter().all(|&copies| copies == 0.0) {
            return None;
        }
        let windows = mser5(&inside)? as u64;
        Some(Time(windows.saturating_mul(self.window.0)))
    }
}

/// What is unfinished at the windows' ends: copies in the broker and, as a stream is never empty, what its groups have not settled, which
/// includes what their members hold.
fn inside(run: &RunRecord) -> Vec<f64> {
    let at = |window: usize| {
        let of = |series: &[u64]| series.get(window).copied().unwrap_or(0);
        let queues = run.queues.iter().filter(|queue| !queue.stream);
        let inside = queues.map(|it| of(&it.series.ready) + of(&it.series.in_flight));
        let behind = run.groups.iter().map(|group| of(&group.series.lag));
        inside.chain(behind).sum::<u64>() as f64
    };
    (0..run.windows()).map(at).collect()
}

fn merged(runs: &[RunRecord]) -> [Latencies; 3] {
    let of = |stage: fn(&RunRecord) -> Latencies| {
        let mut all = Latencies::default();
        runs.iter().for_each(|run| all.merge(&stage(run)));
        all
    };
    [
        of(|run| run.confirm(None)),
        of(|run| run.delivery(None)),
        of(|run| run.end_to_end(None)),
    ]
}

/// Latencies above a percentile: with fewer it hangs on the luck of a few messages. p99.9 takes 100,000 messages.
const ABOVE_MIN: f64 = 100.0;

/// Percentiles beyond are hidden where they are scarce; those before show the luck that they have.
const EXTREME: f64 = 0.998;
