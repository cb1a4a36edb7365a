//! Verdicts: what became of the expectations, and the answer in a sentence.

use queuelab_record::{ExpectationRecord, Measured, RunRecord, Verdict};
use queuelab_scenario::{AnswerPart, Claim, Comparison, Expectation, MetricRef, Scenario};

/// Fills in expectations, answer and suggestions. Before the run has `ended` nothing is decided.
pub fn judge(record: &mut RunRecord, scenario: &Scenario, ended: bool) {
    record.expectations = scenario
        .expectations
        .iter()
        .map(|expectation| expect(record, expectation, ended))
        .collect();
    record.answer = (ended && scenario.answer.is_some()).then(|| fill(record, scenario));
    let suggestions = scenario.suggestions.iter().map(|suggestion| {
        let overrides: Vec<String> = suggestion
            .set
            .iter()
            .map(|set| format!(" --set {}", quoted(set)))
            .collect();
        (
            format!("queuelab run {}{}", scenario.name, overrides.concat()),
            suggestion.ask.clone(),
        )
    });
    record.suggestions = suggestions.collect();
}

fn expect(record: &RunRecord, expectation: &Expectation, ended: bool) -> ExpectationRecord {
    let (verdict, measured) = match &expectation.claim {
        Claim::Metric {
            metric,
            comparison,
            value,
        } => measure(record, metric, *comparison, *value),
        Claim::Invariant { name, of, violated } => {
            invariant(record, name, of.as_deref(), *violated)
        }
    };
    let verdict = if ended { verdict } else { Verdict::Undecided };
    ExpectationRecord {
        text: expectation.text.clone(),
        verdict,
        measured,
    }
}

fn measure(
    record: &RunRecord,
    metric: &MetricRef,
    comparison: Comparison,
    limit: f64,
) -> (Verdict, String) {
    let measured = match record.metric(&metric.name, metric.of.as_deref(), metric.phase.as_deref())
    {
        Ok(measured) => measured,
        Err(error) => return (Verdict::Undecided, error.to_string()),
    };
    let verdict = match measured {
        Measured::Value {
            value, at_least, ..
        } => decide(value, at_least, comparison, limit),
        Measured::Never => Verdict::Fail,
        Measured::NoSamples => Verdict::Undecided,
    };
    (verdict, measured.to_string())
}

/// A lower bound refutes what should be small, and proves what should be large; else it decides nothing.
fn decide(value: f64, at_least: bool, comparison: Comparison, limit: f64) -> Verdict {
    let holds = comparison.holds(value, limit);
    let open = match comparison {
        Comparison::Less | Comparison::AtMost => holds,
        Comparison::Greater | Comparison::AtLeast => !holds,
        Comparison::Equal => value <= limit,
    };
    match (at_least && open, holds) {
        (true, _) => Verdict::Undecided,
        (false, true) => Verdict::Pass,
        (false, false) => Verdict::Fail,
    }
}

fn invariant(
    record: &RunRecord,
    name: &str,
    of: Option<&str>,
    violated: bool,
) -> (Verdict, String) {
    let Some(invariant) = record
        .invariants
        .iter()
        .find(|invariant| invariant.name == name)
    else {
        return (Verdict::Undecided, "not checked".into());
    };
    let violations = match of {
        None => invariant.violations,
        Some(of) => {
            let queues = record.queues.iter().zip(&invariant.by_queue);
            let named = queues.filter(|(queue, _)| queue.is_part_of(of));
            named.map(|(_, violations)| violations).sum()
        }
    };
    let verdict = match (invariant.compared, violations > 0) {
        (0, _) => Verdict::Undecided,
        (_, seen) if seen == violated => Verdict::Pass,
        _ => Verdict::Fail,
    };
    let measured = match (record.trust.checked, violations) {
        (false, _) => "not checked".into(),
        (true, 0) => format!(
            "{} events compared",
            queuelab_record::grouped(invariant.compared)
        ),
        (true, 1) => "1 violation".into(),
        (true, many) => format!("{} violations", queuelab_record::grouped(many)),
    };
    let losses = invariant
        .losses
        .filter(|_| violations == invariant.violations);
    let measured = match losses {
        Some(losses) if violations > 0 => format!("{measured}: {losses}"),
        _ => measured,
    };
    (verdict, measured)
}

/// The author's answer with what was measured in its holes.
fn fill(record: &RunRecord, scenario: &Scenario) -> String {
    let parts = scenario.answer_parts().into_iter().map(|part| match part {
        AnswerPart::Text(text) => text,
        AnswerPart::Hole(hole) => {
            match record.metric(&hole.name, hole.of.as_deref(), hole.phase.as_deref()) {
                Ok(measured) => measured.to_string(),
                Err(error) => error.to_string(),
            }
        }
    });
    parts.collect()
}

/// As a shell takes it, in the plainest quotes that do.
fn quoted(set: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=/:,+@%".contains(c);
    if set.chars().all(plain) {
        set.into()
    } else if !set.contains('\'') {
        format!("'{set}'")
    } else if !set.contains(['"', '$', '`', '\\', '!']) {
        format!("\"{set}\"")
    } else {
        format!("'{}'", set.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_bound_decides_only_what_it_can() {
        use Comparison::{AtLeast, Less};
        assert_eq!(decide(5.0, false, Less, 9.0), Verdict::Pass);
        assert_eq!(decide(5.0, true, Less, 9.0), Verdict::Undecided);
        assert_eq!(decide(9.5, true, Less, 9.0), Verdict::Fail);
        assert_eq!(decide(9.5, true, AtLeast, 9.0), Verdict::Pass);
        assert_eq!(decide(5.0, true, AtLeast, 9.0), Verdict::Undecided);
    }

    #[test]
    fn answers_are_filled_from_the_record() {
        let mut scenario = queuelab_scenario::open("flash-sale", &[]).expect("it is shipped");
        scenario.answer = Some("{{peak}} {backlog.max of orders}".into());
        let record = queuelab_record::fixture::flash_sale();
        assert_eq!(fill(&record, &scenario), "{peak} 161,862");
    }

    #[test]
    fn suggestions_survive_a_shell() {
        assert_eq!(quoted("consumer.a.count=80"), "consumer.a.count=80");
        assert_eq!(quoted("queue.a.ttl=\"1 s\""), "'queue.a.ttl=\"1 s\"'");
        assert_eq!(
            quoted("producer.p.size={ dist = 'x' }"),
            "\"producer.p.size={ dist = 'x' }\""
        );
    }
}
