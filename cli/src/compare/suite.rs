//! A comparison as CI reads it: a suite per design.

use std::time::Duration;

use queuelab_record::{Comparison, Ensemble, ExpectationEnsemble, Finding, Variant, Verdict};

use crate::ci::{Case, Suite};

/// A suite per design; the differences that were found are notes of the first.
pub(super) fn suites(comparison: &Comparison, command: &str, wall: Duration) -> Vec<Suite> {
    let suite = |(at, variant): (usize, &Variant)| Suite {
        name: format!("compare {}", variant.label),
        command: command.into(),
        // All designs ran at once, as it were: the time is told once.
        wall: if at == 0 { wall } else { Duration::ZERO },
        cases: match (&variant.ensemble, &variant.refused) {
            (Some(ensemble), _) => cases(ensemble),
            (None, refused) => vec![case(
                "the language accepts it",
                Verdict::Undecided,
                refused.clone().unwrap_or_default(),
            )],
        },
        notes: if at == 0 {
            found(comparison)
        } else {
            Vec::new()
        },
    };
    comparison.variants.iter().enumerate().map(suite).collect()
}

fn cases(ensemble: &Ensemble) -> Vec<Case> {
    let all = ensemble.seeds.len();
    let expectation = |it: &ExpectationEnsemble| {
        let verdict = super::verdict_of_expectation(ensemble, it);
        case(
            &it.text,
            verdict,
            format!("met in {} of {all} runs", it.met),
        )
    };
    let expectations = ensemble.expectations.iter().map(expectation);
    let violations = ensemble.violations.iter().map(|it| {
        let seeds = it.seeds.len();
        case(
            &it.invariant,
            Verdict::Fail,
            format!("violated in {seeds} of {all} runs"),
        )
    });
    expectations.chain(violations).collect()
}

fn case(name: &str, verdict: Verdict, measured: String) -> Case {
    Case {
        name: name.into(),
        verdict,
        measured,
        details: Vec::new(),
        place: None,
    }
}

fn found(comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    for metric in &comparison.metrics {
        for (variant, difference) in comparison.variants.iter().zip(&metric.differences) {
            let Some(difference) = difference.filter(|it| it.finding != Finding::Nothing) else {
                continue;
            };
            let words = super::text::words(comparison, metric, &difference);
            notes.push(format!(
                "{}: {} {} ({words})",
                metric.quantity,
                variant.label,
                super::text::interval(metric, &difference)
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use queuelab_record::fixture;

    use super::*;

    #[test]
    fn each_design_is_a_suite() {
        let suites = suites(&fixture::comparison(), "queuelab compare", Duration::ZERO);
        let names: Vec<&str> = suites.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names[..2],
            ["compare rabbitmq-classic", "compare redis-stream"]
        );
        assert_eq!(suites[3].verdict(), Verdict::Undecided);
        assert!(suites[3].cases[0].measured.contains("replication"));
        assert_eq!(
            suites[0].cases.len(),
            fixture::flash_sale().expectations.len()
        );
        assert_eq!(suites[0].notes.len(), 3, "{:?}", suites[0].notes);
        assert!(suites[1].notes.is_empty());
    }
}
