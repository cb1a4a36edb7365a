//! What time does: leases, limits, priorities, expiry, delays, and queues that come and go.

use crate::support::{Rig, dead_letter_to, queue};
use crate::{check, check_observed};
use bytes::Bytes;
use expect_test::{Expect, expect};
use queuelab_core::*;

/// Row 10: the message comes back, its late acknowledgement is ignored, and another consumer gets it.
#[test]
fn ack_timeout_takes_a_message_back_from_a_slow_consumer() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                ack_timeout: Some(AckTimeout {
                    after: Span::from_secs(30),
                    closes_channel: false,
                }),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 2 consume q 0 1
         pass 29s; 1 publish q 2; 3 consume q 0 1
         pass 1s; 2 ack 1
         3 ack 1
         pass 1m",
        expect![[r#"
            > 1 publish q 1; 2 consume q 0 1
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              2 deliver m1 as 1 to 0
            > pass 29s; 1 publish q 2; 3 consume q 0 1
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              3 deliver m2 as 1 to 0
            > pass 1s; 2 ack 1
              at 30 s:
              * lease of q/0 expired
              * returned q/0 after 1
              2 deliver m1 as 2 to 0, redelivered
            > 3 ack 1
              * removed q/1: Acked
            > pass 1m
              at 1m:
              * lease of q/0 expired
              * returned q/0 after 2
              3 deliver m1 as 2 to 0, redelivered
              at 1m30s:
              * lease of q/0 expired
              * returned q/0 after 3
              2 deliver m1 as 3 to 0, redelivered
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Rows 10 and 28: a transaction that was to settle what has been taken back meanwhile does nothing, whether the acknowledgement came before or
/// after.
#[test]
fn a_transaction_fails_when_a_lease_has_ended_before_the_commit() {
    check_observed(
        vec![
            QueueConfig {
                policy: QueuePolicy {
                    ack_timeout: Some(AckTimeout {
                        after: Span::from_secs(30),
                        closes_channel: false,
                    }),
                    ..Default::default()
                },
                ..queue("q")
            },
            queue("out"),
        ],
        "1 publish q 1; 2 tx; 2 consume q 0 1; 3 consume q 0 1
         2 publish out 2; 2 ack 1; pass 30s; 2 commit
         3 ack 1
         1 publish q 3; 1 publish q 4; pass 30s; 2 publish out 5; 2 ack 2; 2 commit
         2 publish out 6; 2 commit",
        expect![[r#"
            > 1 publish q 1; 2 tx; 2 consume q 0 1; 3 consume q 0 1
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              2 done
              2 deliver m1 as 1 to 0
            > 2 publish out 2; 2 ack 1; pass 30s; 2 commit
              at 30 s:
              * lease of q/0 expired
              * returned q/0 after 1
              3 deliver m1 as 1 to 0, redelivered
              2 transaction failed
            > 3 ack 1
              * removed q/0: Acked
            > 1 publish q 3; 1 publish q 4; pass 30s; 2 publish out 5; 2 ack 2; 2 commit
              * m3 routed, 1 copies
              * m3 proposed q/1
              * enqueued q/1
              2 deliver m3 as 2 to 0
              * m4 routed, 1 copies
              * m4 proposed q/2
              * enqueued q/2
              3 deliver m4 as 2 to 0
              at 1m:
              * lease of q/1 expired
              * returned q/1 after 1
              * lease of q/2 expired
              * returned q/2 after 1
              2 deliver m3 as 3 to 0, redelivered
              3 deliver m4 as 3 to 0, redelivered
              2 transaction failed
            > 2 publish out 6; 2 commit
              * m6 routed, 1 copies
              * m6 proposed out/0
              * enqueued out/0
              2 done
            q: 0 ready, 2 in flight
            out: 1 ready, 0 in flight
        "#]],
    );
}

/// Row 10: as RabbitMQ does it.
#[test]
fn ack_timeout_may_close_the_channel_with_all_that_it_held() {
    check(
        vec![QueueConfig {
            policy: QueuePolicy {
                ack_timeout: Some(AckTimeout {
                    after: Span::from_secs(30),
                    closes_channel: true,
                }),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 1 publish q 2; 2 consume q
         pass 10s; 2 ack 1; 1 publish q 3
         pass 30s",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 2 consume q
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
            > pass 10s; 2 ack 1; 1 publish q 3
              2 deliver m3 as 3 to 0
            > pass 30s
              at 30 s:
              2 closed 406: a delivery was held for too long
            q: 2 ready, 0 in flight
        "#]],
    );
}

/// Row 11: the timeout starts anew, for as long as the consumer asks; a delivery that has come back cannot be renewed.
#[test]
fn renewal_keeps_a_message_with_its_consumer() {
    check(
        vec![QueueConfig {
            policy: QueuePolicy {
                ack_timeout: Some(AckTimeout {
                    after: Span::from_secs(30),
                    closes_channel: false,
                }),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 2 consume q 0 1
         pass 20s; 2 renew 1
         pass 20s; 2 renew 1
         pass 29s
         pass 1s; 2 cancel 0; 2 renew 1",
        expect![[r#"
            > 1 publish q 1; 2 consume q 0 1
              2 deliver m1 as 1 to 0
            > pass 20s; 2 renew 1
            > pass 20s; 2 renew 1
            > pass 29s
            > pass 1s; 2 cancel 0; 2 renew 1
              at 1m10s:
              2 deliver m1 as 2 to 0, redelivered
              2 cancelled 0
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 7: the limit counts deliveries without success, whatever ended them; the one beyond it is the last.
#[test]
fn delivery_limit_dead_letters_what_fails_too_often() {
    check(
        vec![
            QueueConfig {
                dead_letter: dead_letter_to("dead"),
                policy: QueuePolicy {
                    delivery_limit: Some(2),
                    ..Default::default()
                },
                ..queue("q")
            },
            queue("dead"),
        ],
        "1 publish q 1; 2 consume q
         2 requeue 1; close 2; 3 consume q
         3 requeue 1; 3 consume dead 1",
        expect![[r#"
            > 1 publish q 1; 2 consume q
              2 deliver m1 as 1 to 0
            > 2 requeue 1; close 2; 3 consume q
              2 deliver m1 as 2 to 0, redelivered
              3 deliver m1 as 1 to 0, redelivered
            > 3 requeue 1; 3 consume dead 1
              3 deliver m1 as 2 to 1, delivery_limit in q at 0s
            q: 0 ready, 0 in flight
            dead: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 7: without a dead-letter target.
#[test]
fn delivery_limit_drops_without_a_dead_letter_target() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                delivery_limit: Some(0),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 2 consume q
         2 requeue 1",
        expect![[r#"
            > 1 publish q 1; 2 consume q
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              2 deliver m1 as 1 to 0
            > 2 requeue 1
              * removed q/0: Exhausted
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 18: strict, higher first, and in order within a priority; what comes back keeps its place.
#[test]
fn message_priority_is_strict_and_fifo_within() {
    check(
        vec![QueueConfig { policy: QueuePolicy { max_priority: 5, ..Default::default() }, ..queue("q") }],
        "1 publish q 1; 1 publish q 2 priority=5; 1 publish q 3 priority=2; 1 publish q 4 priority=9; 1 publish q 5 priority=2
         2 consume q 0 2
         2 requeue 2; 2 ack 1; 2 ack 3; 1 publish q 6 priority=4
         2 ack ..0; 2 ack ..0; 2 ack ..0",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2 priority=5; 1 publish q 3 priority=2; 1 publish q 4 priority=9; 1 publish q 5 priority=2
            > 2 consume q 0 2
              2 deliver m2 as 1 to 0
              2 deliver m4 as 2 to 0
            > 2 requeue 2; 2 ack 1; 2 ack 3; 1 publish q 6 priority=4
              2 deliver m4 as 3 to 0, redelivered
              2 deliver m3 as 4 to 0
              2 deliver m5 as 5 to 0
            > 2 ack ..0; 2 ack ..0; 2 ack ..0
              2 deliver m6 as 6 to 0
              2 deliver m1 as 7 to 0
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Rows 18 and 21: the head of the queue is the message that would be served next, the oldest of the highest priority (as in RabbitMQ).
#[test]
fn drop_head_takes_what_would_be_served_next_whatever_its_priority() {
    check_observed(
        vec![QueueConfig {
            max_length: Some(3),
            policy: QueuePolicy {
                max_priority: 5,
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 1 publish q 2 priority=5; 1 publish q 3 priority=5; 1 publish q 4
         2 consume q",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2 priority=5; 1 publish q 3 priority=5; 1 publish q 4
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
              * m4 routed, 1 copies
              * m4 proposed q/3
              * removed q/1: Dropped
              * enqueued q/3
            > 2 consume q
              2 deliver m3 as 1 to 0
              2 deliver m1 as 2 to 0
              2 deliver m4 as 3 to 0
            q: 0 ready, 3 in flight
        "#]],
    );
}

/// Row 19: an expired message leaves on time, out of the middle of the queue, too.
#[test]
fn ttl_is_the_smaller_of_queue_and_message() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                ttl: Some(Span::from_secs(10)),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 1 publish q 2 ttl=3s; 1 publish q 3 ttl=1m
         pass 5s
         pass 5s",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2 ttl=3s; 1 publish q 3 ttl=1m
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
            > pass 5s
              at 3 s:
              * removed q/1: Expired
            > pass 5s
              at 10 s:
              * removed q/0: Expired
              * removed q/2: Expired
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 19: neither on time nor late, and not when it comes back.
#[test]
fn an_expired_message_is_never_delivered() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                ttl: Some(Span::from_secs(10)),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 1 publish q 2; 2 consume q 0 1
         sleep 10s; 3 consume q
         2 requeue 1; 1 publish q 3; 3 get q",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 2 consume q 0 1
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              2 deliver m1 as 1 to 0
            > sleep 10s; 3 consume q
              * removed q/1: Expired
            > 2 requeue 1; 1 publish q 3; 3 get q
              * returned q/0 after 1
              * removed q/0: Expired
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
              3 deliver m3 as 1 to 0
              3 empty
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 19: with a consumer it is delivered, without one it is gone in the next instant.
#[test]
fn a_ttl_of_zero_asks_for_delivery_at_once() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                ttl: Some(Span::ZERO),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; 2 consume q 0 1
         pass 1ms; 1 publish q 2
         pass 1ms",
        expect![[r#"
            > 1 publish q 1; 2 consume q 0 1
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              2 deliver m1 as 1 to 0
            > pass 1ms; 1 publish q 2
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
            > pass 1ms
              at 1 ms:
              * removed q/1: Expired
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 19: deadlines are on the wall clock, which may step.
#[test]
fn ttl_follows_the_wall_clock() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                ttl: Some(Span::from_secs(10)),
                ..Default::default()
            },
            ..queue("q")
        }],
        "clock 1000s; 1 publish q 1; pass 5s
         clock 1002s; pass 7s
         pass 1s; 1 publish q 2
         clock 1020s",
        expect![[r#"
            > clock 1000s; 1 publish q 1; pass 5s
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
            > clock 1002s; pass 7s
            > pass 1s; 1 publish q 2
              at 13 s:
              * removed q/0: Expired
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
            > clock 1020s
              * removed q/1: Expired
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 20: consumers, gets and declarations are use; whoever consumes is told when the queue goes.
#[test]
fn a_queue_expires_when_nobody_uses_it() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                expires: Some(Span::from_secs(60)),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 confirm; 1 publish q 1; pass 59s; 2 get q
         pass 59s; 2 consume q; 2 ack 1
         pass 2m; 2 cancel 0; 1 publish q 2
         pass 59s
         pass 1s
         mandatory 1 publish q 3; 2 consume q",
        expect![[r#"
            > 1 confirm; 1 publish q 1; pass 59s; 2 get q
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              2 deliver m1 as 1 to get
              1 confirm 1
            > pass 59s; 2 consume q; 2 ack 1
              * removed q/0: Acked
            > pass 2m; 2 cancel 0; 1 publish q 2
              2 cancelled 0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              1 confirm 2
            > pass 59s
            > pass 1s
              at 4m58s:
              * removed q/1: Purged
              * queue 0 deleted
            > mandatory 1 publish q 3; 2 consume q
              * m3 routed, 0 copies
              1 returned m3
              2 closed 404: no such queue
              1 confirm 3
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 20: it comes back empty.
#[test]
fn declare_revives_a_deleted_queue() {
    check_observed(
        vec![QueueConfig {
            policy: QueuePolicy {
                expires: Some(Span::from_secs(60)),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; pass 1m; 1 declare q; 1 publish q 2
         2 consume q 0 1; 1 delete q
         2 ack 1; 1 declare q; 1 publish q 3; 2 consume q",
        expect![[r#"
            > 1 publish q 1; pass 1m; 1 declare q; 1 publish q 2
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              at 1m:
              * removed q/0: Purged
              * queue 0 deleted
              1 Declared { ready: 0, consumers: 0 }
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
            > 2 consume q 0 1; 1 delete q
              2 deliver m2 as 1 to 0
              2 cancelled 0
              * removed q/1: Purged
              * queue 0 deleted
              1 done
            > 2 ack 1; 1 declare q; 1 publish q 3; 2 consume q
              1 Declared { ready: 0, consumers: 0 }
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
              2 deliver m3 as 2 to 0
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 20: a deletion counts once it is committed, and outlives restarts.
#[test]
fn deletion_is_durable() {
    check_observed(
        vec![QueueConfig {
            durability: Durability::Fsync,
            ..queue("q")
        }],
        "1 confirm; 1 publish q 1; synced; 1 publish q 2; 1 delete q
         1 publish q 3; 1 declare q; 1 publish q 4
         written; synced
         1 delete q; written; synced; crash; flush
         1 publish q 5; 1 declare q; synced; power-loss; flush; 1 publish q 6",
        expect![[r#"
            > 1 confirm; 1 publish q 1; synced; 1 publish q 2; 1 delete q
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              log 2: enqueue q/1 m2
              log 3: delete before q/2
              1 done
              sync 3
              1 confirm 1
            > 1 publish q 3; 1 declare q; 1 publish q 4
              * m3 routed, 0 copies
              log 4: declare from q/2
              1 Declared { ready: 0, consumers: 0 }
              * m4 routed, 1 copies
              * m4 proposed q/2
              log 5: enqueue q/2 m4
              sync 5
              1 confirm 3
            > written; synced
              * enqueued q/1
              * removed q/0: Purged
              * removed q/1: Purged
              * queue 0 deleted
              * enqueued q/2
              1 confirm ..4
            > 1 delete q; written; synced; crash; flush
              log 6: delete before q/3
              1 done
              * removed q/2: Purged
              * queue 0 deleted
            > 1 publish q 5; 1 declare q; synced; power-loss; flush; 1 publish q 6
              * m5 routed, 0 copies
              log 7: declare from q/1:0
              1 Declared { ready: 0, consumers: 0 }
              * m6 routed, 1 copies
              * m6 proposed q/2:0
              log 8: enqueue q/2:0 m6
              sync 8
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 20 and 21: what waits is dropped, what is in flight stays, and there is room again.
#[test]
fn purge_drops_what_waits() {
    check_observed(
        vec![QueueConfig {
            max_length: Some(3),
            overflow: Overflow::Block,
            ..queue("q")
        }],
        "1 publish q 1; 1 publish q 2 delay=5s; 1 publish q 3; 1 publish q 4; 1 publish q 5
         2 consume q 0 1
         3 purge q
         pass 10s",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2 delay=5s; 1 publish q 3; 1 publish q 4; 1 publish q 5
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * delayed q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
              * m4 parked for 0
              1 reading off
            > 2 consume q 0 1
              2 deliver m1 as 1 to 0
              * m4 routed, 1 copies
              * m4 proposed q/3
              * enqueued q/3
              * m5 parked for 0
            > 3 purge q
              * removed q/1: Purged
              * removed q/2: Purged
              * removed q/3: Purged
              3 Declared { ready: 0, consumers: 1 }
              * m5 routed, 1 copies
              * m5 proposed q/4
              * enqueued q/4
              1 reading on
            > pass 10s
            q: 1 ready, 1 in flight
        "#]],
    );
}

/// Row 21: limits count ready and delayed messages.
#[test]
fn bounds_count_delayed_messages() {
    check(
        vec![QueueConfig { max_length: Some(2), ..queue("drop") }, QueueConfig { max_length: Some(2), overflow: Overflow::RejectPublish, ..queue("reject") }, QueueConfig { max_length: Some(1), overflow: Overflow::Block, ..queue("block") }],
        "1 confirm; 1 publish drop 1 delay=5s; 1 publish drop 2; 1 publish drop 3; 1 publish drop 4 delay=9s; 1 publish drop 5
         1 publish reject 6 delay=5s; 1 publish reject 7 delay=5s; 1 publish reject 8
         1 publish block 9 delay=5s; 1 publish block 10
         pass 5s; 2 consume block",
        expect![[r#"
            > 1 confirm; 1 publish drop 1 delay=5s; 1 publish drop 2; 1 publish drop 3; 1 publish drop 4 delay=9s; 1 publish drop 5
              1 confirm ..5
            > 1 publish reject 6 delay=5s; 1 publish reject 7 delay=5s; 1 publish reject 8
              1 refuse 8
              1 confirm ..7
            > 1 publish block 9 delay=5s; 1 publish block 10
              1 reading off
              1 confirm 9
            > pass 5s; 2 consume block
              2 deliver m9 as 1 to 0
              1 reading on
              2 deliver m10 as 2 to 0
              1 confirm 10
            drop: 1 ready, 0 in flight, 1 delayed
            reject: 2 ready, 0 in flight
            block: 0 ready, 2 in flight
        "#]],
    );
}

/// Row 24: min(base · n, max), and n counts the failures.
#[test]
fn delayed_retry_grows_linearly_up_to_its_maximum() {
    check(
        vec![QueueConfig {
            durability: Durability::Os,
            policy: QueuePolicy {
                retry_delay: Some(RetryDelay {
                    base: Span::from_secs(2),
                    max: Span::from_secs(5),
                    growth: Growth::Linear,
                    jitter: 0.0,
                }),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; written; 2 consume q 0 1
         2 requeue 1; written; pass 3s
         2 requeue 2; written; 1 publish q 2; written; pass 5s
         2 ack 3; written; 2 requeue 4; written; pass 6s",
        expect![[r#"
            > 1 publish q 1; written; 2 consume q 0 1
              log 1: enqueue q/0 m1
              2 deliver m1 as 1 to 0
            > 2 requeue 1; written; pass 3s
              log 2: return q/0 after 1, due 2 s
              at 2 s:
              2 deliver m1 as 2 to 0, redelivered
            > 2 requeue 2; written; 1 publish q 2; written; pass 5s
              log 3: return q/0 after 2, due 7 s
              log 4: enqueue q/1 m2
              2 deliver m2 as 3 to 0
            > 2 ack 3; written; 2 requeue 4; written; pass 6s
              log 5: remove q/1
              2 deliver m1 as 4 to 0, redelivered
              log 6: return q/0 after 3, due 13 s
              at 13 s:
              2 deliver m1 as 5 to 0, redelivered
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 24: base · 2^(n - 1).
#[test]
fn delayed_retry_grows_exponentially() {
    check(
        vec![QueueConfig {
            durability: Durability::Os,
            policy: QueuePolicy {
                retry_delay: Some(RetryDelay {
                    base: Span::from_secs(1),
                    max: Span::from_secs(5),
                    growth: Growth::Exponential,
                    jitter: 0.0,
                }),
                ..Default::default()
            },
            ..queue("q")
        }],
        "1 publish q 1; written; 2 consume q 0 1
         2 requeue 1; written; pass 1s; 2 requeue 2; written; pass 2s
         2 requeue 3; written; pass 4s; 2 requeue 4; written; pass 5s",
        expect![[r#"
            > 1 publish q 1; written; 2 consume q 0 1
              log 1: enqueue q/0 m1
              2 deliver m1 as 1 to 0
            > 2 requeue 1; written; pass 1s; 2 requeue 2; written; pass 2s
              log 2: return q/0 after 1, due 1 s
              at 1 s:
              2 deliver m1 as 2 to 0, redelivered
              log 3: return q/0 after 2, due 3 s
              at 3 s:
              2 deliver m1 as 3 to 0, redelivered
            > 2 requeue 3; written; pass 4s; 2 requeue 4; written; pass 5s
              log 4: return q/0 after 3, due 7 s
              at 7 s:
              2 deliver m1 as 4 to 0, redelivered
              log 5: return q/0 after 4, due 12 s
              at 12 s:
              2 deliver m1 as 5 to 0, redelivered
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 25: not before its time, and then behind those that are there.
#[test]
fn scheduled_delivery_waits_for_its_instant() {
    check_observed(
        vec![queue("q")],
        "1 publish q 1 delay=10s; 1 publish q 2 delay=5s; 1 publish q 3; 1 publish q 4 delay=5s ttl=2s
         pass 3s; 2 get q; 2 get q
         pass 4s; 1 publish q 5; pass 3s
         3 consume q",
        expect![[r#"
            > 1 publish q 1 delay=10s; 1 publish q 2 delay=5s; 1 publish q 3; 1 publish q 4 delay=5s ttl=2s
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * delayed q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * delayed q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
              * m4 routed, 1 copies
              * m4 proposed q/3
              * enqueued q/3
              * delayed q/3
            > pass 3s; 2 get q; 2 get q
              at 2 s:
              * removed q/3: Expired
              2 deliver m3 as 1 to get
              2 empty
            > pass 4s; 1 publish q 5; pass 3s
              at 5 s:
              * due q/1
              * m5 routed, 1 copies
              * m5 proposed q/4
              * enqueued q/4
              at 10 s:
              * due q/0
            > 3 consume q
              3 deliver m2 as 1 to 0
              3 deliver m5 as 2 to 0
              3 deliver m1 as 3 to 0
            q: 0 ready, 4 in flight
        "#]],
    );
}

/// Of three messages the second comes back, then the first; then there is a fourth.
fn two_come_back(requeue: Requeue, expected: Expect) {
    let policy = QueuePolicy {
        requeue,
        ..Default::default()
    };
    check(
        vec![QueueConfig {
            policy,
            ..queue("q")
        }],
        "1 publish q 1; 1 publish q 2; 1 publish q 3; 2 consume q 0 2; 2 cancel 0
         2 requeue 2; 2 requeue 1; 1 publish q 4; 3 consume q",
        expected,
    );
}

/// Row 5: before all that came after it.
#[test]
fn requeue_at_the_original_position() {
    two_come_back(
        Requeue::Original,
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 2 consume q 0 2; 2 cancel 0
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 cancelled 0
            > 2 requeue 2; 2 requeue 1; 1 publish q 4; 3 consume q
              3 deliver m1 as 1 to 0, redelivered
              3 deliver m2 as 2 to 0, redelivered
              3 deliver m3 as 3 to 0
              3 deliver m4 as 4 to 0
            q: 0 ready, 4 in flight
        "#]],
    );
}

/// Row 5: a queue of returns that is served first (RabbitMQ's quorum queues).
#[test]
fn requeue_at_the_head() {
    two_come_back(
        Requeue::Head,
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 2 consume q 0 2; 2 cancel 0
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 cancelled 0
            > 2 requeue 2; 2 requeue 1; 1 publish q 4; 3 consume q
              3 deliver m2 as 1 to 0, redelivered
              3 deliver m1 as 2 to 0, redelivered
              3 deliver m3 as 3 to 0
              3 deliver m4 as 4 to 0
            q: 0 ready, 4 in flight
        "#]],
    );
}

/// Row 5: behind all others.
#[test]
fn requeue_at_the_tail() {
    two_come_back(
        Requeue::Tail,
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 2 consume q 0 2; 2 cancel 0
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 cancelled 0
            > 2 requeue 2; 2 requeue 1; 1 publish q 4; 3 consume q
              3 deliver m3 as 1 to 0
              3 deliver m2 as 2 to 0, redelivered
              3 deliver m1 as 3 to 0, redelivered
              3 deliver m4 as 4 to 0
            q: 0 ready, 4 in flight
        "#]],
    );
}

/// Rows 5, 19, 24 and 25: a restart keeps instants and places; what fell due or expired meanwhile does so at once.
#[test]
fn a_restart_keeps_instants_and_places() {
    check_observed(
        vec![QueueConfig { durability: Durability::Os, policy: QueuePolicy { requeue: Requeue::Tail, retry_delay: Some(RetryDelay { base: Span::from_secs(20), max: Span::from_secs(20), growth: Growth::Fixed, jitter: 0.0 }), ..Default::default() }, ..queue("q") }],
        "1 publish q 1; 1 publish q 2 ttl=5s; 1 publish q 3 delay=8s; 1 publish q 4 delay=1m; 1 publish q 5; written
         2 consume q 0 1; 2 requeue 1; written
         crash; sleep 10s; flush
         pass 10s
         3 consume q",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2 ttl=5s; 1 publish q 3 delay=8s; 1 publish q 4 delay=1m; 1 publish q 5; written
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
              * m2 routed, 1 copies
              * m2 proposed q/1
              log 2: enqueue q/1 m2, expires 5 s
              * m3 routed, 1 copies
              * m3 proposed q/2
              log 3: enqueue q/2 m3, due 8 s
              * m4 routed, 1 copies
              * m4 proposed q/3
              log 4: enqueue q/3 m4, due 1m
              * m5 routed, 1 copies
              * m5 proposed q/4
              log 5: enqueue q/4 m5
              * enqueued q/0
              * enqueued q/1
              * enqueued q/2
              * delayed q/2
              * enqueued q/3
              * delayed q/3
              * enqueued q/4
            > 2 consume q 0 1; 2 requeue 1; written
              2 deliver m1 as 1 to 0
              log 6: return q/0 after 1, due 20 s
              2 deliver m2 as 2 to 0
              * returned q/0 after 1
              * delayed q/0
            > crash; sleep 10s; flush
              * recovered q/0 m1
              * delayed q/0
              * recovered q/1 m2
              * recovered q/2 m3
              * delayed q/2
              * recovered q/3 m4
              * delayed q/3
              * recovered q/4 m5
            > pass 10s
              at 10 s:
              log 7: remove q/1
              * due q/2
              at 20 s:
              * due q/0
            > 3 consume q
              3 deliver m5 as 1 to 0, redelivered
              3 deliver m1 as 2 to 0, redelivered
              3 deliver m3 as 3 to 0, redelivered
            q: 0 ready, 3 in flight, 1 delayed
        "#]],
    );
}

/// Row 24: the delay is between (1 - jitter) · delay and delay, by the broker's seed, and in the log.
#[test]
fn jitter_spreads_retries_over_its_share_of_the_delay() {
    let dues = |seed: u64| -> Vec<u64> {
        let policy = QueuePolicy {
            retry_delay: Some(RetryDelay {
                base: Span(1_000),
                max: Span(1_000),
                growth: Growth::Fixed,
                jitter: 0.25,
            }),
            ..Default::default()
        };
        let config = BrokerConfig {
            queues: vec![QueueConfig {
                durability: Durability::Os,
                policy,
                ..queue("q")
            }],
            ..Default::default()
        };
        let mut rig = Rig::new(config.clone());
        rig.broker = Broker::new(config, Recovered::default(), seed);
        open(&mut rig);
        for tag in 0..200 {
            publish(&mut rig, tag);
        }
        rig.progress(rig.last, rig.last);
        let consume = Consume::new(QueueId(0), ConsumerId(0));
        request(&mut rig, Request::Consume(Box::new(consume)));
        let requeue = Request::Nack {
            delivery: 0,
            multiple: true,
            requeue: true,
        };
        request(&mut rig, requeue);
        let commands = rig.log.iter().flat_map(|(_, entry)| entry.commands());
        commands
            .filter_map(|command| match command {
                Command::Return { due, .. } => Some(due.0),
                _ => None,
            })
            .collect()
    };
    let some = dues(1);
    assert_eq!(some.len(), 200);
    assert!(some.iter().all(|due| (750..=1_000).contains(due)));
    assert!(some.iter().min() < Some(&800) && some.iter().max() > Some(&950));
    assert_eq!(dues(1), some);
    assert_ne!(dues(2), some);
}

/// Row 19: a call does bounded work, but nothing that has expired is delivered before the rest is done.
#[test]
fn many_messages_expire_over_several_ticks() {
    let policy = QueuePolicy {
        ttl: Some(Span::from_secs(1)),
        ..Default::default()
    };
    let config = BrokerConfig {
        queues: vec![QueueConfig {
            policy,
            ..queue("q")
        }],
        ..Default::default()
    };
    let mut rig = Rig::new(config);
    open(&mut rig);
    for tag in 0..2_000 {
        publish(&mut rig, tag);
    }
    rig.now = Time(2_000_000_000);
    let consume = Consume::new(QueueId(0), ConsumerId(0));
    let outputs = request(&mut rig, Request::Consume(Box::new(consume)));
    let delivered = |outputs: &[Output]| {
        let is_delivery = |output: &Output| {
            let Output::Client { response, .. } = output else {
                return false;
            };
            matches!(response, Response::Deliver { .. })
        };
        outputs.iter().any(is_delivery)
    };
    assert!(!delivered(&outputs));
    let left = rig.broker.ready(QueueId(0));
    assert!((1..2_000).contains(&left), "{left}");
    let mut ticks = 0;
    while rig
        .broker
        .deadline()
        .is_some_and(|deadline| deadline <= rig.now)
    {
        assert!(!delivered(&rig.tick()));
        ticks += 1;
    }
    assert_eq!(rig.broker.ready(QueueId(0)), 0);
    assert!((2..100).contains(&ticks), "{ticks}");
    publish(&mut rig, 2_000);
    assert_eq!(rig.broker.in_flight(QueueId(0)), 1);
}

/// Row 12: a get waits for that, too, and gets its answer in turn.
#[test]
fn a_get_waits_until_all_that_is_due_is_done() {
    let policy = QueuePolicy {
        ttl: Some(Span::from_secs(1)),
        ..Default::default()
    };
    let mut rig = Rig::new(BrokerConfig {
        queues: vec![QueueConfig {
            policy,
            ..queue("q")
        }],
        ..Default::default()
    });
    open(&mut rig);
    for tag in 0..20_000 {
        publish(&mut rig, tag);
    }
    rig.now = Time(1_500_000_000);
    publish(&mut rig, 20_000);
    let get = Request::Get {
        queue: QueueId(0),
        no_ack: false,
    };
    let mut outputs = request(&mut rig, get.clone());
    outputs.extend(request(&mut rig, get));
    assert!(outputs.is_empty(), "one call does not do all: {outputs:?}");
    while rig.broker.deadline().is_some_and(|due| due <= rig.now) {
        outputs.extend(rig.tick());
    }
    let [
        Output::Client {
            response: first, ..
        },
        Output::Client {
            response: second, ..
        },
    ] = &outputs[..]
    else {
        panic!("two answers: {outputs:?}");
    };
    assert!(matches!(first, Response::Deliver { message, .. } if message.tag == 20_000));
    assert!(matches!(second, Response::Empty));
}

fn publish(rig: &mut Rig, tag: u64) {
    let message = Message {
        tag,
        exchange: ExchangeId::DEFAULT,
        persistent: true,
        routing_key: Bytes::from_static(b"q"),
        body: Bytes::from_static(b"x"),
        properties: None,
    };
    let publish = Request::Publish {
        exchange: ExchangeId::DEFAULT,
        mandatory: false,
        message,
    };
    request(rig, publish);
}

fn open(rig: &mut Rig) {
    rig.handle(Input::Opened {
        connection: ConnectionId(0),
        window: u64::MAX,
    });
}

fn request(rig: &mut Rig, request: Request) -> Vec<Output> {
    let channel = ChannelId {
        connection: ConnectionId(0),
        number: 1,
    };
    rig.handle(Input::Client { channel, request })
}
