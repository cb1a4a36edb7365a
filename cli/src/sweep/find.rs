//! `--find KEY --while CONDITION`: the value at which conditions cease, or begin, to hold.

use anyhow::{Context as _, bail};
use queuelab_record::{Boundary, Sampling, Setting, SweepPoint, percent};

use super::amount::{Amount, setting};
use super::plan::Plan;
use super::runner::Point;
use super::search::{self, REACH, search};
use super::{Sweep, axis, finish};
use crate::batch;
use crate::outcome::Status;
use crate::terminal::ColorChoice;

/// Searches, and prints what was found.
///
/// # Errors
/// As [`super::sweep`].
pub(super) fn find(args: &Sweep, key: &str, color: ColorChoice) -> anyhow::Result<Status> {
    if key == "seed" || key.contains('=') {
        bail!("failed to read --find {key}: it is a key such as load or consumer.workers.count");
    }
    let plan = Plan::new(args, vec![key.to_string()], Some(&args.conditions))?;
    let lattice = Lattice::new(args, key, &plan)?;
    let (search::Ground::Between(first, _) | search::Ground::From(first)) = lattice.ground;
    plan.ground.points(vec![lattice.point(first)])?;
    let mut journal = plan.journal(args, 0)?;
    let bar = batch::bar(&plan.name, 0, "runs", args.quiet);
    let replications = plan.ground.seeds.len();
    let needed = needed(args.share, replications);
    let probe = |values: &[i128]| -> anyhow::Result<Vec<bool>> {
        let points = values.iter().map(|it| lattice.point(*it)).collect();
        let points = plan.ground.points(points)?;
        let missing = |point: &&Point| journal.get(&point.settings).is_none();
        let missing = points.iter().filter(missing).count();
        bar.inc_length((missing * replications) as u64);
        let points = plan.ground.run(&points, &mut journal, &bar)?;
        Ok(points.iter().map(|it| it.holding() >= needed).collect())
    };
    let found = search(lattice.ground, |low, high| lattice.narrow(low, high), probe)?;
    bar.finish_and_clear();
    let points = found.seen.keys().map(|value| {
        let point = journal.get(&lattice.point(*value));
        point.cloned().expect("it was tried")
    });
    let points: Vec<SweepPoint> = points.collect();
    let setting = |value: i128| lattice.point(value).swap_remove(0);
    let (holds, fails) = match found.bracket {
        Some((low, high)) if found.seen[&low] => (Some(low), Some(high)),
        Some((low, high)) => (Some(high), Some(low)),
        None => {
            // The last value before it may change: nobody has looked beyond.
            let held = found.seen.values().next() == Some(&true);
            let edge = match lattice.ground {
                search::Ground::From(_) if !held => found.seen.keys().next(),
                _ => found.seen.keys().next_back(),
            };
            match held {
                true => (edge.copied(), None),
                false => (None, edge.copied()),
            }
        }
    };
    let boundary = Boundary {
        conditions: args.conditions.clone(),
        rule: rule(args.share, needed, replications),
        holds: holds.map(setting),
        fails: fails.map(setting),
        warnings: warnings(found.changes()),
    };
    let settings = points.iter().map(|point| point.settings[0].clone());
    let axes = vec![axis::axis(key, settings)];
    let status = match found.bracket {
        Some(_) => Status::Met,
        None => Status::Undecided,
    };
    let sweep = plan.sweep(Sampling::Bisection, axes, points, Some(boundary));
    finish(args, &plan, &sweep, color)?;
    Ok(status)
}

/// A share of runs: `80%` or `0.8`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|value| value / 100.0),
        None => text.trim().parse::<f64>(),
    };
    match number {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("a share is above 0 and at most 1, such as 80% or 0.8".into()),
    }
}

/// Values as whole numbers: how often the smallest step between them.
struct Lattice {
    /// Gives unit and sign.
    start: Amount,
    /// Digits behind the point of a step.
    scale: u32,
    ground: search::Ground,
    tolerance: Tolerance,
}

enum Tolerance {
    /// Of the value.
    Share(f64),
    /// In steps.
    Steps(i128),
}

impl Lattice {
    fn new(args: &Sweep, key: &str, plan: &Plan) -> anyhow::Result<Lattice> {
        let (start, scale, ground) = match &args.between {
            Some(text) => {
                let read = || format!("failed to read --between {text}");
                let (from, to) = axis::between(text).with_context(read)?;
                let written = from.scale().max(to.scale());
                let whole = to.is_whole() && plan.takes_whole_only(0, &from);
                let scale = if whole {
                    written
                } else {
                    written + MORE_DIGITS
                };
                let ground = search::Ground::Between(from.at(scale), to.at(scale));
                (from, scale, ground)
            }
            None if key == "load" => {
                let one = Amount::parse("1").context("a number")?;
                let scale = LOAD_DIGITS;
                let ground = search::Ground::From(one.at(scale));
                (one, scale, ground)
            }
            None => bail!("where is {key} to be searched? Add --between FROM..TO"),
        };
        let tolerance = tolerance(&args.tolerance, &start, scale)
            .with_context(|| format!("failed to read --tolerance {}", args.tolerance))?;
        Ok(Lattice {
            start,
            scale,
            ground,
            tolerance,
        })
    }

    fn point(&self, value: i128) -> Vec<Setting> {
        let amount = self.start.with(value, self.scale).trimmed();
        vec![setting(&amount.text())]
    }

    fn narrow(&self, low: i128, high: i128) -> bool {
        match self.tolerance {
            Tolerance::Share(share) => {
                let size = low.unsigned_abs().max(high.unsigned_abs());
                (high - low) as f64 <= share * size as f64
            }
            Tolerance::Steps(steps) => high - low <= steps,
        }
    }
}

fn tolerance(text: &str, start: &Amount, scale: u32) -> anyhow::Result<Tolerance> {
    if text.ends_with('%') {
        return Ok(Tolerance::Share(share(text).map_err(anyhow::Error::msg)?));
    }
    let width = Amount::parse(text).filter(|width| width.unit() == start.unit());
    // A width between two steps is rounded down, and none is narrower than a step.
    let steps = |width: Amount| {
        let finer = width.scale().saturating_sub(scale);
        let digits = width.at(scale.max(width.scale()));
        (digits > 0).then(|| (digits / 10_i128.pow(finer)).max(1))
    };
    match width.and_then(steps) {
        Some(steps) => Ok(Tolerance::Steps(steps)),
        _ => bail!(
            "it is a share such as 1%, or a difference in the unit of the values, such as 5{}",
            start.unit()
        ),
    }
}

/// Runs in which conditions have to hold.
fn needed(share: f64, replications: usize) -> usize {
    // A product such as 0.1 · 30 is a little above 3.
    let needed = (share * replications as f64 - 1e-9).ceil() as usize;
    needed.clamp(1, replications)
}

fn rule(share: f64, needed: usize, replications: usize) -> String {
    match needed == replications {
        true => format!("in all {replications} runs"),
        false => format!(
            "in {} of the runs: {needed} of {replications}",
            percent(share)
        ),
    }
}

fn warnings(changes: usize) -> Vec<String> {
    if changes < 2 {
        return Vec::new();
    }
    vec![format!(
        "it holds and fails by turns, {changes} times: this is the lowest boundary that was seen; --between searches elsewhere"
    )]
}

/// Digits behind the point of a load: enough for a thousandth of the scenario.
const LOAD_DIGITS: u32 = 6;

/// Digits that a value has beyond those of the ends of the range.
const MORE_DIGITS: u32 = 4;

const _: () = assert!(
    10_i128.pow(LOAD_DIGITS) > REACH as i128,
    "halving stays above 0"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_runs() {
        assert_eq!(share("80%"), Ok(0.8));
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["0", "0%", "101%", "1.1", "most", "NaN"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert_eq!(
            [needed(1.0, 10), needed(0.8, 10), needed(0.1, 30)],
            [10, 8, 3]
        );
        assert_eq!([needed(0.01, 10), needed(0.75, 3)], [1, 3]);
    }

    #[test]
    fn rules_are_told() {
        assert_eq!(rule(1.0, 10, 10), "in all 10 runs");
        assert_eq!(rule(0.8, 8, 10), "in 80 % of the runs: 8 of 10");
        assert!(warnings(1).is_empty() && warnings(3)[0].contains("3 times"));
    }

    #[test]
    fn a_tolerance_finer_than_the_values_is_rounded_down_to_them() {
        let steps = |text: &str, scale| {
            let start = Amount::parse("20").unwrap();
            match tolerance(text, &start, scale) {
                Ok(Tolerance::Steps(steps)) => Some(steps),
                _ => None,
            }
        };
        for (text, scale, width) in [
            ("0.5", 0, 1),
            ("1.5", 0, 1),
            ("2.9", 0, 2),
            ("5", 0, 5),
            ("0.5", 1, 5),
            ("0.25", 1, 2),
            ("0.01", 1, 1),
        ] {
            assert_eq!(steps(text, scale), Some(width), "{text} at {scale}");
        }
        assert_eq!(steps("0.0", 0), None);
    }

    #[test]
    fn tolerances_are_shares_or_differences() {
        let start = Amount::parse("100/s").unwrap();
        let steps = |text: &str| match tolerance(text, &start, 4) {
            Ok(Tolerance::Steps(steps)) => Some(steps),
            _ => None,
        };
        assert_eq!(steps("5/s"), Some(50_000));
        assert_eq!(steps("0.5/s"), Some(5_000));
        for text in ["5", "5ms", "0/s", "-1%", "wide"] {
            let error = tolerance(text, &start, 4).err();
            assert!(error.is_some(), "{text}");
        }
    }
}
