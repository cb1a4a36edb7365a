//! `queuelab hunt`: many seeds, and what goes wrong in them, made small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use queuelab_core::{Span, Time};
use queuelab_record::{Verdict, grouped};
use queuelab_scenario::Scenario;
use queuelab_sim::{
    Broken, Failure, Knob, Operation, Outcome, Plan, Shrunk, Simulation, Violation, Watch, attempt,
    shrink, swarm,
};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::args::{Format, Hunt};
use crate::batch;
use crate::capsule::{self, Capsule, Source};
use crate::ci::{self, Case, Suite};
use crate::folder;
use crate::layout::{Painter, Style};
use crate::outcome::Status;
use crate::panics::quietly;
use crate::story::story;
use crate::summary::shell_word;
use crate::terminal::{self, ColorChoice};

/// Looks for violations in scenarios, one after the other, until one has some.
///
/// # Errors
/// Of a scenario, or of the folder for capsules.
pub(crate) fn hunt(args: &Hunt, color: ColorChoice) -> anyhow::Result<Status> {
    let opened = args.scenarios.iter().map(|typed| {
        let scenario = queuelab_scenario::open(typed, &args.set)?;
        Ok((typed.as_str(), Arc::new(scenario)))
    });
    let scenarios: Vec<(&str, Arc<Scenario>)> = opened.collect::<anyhow::Result<_>>()?;
    let seeds = batch::seeds(args.first_seed, args.seeds)?;
    folder::prepare(&args.out)?;
    let deadline = args.time.map(|time| Instant::now() + wall(time));
    let painter = Painter {
        color: color.stdout(),
    };
    let mut hunts = Vec::new();
    let mut suites = Vec::new();
    for (number, (typed, scenario)) in scenarios.iter().enumerate() {
        let started = Instant::now();
        // What is left of the time is shared evenly by what is left to do.
        let left = (scenarios.len() - number) as u32;
        let until = deadline.map(|deadline| {
            let now = Instant::now();
            now + deadline.saturating_duration_since(now) / left
        });
        let ground = Ground::new(typed, scenario.clone(), args);
        let tally = ground.search(args, seeds.clone(), until);
        let findings = ground.explain(&tally, &args.out)?;
        let hunt = Hunted {
            name: scenario.name.clone(),
            tally,
            findings,
        };
        if args.printed.format == Format::Text {
            terminal::print(&hunt.text(args, painter))?;
        }
        suites.push(hunt.suite(typed, args, started.elapsed()));
        hunts.push(hunt);
    }
    match args.printed.format {
        Format::Json => terminal::data(&format!("{:#}\n", json_of(&hunts, args)))?,
        Format::Text => terminal::print(&closing(&hunts))?,
    }
    args.ci.report(&suites)?;
    Ok(args.ci.status(verdict(&hunts)))
}

/// A scenario as it is hunted in.
struct Ground<'a> {
    typed: &'a str,
    scenario: Arc<Scenario>,
    /// The scenario cut to so many messages: when it ends.
    horizon: Option<Time>,
    /// With other faults in each seed: the scenario cut to its horizon, which says when they may strike.
    swarm: Option<Scenario>,
}

/// What the seeds showed.
#[derive(Default)]
struct Tally {
    seeds: u64,
    simulated: f64,
    messages: u64,
    compared: u64,
    /// Seeds in which nothing was compared.
    undecided: u64,
    fired: BTreeMap<String, u64>,
    failing: u64,
    /// The lowest seed of each kind of violation.
    first: Vec<(u64, Violation)>,
}

/// A violation, made small and saved.
struct Finding {
    seed: u64,
    violation: Violation,
    shrunk: Shrunk,
    story: Vec<String>,
    capsule: PathBuf,
}

struct Hunted {
    name: String,
    tally: Tally,
    findings: Vec<Finding>,
}

impl<'a> Ground<'a> {
    fn new(typed: &'a str, scenario: Arc<Scenario>, args: &Hunt) -> Ground<'a> {
        let horizon = cut(&scenario, args.messages);
        Ground {
            typed,
            horizon,
            swarm: args
                .swarm
                .then(|| clipped(&scenario, horizon.unwrap_or(Time::MAX))),
            scenario,
        }
    }

    /// The whole plan of a seed.
    fn plan(&self, seed: u64) -> Plan {
        Plan {
            horizon: self.horizon,
            faults: (self.swarm.as_ref()).map(|scenario| swarm(scenario, seed)),
            ..Plan::seeded(seed)
        }
    }

    /// Runs seeds in batches, whose size does not depend on the machine, until a batch has a violation.
    fn search(
        &self,
        args: &Hunt,
        mut seeds: impl Iterator<Item = u64>,
        until: Option<Instant>,
    ) -> Tally {
        let bar = bar(self.typed, args);
        let mut tally = Tally::default();
        while until.is_none_or(|until| Instant::now() < until) {
            let batch: Vec<u64> = seeds.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let outcomes: Vec<(u64, Outcome)> = batch
                .par_iter()
                .map(|seed| {
                    let plan = self.plan(*seed);
                    let run = || attempt(&self.scenario, &plan, Watch::Checks, None);
                    let outcome = quietly(run);
                    bar.inc(1);
                    (*seed, outcome)
                })
                .collect();
            for (seed, outcome) in outcomes {
                tally.add(seed, outcome);
            }
            bar.set_message(format!("{} messages", grouped(tally.messages)));
            if tally.failing > 0 {
                break;
            }
        }
        bar.finish_and_clear();
        tally
    }

    /// Makes the first few violations small, and saves them.
    fn explain(&self, tally: &Tally, out: &Path) -> anyhow::Result<Vec<Finding>> {
        let few = tally.first.iter().take(FINDINGS);
        few.map(|(seed, violation)| self.finding(*seed, violation, out))
            .collect()
    }

    fn finding(&self, seed: u64, violation: &Violation, out: &Path) -> anyhow::Result<Finding> {
        let broken = &violation.broken;
        let mut run = |plan: &Plan| {
            let outcome = quietly(|| attempt(&self.scenario, plan, Watch::Story, Some(broken)));
            failure(&outcome, broken)
        };
        let plan = self.plan(seed);
        let shrunk = match run(&plan) {
            Some(failure) => shrink(&plan, failure, &knobs(&self.scenario), BUDGET, &mut run),
            // A second run of one seed goes as the first; if not, the capsule is to show that.
            None => Shrunk {
                plan,
                failure: Failure::default(),
                runs: 1,
            },
        };
        let watch = Watch::Story;
        let outcome = quietly(|| attempt(&self.scenario, &shrunk.plan, watch, Some(broken)));
        let expected = outcome.like(broken).unwrap_or(violation).clone();
        let story = story(&self.scenario, &expected, &outcome.lines);
        let mut trace = outcome.lines;
        trace.truncate(capsule::LINES);
        let capsule = Capsule {
            capsule: capsule::FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            scenario: Source::of(&self.scenario),
            plan: shrunk.plan.clone(),
            expected: expected.clone(),
            trace_hash: outcome.trace_hash,
            events: outcome.events.map(|events| events.to_text()),
            trace,
        };
        let name = format!("{}-{seed}-{}.json", self.scenario.name, slug(broken));
        let path = out.join(name);
        let text = capsule.to_json()?;
        std::fs::write(&path, text)
            .with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Finding {
            seed,
            violation: expected,
            shrunk,
            story,
            capsule: path,
        })
    }
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.simulated += outcome.end.as_secs_f64();
        self.messages += outcome.messages;
        self.compared += outcome.compared;
        self.undecided += u64::from(outcome.verdict == Verdict::Undecided);
        self.failing += u64::from(!outcome.violations.is_empty());
        for kind in outcome.fired {
            *self.fired.entry(kind).or_default() += 1;
        }
        for violation in outcome.violations {
            let known = |(_, other): &(u64, Violation)| other.broken.is_like(&violation.broken);
            if !self.first.iter().any(known) {
                self.first.push((seed, violation));
            }
        }
    }

    fn hours(&self) -> f64 {
        self.simulated / 3600.0
    }
}

impl Hunted {
    fn text(&self, args: &Hunt, painter: Painter) -> String {
        let tally = &self.tally;
        let (sign, style) = match (tally.failing, tally.compared) {
            (1.., _) => ("✗", Style::Red),
            (0, 0) => ("?", Style::Yellow),
            (0, _) => ("✓", Style::Green),
        };
        let head = format!(
            "{sign} {}: {} from {} on, {} of virtual time, {} messages, {} comparisons",
            self.name,
            counted(tally.seeds, "seed"),
            args.first_seed,
            Span::from_secs(tally.simulated as u64),
            grouped(tally.messages),
            grouped(tally.compared),
        );
        let mut text = format!("{}\n", painter.paint(style, &head));
        if tally.fired.is_empty() {
            text.push_str("  no faults\n");
        } else {
            let fired = tally.fired.iter();
            let fired: Vec<String> = fired
                .map(|(kind, count)| format!("{} × {kind}", grouped(*count)))
                .collect();
            text.push_str(&format!("  faults: {}\n", fired.join(", ")));
        }
        if tally.undecided > 0 {
            let undecided = counted(tally.undecided, "seed");
            text.push_str(&format!("  undecided: {undecided} compared nothing\n"));
        }
        if tally.failing > 0 {
            text.push_str(&format!("  {} failed\n", counted(tally.failing, "seed")));
        }
        for finding in &self.findings {
            text.push_str(&finding.text(painter));
        }
        text
    }

    /// As CI reads it: a case per violation, or one that says that there was none.
    fn suite(&self, typed: &str, args: &Hunt, wall: Duration) -> Suite {
        let tally = &self.tally;
        let mut cases: Vec<Case> = (self.findings.iter())
            .map(|finding| finding.case(typed))
            .collect();
        if cases.is_empty() {
            cases.push(Case {
                name: "no violation".into(),
                verdict: verdict(std::slice::from_ref(self)),
                measured: format!(
                    "{}, {} comparisons",
                    counted(tally.seeds, "seed"),
                    grouped(tally.compared)
                ),
                details: Vec::new(),
                place: ci::file(typed),
            });
        }
        let swarm = if args.swarm { " --swarm" } else { "" };
        let sets = (args.set.iter()).map(|set| format!(" --set {}", shell_word(set)));
        Suite {
            name: format!("hunt {}", self.name),
            command: format!(
                "queuelab hunt {} --first-seed {} --seeds {} --messages {}{swarm}{}",
                shell_word(typed),
                args.first_seed,
                tally.seeds,
                args.messages,
                sets.collect::<String>()
            ),
            wall,
            cases,
            notes: Vec::new(),
        }
    }
}

impl Finding {
    fn case(&self, typed: &str) -> Case {
        let replay = format!("queuelab replay {}", self.capsule.display());
        Case {
            name: format!("seed {}: {}", self.seed, self.violation.broken),
            verdict: Verdict::Fail,
            measured: self.violation.text.clone(),
            details: self.story.iter().cloned().chain([replay]).collect(),
            place: ci::file(typed),
        }
    }

    fn text(&self, painter: Painter) -> String {
        let Shrunk { plan, runs, .. } = &self.shrunk;
        let head = format!("seed {}: {}", self.seed, self.violation.broken);
        let mut text = format!("\n  {}\n", painter.paint(Style::Bold, &head));
        text.push_str(&format!(
            "  made small in {}: {}, {}, {} of virtual time\n\n",
            counted(u64::from(*runs), "run"),
            counted(operations(plan, &self.shrunk.failure), "message"),
            counted(faults(plan), "fault"),
            self.violation.at,
        ));
        for line in &self.story {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str(&format!("\n  saved as {}\n", self.capsule.display()));
        text
    }
}

/// The last line: the failing seed, and the command that replays it.
fn closing(hunts: &[Hunted]) -> String {
    let first = hunts.iter().flat_map(|hunt| {
        let findings = hunt.findings.iter();
        findings.map(|finding| (hunt.name.as_str(), finding))
    });
    match first.into_iter().next() {
        None => String::new(),
        Some((name, finding)) => format!(
            "\n{name}, seed {}: queuelab replay {}\n",
            finding.seed,
            finding.capsule.display()
        ),
    }
}

fn verdict(hunts: &[Hunted]) -> Verdict {
    Verdict::worst(
        hunts
            .iter()
            .map(|hunt| match (hunt.tally.failing, hunt.tally.compared) {
                (1.., _) => Verdict::Fail,
                (0, 0) => Verdict::Undecided,
                (0, _) => Verdict::Pass,
            }),
    )
}

fn json_of(hunts: &[Hunted], args: &Hunt) -> Value {
    let hunts = hunts.iter().map(|hunt| {
        let tally = &hunt.tally;
        let findings = hunt.findings.iter().map(|finding| {
            json!({
                "seed": finding.seed,
                "broken": finding.violation.broken,
                "text": finding.violation.text,
                "at_s": finding.violation.at.as_secs_f64(),
                "operations": operations(&finding.shrunk.plan, &finding.shrunk.failure),
                "faults": faults(&finding.shrunk.plan),
                "runs": finding.shrunk.runs,
                "story": finding.story,
                "capsule": finding.capsule,
            })
        });
        json!({
            "scenario": hunt.name,
            "first_seed": args.first_seed,
            "swarm": args.swarm,
            "seeds": tally.seeds,
            "virtual_hours": tally.hours(),
            "messages": tally.messages,
            "faults": tally.fired,
            "comparisons": tally.compared,
            "undecided": tally.undecided,
            "failing": tally.failing,
            "violations": findings.collect::<Vec<Value>>(),
        })
    });
    json!({ "schema_version": ci::JSON_SCHEMA_VERSION, "hunts": hunts.collect::<Vec<Value>>() })
}

/// What a run tells the shrinker if it fails in the same way.
fn failure(outcome: &Outcome, broken: &Broken) -> Option<Failure> {
    let violation = outcome.like(broken)?;
    let culprit = violation.tag.map(Operation::of_tag);
    Some(Failure {
        at: violation.at,
        operations: outcome.operations.clone(),
        faults: outcome.activations.clone(),
        culprit: culprit.filter(|culprit| outcome.operations.contains(culprit)),
    })
}

/// What may be turned down, in the order in which that is tried.
fn knobs(scenario: &Scenario) -> Vec<Knob> {
    let mut knobs = Vec::new();
    for (group, consumer) in scenario.consumers.iter().enumerate() {
        let counts = [1, consumer.count / 2];
        let less = counts
            .into_iter()
            .filter(|count| *count > 0 && *count < consumer.count);
        knobs.extend(less.map(|count| Knob::Consumers { group, count }));
        if consumer.prefetch != 1 {
            knobs.push(Knob::Prefetch { group, limit: 1 });
        }
    }
    for (group, producer) in scenario.producers.iter().enumerate() {
        if producer.confirm.is_some_and(|confirm| confirm.window > 1) {
            knobs.push(Knob::Window { group, limit: 1 });
        }
    }
    knobs
}

/// When a run has sent so many messages; `None` if it ends before that.
fn cut(scenario: &Arc<Scenario>, messages: u64) -> Option<Time> {
    let plan = Plan {
        faults: Some(Vec::new()),
        ..Plan::seeded(scenario.seed)
    };
    let run = || {
        let mut simulation = Simulation::planned(scenario.clone(), &plan, Watch::Nothing);
        while simulation.sent() < messages && simulation.step() {}
        (simulation.sent() >= messages).then(|| simulation.now())
    };
    quietly(|| std::panic::catch_unwind(run)).unwrap_or(None)
}

/// The scenario, with phases up to an instant only.
fn clipped(scenario: &Scenario, end: Time) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.phases.retain(|phase| phase.from < end);
    for phase in &mut scenario.phases {
        phase.until = phase.until.min(end);
    }
    scenario
}

fn operations(plan: &Plan, failure: &Failure) -> u64 {
    let kept = plan.keep.as_ref().map(|kept| kept.operations().len());
    kept.unwrap_or(failure.operations.len()) as u64
}

fn faults(plan: &Plan) -> u64 {
    plan.faults.as_ref().map_or(0, |faults| faults.len() as u64)
}

fn slug(broken: &Broken) -> String {
    let text = match broken {
        Broken::Invariant { name, queue } => format!("{name}-{queue}"),
        Broken::Panic { .. } => "panic".into(),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    text.chars().map(plain).collect()
}

fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {word}{plural}", grouped(count))
}

fn wall(span: Span) -> Duration {
    Duration::from_nanos(span.0)
}

fn bar(name: &str, args: &Hunt) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(args.seeds), ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("{prefix} {bar:16} {pos}/{len} seeds {wide_msg}")
    {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(name.to_string());
    bar
}

/// Seeds between two looks at whether to go on.
const BATCH: usize = 64;

/// Kinds of violation that are made small.
const FINDINGS: usize = 3;

/// Runs that may be spent on making one small.
const BUDGET: u32 = 2_000;
