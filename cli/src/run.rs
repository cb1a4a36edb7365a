//! `queuelab run`: scenarios in, records and summaries out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use queuelab_record::{Environment, RunRecord, Verdict};
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

use crate::args::{Format, Run};
use crate::outcome::Status;
use crate::summary::{self, Context, Files};
use crate::terminal::{self, ColorChoice};
use crate::{closing, folder, machine, panics, predict, progress};

/// Runs scenarios one after the other.
///
/// # Errors
/// All scenarios are read before the first runs, so that a mistake in the last costs no time. Then: a folder that cannot be
/// written to.
pub(crate) fn run(args: &Run, color: ColorChoice) -> anyhow::Result<Status> {
    let plans = plans(args)?;
    let mut done = Vec::new();
    for plan in &plans {
        folder::prepare(&plan.folder)?;
        let (record, context) = carry_out(plan, args, color.stdout())?;
        if args.format == Format::Text {
            let text = match args.quiet {
                true => format!(
                    "{}: {}",
                    plan.scenario.name,
                    summary::verdict_line(&record, context.color)
                ),
                false => summary::summary(&record, &context),
            };
            terminal::print(&text)?;
            let more = done.len() + 1 < plans.len();
            if more && !args.quiet {
                terminal::print("\n")?;
            }
        }
        done.push((record, context));
    }
    match args.format {
        Format::Json => terminal::print(&machine::json(&done))?,
        Format::Text if done.len() > 1 && !args.quiet => {
            terminal::print(&format!("\n{}", closing::table_of(&done, color.stdout())))?;
        }
        Format::Text => {}
    }
    Ok(Verdict::worst(done.iter().map(|(record, _)| record.verdict())).into())
}

/// A run that is about to be.
struct Plan {
    scenario: Arc<Scenario>,
    /// As it was typed.
    typed: String,
    seed: u64,
    folder: PathBuf,
}

fn plans(args: &Run) -> anyhow::Result<Vec<Plan>> {
    let mut plans: Vec<Plan> = Vec::new();
    for typed in &args.scenarios {
        let scenario = queuelab_scenario::open(typed, &args.variation.set)?;
        let seed = args.variation.seed.unwrap_or(scenario.seed);
        let folder = args.out.join(folder::name(&scenario, seed));
        if let Some(other) = plans.iter().find(|plan| plan.folder == folder) {
            bail!(
                "{} and {typed} would both write to {}; run them one by one with --out DIR",
                other.typed,
                folder.display()
            );
        }
        plans.push(Plan {
            scenario: Arc::new(scenario),
            typed: typed.clone(),
            seed,
            folder,
        });
    }
    Ok(plans)
}

fn carry_out(plan: &Plan, args: &Run, color: bool) -> anyhow::Result<(RunRecord, Context)> {
    let options = Options {
        seed: plan.seed,
        check: !args.no_check,
    };
    let mut simulation = Simulation::new(plan.scenario.clone(), options);
    let of = (plan.typed.as_str(), plan.seed);
    let wall = panics::caught(&mut simulation, of, |simulation| {
        progress::drive(simulation, &plan.scenario.name, args.quiet)
    })?;
    let mut record = simulation.record();
    record.predictions = predict::records(&plan.scenario);
    let environment = environment(wall.as_secs_f64());
    let names = folder::fill(&plan.folder, &record, &environment, !args.no_plots)
        .context("the run is done, but its results are not all kept")?;
    let files = Files {
        folder: shown(&plan.folder),
        names,
    };
    let typed = plan.typed.clone();
    Ok((
        record,
        Context {
            wall,
            files: Some(files),
            typed,
            warnings: queuelab_theory::warnings(&plan.scenario),
            width: terminal::width(),
            color,
        },
    ))
}

/// What may differ between two runs of the same scenario.
fn environment(wall_seconds: f64) -> Environment {
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let host = match host
        .as_deref()
        .map(str::trim)
        .filter(|host| !host.is_empty())
    {
        Some(host) => format!("{host} · {system}"),
        None => system,
    };
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    Environment {
        wall_seconds,
        host,
        commit: option_env!("QUEUELAB_COMMIT").map(str::to_string),
        profile: profile.into(),
        threads: 1,
    }
}

/// A folder with a slash at its end, so that it reads as one.
fn shown(folder: &Path) -> String {
    format!("{}/", folder.display())
}
