//! `queuelab sweep`: a scenario at many settings, and the setting at which something ceases to hold.

mod amount;
mod axis;
mod find;
mod hypercube;
mod journal;
mod plan;
mod runner;
mod search;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use queuelab_record::{Sampling, Setting, write_file};

use crate::args::{Format, Printed, Variation};
use crate::batch;
use crate::folder::{self, Theme};
use crate::outcome::Status;
use crate::terminal::{self, ColorChoice};
use axis::{Values, Vary};
use plan::Plan;

/// `queuelab sweep`
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Name of a shipped scenario (see `queuelab list`) or path of a TOML file.
    pub(crate) scenario: String,
    /// What to vary: KEY=FROM..TO/STEP, KEY='FROM..TO by STEP' (or 'by x2'), or KEY=A,B,C. Several make a grid.
    #[arg(long, value_name = "KEY=VALUES")]
    pub(crate) vary: Vec<String>,
    /// Instead of a grid, N points of a Latin hypercube; ranges need no step then.
    #[arg(long, visible_alias = "lhs", value_name = "N", conflicts_with = "find")]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(crate) latin_hypercube: Option<u32>,
    /// Search the value of KEY at which conditions cease to hold; `load` scales all rates.
    #[arg(
        long,
        value_name = "KEY",
        conflicts_with = "vary",
        requires = "conditions"
    )]
    pub(crate) find: Option<String>,
    /// What is to hold, as expectations say it: "latency.confirm.p99 < 100ms". Can be given several times.
    #[arg(
        long = "while",
        value_name = "CONDITION",
        id = "conditions",
        requires = "find"
    )]
    pub(crate) conditions: Vec<String>,
    /// Where to search: FROM..TO. `load` needs none: it is doubled or halved from 1 on.
    #[arg(long, value_name = "FROM..TO", requires = "find")]
    pub(crate) between: Option<String>,
    /// How narrow to search: a share of the value, or a difference.
    #[arg(long, value_name = "WIDTH", default_value = "1%")]
    pub(crate) tolerance: String,
    /// In which share of the runs conditions have to hold.
    #[arg(long, value_name = "SHARE", default_value = "100%", value_parser = find::share)]
    pub(crate) share: f64,
    /// Runs of each point. All points have the same seeds.
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) replications: u32,
    /// What to measure, as expectations name it: "backlog.max of orders". Default: what expectations speak of, what theory predicts, and
    /// a few more. Can be given several times.
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Vec<String>,
    #[command(flatten)]
    pub(crate) variation: Variation,
    /// Folder for results; each sweep gets its own folder in it.
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// Draw no report and no plots.
    #[arg(long)]
    pub(crate) no_plots: bool,
    /// Run everything again, also what an earlier sweep has finished.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Do not check that every message is accounted for: faster, but invariants remain undecided.
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

pub(crate) const HELP: &str = "\
Examples:
  queuelab sweep hello --vary producer.sender.rate=20/s..95/s/15/s
  queuelab sweep flash-sale --vary consumer.fulfilment.count=40,60,80 --vary load=0.5..1.5/0.5
  queuelab sweep hello --vary 'consumer.receiver.service=1ms..16ms by x2' --metric utilisation
  queuelab sweep flash-sale --lhs 30 --vary load=0.5..1.5 --vary consumer.fulfilment.count=20..100
  queuelab sweep hello --find load --while 'latency.end_to_end.p99 < 200ms'
  queuelab sweep flash-sale --find consumer.fulfilment.count --between 20..200 --while 'drain_time < 2m'
  queuelab sweep retry-storm --find load --between 0.5..1 --while 'latency.confirm.p99 < 500ms in after'

Results go to DIR/SCENARIO-sweep-DIGEST: report.html with its plots, sweep.json, sweep.csv, and
points.jsonl, to which each point is added as soon as it is finished. The same command goes on
where an earlier one was stopped, by whatever, and ends with the same results. Points share their
seeds, so differences are not those of other arrivals; * marks those from the first point that
Holm's correction for all comparisons leaves below 5 %.

--find tries a few values first, then narrows down to the lowest one at which the conditions
begin or cease to hold. They hold at a value if they do in --share of its runs.

Exit status: 0 the sweep is done, whatever it shows, or the value was found; 1 an assertion of the
broker failed in a run; 2 wrong usage or bad input; 3 there is no such value where it was searched.";

/// Runs a sweep, or goes on with it.
///
/// # Errors
/// What was typed, the scenario at any of the points, or the folder.
pub(crate) fn sweep(args: &Sweep, color: ColorChoice) -> anyhow::Result<Status> {
    match &args.find {
        Some(key) => find::find(args, key, color),
        None => spread(args, color),
    }
}

/// A grid or a Latin hypercube.
fn spread(args: &Sweep, color: ColorChoice) -> anyhow::Result<Status> {
    let varies = varies(args)?;
    let paths = varies.iter().map(|vary| vary.path.clone()).collect();
    let plan = Plan::new(args, paths, None)?;
    let (points, sampling) = match args.latin_hypercube {
        Some(count) => {
            let whole = |axis: usize| match &varies[axis].values {
                Values::Between(from, _) => plan.takes_whole_only(axis, from),
                Values::These(_) => false,
            };
            let count = count as usize;
            let points = hypercube::sample(&varies, count, plan.ground.seeds[0], whole);
            (distinct(points), Sampling::LatinHypercube)
        }
        None => (grid(&varies)?, Sampling::Grid),
    };
    let points = plan.ground.points(points)?;
    let mut journal = plan.journal(args, points.len())?;
    let runs = points.len() * plan.ground.seeds.len();
    let bar = batch::bar(&plan.name, runs as u64, "runs", args.quiet);
    let there = |point: &&runner::Point| journal.get(&point.settings).is_some();
    let there = points.iter().filter(there).count();
    bar.set_position((there * plan.ground.seeds.len()) as u64);
    bar.reset_eta();
    let points = plan.ground.run(&points, &mut journal, &bar)?;
    bar.finish_and_clear();
    let axes = varies.iter().enumerate().map(|(at, vary)| {
        let mut there: Vec<Setting> = points.iter().map(|it| it.settings[at].clone()).collect();
        if let Values::These(settings) = &vary.values {
            there = settings.clone();
        }
        if sampling == Sampling::LatinHypercube {
            there.sort_by(|a, b| {
                let number = |it: &Setting| it.number.unwrap_or(0.0);
                number(a).total_cmp(&number(b))
            });
        }
        axis::axis(&vary.path, there.into_iter())
    });
    let axes = axes.collect();
    let mut sweep = plan.sweep(sampling, axes, points, None);
    sweep.compare();
    finish(args, &plan, &sweep, color)?;
    Ok(Status::Met)
}

fn varies(args: &Sweep) -> anyhow::Result<Vec<Vary>> {
    if args.vary.is_empty() {
        bail!(
            "there is nothing to vary: add --vary KEY=VALUES, or search with --find KEY --while CONDITION"
        );
    }
    let varies: anyhow::Result<Vec<Vary>> = args.vary.iter().map(|it| Vary::parse(it)).collect();
    let varies = varies?;
    let mut seen = BTreeSet::new();
    for vary in &varies {
        if vary.path == "seed" {
            bail!(
                "seeds are the same at all points: choose the first with --seed, and how many with --replications"
            );
        }
        if !seen.insert(&vary.path) {
            bail!(
                "`{}` is varied twice: put all values in one --vary",
                vary.path
            );
        }
    }
    Ok(varies)
}

/// All combinations; the last axis changes fastest.
fn grid(varies: &[Vary]) -> anyhow::Result<Vec<Vec<Setting>>> {
    let mut points: Vec<Vec<Setting>> = vec![Vec::new()];
    for vary in varies {
        let values = vary.listed()?;
        if points.len().saturating_mul(values.len()) > POINTS_MAX {
            bail!(
                "the grid has more than {POINTS_MAX} points: write larger steps, or take a sample with --lhs N"
            );
        }
        points = points
            .iter()
            .flat_map(|point| {
                values.iter().map(move |value| {
                    let mut point = point.clone();
                    point.push(value.clone());
                    point
                })
            })
            .collect();
    }
    Ok(points)
}

/// Axes with few values may make one point twice; it is run once.
fn distinct(points: Vec<Vec<Setting>>) -> Vec<Vec<Setting>> {
    let mut seen = BTreeSet::new();
    let texts = |point: &[Setting]| -> Vec<String> {
        point.iter().map(|setting| setting.text.clone()).collect()
    };
    points
        .into_iter()
        .filter(|point| seen.insert(texts(point)))
        .collect()
}

/// Writes the files and prints.
fn finish(
    args: &Sweep,
    plan: &Plan,
    sweep: &queuelab_record::Sweep,
    color: ColorChoice,
) -> anyhow::Result<()> {
    let json = sweep.to_json();
    write_file(&plan.folder.join("sweep.json"), json.as_bytes())?;
    write_file(&plan.folder.join("sweep.csv"), sweep.to_csv().as_bytes())?;
    let mut files = vec!["sweep.json".to_string(), "sweep.csv".into()];
    if !args.no_plots {
        let report = queuelab_plot::sweep_report(sweep);
        let plots = queuelab_plot::sweep_plots(sweep);
        let mut written = folder::write_report(&plan.folder, &report, &plots, Theme::Light)?;
        written.extend(files);
        files = written;
    }
    match args.printed.format {
        Format::Json => terminal::data(&json),
        Format::Text => {
            let files = format!("{}/: {}", plan.folder.display(), files.join(", "));
            let page = text::page(sweep, &files, terminal::width(), color.stdout());
            terminal::print(&page)
        }
    }
}

/// Larger grids are a mistake, or want a sample.
const POINTS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn varied(texts: &[&str]) -> Vec<Vary> {
        let vary = |text: &&str| Vary::parse(text).unwrap_or_else(|error| panic!("{error:#}"));
        texts.iter().map(vary).collect()
    }

    fn shown(points: &[Vec<Setting>]) -> Vec<String> {
        let point = |point: &Vec<Setting>| {
            let texts: Vec<&str> = point.iter().map(|it| it.text.as_str()).collect();
            texts.join(" ")
        };
        points.iter().map(point).collect()
    }

    #[test]
    fn a_grid_has_all_combinations() {
        let points = grid(&varied(&["n=1..3/1", "d=a,b"])).unwrap();
        assert_eq!(shown(&points), ["1 a", "1 b", "2 a", "2 b", "3 a", "3 b"]);
        let error = grid(&varied(&["n=1..200/1", "m=1..200/1"])).unwrap_err();
        assert!(
            error.to_string().contains("more than 10000 points"),
            "{error}"
        );
    }

    #[test]
    fn a_point_that_comes_twice_is_run_once() {
        let points = grid(&varied(&["n=1,2"])).unwrap();
        let twice = [points.clone(), points].concat();
        assert_eq!(shown(&distinct(twice)), ["1", "2"]);
    }
}
