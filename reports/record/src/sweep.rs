//! One scenario at several settings: what a sweep measured, and its files.

mod csv;
mod difference;

use serde::{Deserialize, Serialize};

pub use difference::Difference;

use crate::json;
use crate::statistics::Precision;
use crate::{
    Ensemble, EnsembleError, ExpectationEnsemble, MetricEnsemble, PredictionRecord, Quantity,
    RecordError, RunRecord, ScenarioInfo, Violation,
};

/// The layout of [`Sweep`]; raised when a reader of an older one would be misled.
pub const SWEEP_SCHEMA_VERSION: u32 = 1;

/// What a scenario measured at several settings of some of its values. A pure function of the records of its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// [`SWEEP_SCHEMA_VERSION`] at the time of writing.
    pub schema_version: u32,
    /// Version of queuelab.
    pub version: String,
    /// What ran, with the overrides that all points have in common.
    pub scenario: ScenarioInfo,
    /// How points were chosen.
    pub sampling: Sampling,
    /// What was varied.
    pub axes: Vec<Axis>,
    /// How precise figures were to be.
    pub precision: Precision,
    /// What was asked about; each point has a metric for each, in this order.
    pub quantities: Vec<Quantity>,
    /// In order: of a grid the last axis changes fastest, of a search they ascend.
    pub points: Vec<SweepPoint>,
    /// Of a search: what it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Boundary>,
}

/// How the points of a sweep were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// All combinations of the axes' values.
    Grid,
    /// A Latin hypercube: the range of each axis is cut into as many parts as there are points, and each part has one point.
    LatinHypercube,
    /// A search for the value at which conditions cease to hold.
    Bisection,
}

/// A value of the scenario that was varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// As `--set` takes it: `consumer.workers.count`.
    pub path: String,
    /// What [`Setting::number`] is in.
    pub unit: AxisUnit,
    /// Its values, each once: of a grid in the order given, else ascending.
    pub values: Vec<Setting>,
}

/// What the numbers of an axis are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AxisUnit {
    /// There are none: its values are words, such as the names of designs.
    Words,
    /// Plain numbers.
    Number,
    /// Seconds.
    Time,
    /// Per second.
    Rate,
    /// Bytes.
    Size,
    /// Bytes per second.
    Bandwidth,
}

/// A value of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// As the scenario takes it: `50/s`.
    pub text: String,
    /// In the axis' unit; nothing if the axis has words.
    pub number: Option<f64>,
}

/// What the runs at one point measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// One per axis.
    pub settings: Vec<Setting>,
    /// Of its runs, in order. Points share them, so that differences are not those of other arrivals (common random numbers).
    pub seeds: Vec<u64>,
    /// In the order of [`Sweep::quantities`].
    pub metrics: Vec<MetricEnsemble>,
    /// Per metric: how it differs from the first point's. Nothing at the first point, where too few runs have a value, and where it did
    /// not come to pass in some run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Option<Difference>>,
    /// As in the scenario; of a search they are its conditions.
    pub expectations: Vec<ExpectationEnsemble>,
    /// Invariants that were violated although no expectation speaks of it.
    pub violations: Vec<Violation>,
    /// Seeds of runs in which L = λW did not hold on the sample path: their accounting is wrong.
    pub unaccounted: Vec<u64>,
    /// The queue with the largest offered load, in the phase in which it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest: Option<Busiest>,
    /// What theory says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<PredictionRecord>,
}

/// A queue and its offered load, in the mean over runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Busiest {
    /// Which.
    pub queue: String,
    /// When.
    pub phase: String,
    /// ρ = Σp / Σc.
    pub load: f64,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boundary {
    /// What was to hold, as written.
    pub conditions: Vec<String>,
    /// When it holds at a value: in which of the runs.
    pub rule: String,
    /// The value next to the boundary at which it holds; nothing if it holds nowhere.
    pub holds: Option<Setting>,
    /// The value next to the boundary at which it does not; nothing if it holds throughout.
    pub fails: Option<Setting>,
    /// What a reader has to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Sweep {
    /// A metric at each point, in order, if it was asked about.
    pub fn curve(&self, quantity: &Quantity) -> Option<Vec<&MetricEnsemble>> {
        let at = self.quantities.iter().position(|it| it == quantity)?;
        self.points
            .iter()
            .map(|point| point.metrics.get(at))
            .collect()
    }

    /// `sweep.json`. Equal sweeps give equal text.
    pub fn to_json(&self) -> String {
        json::text(self)
    }

    /// The sweep that [`Sweep::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is not that of a sweep, or of a newer one.
    pub fn from_json(text: &str) -> Result<Sweep, RecordError> {
        json::check_version(text, SWEEP_SCHEMA_VERSION)?;
        let sweep: Sweep = serde_json::from_str(text)?;
        sweep.check_shape()?;
        Ok(sweep)
    }

    /// Viewers go through axes and quantities by index.
    fn check_shape(&self) -> Result<(), RecordError> {
        let (axes, quantities) = (self.axes.len(), self.quantities.len());
        let fits = |point: &SweepPoint| {
            point.settings.len() == axes
                && point.metrics.len() == quantities
                && [0, quantities].contains(&point.differences.len())
        };
        match self.points.iter().position(|point| !fits(point)) {
            Some(at) => Err(RecordError::Damaged(format!(
                "point {at} does not have {axes} settings and {quantities} metrics"
            ))),
            None => Ok(()),
        }
    }
}

impl SweepPoint {
    /// Runs of one scenario at `settings`, taken together.
    ///
    /// # Errors
    /// As [`Ensemble::of`].
    pub fn of(
        settings: Vec<Setting>,
        runs: &[RunRecord],
        quantities: &[Quantity],
        precision: Precision,
        predictions: Vec<PredictionRecord>,
    ) -> Result<SweepPoint, EnsembleError> {
        let ensemble = Ensemble::of(runs, quantities, precision)?;
        Ok(SweepPoint {
            settings,
            seeds: ensemble.seeds,
            metrics: ensemble.metrics,
            differences: Vec::new(),
            expectations: ensemble.expectations,
            violations: ensemble.violations,
            unaccounted: ensemble.unaccounted,
            busiest: busiest(runs),
            predictions,
        })
    }

    /// In how many runs all expectations hold, whatever invariants say that no expectation speaks of.
    pub fn holding(&self) -> usize {
        let open = |seed: &u64| {
            let mut expectations = self.expectations.iter();
            expectations.any(|it| it.unmet.contains(seed) || it.undecided.contains(seed))
        };
        self.seeds.iter().filter(|seed| !open(seed)).count()
    }

    /// In how many runs all expectations hold and no invariant is violated.
    pub fn met(&self) -> usize {
        let open = |seed: &u64| {
            let unmet =
                |it: &ExpectationEnsemble| it.unmet.contains(seed) || it.undecided.contains(seed);
            self.expectations.iter().any(unmet)
                || self.violations.iter().any(|it| it.seeds.contains(seed))
        };
        self.seeds.iter().filter(|seed| !open(seed)).count()
    }

    /// What theory says of a quantity.
    pub fn prediction(&self, quantity: &Quantity) -> Option<&PredictionRecord> {
        self.predictions.iter().find(|it| {
            (&it.metric, &it.of, &it.phase) == (&quantity.metric, &quantity.of, &quantity.phase)
        })
    }
}

/// Loads are means over the runs; a queue that nobody consumes has none.
fn busiest(runs: &[RunRecord]) -> Option<Busiest> {
    let first = runs.first()?;
    let mut busiest: Option<Busiest> = None;
    for (at, phase) in first.phases.iter().enumerate() {
        for (queue, record) in first.queues.iter().enumerate() {
            let loads = runs.iter().filter_map(|run| {
                let load = run.phases.get(at)?.load.get(queue)?;
                let capacity = load.capacity.filter(|capacity| *capacity > 0.0)?;
                Some(load.offered / capacity)
            });
            let loads: Vec<f64> = loads.collect();
            if loads.is_empty() {
                continue;
            }
            let load = loads.iter().sum::<f64>() / loads.len() as f64;
            if busiest.as_ref().is_none_or(|it| load > it.load) {
                busiest = Some(Busiest {
                    queue: record.name.clone(),
                    phase: phase.name.clone(),
                    load,
                });
            }
        }
    }
    busiest
}
