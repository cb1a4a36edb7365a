//! A run as CI reads it.

use std::time::Duration;

use queuelab_record::{RunRecord, Verdict};

use super::Plan;
use crate::args::Run;
use crate::ci::{self, Case, Place, Suite};
use crate::summary::{self, Context, shell_word};

/// A case per expectation, and per violation that nobody expected.
pub(super) fn of(
    plan: &Plan,
    args: &Run,
    record: &RunRecord,
    context: &Context,
    wall: Duration,
) -> Suite {
    let place = |text: &str| -> Option<Place> {
        let source = &plan.job.scenario.source;
        match &args.expect {
            None => ci::place(&plan.job.typed, source, text),
            Some(path) => {
                let grading = std::fs::read_to_string(path).ok()?;
                ci::place(&path.display().to_string(), &grading, text)
            }
        }
    };
    let expected = record.expectations.len();
    let judgements = summary::judgements(record, context).into_iter().enumerate();
    let cases = judgements.map(|(index, judgement)| {
        let mut details: Vec<String> = judgement.elsewhere.into_iter().collect();
        if judgement.verdict == Verdict::Fail {
            let named = judgement.text.split_whitespace().next();
            let invariants = record.invariants.iter();
            let broken = invariants.filter(|it| Some(it.name.as_str()) == named);
            details.extend(broken.flat_map(|it| it.examples.iter().take(3).cloned()));
        }
        Case {
            place: match index < expected {
                true => place(&judgement.text),
                false => ci::file(&plan.job.typed),
            },
            name: judgement.text,
            verdict: judgement.verdict,
            measured: judgement.measured,
            details,
        }
    });
    let mut notes: Vec<String> = record.answer.iter().cloned().collect();
    notes.extend(context.warnings.iter().cloned());
    notes.extend(context.ensemble.iter().flat_map(|it| it.warnings()));
    Suite {
        name: format!("run {}", plan.job.scenario.name),
        command: command(plan, args),
        wall,
        cases: cases.collect(),
        notes,
    }
}

/// What to type to see it again.
fn command(plan: &Plan, args: &Run) -> String {
    let mut words = vec!["queuelab run".to_string(), shell_word(&plan.job.typed)];
    words.push(format!("--seed {}", plan.job.seed));
    let sets = args.variation.set.iter();
    words.extend(sets.map(|set| format!("--set {}", shell_word(set))));
    if let Some(path) = &args.expect {
        let path = path.display().to_string();
        words.push(format!("--expect {}", shell_word(&path)));
    }
    words.extend(
        args.replications
            .map(|count| format!("--replications {count}")),
    );
    words.extend(args.precision.map(|share| format!("--precision {share}")));
    words.join(" ")
}
