//! What all consumers do.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::consumer;
use common::consuming::{check, delivery, plan};
use expect_test::expect;
use proptest::prelude::*;
use queuelab_core::{Span, Time};
use queuelab_scenario::{Ack, Consumer as Spec, Distribution, Nack};
use queuelab_workload::{Consumer, ConsumerAction, Delivery};

fn every(every: u32) -> Ack {
    Ack::Manual { every, nack: None }
}

#[test]
fn it_serves_in_turn_and_acknowledges_each() {
    check(
        Spec {
            from: vec![0, 1],
            ..consumer()
        },
        "0 deliver a1 b1
         4 deliver a2
         5 show
         5 stale
         30 show",
        expect![[r#"
            5   buffered 2, serving 1, busy 5 ms, served 0, nacked 0
            10  served a1: waited 0s, took 10 ms
            10  ack a1
            20  served b1: waited 10 ms, took 10 ms
            20  ack b1
            30  served a2: waited 16 ms, took 10 ms
            30  ack a2
            30  buffered 0, serving 0, busy 30 ms, served 3, nacked 0
        "#]],
    );
}

#[test]
fn several_are_served_side_by_side() {
    check(
        Spec {
            concurrency: 2,
            ..consumer()
        },
        "0 deliver a1
         4 deliver a2 a3
         12 show",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
            10  ack a1
            12  buffered 0, serving 2, busy 20 ms, served 1, nacked 0
            14  served a2: waited 0s, took 10 ms
            14  ack a2
            20  served a3: waited 6 ms, took 10 ms
            20  ack a3
        "#]],
    );
}

#[test]
fn automatic_acks_are_none_of_its_business() {
    check(
        Spec {
            ack: Ack::Auto,
            ..consumer()
        },
        "0 deliver a1",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
        "#]],
    );
}

#[test]
fn service_without_time_ends_at_once() {
    let service = Distribution::Constant(Span::ZERO);
    check(
        Spec {
            service,
            ack: every(2),
            ..consumer()
        },
        "3 deliver a1 a2",
        expect![[r#"
            3   served a1: waited 0s, took 0s
            3   ack a1
            3   served a2: waited 0s, took 0s
            3   ack a2
        "#]],
    );
}

#[test]
fn acks_for_several_count_per_queue_and_leftovers_go_when_idle() {
    check(
        Spec {
            from: vec![0, 1],
            ack: every(2),
            ..consumer()
        },
        "0 deliver a1 b1 a2 a3 b2 b3",
        expect![[r#"
            10  served a1: waited 0s, took 10 ms
            20  served b1: waited 10 ms, took 10 ms
            30  served a2: waited 20 ms, took 10 ms
            30  ack a2 multiple
            40  served a3: waited 30 ms, took 10 ms
            50  served b2: waited 40 ms, took 10 ms
            50  ack b2 multiple
            60  served b3: waited 50 ms, took 10 ms
            60  ack a3
            60  ack b3
        "#]],
    );
}

#[test]
fn an_ack_for_several_never_covers_a_nack_or_a_service_under_way() {
    // The seed decides the service times and who is nacked: 1, 2 and 3.
    let nack = Some(Nack {
        probability: 0.3,
        requeue: true,
    });
    let service = Distribution::Exponential(Span::from_millis(10));
    check(
        Spec {
            concurrency: 3,
            ack: Ack::Manual { every: 3, nack },
            service,
            ..consumer()
        },
        "0 deliver a1 a2 a3 a4 a5 a6 a7 a8 a9",
        expect![[r#"
            1   served a3: waited 0s, took 1.81 ms
            1   nack a3 requeue
            5   served a4: waited 1.81 ms, took 3.42 ms
            6   served a2: waited 0s, took 6.46 ms
            6   nack a2 requeue
            6   served a1: waited 0s, took 6.82 ms
            6   nack a1 requeue
            17  served a5: waited 5.23 ms, took 12.4 ms
            25  served a8: waited 17.6 ms, took 7.48 ms
            28  served a6: waited 6.46 ms, took 22.5 ms
            28  ack a6 multiple
            41  served a7: waited 6.82 ms, took 34.2 ms
            42  served a9: waited 25.1 ms, took 17 ms
            42  ack a9 multiple
        "#]],
    );
}

#[test]
fn a_reset_forgets_and_connects_again() {
    check(
        Spec {
            reconnect: Some(Span::from_millis(7)),
            ..consumer()
        },
        "0 deliver a1 a2
         3 reset
         3 show
         3 reset
         5 deliver a3
         12 connected
         12 deliver a1
         30 show",
        expect![[r#"
            3   buffered 0, serving 0, busy 3 ms, served 0, nacked 0
            10  connect!
            22  served a1: waited 0s, took 10 ms
            22  ack a1
            30  buffered 0, serving 0, busy 13 ms, served 1, nacked 0
        "#]],
    );
}

#[test]
fn a_crash_lasts_until_the_restart() {
    check(
        Spec {
            reconnect: Some(Span::from_millis(7)),
            ..consumer()
        },
        "0 deliver a1
         3 crash
         3 reset
         20 connected
         20 deliver a2
         40 restart
         40 restart
         41 connected
         41 deliver a3",
        expect![[r#"
            40  connect!
            51  served a3: waited 0s, took 10 ms
            51  ack a3
        "#]],
    );
}

#[test]
fn a_pause_suspends_what_is_under_way() {
    check(
        Spec {
            concurrency: 2,
            ..consumer()
        },
        "0 deliver a1
         4 pause
         5 pause
         6 deliver a2
         20 show
         24 resume
         25 show
         40 show",
        expect![[r#"
            20  buffered 1, serving 1, busy 4 ms, served 0, nacked 0
            25  buffered 0, serving 2, busy 6 ms, served 0, nacked 0
            30  served a1: waited 0s, took 30 ms
            30  ack a1
            34  served a2: waited 18 ms, took 10 ms
            34  ack a2
            40  buffered 0, serving 0, busy 20 ms, served 2, nacked 0
        "#]],
    );
}

#[test]
fn a_factor_scales_what_remains() {
    check(
        consumer(),
        "0 deliver a1 a2
         5 factor 4
         30 factor 1
         31 pause
         32 factor 2
         33 resume",
        expect![[r#"
            25  served a1: waited 0s, took 25 ms
            25  ack a1
            48  served a2: waited 25 ms, took 23.5 ms
            48  ack a2
        "#]],
    );
}

#[test]
fn a_message_takes_its_own_time_whoever_serves_it_and_whenever() {
    let service = || Distribution::Exponential(Span::from_millis(10));
    let time = |spec: Spec, member, before: &[u64], probe: Delivery| {
        let mut consumer = Consumer::new(plan(spec), member);
        let mut out = Vec::new();
        consumer.connected(Time::ZERO, &mut out);
        for number in before {
            consumer.deliver(Time::ZERO, delivery(0, *number), &mut out);
        }
        consumer.deliver(Time::ZERO, probe, &mut out);
        while let Some(due) = consumer.deadline() {
            consumer.tick(due, &mut out);
        }
        let found = out.iter().find_map(|action| match action {
            ConsumerAction::Served {
                delivery,
                started,
                ended,
                ..
            } if *delivery == probe => Some(*ended - *started),
            _ => None,
        });
        found.expect("it was served")
    };
    let plain = || Spec {
        service: service(),
        from: vec![0, 1],
        ..consumer()
    };
    let probe = delivery(0, 9);
    let base = time(plain(), 0, &[], probe);
    assert_eq!(base, time(plain(), 3, &[], probe));
    assert_eq!(base, time(plain(), 0, &[1, 2, 3], probe));
    let nack = Some(Nack {
        probability: 0.5,
        requeue: true,
    });
    assert_eq!(
        base,
        time(
            Spec {
                ack: Ack::Manual { every: 1, nack },
                ..plain()
            },
            0,
            &[],
            probe
        )
    );
    assert_ne!(
        base,
        time(
            plain(),
            0,
            &[],
            Delivery {
                attempt: 1,
                ..probe
            }
        )
    );
    assert_ne!(
        base,
        time(
            plain(),
            0,
            &[],
            Delivery {
                subscription: 1,
                ..probe
            }
        )
    );
}

#[test]
fn nacks_come_as_often_as_they_should() {
    const N: u64 = 20_000;
    let nack = Some(Nack {
        probability: 0.1,
        requeue: false,
    });
    let service = Distribution::Constant(Span::ZERO);
    let mut consumer = Consumer::new(
        plan(Spec {
            ack: Ack::Manual { every: 1, nack },
            service,
            ..consumer()
        }),
        0,
    );
    let mut out = Vec::new();
    consumer.connected(Time::ZERO, &mut out);
    for number in 1..=N {
        consumer.deliver(Time::ZERO, delivery(0, number), &mut out);
        out.clear();
    }
    assert_eq!(consumer.served(), N);
    assert!(
        (consumer.nacked() as f64 - 2000.0).abs() < 4.0 * (N as f64 * 0.09).sqrt(),
        "{}",
        consumer.nacked()
    );
}

#[derive(Clone, Debug)]
enum Step {
    Deliver(u32),
    Wait(u64),
    Tick,
    Pause,
    Resume,
    Factor(f64),
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..2u32).prop_map(Step::Deliver),
        8 => (0..20u64).prop_map(Step::Wait),
        4 => Just(Step::Tick),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => (0.1..5.0f64).prop_map(Step::Factor),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 0..200)
}

fn specs() -> impl Strategy<Value = Spec> {
    let nack = prop::option::of((0.0..=1.0f64, any::<bool>()).prop_map(
        |(probability, requeue)| Nack {
            probability,
            requeue,
        },
    ));
    let service = prop_oneof![
        Just(Distribution::Constant(Span::ZERO)),
        Just(Distribution::Uniform(Span::ZERO, Span::from_millis(2))),
        Just(Distribution::Exponential(Span::from_millis(10))),
    ];
    (1..5u32, nack, service, 1..5u32).prop_map(|(every, nack, service, concurrency)| Spec {
        from: vec![0, 1],
        ack: Ack::Manual { every, nack },
        service,
        concurrency,
        ..consumer()
    })
}

/// What the broker and an observer know of a consumer.
#[derive(Default)]
struct Watcher {
    /// Delivered and neither acked nor nacked, per queue.
    unsettled: [BTreeSet<u64>; 2],
    /// Served and not settled: accepted or not.
    served: BTreeMap<(u32, u64), bool>,
}

impl Watcher {
    fn watch(&mut self, out: &mut Vec<ConsumerAction>) -> Result<(), TestCaseError> {
        for action in out.drain(..) {
            match action {
                ConsumerAction::Served {
                    delivery,
                    received,
                    started,
                    ended,
                    accepted,
                } => {
                    prop_assert!(received <= started && started <= ended);
                    let key = (delivery.subscription, delivery.delivery);
                    prop_assert!(
                        self.unsettled[delivery.subscription as usize].contains(&delivery.delivery)
                    );
                    prop_assert!(
                        self.served.insert(key, accepted).is_none(),
                        "served twice: {:?}",
                        key
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
                    let covered: Vec<u64> = unsettled.range(first..=delivery).copied().collect();
                    for number in covered {
                        unsettled.remove(&number);
                        prop_assert_eq!(self.served.remove(&(subscription, number)), Some(true));
                    }
                }
                ConsumerAction::Nack {
                    subscription,
                    delivery,
                    ..
                } => {
                    prop_assert!(self.unsettled[subscription as usize].remove(&delivery));
                    prop_assert_eq!(self.served.remove(&(subscription, delivery)), Some(false));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_delivery_is_settled_once_and_only_after_its_service(spec in specs(), steps in steps()) {
        let Ack::Manual { every, .. } = spec.ack else { unreachable!("the strategy makes manual acks") };
        let concurrency = spec.concurrency;
        let mut consumer = Consumer::new(plan(spec), 0);
        let (mut out, mut watcher, mut now, mut next) = (Vec::new(), Watcher::default(), Time::ZERO, [0, 0]);
        consumer.connected(now, &mut out);
        for step in steps.into_iter().chain([Step::Resume]) {
            match step {
                Step::Deliver(subscription) => {
                    let number = &mut next[subscription as usize];
                    *number += 1;
                    watcher.unsettled[subscription as usize].insert(*number);
                    consumer.deliver(now, delivery(subscription, *number), &mut out);
                }
                Step::Wait(millis) => {
                    let until = now + Span::from_millis(millis);
                    while let Some(due) = consumer.deadline().filter(|due| *due <= until) {
                        consumer.tick(due, &mut out);
                        watcher.watch(&mut out)?;
                    }
                    now = until;
                }
                Step::Tick => consumer.tick(now, &mut out),
                Step::Pause => consumer.pause(now),
                Step::Resume => consumer.resume(now, &mut out),
                Step::Factor(factor) => consumer.set_factor(now, factor),
                Step::Reset => {
                    consumer.reset(now, &mut out);
                    consumer.connected(now, &mut out);
                    watcher = Watcher::default();
                    next = [0, 0];
                }
            }
            watcher.watch(&mut out)?;
            prop_assert!(consumer.serving() <= concurrency);
            let waiting = (consumer.buffered() + u64::from(consumer.serving())) as usize;
            let unsettled: usize = watcher.unsettled.iter().map(BTreeSet::len).sum();
            prop_assert_eq!(unsettled, waiting + watcher.served.len());
            // With services in turn a queue has fewer than `every` without their ack.
            prop_assert!(concurrency > 1 || watcher.served.len() < 2 * every as usize);
        }
        while let Some(due) = consumer.deadline() {
            now = now.max(due);
            consumer.tick(due, &mut out);
            watcher.watch(&mut out)?;
        }
        prop_assert!(watcher.unsettled.iter().all(BTreeSet::is_empty), "never settled: {:?}", watcher.unsettled);
        prop_assert_eq!(consumer.busy_time(now), consumer.busy_time(now + Span::from_secs(1)));
    }
}
