//! Faults that a viewer can inject: a choice from the catalogue that suits the scenario. Pure: what is chosen is a value.

use queuelab_core::{Span, Time};
use queuelab_scenario::{
    Clients, Direction, Distribution, FaultKind, Scenario, Share, Unsynced, Whose,
};

/// The menu: what there is, and what is chosen of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Menu {
    /// What there is, at most ten.
    pub(crate) choices: Vec<Choice>,
    /// Index of the chosen one.
    pub(crate) chosen: usize,
    /// Index into [`SPANS`]: for how long.
    span: usize,
}

/// A kind of fault, and whom it may strike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    /// What happens, in a few words.
    pub(crate) what: &'static str,
    /// Whom it may strike, in words, with the fault that this would be; at least one.
    targets: Vec<(String, FaultKind)>,
    /// Index into `targets`.
    target: usize,
}

/// A fault to inject at the present instant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    /// What, and whom.
    pub(crate) kind: FaultKind,
    /// For how long.
    pub(crate) span: Span,
}

impl Menu {
    /// What suits a scenario.
    pub(crate) fn of(scenario: &Scenario, end: Time) -> Menu {
        let named = |name: &str, of: Whose| (name.to_string(), of);
        let producers = scenario.producers.iter().enumerate();
        let producers: Vec<_> = producers
            .map(|(at, group)| named(&group.name, Whose::Producer(at)))
            .collect();
        let consumers = scenario.consumers.iter().enumerate();
        let consumers: Vec<_> = consumers
            .map(|(at, group)| named(&group.name, Whose::Consumer(at)))
            .collect();
        let everybody = [
            &[named("all clients", Whose::Everybody)][..],
            &producers,
            &consumers,
        ]
        .concat();
        let is_several = |whose: Whose| match whose {
            Whose::Producer(at) => scenario.producers[at].count > 1,
            Whose::Consumer(at) => scenario.consumers[at].count > 1,
            _ => false,
        };
        // One member of a group, where that is not the group.
        let with_members = |groups: &[(String, Whose)]| -> Vec<(String, Clients)> {
            let share = |of, share| Clients { of, share };
            let whole = groups
                .iter()
                .map(|(name, of)| (name.clone(), share(*of, Share::All)));
            let one = groups.iter().filter(|(_, of)| is_several(*of));
            let one = one.map(|(name, of)| (format!("one of {name}"), share(*of, Share::One)));
            whole.chain(one).collect()
        };
        let node = |what, kind: FaultKind| Choice::new(what, vec![("n1".to_string(), kind)]);
        let clients = |what, groups: &[(String, Whose)], kind: fn(Clients) -> FaultKind| {
            let targets = with_members(groups).into_iter();
            Choice::new(
                what,
                targets.map(|(name, whom)| (name, kind(whom))).collect(),
            )
        };
        let choices = [
            node(
                "the process dies, and starts again after that",
                FaultKind::Crash {
                    unsynced: Unsynced::Keep,
                },
            ),
            node(
                "the machine dies; what no fsync has covered is gone",
                FaultKind::PowerLoss {
                    unsynced: Unsynced::Drop,
                },
            ),
            node(
                "the process stands still: what comes waits",
                FaultKind::Pause,
            ),
            node(
                "an fsync takes 20 times as long",
                FaultKind::SlowDisk { factor: 20.0 },
            ),
            node("no fsync returns", FaultKind::StallDisk),
            clients("every packet takes 100 ms more", &everybody, |clients| {
                FaultKind::Latency {
                    clients,
                    extra: Distribution::Constant(Span::from_millis(100)),
                }
            }),
            clients("cut off: nothing gets through", &everybody, |clients| {
                FaultKind::Clog {
                    clients,
                    direction: Direction::Both,
                }
            }),
            clients(
                "consumers die, and come back after that",
                &consumers,
                |clients| FaultKind::ConsumerCrash { clients },
            ),
            clients("a service takes 5 times as long", &consumers, |clients| {
                FaultKind::SlowConsumer {
                    clients,
                    factor: 5.0,
                }
            }),
            clients("producers send 5 times as much", &producers, |clients| {
                FaultKind::Burst {
                    clients,
                    factor: 5.0,
                }
            }),
        ];
        let wanted = Span(end.0 / SHARE_OF_RUN);
        Menu {
            choices: choices
                .into_iter()
                .filter(|choice| !choice.targets.is_empty())
                .collect(),
            chosen: 0,
            span: SPANS
                .iter()
                .position(|span| *span >= wanted)
                .unwrap_or(SPANS.len() - 1),
        }
    }

    /// For how long.
    pub(crate) fn span(&self) -> Span {
        SPANS[self.span]
    }

    /// What is chosen.
    pub(crate) fn order(&self) -> Option<Order> {
        let choice = self.choices.get(self.chosen)?;
        let (_, kind) = choice.targets.get(choice.target)?;
        Some(Order {
            kind: kind.clone(),
            span: self.span(),
        })
    }

    /// Chooses the kind at `index`, if there is one.
    pub(crate) fn choose(&mut self, index: usize) {
        if index < self.choices.len() {
            self.chosen = index;
        }
    }

    /// Chooses the next kind, or with -1 the one before.
    pub(crate) fn turn(&mut self, by: isize) {
        let count = self.choices.len().max(1);
        self.chosen = (self.chosen + count).saturating_add_signed(by) % count;
    }

    /// Chooses whom else the fault may strike.
    pub(crate) fn other_target(&mut self) {
        if let Some(choice) = self.choices.get_mut(self.chosen) {
            choice.target = (choice.target + 1) % choice.targets.len().max(1);
        }
    }

    /// For longer, or with -1 for less long.
    pub(crate) fn lengthen(&mut self, by: isize) {
        self.span = self.span.saturating_add_signed(by).min(SPANS.len() - 1);
    }
}

impl Choice {
    fn new(what: &'static str, targets: Vec<(String, FaultKind)>) -> Choice {
        Choice {
            what,
            targets,
            target: 0,
        }
    }

    /// The kind's name in a scenario.
    pub(crate) fn kind(&self) -> &'static str {
        self.targets.first().map_or("", |(_, kind)| kind.name())
    }

    /// Whom it would strike.
    pub(crate) fn target(&self) -> &str {
        self.targets
            .get(self.target)
            .map_or("", |(name, _)| name.as_str())
    }

    /// Whether there is somebody else.
    pub(crate) fn has_other_targets(&self) -> bool {
        self.targets.len() > 1
    }
}

/// Lengths to choose from.
const SPANS: [Span; 24] = [
    Span::from_millis(1),
    Span::from_millis(2),
    Span::from_millis(5),
    Span::from_millis(10),
    Span::from_millis(20),
    Span::from_millis(50),
    Span::from_millis(100),
    Span::from_millis(200),
    Span::from_millis(500),
    Span::from_secs(1),
    Span::from_secs(2),
    Span::from_secs(5),
    Span::from_secs(10),
    Span::from_secs(20),
    Span::from_secs(30),
    Span::from_secs(60),
    Span::from_secs(120),
    Span::from_secs(300),
    Span::from_secs(600),
    Span::from_secs(1_800),
    Span::from_secs(3_600),
    Span::from_secs(7_200),
    Span::from_secs(21_600),
    Span::from_secs(86_400),
];

/// Long enough to see on the chart, short enough to see what follows.
const SHARE_OF_RUN: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(scenario: &str) -> Menu {
        let scenario = queuelab_scenario::open(scenario, &[]).unwrap();
        let end = scenario.phases.last().unwrap().until;
        Menu::of(&scenario, end)
    }

    #[test]
    fn the_menu_suits_the_scenario() {
        let mut menu = menu("flash-sale");
        assert_eq!(menu.choices.len(), 10);
        assert_eq!(menu.span(), Span::from_secs(30), "a thirtieth of 15m");
        menu.choose(7);
        let targets: Vec<String> = (0..3)
            .map(|_| {
                let target = menu.choices[7].target().to_string();
                menu.other_target();
                target
            })
            .collect();
        assert_eq!(targets, ["fulfilment", "one of fulfilment", "fulfilment"]);
    }

    #[test]
    fn choices_go_round_and_lengths_do_not() {
        let mut menu = menu("hello");
        menu.turn(-1);
        assert_eq!(menu.choices[menu.chosen].kind(), "burst");
        menu.turn(1);
        assert_eq!(menu.choices[menu.chosen].kind(), "crash");
        menu.choose(99);
        assert_eq!(menu.chosen, 0);
        menu.lengthen(100);
        assert_eq!(menu.span(), Span::from_secs(86_400));
        menu.lengthen(-100);
        assert_eq!(menu.span(), Span::from_millis(1));
    }
}
