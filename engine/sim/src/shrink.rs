//! Makes a failing run small: horizon, faults, operations, knobs, as long as the same thing goes wrong.
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28, 2002), by
//! complements only: pieces are left out, large ones first. It knows nothing of simulations but what a run tells, and does the
//! same things in the same order each time.

use queuelab_core::Time;
use queuelab_scenario::Fault;

use crate::plan::{Knob, Mask, Operation, Plan};

/// What a run that goes wrong in the same way tells.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// When it went wrong.
    pub at: Time,
    /// The operations that took place until then, in order.
    pub operations: Vec<Operation>,
    /// The faults that took place until then.
    pub faults: Vec<Fault>,
    /// The operation that it is about, if that is known.
    pub culprit: Option<Operation>,
}

/// A plan that cannot be made smaller, or not within the budget.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// What its run tells.
    pub failure: Failure,
    /// Runs that it took.
    pub runs: u32,
}

/// Makes `plan` small with at most `budget` runs. `run` says how a plan fails in the same way, or `None` if it does not;
/// `knobs` are tried in order.
pub fn shrink(
    plan: &Plan,
    failure: Failure,
    knobs: &[Knob],
    budget: u32,
    run: &mut dyn FnMut(&Plan) -> Option<Failure>,
) -> Shrunk {
    let mut search = Search {
        best: plan.clone(),
        failure,
        runs: 0,
        budget,
        run,
    };
    search.horizon();
    search.faults();
    search.operations();
    // With little left to run, what could not go before may go now.
    search.horizon();
    search.faults();
    for knob in knobs {
        search.knob(*knob);
    }
    search.operations();
    Shrunk {
        plan: search.best,
        failure: search.failure,
        runs: search.runs,
    }
}

struct Search<'a> {
    best: Plan,
    failure: Failure,
    runs: u32,
    budget: u32,
    run: &'a mut dyn FnMut(&Plan) -> Option<Failure>,
}

impl Search<'_> {
    /// Takes a plan if it fails in the same way.
    fn accepts(&mut self, plan: Plan) -> bool {
        if self.runs >= self.budget {
            return false;
        }
        self.runs += 1;
        match (self.run)(&plan) {
            Some(failure) => {
                self.best = plan;
                self.failure = failure;
                true
            }
            None => false,
        }
    }

    /// To where it goes wrong, or, where that shows at the end of a run only, to half of that, and again.
    fn horizon(&mut self) {
        let with = |plan: &Plan, at: u64| Plan {
            horizon: Some(Time(at)),
            ..plan.clone()
        };
        let at = self.failure.at.0;
        if self.best.horizon == Some(Time(at)) || !self.accepts(with(&self.best, at)) {
            return;
        }
        for _ in 0..HALVINGS {
            let half = self.failure.at.0 / 2;
            if half == 0 || !self.accepts(with(&self.best, half)) {
                return;
            }
        }
    }

    /// To those that took place, then to those that matter.
    fn faults(&mut self) {
        let taken = self.failure.faults.clone();
        if self.best.faults.as_ref() != Some(&taken) {
            let plan = self.with_faults(taken);
            self.accepts(plan);
        }
        let Some(faults) = self.best.faults.clone() else {
            return;
        };
        minimise(faults, &mut |faults| {
            let plan = self.with_faults(faults);
            self.accepts(plan)
        });
    }

    fn with_faults(&self, faults: Vec<Fault>) -> Plan {
        Plan {
            faults: Some(faults),
            ..self.best.clone()
        }
    }

    /// To those that took place, then to the one that it is about and a few around it, then to those that matter.
    fn operations(&mut self) {
        let taken = self.failure.operations.clone();
        if taken.is_empty() {
            return;
        }
        let kept = self.best.keep.as_ref();
        if kept.is_none_or(|kept| kept.operations().len() > taken.len()) {
            let plan = self.with_operations(taken.clone());
            if !self.accepts(plan) {
                return;
            }
        }
        self.few(&taken);
        let Some(kept) = self.best.keep.as_ref() else {
            return;
        };
        minimise(kept.operations().to_vec(), &mut |operations| {
            let plan = self.with_operations(operations);
            self.accepts(plan)
        });
    }

    /// The first, or the last, so many operations, with the one that it is about: the first of such handfuls that is enough.
    fn few(&mut self, taken: &[Operation]) {
        let culprit = self.failure.culprit;
        let mut size = 1;
        while size < taken.len() {
            let around = culprit.and_then(|culprit| taken.iter().position(|it| *it == culprit));
            let around = around.unwrap_or(taken.len() - 1).min(taken.len() - size);
            let before = (around + 1).saturating_sub(size);
            let starts = [taken.len() - size, before, around, 0];
            for start in starts {
                let mut operations = taken[start..start + size].to_vec();
                operations.extend(culprit);
                let plan = self.with_operations(operations);
                if self.accepts(plan) {
                    return;
                }
            }
            size *= 4;
        }
    }

    fn with_operations(&self, operations: Vec<Operation>) -> Plan {
        Plan {
            keep: Some(Mask::new(operations)),
            ..self.best.clone()
        }
    }

    fn knob(&mut self, knob: Knob) {
        let mut plan = self.best.clone();
        plan.knobs.push(knob);
        self.accepts(plan);
    }
}

/// Leaves out pieces of a list, large ones first, as long as `accepts` the rest.
fn minimise<T: Clone>(mut list: Vec<T>, accepts: &mut dyn FnMut(Vec<T>) -> bool) {
    if !list.is_empty() && accepts(Vec::new()) {
        return;
    }
    let mut piece = list.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < list.len() {
            let end = (at + piece).min(list.len());
            let rest = [&list[..at], &list[end..]].concat();
            if !rest.is_empty() && accepts(rest.clone()) {
                list = rest;
            } else {
                at = end;
            }
        }
        piece = if piece == 1 {
            0
        } else {
            piece.min(list.len()).div_ceil(2).min(piece - 1)
        };
    }
}

/// How often a horizon is halved.
const HALVINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(count: u64) -> Vec<Operation> {
        let operation = |sequence| Operation {
            producer: (sequence % 3) as u32,
            sequence,
        };
        (0..count).map(operation).collect()
    }

    /// Fails if all of `needed` take place; late ones make it fail later.
    fn shrunk(needed: &[u64], budget: u32) -> Shrunk {
        let all = operations(1_000);
        let mut run = |plan: &Plan| {
            let left: Vec<Operation> = match &plan.keep {
                Some(mask) => mask.operations().to_vec(),
                None => all.clone(),
            };
            let there = |sequence: &u64| left.iter().any(|it| it.sequence == *sequence);
            let end = plan.horizon.map_or(u64::MAX, |horizon| horizon.0);
            let at = needed.iter().max().copied().unwrap_or_default();
            (needed.iter().all(there) && at <= end).then(|| Failure {
                at: Time(at),
                operations: left
                    .iter()
                    .filter(|it| it.sequence <= at)
                    .copied()
                    .collect(),
                ..Failure::default()
            })
        };
        let plan = Plan::seeded(7);
        let failure = run(&plan).expect("it fails with everything");
        shrink(&plan, failure, &[], budget, &mut run)
    }

    #[test]
    fn what_is_needed_stays_and_nothing_else() {
        for needed in [
            &[500][..],
            &[3, 400],
            &[0, 1, 2, 3, 999],
            &[17, 330, 331, 640],
        ] {
            let shrunk = shrunk(needed, 2_000);
            let kept = shrunk.plan.keep.expect("operations are masked");
            let mut kept: Vec<u64> = kept.operations().iter().map(|it| it.sequence).collect();
            kept.sort_unstable();
            assert_eq!(kept, needed, "{} runs", shrunk.runs);
            assert_eq!(shrunk.plan.horizon, Some(Time(*needed.last().unwrap())));
        }
    }

    #[test]
    fn a_budget_is_kept_and_what_is_found_within_it_counts() {
        let shrunk = shrunk(&[17, 330, 331, 640], 20);
        assert!(shrunk.runs <= 20);
        let kept = shrunk.plan.keep.expect("operations are masked");
        assert!(kept.operations().len() < 700);
    }
}
