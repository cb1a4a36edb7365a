//! Each planted bug is seen by a checker within 200 seeds, and what it takes to see it is small.

use queuelab_planted::{Planted, catalogue};
use queuelab_sim::{Broken, Failure, Operation, Outcome, Plan, Watch, attempt, shrink};

/// Runs seeds until the bug is seen; the seed, and what was seen.
fn hunt(planted: &Planted) -> Option<(Plan, Broken)> {
    let scenario = planted.scenario();
    let plan = |seed| Plan {
        bug: Some(planted.bug),
        ..Plan::seeded(seed)
    };
    (1..=200).find_map(|seed| {
        let plan = plan(seed);
        let outcome = attempt(&scenario, &plan, Watch::Checks, None);
        let is_it = |broken: &Broken| match broken {
            Broken::Invariant { name, .. } => name == planted.seen_by,
            Broken::Panic { .. } => planted.seen_by == "panic",
        };
        let mut seen = outcome.violations.into_iter().map(|it| it.broken);
        seen.find(is_it).map(|broken| (plan, broken))
    })
}

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

/// How many operations and faults are left, and in how many runs.
fn small(planted: &Planted, plan: &Plan, broken: &Broken) -> (usize, usize, u32) {
    let scenario = planted.scenario();
    let mut run = |plan: &Plan| {
        let outcome = attempt(&scenario, plan, Watch::Story, Some(broken));
        failure(&outcome, broken)
    };
    let failure = run(plan).expect("a run is repeated exactly");
    let shrunk = shrink(plan, failure, &[], 500, &mut run);
    let kept = shrunk.plan.keep.map(|kept| kept.operations().len());
    let operations = kept.unwrap_or(shrunk.failure.operations.len());
    let faults = shrunk.plan.faults.map_or(0, |faults| faults.len());
    (operations, faults, shrunk.runs)
}

#[test]
fn every_bug_is_seen_and_made_small() {
    let catalogue = catalogue();
    let (mut table, mut unseen, mut few) = (String::new(), Vec::new(), 0);
    for planted in &catalogue {
        let name = planted.bug.name;
        let Some((plan, broken)) = hunt(planted) else {
            unseen.push(name);
            continue;
        };
        let (operations, faults, runs) = small(planted, &plan, &broken);
        few += usize::from(operations <= 10 && faults <= 2);
        let seed = plan.seed;
        table += &format!(
            "{name}: seed {seed}, {broken}: {operations} operations, {faults} faults, {runs} runs\n"
        );
    }
    assert!(unseen.is_empty(), "nobody sees {unseen:?}\n{table}");
    assert!(catalogue.len() >= 20, "{}", catalogue.len());
    assert!(few >= 15, "only {few} are small\n{table}");
}

/// Without a bug nothing is seen in the same workloads: what is seen above is the bug.
#[test]
fn without_a_bug_nothing_is_seen() {
    let mut wrong = Vec::new();
    for planted in catalogue() {
        let scenario = planted.scenario();
        for seed in 1..=3 {
            let outcome = attempt(&scenario, &Plan::seeded(seed), Watch::Checks, None);
            let (name, seen) = (planted.bug.name, &outcome.violations);
            if !seen.is_empty() {
                wrong.push(format!("the workload of {name:?}: {seen:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
