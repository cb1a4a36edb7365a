//! What other seeds say of a run's verdicts.

use super::{Ensemble, ExpectationEnsemble, Violation};
use crate::{Judgement, RunRecord, Verdict};

impl Ensemble {
    /// What `run`, one of those taken together here, is judged by, in the light of the others. A failure of this run stays one. Beyond it:
    ///
    /// - An expectation that holds in this run but not with every seed is undecided: it hangs on chance.
    /// - One that wants to show an anomaly (`violates …`) is met by one run that does.
    /// - An invariant that is violated with any seed fails, since a guarantee that chance can break is none.
    pub fn judgements(&self, run: &RunRecord) -> Vec<Judgement> {
        let mut judgements = run.judgements();
        for (judgement, others) in judgements.iter_mut().zip(&self.expectations) {
            let shows = judgement.text.trim_start().starts_with("violates ");
            let agree = others.met == self.seeds.len();
            if judgement.verdict == Verdict::Pass && !agree && !shows {
                judgement.verdict = Verdict::Undecided;
            }
            judgement.elsewhere = self.elsewhere(judgement.verdict, others, shows);
        }
        for violation in &self.violations {
            let elsewhere = Some(seeds_of("violated", violation));
            let known = judgements[run.expectations.len()..].iter_mut();
            match known.into_iter().find(|it| it.text == violation.invariant) {
                Some(known) if violation.seeds.len() > 1 => known.elsewhere = elsewhere,
                Some(_) => {}
                None => judgements.push(Judgement {
                    text: violation.invariant.clone(),
                    verdict: Verdict::Fail,
                    measured: seeds_of("violated", violation),
                    elsewhere: None,
                }),
            }
        }
        judgements
    }

    /// The worst of [`Ensemble::judgements`].
    pub fn verdict(&self, run: &RunRecord) -> Verdict {
        let judgements = self.judgements(run);
        Verdict::worst(judgements.iter().map(|judgement| judgement.verdict))
    }

    /// `holds in 8 of 10 seeds; not in 9, 14`; nothing where all agree.
    fn elsewhere(
        &self,
        verdict: Verdict,
        others: &ExpectationEnsemble,
        shows: bool,
    ) -> Option<String> {
        let all = self.seeds.len();
        let agree = match verdict {
            Verdict::Pass => others.met,
            Verdict::Fail => others.unmet.len(),
            Verdict::Undecided => others.undecided.len(),
        };
        if agree == all {
            return None;
        }
        let verb = if shows { "shown" } else { "holds" };
        let mut text = format!("{verb} in {} of {all} seeds", others.met);
        // Of what fails here, the seeds in which it fails too say little.
        if !others.unmet.is_empty() && others.unmet.len() <= all / 2 {
            text.push_str(&format!("; not in {}", listed(&others.unmet)));
        }
        if !others.undecided.is_empty() {
            let undecided = listed(&others.undecided);
            text.push_str(&format!("; it cannot be said in {undecided}"));
        }
        Some(text)
    }
}

fn seeds_of(verb: &str, violation: &Violation) -> String {
    let word = if violation.seeds.len() == 1 {
        "seed"
    } else {
        "seeds"
    };
    format!("{verb} with {word} {}", listed(&violation.seeds))
}

/// `9, 14`, `9, 12, 14 and 3 more`
fn listed(seeds: &[u64]) -> String {
    let shown: Vec<String> = seeds.iter().take(SHOWN_MAX).map(u64::to_string).collect();
    match seeds.len() - shown.len() {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// More would not be read.
const SHOWN_MAX: usize = 5;
