//! What a sweep is to do, as it was typed.

use std::path::PathBuf;
use std::sync::Arc;

use queuelab_record::statistics::Precision;
use queuelab_record::{
    Axis, Boundary, Quantity, SWEEP_SCHEMA_VERSION, Sampling, ScenarioInfo, Sweep as Record,
    SweepPoint,
};
use queuelab_scenario::{Claim, Expectation, MetricRef, Scenario};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::Sweep;
use super::amount::Amount;
use super::journal::{Found, Journal};
use super::runner::Ground;
use crate::batch;
use crate::terminal;

/// What is run, and where results go.
pub(super) struct Plan {
    /// Of the scenario.
    pub(super) name: String,
    pub(super) ground: Ground,
    pub(super) folder: PathBuf,
    scenario: Scenario,
    /// Names the sweep: what was typed and the scenario's text.
    identity: Value,
}

impl Plan {
    /// Reads what both kinds of sweep have; `conditions` are those of a search.
    ///
    /// # Errors
    /// Of the scenario, a metric or a condition.
    pub(super) fn new(
        args: &Sweep,
        paths: Vec<String>,
        conditions: Option<&[String]>,
    ) -> anyhow::Result<Plan> {
        let scenario = queuelab_scenario::open(&args.scenario, &args.variation.set)?;
        let first = args.variation.seed.unwrap_or(scenario.seed);
        let seeds: Vec<u64> = batch::seeds(first, args.replications.into())?.collect();
        let conditions = conditions.map(|conditions| {
            let read = conditions
                .iter()
                .map(|it| scenario.expectation("--while", it));
            read.collect::<Result<Vec<Expectation>, _>>()
        });
        let conditions = conditions.transpose()?;
        let asked: Result<Vec<MetricRef>, _> = args
            .metric
            .iter()
            .map(|text| scenario.metric("--metric", text))
            .collect();
        let spoken_of = conditions.as_ref().unwrap_or(&scenario.expectations);
        let quantities = quantities(&scenario, asked?, spoken_of, conditions.is_some());
        let identity = json!({
            "scenario": scenario.name,
            "source": scenario.source,
            "set": args.variation.set,
            "vary": args.vary,
            "latin_hypercube": args.latin_hypercube,
            "find": args.find,
            "while": args.conditions,
            "between": args.between,
            "tolerance": args.tolerance,
            "share": args.share,
            "metrics": quantities,
            "seeds": [seeds[0], seeds.len() as u64],
            "check": !args.no_check,
        });
        let digest = xxh3_64(identity.to_string().as_bytes());
        let digest = format!("{:08x}", (digest >> 32) ^ (digest & 0xffff_ffff));
        Ok(Plan {
            name: scenario.name.clone(),
            folder: args.out.join(format!("{}-sweep-{digest}", scenario.name)),
            ground: Ground {
                typed: Arc::from(args.scenario.as_str()),
                set: args.variation.set.clone(),
                paths,
                seeds,
                quantities,
                precision: Precision::default(),
                conditions,
                check: !args.no_check,
            },
            scenario,
            identity,
        })
    }

    /// Opens the journal, and says on standard error what it holds already.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub(super) fn journal(&self, args: &Sweep, points: usize) -> anyhow::Result<Journal> {
        let header = json!({
            "journal": SWEEP_SCHEMA_VERSION,
            "version": env!("CARGO_PKG_VERSION"),
            "commit": option_env!("QUEUELAB_COMMIT"),
            // Also what the text does not hold: traces beside it, and how this build understands it.
            "scenario": format!("{:016x}", xxh3_64(format!("{:?}", self.scenario).as_bytes())),
            "sweep": self.identity,
        });
        let (journal, found) = Journal::open(&self.folder, &header.to_string(), args.fresh)?;
        let folder = self.folder.display();
        let note = match found {
            Found::Nothing => None,
            Found::Points(there) => {
                let of = match points {
                    0 => String::new(),
                    points => format!(" of {points}"),
                };
                Some(format!(
                    "{there}{of} points are in {folder} already; --fresh runs them again\n"
                ))
            }
            Found::Other => Some(format!(
                "points in {folder} are of another version or another state of the files: all are run again\n"
            )),
        };
        if let Some(note) = note.filter(|_| !args.quiet) {
            terminal::complain(&note);
        }
        Ok(journal)
    }

    /// Whether the key of an axis refuses numbers with a fraction.
    pub(super) fn takes_whole_only(&self, axis: usize, from: &Amount) -> bool {
        if !from.is_whole() {
            return false;
        }
        let fraction = from.with(from.at(1) + 5, 1).text();
        let mut set = self.ground.set.clone();
        set.push(format!("{}={fraction}", self.ground.paths[axis]));
        queuelab_scenario::open(&self.ground.typed, &set).is_err()
    }

    /// The record.
    pub(super) fn sweep(
        &self,
        sampling: Sampling,
        axes: Vec<Axis>,
        points: Vec<SweepPoint>,
        boundary: Option<Boundary>,
    ) -> Record {
        let scenario = &self.scenario;
        Record {
            schema_version: SWEEP_SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            scenario: ScenarioInfo {
                name: scenario.name.clone(),
                title: scenario.title.clone(),
                about: scenario.about.clone(),
                overrides: scenario.overrides.clone(),
                source: scenario.source.clone(),
                grading: scenario.grading.clone(),
            },
            sampling,
            axes,
            precision: self.ground.precision,
            quantities: self.ground.quantities.clone(),
            points,
            boundary,
        }
    }
}

/// What is measured: as asked; else what expectations speak of and, unless they are conditions of a search, a few that tell about any
/// queue, and what theory predicts.
fn quantities(
    scenario: &Scenario,
    asked: Vec<MetricRef>,
    spoken_of: &[Expectation],
    search: bool,
) -> Vec<Quantity> {
    let spoken_of = spoken_of.iter().filter_map(|it| match &it.claim {
        Claim::Metric { metric, .. } => Some(quantity(metric)),
        Claim::Invariant { .. } => None,
    });
    let mut all: Vec<Quantity> = match asked.is_empty() {
        true => spoken_of.collect(),
        false => asked.iter().map(quantity).collect(),
    };
    if asked.is_empty() && (!search || all.is_empty()) {
        let key = KEY.iter().map(|metric| Quantity {
            metric: metric.to_string(),
            of: None,
            phase: None,
        });
        let predicted = queuelab_theory::recognise(scenario);
        let predicted = predicted.iter().map(|it| quantity(&it.metric));
        // A record measures what expectations can speak of.
        let measured = |it: &Quantity| scenario.metric("theory", &it.to_string()).is_ok();
        let predicted = predicted.filter(measured);
        all.extend(key.chain(predicted.take(PREDICTED_MAX)));
    }
    let mut quantities: Vec<Quantity> = Vec::new();
    for quantity in all {
        if !quantities.contains(&quantity) {
            quantities.push(quantity);
        }
    }
    quantities
}

fn quantity(metric: &MetricRef) -> Quantity {
    Quantity {
        metric: metric.name.clone(),
        of: metric.of.clone(),
        phase: metric.phase.clone(),
    }
}

/// What tells about any queue.
const KEY: [&str; 4] = [
    "latency.end_to_end.mean",
    "latency.end_to_end.p99",
    "backlog.max",
    "utilisation",
];

/// Scenarios with many phases have many predictions.
const PREDICTED_MAX: usize = 6;
