//! Consumers that ask for messages, keep to a rate, renew locks, publish on, meet poison, lose patience, come and go.

mod common;

use std::collections::BTreeSet;

use common::consuming::{check, delivery, plan};
use common::{consumer, ms, scenario};
use expect_test::expect;
use proptest::prelude::*;
use queuelab_core::{Span, Time};
use queuelab_scenario::{
    Ack, Churn, Consumer as Spec, Distribution, Nack, Phase, Pull, Size, Slow, Target, Then,
};
use queuelab_workload::{Consumer, ConsumerAction, ConsumerPlan, Delivery};

fn millis(millis: u64) -> Span {
    Span::from_millis(millis)
}

fn pull(every: u64, batch: u32) -> Option<Pull> {
    Some(Pull {
        every: millis(every),
        batch,
    })
}

/// Publishes all on to queue `b`.
fn then() -> Then {
    Then {
        to: vec![(Some(Target::Queue(1)), 1.0)],
        transaction: false,
        join: false,
        size: None,
    }
}

#[test]
fn who_pulls_asks_when_it_has_nothing_to_do_and_waits_when_there_is_nothing() {
    check(
        Spec {
            pull: pull(5, 1),
            ..consumer()
        },
        "1 deliver a1
         12 empty
         18 deliver a2
         20 reset
         21 connected
         22 empty
         26 show",
        expect![[r#"
            0   get a
            11  served a1: waited 0s, took 10 ms
            11  ack a1
            11  get a
            17  get a
            21  get a
            26  buffered 0, serving 0, busy 12 ms, served 1, nacked 0
            27  get a
        "#]],
    );
}

#[test]
fn who_pulls_from_several_queues_asks_them_in_turn() {
    check(
        Spec {
            from: vec![0, 1],
            pull: pull(5, 2),
            concurrency: 2,
            ..consumer()
        },
        "1 deliver a1
         1 empty
         12 empty
         12 empty
         13 empty
         13 empty
         19 reset",
        expect![[r#"
            0   get a
            0   get a
            1   get b
            1   get b
            11  served a1: waited 0s, took 10 ms
            11  ack a1
            12  get a
            12  get a
            18  get b
            18  get b
        "#]],
    );
}

#[test]
fn a_rate_cap_spaces_the_starts_of_services() {
    check(
        Spec {
            rate_cap: Some(50.0),
            concurrency: 2,
            ..consumer()
        },
        "0 deliver a1 a2 a3
         50 show
         100 deliver a4",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
            10  ack a1
            30  served a2: waited 20 ms, took 10 ms
            30  ack a2
            50  served a3: waited 40 ms, took 10 ms
            50  ack a3
            50  buffered 0, serving 0, busy 30 ms, served 3, nacked 0
            110 served a4: waited 0s, took 10 ms
            110 ack a4
        "#]],
    );
}

#[test]
fn locks_are_renewed_as_long_as_something_is_held() {
    check(
        Spec {
            renew: Some(millis(4)),
            ..consumer()
        },
        "1 deliver a1 a2
         22 show
         30 deliver a3",
        expect![[r#"
            5   renew a1
            5   renew a2
            9   renew a1
            9   renew a2
            11  served a1: waited 0s, took 10 ms
            11  ack a1
            13  renew a2
            17  renew a2
            21  served a2: waited 10 ms, took 10 ms
            21  ack a2
            22  buffered 0, serving 0, busy 20 ms, served 2, nacked 0
            34  renew a3
            38  renew a3
            40  served a3: waited 0s, took 10 ms
            40  ack a3
        "#]],
    );
}

#[test]
fn the_ack_follows_the_confirm_of_what_was_published_on() {
    check(
        Spec {
            then: Some(then()),
            ..consumer()
        },
        "0 deliver a1 a2
         15 forwarded a1
         15 forwarded a1
         22 refused a2
         30 show",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
            10  forward a1 to 0
            15  ack a1
            20  served a2: waited 10 ms, took 10 ms
            20  forward a2 to 0
            22  nack a2 requeue
            30  buffered 0, serving 0, busy 20 ms, served 2, nacked 0
        "#]],
    );
}

#[test]
fn acks_for_several_count_what_was_published_on() {
    check(
        Spec {
            then: Some(then()),
            ack: Ack::Manual {
                every: 2,
                nack: None,
            },
            ..consumer()
        },
        "0 deliver a1 a2 a3
         21 forwarded a2
         22 forwarded a1
         31 forwarded a3",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
            10  forward a1 to 0
            20  served a2: waited 10 ms, took 10 ms
            20  forward a2 to 0
            22  ack a2 multiple
            30  served a3: waited 20 ms, took 10 ms
            30  forward a3 to 0
            31  ack a3
        "#]],
    );
}

#[test]
fn publish_and_ack_are_one_transaction() {
    check(
        Spec {
            then: Some(Then {
                transaction: true,
                ..then()
            }),
            ..consumer()
        },
        "0 deliver a1 a2
         15 committed
         21 aborted
         22 committed
         22 committed
         30 show",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
            10  forward a1 to 0
            10  ack a1
            10  commit a
            20  served a2: waited 10 ms, took 10 ms
            20  forward a2 to 0
            20  ack a2
            20  commit a
            21  nack a2 requeue
            21  commit a
            30  buffered 0, serving 0, busy 20 ms, served 2, nacked 0
        "#]],
    );
}

#[test]
fn some_messages_go_on_and_some_go_out() {
    const N: u64 = 10_000;
    let mut consumer = Consumer::new(
        plan(Spec {
            service: Distribution::Constant(Span::ZERO),
            then: Some(Then {
                to: vec![(Some(Target::Queue(1)), 1.0), (None, 3.0)],
                size: Some(Size::Fixed(7)),
                ..then()
            }),
            ..consumer()
        }),
        0,
    );
    let mut out = Vec::new();
    consumer.connected(Time::ZERO, &mut out);
    (0..N).for_each(|number| consumer.deliver(Time::ZERO, delivery(0, number + 1), &mut out));
    let forwarded = out.iter().filter(|action| {
        matches!(
            action,
            ConsumerAction::Forward {
                target: 0,
                size: Some(7),
                ..
            }
        )
    });
    let (forwarded, acked) = (
        forwarded.count() as f64,
        out.iter()
            .filter(|action| matches!(action, ConsumerAction::Ack { .. }))
            .count() as f64,
    );
    assert_eq!(forwarded + acked, N as f64);
    assert!(
        (forwarded - 2500.0).abs() < 5.0 * (N as f64 * 3.0 / 16.0).sqrt(),
        "{forwarded}"
    );
}

#[test]
fn poison_fails_whoever_serves_it_and_how_often() {
    const N: u64 = 10_000;
    for (nack, requeue) in [
        (None, true),
        (
            Some(Nack {
                probability: 0.0,
                requeue: false,
            }),
            false,
        ),
    ] {
        let failed = |member, attempt| -> BTreeSet<u64> {
            let spec = Spec {
                service: Distribution::Constant(Span::ZERO),
                poison: 0.05,
                ack: Ack::Manual { every: 1, nack },
                ..consumer()
            };
            let mut consumer = Consumer::new(plan(spec), member);
            let mut out = Vec::new();
            consumer.connected(Time::ZERO, &mut out);
            for number in 1..=N {
                let probe = Delivery {
                    attempt,
                    ..delivery(0, number)
                };
                consumer.deliver(Time::ZERO, probe, &mut out);
            }
            let nacks = out.iter().filter_map(|action| match action {
                ConsumerAction::Nack {
                    delivery,
                    requeue: back,
                    ..
                } => {
                    assert_eq!(*back, requeue);
                    Some(*delivery)
                }
                _ => None,
            });
            nacks.collect()
        };
        let first = failed(0, 0);
        let allowed = 5.0 * (N as f64 * 0.05 * 0.95).sqrt();
        assert!(
            (first.len() as f64 - 500.0).abs() < allowed,
            "{}",
            first.len()
        );
        assert_eq!(first, failed(3, 7));
    }
}

#[test]
fn a_member_leaves_in_peace_with_what_it_has_begun_and_comes_back() {
    check(
        Spec {
            churn: Some(Churn {
                every: Distribution::Constant(millis(15)),
                away: Distribution::Constant(millis(10)),
                crash: false,
                declare: false,
            }),
            ack: Ack::Manual {
                every: 3,
                nack: None,
            },
            ..consumer()
        },
        "0 deliver a1 a2 a3
         20 reset
         21 deliver a4
         26 connected
         26 deliver a3
         36 reset
         40 crash",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
            20  served a2: waited 10 ms, took 10 ms
            20  ack a2 multiple
            20  leave
            25  connect!
            36  served a3: waited 0s, took 10 ms
            36  ack a3
            36  leave
            40  connect!
        "#]],
    );
}

#[test]
fn an_impatient_consumer_goes_away_for_good() {
    check(
        Spec {
            patience: Some(Distribution::Constant(millis(20))),
            ..consumer()
        },
        "5 deliver a1
         30 deliver a2
         70 show",
        expect![[r#"
            15  served a1: waited 0s, took 10 ms
            15  ack a1
            40  served a2: waited 0s, took 10 ms
            40  ack a2
            60  leave
            70  buffered 0, serving 0, busy 20 ms, served 2, nacked 0
        "#]],
    );
}

/// What brings it back after a crash or a reset does not bring it back.
#[test]
fn an_impatient_consumer_that_reconnects_goes_away_for_good_as_well() {
    check(
        Spec {
            patience: Some(Distribution::Constant(millis(20))),
            reconnect: Some(millis(3)),
            ..consumer()
        },
        "30 reset
         40 crash
         50 restart
         60 show",
        expect![[r#"
            20  leave
            60  buffered 0, serving 0, busy 0s, served 0, nacked 0
        "#]],
    );
}

#[test]
fn a_member_may_start_late_and_asks_for_its_connection() {
    check(
        Spec {
            start: Distribution::Constant(millis(5)),
            ..consumer()
        },
        "3 deliver a1
         6 connected
         6 deliver a1",
        expect![[r#"
            5   connect!
            16  served a1: waited 0s, took 10 ms
            16  ack a1
        "#]],
    );
}

#[test]
fn the_first_members_are_slow() {
    let spec = Spec {
        count: 5,
        slow: Some(Slow {
            share: 0.3,
            factor: 3.0,
        }),
        ..consumer()
    };
    for (member, factor, ends) in [(0, 1.0, 30), (1, 2.0, 60), (2, 2.0, 20)] {
        let mut consumer = Consumer::new(plan(spec.clone()), member);
        let mut out = Vec::new();
        consumer.connected(Time::ZERO, &mut out);
        consumer.set_factor(Time::ZERO, factor);
        consumer.deliver(Time::ZERO, delivery(0, 1), &mut out);
        assert_eq!(consumer.deadline(), Some(ms(ends)), "member {member}");
    }
}

#[test]
fn services_take_what_the_phase_says_in_which_they_begin() {
    let mut scenario = scenario(1);
    let phase = |from, until| Phase {
        name: String::new(),
        from: ms(from),
        until: ms(until),
    };
    scenario.phases = vec![phase(0, 100), phase(100, 200)];
    scenario.consumers = vec![Spec {
        service_by_phase: [10, 40]
            .map(|time| Distribution::Constant(millis(time)))
            .to_vec(),
        ..consumer()
    }];
    for (begins, ends) in [(0, 10), (99, 109), (100, 140), (250, 290)] {
        let mut consumer = Consumer::new(ConsumerPlan::new(&scenario, 0, 1).into(), 0);
        let mut out = Vec::new();
        consumer.connected(ms(begins), &mut out);
        consumer.deliver(ms(begins), delivery(0, 1), &mut out);
        assert_eq!(consumer.deadline(), Some(ms(ends)));
    }
}

fn specs() -> impl Strategy<Value = Spec> {
    let pull = (1..8u64, 1..4u32).prop_map(|(every, batch)| Pull {
        every: millis(every),
        batch,
    });
    let then = (any::<bool>(), any::<bool>()).prop_map(|(transaction, out)| Then {
        to: vec![
            (Some(Target::Queue(1)), 1.0),
            (None, f64::from(u8::from(out))),
        ],
        transaction,
        ..then()
    });
    let churn = Just(Churn {
        every: Distribution::Exponential(millis(80)),
        away: Distribution::Exponential(millis(10)),
        crash: false,
        declare: false,
    });
    let care = (
        prop::option::of(pull),
        prop::option::of(then),
        prop::option::of(Just(millis(7))),
        prop::option::of(Just(300.0)),
        prop::option::of(Just(Distribution::Exponential(millis(40)))),
        prop::option::of(churn),
    );
    let nack = prop::option::of(Just(Nack {
        probability: 0.2,
        requeue: true,
    }));
    (1..4u32, 1..4u32, nack, any::<bool>(), care).prop_map(
        |(concurrency, every, nack, poison, (pull, then, renew, rate_cap, patience, churn))| Spec {
            from: vec![0, 1],
            service: Distribution::Exponential(millis(5)),
            concurrency,
            ack: Ack::Manual { every, nack },
            poison: if poison { 0.1 } else { 0.0 },
            reconnect: Some(millis(4)),
            pull,
            then,
            renew,
            rate_cap,
            patience,
            churn,
            ..consumer()
        },
    )
}

/// What a broker knows of a consumer, and what it must answer.
#[derive(Default)]
struct Broker {
    unsettled: [BTreeSet<u64>; 2],
    served: BTreeSet<(u32, u64)>,
    next: u64,
    gets: Vec<u32>,
    forwarded: Vec<Delivery>,
    commits: Vec<u32>,
    connect: bool,
    ended: u64,
    /// Publish and ack are one transaction: nothing is answered but the commit.
    transaction: bool,
}

impl Broker {
    fn hang_up(&mut self) {
        *self = Broker {
            next: self.next,
            connect: self.connect,
            ended: self.ended,
            transaction: self.transaction,
            ..Broker::default()
        };
    }

    fn watch(&mut self, out: &mut Vec<ConsumerAction>) -> Result<(), TestCaseError> {
        for action in out.drain(..) {
            match action {
                ConsumerAction::Served { delivery, .. } => {
                    self.ended += 1;
                    prop_assert!(
                        self.served
                            .insert((delivery.subscription, delivery.delivery))
                    );
                }
                ConsumerAction::Ack {
                    subscription,
                    delivery,
                    multiple,
                } => {
                    let unsettled = &mut self.unsettled[subscription as usize];
                    prop_assert!(unsettled.contains(&delivery));
                    let first = if multiple { 0 } else { delivery };
                    for number in unsettled
                        .range(first..=delivery)
                        .copied()
                        .collect::<Vec<_>>()
                    {
                        prop_assert!(self.served.contains(&(subscription, number)));
                        let waits = |on: &Delivery| {
                            (on.subscription, on.delivery) == (subscription, number)
                        };
                        prop_assert!(
                            !self.forwarded.iter().any(waits),
                            "acked before its confirm"
                        );
                        unsettled.remove(&number);
                    }
                }
                ConsumerAction::Nack {
                    subscription,
                    delivery,
                    ..
                } => {
                    prop_assert!(self.unsettled[subscription as usize].remove(&delivery));
                }
                ConsumerAction::Connect => self.connect = true,
                ConsumerAction::Disconnect { .. } => self.hang_up(),
                ConsumerAction::Get { subscription } => self.gets.push(subscription),
                ConsumerAction::Renew {
                    subscription,
                    delivery,
                } => {
                    prop_assert!(self.unsettled[subscription as usize].contains(&delivery));
                }
                ConsumerAction::Forward { delivery, .. } if !self.transaction => {
                    self.forwarded.push(delivery);
                }
                ConsumerAction::Forward { .. } => {}
                ConsumerAction::Commit { subscription } => self.commits.push(subscription),
            }
        }
        Ok(())
    }

    fn deliver(&mut self, subscription: u32) -> Delivery {
        self.next += 1;
        self.unsettled[subscription as usize].insert(self.next);
        delivery(subscription, self.next)
    }
}

proptest! {
    #[test]
    fn every_delivery_is_served_and_settled_once_whatever_else_it_does(
        spec in specs(), chances in prop::collection::vec(0..100u32, 1500)
    ) {
        let transaction = spec.then.as_ref().is_some_and(|then| then.transaction);
        let mut consumer = Consumer::new(plan(spec.clone()), 0);
        let mut broker = Broker { transaction, connect: true, ..Broker::default() };
        let (mut out, mut open) = (Vec::new(), false);
        for (step, chance) in (0u64..).zip(chances) {
            let now = ms(step);
            let mut calls = 0;
            while let Some(due) = consumer.deadline().filter(|due| *due <= now) {
                consumer.tick(due, &mut out);
                open &= !out.iter().any(|action| matches!(action, ConsumerAction::Disconnect { .. }));
                broker.watch(&mut out)?;
                calls += 1;
                prop_assert!(calls < 1000, "it never comes to rest");
            }
            // Half a second without new messages, at the end, lets it settle all.
            let busy = step < 1000;
            if std::mem::take(&mut broker.connect) {
                open = true;
                consumer.connected(now, &mut out);
            } else if busy && chance < 2 {
                open = false;
                broker.hang_up();
                consumer.reset(now, &mut out);
            } else if busy && chance < 4 {
                consumer.pause(now);
            } else if chance < 20 || step == 1000 {
                consumer.resume(now, &mut out);
            } else if open && transaction && !broker.commits.is_empty() {
                let subscription = broker.commits.remove(0);
                consumer.committed(now, subscription, true, &mut out);
            } else if open && !broker.forwarded.is_empty() {
                let delivery = broker.forwarded.remove(0);
                consumer.forwarded(now, delivery, chance > 30, &mut out);
            } else if open && !broker.gets.is_empty() {
                let subscription = broker.gets.remove(0);
                if busy && chance > 60 {
                    let delivery = broker.deliver(subscription);
                    consumer.deliver(now, delivery, &mut out);
                } else {
                    consumer.empty(now, subscription, &mut out);
                }
            } else if open && busy && spec.pull.is_none() && chance > 80 {
                let delivery = broker.deliver(chance % 2);
                consumer.deliver(now, delivery, &mut out);
            }
            open &= !out.iter().any(|action| matches!(action, ConsumerAction::Disconnect { .. }));
            broker.watch(&mut out)?;
            prop_assert!(consumer.serving() <= spec.concurrency);
        }
        prop_assert_eq!(consumer.served(), broker.ended);
        let left: usize = broker.unsettled.iter().map(BTreeSet::len).sum();
        prop_assert_eq!(left, 0);
    }
}
