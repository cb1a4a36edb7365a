//! Dead letters: reasons, history, circles, and delivery at least once.

use crate::support::{dead_letter_to, exchange, queue, run};
use crate::{check, check_observed};
use expect_test::expect;
use queuelab_core::*;

/// Row 22: rejected, expired, maxlen, delivery_limit; the newest first.
#[test]
fn dead_letters_carry_their_history() {
    check(
        vec![
            QueueConfig {
                max_length: Some(1),
                overflow: Overflow::DeadLetter,
                dead_letter: dead_letter_to("b"),
                ..queue("a")
            },
            QueueConfig {
                dead_letter: dead_letter_to("c"),
                policy: QueuePolicy {
                    ttl: Some(Span::from_secs(1)),
                    ..Default::default()
                },
                ..queue("b")
            },
            QueueConfig {
                dead_letter: dead_letter_to("d"),
                policy: QueuePolicy {
                    delivery_limit: Some(0),
                    ..Default::default()
                },
                ..queue("c")
            },
            QueueConfig {
                dead_letter: dead_letter_to("e"),
                ..queue("d")
            },
            queue("e"),
        ],
        "1 publish a 1 ttl=1m; 1 publish a 2
         pass 1s; 2 consume c; 2 requeue 1
         3 consume d; 3 reject 1; 4 consume e",
        expect![[r#"
            > 1 publish a 1 ttl=1m; 1 publish a 2
            > pass 1s; 2 consume c; 2 requeue 1
              2 deliver m1 as 1 to 0, expired in b at 1 s, maxlen in a at 0s
            > 3 consume d; 3 reject 1; 4 consume e
              3 deliver m1 as 1 to 0, delivery_limit in c at 1 s, expired in b at 1 s, maxlen in a at 0s
              4 deliver m1 as 1 to 0, rejected in d at 1 s, delivery_limit in c at 1 s, expired in b at 1 s, maxlen in a at 0s
            a: 1 ready, 0 in flight
            b: 0 ready, 0 in flight
            c: 0 ready, 0 in flight
            d: 0 ready, 0 in flight
            e: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 22: the same queue and reason again is counted, and comes first.
#[test]
fn deaths_are_counted_per_queue_and_reason() {
    check(
        vec![
            QueueConfig {
                dead_letter: dead_letter_to("wait"),
                ..queue("work")
            },
            QueueConfig {
                dead_letter: dead_letter_to("work"),
                policy: QueuePolicy {
                    ttl: Some(Span::from_secs(5)),
                    ..Default::default()
                },
                ..queue("wait")
            },
        ],
        "1 publish work 1; 2 consume work; 2 reject 1
         pass 5s; 2 reject 2
         pass 5s",
        expect![[r#"
            > 1 publish work 1; 2 consume work; 2 reject 1
              2 deliver m1 as 1 to 0
            > pass 5s; 2 reject 2
              at 5 s:
              2 deliver m1 as 2 to 0, expired in wait at 5 s, rejected in work at 0s
            > pass 5s
              at 10 s:
              2 deliver m1 as 3 to 0, expired in wait 2 times since 5 s, rejected in work 2 times since 0s
            work: 0 ready, 1 in flight
            wait: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 22: RabbitMQ's rule: what would come round without a rejection is dropped.
#[test]
fn a_dead_letter_that_goes_round_is_dropped() {
    check_observed(
        vec![
            QueueConfig {
                dead_letter: dead_letter_to("b"),
                policy: QueuePolicy {
                    ttl: Some(Span::from_secs(1)),
                    ..Default::default()
                },
                ..queue("a")
            },
            QueueConfig {
                dead_letter: dead_letter_to("a"),
                policy: QueuePolicy {
                    ttl: Some(Span::from_secs(1)),
                    ..Default::default()
                },
                ..queue("b")
            },
        ],
        "1 publish a 1
         pass 10s",
        expect![[r#"
            > 1 publish a 1
              * m1 routed, 1 copies
              * m1 proposed a/0
              * enqueued a/0
            > pass 10s
              at 1 s:
              * m1 proposed b/0 from a/0
              * enqueued b/0
              * removed a/0: DeadLettered(Expired)
              at 2 s:
              * removed b/0: Expired
            a: 0 ready, 0 in flight
            b: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 22: a message's own time to live and its delay are over once it is dead.
#[test]
fn a_dead_letter_neither_expires_nor_waits_again() {
    check(
        vec![
            QueueConfig {
                dead_letter: dead_letter_to("dead"),
                ..queue("q")
            },
            queue("dead"),
        ],
        "1 publish q 1 ttl=1s delay=5s; 1 publish q 2 ttl=2s
         pass 10s; 2 consume dead",
        expect![[r#"
            > 1 publish q 1 ttl=1s delay=5s; 1 publish q 2 ttl=2s
            > pass 10s; 2 consume dead
              2 deliver m1 as 1 to 0, expired in q at 1 s
              2 deliver m2 as 2 to 0, expired in q at 2 s
            q: 0 ready, 0 in flight
            dead: 0 ready, 2 in flight
        "#]],
    );
}

/// Row 23: who waits for room is not overtaken by smaller ones.
#[test]
fn at_least_once_dead_letters_wait_in_order() {
    check_observed(
        vec![
            QueueConfig {
                dead_letter: dead_letter_to("dead"),
                policy: QueuePolicy {
                    dead_letter_at_least_once: true,
                    ..Default::default()
                },
                ..queue("q")
            },
            QueueConfig {
                max_bytes: Some(10),
                overflow: Overflow::RejectPublish,
                ..queue("dead")
            },
        ],
        "1 publish q 1 6; 1 publish q 2 6; 1 publish q 3 3; 2 consume q; 2 reject 1; 2 reject 2; 2 reject 3
         3 get dead; 3 ack 1
         3 get dead; 3 ack 2",
        expect![[r#"
            > 1 publish q 1 6; 1 publish q 2 6; 1 publish q 3 3; 2 consume q; 2 reject 1; 2 reject 2; 2 reject 3
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 deliver m3 as 3 to 0
              * m1 proposed dead/0 from q/0
              * enqueued dead/0
              * removed q/0: DeadLettered(Rejected)
            > 3 get dead; 3 ack 1
              3 deliver m1 as 1 to get, rejected in q at 0s
              * m2 proposed dead/1 from q/1
              * enqueued dead/1
              * removed q/1: DeadLettered(Rejected)
              * m3 proposed dead/2 from q/2
              * enqueued dead/2
              * removed q/2: DeadLettered(Rejected)
              * removed dead/0: Acked
            > 3 get dead; 3 ack 2
              3 deliver m2 as 2 to get, rejected in q at 0s
              * removed dead/1: Acked
            q: 0 ready, 0 in flight
            dead: 1 ready, 0 in flight
        "#]],
    );
}

/// Row 23: kept, and not ready, until the target has room.
#[test]
fn at_least_once_dead_letters_wait_for_room() {
    check_observed(
        vec![QueueConfig { dead_letter: dead_letter_to("dead"), durability: Durability::Os, policy: QueuePolicy { dead_letter_at_least_once: true, ..Default::default() }, ..queue("q") }, QueueConfig { durability: Durability::Os, max_length: Some(1), overflow: Overflow::RejectPublish, ..queue("dead") }],
        "1 publish q 1; 1 publish q 2; 1 publish q 3; written; 2 consume q; 2 reject 1; 2 reject 2; 2 reject 3; written
         3 get dead; 3 ack 1; written
         crash; flush; 2 consume q; 2 reject 1
         3 get dead; 3 ack 1; written",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; written; 2 consume q; 2 reject 1; 2 reject 2; 2 reject 3; written
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
              * m2 routed, 1 copies
              * m2 proposed q/1
              log 2: enqueue q/1 m2
              * m3 routed, 1 copies
              * m3 proposed q/2
              log 3: enqueue q/2 m3
              * enqueued q/0
              * enqueued q/1
              * enqueued q/2
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 deliver m3 as 3 to 0
              * m1 proposed dead/0 from q/0
              log 4: remove q/0 + enqueue dead/0 m1
              * enqueued dead/0
              * removed q/0: DeadLettered(Rejected)
            > 3 get dead; 3 ack 1; written
              3 deliver m1 as 1 to get, rejected in q at 0s
              * m2 proposed dead/1 from q/1
              log 5: remove q/1 + enqueue dead/1 m2
              log 6: remove dead/0
              * enqueued dead/1
              * removed q/1: DeadLettered(Rejected)
              * removed dead/0: Acked
            > crash; flush; 2 consume q; 2 reject 1
              * recovered q/2 m3
              * recovered dead/1 m2
              2 deliver m3 as 1 to 0, redelivered
            > 3 get dead; 3 ack 1; written
              3 deliver m2 as 1 to get, redelivered, rejected in q at 0s
              * m3 proposed dead/1:0 from q/2
              log 7: remove q/2 + enqueue dead/1:0 m3
              log 8: remove dead/1
              * enqueued dead/1:0
              * removed q/2: DeadLettered(Rejected)
              * removed dead/1: Acked
            q: 0 ready, 0 in flight
            dead: 1 ready, 0 in flight
        "#]],
    );
}

/// Row 23: the other way, for comparison.
#[test]
fn at_most_once_dead_letters_are_lost_where_there_is_no_room() {
    check_observed(
        vec![
            QueueConfig {
                dead_letter: dead_letter_to("dead"),
                ..queue("q")
            },
            QueueConfig {
                max_length: Some(1),
                overflow: Overflow::RejectPublish,
                ..queue("dead")
            },
        ],
        "1 publish q 1; 1 publish q 2; 2 consume q; 2 reject 1; 2 reject 2",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 2 consume q; 2 reject 1; 2 reject 2
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              * m1 proposed dead/0 from q/0
              * enqueued dead/0
              * removed q/0: DeadLettered(Rejected)
              * removed q/1: Dropped
            q: 0 ready, 0 in flight
            dead: 1 ready, 0 in flight
        "#]],
    );
}

/// Row 23: with all targets or with none.
#[test]
fn at_least_once_dead_letters_go_to_all_targets_together() {
    let queues = vec![
        QueueConfig {
            policy: QueuePolicy {
                dead_letter_at_least_once: true,
                ..Default::default()
            },
            dead_letter: Some(DeadLetter {
                exchange: ExchangeId(0),
                routing_key: None,
            }),
            ..queue("q")
        },
        queue("b"),
        QueueConfig {
            max_length: Some(0),
            overflow: Overflow::RejectPublish,
            ..queue("full")
        },
    ];
    let mut config = BrokerConfig {
        queues,
        ..Default::default()
    };
    exchange(&mut config, ExchangeKind::Fanout, &[(1, "", 1), (2, "", 1)]);
    let script = "1 publish q 1; 2 consume q; 2 reject 1
         1 delete full";
    expect![[r#"
        > 1 publish q 1; 2 consume q; 2 reject 1
          2 deliver m1 as 1 to 0
        > 1 delete full
          1 done
        q: 0 ready, 0 in flight
        b: 1 ready, 0 in flight
        full: 0 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}
