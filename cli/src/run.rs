//! `queuelab run`: scenarios in, records and summaries out.

mod guess;
mod open;
mod replicate;
mod suite;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use queuelab_record::{Environment, RunRecord, Verdict, write_file};
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

use crate::args::{Format, Run};
use crate::batch::Job;
use crate::ci::Suite;
use crate::layout::{Painter, one_line};
use crate::outcome::Status;
use crate::summary::{self, Context, Files};
use crate::terminal::{self, ColorChoice};
use crate::{closing, folder, machine, panics, predict, progress};

use guess::Guess;
use replicate::{Replications, replicate};

/// Runs scenarios one after the other.
///
/// # Errors
/// All scenarios are read before the first runs, so that a mistake in the last costs no time. Then: a folder that cannot be
/// written to.
pub(crate) fn run(args: &Run, color: ColorChoice) -> anyhow::Result<Status> {
    let asked = Replications::asked(args.replications, args.precision)?;
    let plans = plans(args, asked)?;
    let mut done = Vec::new();
    let mut suites: Vec<Suite> = Vec::new();
    for plan in &plans {
        folder::prepare(&plan.folder)?;
        let guesses = match args.guess {
            true => guesses(&plan.job.scenario)?,
            false => Vec::new(),
        };
        let started = Instant::now();
        let (record, context) = carry_out(plan, args, asked, color.stdout())?;
        let suite = suite::of(plan, args, &record, &context, started.elapsed());
        if args.printed.format == Format::Text {
            print(args, plan, &record, &context, &guesses)?;
            let more = done.len() + 1 < plans.len();
            if more && !args.quiet {
                terminal::print("\n")?;
            }
        }
        if args.open {
            open::open(&plan.folder);
        }
        let expectations = &plan.job.scenario.expectations;
        let guesses = guess::json(&guesses, expectations, &record);
        done.push((record, context, guesses));
        suites.push(suite);
    }
    match args.printed.format {
        Format::Json => terminal::data(&machine::json(&done))?,
        Format::Text if done.len() > 1 && !args.quiet => {
            terminal::print(&format!("\n{}", closing::table_of(&done, color.stdout())))?;
        }
        Format::Text => {}
    }
    args.ci.report(&suites)?;
    let verdicts = done
        .iter()
        .map(|(record, context, _)| summary::verdict(record, context));
    Ok(args.ci.status(Verdict::worst(verdicts)))
}

/// A run that is about to be.
struct Plan {
    job: Job,
    folder: PathBuf,
}

fn plans(args: &Run, asked: Replications) -> anyhow::Result<Vec<Plan>> {
    let mut plans: Vec<Plan> = Vec::new();
    for typed in &args.scenarios {
        let scenario = queuelab_scenario::open(typed, &args.variation.set)?;
        let scenario = match &args.expect {
            Some(path) if !path.exists() => bail!(
                "failed to read {}: there is no such file; --expect takes a TOML file with `expect = [...]`",
                path.display()
            ),
            Some(path) => scenario.graded_by(path)?,
            None => scenario,
        };
        let seed = args.variation.seed.unwrap_or(scenario.seed);
        asked.check(seed)?;
        let folder = args.out.join(folder::name(&scenario, seed));
        if let Some(other) = plans.iter().find(|plan| plan.folder == folder) {
            bail!(
                "{} and {typed} would both write to {}; run them one by one with --out DIR",
                other.job.typed,
                folder.display()
            );
        }
        let job = Job {
            scenario: Arc::new(scenario),
            typed: typed.as_str().into(),
            seed,
        };
        plans.push(Plan { job, folder });
    }
    Ok(plans)
}

fn guesses(scenario: &Scenario) -> anyhow::Result<Vec<Guess>> {
    // Questions go beside the results, which may be JSON.
    let (mut input, mut output) = (io::stdin().lock(), io::stderr().lock());
    let title = format!("{}: {}\n", one_line(&scenario.title), scenario.about.trim());
    let title = terminal::plain(&title);
    let asked = io::Write::write_all(&mut output, title.as_bytes())
        .and_then(|()| guess::ask(&scenario.expectations, &mut input, &mut output));
    asked.context("failed to ask for guesses")
}

fn print(
    args: &Run,
    plan: &Plan,
    record: &RunRecord,
    context: &Context,
    guesses: &[Guess],
) -> anyhow::Result<()> {
    let painter = Painter {
        color: context.color,
    };
    if args.quiet {
        let verdict = summary::verdict_line(record, context);
        terminal::print(&format!("{}: {verdict}", plan.job.scenario.name))?;
    } else {
        terminal::print(&summary::summary(record, context))?;
    }
    if !guesses.is_empty() {
        let expectations = &plan.job.scenario.expectations;
        let section = guess::section(guesses, expectations, record, painter);
        terminal::print(&format!("\n{section}"))?;
    }
    Ok(())
}

fn carry_out(
    plan: &Plan,
    args: &Run,
    asked: Replications,
    color: bool,
) -> anyhow::Result<(RunRecord, Context)> {
    let Plan { job, folder } = plan;
    let check = !args.no_check;
    let options = Options {
        seed: job.seed,
        check,
    };
    let mut simulation = Simulation::new(job.settled()?, options);
    let of = (&*job.typed, job.seed);
    let wall = panics::caught(&mut simulation, of, |simulation| {
        progress::drive(simulation, &job.scenario.name, args.quiet)
    })?;
    let mut record = simulation.record();
    drop(simulation);
    record.predictions = predict::records(&job.scenario);
    let ensemble = replicate(job, &record, asked, check, args.quiet)?;
    let kept = "the run is done, but its results are not all kept";
    // Before the rest, which may tell of it; one of an earlier run would tell of other seeds.
    let replications = folder.join(folder::REPLICATIONS);
    match &ensemble {
        Some(ensemble) => {
            write_file(&replications, ensemble.to_json().as_bytes()).context(kept)?;
        }
        None => match fs::remove_file(&replications) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context(format!("failed to remove {}", replications.display()));
            }
            _ => {}
        },
    }
    let threads = match ensemble {
        Some(_) => rayon::current_num_threads(),
        None => 1,
    };
    let environment = environment(wall.as_secs_f64(), threads);
    let plots = !args.no_plots;
    let names =
        folder::fill(folder, &record, ensemble.as_ref(), &environment, plots).context(kept)?;
    let files = Files {
        folder: shown(folder),
        names,
    };
    let context = Context {
        wall,
        files: Some(files),
        typed: job.typed.to_string(),
        warnings: queuelab_theory::warnings(&job.scenario),
        ensemble,
        width: terminal::width(),
        color,
    };
    Ok((record, context))
}

/// What may differ between two runs of the same scenario.
fn environment(wall_seconds: f64, threads: usize) -> Environment {
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| fs::read_to_string("/etc/hostname").ok());
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
        threads,
    }
}

/// A folder with a slash at its end, so that it reads as one.
fn shown(folder: &Path) -> String {
    format!("{}/", folder.display())
}
