//! What a reader of an ensemble's figures has to know.

use queuelab_core::Span;

use super::{Ensemble, MetricEnsemble};
use crate::percent;

impl Ensemble {
    /// In words, the gravest first: accounting that is wrong, a transient that was not left out, figures that did not converge. Loads, and
    /// expectations and invariants that other seeds do not meet, are not among them.
    pub fn warnings(&self) -> Vec<String> {
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
        let shown: Vec<String> = open.iter().take(SHOWN_MAX).map(width).collect();
        let rest = open.len() - shown.len();
        let rest = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        let more = more.map_or(String::new(), |more| {
            format!("; about {more} replications would")
        });
        Some(format!(
            "did not converge to ± {}: {}{rest}{more}",
            percent(self.precision.relative),
            shown.join(", ")
        ))
    }
}

/// `seed 9`, `seeds 9, 12 and 3 more`
fn seeds(seeds: &[u64]) -> String {
    let shown: Vec<String> = seeds.iter().take(SHOWN_MAX).map(u64::to_string).collect();
    let word = if seeds.len() == 1 { "seed" } else { "seeds" };
    match seeds.len() - shown.len() {
        0 => format!("{word} {}", shown.join(", ")),
        rest => format!("{word} {} and {rest} more", shown.join(", ")),
    }
}

/// More would not be read.
const SHOWN_MAX: usize = 3;
