//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use queuelab_core::Span;

use crate::ci::Ci;
use crate::report::Report;
use crate::terminal::ColorChoice;
use crate::{baseline, compare};

/// A workbench for message-queue designs: one scenario file, a real broker, virtual time.
#[derive(Debug, Parser)]
#[command(name = "queuelab", version, after_help = STATUS, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Colours: auto (on a terminal, unless NO_COLOR is set or TERM is dumb), always or never.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    #[arg(global = true, display_order = 900)]
    pub(crate) color: ColorChoice,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios in virtual time; print what they show and write the measurements to a folder.
    #[command(after_help = RUN)]
    Run(Run),
    /// Watch a scenario in the terminal as it runs: pause, step, go back, inject faults.
    #[command(after_help = WATCH)]
    Watch(Watch),
    /// Run a scenario at many settings, or search the setting at which something ceases to hold.
    #[command(after_help = crate::sweep::HELP)]
    Sweep(crate::sweep::Sweep),
    /// Look for violations of invariants in many seeds; make one small, explain it and save it.
    #[command(after_help = HUNT)]
    Hunt(Hunt),
    /// See a violation again that `queuelab hunt` has saved.
    #[command(after_help = REPLAY)]
    Replay(Replay),
    /// Draw the report and the plots of runs again.
    Report(Report),
    /// Compare designs under the same load: what they measure, lose and reorder, and which differences chance would not show.
    #[command(after_help = compare::HELP)]
    Compare(compare::Compare),
    /// Keep what scenarios do and measure, and tell what a change to queuelab or to them has changed.
    #[command(after_help = baseline::HELP)]
    Baseline(baseline::Baseline),
    /// Say what queueing theory predicts of scenarios, without running them.
    #[command(after_help = PREDICT)]
    Predict(Predict),
    /// Write what runs measured in another format: CSV, JSON, OpenMetrics, hgrm, Parquet.
    #[command(after_help = crate::export::EXPORT)]
    Export(crate::export::Export),
    /// List the shipped scenarios.
    #[command(after_help = LIST)]
    List(List),
    /// Print the TOML text of a scenario.
    #[command(after_help = SHOW)]
    Show(Show),
    /// Write a new scenario file to start from.
    #[command(after_help = NEW)]
    New(New),
    /// Look for what is allowed but suspicious in scenarios.
    #[command(after_help = LINT)]
    Lint(Lint),
    /// Print the JSON Schema of the scenario language, for editors that complete and check.
    #[command(after_help = SCHEMA)]
    Schema,
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page, or write all of them.
    #[command(after_help = MAN)]
    Man(Man),
}

/// `queuelab run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Names of shipped scenarios (see `queuelab list`) or paths of TOML files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    #[command(flatten)]
    pub(crate) variation: Variation,
    /// Folder for results; each run gets its own folder in it.
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// Draw no plots (SVG and PNG) and write no report.html.
    #[arg(long)]
    pub(crate) no_plots: bool,
    /// Do not check that every message is accounted for: faster, but invariants remain undecided.
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Show no progress, and only the verdict of each run.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Run with so many seeds, --seed and those that follow, and show intervals over them; 1 leaves that out.
    /// [default: 10 if at most 1,000,000 messages are offered, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) replications: Option<u64>,
    /// Add seeds until all intervals are within so much of their figures, 5%: at least 10, at most --replications, or 100.
    #[arg(long, value_name = "SHARE", value_parser = precision)]
    pub(crate) precision: Option<f64>,
    /// Judge by the expectations of a second file, TOML with `expect = [...]`, and only by these.
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Option<PathBuf>,
    /// Ask for your estimate of each expectation before the result is shown; Enter for none.
    #[arg(long)]
    pub(crate) guess: bool,
    /// Open the report in the browser.
    #[arg(long)]
    pub(crate) open: bool,
    #[command(flatten)]
    pub(crate) ci: Ci,
}

/// What may differ between runs of one scenario.
#[derive(Debug, Args)]
pub(crate) struct Variation {
    /// Seed of everything random, instead of the scenario's.
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Override a value of the scenario: consumer.workers.count=8. Can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `queuelab watch`
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Name of a shipped scenario (see `queuelab list`) or path of a TOML file.
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) variation: Variation,
}

/// `queuelab hunt`
#[derive(Debug, Args)]
pub(crate) struct Hunt {
    /// Names of shipped scenarios (see `queuelab list`) or paths of TOML files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// How many seeds to try of each scenario.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed)]
    pub(crate) first_seed: u64,
    /// Stop after so much real time, seeds left or not: 10m.
    #[arg(long = "for", value_name = "TIME", value_parser = queuelab_scenario::parse_duration)]
    pub(crate) time: Option<Span>,
    /// In each seed, other faults: a random choice of those that the scenario's budget allows, at random strengths.
    #[arg(long)]
    pub(crate) swarm: bool,
    /// Cut each run to about so many messages.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) messages: u64,
    /// Override a value of the scenario: consumer.workers.count=8. Can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Folder for what is found.
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) printed: Printed,
    #[command(flatten)]
    pub(crate) ci: Ci,
}

/// `queuelab replay`
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// A file that `queuelab hunt` has written.
    pub(crate) capsule: PathBuf,
}

/// `queuelab predict`
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// Names of shipped scenarios (see `queuelab list`) or paths of TOML files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// Override a value of the scenario: consumer.workers.count=8. Can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) printed: Printed,
}

/// `queuelab list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// List the designs instead: real systems whose defaults a queue can take over.
    #[arg(long)]
    pub(crate) designs: bool,
    #[command(flatten)]
    pub(crate) printed: Printed,
}

/// `queuelab show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name of a shipped scenario (see `queuelab list`) or path of a TOML file.
    pub(crate) scenario: String,
}

/// `queuelab new`
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Name of the scenario: letters, digits, - and _. The file is NAME.toml in the present folder.
    pub(crate) name: String,
}

/// `queuelab lint`
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Names of shipped scenarios (see `queuelab list`) or paths of TOML files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// Override a value of the scenario: consumer.workers.count=8. Can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `queuelab completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell that is to complete.
    pub(crate) shell: Shell,
}

/// `queuelab man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for queuelab and one for each command to this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// What commands print that programs may want to read.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Printed {
    /// What to print on standard output: text for people, json for programs.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub(crate) format: Format,
}

/// For whom to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

const STATUS: &str = "\
Exit status:
  0  all expectations and invariants are met (lint: nothing to warn of)
  1  one is not met (lint: there are warnings)
  2  wrong usage or bad input
  3  undecided";

const RUN: &str = "\
Examples:
  queuelab run hello
  queuelab run flash-sale --seed 8 --set consumer.fulfilment.count=80
  queuelab run flash-sale overload --no-plots --quiet
  queuelab run hello --precision 2% --replications 200
  queuelab run my-design.toml --expect grading.toml --guess
  queuelab run my-design.toml --format json --out /tmp/results --junit junit.xml

Results go to DIR/SCENARIO-SEED (with --set: DIR/SCENARIO-SEED-DIGEST): record.json,
replications.json, environment.json, series.csv, latency.hgrm, report.html and the plots. The
same scenario, seed and version give the same record.json, on any number of cores.

The run of --seed is shown and recorded in full; the other seeds show how far it hangs on chance.
An expectation that it meets but another seed does not is undecided. An invariant that is violated
with any seed fails.

Exit status: 0 all met, 1 something not met, 2 wrong usage or bad input, 3 undecided.";

const WATCH: &str = "\
Examples:
  queuelab watch flash-sale
  queuelab watch hello --seed 8 --set producer.sender.rate=90/s";

const HUNT: &str = "\
Examples:
  queuelab hunt broker-crash --seeds 500
  queuelab hunt hello flash-sale --swarm --seeds 2000 --for 10m
  queuelab hunt hello --swarm --set consumer.receiver.count=2
  queuelab hunt my-design.toml --first-seed 1000 --messages 5000 --format json
  queuelab hunt my-design.toml --seeds 500 --junit hunt.xml --annotations

A violation is an invariant that does not hold and that the scenario does not mean to show, or an
assertion of the broker that fails. The run is cut down, as long as the same thing goes wrong:
its end, faults, messages, counts. What is left is explained and saved to DIR. Other
expectations, such as latencies, play no part. Seeds run on all cores, with the same result on
any number of them.

Exit status: 0 none found, 1 violations, 2 wrong usage or bad input, 3 nothing was compared.";

const REPLAY: &str = "\
Examples:
  queuelab replay out/broker-crash-17-no-loss-orders.json

The story is printed if the violation is there again; if events differ from those that were
saved, the first one that does, then and now.

Exit status: 1 the violation, or another one, is there; 0 none is; 2 wrong usage or bad input.";

const PREDICT: &str = "\
Examples:
  queuelab predict flash-sale
  queuelab predict hello --set producer.sender.rate=95/s
  queuelab predict my-design.toml --format json

A prediction is exact, an approximation, a lower or upper bound, or a fluid (chance left aside).
`queuelab run` prints the same figures beside what it measures.

Exit status: 0 predicted, 2 wrong usage or bad input, 3 no model applies.";

const LIST: &str = "\
Examples:
  queuelab list
  queuelab list --designs
  queuelab list --format json";

const SHOW: &str = "\
Examples:
  queuelab show hello
  queuelab show flash-sale > my-sale.toml";

const NEW: &str = "\
Examples:
  queuelab new my-design && queuelab run my-design.toml";

const LINT: &str = "\
Examples:
  queuelab lint my-design.toml
  queuelab lint flash-sale --set consumer.fulfilment.count=4

Exit status: 0 nothing to warn of, 1 warnings, 2 wrong usage or bad input.";

const SCHEMA: &str = "\
Examples:
  queuelab schema > queuelab.schema.json";

const COMPLETIONS: &str = "\
Examples:
  queuelab completions bash > ~/.local/share/bash-completion/completions/queuelab
  queuelab completions fish > ~/.config/fish/completions/queuelab.fish";

const MAN: &str = "\
Examples:
  queuelab man | man -l -
  queuelab man --out ~/.local/share/man/man1";

/// Any number of 64 bits.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

/// `5%` or `0.05`: above nothing, at most all.
fn precision(text: &str) -> Result<f64, String> {
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.trim().parse(),
    };
    let within = |share: &f64| *share > 0.0 && *share <= 1.0;
    let share = share.ok().filter(within);
    share.ok_or_else(|| "a share above 0 and up to 1: 5% or 0.05".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let example = format!("\n  queuelab {}", command.get_name());
            assert!(help.contains(&example), "{}", command.get_name());
        }
    }

    #[test]
    fn examples_with_overrides_fit_their_scenarios() {
        let mut found = 0;
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            for line in help.iter().flat_map(|help| help.lines()) {
                let mut words = line.split_whitespace().skip(2);
                let Some(scenario) = words.next().filter(|_| line.contains(" --set ")) else {
                    continue;
                };
                let overrides: Vec<String> = words
                    .filter(|word| word.contains('='))
                    .map(String::from)
                    .collect();
                let opened = queuelab_scenario::open(scenario, &overrides);
                assert!(opened.is_ok(), "{line}: {}", opened.unwrap_err());
                found += 1;
            }
        }
        assert!(found > 1);
    }
}
