//! What all producers do.

mod common;

use std::sync::Arc;

use common::producing::check;
use common::{ms, producer, rate, scenario};
use expect_test::expect;
use queuelab_core::{Span, Time};
use queuelab_scenario::{
    Arrivals, Confirm, Distribution, Keys, Phase, Producer as Spec, Rate, Size, Target, WhenFull,
};
use queuelab_workload::{Outcome, Producer, ProducerAction, ProducerPlan, Publish};

fn window(window: u32, timeout: Option<Span>) -> Option<Confirm> {
    Some(Confirm { window, timeout })
}

#[test]
fn without_confirms_a_message_is_sent_and_forgotten() {
    let spec = Spec {
        confirm: None,
        ..producer()
    };
    check(
        spec,
        "0 connected
         3 stale
         3 show",
        expect![[r#"
            0   publish 0
            0   Sent 0
            1   publish 1
            1   Sent 1
            2   publish 2
            2   Sent 2
            3   offered 3, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn confirms_name_one_or_several() {
    check(
        producer(),
        "0 connected
         4 confirm 2
         4 confirm 3 multiple
         4 confirm 2
         4 confirm 99
         5 refuse 4
         6 confirm 0 multiple
         6 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            2   publish 2
            3   publish 3
            4   Confirmed 1
            4   Confirmed 0
            4   Confirmed 2
            4   publish 4
            5   Failed 3
            5   publish 5
            6   Confirmed 4
            6   Confirmed 5
            6   offered 6, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn a_full_window_delays_and_intended_times_keep_to_the_schedule() {
    let spec = Spec {
        confirm: window(2, None),
        ..producer()
    };
    check(
        spec,
        "0 connected
         5 show
         5 confirm 1
         7 confirm 3 multiple
         8 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            5   offered 5, waiting 3, unconfirmed 2
            5   Confirmed 0
            5   publish 2, 2 ms late
            7   Confirmed 1
            7   Confirmed 2
            7   publish 3, 3 ms late
            7   publish 4, 2 ms late
            8   offered 8, waiting 3, unconfirmed 2
        "#]],
    );
}

#[test]
fn a_full_buffer_drops_where_it_is_told_to() {
    let spec = Spec {
        confirm: window(1, None),
        buffer: 2,
        when_full: WhenFull::Drop,
        ..producer()
    };
    check(
        spec,
        "0 connected
         5 show
         5 confirm 1
         7 confirm 2
         8 confirm 3
         9 show",
        expect![[r#"
            0   publish 0
            3   Dropped 3
            4   Dropped 4
            5   offered 5, waiting 2, unconfirmed 1
            5   Confirmed 0
            5   publish 1, 3 ms late
            6   Dropped 6
            7   Confirmed 1
            7   publish 2, 4 ms late
            8   Confirmed 2
            8   publish 5, 2 ms late
            9   offered 9, waiting 2, unconfirmed 1
        "#]],
    );
}

#[test]
fn without_a_buffer_what_cannot_be_sent_is_dropped() {
    let spec = Spec {
        confirm: window(1, None),
        buffer: 0,
        when_full: WhenFull::Drop,
        ..producer()
    };
    check(
        spec,
        "0 connected
         2 confirm 1
         4 show",
        expect![[r#"
            0   publish 0
            1   Dropped 1
            2   Confirmed 0
            2   publish 2
            3   Dropped 3
            4   offered 4, waiting 0, unconfirmed 1
        "#]],
    );
}

#[test]
fn a_timeout_leaves_a_message_unknown_and_frees_the_window() {
    let spec = Spec {
        confirm: window(2, Some(Span::from_millis(3))),
        limit: Some(5),
        ..producer()
    };
    check(
        spec,
        "0 connected
         4 confirm 1
         4 confirm 3
         9 show
         20 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            3   Unknown 0
            3   publish 2, 1 ms late
            4   Confirmed 2
            4   publish 3
            4   Unknown 1
            4   publish 4
            7   Unknown 3
            7   Unknown 4
            9   offered 5, waiting 0, unconfirmed 0
            20  offered 5, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn a_reset_leaves_the_unconfirmed_unknown_and_a_new_channel_counts_from_one() {
    let spec = Spec {
        confirm: window(2, None),
        reconnect: Some(Span::from_millis(4)),
        limit: Some(6),
        ..producer()
    };
    check(
        spec,
        "0 connected
         3 reset
         3 reset
         4 confirm 1
         8 reset
         12 show
         13 connected
         14 confirm 2 multiple
         15 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            3   Unknown 0
            3   Unknown 1
            7   connect!
            12  offered 6, waiting 4, unconfirmed 0
            12  connect!
            13  publish 2, 10 ms late
            13  publish 3, 9 ms late
            14  Confirmed 2
            14  Confirmed 3
            14  publish 4, 9 ms late
            14  publish 5, 8 ms late
            15  offered 6, waiting 0, unconfirmed 2
        "#]],
    );
}

#[test]
fn those_who_spread_their_reconnects_come_back_one_by_one() {
    let spec = Spec {
        reconnect: Some(Span::from_millis(4)),
        reconnect_spread: Span::from_millis(100),
        limit: Some(4),
        ..producer()
    };
    check(
        spec,
        "0 connected
         3 reset
         90 connected
         93 reset
         300 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            2   publish 2
            3   Unknown 0
            3   Unknown 1
            3   Unknown 2
            12  connect!
            90  publish 3, 86 ms late
            93  Unknown 3
            144 connect!
            300 offered 4, waiting 0, unconfirmed 0
        "#]],
    );
}

#[test]
fn without_reconnect_it_stays_away() {
    let spec = Spec {
        limit: Some(4),
        ..producer()
    };
    check(
        spec,
        "0 connected
         2 reset
         900 show",
        expect![[r#"
            0   publish 0
            1   publish 1
            2   Unknown 0
            2   Unknown 1
            900 offered 4, waiting 2, unconfirmed 0
        "#]],
    );
}

#[test]
fn nothing_is_published_while_the_broker_does_not_read() {
    check(
        Spec {
            limit: Some(5),
            ..producer()
        },
        "0 connected
         1 blocked
         3 confirm 1
         3 show
         4 writable
         6 show",
        expect![[r#"
            0   publish 0
            3   Confirmed 0
            3   offered 3, waiting 2, unconfirmed 0
            4   publish 1, 2 ms late
            4   publish 2, 1 ms late
            4   publish 3
            4   publish 4
            6   offered 5, waiting 0, unconfirmed 4
        "#]],
    );
}

fn closed(think: u64) -> Spec {
    let think = Distribution::Constant(Span::from_millis(think));
    Spec {
        arrivals: Arrivals::Closed {
            think,
            ramp: Span::ZERO,
        },
        ..producer()
    }
}

#[test]
fn a_closed_loop_waits_for_its_message_and_thinks() {
    check(
        closed(5),
        "0 connected
         6 confirm 1
         20 consumed 7
         20 consumed 0
         20 consumed 0
         30 show
         40 refuse 2
         50 show",
        expect![[r#"
            5   publish 0
            6   Confirmed 0
            25  publish 1
            30  offered 2, waiting 0, unconfirmed 1
            40  Failed 1
            45  publish 2
            50  offered 3, waiting 0, unconfirmed 1
        "#]],
    );
}

#[test]
fn a_closed_loop_gives_a_message_up_with_its_connection_or_timeout() {
    let confirm = window(1, Some(Span::from_millis(20)));
    check(
        Spec {
            reconnect: Some(Span::from_millis(3)),
            confirm,
            when_full: WhenFull::Drop,
            buffer: 0,
            ..closed(5)
        },
        "0 connected
         6 confirm 1
         10 reset
         14 show
         20 show
         22 connected
         60 show",
        expect![[r#"
            5   publish 0
            6   Confirmed 0
            13  connect!
            14  offered 1, waiting 0, unconfirmed 0
            20  offered 2, waiting 1, unconfirmed 0
            22  publish 1, 7 ms late
            42  Unknown 1
            47  publish 2
            60  offered 3, waiting 0, unconfirmed 1
        "#]],
    );
}

#[test]
fn a_closed_loop_ends_with_its_limit_or_the_run() {
    check(
        Spec {
            limit: Some(1),
            ..closed(5)
        },
        "0 connected
         9 consumed 0
         100 show",
        expect![[r#"
            5   publish 0
            100 offered 1, waiting 0, unconfirmed 1
        "#]],
    );
    check(
        closed(600),
        "0 connected
         601 consumed 0
         2000 show",
        expect![[r#"
            600 publish 0
            2000 offered 1, waiting 0, unconfirmed 1
        "#]],
    );
}

/// All that a member publishes when nothing holds it up.
fn published(spec: &Spec, phases: Vec<Phase>, member: u32) -> Vec<Publish> {
    let mut scenario = scenario(1);
    scenario.phases = phases;
    scenario.producers = vec![Spec {
        confirm: None,
        ..spec.clone()
    }];
    let mut producer = Producer::new(Arc::new(ProducerPlan::new(&scenario, 0, 1)), member);
    let (mut out, mut published) = (Vec::new(), Vec::new());
    producer.connected(Time::ZERO, &mut out);
    while let Some(due) = producer.deadline() {
        producer.tick(due, &mut out);
        for action in out.drain(..) {
            if let ProducerAction::Publish(publish) = action {
                published.push(publish);
            }
        }
    }
    published
}

/// A group in which everything is random.
fn random() -> Spec {
    Spec {
        arrivals: Arrivals::Poisson(rate(2000.0)),
        to: vec![
            (Target::Queue(0), 1.0),
            (
                Target::Exchange {
                    exchange: 0,
                    key: None,
                },
                3.0,
            ),
        ],
        message_key: Keys::Zipf {
            keys: 100,
            exponent: 1.0,
        },
        size: Size::Lognormal {
            median: 700.0,
            p99: 8000.0,
        },
        ..producer()
    }
}

fn one_phase() -> Vec<Phase> {
    scenario(1).phases
}

#[test]
fn changing_one_choice_shifts_no_other() {
    let base = published(&random(), one_phase(), 0);
    assert!((1800..2200).contains(&base.len()));
    let variants = [
        Spec {
            message_key: Keys::None,
            ..random()
        },
        Spec {
            size: Size::Fixed(1),
            ..random()
        },
        Spec {
            to: vec![(Target::Queue(1), 1.0)],
            ..random()
        },
        Spec {
            arrivals: Arrivals::Poisson(rate(1000.0)),
            ..random()
        },
        Spec {
            limit: Some(500),
            ..random()
        },
    ];
    // Which of (time, key, size, target) must stay.
    let kept = [
        [true, false, true, true],
        [true, true, false, true],
        [true, true, true, false],
        [false, true, true, true],
        [true; 4],
    ];
    for (variant, kept) in variants.iter().zip(kept) {
        let other = published(variant, one_phase(), 0);
        let pairs = || base.iter().zip(&other);
        assert!(pairs().count() >= 500);
        let same = [
            pairs().all(|(a, b)| a.intended == b.intended),
            pairs().all(|(a, b)| a.key == b.key),
            pairs().all(|(a, b)| a.size == b.size),
            pairs().all(|(a, b)| a.target == b.target),
        ];
        assert_eq!(same, kept, "{variant:?}");
    }
}

#[test]
fn being_held_up_or_dropping_changes_no_message() {
    let spec = Spec {
        confirm: window(3, None),
        ..random()
    };
    let smooth = published(&spec, one_phase(), 0);
    for (when_full, buffer) in [(WhenFull::Wait, 10), (WhenFull::Drop, 10)] {
        let mut scenario = scenario(1);
        scenario.producers = vec![Spec {
            when_full,
            buffer,
            ..spec.clone()
        }];
        let mut producer = Producer::new(Arc::new(ProducerPlan::new(&scenario, 0, 1)), 0);
        let (mut out, mut seen, mut dropped, mut confirmed) = (Vec::new(), 0, 0, 0);
        // The broker confirms three at a time, every 3 ms: half of what is offered.
        for step in 0..3000 {
            let now = ms(3 * step);
            while let Some(due) = producer.deadline().filter(|due| *due <= now) {
                producer.tick(due, &mut out);
            }
            if step == 0 {
                producer.connected(now, &mut out);
            } else {
                producer.confirm(now, 0, true, true, &mut out);
            }
            for action in out.drain(..) {
                match action {
                    ProducerAction::Publish(publish) => {
                        assert_eq!(publish, smooth[publish.sequence as usize]);
                        seen += 1;
                    }
                    ProducerAction::Finished {
                        outcome: Outcome::Confirmed,
                        ..
                    } => confirmed += 1,
                    ProducerAction::Finished {
                        sequence,
                        intended,
                        outcome,
                    } => {
                        assert_eq!(outcome, Outcome::Dropped);
                        assert_eq!(intended, smooth[sequence as usize].intended);
                        dropped += 1;
                    }
                    other => panic!("nobody asked for {other:?}"),
                }
            }
            assert!(producer.unconfirmed() <= 3);
            assert!(when_full == WhenFull::Wait || producer.waiting() <= buffer);
        }
        assert_eq!(producer.offered(), smooth.len() as u64);
        assert_eq!(
            (seen + dropped, seen, producer.waiting()),
            (smooth.len(), confirmed, 0)
        );
        assert_eq!(dropped > 0, when_full == WhenFull::Drop);
    }
}

#[test]
fn a_limit_is_shared_by_the_members() {
    let spec = Spec {
        count: 4,
        limit: Some(10),
        ..producer()
    };
    let shares: Vec<usize> = (0..4)
        .map(|member| published(&spec, one_phase(), member).len())
        .collect();
    assert_eq!(shares, [3, 3, 2, 2]);
}

#[test]
fn members_share_the_rate_and_march_out_of_step() {
    let spec = Spec {
        count: 10,
        ..producer()
    };
    let mut firsts: Vec<Time> = (0..10)
        .map(|member| published(&spec, one_phase(), member)[0].intended)
        .collect();
    assert_eq!(published(&spec, one_phase(), 3).len(), 100);
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), 10);
}

#[test]
fn a_silent_phase_is_passed_over() {
    let phase = |name: &str, from, until| Phase {
        name: name.into(),
        from: ms(from),
        until: ms(until),
    };
    let phases = vec![
        phase("quiet", 0, 100),
        phase("busy", 100, 200),
        phase("after", 200, 300),
    ];
    let segments = vec![(0.0, 0.0), (1000.0, 1000.0), (0.0, 0.0)];
    let spec = Spec {
        arrivals: Arrivals::Constant(Rate { segments }),
        ..producer()
    };
    let times: Vec<Time> = published(&spec, phases, 0)
        .iter()
        .map(|publish| publish.intended)
        .collect();
    assert_eq!(times.len(), 100);
    assert!(times[0] >= ms(100) && times[99] < ms(200));
}

#[test]
fn routing_keys_come_from_queue_target_or_message() {
    let mut scenario = scenario(1);
    let exchange = |key: Option<&str>| Target::Exchange {
        exchange: 0,
        key: key.map(String::from),
    };
    scenario.producers = vec![Spec {
        to: vec![
            (Target::Queue(1), 1.0),
            (exchange(Some("order.created")), 1.0),
            (exchange(None), 1.0),
        ],
        message_key: Keys::Uniform { keys: 10 },
        ..producer()
    }];
    let plan = ProducerPlan::new(&scenario, 0, 1);
    let keys: Vec<_> = (0..3).map(|target| plan.routing_key(target, 7)).collect();
    assert_eq!(keys, ["b", "order.created", "k7"]);
    assert_eq!(plan.key_name(3), "k3");
}
