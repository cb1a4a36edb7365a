//! `queuelab compare`: several designs under the same load, beside each other.

mod design;
mod machine;
mod suite;
mod text;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use queuelab_record::statistics::Precision;
use queuelab_record::{
    ACCOUNT, Comparison, Ensemble, Entrant, ExpectationEnsemble, Quantity, RunRecord, Verdict,
    write_file,
};
use queuelab_scenario::{AnswerPart, Claim, Expectation, MetricRef, Scenario};

use crate::args::{Format, Printed};
use crate::batch::{self, Job};
use crate::ci::{self, Ci};
use crate::folder::{self, Theme};
use crate::outcome::Status;
use crate::terminal::{self, ColorChoice};
use crate::vary::Vary;
use design::{Design, Origin};

/// `queuelab compare`
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Names of shipped scenarios, paths of TOML files, or folders of earlier runs. One scenario with --vary, else two or more.
    #[arg(required = true, value_name = "SCENARIO")]
    designs: Vec<String>,
    /// Compare one scenario with itself at several values: queue.orders.design=sqs,kafka. Several: all combinations.
    #[arg(long, value_name = "KEY=A,B,…")]
    vary: Vec<Vary>,
    /// Override a value in all of them: consumer.workers.count=8. Can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The first seed, instead of the first scenario's. All designs run with the same seeds.
    #[arg(long, value_name = "N", value_parser = crate::args::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// How many runs of each design, with seeds from the first one on.
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    replications: u32,
    /// Compare this metric, instead of those that expectations and answers mention: "latency.confirm.p99 of orders in burst".
    #[arg(long, value_name = "METRIC")]
    metric: Vec<Quantity>,
    /// Folder for results; the comparison gets its own folder in it.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    #[command(flatten)]
    printed: Printed,
    /// Draw no plots (SVG and PNG); the report has its own.
    #[arg(long)]
    no_plots: bool,
    /// Show no progress, and only the verdict.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    ci: Ci,
}

/// Examples, and what it means.
pub(crate) const HELP: &str = "\
Examples:
  queuelab compare one-workload --vary queue.orders.design=sqs,rabbitmq-classic,redis-stream
  queuelab compare flash-sale --vary consumer.fulfilment.count=20,40 --metric drain_time
  queuelab compare balancers power-of-two --metric latency.end_to_end.p99 --replications 20
  queuelab compare out/hello-7 out/hello-8 --format json

The first design is the reference. All run with the same seeds, hence with the same arrivals and
service times, and each difference is over pairs of runs with one seed; its interval covers the
truth in 95 of 100 comparisons. A difference counts as found if chance would show one as clear in
fewer than 5 % of all comparisons like this one, all its rows together (Holm's correction).
\"No difference found\" is not \"the same\": more --replications see smaller ones.

A design whose keys the language refuses keeps a column that says so. Results go
to DIR/NAME-compare-SEED: compare.json, report.html and the plots.

Exit status: 0 all designs meet their expectations, 1 one does not, 2 wrong usage or bad input,
3 undecided: one is refused, or meets an expectation with the first seed but not with all.";

/// Runs the designs and compares them.
///
/// # Errors
/// Of a scenario, a folder or a metric; of the reference, if the language refuses it.
pub(crate) fn compare(args: &Compare, color: ColorChoice) -> anyhow::Result<Status> {
    let started = Instant::now();
    let designs = design::all(&args.designs, &args.vary, &args.set)?;
    let seed = args.seed.unwrap_or_else(|| first_seed(&designs));
    let seeds: Vec<u64> = batch::seeds(seed, args.replications.into())?.collect();
    let asked = asked(args, &designs);
    let folder = args.out.join(folder_name(args, &designs, seed));
    folder::prepare(&folder)?;

    let runs = designs.iter().filter(|design| design.scenario().is_some());
    let bar = batch::bar(
        &name(&designs),
        runs.count() as u64 * seeds.len() as u64,
        "runs",
        args.quiet,
    );
    let mut entrants = Vec::new();
    for design in &designs {
        entrants.push(Entrant {
            label: design.label.clone(),
            outcome: match &design.origin {
                Origin::Refused(reason) => Err(reason.clone()),
                Origin::Read(records) => Ok(ensemble(records, &asked)?),
                Origin::Kept(ensemble) => Ok((**ensemble).clone()),
                Origin::Scenario { scenario, typed } => {
                    let jobs = jobs(scenario, typed, &seeds);
                    let mut records = batch::run_all(&jobs, true, |_, _| bar.inc(1))?;
                    records.iter_mut().for_each(forget_follow);
                    Ok(ensemble(&records, &asked)?)
                }
            },
        });
    }
    bar.finish_and_clear();
    let tested: Vec<Quantity> = asked.iter().filter(|it| is_tested(it)).cloned().collect();
    known_somewhere(&tested, &entrants, args)?;
    let confidence = Precision::default().confidence;
    let comparison = Comparison::of(entrants, &tested, confidence)?;
    let file = folder.join("compare.json");
    write_file(&file, comparison.to_json().as_bytes())?;
    let plots = match args.no_plots {
        true => Vec::new(),
        false => queuelab_plot::comparison_plots(&comparison),
    };
    let report = queuelab_plot::comparison_report(&comparison);
    let drawn = folder::write_report(&folder, &report, &plots, Theme::Light)?;
    print(
        args,
        &comparison,
        (&folder, &drawn),
        started.elapsed(),
        color,
    )?;
    let suites = suite::suites(&comparison, &ci::command_line(), started.elapsed());
    args.ci.report(&suites)?;
    Ok(args.ci.status(verdict(&comparison)))
}

fn print(
    args: &Compare,
    comparison: &Comparison,
    (folder, drawn): (&Path, &[String]),
    wall: Duration,
    color: ColorChoice,
) -> anyhow::Result<()> {
    let shown = text::Shown {
        comparison,
        folder: format!("{}/", folder.display()),
        plots: drawn.iter().filter(|name| name.ends_with(".svg")).count(),
        wall,
        width: terminal::width(),
        painter: crate::layout::Painter {
            color: color.stdout(),
        },
    };
    match (args.printed.format, args.quiet) {
        (Format::Json, _) => terminal::data(&machine::json(comparison, folder)),
        (Format::Text, true) => terminal::print(&shown.verdict_line()),
        (Format::Text, false) => terminal::print(&shown.page()),
    }
}

/// What became of a design: of its expectations and invariants in all of its runs.
fn verdict_of(ensemble: &Ensemble) -> Verdict {
    let expectations = ensemble.expectations.iter();
    let expectations = expectations.map(|it| verdict_of_expectation(ensemble, it));
    let violations = ensemble.violations.iter().map(|_| Verdict::Fail);
    Verdict::worst(expectations.chain(violations))
}

/// As `run` judges the first seed in the light of the others: what holds there but not with every seed hangs on chance, but one run that
/// shows an anomaly is enough.
fn verdict_of_expectation(ensemble: &Ensemble, expectation: &ExpectationEnsemble) -> Verdict {
    let first = ensemble.seeds.first();
    let is_first = |seeds: &[u64]| first.is_some_and(|first| seeds.contains(first));
    let shows = expectation.text.trim_start().starts_with("violates ");
    let all_met = expectation.met == ensemble.seeds.len();
    match () {
        () if is_first(&expectation.unmet) => Verdict::Fail,
        () if is_first(&expectation.undecided) => Verdict::Undecided,
        () if all_met || shows => Verdict::Pass,
        () => Verdict::Undecided,
    }
}

fn verdict(comparison: &Comparison) -> Verdict {
    let of = |variant: &queuelab_record::Variant| match &variant.ensemble {
        Some(ensemble) => verdict_of(ensemble),
        None => Verdict::Undecided,
    };
    Verdict::worst(comparison.variants.iter().map(of))
}

fn first_seed(designs: &[Design]) -> u64 {
    let scenario = designs.iter().find_map(Design::scenario);
    scenario.map_or(1, |scenario| scenario.seed)
}

fn jobs(scenario: &Scenario, typed: &str, seeds: &[u64]) -> Vec<Job> {
    let scenario = std::sync::Arc::new(followed(scenario));
    let job = |seed: &u64| Job {
        scenario: scenario.clone(),
        typed: typed.into(),
        seed: *seed,
    };
    seeds.iter().map(job).collect()
}

/// The scenario, with the order of keys followed in all queues, whether or not they promise it.
fn followed(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.expectations.push(Expectation {
        text: FOLLOW.into(),
        claim: Claim::Metric {
            metric: MetricRef {
                name: "count.reordered".into(),
                of: None,
                phase: None,
            },
            comparison: queuelab_scenario::Comparison::AtLeast,
            value: 0.0,
        },
    });
    scenario
}

/// Nobody asked for that expectation.
fn forget_follow(record: &mut RunRecord) {
    record.expectations.retain(|it| it.text != FOLLOW);
}

/// Runs taken together, by the metrics that they have.
fn ensemble(records: &[RunRecord], asked: &[Quantity]) -> anyhow::Result<Ensemble> {
    let known = |quantity: &&Quantity| {
        let Quantity { metric, of, phase } = quantity;
        let first = records.first();
        first.is_some_and(|it| it.metric(metric, of.as_deref(), phase.as_deref()).is_ok())
    };
    let known: Vec<Quantity> = asked.iter().filter(known).cloned().collect();
    Ok(Ensemble::of(records, &known, Precision::default())?)
}

/// What is asked of every run: the metrics that are compared, and the account of messages.
fn asked(args: &Compare, designs: &[Design]) -> Vec<Quantity> {
    let mut asked = match args.metric.is_empty() {
        false => args.metric.clone(),
        true => usual(designs),
    };
    asked.extend(ACCOUNT.map(plain));
    let mut each: Vec<Quantity> = Vec::new();
    for quantity in asked {
        if !each.contains(&quantity) {
            each.push(quantity);
        }
    }
    each
}

/// The metrics that the designs' expectations and answers mention, what earlier runs were asked for, and a few that always matter.
fn usual(designs: &[Design]) -> Vec<Quantity> {
    let mut usual = Vec::new();
    for scenario in designs.iter().filter_map(Design::scenario) {
        usual.extend(mentioned(scenario));
    }
    for design in designs {
        if let Origin::Kept(ensemble) = &design.origin {
            usual.extend(ensemble.metrics.iter().map(|it| it.quantity.clone()));
        }
    }
    usual.extend(ALWAYS.map(plain));
    usual
}

/// The metrics that a scenario's expectations and its answer mention.
pub(crate) fn mentioned(scenario: &Scenario) -> Vec<Quantity> {
    let expected = scenario
        .expectations
        .iter()
        .filter_map(|it| match &it.claim {
            Claim::Metric { metric, .. } => Some(metric.clone()),
            Claim::Invariant { .. } => None,
        });
    let answered = scenario
        .answer_parts()
        .into_iter()
        .filter_map(|part| match part {
            AnswerPart::Hole(metric) => Some(metric),
            AnswerPart::Text(_) => None,
        });
    let quantity = |metric: MetricRef| Quantity {
        metric: metric.name,
        of: metric.of,
        phase: metric.phase,
    };
    expected.chain(answered).map(quantity).collect()
}

fn plain(metric: &str) -> Quantity {
    Quantity {
        metric: metric.into(),
        of: None,
        phase: None,
    }
}

/// Of the account there is no doubt that statistics could settle.
fn is_tested(quantity: &Quantity) -> bool {
    !ACCOUNT.contains(&quantity.metric.as_str())
}

/// A metric that was asked for and that no design has is a mistake.
fn known_somewhere(
    tested: &[Quantity],
    entrants: &[Entrant],
    args: &Compare,
) -> anyhow::Result<()> {
    let ensembles = || entrants.iter().filter_map(|it| it.outcome.as_ref().ok());
    for quantity in tested.iter().filter(|it| args.metric.contains(it)) {
        if ensembles().all(|ensemble| ensemble.metric(quantity).is_none()) {
            bail!(
                "--metric {quantity}: no design has that metric; `queuelab run` shows which a scenario has"
            );
        }
    }
    Ok(())
}

/// What the whole is called.
fn name(designs: &[Design]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for design in designs {
        if !names.contains(&design.name.as_str()) {
            names.push(&design.name);
        }
    }
    names.join("-")
}

/// `one-workload-compare-7-1f2e3d4c`: the digest tells apart what was varied and set.
fn folder_name(args: &Compare, designs: &[Design], seed: u64) -> String {
    let plain = |c: char| match c.is_ascii_alphanumeric() || "-_.".contains(c) {
        true => c,
        false => '-',
    };
    let mut name: String = name(designs)
        .chars()
        .map(plain)
        .take(LONGEST_NAME)
        .collect();
    name.push_str(&format!("-compare-{seed}"));
    let kept = designs.iter().any(|it| it.scenario().is_none());
    let typed = args.designs.iter().filter(|_| kept && args.vary.is_empty());
    let varied = args
        .vary
        .iter()
        .map(|it| format!("{}={}", it.path, it.values.join(",")));
    let changes: Vec<String> = typed
        .cloned()
        .chain(varied)
        .chain(args.set.iter().cloned())
        .collect();
    match queuelab_scenario::digest(&changes) {
        None => name,
        Some(digest) => format!("{name}-{digest}"),
    }
}

/// What always matters.
const ALWAYS: [&str; 4] = [
    "latency.end_to_end.p50",
    "latency.end_to_end.p99",
    "latency.confirm.p99",
    "utilisation",
];

/// An expectation that always holds, and has the order of keys followed.
const FOLLOW: &str = "count.reordered >= 0";

/// Names of folders have their limits.
const LONGEST_NAME: usize = 80;
