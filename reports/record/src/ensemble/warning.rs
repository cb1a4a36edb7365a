//! What a reader of an ensemble's figures has to know.

use queuelab_core::Span;

use super::{Ensemble, MetricEnsemble};
use crate::percent;
use crate::text::and_more;

impl Ensemble {
    /// In words, the gravest first: accounting that is wrong, a transient that was not left out, figures that did not converge or have no
    /// interval at all. Loads, and expectations and invariants that other seeds do not meet, are not among them.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.doubts();
        warnings.extend(self.without_interval());
        warnings
    }

    /// What there is to warn of but figures that have no interval.
    fn doubts(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.unaccounted.is_empty() {
            warnings.push(format!(
                "L = λW does not hold with {}: messages are not all accounted for, trust no figure of it",
                seeds(&self.unaccounted)
            ));
        }
        warnings.extend(self.unsettled());
        warnings.extend(self.unconverged());
        warnings
    }

    /// How much there is of what was asked for, if there is nothing to warn of but figures that have no interval, and no lasting overload:
    /// `All intervals are as narrow as was asked for.`
    pub fn convergence(&self) -> Option<String> {
        let have = self.metrics.iter().filter(|it| it.interval.is_some());
        let (have, all) = (have.count(), self.metrics.len());
        let doubtful = !self.doubts().is_empty() || !self.overloaded().is_empty();
        match have {
            _ if doubtful => None,
            0 => None,
            _ if have == all => Some("All intervals are as narrow as was asked for.".into()),
            1 => Some(format!(
                "1 of {all} figures has an interval; it is as narrow as was asked for."
            )),
            _ => Some(format!(
                "{have} of {all} figures have an interval; those are as narrow as was asked for."
            )),
        }
    }

    /// In words: queues whose backlog grows as long as they run.
    pub fn overloaded(&self) -> Vec<String> {
        let lasting = self.overloads.iter().filter(|overload| overload.lasting);
        lasting
            .map(|overload| {
                format!(
                    "`{}` is offered ρ = {:.2} in {} with nothing after it to drain the backlog: figures grow with the length of the run",
                    overload.queue, overload.load, overload.phase
                )
            })
            .collect()
    }

    fn unsettled(&self) -> Option<String> {
        let transient = self.transient.as_ref()?;
        if transient.is_left_out() {
            return None;
        }
        let left_out = transient.least();
        if !transient.is_judged() {
            return Some(format!(
                "whether the {left_out} that are left out are enough cannot be judged (MSER-5): no window ended with anything in the broker"
            ));
        }
        Some(match transient.cut() {
            Some(cut) => format!(
                "the transient takes longer than the {left_out} that are left out: steady = {{ warmup = \"{}\" }} would do (MSER-5)",
                Span(cut.0)
            ),
            None => format!(
                "no steady state is seen in half of the run (MSER-5), of which {left_out} are left out: a longer one may show it"
            ),
        })
    }

    fn unconverged(&self) -> Option<String> {
        let open = |it: &&MetricEnsemble| it.interval.is_some() && !it.converged;
        let open: Vec<&MetricEnsemble> = self.metrics.iter().filter(open).collect();
        if open.is_empty() {
            return None;
        }
        let width = |it: &&MetricEnsemble| {
            let relative = it.interval.map_or(0.0, |interval| interval.relative());
            match relative.is_finite() {
                true => format!("{} (± {})", it.quantity, percent(relative)),
                false => format!("{} (about zero)", it.quantity),
            }
        };
        let needed = |it: &&MetricEnsemble| self.precision.needed(&it.interval?, self.seeds.len());
        let more = open.iter().filter_map(needed).max();
        let more = more.map_or(String::new(), |more| {
            format!("; about {more} replications would")
        });
        Some(format!(
            "did not converge to ± {}: {}{more}",
            percent(self.precision.relative),
            and_more(&open, SHOWN_MAX, width)
        ))
    }

    /// Of several runs: figures without any interval, and why.
    fn without_interval(&self) -> Option<String> {
        let all = self.metrics.len();
        let lacking = self.metrics.iter().filter(|it| it.interval.is_none());
        let lacking: Vec<&MetricEnsemble> = lacking.collect();
        if lacking.is_empty() || self.seeds.len() < 2 {
            return None;
        }
        let why = |it: &&MetricEnsemble| {
            let why = match (it.above, it.runs_for_interval()) {
                _ if it.never > 0 => it.shown(),
                (_, Some(runs)) => {
                    format!("too few latencies above it; about {runs} replications would do")
                }
                (Some(_), None) => "too few latencies".into(),
                (None, None) => "hardly any run measured it".into(),
            };
            format!("{} ({why})", it.quantity)
        };
        let verb = if lacking.len() == 1 { "has" } else { "have" };
        Some(format!(
            "{} of {all} figures {verb} no interval: {}",
            lacking.len(),
            and_more(&lacking, SHOWN_MAX, why)
        ))
    }
}

/// `seed 9`, `seeds 9, 12 and 3 more`
fn seeds(seeds: &[u64]) -> String {
    let word = if seeds.len() == 1 { "seed" } else { "seeds" };
    format!("{word} {}", and_more(seeds, SHOWN_MAX, u64::to_string))
}

/// More would not be read.
const SHOWN_MAX: usize = 3;
