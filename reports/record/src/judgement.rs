//! What a run is judged by, as one list and as one word.

use crate::{InvariantRecord, RunRecord, Verdict, grouped};

/// One thing that a run was judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// `drain_time < 5m`
    pub text: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What was measured.
    pub measured: String,
    /// What other seeds say, where they do not all say the same: `holds in 8 of 10 seeds; not in 9, 14`.
    pub elsewhere: Option<String>,
}

impl RunRecord {
    /// The expectations in order, then the invariants that are violated although no expectation speaks of it.
    pub fn judgements(&self) -> Vec<Judgement> {
        let expectations = self.expectations.iter().map(|expectation| Judgement {
            text: expectation.text.clone(),
            verdict: expectation.verdict,
            measured: expectation.measured.clone(),
            elsewhere: None,
        });
        let violations = self.unexpected().map(|invariant| Judgement {
            text: invariant.name.clone(),
            verdict: Verdict::Fail,
            measured: match invariant.violations {
                1 => "violated once".into(),
                times => format!("violated {} times", grouped(times)),
            },
            elsewhere: None,
        });
        expectations.chain(violations).collect()
    }

    /// The worst of all judgements: one failure fails the run, one doubt leaves it undecided.
    pub fn verdict(&self) -> Verdict {
        Verdict::worst(self.judgements().iter().map(|judgement| judgement.verdict))
    }

    /// The invariants that are violated although no expectation speaks of it.
    pub fn unexpected(&self) -> impl Iterator<Item = &InvariantRecord> {
        self.invariants.iter().filter(|invariant| {
            invariant.verdict == Verdict::Fail && !self.speaks_of_all(invariant)
        })
    }

    /// Whether expectations judge all violations of an invariant: they assert it (and fail for it), or say `violates` to
    /// show the anomaly; of the invariant as a whole, or `of` each queue that violates it.
    fn speaks_of_all(&self, invariant: &InvariantRecord) -> bool {
        let spoken_of = |claim: &str| {
            self.expectations
                .iter()
                .any(|it| it.text.trim().trim_start_matches("violates ").trim() == claim)
        };
        // Violations that belong to no queue are covered by no `of`.
        let of_queues: u64 = invariant.by_queue.iter().sum();
        let queues = self.queues.iter().zip(&invariant.by_queue);
        let mut violating = queues.filter(|(_, violations)| **violations > 0);
        spoken_of(&invariant.name)
            || (of_queues > 0
                && of_queues >= invariant.violations
                && violating
                    .all(|(queue, _)| spoken_of(&format!("{} of {}", invariant.name, queue.name))))
    }
}

impl Verdict {
    /// The worst of several: a failure outweighs a doubt.
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts
            .into_iter()
            .fold(Verdict::Pass, |worst, verdict| match (worst, verdict) {
                (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
                (Verdict::Undecided, _) | (_, Verdict::Undecided) => Verdict::Undecided,
                (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    /// The flash sale with two queues that lost something, judged by `expectations`, which all hold.
    fn judged(expectations: &[&str]) -> Vec<String> {
        let mut record = fixture::flash_sale();
        let mut expectation = record.expectations[0].clone();
        expectation.verdict = Verdict::Pass;
        record.expectations = expectations
            .iter()
            .map(|text| {
                expectation.text = text.to_string();
                expectation.clone()
            })
            .collect();
        let invariant = &mut record.invariants[0];
        (invariant.verdict, invariant.violations) = (Verdict::Fail, 1_004);
        invariant.by_queue = vec![1_000, 4];
        let failed = record.judgements().into_iter();
        failed
            .filter(|it| it.verdict == Verdict::Fail)
            .map(|it| format!("{} {}", it.text, it.measured))
            .collect()
    }

    #[test]
    fn a_violation_fails_the_run_unless_expectations_speak_of_all_of_it() {
        let failed = ["no-loss violated 1,004 times"];
        assert_eq!(judged(&[]), failed);
        assert_eq!(judged(&["violates no-phantom"]), failed);
        assert_eq!(judged(&["violates no-loss of orders"]), failed);
        assert!(judged(&["violates no-loss"]).is_empty());
        let each = ["violates no-loss of orders", "no-loss of payments"];
        assert!(judged(&each).is_empty());
    }

    #[test]
    fn a_violation_of_no_queue_is_not_covered_by_queues() {
        let mut record = fixture::flash_sale();
        record.expectations.truncate(1);
        record.expectations[0].verdict = Verdict::Pass;
        record.expectations[0].text = "violates no-loss of orders".into();
        let invariant = &mut record.invariants[0];
        (invariant.verdict, invariant.violations) = (Verdict::Fail, 3);
        invariant.by_queue = vec![3, 0];
        assert_eq!(record.verdict(), Verdict::Pass);
        record.invariants[0].by_queue = vec![2, 0];
        assert_eq!(record.verdict(), Verdict::Fail);
    }

    #[test]
    fn a_failure_outweighs_a_doubt() {
        use Verdict::{Fail, Pass, Undecided};
        assert_eq!(Verdict::worst([]), Pass);
        assert_eq!(Verdict::worst([Pass, Undecided, Pass]), Undecided);
        assert_eq!(Verdict::worst([Undecided, Fail, Pass]), Fail);
    }
}
