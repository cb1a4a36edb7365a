//! What has changed since a baseline. A pure function of two of them.

use std::collections::BTreeMap;

use queuelab_record::statistics::{fisher, holm, unpaired};
use queuelab_record::{
    Contrast, EventTrace, ExpectationEnsemble, Finding, Parting, Preference, Quantity, Unit,
    Verdict, preference,
};

use super::file::{Baseline, Kept, WallClock};

/// How strict one is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    /// The chance of one or more false alarms in a check, at most.
    pub(super) level: f64,
    /// Differences of means up to this share of the baseline's are none.
    pub(super) tolerance: f64,
    /// Behaviour may differ if performance doesn't.
    pub(super) allow_behaviour: bool,
    /// Real time is judged too.
    pub(super) wall_clock: bool,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Changes {
    /// Of the baseline or of now, whichever has fewer.
    pub(super) runs: usize,
    /// Where the events part; nothing if they are the same.
    pub(super) parting: Option<Parting>,
    /// Figures, in the order of the baseline, those that did not change too.
    pub(super) figures: Vec<Figure>,
    /// Invariants that are violated now and were not, with how many seeds.
    pub(super) violations: Vec<(String, usize)>,
    /// Real time.
    pub(super) wall_clock: Clock,
}

/// A figure, then and now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// What.
    pub(super) of: Of,
    /// How likely it would look so different if nothing had changed, adjusted for all figures.
    pub(super) p_adjusted: f64,
    /// What that means.
    pub(super) change: Change,
}

/// What a figure is of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Of {
    /// The values of a metric.
    Values {
        quantity: Quantity,
        unit: Option<Unit>,
        /// The mean in the baseline.
        then: f64,
        /// The mean now.
        now: f64,
        contrast: Contrast,
        /// The smallest difference that would be found, at this spread and with so many runs and figures.
        detectable: f64,
    },
    /// In how many runs a metric came to pass.
    CameToPass {
        quantity: Quantity,
        then: [u64; 2],
        now: [u64; 2],
    },
    /// In how many runs an expectation was met.
    Met {
        text: String,
        then: [u64; 2],
        now: [u64; 2],
    },
}

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that chance would not do.
    Same,
    /// For the better.
    Better,
    /// For the worse.
    Worse,
    /// One may want it or not.
    Other,
}

/// What became of real time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Clock {
    /// The baseline has none, or nobody asked.
    Unasked,
    /// The baseline's is of another machine.
    Elsewhere {
        /// The baseline's.
        then: String,
        /// This one.
        now: String,
    },
    /// Asked for, but the baseline has none.
    Missing,
    /// Of the same machine.
    Here {
        /// Mean seconds in the baseline.
        then: f64,
        /// Now.
        now: f64,
        /// How likely, if nothing had changed.
        p: f64,
        change: Change,
    },
}

impl Changes {
    /// What has changed from one to the other.
    pub(super) fn between(
        (then, then_events): (&Baseline, &EventTrace),
        (now, now_events): (&Baseline, &EventTrace),
        rules: &Rules,
    ) -> Changes {
        let mut compared: Vec<(Of, f64)> = Vec::new();
        // The first of so many has to be below this share of the level.
        let most = (then.metrics.len() + then.expectations.len()).max(1);
        let level = rules.level / most as f64;
        for kept in &then.metrics {
            let other = now.metrics.iter().find(|it| it.quantity == kept.quantity);
            compared.extend(other.and_then(|other| metric((then, kept), (now, other), level)));
        }
        for expectation in &then.expectations {
            let mut others = now.expectations.iter();
            let other = others.find(|it| it.text == expectation.text);
            compared.extend(other.map(|other| met(expectation, other)));
        }
        let p: Vec<f64> = compared.iter().map(|(_, p)| *p).collect();
        let figures = compared
            .into_iter()
            .zip(holm(&p))
            .map(|((of, _), p_adjusted)| Figure {
                change: of.judged(p_adjusted, rules),
                of,
                p_adjusted,
            });
        Changes {
            runs: then.seeds.len().min(now.seeds.len()),
            parting: then_events.parting(now_events),
            figures: figures.collect(),
            violations: now
                .violations
                .iter()
                .filter(|it| {
                    then.violations
                        .iter()
                        .all(|known| known.invariant != it.invariant)
                })
                .map(|it| (it.invariant.clone(), it.seeds.len()))
                .collect(),
            wall_clock: clock(then.wall_clock.as_ref(), now.wall_clock.as_ref(), rules),
        }
    }

    /// Whether it may stay so.
    pub(super) fn verdict(&self, rules: &Rules) -> Verdict {
        let behaviour = self.parting.is_some() && !rules.allow_behaviour;
        let performance = self.figures.iter().any(Figure::is_for_the_worse);
        let clock = match &self.wall_clock {
            Clock::Unasked => Verdict::Pass,
            Clock::Elsewhere { .. } | Clock::Missing => match rules.wall_clock {
                true => Verdict::Undecided,
                false => Verdict::Pass,
            },
            Clock::Here { change, .. } => match change {
                Change::Worse => Verdict::Fail,
                _ => Verdict::Pass,
            },
        };
        if behaviour || performance || !self.violations.is_empty() {
            return Verdict::Fail;
        }
        let known = match self.figures.is_empty() || self.is_blind() {
            true => Verdict::Undecided,
            false => Verdict::Pass,
        };
        Verdict::worst([known, clock])
    }

    /// Whether nothing was found although nothing could be: some figures vary, and the spread of so few runs is known too badly for any
    /// change to stand out from it.
    pub(super) fn is_blind(&self) -> bool {
        let varies = |figure: &Figure| matches!(figure.of, Of::Values { detectable, .. } if detectable > 0.0);
        self.runs < RUNS_MIN && self.changed().next().is_none() && self.figures.iter().any(varies)
    }

    /// The figures of which the smallest and the largest change would be needed to be found, with that change as a share of the figure.
    /// Nothing if no figure varies: then any change would be.
    pub(super) fn detectable(&self) -> Option<[(&Figure, f64); 2]> {
        let share = |figure: &'_ Figure| match figure.of {
            Of::Values {
                then, detectable, ..
            } if then != 0.0 && detectable > 0.0 => Some(detectable / then.abs()),
            _ => None,
        };
        let all = || self.figures.iter().filter_map(|it| Some((it, share(it)?)));
        let least = all().min_by(|left, right| left.1.total_cmp(&right.1))?;
        let most = all().max_by(|left, right| left.1.total_cmp(&right.1))?;
        Some([least, most])
    }

    /// Figures that changed.
    pub(super) fn changed(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|it| it.change != Change::Same)
    }
}

impl Figure {
    /// Whether one has to look at it. What may be wanted or not is for people to say.
    pub(super) fn is_for_the_worse(&self) -> bool {
        matches!(self.change, Change::Worse | Change::Other)
    }
}

impl Of {
    /// As expectations write it.
    pub(super) fn name(&self) -> String {
        match self {
            Of::Values { quantity, .. } | Of::CameToPass { quantity, .. } => quantity.to_string(),
            Of::Met { text, .. } => text.clone(),
        }
    }

    fn judged(&self, p_adjusted: f64, rules: &Rules) -> Change {
        if p_adjusted >= rules.level {
            return Change::Same;
        }
        match self {
            Of::Values {
                quantity,
                then,
                contrast,
                ..
            } => {
                let mut contrast = *contrast;
                contrast.judge(p_adjusted, rules.level);
                let small = contrast.interval.estimate.abs() <= rules.tolerance * then.abs();
                match (contrast.finding, preference(&quantity.metric)) {
                    (Finding::Nothing, _) => Change::Same,
                    _ if small => Change::Same,
                    (_, Preference::Neither) => Change::Other,
                    (Finding::Less, Preference::Less) | (Finding::More, Preference::More) => {
                        Change::Better
                    }
                    _ => Change::Worse,
                }
            }
            Of::CameToPass { then, now, .. } | Of::Met { then, now, .. } => {
                let share = |[hit, miss]: [u64; 2]| hit as f64 / (hit + miss).max(1) as f64;
                match share(*now) < share(*then) {
                    true => Change::Worse,
                    false => Change::Better,
                }
            }
        }
    }
}

/// A metric then and now, and how likely it looks so different by chance; nothing if there is nothing to compare. A difference is found if
/// that is below `level`.
fn metric(
    (then, kept): (&Baseline, &Kept),
    (now, other): (&Baseline, &Kept),
    level: f64,
) -> Option<(Of, f64)> {
    if kept.never + other.never > 0 {
        let shares = |kept: &Kept| {
            let known = kept.values.iter().flatten().count() as u64;
            [known, kept.never as u64]
        };
        let (then, now) = (shares(kept), shares(other));
        let of = Of::CameToPass {
            quantity: kept.quantity.clone(),
            then,
            now,
        };
        return Some((of, fisher(then, now)));
    }
    let (old, new) = (by_seed(then, kept), by_seed(now, other));
    let contrast = Contrast::between(&old, &new, CONFIDENCE)?;
    let of = Of::Values {
        quantity: kept.quantity.clone(),
        unit: kept.unit.or(other.unit),
        then: mean(old.values())?,
        now: mean(new.values())?,
        contrast,
        // Zero is outside of an interval of that confidence if p is below the level.
        detectable: Contrast::between(&old, &new, 1.0 - level)?
            .interval
            .half_width,
    };
    Some((of, contrast.p))
}

fn by_seed(baseline: &Baseline, kept: &Kept) -> BTreeMap<u64, f64> {
    let values = baseline.seeds.iter().zip(&kept.values);
    values
        .filter_map(|(seed, value)| Some((*seed, (*value)?)))
        .collect()
}

fn met(then: &ExpectationEnsemble, now: &ExpectationEnsemble) -> (Of, f64) {
    let shares = |it: &ExpectationEnsemble| {
        let others = it.unmet.len() + it.undecided.len();
        [it.met as u64, others as u64]
    };
    let p = fisher(shares(then), shares(now));
    let of = Of::Met {
        text: then.text.clone(),
        then: shares(then),
        now: shares(now),
    };
    (of, p)
}

fn clock(then: Option<&WallClock>, now: Option<&WallClock>, rules: &Rules) -> Clock {
    let (Some(then), Some(now)) = (then, now) else {
        return match (rules.wall_clock, then) {
            (true, None) => Clock::Missing,
            _ => Clock::Unasked,
        };
    };
    if then.host != now.host {
        return Clock::Elsewhere {
            then: then.host.to_string(),
            now: now.host.to_string(),
        };
    }
    let compared = unpaired(&then.seconds, &now.seconds, CONFIDENCE);
    let means = mean(then.seconds.iter()).zip(mean(now.seconds.iter()));
    let (Some(compared), Some((before, after))) = (compared, means) else {
        return Clock::Missing;
    };
    let small = (after - before).abs() <= rules.tolerance * before;
    Clock::Here {
        then: before,
        now: after,
        p: compared.p,
        change: match compared.p >= rules.level || small {
            true => Change::Same,
            false if after > before => Change::Worse,
            false => Change::Better,
        },
    }
}

fn mean<'a>(values: impl Iterator<Item = &'a f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

/// With fewer runs, only changes many times as large as a figure's spread are found.
const RUNS_MIN: usize = 5;

/// Of intervals that are shown.
const CONFIDENCE: f64 = 0.95;
