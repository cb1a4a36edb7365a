//! When a fault strikes, and for how long.

use std::ops::Range;

use queuelab_core::{Span, Time};

use super::Places;
use super::kind::Row;
use crate::error::Problem;
use crate::fault::When;
use crate::raw::{EachStepTable, OnTable, RawDistribution, RawEdge, RawFault};
use crate::scenario::{Distribution, Phase};
use crate::shape::{At, Duration};
use crate::units::short;
use crate::validate::Check;
use crate::validate::distributions::some_time;

/// When the fault strikes, and how long it then lasts.
pub(super) fn when(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    row: &Row,
    places: &Places<'_>,
) -> Option<(When, Distribution)> {
    let raw = &at.value;
    let end = places.end();
    let phase = match &raw.during {
        Some(during) => Some(phase(check, during, places.phases)?),
        None => None,
    };
    let (from, until) = phase.map_or((Time::ZERO, end), |phase| (phase.from, phase.until));
    let when = match (&raw.at, &raw.every, &raw.on, &raw.each_step) {
        (Some(start), None, None, None) if phase.is_none() => {
            let time = Time::ZERO + start.value.0;
            if time >= end {
                check.push(Problem::new(
                    start.span.clone(),
                    format!("the run ends at {end}, before the fault"),
                ));
                return None;
            }
            When::At(time)
        }
        (None, None, None, None) if phase.is_some() => When::At(from),
        (None, Some(every), None, None) => When::Every {
            mean: check.duration("mean", &Some(every.value.mean.clone()))?,
            from,
            until,
        },
        (None, None, Some(on), None) if phase.is_none() => on_milestone(check, &on.value),
        (None, None, None, Some(step)) => each_step(check, &step.value, from, until)?,
        _ => {
            let problem = Problem::new(
                at.span.clone(),
                format!("the fault `{}` must say when", short(name)),
            );
            check.push(problem.help(
                "write one of `at = \"30s\"`, `during = \"PHASE\"`, `every = { mean = \"1m\" }`, `on = { event = \"confirm\", nth = 3 }` and `each_step = { p = 0.1, heal_p = 0.5 }`; `during` may limit `every` and `each_step`",
            ));
            return None;
        }
    };
    let span = span(check, raw, row, when, phase, end)?;
    Some((when, span))
}

fn phase<'p>(check: &mut Check<'_>, during: &At<String>, phases: &'p [Phase]) -> Option<&'p Phase> {
    let found = phases.iter().find(|phase| phase.name == during.value);
    if found.is_none() {
        let known = phases.iter().map(|phase| phase.name.as_str());
        check.push_unknown(during, "phase", known);
    }
    found
}

fn on_milestone(check: &mut Check<'_>, raw: &OnTable) -> When {
    When::On {
        milestone: raw.event.into(),
        nth: check.count("nth", &raw.nth, 1, 1..=u64::MAX),
        before: raw.edge.unwrap_or_default() == RawEdge::Before,
    }
}

fn each_step(check: &mut Check<'_>, raw: &EachStepTable, from: Time, until: Time) -> Option<When> {
    let step = |check: &mut Check<'_>| match &raw.every {
        Some(_) => check.duration("every", &raw.every),
        None => Some(Span::from_secs(1)),
    };
    let length =
        |given: &Option<At<Duration>>| given.as_ref().map_or(Span::ZERO, |given| given.value.0);
    Some(When::EachStep {
        every: step(check)?,
        p: check.number("p", &Some(raw.p.clone()), 0.0, 0.0..=1.0),
        heal_p: check.number("heal_p", &Some(raw.heal_p.clone()), 0.0, 0.0..=1.0),
        stability: length(&raw.stability),
        heal_stability: length(&raw.heal_stability),
        from,
        until,
    })
}

/// How long an activation lasts.
fn span(
    check: &mut Check<'_>,
    raw: &RawFault,
    row: &Row,
    when: When,
    phase: Option<&Phase>,
    end: Time,
) -> Option<Distribution> {
    let steps = matches!(when, When::EachStep { .. });
    if row.is_instant() {
        return Some(Distribution::Constant(Span::ZERO));
    }
    let Some(length) = &raw.length else {
        return Some(Distribution::Constant(match (when, phase) {
            (When::At(start), Some(phase)) => phase.until - start,
            // Without an end of its own, or with what `each_step` tosses.
            _ => Span::MAX,
        }));
    };
    if steps {
        let problem = Problem::new(
            length.span.clone(),
            "`for` and `each_step` contradict each other",
        );
        check.push(problem.help("leave `for` out: `heal_p` says when it ends"));
        return None;
    }
    let given = some_length(check, length)?;
    if let (When::At(start), Distribution::Constant(length)) = (when, &given) {
        within(check, raw_span(raw), start, *length, end)?;
    }
    Some(given)
}

fn some_length(check: &mut Check<'_>, length: &At<RawDistribution>) -> Option<Distribution> {
    if let RawDistribution::Text(text) = &length.value
        && text.0.is_zero()
    {
        check.push(Problem::new(
            length.span.clone(),
            "a fault of no length does nothing",
        ));
        return None;
    }
    let problems = check.problems.len();
    let given = some_time(check, "for", length);
    (check.problems.len() == problems).then_some(given)
}

fn raw_span(raw: &RawFault) -> Range<usize> {
    raw.length
        .as_ref()
        .map_or(0..0, |length| length.span.clone())
}

/// A fault of a known length ends within the run.
fn within(
    check: &mut Check<'_>,
    place: Range<usize>,
    start: Time,
    length: Span,
    end: Time,
) -> Option<()> {
    if start + length <= end {
        return Some(());
    }
    let problem = Problem::new(
        place,
        format!(
            "the fault would last until {}, but the run ends at {end}",
            start + length
        ),
    );
    check.push(problem.help("end the fault within the run, so that what follows is seen"));
    None
}
