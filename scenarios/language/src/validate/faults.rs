//! Faults: what happens, to whom, and when.

use queuelab_core::{Span, Time};

use super::{Check, Index};
use crate::error::{Problem, suggest};
use crate::overrides::numbered;
use crate::raw::{RawFault, RawFaultKind, RawScenario};
use crate::scenario::{Fault, FaultKind, Members, Phase};
use crate::shape::At;
use crate::units::short;

pub(super) fn faults(
    check: &mut Check<'_>,
    raw: &RawScenario,
    consumers: &Index<'_>,
    phases: &[Phase],
) -> Vec<Fault> {
    let given: Vec<_> = raw
        .fault
        .iter()
        .map(|fault| {
            (
                fault.value.name.as_ref().map(|name| name.value.clone()),
                Some(fault.value.kind.name().to_string()),
            )
        })
        .collect();
    check.index(
        "fault",
        raw.fault
            .iter()
            .filter_map(|fault| fault.value.name.as_ref()),
    );
    let names = numbered(&given);
    raw.fault
        .iter()
        .zip(names)
        .filter_map(|(fault, name)| self::fault(check, fault, name, raw, consumers, phases))
        .collect()
}

fn fault(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: String,
    scenario: &RawScenario,
    consumers: &Index<'_>,
    phases: &[Phase],
) -> Option<Fault> {
    let raw = &at.value;
    let needs_factor = matches!(
        raw.kind,
        RawFaultKind::SlowDisk | RawFaultKind::SlowConsumer
    );
    match &raw.factor {
        Some(factor) if !needs_factor => {
            check.push(Problem::new(
                factor.span.clone(),
                "`factor` belongs to \"slow-disk\" and \"slow-consumer\"",
            ));
        }
        None if needs_factor => {
            check.push(
                Problem::new(
                    at.span.clone(),
                    format!("the fault `{}` has no `factor`", short(&name)),
                )
                .help("add `factor = 10`: how many times as long things take"),
            );
        }
        _ => {}
    }
    let factor = check.number("factor", &raw.factor, 1.0, 0.001..=1e6);
    let when = when(check, at, &name, phases);
    let kind = match raw.kind {
        RawFaultKind::Crash | RawFaultKind::PowerLoss | RawFaultKind::SlowDisk => {
            check.misplaced(&raw.count, "`count` belongs to faults of consumers");
            if let Some(target) = raw.target.as_ref().filter(|target| target.value != "n1") {
                let problem = Problem::new(
                    target.span.clone(),
                    format!("there is no node `{}`", short(&target.value)),
                );
                check.push(problem.help("the only node is `n1`"));
            }
            match raw.kind {
                RawFaultKind::Crash => FaultKind::Crash,
                RawFaultKind::PowerLoss => FaultKind::PowerLoss,
                _ => FaultKind::SlowDisk { factor },
            }
        }
        RawFaultKind::ConsumerCrash => {
            FaultKind::ConsumerCrash(members(check, at, &name, scenario, consumers)?)
        }
        RawFaultKind::SlowConsumer => FaultKind::SlowConsumer {
            members: members(check, at, &name, scenario, consumers)?,
            factor,
        },
        RawFaultKind::PauseConsumer => {
            FaultKind::PauseConsumer(members(check, at, &name, scenario, consumers)?)
        }
    };
    let (at, span) = when?;
    Some(Fault {
        name,
        kind,
        at,
        span,
    })
}

fn members(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    scenario: &RawScenario,
    consumers: &Index<'_>,
) -> Option<Members> {
    let Some(target) = &at.value.target else {
        let known: Vec<_> = consumers.by_name.keys().copied().collect();
        let problem = Problem::new(
            at.span.clone(),
            format!("the fault `{}` has no `target`", short(name)),
        );
        check.push(problem.help(format!(
            "name a group of consumers: {}",
            suggest("", &known)
        )));
        return None;
    };
    let group = check.resolve(target, consumers)?;
    let most = scenario.consumer[group]
        .value
        .count
        .as_ref()
        .map_or(1, |count| count.value.0);
    let count = at
        .value
        .count
        .is_some()
        .then(|| check.count("count", &at.value.count, 1, 1..=most.max(1)));
    Some(Members {
        group,
        count: count.and_then(|count| u32::try_from(count).ok()),
    })
}

/// When the fault starts, and for how long it is on.
fn when(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    phases: &[Phase],
) -> Option<(Time, Span)> {
    let raw = &at.value;
    let end = phases.last().map_or(Time::ZERO, |phase| phase.until);
    let (start, until) = match (&raw.at, &raw.during) {
        (Some(start), None) => {
            let time = Time::ZERO + start.value.0;
            if time >= end {
                check.push(Problem::new(
                    start.span.clone(),
                    format!("the run ends at {end}, before the fault"),
                ));
                return None;
            }
            (time, None)
        }
        (None, Some(during)) => {
            let Some(phase) = phases.iter().find(|phase| phase.name == during.value) else {
                check.push_unknown(
                    during,
                    "phase",
                    phases.iter().map(|phase| phase.name.as_str()),
                );
                return None;
            };
            (phase.from, Some(phase.until))
        }
        _ => {
            let problem = Problem::new(
                at.span.clone(),
                format!("the fault `{}` must say when", short(name)),
            );
            check.push(problem.help("write either `at = \"30s\"` or `during = \"PHASE\"`"));
            return None;
        }
    };
    match (&raw.length, until) {
        (Some(length), _) if length.value.0.is_zero() => {
            check.push(Problem::new(
                length.span.clone(),
                "a fault of no length does nothing",
            ));
            None
        }
        (Some(length), _) if start + length.value.0 > end => {
            let problem = Problem::new(
                length.span.clone(),
                format!(
                    "the fault would last until {}, but the run ends at {end}",
                    start + length.value.0
                ),
            );
            check.push(problem.help("end the fault within the run, so that what follows is seen"));
            None
        }
        (Some(length), _) => Some((start, length.value.0)),
        (None, Some(until)) => Some((start, until - start)),
        (None, None) => {
            let problem = Problem::new(
                at.span.clone(),
                format!("the fault `{}` must say for how long", short(name)),
            );
            check.push(problem.help("add `for = \"20s\"`"));
            None
        }
    }
}
