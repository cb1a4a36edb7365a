//! What a scenario does and measures now.

use std::sync::Arc;
use std::time::Instant;

use queuelab_record::statistics::Precision;
use queuelab_record::{Ensemble, EventTrace, Quantity, RunRecord};
use queuelab_scenario::Scenario;
use queuelab_sim::{Plan, Simulation, Watch};

use crate::batch::{self, Job};
use crate::capsule::Source;
use crate::compare::mentioned;
use crate::panics;

use super::file::{Baseline, Kept, SCHEMA_VERSION, Trace, WallClock};
use crate::host::Host;

/// What is measured.
pub(super) struct Task<'a> {
    /// As it was typed.
    pub(super) typed: &'a str,
    pub(super) scenario: &'a Arc<Scenario>,
    /// Of the run whose events are kept.
    pub(super) seed: u64,
    /// Of the runs whose figures are.
    pub(super) seeds: Vec<u64>,
    /// Runs whose real time is taken; nothing if nobody cares for real time.
    pub(super) timed: Option<usize>,
    pub(super) quiet: bool,
}

/// Runs it. Figures come from runs on all cores, real time from runs one after the other.
///
/// # Errors
/// If an assertion fails.
pub(super) fn measure(task: &Task<'_>) -> anyhow::Result<(Baseline, EventTrace)> {
    let timed_runs = task.timed.unwrap_or(0);
    let runs = task.seeds.len() + 1 + timed_runs;
    let bar = batch::bar(&task.scenario.name, runs as u64, "runs", task.quiet);
    let (traced, events) = trace(task)?;
    bar.inc(1);
    let job = |seed: &u64| Job {
        scenario: task.scenario.clone(),
        typed: task.typed.into(),
        seed: *seed,
    };
    let jobs: Vec<Job> = task.seeds.iter().map(job).collect();
    let records = batch::run_all(&jobs, true, |_, _| bar.inc(1))?;
    let ensemble = Ensemble::of(
        &records,
        &asked(task.scenario, &records),
        Precision::default(),
    )?;
    let mut seconds = Vec::new();
    for _ in 0..timed_runs {
        seconds.push(timed(task)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let kept = ensemble.metrics.into_iter().map(|metric| Kept {
        quantity: metric.quantity,
        unit: metric.unit,
        values: metric.values,
        never: metric.never,
    });
    let baseline = Baseline {
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        scenario: Source::of(task.scenario),
        trace: Trace {
            seed: task.seed,
            hash: traced.trace_hash,
            events: traced.events,
        },
        seeds: ensemble.seeds,
        metrics: kept.collect(),
        expectations: ensemble.expectations,
        violations: ensemble.violations,
        wall_clock: task.timed.is_some().then(|| WallClock {
            host: Host::this(),
            seconds,
        }),
    };
    Ok((baseline, events))
}

/// A run with its events.
fn trace(task: &Task<'_>) -> anyhow::Result<(RunRecord, EventTrace)> {
    let plan = Plan::seeded(task.seed);
    let mut simulation = Simulation::planned(task.scenario.clone(), &plan, Watch::Events);
    to_the_end(&mut simulation, task)?;
    let events = simulation.kept_events().unwrap_or_default();
    Ok((simulation.record(), events))
}

/// How long a run takes that nobody watches.
fn timed(task: &Task<'_>) -> anyhow::Result<f64> {
    let plan = Plan::seeded(task.seed);
    let started = Instant::now();
    let mut simulation = Simulation::planned(task.scenario.clone(), &plan, Watch::Nothing);
    to_the_end(&mut simulation, task)?;
    Ok(started.elapsed().as_secs_f64())
}

fn to_the_end(simulation: &mut Simulation, task: &Task<'_>) -> anyhow::Result<()> {
    let end = simulation.end();
    panics::caught(simulation, (task.typed, task.seed), |simulation| {
        simulation.run_until(end);
    })?;
    Ok(())
}

/// The metrics that the scenario mentions and those that tell most of what may change, as far as its runs have them.
fn asked(scenario: &Scenario, records: &[RunRecord]) -> Vec<Quantity> {
    let usual = USUAL.map(|metric| Quantity {
        metric: metric.into(),
        of: None,
        phase: None,
    });
    let mut asked: Vec<Quantity> = Vec::new();
    for quantity in mentioned(scenario).into_iter().chain(usual) {
        let Quantity { metric, of, phase } = &quantity;
        let known = |record: &RunRecord| {
            let measured = record.metric(metric, of.as_deref(), phase.as_deref());
            measured.is_ok()
        };
        if !asked.contains(&quantity) && records.first().is_some_and(known) {
            asked.push(quantity);
        }
    }
    asked
}

/// What tells most of what may change. Each more makes the others harder to tell from chance.
const USUAL: [&str; 18] = [
    "latency.confirm.mean",
    "latency.confirm.p99",
    "latency.delivery.mean",
    "latency.end_to_end.mean",
    "latency.end_to_end.p50",
    "latency.end_to_end.p99",
    "backlog.mean",
    "backlog.max",
    "utilisation",
    "rate.acked",
    "count.confirmed",
    "count.failed",
    "count.unknown",
    "count.dropped",
    "count.dead_lettered",
    "count.redelivered",
    "count.duplicates",
    "count.lost",
];
