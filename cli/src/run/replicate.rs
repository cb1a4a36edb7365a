//! More seeds of a run: how far its figures hang on chance.

use std::collections::BTreeSet;

use anyhow::bail;
use queuelab_record::statistics::Precision;
use queuelab_record::{Ensemble, MetricEnsemble, Quantity, RunRecord};
use queuelab_scenario::{Claim, Scenario};

use crate::batch::{self, Job};

/// How many replications are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Replications {
    /// So many, this run included; `None`: as many as the run's size allows.
    Fixed(Option<u64>),
    /// Until all intervals are as narrow as this share of their figures, at most so many.
    Until { relative: f64, most: u64 },
}

impl Replications {
    /// What `--replications` and `--precision` say.
    ///
    /// # Errors
    /// If there are too few to judge precision by.
    pub(super) fn asked(count: Option<u64>, precision: Option<f64>) -> anyhow::Result<Self> {
        let least = Precision::default().least as u64;
        match (count, precision) {
            (count, None) => Ok(Replications::Fixed(count)),
            (Some(most), Some(_)) if most < least => bail!(
                "--precision takes {least} replications at least: a spread of fewer is known too badly to stop by"
            ),
            (most, Some(relative)) => Ok(Replications::Until {
                relative,
                most: most.unwrap_or(MOST),
            }),
        }
    }

    /// The seeds that may run, `seed` and those that follow it.
    ///
    /// # Errors
    /// If there are not so many seeds above it.
    pub(super) fn check(self, seed: u64) -> anyhow::Result<()> {
        let most = match self {
            Replications::Fixed(count) => count.unwrap_or(DEFAULT),
            Replications::Until { most, .. } => most,
        };
        batch::seeds(seed, most).map(drop)
    }
}

/// Runs the scenario of `job` with the seeds that follow, and takes all runs together; `None` if the run is to stay alone.
///
/// Runs are judged in the order of their seeds, whichever ended first: the number of cores changes nothing.
///
/// # Errors
/// A failed assertion of a run.
pub(super) fn replicate(
    job: &Job,
    run: &RunRecord,
    asked: Replications,
    check: bool,
    quiet: bool,
) -> anyhow::Result<Option<Ensemble>> {
    let quantities = quantities(&job.scenario, run);
    let (first, most, precision) = match asked {
        Replications::Fixed(count) => {
            let few = run.outcomes.offered <= OFFERED_MAX;
            let count = count.unwrap_or(if few { DEFAULT } else { 1 });
            (count, count, Precision::default())
        }
        Replications::Until { relative, most } => {
            let precision = Precision {
                relative,
                ..Precision::default()
            };
            (precision.least as u64, most, precision)
        }
    };
    if most == 1 {
        return Ok(None);
    }
    let mut runs = vec![run.clone()];
    let bar = batch::bar(&job.scenario.name, most, "seeds", quiet);
    bar.inc(1);
    let mut judged = 0;
    let mut wanted = first;
    let ensemble = loop {
        let jobs: Vec<Job> = batch::seeds(job.seed, wanted)?
            .skip(runs.len())
            .map(|seed| Job {
                seed,
                ..job.clone()
            })
            .collect();
        runs.extend(batch::run_all(&jobs, check, |_, _| bar.inc(1))?);
        if first == most {
            break Ensemble::of(&runs, &quantities, precision)?;
        }
        if let Some(enough) = enough(&runs, judged, &quantities, precision, most)? {
            break enough;
        }
        judged = runs.len();
        if wanted == most {
            break Ensemble::of(&runs, &quantities, precision)?;
        }
        wanted = most.min(wanted + BATCH);
    };
    bar.finish_and_clear();
    Ok(Some(ensemble))
}

/// The ensemble of the first runs that are precise enough; prefixes of up to `judged` runs are known not to be. A percentile that has no
/// interval yet is not precise, unless `most` runs would not give it one; what never came to pass in some run will have none.
fn enough(
    runs: &[RunRecord],
    judged: usize,
    quantities: &[Quantity],
    precision: Precision,
    most: u64,
) -> anyhow::Result<Option<Ensemble>> {
    for first in precision.least.max(judged + 1)..=runs.len() {
        let ensemble = Ensemble::of(&runs[..first], quantities, precision)?;
        let mut open = ensemble.metrics.iter();
        let is_done = |metric: &MetricEnsemble| match metric.interval {
            Some(_) => metric.converged,
            None => metric.runs_for_interval().is_none_or(|runs| runs > most),
        };
        if open.all(is_done) {
            return Ok(Some(ensemble));
        }
    }
    Ok(None)
}

/// What is measured over all seeds: what theory predicts, what is expected, and what one looks at first.
fn quantities(scenario: &Scenario, run: &RunRecord) -> Vec<Quantity> {
    let predicted = run.predictions.iter().map(|prediction| Quantity {
        metric: prediction.metric.clone(),
        of: prediction.of.clone(),
        phase: prediction.phase.clone(),
    });
    let expected = scenario
        .expectations
        .iter()
        .filter_map(|it| match &it.claim {
            Claim::Metric { metric, .. } => Some(Quantity {
                metric: metric.name.clone(),
                of: metric.of.clone(),
                phase: metric.phase.clone(),
            }),
            Claim::Invariant { .. } => None,
        });
    let mut seen = BTreeSet::new();
    let known = |it: &Quantity| {
        let (of, phase) = (it.of.as_deref(), it.phase.as_deref());
        run.metric(&it.metric, of, phase).is_ok()
    };
    let mut quantities: Vec<Quantity> = predicted
        .chain(expected)
        .filter(|it| known(it) && seen.insert(it.clone()))
        .collect();
    for metric in KEY {
        let asked = |it: &Quantity| it.metric == metric && it.phase.is_none();
        // The largest of anything grows with the length of a run, so a steady state has none.
        let steady = metric.ends_with(".max") && !run.warmup.is_zero();
        if !steady && !quantities.iter().any(asked) {
            quantities.push(Quantity {
                metric: metric.into(),
                of: None,
                phase: None,
            });
        }
    }
    quantities
}

/// Replications where nothing is said, of runs that are short enough.
const DEFAULT: u64 = 10;

/// Messages that such a run offers at most.
const OFFERED_MAX: u64 = 1_000_000;

/// Replications at most where precision is asked for and nothing else is said.
const MOST: u64 = 100;

/// Replications between two looks at whether they are enough.
const BATCH: u64 = 10;

/// What one looks at first.
const KEY: [&str; 3] = [
    "backlog.max",
    "latency.end_to_end.p50",
    "latency.end_to_end.p99",
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn job(overrides: &[&str]) -> Job {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let scenario = queuelab_scenario::open("hello", &overrides).unwrap();
        Job {
            scenario: Arc::new(scenario),
            typed: "hello".into(),
            seed: 7,
        }
    }

    fn ensemble(asked: Replications, threads: usize) -> Option<Ensemble> {
        let job = job(&["duration=20s"]);
        let run = job.run(true).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let all = || replicate(&job, &run, asked, true, true);
        pool.build().unwrap().install(all).unwrap()
    }

    #[test]
    fn ten_seeds_unless_told_otherwise() {
        let ten = ensemble(Replications::Fixed(None), 2).unwrap();
        assert_eq!(ten.seeds, (7..17).collect::<Vec<u64>>());
        let names: Vec<String> = ten
            .metrics
            .iter()
            .map(|it| it.quantity.to_string())
            .collect();
        assert!(
            names.contains(&"latency.end_to_end.p99".into()),
            "{names:?}"
        );
        assert!(ensemble(Replications::Fixed(Some(1)), 2).is_none());
    }

    #[test]
    fn replications_stop_when_all_are_precise_whatever_the_number_of_threads() {
        let asked = Replications::asked(Some(60), Some(0.25)).unwrap();
        let one = ensemble(asked, 1).unwrap();
        assert!(one == ensemble(asked, 3).unwrap());
        assert!((10..60).contains(&one.seeds.len()), "{}", one.seeds.len());
        let open = |it: &&MetricEnsemble| it.interval.is_some() && !it.converged;
        assert_eq!(one.metrics.iter().filter(open).count(), 0);
        assert!(one.metrics.iter().any(|it| it.converged));
        let shorter = Replications::Fixed(Some(one.seeds.len() as u64 - 1));
        let shorter = ensemble(shorter, 1).unwrap();
        let precision = Precision {
            relative: 0.25,
            ..Precision::default()
        };
        let met = |it: &Ensemble| {
            let met = |it: &MetricEnsemble| match it.interval {
                Some(interval) => precision.is_met_by(&interval),
                None => it.runs_for_interval().is_none_or(|runs| runs > 60),
            };
            it.metrics.iter().all(met)
        };
        assert!(shorter.seeds.len() < 10 || !met(&shorter), "one fewer did");
        let hopeless = Replications::asked(Some(12), Some(0.001)).unwrap();
        let hopeless = ensemble(hopeless, 2).unwrap();
        assert_eq!(hopeless.seeds.len(), 12);
        assert!(
            hopeless
                .warnings()
                .iter()
                .any(|it| it.contains("did not converge"))
        );
    }

    /// 5 s at 20/s are too few messages for a p99 in ten runs: it takes a hundred above it.
    #[test]
    fn a_percentile_without_an_interval_is_not_precise_while_more_runs_would_help() {
        let job = job(&["duration=5s", "producer.sender.rate=60/s"]);
        let run = job.run(true).unwrap();
        let with = |most| {
            let asked = Replications::asked(Some(most), Some(0.9)).unwrap();
            replicate(&job, &run, asked, true, true).unwrap().unwrap()
        };
        let p99 = |ensemble: &Ensemble| {
            let mut metrics = ensemble.metrics.iter();
            let found = metrics.find(|it| it.quantity.metric == "latency.end_to_end.p99");
            found.expect("asked").clone()
        };
        let enough = with(60);
        let runs = enough.seeds.len();
        assert!((31..60).contains(&runs), "{runs}");
        assert!(p99(&enough).converged, "{:?}", p99(&enough));
        // As many as there may be would not do, so the other figures decide.
        let hopeless = with(20);
        assert!(p99(&hopeless).interval.is_none());
        assert_eq!(hopeless.seeds.len(), 10);
        let warned = |it: &String| {
            it.contains("no interval: ") && it.contains("latency.end_to_end.p99 (too few latencies")
        };
        assert!(
            hopeless.warnings().iter().any(warned),
            "{:?}",
            hopeless.warnings()
        );
    }

    #[test]
    fn impossible_counts_are_refused() {
        let error = Replications::asked(Some(5), Some(0.05)).unwrap_err();
        assert!(error.to_string().contains("10 replications"), "{error}");
        assert!(Replications::Fixed(None).check(u64::MAX - 9).is_ok());
        assert!(Replications::Fixed(None).check(u64::MAX - 8).is_err());
        assert!(Replications::Fixed(Some(1)).check(u64::MAX).is_ok());
    }
}
