//! `queuelab baseline`: whether a scenario still does and measures what it did.

mod change;
mod file;
mod measure;
mod suite;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use queuelab_record::{EventTrace, Verdict};
use queuelab_scenario::Scenario;

use crate::args::{Format, Printed};
use crate::batch;
use crate::ci::{self, Ci, Suite};
use crate::host::Host;
use crate::layout::Painter;
use crate::outcome::Status;
use crate::terminal::{self, ColorChoice};
use change::{Changes, Rules};
use file::Baseline as Kept;
use measure::{Task, measure};

/// `queuelab baseline`
#[derive(Debug, Args)]
pub(crate) struct Baseline {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Keep what scenarios do and measure now.
    #[command(after_help = SAVE)]
    Save(Save),
    /// Compare what scenarios do and measure now with what was kept.
    #[command(after_help = CHECK)]
    Check(Check),
    /// Compare, show what has changed, and keep what is now.
    #[command(after_help = ACCEPT)]
    Accept(Accept),
}

/// What all of them need.
#[derive(Debug, Args)]
struct Common {
    /// Names of shipped scenarios (see `queuelab list`) or paths of TOML files.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Override a value of the scenario: consumer.workers.count=8. Can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of baselines: NAME.json and NAME.trace for each scenario.
    #[arg(long, value_name = "DIR", default_value = "baselines")]
    dir: PathBuf,
    /// The file of the baseline, if there is one scenario only; its events lie beside it.
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    file: Option<PathBuf>,
    #[command(flatten)]
    printed: Printed,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

/// `queuelab baseline save`
#[derive(Debug, Args)]
struct Save {
    #[command(flatten)]
    common: Common,
    /// The first seed, instead of the scenario's: that of the run whose events are kept.
    #[arg(long, value_name = "N", value_parser = crate::args::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// How many runs to keep the figures of, with seeds from the first one on. With fewer than five, a check can see hardly any change.
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=10_000))]
    replications: u32,
    /// Keep real time too, of ten runs one after the other. Only this machine can compare with it.
    #[arg(long)]
    wall_clock: bool,
}

/// `queuelab baseline check`
#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    strictness: Strictness,
}

/// `queuelab baseline accept`
#[derive(Debug, Args)]
struct Accept {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    strictness: Strictness,
}

/// What counts as changed.
#[derive(Debug, Args)]
struct Strictness {
    /// Run with other seeds, from this one on, instead of the baseline's. Figures are then compared as independent samples.
    #[arg(long, value_name = "N", value_parser = crate::args::seed)]
    first_seed: Option<u64>,
    /// How many runs, if not as many as the baseline has.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=10_000))]
    replications: Option<u32>,
    /// The chance of a false alarm in a check of one scenario, at most.
    #[arg(long, value_name = "P", default_value_t = 1e-4, value_parser = share)]
    alpha: f64,
    /// Figures may move by this share of themselves: 0.02, or 2%.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    tolerance: f64,
    /// Events may differ, as long as no figure gets worse.
    #[arg(long)]
    allow_behaviour_change: bool,
    /// Insist on a comparison of real time: where there is none, the check is undecided.
    #[arg(long)]
    wall_clock: bool,
    #[command(flatten)]
    ci: Ci,
}

/// Examples, and what it means.
pub(crate) const HELP: &str = "\
Examples:
  queuelab baseline save hello flash-sale
  queuelab baseline check hello flash-sale
  queuelab baseline accept flash-sale

Exit status: 0 as in the baseline, 1 changed, 2 wrong usage or bad input, 3 undecided.";

const SAVE: &str = "\
Examples:
  queuelab baseline save hello flash-sale
  queuelab baseline save my-design.toml --file my-design.json --replications 20
  queuelab baseline save hello --wall-clock

NAME.json holds the figures of each run, NAME.trace the events of the first: a million one by
one, the others in blocks. Both are meant to be kept with the sources. What is there already is
not overwritten: `queuelab baseline accept` does that.";

const CHECK: &str = "\
Examples:
  queuelab baseline check hello flash-sale
  queuelab baseline check flash-sale --first-seed 1000 --allow-behaviour-change
  queuelab baseline check hello --set consumer.receiver.count=2 --tolerance 2%

Behaviour: the first run's events, without any noise. Where they differ, the first one that does
is shown, then and now. Performance: the figures of all runs, with the baseline's seeds in pairs,
with others (--first-seed) by Welch's t; a change counts if chance would show one in fewer than
1 of 10,000 checks (--alpha, all figures together, Holm's correction). Real time is compared if
the baseline has it and is of this machine.

Exit status: 0 as in the baseline, or better, 1 events differ or a figure is worse, 2 wrong usage
or bad input, 3 undecided. With --allow-behaviour-change, events alone are no reason for 1.";

const ACCEPT: &str = "\
Examples:
  queuelab baseline accept flash-sale
  queuelab baseline accept flash-sale --set consumer.fulfilment.count=40

Shows what `queuelab baseline check` shows, then keeps what is now, with the baseline's seeds.

Exit status: 0 kept, 2 wrong usage or bad input.";

/// Saves, checks or accepts.
///
/// # Errors
/// Of a scenario or of a baseline. All are read before the first runs.
pub(crate) fn baseline(args: &Baseline, color: ColorChoice) -> anyhow::Result<Status> {
    match &args.action {
        Action::Save(args) => save(args),
        Action::Check(args) => check(&args.common, &args.strictness, false, color),
        Action::Accept(args) => check(&args.common, &args.strictness, true, color),
    }
}

fn save(args: &Save) -> anyhow::Result<Status> {
    let targets = targets(&args.common)?;
    if let Some(there) = targets.iter().find(|it| it.path.exists()) {
        bail!(
            "{} is there already; `queuelab baseline accept {}` replaces it",
            there.path.display(),
            there.typed
        );
    }
    let tasks = targets.iter().map(|target| {
        let seed = args.seed.unwrap_or(target.scenario.seed);
        Ok(Task {
            typed: &target.typed,
            scenario: &target.scenario,
            seed,
            seeds: batch::seeds(seed, args.replications.into())?.collect(),
            timed: args.wall_clock.then_some(TIMED),
            quiet: args.common.quiet,
        })
    });
    let tasks: Vec<Task<'_>> = tasks.collect::<anyhow::Result<_>>()?;
    for (target, task) in targets.iter().zip(&tasks) {
        let (kept, events) = measure(task)?;
        kept.write(&target.path, &events)?;
        if args.common.printed.format == Format::Text {
            terminal::print(&text::saved(&kept, &target.path))?;
        }
    }
    if args.common.printed.format == Format::Json {
        let paths: Vec<&Path> = targets.iter().map(|it| it.path.as_path()).collect();
        terminal::data(&text::saved_json(&paths))?;
    }
    Ok(Status::Met)
}

fn check(
    common: &Common,
    strictness: &Strictness,
    accept: bool,
    color: ColorChoice,
) -> anyhow::Result<Status> {
    let targets = targets(common)?;
    let read = targets.iter().map(|target| {
        ensure!(
            target.path.exists(),
            "there is no baseline {}; `queuelab baseline save {}` makes one",
            target.path.display(),
            target.typed
        );
        Kept::read(&target.path)
    });
    let baselines: Vec<(Kept, EventTrace)> = read.collect::<anyhow::Result<_>>()?;
    let rules = Rules {
        level: strictness.alpha,
        tolerance: strictness.tolerance,
        allow_behaviour: strictness.allow_behaviour_change,
        wall_clock: strictness.wall_clock,
    };
    let painter = Painter {
        color: color.stdout(),
    };
    let tasks = targets.iter().zip(&baselines);
    let tasks = tasks.map(|(target, (then, _))| task(target, then, strictness, common.quiet));
    let tasks: Vec<Task<'_>> = tasks.collect::<anyhow::Result<_>>()?;
    let mut checked = Vec::new();
    for ((target, then), task) in targets.iter().zip(&baselines).zip(&tasks) {
        let started = Instant::now();
        let now = measure(task)?;
        let changes = Changes::between((&then.0, &then.1), (&now.0, &now.1), &rules);
        let done = Checked {
            target,
            then: &then.0,
            now: &now.0,
            changes,
            wall: started.elapsed(),
        };
        if common.printed.format == Format::Text {
            terminal::print(&done.text(&rules, painter))?;
        }
        if accept {
            keep(target, &then.0, now.clone(), strictness, common.quiet)?;
            if common.printed.format == Format::Text {
                terminal::print(&text::saved(&now.0, &target.path))?;
            }
        }
        let suite = done.suite(&rules, &ci::command_line());
        checked.push((done.verdict(&rules), done.json(&rules), suite));
    }
    if common.printed.format == Format::Json {
        let results = checked.iter().map(|(_, json, _)| json.clone()).collect();
        terminal::data(&text::json(results))?;
    }
    let verdict = Verdict::worst(checked.iter().map(|(verdict, ..)| *verdict));
    let suites: Vec<Suite> = checked.into_iter().map(|(.., suite)| suite).collect();
    strictness.ci.report(&suites)?;
    Ok(match accept {
        true => Status::Met,
        false => strictness.ci.status(verdict),
    })
}

/// A scenario and where its baseline is.
struct Target {
    typed: String,
    scenario: Arc<Scenario>,
    path: PathBuf,
}

/// A check that is done.
struct Checked<'a> {
    target: &'a Target,
    then: &'a Kept,
    now: &'a Kept,
    changes: Changes,
    wall: Duration,
}

impl Checked<'_> {
    fn verdict(&self, rules: &Rules) -> Verdict {
        self.changes.verdict(rules)
    }
}

fn targets(common: &Common) -> anyhow::Result<Vec<Target>> {
    ensure!(
        common.file.is_none() || common.scenarios.len() == 1,
        "--file is for one scenario, and there are {}; --dir DIR is for several",
        common.scenarios.len()
    );
    let mut targets: Vec<Target> = Vec::new();
    for typed in &common.scenarios {
        let scenario = queuelab_scenario::open(typed, &common.set)?;
        let in_folder = || common.dir.join(format!("{}.json", scenario.name));
        let path = common.file.clone().unwrap_or_else(in_folder);
        ensure!(
            path != file::beside(&path),
            "{} is where the events would lie; a baseline is a .json file",
            path.display()
        );
        if let Some(other) = targets.iter().find(|it| it.path == path) {
            bail!(
                "{} and {typed} have the same baseline, {}",
                other.typed,
                path.display()
            );
        }
        targets.push(Target {
            typed: typed.clone(),
            scenario: Arc::new(scenario),
            path,
        });
    }
    Ok(targets)
}

fn task<'a>(
    target: &'a Target,
    then: &Kept,
    strictness: &Strictness,
    quiet: bool,
) -> anyhow::Result<Task<'a>> {
    let here = Host::this();
    Ok(Task {
        typed: &target.typed,
        scenario: &target.scenario,
        seed: then.trace.seed,
        seeds: seeds_of_check(then, strictness)?,
        timed: then
            .wall_clock
            .as_ref()
            .map(|clock| match clock.host == here {
                true => clock.seconds.len(),
                // Another machine's figures are refused, so ours are not needed.
                false => 0,
            }),
        quiet,
    })
}

/// What `accept` keeps: runs with the baseline's own seeds, whatever the check was made with.
fn keep(
    target: &Target,
    then: &Kept,
    now: (Kept, EventTrace),
    strictness: &Strictness,
    quiet: bool,
) -> anyhow::Result<()> {
    let here = Host::this();
    let is_elsewhere = then.wall_clock.as_ref().is_some_and(|it| it.host != here);
    let (kept, events) = if strictness.first_seed.is_none() && !is_elsewhere {
        now
    } else {
        measure(&Task {
            typed: &target.typed,
            scenario: &target.scenario,
            seed: then.trace.seed,
            seeds: then.seeds.clone(),
            timed: then.wall_clock.as_ref().map(|it| it.seconds.len()),
            quiet,
        })?
    };
    kept.write(&target.path, &events)
        .context("the baseline is not kept")
}

fn seeds_of_check(then: &Kept, strictness: &Strictness) -> anyhow::Result<Vec<u64>> {
    let count = strictness
        .replications
        .map_or(then.seeds.len() as u64, u64::from);
    let kept = then.seeds.first().copied().unwrap_or(then.trace.seed);
    let first = strictness.first_seed.unwrap_or(kept);
    Ok(batch::seeds(first, count)?.collect())
}

/// A share from 0 to 1, as a number or in percent.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "it is a share such as 0.02 or 2%".into())
}

/// Runs whose real time is kept.
const TIMED: usize = 10;
