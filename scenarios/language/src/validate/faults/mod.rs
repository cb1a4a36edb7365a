//! Faults: what happens, to whom, and when.

mod kind;
mod target;
mod when;

use std::ops::Range;

use queuelab_core::Time;

use super::{Check, Index};
use crate::error::Problem;
use crate::fault::{Fault, FaultBudget};
use crate::overrides::numbered;
use crate::raw::{RawFault, RawScenario};
use crate::scenario::{Phase, Scenario};
use crate::shape::At;
use crate::units::short;
use kind::Row;

/// What a fault may name.
pub(super) struct Places<'n> {
    pub(super) raw: &'n RawScenario,
    pub(super) producers: &'n Index<'n>,
    pub(super) consumers: &'n Index<'n>,
    pub(super) queues: &'n Index<'n>,
    pub(super) phases: &'n [Phase],
}

impl Places<'_> {
    fn end(&self) -> Time {
        self.phases.last().map_or(Time::ZERO, |phase| phase.until)
    }
}

pub(super) fn faults(check: &mut Check<'_>, places: &Places<'_>) -> Vec<Fault> {
    let raw = &places.raw.fault;
    let given: Vec<_> = raw
        .iter()
        .map(|fault| {
            let name = fault.value.name.as_ref().map(|name| name.value.clone());
            (name, Some(Row::of(fault.value.kind).name.to_string()))
        })
        .collect();
    let named = raw.iter().filter_map(|fault| fault.value.name.as_ref());
    check.index("fault", named);
    raw.iter()
        .zip(numbered(&given))
        .filter_map(|(fault, name)| self::fault(check, fault, name, places))
        .collect()
}

fn fault(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: String,
    places: &Places<'_>,
) -> Option<Fault> {
    let row = Row::of(at.value.kind);
    keys_fit(check, at, &name, row);
    let when = when::when(check, at, &name, row, places);
    let kind = kind::kind(check, at, &name, row, places);
    let (when, span) = when?;
    Some(Fault {
        draw: draw(&name),
        name,
        kind: kind?,
        when,
        span,
    })
}

/// Every key that the kind needs is there, and none that it does not know.
fn keys_fit(check: &mut Check<'_>, at: &At<RawFault>, name: &str, row: &Row) {
    for (key, given) in parameters(&at.value) {
        let known = row.keys.contains(&key) || row.needs.contains(&key);
        match given {
            Some(span) if !known => {
                let problem = Problem::new(
                    span,
                    format!("`{key}` does not belong to the fault \"{}\"", row.name),
                );
                check.push(problem.help(takes(row)));
            }
            // A phase, or a coin, ends it too.
            None if key == "for" && (at.value.during.is_some() || at.value.each_step.is_some()) => {
            }
            None if row.needs.contains(&key) => {
                let problem = Problem::new(
                    at.span.clone(),
                    format!("the fault `{}` has no `{key}`", short(name)),
                );
                check.push(problem.help(kind::remedy(key)));
            }
            _ => {}
        }
    }
}

/// The keys that only some kinds have, and where they are given.
fn parameters(raw: &RawFault) -> [(&'static str, Option<Range<usize>>); 20] {
    fn place<T>(given: &Option<At<T>>) -> Option<Range<usize>> {
        given.as_ref().map(|given| given.span.clone())
    }
    [
        ("for", place(&raw.length)),
        ("count", place(&raw.count)),
        ("factor", place(&raw.factor)),
        ("unsynced", place(&raw.unsynced)),
        ("grace", place(&raw.grace)),
        ("bytes", place(&raw.bytes)),
        ("bandwidth", place(&raw.bandwidth)),
        ("iops", place(&raw.iops)),
        ("p", place(&raw.p)),
        ("bits", place(&raw.bits)),
        ("of", place(&raw.of)),
        ("extra", place(&raw.extra)),
        ("direction", place(&raw.direction)),
        ("unaware", place(&raw.unaware)),
        ("by", place(&raw.by)),
        ("ppm", place(&raw.ppm)),
        ("period", place(&raw.period)),
        ("size", place(&raw.size)),
        ("durability", place(&raw.durability)),
        ("weight", place(&raw.weight)),
    ]
}

fn takes(row: &Row) -> String {
    let keys: Vec<_> = row
        .needs
        .iter()
        .chain(row.keys)
        .map(|key| format!("`{key}`"))
        .collect();
    match keys.is_empty() {
        true => "leave it out".into(),
        false => format!("it takes {}", keys.join(", ")),
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): a fault's random stream goes by its name, so that others may come and go.
fn draw(name: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
}

/// What faults there may be: as said, or recoverable if all are.
pub(super) fn budget(raw: &RawScenario, faults: &[Fault]) -> FaultBudget {
    match &raw.budget {
        Some(given) => given.value.into(),
        None if faults.iter().all(|fault| fault.kind.recoverable()) => FaultBudget::Recoverable,
        None => FaultBudget::Unrestricted,
    }
}

/// When everything is healed, if that is said.
pub(super) fn heal(check: &mut Check<'_>, raw: &RawScenario, end: Time) -> Option<Time> {
    let given = raw.heal.as_ref()?;
    let heal = Time::ZERO + given.value.0;
    if heal >= end {
        let problem = Problem::new(
            given.span.clone(),
            format!("the run ends at {end}, before everything is healed"),
        );
        check.push(problem.help("leave some of the run to see what follows"));
    }
    Some(heal)
}

/// With a recoverable budget no fault may take what was confirmed.
pub(super) fn within_budget(check: &mut Check<'_>, raw: &RawScenario, scenario: &Scenario) {
    if raw.budget.is_none() || scenario.budget != FaultBudget::Recoverable {
        return;
    }
    for (fault, at) in scenario.faults.iter().zip(&raw.fault) {
        if scenario.survives(&fault.kind) {
            continue;
        }
        let what = match fault.kind.recoverable() {
            true => "takes what a queue of this scenario has confirmed",
            false => "cannot be recovered from",
        };
        let problem = Problem::new(
            at.span.clone(),
            format!("the fault `{}` {what}", short(&fault.name)),
        );
        check.push(problem.help("write budget = \"unrestricted\", or leave `budget` out"));
    }
}
