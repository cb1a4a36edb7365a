//! `queuelab replay`: a violation again.

use std::sync::Arc;

use anyhow::bail;
use queuelab_record::EventTrace;
use queuelab_scenario::Scenario;
use queuelab_sim::{Line, Outcome, Violation, Watch, attempt};

use crate::args::Replay;
use crate::capsule::{self, Capsule};
use crate::layout::{Painter, Style};
use crate::outcome::Status;
use crate::panics::quietly;
use crate::parting;
use crate::story::{message, story};
use crate::terminal::{self, ColorChoice};

/// Runs a capsule. The status is that of its run: unmet if the violation, or another one, is there.
///
/// # Errors
/// Of the capsule, or of the scenario in it.
pub(crate) fn replay(args: &Replay, color: ColorChoice) -> anyhow::Result<Status> {
    let capsule = Capsule::read(&args.capsule)?;
    let scenario = capsule.scenario.open()?;
    if let Some(misfit) = capsule.plan.misfit(&scenario) {
        bail!("failed to replay {}: {misfit}", args.capsule.display());
    }
    let broken = &capsule.expected.broken;
    let outcome = quietly(|| attempt(&scenario, &capsule.plan, Watch::Story, Some(broken)));
    let painter = Painter {
        color: color.stdout(),
    };
    let found = outcome.like(broken);
    terminal::print(&report(&capsule, &scenario, &outcome, found, painter))?;
    Ok(match outcome.violations.is_empty() {
        true => Status::Met,
        false => Status::Unmet,
    })
}

fn report(
    capsule: &Capsule,
    scenario: &Scenario,
    outcome: &Outcome,
    found: Option<&Violation>,
    painter: Painter,
) -> String {
    let name = format!("{}, seed {}", capsule.scenario.name, capsule.plan.seed);
    let difference = difference(&capsule.trace, &outcome.lines);
    let same = difference.is_none() && outcome.trace_hash == capsule.trace_hash;
    let (style, word) = match (found, outcome.violations.first()) {
        (Some(_), _) if same => (Style::Red, "reproduced".to_string()),
        (Some(_), _) => (Style::Red, "reproduced, in another way".to_string()),
        (None, Some(other)) => (
            Style::Red,
            format!("not reproduced; this is wrong instead: {}", other.broken),
        ),
        (None, None) => (Style::Green, "not reproduced".to_string()),
    };
    let head = format!("{name}: {} {word}", capsule.expected.broken);
    let mut text = format!("{}\n", painter.paint(style, &head));
    if !same && capsule.version != env!("CARGO_PKG_VERSION") {
        let now = env!("CARGO_PKG_VERSION");
        text.push_str(&format!(
            "  the capsule is of queuelab {}, this is {now}\n",
            capsule.version
        ));
    }
    if let Some((number, then, now)) = difference {
        let shown =
            |line: Option<&Line>| line.map_or("nothing".into(), |line| in_words(scenario, line));
        text.push_str(&format!(
            "  the first event that differs is number {number}\n    then: {}\n    now:  {}\n",
            shown(then),
            shown(now)
        ));
    } else if !same {
        text.push_str(&unseen(capsule, scenario, outcome));
    }
    if let Some(violation) = found.or(outcome.violations.first()) {
        text.push('\n');
        for line in story(scenario, violation, &outcome.lines) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

/// What reads the same and is not: where the events of the calendar part.
fn unseen(capsule: &Capsule, scenario: &Scenario, outcome: &Outcome) -> String {
    let then = capsule.events.as_deref().map(EventTrace::from_text);
    let parting = match (then, &outcome.events) {
        (Some(Ok(then)), Some(now)) => then.parting(now),
        _ => None,
    };
    let planned = capsule.plan.apply(&Arc::new(scenario.clone()));
    match parting {
        Some(parting) => {
            let told = parting::lines(&planned, &parting).into_iter();
            told.map(|line| format!("  {line}\n")).collect()
        }
        None => "  the same events as then, but not to the last bit\n".into(),
    }
}

/// The first place in which two traces differ, as far as the capsule kept its own.
fn difference<'a>(
    then: &'a [Line],
    now: &'a [Line],
) -> Option<(usize, Option<&'a Line>, Option<&'a Line>)> {
    let kept = match then.len() {
        capsule::LINES => &now[..now.len().min(capsule::LINES)],
        _ => now,
    };
    let longest = then.len().max(kept.len());
    let differs = |at: &usize| then.get(*at) != kept.get(*at);
    let at = (0..longest).find(differs)?;
    Some((at + 1, then.get(at), kept.get(at)))
}

fn in_words(scenario: &Scenario, line: &Line) -> String {
    let at = line.at().as_secs_f64();
    match line.tag() {
        Some(tag) => format!("{at:.6}s  {}: {}", message(scenario, tag), line.text()),
        None => format!("{at:.6}s  {}", line.text()),
    }
}

#[cfg(test)]
mod tests {
    use queuelab_core::Time;

    use super::*;

    #[test]
    fn the_first_difference_is_found() {
        let line = |at, text: &str| Line(Time(at), None, text.into());
        let then = [line(1, "a"), line(2, "b")];
        assert_eq!(difference(&then, &then), None);
        let now = [line(1, "a"), line(2, "c"), line(3, "d")];
        assert_eq!(
            difference(&then, &now),
            Some((2, Some(&then[1]), Some(&now[1])))
        );
        let now = [line(1, "a")];
        assert_eq!(difference(&then, &now), Some((2, Some(&then[1]), None)));
    }
}
