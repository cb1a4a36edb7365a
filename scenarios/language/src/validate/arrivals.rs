//! When messages are sent.

use std::sync::Arc;

use queuelab_core::Span;

use super::Check;
use super::distributions::{distribution, distribution_or_zero, some_time, tail_index};
use crate::error::Problem;
use crate::raw::{
    ArrivalsKind, ArrivalsTable, ProcessKind, RawArrivals, RawProducer, RawRate, RawSegment,
};
use crate::scenario::{Arrivals, Distribution, Phase, Rate, Trace};
use crate::shape::{At, Named, RateText};
use crate::trace::Files;
use crate::units::short;

pub(super) fn arrivals(
    check: &mut Check<'_>,
    at: &At<RawProducer>,
    phases: &[Phase],
    files: &Files<'_>,
) -> Arrivals {
    let raw = &at.value;
    let kind = match raw.arrivals.as_ref().map(|arrivals| &arrivals.value) {
        None => ArrivalsKind::Poisson,
        Some(RawArrivals::Text(kind)) => *kind,
        Some(RawArrivals::Table(table)) => {
            check.misplaced(&raw.think, CLOSED_THINK);
            check.misplaced(&raw.ramp, CLOSED_RAMP);
            return process(check, at, table, phases, files);
        }
    };
    if kind != ArrivalsKind::Closed {
        check.misplaced(&raw.think, CLOSED_THINK);
        check.misplaced(&raw.ramp, CLOSED_RAMP);
    }
    match kind {
        ArrivalsKind::Constant => Arrivals::Constant(needed_rate(check, at, phases)),
        ArrivalsKind::Poisson => Arrivals::Poisson(needed_rate(check, at, phases)),
        ArrivalsKind::Closed => {
            let help = "write `think`, or other arrivals";
            no_rate(
                check,
                raw,
                "closed arrivals have no `rate`: each message waits for the one before",
                help,
            );
            if let Some(burst) = &raw.burst {
                let problem = Problem::new(
                    burst.span.clone(),
                    "closed arrivals have no `burst`: each message waits for the one before",
                );
                check.push(problem.help("write a larger `count`"));
            }
            Arrivals::Closed {
                think: distribution_or_zero(check, &raw.think),
                ramp: raw.ramp.as_ref().map_or(Span::ZERO, |ramp| ramp.value.0),
            }
        }
        ArrivalsKind::Max => {
            no_rate(
                check,
                raw,
                "arrivals = \"max\" have no `rate`: they are as fast as they can be",
                "leave it out, or write other arrivals",
            );
            check.misplaced(&raw.burst, "`burst` does not belong to arrivals = \"max\"");
            Arrivals::Max
        }
    }
}

fn no_rate(check: &mut Check<'_>, raw: &RawProducer, message: &str, help: &str) {
    if let Some(rate) = &raw.rate {
        check.push(Problem::new(rate.span.clone(), message).help(help));
    }
}

fn needed_rate(check: &mut Check<'_>, at: &At<RawProducer>, phases: &[Phase]) -> Rate {
    match &at.value.rate {
        Some(rate) => self::rate(check, rate, phases),
        None => {
            let problem = Problem::new(
                at.span.clone(),
                format!("the producer `{}` has no rate", short(&at.value.name.value)),
            );
            check.push(problem.help("add `rate = \"200/s\"`"));
            Rate {
                segments: Vec::new(),
            }
        }
    }
}

/// Arrivals that are written as a table.
fn process(
    check: &mut Check<'_>,
    at: &At<RawProducer>,
    table: &ArrivalsTable,
    phases: &[Phase],
    files: &Files<'_>,
) -> Arrivals {
    let kind = table.dist.value;
    if kind != ProcessKind::Renewal {
        no_rate(
            check,
            &at.value,
            "these arrivals have no `rate` beside them",
            match kind {
                ProcessKind::Trace => "the file says when messages are sent",
                ProcessKind::Diurnal => "write `mean` in the table of `arrivals`",
                _ => "write it in the table of `arrivals`",
            },
        );
    }
    if kind == ProcessKind::Trace {
        check.misplaced(&at.value.burst, "`burst` does not belong to a trace");
    }
    if !keys_fit(check, table) {
        return Arrivals::Max;
    }
    let rate = |given: &Option<At<RateText>>| given.as_ref().map_or(0.0, |given| given.value.0);
    for given in [&table.rate, &table.mean].into_iter().flatten() {
        if given.value.0 == 0.0 {
            check.push(
                Problem::new(given.span.clone(), "the rate is 0 throughout")
                    .help("leave the producer out"),
            );
        }
    }
    match kind {
        ProcessKind::Mmpp => mmpp(check, table),
        ProcessKind::OnOff => Arrivals::OnOff {
            rate: rate(&table.rate),
            on: on_or_off(check, "on", &table.on),
            off: on_or_off(check, "off", &table.off),
        },
        ProcessKind::ParetoBurst => {
            let alpha = tail_index(check, &table.alpha, 1.5);
            Arrivals::OnOff {
                rate: rate(&table.rate),
                on: pareto_time(check, "on", &table.on, alpha),
                off: pareto_time(check, "off", &table.off, alpha),
            }
        }
        ProcessKind::Diurnal => Arrivals::Diurnal {
            mean: rate(&table.mean),
            amplitude: check.number("amplitude", &table.amplitude, 0.5, 0.0..=1.0),
            period: check.duration("period", &table.period).unwrap_or_default(),
            phase: check.number("phase", &table.phase, 0.0, 0.0..=1.0),
        },
        ProcessKind::Trace => Arrivals::Trace(trace(check, table, files)),
        ProcessKind::Renewal => Arrivals::Renewal {
            rate: needed_rate(check, at, phases),
            gap: on_or_off(check, "gap", &table.gap),
        },
    }
}

/// Every key that the process needs is there, and no other.
fn keys_fit(check: &mut Check<'_>, table: &ArrivalsTable) -> bool {
    use ProcessKind::{Diurnal, Mmpp, OnOff, ParetoBurst, Renewal, Trace};
    fn place<T>(given: &Option<At<T>>) -> Option<std::ops::Range<usize>> {
        given.as_ref().map(|given| given.span.clone())
    }
    let kind = table.dist.value;
    let mut complete = true;
    for (key, given, owners, needed) in [
        ("states", place(&table.states), &[Mmpp][..], true),
        ("rate", place(&table.rate), &[OnOff, ParetoBurst], true),
        ("on", place(&table.on), &[OnOff, ParetoBurst], true),
        ("off", place(&table.off), &[OnOff, ParetoBurst], true),
        ("alpha", place(&table.alpha), &[ParetoBurst], false),
        ("mean", place(&table.mean), &[Diurnal], true),
        ("amplitude", place(&table.amplitude), &[Diurnal], false),
        ("period", place(&table.period), &[Diurnal], true),
        ("phase", place(&table.phase), &[Diurnal], false),
        ("file", place(&table.file), &[Trace], true),
        ("gap", place(&table.gap), &[Renewal], true),
    ] {
        let (span, message) = match given {
            Some(span) if !owners.contains(&kind) => {
                (span, format!("`{key}` does not belong to these arrivals"))
            }
            None if needed && owners.contains(&kind) => {
                complete = false;
                (
                    table.dist.span.clone(),
                    format!("these arrivals have no `{key}`"),
                )
            }
            _ => continue,
        };
        check.push(Problem::new(span, message).help(example(kind)));
    }
    complete
}

fn example(kind: ProcessKind) -> &'static str {
    match kind {
        ProcessKind::Mmpp => {
            "write { dist = \"mmpp\", states = [{ rate = \"50/s\", mean = \"9s\" }, { rate = \"500/s\", mean = \"1s\" }] }"
        }
        ProcessKind::OnOff => {
            "write { dist = \"on-off\", rate = \"500/s\", on = \"1s\", off = \"9s\" }"
        }
        ProcessKind::ParetoBurst => {
            "write { dist = \"pareto-burst\", rate = \"500/s\", on = \"1s\", off = \"9s\", alpha = 1.5 }"
        }
        ProcessKind::Diurnal => {
            "write { dist = \"diurnal\", mean = \"100/s\", amplitude = 0.8, period = \"24h\" }"
        }
        ProcessKind::Trace => "write { dist = \"trace\", file = \"monday.csv\" }",
        ProcessKind::Renewal => {
            "write { dist = \"renewal\", gap = { dist = \"gamma\", mean = \"1s\", cv = 2 } }, and the `rate` of the producer"
        }
    }
}

fn mmpp(check: &mut Check<'_>, table: &ArrivalsTable) -> Arrivals {
    let Some(given) = &table.states else {
        return Arrivals::Max;
    };
    if given.value.len() < 2 || given.value.len() > 1_000 {
        check.push(
            Problem::new(given.span.clone(), "an MMPP has 2 to 1_000 states")
                .help("one state alone is arrivals = \"poisson\""),
        );
    }
    let mut states = Vec::new();
    for state in &given.value {
        let mean = check.duration("mean", &Some(state.mean.clone()));
        states.push((state.rate.0, mean.unwrap_or_default()));
    }
    if states.iter().all(|(rate, _)| *rate == 0.0) {
        check.push(Problem::new(given.span.clone(), "the rate is 0 throughout"));
    }
    Arrivals::Mmpp { states }
}

fn on_or_off(
    check: &mut Check<'_>,
    key: &str,
    given: &Option<At<crate::raw::RawDistribution>>,
) -> Distribution {
    given
        .as_ref()
        .map_or(Distribution::Constant(Span::ZERO), |given| {
            some_time(check, key, given)
        })
}

/// The mean of a Pareto time.
fn pareto_time(
    check: &mut Check<'_>,
    key: &str,
    given: &Option<At<crate::raw::RawDistribution>>,
    alpha: f64,
) -> Distribution {
    let mean = match given.as_ref().map(|given| distribution(check, given)) {
        Some(Distribution::Constant(mean)) if !mean.is_zero() => mean,
        _ => {
            if let Some(given) = given {
                check.push(Problem::new(
                    given.span.clone(),
                    format!(
                        "`{key}` of a pareto-burst is the mean of a Pareto time: a duration above 0"
                    ),
                ));
            }
            Span::ZERO
        }
    };
    Distribution::Pareto { mean, alpha }
}

fn trace(check: &mut Check<'_>, table: &ArrivalsTable, files: &Files<'_>) -> Arc<Trace> {
    let empty = || {
        Arc::new(Trace {
            file: String::new(),
            messages: Vec::new(),
            speed: 1.0,
        })
    };
    let Some(file) = &table.file else {
        return empty();
    };
    match files(&file.value) {
        Ok(trace) => trace,
        Err(error) => {
            let problem = Problem::new(file.span.clone(), error.message);
            check.push(match error.help {
                Some(help) => problem.help(help),
                None => problem,
            });
            empty()
        }
    }
}

fn rate(check: &mut Check<'_>, raw: &At<RawRate>, phases: &[Phase]) -> Rate {
    let segments = match &raw.value {
        RawRate::Text(RateText(rate)) => vec![(*rate, *rate); phases.len()],
        RawRate::List(ends) => whole_ramp(ramp(check, raw, ends), phases),
        RawRate::Table(by_phase) => rate_by_phase(check, raw, by_phase, phases),
    };
    if check.problems.is_empty() && segments.iter().all(|ends| *ends == (0.0, 0.0)) {
        check.push(
            Problem::new(raw.span.clone(), "the rate is 0 throughout")
                .help("leave the producer out"),
        );
    }
    Rate { segments }
}

fn ramp<T>(check: &mut Check<'_>, at: &At<T>, ends: &[RateText]) -> (f64, f64) {
    match ends {
        [RateText(from), RateText(to)] => (*from, *to),
        _ => {
            check.push(
                Problem::new(at.span.clone(), "a ramp has two rates")
                    .help("for example [\"200/s\", \"4000/s\"]"),
            );
            (0.0, 0.0)
        }
    }
}

/// One ramp over the whole run, cut at the phases' ends.
fn whole_ramp((from, to): (f64, f64), phases: &[Phase]) -> Vec<(f64, f64)> {
    let end = phases
        .last()
        .map_or(1.0, |phase| phase.until.as_secs_f64())
        .max(1e-9);
    let at = |secs: f64| from + (to - from) * secs / end;
    phases
        .iter()
        .map(|phase| (at(phase.from.as_secs_f64()), at(phase.until.as_secs_f64())))
        .collect()
}

fn rate_by_phase(
    check: &mut Check<'_>,
    at: &At<RawRate>,
    by_phase: &Named<RawSegment>,
    phases: &[Phase],
) -> Vec<(f64, f64)> {
    let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
    let mut segments = vec![None; phases.len()];
    let mut otherwise = None;
    for (name, rate) in &by_phase.0 {
        let ends = match &rate.value {
            RawSegment::Text(RateText(rate)) => (*rate, *rate),
            RawSegment::List(ends) => ramp(check, rate, ends),
        };
        match names.iter().position(|phase| *phase == name.value) {
            _ if name.value == "else" => otherwise = Some(ends),
            Some(phase) => segments[phase] = Some(ends),
            None => check.push_unknown(name, "phase", names.iter().copied()),
        }
    }
    let missing: Vec<_> = names
        .iter()
        .zip(&segments)
        .filter(|(_, ends)| ends.is_none())
        .map(|(name, _)| *name)
        .collect();
    if otherwise.is_none()
        && let Some(name) = missing.first()
    {
        let problem = Problem::new(
            at.span.clone(),
            format!("there is no rate for the phase `{name}`"),
        );
        check.push(problem.help("add it, or `else = \"200/s\"` for all others"));
    }
    segments
        .into_iter()
        .map(|ends| ends.or(otherwise).unwrap_or((0.0, 0.0)))
        .collect()
}

const CLOSED_THINK: &str = "`think` belongs to arrivals = \"closed\"";
const CLOSED_RAMP: &str = "`ramp` belongs to arrivals = \"closed\"";
