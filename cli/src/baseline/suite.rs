//! A check as CI reads it.

use queuelab_record::Verdict;

use crate::ci::{self, Case, Suite};
use crate::layout::Painter;
use crate::parting;

use super::Checked;
use super::change::{Change, Clock, Rules};

impl Checked<'_> {
    /// Behaviour, each figure, each new violation, and real time if it was compared.
    pub(super) fn suite(&self, rules: &Rules, command: &str) -> Suite {
        let mut cases = vec![self.behaviour(rules)];
        cases.extend(self.changes.figures.iter().map(|figure| Case {
            verdict: match figure.is_for_the_worse() {
                true => Verdict::Fail,
                false => Verdict::Pass,
            },
            ..self.case(&figure.of.name(), figure.told())
        }));
        if self.changes.is_blind() {
            let told = self.detectable().unwrap_or_default();
            cases.push(Case {
                verdict: Verdict::Undecided,
                ..self.case("performance", told)
            });
        }
        cases.extend(
            self.changes
                .violations
                .iter()
                .map(|(invariant, seeds)| Case {
                    verdict: Verdict::Fail,
                    ..self.case(
                        invariant,
                        format!("violated with {seeds} of {} seeds", self.now.seeds.len()),
                    )
                }),
        );
        cases.extend(self.real_time(rules));
        Suite {
            name: format!("baseline {}", self.target.scenario.name),
            command: command.into(),
            wall: self.wall,
            cases,
            notes: self.notes(),
        }
    }

    fn behaviour(&self, rules: &Rules) -> Case {
        let Some(parting) = &self.changes.parting else {
            return self.case("behaviour", "as in the baseline".into());
        };
        Case {
            verdict: match rules.allow_behaviour {
                true => Verdict::Pass,
                false => Verdict::Fail,
            },
            details: parting::lines(&self.target.scenario, parting),
            ..self.case("behaviour", "changed".into())
        }
    }

    fn real_time(&self, rules: &Rules) -> Option<Case> {
        let told = self.clock(Painter { color: false });
        let verdict = match &self.changes.wall_clock {
            Clock::Unasked => return None,
            Clock::Missing | Clock::Elsewhere { .. } if rules.wall_clock => Verdict::Undecided,
            Clock::Here {
                change: Change::Worse,
                ..
            } => Verdict::Fail,
            _ => Verdict::Pass,
        };
        Some(Case {
            verdict,
            ..self.case("real time", told.join(" ").trim().to_string())
        })
    }

    fn case(&self, name: &str, measured: String) -> Case {
        Case {
            name: name.into(),
            verdict: Verdict::Pass,
            measured,
            details: Vec::new(),
            place: ci::file(&self.target.typed),
        }
    }
}
