//! A simulation that is watched: it can go back, and faults can be injected into it.
//!
//! A simulation can be cloned, and a clone goes on identically. So going back is to take up an earlier clone and to run it on, and
//! what was injected on the way is injected again where it was: after the same event.

use std::sync::Arc;

use queuelab_core::{Span, Time};
use queuelab_record::RunRecord;
use queuelab_scenario::{Distribution, Fault, Scenario, When};
use queuelab_sim::{LogLine, Options, Simulation};

use crate::faults::{Menu, Order};
use crate::source::{LOG_LINES, Source};

/// The simulator, and forks of it at earlier instants.
pub(crate) struct Live {
    present: Checkpoint,
    origin: Simulation,
    /// In order of their instants, [`CHECKPOINTS`] at most, of [`ENTRIES`] at most all together.
    kept: Vec<Checkpoint>,
    /// Virtual time between two of them at least.
    apart: Span,
    /// What was injected, in order. What comes after the present is injected when its time has come.
    injections: Vec<Injection>,
    menu: Menu,
}

#[derive(Clone)]
struct Checkpoint {
    simulation: Simulation,
    /// How many of the injections are part of it.
    injected: usize,
    /// How many messages and the like it holds, where it is kept.
    entries: usize,
}

struct Injection {
    /// After so many events.
    after: u64,
    at: Time,
    fault: Fault,
}

impl Live {
    pub(crate) fn new(scenario: Arc<Scenario>, options: Options) -> Live {
        let origin = Simulation::new(scenario.clone(), options);
        Live {
            present: Checkpoint::at_start(&origin),
            kept: Vec::new(),
            apart: Span(origin.end().0 / PARTS).max(Span(1)),
            injections: Vec::new(),
            menu: Menu::of(&scenario, origin.end()),
            origin,
        }
    }

    /// Injects what was injected after the last event, before the run was rewound.
    fn inject_again(&mut self) {
        let Checkpoint {
            simulation,
            injected,
            ..
        } = &mut self.present;
        while let Some(next) = self.injections.get(*injected)
            && next.after == simulation.events()
        {
            simulation.inject(next.fault.clone());
            *injected += 1;
        }
    }

    /// Keeps a clone of the present, if the last one is old enough. They get rarer as the run goes on, so that their number stays
    /// bounded.
    fn keep(&mut self) {
        let last = self.kept.last().map_or(Time::ZERO, Checkpoint::now);
        if self.present.now() < last + self.apart {
            return;
        }
        let entries = self.present.simulation.kept();
        let entries = entries.into_iter().map(|(_, count)| count).sum();
        if entries > ENTRIES {
            return;
        }
        self.kept.push(Checkpoint {
            entries,
            ..self.present.clone()
        });
        let too_much = |kept: &[Checkpoint]| {
            let entries: usize = kept.iter().map(|checkpoint| checkpoint.entries).sum();
            kept.len() > CHECKPOINTS || entries > ENTRIES
        };
        while too_much(&self.kept) {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            self.apart = self.apart * 2;
        }
    }

    /// A name that no fault has.
    fn name(&self) -> String {
        let counts = self.present.simulation.record().fault_counts;
        let taken = |name: &String| counts.iter().any(|fault| fault.name == *name);
        let mut names = (1..).map(|number| format!("injected-{number}"));
        names
            .find(|name| !taken(name))
            .unwrap_or_else(|| "injected".into())
    }
}

impl Source for Live {
    fn now(&self) -> Time {
        self.present.now()
    }

    fn end(&self) -> Time {
        self.present.simulation.end()
    }

    fn advance(&mut self, until: Time) {
        while let Some(next) = self.injections.get(self.present.injected)
            && next.at <= until
        {
            let after = next.after;
            while self.present.simulation.events() < after && self.present.simulation.step() {}
            self.inject_again();
        }
        self.present.simulation.run_until(until);
        self.keep();
    }

    fn step(&mut self) {
        self.inject_again();
        self.present.simulation.step();
        // The screen takes a run that has reached its end for finished, so nothing of that instant may be left.
        if self.now() >= self.end() {
            self.advance(self.end());
        }
    }

    fn rewind(&mut self, until: Time) {
        self.injections.retain(|injection| injection.at <= until);
        self.kept.retain(|checkpoint| checkpoint.now() <= until);
        self.present = match self.kept.last() {
            Some(checkpoint) => checkpoint.clone(),
            None => Checkpoint::at_start(&self.origin),
        };
    }

    fn restart(&mut self) {
        self.injections.clear();
        self.rewind(Time::ZERO);
    }

    fn inject(&mut self, order: Order) {
        let name = self.name();
        let simulation = &self.present.simulation;
        let at = simulation.now();
        // What was injected later belongs to another future.
        self.injections.truncate(self.present.injected);
        self.injections.push(Injection {
            after: simulation.events(),
            at,
            fault: Fault {
                name,
                kind: order.kind,
                when: When::At(at),
                span: Distribution::Constant(order.span),
                // As its number says: the same in another attempt.
                draw: self.present.injected as u64,
            },
        });
        self.inject_again();
        self.present.simulation.run_until(at);
    }

    fn menu(&self) -> Menu {
        self.menu.clone()
    }

    fn record(&self) -> RunRecord {
        self.present.simulation.record()
    }

    fn log(&self) -> Vec<LogLine> {
        let log = self.present.simulation.log();
        log[log.len().saturating_sub(LOG_LINES)..].to_vec()
    }
}

impl Checkpoint {
    fn at_start(origin: &Simulation) -> Checkpoint {
        Checkpoint {
            simulation: origin.clone(),
            injected: 0,
            entries: 0,
        }
    }

    fn now(&self) -> Time {
        self.simulation.now()
    }
}

/// As many clones are kept at most.
const CHECKPOINTS: usize = 24;
/// With so many messages and the like in them: a backlog of millions is not worth two dozen copies.
const ENTRIES: usize = 1_000_000;
/// Of so many parts of a run one clone each is kept at first.
const PARTS: u64 = 200;

#[cfg(test)]
mod tests {
    use queuelab_record::RunRecord;
    use queuelab_scenario::library;

    use super::*;

    fn live(scenario: &str) -> Live {
        let scenario = queuelab_scenario::open(scenario, &[]).unwrap();
        let seed = scenario.seed;
        Live::new(Arc::new(scenario), Options { seed, check: true })
    }

    fn secs(secs: u64) -> Time {
        Time(secs * 1_000_000_000)
    }

    /// As the screen does it: frame by frame.
    fn run(live: &mut Live, until: Time) -> RunRecord {
        while live.now() < until.min(live.end()) {
            live.advance(until.min(live.now() + Span::from_millis(130)));
        }
        live.record()
    }

    #[test]
    fn a_run_that_was_rewound_goes_on_as_it_did() {
        let mut live = live("hello");
        let end = live.end();
        let straight = run(&mut live, end);
        live.rewind(Time(end.0 / 3));
        assert!(live.now() > Time::ZERO && live.now() <= Time(end.0 / 3));
        let log = live.log();
        assert!(log.iter().all(|line| line.at <= live.now()));
        let again = run(&mut live, end);
        assert!(straight == again);
    }

    #[test]
    fn what_was_injected_happens_again_unless_the_run_goes_back_beyond_it() {
        let mut live = live("hello");
        let calm = run(&mut live, Time::MAX);
        live.restart();
        run(&mut live, secs(2));
        for _ in 0..25 {
            live.step();
        }
        let (mut menu, at) = (live.menu(), live.now());
        live.inject(menu.order().unwrap());
        run(&mut live, secs(4));
        menu.choose(1);
        live.inject(menu.order().unwrap());
        let struck = run(&mut live, Time::MAX);
        assert_eq!(struck.faults.len(), 2);
        assert_eq!(struck.faults[0].from, at);
        let counts = struck.fault_counts.iter();
        let counts: Vec<_> = counts
            .map(|it| (it.name.as_str(), it.kind.as_str(), it.fired))
            .collect();
        assert_eq!(
            counts,
            [("injected-1", "crash", 1), ("injected-2", "power-loss", 1)]
        );

        live.rewind(secs(4));
        assert!(run(&mut live, Time::MAX) == struck);
        live.rewind(secs(3));
        assert_eq!(run(&mut live, Time::MAX).faults.len(), 1);
        // From before the first, without any checkpoint between: the way is gone through again.
        live.kept.clear();
        live.rewind(secs(3));
        assert_eq!(run(&mut live, Time::MAX).faults, struck.faults[..1]);
        live.rewind(secs(1));
        assert!(run(&mut live, Time::MAX) == calm);
    }

    #[test]
    fn another_fault_makes_another_future() {
        let mut live = live("hello");
        let order = live.menu().order().unwrap();
        run(&mut live, secs(4));
        live.inject(order.clone());
        run(&mut live, secs(6));
        live.rewind(secs(5));
        // On the way back to 5s, before the first one is there again.
        live.kept.clear();
        live.rewind(secs(5));
        live.advance(secs(2));
        live.inject(order);
        let record = run(&mut live, Time::MAX);
        assert_eq!(record.faults.len(), 1);
        assert_eq!(record.faults[0].from, secs(2));
    }

    #[test]
    fn the_number_of_checkpoints_is_bounded() {
        let mut live = live("hello");
        let mut most = 0;
        while live.now() < live.end() {
            live.advance(live.now() + Span(live.end().0 / 1_000));
            most = most.max(live.kept.len());
        }
        assert!((CHECKPOINTS / 2..=CHECKPOINTS).contains(&most), "{most}");
        let times: Vec<Time> = live.kept.iter().map(Checkpoint::now).collect();
        assert!(times.is_sorted() && *times.last().unwrap() > Time(live.end().0 * 8 / 10));
    }

    /// Nothing that the menu offers is more than a scenario can bear.
    #[test]
    fn every_fault_of_the_menu_can_be_injected_into_every_shipped_scenario() {
        for entry in library() {
            let mut live = live(entry.name);
            let mut menu = live.menu();
            for choice in 0..menu.choices.len() {
                menu.choose(choice);
                while menu.span() > Span::from_millis(20) {
                    menu.lengthen(-1);
                }
                live.inject(menu.order().unwrap());
                for _ in 0..500 {
                    live.step();
                }
            }
            let record = live.record();
            let struck = record.fault_counts.iter().rev().take(menu.choices.len());
            for fault in struck {
                assert!(fault.fired == 1, "{}: {fault:?}", entry.name);
            }
        }
    }
}
