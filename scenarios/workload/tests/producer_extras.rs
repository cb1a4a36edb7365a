//! Producers that send again, in batches and transactions, lose patience, come and go; and what messages carry.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::producing::check;
use common::{ms, producer, rate, scenario};
use expect_test::expect;
use proptest::prelude::*;
use queuelab_core::{Span, Time, Value};
use queuelab_scenario::{
    Arrivals, Batch, Breaker, Budget, BurstSize, Churn, Confirm, Distribution, Jitter, Keys,
    MessageMix, Producer as Spec, Retry, WhenFull,
};
use queuelab_workload::{Outcome, Producer, ProducerAction, ProducerPlan, Publish};

fn millis(millis: u64) -> Span {
    Span::from_millis(millis)
}

/// Three attempts, 4 ms and 8 ms apart.
fn retry() -> Retry {
    Retry {
        base: millis(4),
        max: millis(100),
        exponential: true,
        jitter: Jitter::None,
        attempts: 3,
        budget: None,
        breaker: None,
        keeps_waiting: true,
    }
}

fn limited(limit: u64) -> Spec {
    Spec {
        limit: Some(limit),
        ..producer()
    }
}

fn window(window: u32, timeout: Option<Span>) -> Option<Confirm> {
    Some(Confirm { window, timeout })
}

#[test]
fn a_nack_is_followed_by_longer_waits_and_at_last_by_the_outcome() {
    check(
        Spec {
            retry: Some(retry()),
            ..limited(1)
        },
        "0 connected
         1 refuse 1
         6 refuse 2
         6 show
         20 refuse 3
         40 show",
        expect![[r#"
            0   publish 0
            5   publish 0 again (1), 4 ms late
            6   offered 1, waiting 1, unconfirmed 0
            14  publish 0 again (2), 13 ms late
            20  Failed 0
            40  offered 1, waiting 0, unconfirmed 0
        "#]],
    );
}

/// Of a run that is cut down to a few messages, each keeps its time and its choices.
#[test]
fn a_message_that_is_kept_is_the_same_without_the_others() {
    let spec = Spec {
        retry: Some(retry()),
        ..limited(100)
    };
    let mut scenario = scenario(10);
    scenario.producers = vec![spec];
    let plan = Arc::new(ProducerPlan::new(&scenario, 0, 1));
    let sent = |kept: Option<Vec<u64>>| {
        let mut producer = Producer::new(plan.clone(), 0);
        if let Some(kept) = kept {
            producer.keep_only(kept);
        }
        let mut out = Vec::new();
        producer.connected(Time::ZERO, &mut out);
        while let Some(due) = producer.deadline() {
            producer.tick(due, &mut out);
        }
        let publishes = out.into_iter().filter_map(|action| match action {
            ProducerAction::Publish(publish) => Some(publish),
            _ => None,
        });
        publishes.collect::<Vec<_>>()
    };
    let all = sent(None);
    assert_eq!(all.len(), 100);
    let some = sent(Some(vec![3, 40, 99]));
    assert_eq!(some, [all[3], all[40], all[99]]);
}

#[test]
fn a_message_that_backs_off_takes_no_room_in_the_window() {
    check(
        Spec {
            retry: Some(retry()),
            confirm: window(1, Some(millis(2))),
            ..limited(2)
        },
        "0 connected
         3 show
         4 confirm 2
         9 confirm 3
         20 show",
        expect![[r#"
            0   publish 0
            2   publish 1, 1 ms late
            3   offered 2, waiting 1, unconfirmed 1
            4   Confirmed 1
            6   publish 0 again (1), 6 ms late
            16  publish 0 again (2), 16 ms late
            18  Unknown 0
            20  offered 2, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn a_reset_sends_again_over_the_next_connection() {
    check(
        Spec {
            retry: Some(retry()),
            reconnect: Some(millis(10)),
            ..limited(2)
        },
        "0 connected
         2 reset
         3 show
         12 connected
         13 confirm 2 multiple
         20 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            3   offered 2, waiting 2, unconfirmed 0
            12  publish 0 again (1), 11 ms late
            12  publish 1 again (1), 10 ms late
            13  Confirmed 0
            13  Confirmed 1
            20  offered 2, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn without_a_token_nothing_is_sent_again() {
    let budget = Some(Budget {
        ratio: 0.5,
        burst: 1.0,
    });
    check(
        Spec {
            retry: Some(Retry {
                budget,
                base: Span::ZERO,
                ..retry()
            }),
            ..limited(4)
        },
        "0 connected
         1 refuse 1
         4 refuse 3
         4 refuse 4
         4 refuse 5
         9 show",
        expect![[r#"
            0   publish 0
            1   publish 0 again (1)
            1   publish 1
            2   publish 2
            3   publish 3
            4   publish 1 again (1), 2 ms late
            4   Abandoned 2
            4   Abandoned 3
            9   offered 4, waiting 0, unconfirmed 2
        "#]],
    );
}

#[test]
fn a_number_that_comes_to_nothing_begins_a_new_epoch() {
    check(
        Spec {
            idempotent: true,
            confirm: window(2, None),
            patience: Some(Distribution::Constant(millis(6))),
            ..limited(12)
        },
        "0 connected
         8 refuse 1
         9 confirm 2
         10 show
         14 confirm 4
         15 refuse 3
         20 show",
        expect![[r#"
            0   publish 0 as 0/0
            1   publish 1 as 0/1
            8   Failed 0
            8   Abandoned 2
            9   Confirmed 1
            9   publish 3 as 1/0, 5 ms late
            9   publish 4 as 1/1, 4 ms late
            10  offered 10, waiting 5, unconfirmed 2
            11  Abandoned 5
            12  Abandoned 6
            13  Abandoned 7
            14  Confirmed 4
            14  publish 8 as 1/2, 5 ms late
            15  Failed 3
            15  Abandoned 9
            16  Abandoned 10
            17  Abandoned 11
            20  offered 12, waiting 0, unconfirmed 1
        "#]],
    );
}

#[test]
fn what_is_in_doubt_keeps_its_number_until_that_is_resolved() {
    check(
        Spec {
            idempotent: true,
            confirm: window(3, Some(millis(5))),
            retry: Some(Retry {
                attempts: 2,
                ..retry()
            }),
            ..limited(8)
        },
        "0 connected
         3 refuse 1
         9 refuse 6
         10 show
         14 confirm 0 multiple
         18 confirm 0 multiple
         25 confirm 0 multiple
         30 show",
        expect![[r#"
            0   publish 0 as 0/0
            1   publish 1 as 0/1
            2   publish 2 as 0/2
            3   publish 3 as 0/3
            6   publish 4 as 0/4, 2 ms late
            7   publish 0 again (1) as 0/0, 7 ms late
            8   publish 5 as 0/5, 3 ms late
            9   Failed 0
            10  offered 8, waiting 5, unconfirmed 2
            10  publish 1 again (1) as 0/1, 9 ms late
            11  publish 2 again (1) as 0/2, 9 ms late
            13  publish 3 again (1) as 0/3, 10 ms late
            14  Confirmed 1
            14  Confirmed 2
            14  Confirmed 3
            15  publish 4 again (1) as 0/4, 11 ms late
            17  publish 5 again (1) as 0/5, 12 ms late
            18  Confirmed 4
            18  Confirmed 5
            18  publish 6 as 1/0, 11 ms late
            18  publish 7 as 1/1, 10 ms late
            27  publish 6 again (1) as 1/0, 20 ms late
            27  publish 7 again (1) as 1/1, 19 ms late
            30  offered 8, waiting 0, unconfirmed 2
        "#]],
    );
}

#[test]
fn an_open_breaker_sends_nothing_and_then_tries_one() {
    let breaker = Some(Breaker {
        failures: 2,
        open: millis(5),
    });
    check(
        Spec {
            retry: Some(Retry {
                breaker,
                attempts: 1,
                ..retry()
            }),
            ..limited(20)
        },
        "0 connected
         2 refuse 1
         2 refuse 2
         6 show
         9 refuse 3
         15 confirm 4
         16 confirm 0 multiple
         17 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            2   Failed 0
            2   Failed 1
            6   offered 6, waiting 4, unconfirmed 0
            7   publish 2, 4 ms late
            9   Failed 2
            14  publish 3, 10 ms late
            15  Confirmed 3
            15  publish 4, 10 ms late
            15  publish 5, 9 ms late
            15  publish 6, 8 ms late
            15  publish 7, 7 ms late
            15  publish 8, 6 ms late
            15  publish 9, 5 ms late
            15  publish 10, 4 ms late
            15  publish 11, 3 ms late
            15  publish 12, 2 ms late
            15  publish 13, 1 ms late
            15  publish 14
            15  publish 15
            16  Confirmed 4
            16  Confirmed 5
            16  Confirmed 6
            16  Confirmed 7
            16  Confirmed 8
            16  Confirmed 9
            16  Confirmed 10
            16  Confirmed 11
            16  Confirmed 12
            16  Confirmed 13
            16  Confirmed 14
            16  Confirmed 15
            16  publish 16
            17  offered 17, waiting 0, unconfirmed 1
        "#]],
    );
}

#[test]
fn patience_ends_for_what_waits_and_not_for_what_is_under_way() {
    check(
        Spec {
            confirm: window(1, None),
            patience: Some(Distribution::Constant(millis(3))),
            ..limited(4)
        },
        "0 connected
         4 show
         5 confirm 1
         9 show",
        expect![[r#"
            0   publish 0
            4   offered 4, waiting 3, unconfirmed 1
            4   Abandoned 1
            5   Confirmed 0
            5   publish 2, 2 ms late
            6   Abandoned 3
            9   offered 4, waiting 0, unconfirmed 1
        "#]],
    );
}

#[test]
fn a_batch_leaves_when_it_is_full_or_its_first_message_has_lingered() {
    check(
        Spec {
            batch: Some(Batch {
                size: 3,
                linger: millis(10),
            }),
            ..limited(5)
        },
        "0 connected
         4 show
         20 show",
        expect![[r#"
            2   publish 0, 2 ms late
            2   publish 1, 1 ms late
            2   publish 2
            4   offered 4, waiting 1, unconfirmed 3
            13  publish 3, 10 ms late
            13  publish 4, 9 ms late
            20  offered 5, waiting 0, unconfirmed 5
        "#]],
    );
}

#[test]
fn a_batch_waits_for_its_connection_and_not_for_a_window_that_is_full() {
    check(
        Spec {
            batch: Some(Batch {
                size: 10,
                linger: millis(2),
            }),
            confirm: window(2, None),
            ..limited(4)
        },
        "0 connected
         1 blocked
         5 show
         5 writable
         6 confirm 2 multiple
         9 show",
        expect![[r#"
            5   offered 4, waiting 4, unconfirmed 0
            5   publish 0, 4 ms late
            5   publish 1, 3 ms late
            6   Confirmed 0
            6   Confirmed 1
            6   publish 2, 3 ms late
            6   publish 3, 2 ms late
            9   offered 4, waiting 0, unconfirmed 2
        "#]],
    );
}

#[test]
fn a_transaction_is_committed_when_it_is_full_or_nothing_more_is_to_come() {
    check(
        Spec {
            transaction: Some(2),
            ..limited(5)
        },
        "0 connected
         3 show
         4 committed
         6 aborted
         7 committed
         7 committed
         8 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            1   commit
            3   offered 3, waiting 1, unconfirmed 2
            4   Confirmed 0
            4   Confirmed 1
            4   publish 2, 1 ms late
            4   publish 3
            4   commit
            6   Failed 2
            6   Failed 3
            6   publish 4, 1 ms late
            6   commit
            7   Confirmed 4
            8   offered 5, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn a_member_leaves_and_comes_back() {
    let churn = Churn {
        every: Distribution::Constant(millis(3)),
        away: Distribution::Constant(millis(4)),
        crash: false,
        declare: false,
    };
    check(
        Spec {
            churn: Some(churn),
            ..limited(6)
        },
        "0 connected
         8 connected
         9 confirm 0 multiple
         14 reset
         14 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            2   publish 2
            3   leave
            3   Unknown 0
            3   Unknown 1
            3   Unknown 2
            7   connect!
            8   publish 3, 4 ms late
            8   publish 4, 3 ms late
            8   publish 5, 2 ms late
            9   Confirmed 3
            9   Confirmed 4
            9   Confirmed 5
            11  leave
            14  offered 6, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn a_member_may_start_late_and_asks_for_its_connection() {
    check(
        Spec {
            start: Distribution::Constant(millis(5)),
            ..limited(2)
        },
        "4 show
         6 connected
         9 show",
        expect![[r#"
            4   offered 0, waiting 0, unconfirmed 0
            5   connect!
            6   publish 0
            6   publish 1
            9   offered 2, waiting 0, unconfirmed 2
        "#]],
    );
}

#[test]
fn users_join_over_the_ramp() {
    let mut scenario = scenario(1);
    scenario.producers = vec![Spec {
        count: 4,
        arrivals: Arrivals::Closed {
            think: Distribution::Constant(millis(1)),
            ramp: millis(100),
        },
        ..producer()
    }];
    let plan = Arc::new(ProducerPlan::new(&scenario, 0, 1));
    for (member, joins) in [(0, 0), (1, 25), (2, 50), (3, 75)] {
        let mut producer = Producer::new(plan.clone(), member);
        assert_eq!(producer.start(), ms(joins));
        let mut out = Vec::new();
        producer.connected(ms(joins), &mut out);
        assert_eq!(producer.deadline(), Some(ms(joins + 1)));
    }
}

#[test]
fn as_fast_as_it_can_means_a_full_window() {
    check(
        Spec {
            arrivals: Arrivals::Max,
            confirm: window(2, None),
            ..limited(5)
        },
        "0 connected
         3 confirm 1
         4 blocked
         4 confirm 3 multiple
         5 writable
         6 confirm 0 multiple
         9 show",
        expect![[r#"
            0   publish 0
            0   publish 1
            3   Confirmed 0
            3   publish 2
            4   Confirmed 1
            4   Confirmed 2
            5   publish 3
            5   publish 4
            6   Confirmed 3
            6   Confirmed 4
            9   offered 5, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn a_burst_comes_at_one_instant() {
    check(
        Spec {
            burst: BurstSize::Fixed(3),
            confirm: None,
            ..limited(4)
        },
        "0 connected
         9 show",
        expect![[r#"
            1   publish 0
            1   Sent 0
            1   publish 1
            1   Sent 1
            1   publish 2
            1   Sent 2
            4   publish 3
            4   Sent 3
            9   offered 4, waiting 0, unconfirmed 0
        "#]],
    );
}

/// The first messages' properties.
fn properties(spec: Spec, member: u32, count: u64) -> Vec<queuelab_core::Properties> {
    let mut scenario = scenario(1);
    scenario.producers = vec![spec];
    let plan = ProducerPlan::new(&scenario, 0, 1);
    let publish = |sequence| Publish {
        sequence,
        intended: Time::ZERO,
        target: 0,
        key: (sequence % 3) as u32,
        size: 1,
        attempt: 0,
    };
    (0..count)
        .filter_map(|sequence| plan.properties(member, &publish(sequence)))
        .collect()
}

#[test]
fn messages_carry_what_the_mix_says() {
    assert!(properties(producer(), 0, 3).is_empty());
    let text = |text: &'static str| Value::Text(text.into());
    let mix = MessageMix {
        priority: vec![(9, 1.0), (0, 3.0)],
        ttl: Some(Distribution::Exponential(millis(10))),
        delay: Some(Distribution::Constant(millis(2))),
        group_by_key: true,
        headers: vec![
            ("size".into(), vec![(Value::Int(3), 1.0)]),
            ("kind".into(), vec![(text("a"), 2.0), (text("b"), 1.0)]),
        ],
        id: true,
        duplicates: 0.25,
    };
    let spec = Spec {
        count: 2,
        message_key: Keys::Uniform { keys: 3 },
        properties: mix,
        ..producer()
    };
    const N: u64 = 10_000;
    let all = properties(spec.clone(), 0, N);
    let share =
        |is: &dyn Fn(usize) -> bool| (1..all.len()).filter(|at| is(*at)).count() as f64 / N as f64;
    let near = |share: f64, expected: f64| {
        let allowed = 5.0 * (expected * (1.0 - expected) / N as f64).sqrt();
        assert!(
            (share - expected).abs() < allowed,
            "{share}, not {expected}"
        );
    };
    near(share(&|at| all[at].priority == 9), 0.25);
    near(share(&|at| all[at].headers[0].1 == text("a")), 2.0 / 3.0);
    near(share(&|at| all[at].id == all[at - 1].id), 0.25);
    near(
        share(&|at| all[at].ttl < Some(millis(10))),
        1.0 - libm::exp(-1.0),
    );
    let names: Vec<_> = all[0]
        .headers
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(names, ["kind", "size"]);
    assert_eq!(all[4].group, Some("k1".into()));
    assert_eq!(all[4].delay, Some(millis(2)));
    // The same again; another member has its own.
    assert_eq!(all, properties(spec.clone(), 0, N));
    let other = properties(spec, 1, N);
    assert!(
        other
            .iter()
            .zip(&all)
            .all(|(one, other)| one.id != other.id)
    );
}

#[test]
fn one_property_more_shifts_no_other() {
    let mix = MessageMix {
        priority: vec![(9, 1.0), (0, 3.0)],
        ttl: Some(Distribution::Exponential(millis(10))),
        ..MessageMix::default()
    };
    let with = |properties| Spec {
        properties,
        ..producer()
    };
    let more = MessageMix {
        delay: Some(Distribution::Exponential(millis(10))),
        id: true,
        duplicates: 0.5,
        ..mix.clone()
    };
    let (few, many) = (
        properties(with(mix), 0, 100),
        properties(with(more), 0, 100),
    );
    for (few, many) in few.iter().zip(&many) {
        assert_eq!((few.priority, few.ttl), (many.priority, many.ttl));
    }
}

#[test]
fn jitter_leaves_all_half_or_nothing_to_chance() {
    for (jitter, low) in [
        (Jitter::None, 1.0),
        (Jitter::Equal, 0.5),
        (Jitter::Full, 0.0),
    ] {
        let mut scenario = scenario(10);
        scenario.producers = vec![Spec {
            retry: Some(Retry {
                jitter,
                base: millis(800),
                ..retry()
            }),
            ..limited(1000)
        }];
        let mut producer = Producer::new(Arc::new(ProducerPlan::new(&scenario, 0, 1)), 0);
        let mut out = Vec::new();
        producer.connected(Time::ZERO, &mut out);
        let (mut waits, mut published) = (Vec::new(), 0);
        while let Some(due) = producer.deadline() {
            producer.tick(due, &mut out);
            for action in std::mem::take(&mut out) {
                match action {
                    ProducerAction::Publish(Publish { attempt: 0, .. }) => {
                        published += 1;
                        producer.confirm(due, published, false, false, &mut out);
                    }
                    ProducerAction::Publish(publish) => {
                        published += 1;
                        waits.push((due - publish.intended).as_secs_f64() / 0.1);
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(waits.len(), 1000);
        assert!(
            waits.iter().all(|wait| (low..=1.0).contains(wait)),
            "{jitter:?}"
        );
        let mean = waits.iter().sum::<f64>() / 1000.0;
        let deviation = (1.0 - low) / 12f64.sqrt();
        assert!(
            (mean - (low + 1.0) / 2.0).abs() <= 5.0 * deviation / 1000f64.sqrt() + 1e-9,
            "{mean}"
        );
    }
}

fn specs() -> impl Strategy<Value = Spec> {
    let arrivals = prop_oneof![
        4 => Just(Arrivals::Poisson(rate(500.0))),
        1 => Just(Arrivals::Max),
        2 => Just(Arrivals::Closed { think: Distribution::Exponential(millis(3)), ramp: Span::ZERO }),
    ];
    let retry = (0..20u64, 1..5u32, any::<bool>(), any::<bool>()).prop_map(
        |(base, attempts, budget, breaker)| Retry {
            base: millis(base),
            attempts,
            jitter: Jitter::Full,
            budget: budget.then_some(Budget {
                ratio: 0.5,
                burst: 3.0,
            }),
            breaker: breaker.then_some(Breaker {
                failures: 3,
                open: millis(20),
            }),
            ..retry()
        },
    );
    let batch = (1..6u32, 0..10u64).prop_map(|(size, linger)| Batch {
        size,
        linger: millis(linger),
    });
    let churn = Just(Churn {
        every: Distribution::Exponential(millis(60)),
        away: Distribution::Exponential(millis(10)),
        crash: true,
        declare: false,
    });
    let care = (
        prop::option::of(retry),
        prop::option::of(batch),
        prop::option::of(1..5u32),
        prop::option::of(Just(Distribution::Exponential(millis(15)))),
        prop::option::of(churn),
    );
    let ways = (any::<bool>(), any::<bool>(), any::<bool>());
    (arrivals, 1..6u32, ways, care).prop_map(
        |(arrivals, size, ways, (retry, batch, transaction, patience, churn))| Spec {
            arrivals,
            confirm: window(size, ways.0.then_some(millis(12))),
            when_full: if ways.1 {
                WhenFull::Drop
            } else {
                WhenFull::Wait
            },
            buffer: 4,
            reconnect: Some(millis(5)),
            retry,
            batch,
            transaction,
            patience,
            churn,
            idempotent: ways.2 && transaction.is_none(),
            ..limited(60)
        },
    )
}

/// A broker that answers after a while, not always well, and what it must never see.
struct Broker {
    /// Channel sequence → message, of the present connection.
    open: BTreeMap<u64, u64>,
    published: u64,
    attempts: BTreeMap<u64, u32>,
    outcomes: BTreeMap<u64, Outcome>,
    committing: bool,
    connect: bool,
}

impl Broker {
    fn watch(
        &mut self,
        now: Time,
        spec: &Spec,
        out: &mut Vec<ProducerAction>,
    ) -> Result<(), TestCaseError> {
        for action in out.drain(..) {
            match action {
                ProducerAction::Publish(publish) => {
                    prop_assert!(publish.intended <= now);
                    prop_assert!(!self.outcomes.contains_key(&publish.sequence));
                    // The attempt before has ended, perhaps unheard of by the broker.
                    let before = self.open.len();
                    self.open.retain(|_, open| *open != publish.sequence);
                    prop_assert!(publish.attempt > 0 || self.open.len() == before);
                    let attempts = self.attempts.entry(publish.sequence).or_default();
                    prop_assert_eq!(publish.attempt, *attempts);
                    *attempts += 1;
                    prop_assert!(
                        *attempts <= spec.retry.as_ref().map_or(1, |retry| retry.attempts)
                    );
                    self.published += 1;
                    self.open.insert(self.published, publish.sequence);
                }
                ProducerAction::Finished {
                    sequence, outcome, ..
                } => {
                    self.open.retain(|_, open| *open != sequence);
                    prop_assert!(
                        self.outcomes.insert(sequence, outcome).is_none(),
                        "told twice: {}",
                        sequence
                    );
                    let sent = self.attempts.contains_key(&sequence);
                    prop_assert!(sent || matches!(outcome, Outcome::Dropped | Outcome::Abandoned));
                    prop_assert!(!sent || outcome != Outcome::Dropped);
                }
                ProducerAction::Commit => {
                    prop_assert!(!self.committing && !self.open.is_empty());
                    self.committing = true;
                }
                ProducerAction::Connect => self.connect = true,
                ProducerAction::Disconnect { .. } => self.hang_up(),
            }
        }
        Ok(())
    }

    fn hang_up(&mut self) {
        self.open.clear();
        self.published = 0;
        self.committing = false;
    }
}

proptest! {
    #[test]
    fn each_message_is_reported_once_whatever_happens(spec in specs(), chances in prop::collection::vec(0..100u32, 3000)) {
        let mut scenario = scenario(1);
        scenario.producers = vec![spec.clone()];
        let mut producer = Producer::new(Arc::new(ProducerPlan::new(&scenario, 0, 1)), 0);
        let mut broker = Broker {
            open: BTreeMap::new(), published: 0, attempts: BTreeMap::new(), outcomes: BTreeMap::new(),
            committing: false, connect: true,
        };
        let mut out = Vec::new();
        let room = spec.transaction.or(spec.confirm.map(|confirm| confirm.window)).unwrap_or(0) as u64;
        // A second of trouble, then two of peace.
        for (step, chance) in (0u64..).zip(chances) {
            let now = ms(step);
            let mut calls = 0;
            while let Some(due) = producer.deadline().filter(|due| *due <= now) {
                producer.tick(due, &mut out);
                broker.watch(due, &spec, &mut out)?;
                calls += 1;
                prop_assert!(calls < 1000, "it never comes to rest");
            }
            let trouble = step < 1000;
            if std::mem::take(&mut broker.connect) {
                producer.connected(now, &mut out);
            } else if broker.committing && (chance < 50 || !trouble) {
                broker.committing = false;
                let accepted = chance > 10;
                if !accepted {
                    broker.open.clear();
                }
                producer.committed(now, accepted, &mut out);
            } else if trouble && chance < 2 {
                broker.hang_up();
                producer.reset(now, &mut out);
            } else if trouble && chance < 4 {
                producer.writable(now, chance == 2, &mut out);
            } else if spec.transaction.is_none() && (chance < 40 || !trouble)
                && let Some((sequence, message)) = broker.open.pop_first()
            {
                producer.confirm(now, sequence, false, chance > 15 || !trouble, &mut out);
                producer.consumed(now, message, &mut out);
            }
            if step == 1000 {
                producer.writable(now, true, &mut out);
            }
            broker.watch(now, &spec, &mut out)?;
            prop_assert!(producer.unconfirmed() <= room);
            if spec.transaction.is_some() && !broker.committing && producer.unconfirmed() == 0 {
                for message in broker.outcomes.keys() {
                    producer.consumed(now, *message, &mut out);
                }
            }
        }
        let under_way = producer.waiting() + producer.unconfirmed();
        prop_assert_eq!(broker.outcomes.len() as u64 + under_way, producer.offered());
        prop_assert!(under_way <= 10, "{} of {} never ended", under_way, producer.offered());
    }
}
