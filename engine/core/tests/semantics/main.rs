//! What the broker means by its words: one test per rule.

mod composition;
mod consumers;
mod dead_letters;
mod durability;
mod publishing;
#[path = "../support/mod.rs"]
mod support;
mod time;

use bytes::Bytes;
use expect_test::{Expect, expect};
use queuelab_core::*;
use support::{dead_letter_to, exchange, queue, run};

pub(crate) fn check(queues: Vec<QueueConfig>, script: &str, expected: Expect) {
    let config = BrokerConfig {
        queues,
        ..Default::default()
    };
    expected.assert_eq(&run(config, script));
}

/// The same with everything observed.
pub(crate) fn check_observed(queues: Vec<QueueConfig>, script: &str, expected: Expect) {
    let config = BrokerConfig {
        queues,
        observe: true,
        ..Default::default()
    };
    expected.assert_eq(&run(config, script));
}

fn durable(name: &'static str, durability: Durability) -> QueueConfig {
    QueueConfig {
        durability,
        ..queue(name)
    }
}

#[test]
fn memory_messages_are_confirmed_and_delivered_at_once() {
    check_observed(
        vec![queue("q")],
        "1 confirm
         1 publish q 1
         2 consume q
         2 ack 1",
        expect![[r#"
            > 1 confirm
            > 1 publish q 1
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              1 confirm 1
            > 2 consume q
              2 deliver m1 as 1 to 0
            > 2 ack 1
              * removed q/0: Acked
            q: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn an_fsync_queue_waits_for_the_disk_an_os_queue_for_the_system() {
    check(
        vec![
            durable("os", Durability::Os),
            durable("fsync", Durability::Fsync),
        ],
        "1 confirm; 2 consume os 0; 2 consume fsync 1
         1 publish os 1; 1 publish fsync 2
         written
         synced
         2 ack ..0
         synced",
        expect![[r#"
            > 1 confirm; 2 consume os 0; 2 consume fsync 1
            > 1 publish os 1; 1 publish fsync 2
              log 1: enqueue os/0 m1
              log 2: enqueue fsync/0 m2
              sync 2
            > written
              2 deliver m1 as 1 to 0
              1 confirm 1
            > synced
              2 deliver m2 as 2 to 1
              1 confirm 2
            > 2 ack ..0
              log 3: remove os/0
              log 4: remove fsync/0
              sync 4
            > synced
            os: 0 ready, 0 in flight
            fsync: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn confirms_of_a_batch_are_one_and_gaps_are_answered_singly() {
    check(
        vec![queue("memory"), durable("fsync", Durability::Fsync)],
        "1 confirm
         1 publish memory 1; 1 publish memory 2; 1 publish memory 3
         1 publish fsync 4; 1 publish memory 5; 1 publish memory 6
         1 publish memory 7
         synced",
        expect![[r#"
            > 1 confirm
            > 1 publish memory 1; 1 publish memory 2; 1 publish memory 3
              1 confirm ..3
            > 1 publish fsync 4; 1 publish memory 5; 1 publish memory 6
              log 1: enqueue fsync/0 m4
              sync 1
              1 confirm 5
              1 confirm 6
            > 1 publish memory 7
              1 confirm 7
            > synced
              1 confirm 4
            memory: 6 ready, 0 in flight
            fsync: 1 ready, 0 in flight
        "#]],
    );
}

#[test]
fn a_publish_is_confirmed_once_all_its_queues_have_it() {
    let mut config = BrokerConfig {
        queues: vec![
            queue("memory"),
            durable("os", Durability::Os),
            durable("fsync", Durability::Fsync),
        ],
        ..Default::default()
    };
    exchange(
        &mut config,
        ExchangeKind::Fanout,
        &[(0, "", 1), (1, "", 1), (2, "", 1), (2, "", 1)],
    );
    let script = "1 confirm
         1 publish any@0 1
         written
         synced";
    expect![[r#"
        > 1 confirm
        > 1 publish any@0 1
          log 1: enqueue os/0 m1 + enqueue fsync/0 m1
          sync 1
        > written
        > synced
          1 confirm 1
        memory: 1 ready, 0 in flight
        os: 1 ready, 0 in flight
        fsync: 1 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

#[test]
fn an_unroutable_mandatory_message_is_returned_then_confirmed() {
    check_observed(
        vec![queue("q")],
        "1 confirm
         mandatory 1 publish nowhere 1; 1 publish nowhere 2",
        expect![[r#"
            > 1 confirm
            > mandatory 1 publish nowhere 1; 1 publish nowhere 2
              * m1 routed, 0 copies
              1 returned m1
              * m2 routed, 0 copies
              1 confirm ..2
            q: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn ack_multiple_covers_all_tags_up_to_it_and_an_unknown_tag_closes_the_channel() {
    check(
        vec![queue("q")],
        "1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4
         2 consume q
         2 ack ..2
         2 ack 2
         2 consume q",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4
            > 2 consume q
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 deliver m3 as 3 to 0
              2 deliver m4 as 4 to 0
            > 2 ack ..2
            > 2 ack 2
              2 closed 406: unknown delivery tag
            > 2 consume q
              2 deliver m3 as 1 to 0, redelivered
              2 deliver m4 as 2 to 0, redelivered
            q: 0 ready, 2 in flight
        "#]],
    );
}

#[test]
fn a_requeued_message_returns_to_its_position() {
    check(
        vec![queue("q")],
        "1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4
         2 consume q 0 3
         2 cancel 0
         2 requeue 2; 2 requeue 1
         3 consume q 0",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4
            > 2 consume q 0 3
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 deliver m3 as 3 to 0
            > 2 cancel 0
              2 cancelled 0
            > 2 requeue 2; 2 requeue 1
            > 3 consume q 0
              3 deliver m1 as 1 to 0, redelivered
              3 deliver m2 as 2 to 0, redelivered
              3 deliver m4 as 3 to 0
            q: 0 ready, 4 in flight
        "#]],
    );
}

#[test]
fn what_a_lost_consumer_held_goes_back_in_order() {
    check(
        vec![durable("q", Durability::Os)],
        "1 publish q 1; 1 publish q 2; 1 publish q 3
         written
         2 consume q 0 2
         close 2
         3 consume q 0
         written",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3
              log 1: enqueue q/0 m1
              log 2: enqueue q/1 m2
              log 3: enqueue q/2 m3
            > written
            > 2 consume q 0 2
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
            > close 2
              log 4: return q/0 after 1
              log 5: return q/1 after 1
            > 3 consume q 0
              3 deliver m3 as 1 to 0
            > written
              3 deliver m1 as 2 to 0, redelivered
              3 deliver m2 as 3 to 0, redelivered
            q: 0 ready, 3 in flight
        "#]],
    );
}

#[test]
fn prefetch_bounds_what_is_unacknowledged_and_zero_is_no_bound() {
    check(
        vec![queue("q"), queue("r")],
        "2 consume q 0 1; 2 consume q 1 2; 3 consume r 0 0
         1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4; 1 publish r 5; 1 publish r 6; 1 publish r 7
         2 ack 1",
        expect![[r#"
            > 2 consume q 0 1; 2 consume q 1 2; 3 consume r 0 0
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4; 1 publish r 5; 1 publish r 6; 1 publish r 7
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 1
              2 deliver m3 as 3 to 1
              3 deliver m5 as 1 to 0
              3 deliver m6 as 2 to 0
              3 deliver m7 as 3 to 0
            > 2 ack 1
              2 deliver m4 as 4 to 0
            q: 0 ready, 3 in flight
            r: 0 ready, 3 in flight
        "#]],
    );
}

#[test]
fn a_delivery_without_ack_counts_as_acknowledged() {
    check_observed(
        vec![durable("q", Durability::Fsync)],
        "noack 2 consume q 0 1
         1 publish q 1; 1 publish q 2
         synced
         2 ack 1",
        expect![[r#"
            > noack 2 consume q 0 1
            > 1 publish q 1; 1 publish q 2
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
              * m2 routed, 1 copies
              * m2 proposed q/1
              log 2: enqueue q/1 m2
              sync 2
            > synced
              * enqueued q/0
              * enqueued q/1
              2 deliver m1 as 1 to 0
              * removed q/0: Acked
              log 3: remove q/0
              2 deliver m2 as 2 to 0
              * removed q/1: Acked
              log 4: remove q/1
              sync 4
            > 2 ack 1
              2 closed 406: unknown delivery tag
            q: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn credit_in_bytes_stops_deliveries_until_the_client_reads() {
    check(
        vec![queue("q")],
        "open 2 100; 2 consume q 0; 2 consume q 1
         1 publish q 1 10; 1 publish q 2 10; 1 publish q 3 10
         writable 2 47
         writable 2 2",
        expect![[r#"
            > open 2 100; 2 consume q 0; 2 consume q 1
            > 1 publish q 1 10; 1 publish q 2 10; 1 publish q 3 10
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 1
            > writable 2 47
            > writable 2 2
              2 deliver m3 as 3 to 0
            q: 0 ready, 3 in flight
        "#]],
    );
}

#[test]
fn transient_messages_in_a_durable_queue_keep_their_order_and_are_not_logged() {
    check(
        vec![durable("q", Durability::Fsync)],
        "1 confirm; 2 consume q
         transient 1 publish q 1
         1 publish q 2; transient 1 publish q 3
         synced
         2 ack ..0
         synced",
        expect![[r#"
            > 1 confirm; 2 consume q
            > transient 1 publish q 1
              2 deliver m1 as 1 to 0
              1 confirm 1
            > 1 publish q 2; transient 1 publish q 3
              log 1: enqueue q/1 m2
              sync 1
            > synced
              2 deliver m2 as 2 to 0
              2 deliver m3 as 3 to 0
              1 confirm ..3
            > 2 ack ..0
              log 2: remove q/1
              sync 2
            > synced
            q: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn drop_head_drops_the_oldest_and_confirms() {
    let bounded = |durability| QueueConfig {
        max_length: Some(2),
        ..durable("q", durability)
    };
    check_observed(
        vec![bounded(Durability::None)],
        "1 confirm
         1 publish q 1; 1 publish q 2; 1 publish q 3",
        expect![[r#"
            > 1 confirm
            > 1 publish q 1; 1 publish q 2; 1 publish q 3
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * removed q/0: Dropped
              * enqueued q/2
              1 confirm ..3
            q: 2 ready, 0 in flight
        "#]],
    );
    check_observed(
        vec![bounded(Durability::Fsync)],
        "1 confirm
         1 publish q 1; 1 publish q 2
         synced
         1 publish q 3; 1 publish q 4; 1 publish q 5
         synced",
        expect![[r#"
            > 1 confirm
            > 1 publish q 1; 1 publish q 2
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
              * m2 routed, 1 copies
              * m2 proposed q/1
              log 2: enqueue q/1 m2
              sync 2
            > synced
              * enqueued q/0
              * enqueued q/1
              1 confirm ..2
            > 1 publish q 3; 1 publish q 4; 1 publish q 5
              * m3 routed, 1 copies
              * m3 proposed q/2
              log 3: remove q/0 + enqueue q/2 m3
              * m4 routed, 1 copies
              * m4 proposed q/3
              log 4: remove q/1 + enqueue q/3 m4
              * m5 routed, 1 copies
              * m5 proposed q/4
              * removed q/4: Dropped
              sync 4
              1 confirm 5
            > synced
              * removed q/0: Dropped
              * enqueued q/2
              * removed q/1: Dropped
              * enqueued q/3
              1 confirm ..4
            q: 2 ready, 0 in flight
        "#]],
    );
}

#[test]
fn drop_head_by_bytes_makes_room_unless_the_message_is_larger_than_the_queue() {
    let bounded = QueueConfig {
        max_bytes: Some(10),
        ..queue("q")
    };
    check_observed(
        vec![bounded],
        "1 publish q 1 4; 1 publish q 2 4; 1 publish q 3 9
         1 publish q 4 11",
        expect![[r#"
            > 1 publish q 1 4; 1 publish q 2 4; 1 publish q 3 9
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * removed q/0: Dropped
              * removed q/1: Dropped
              * enqueued q/2
            > 1 publish q 4 11
              * m4 routed, 1 copies
              * m4 proposed q/3
              * removed q/3: Dropped
            q: 1 ready, 0 in flight
        "#]],
    );
}

#[test]
fn reject_publish_refuses_the_whole_publish() {
    let bounded = QueueConfig {
        max_length: Some(1),
        overflow: Overflow::RejectPublish,
        ..queue("bounded")
    };
    let mut config = BrokerConfig {
        queues: vec![queue("free"), bounded],
        observe: true,
        ..Default::default()
    };
    exchange(&mut config, ExchangeKind::Fanout, &[(0, "", 1), (1, "", 1)]);
    let script = "1 confirm
         1 publish any@0 1; 1 publish any@0 2; 1 publish free 3";
    expect![[r#"
        > 1 confirm
        > 1 publish any@0 1; 1 publish any@0 2; 1 publish free 3
          * m1 routed, 2 copies
          * m1 proposed bounded/0
          * m1 proposed free/0
          * enqueued bounded/0
          * enqueued free/0
          * m2 refused by 1
          1 refuse 2
          * m3 routed, 1 copies
          * m3 proposed free/1
          * enqueued free/1
          1 confirm ..3
        free: 2 ready, 0 in flight
        bounded: 1 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

#[test]
fn block_lets_connections_in_fairly() {
    let bounded = QueueConfig {
        max_length: Some(1),
        overflow: Overflow::Block,
        ..queue("q")
    };
    check(
        vec![bounded],
        "1 confirm; 2 confirm; 3 consume q 0 1
         1 publish q 10; 1 publish q 11; 1 publish q 12; 1 publish q 13
         2 publish q 20; 2 publish q 21; 2 publish q 22
         3 ack 1
         3 ack 2
         3 ack 3
         3 ack 4
         3 ack 5
         3 ack 6
         3 ack 7",
        expect![[r#"
            > 1 confirm; 2 confirm; 3 consume q 0 1
            > 1 publish q 10; 1 publish q 11; 1 publish q 12; 1 publish q 13
              3 deliver m10 as 1 to 0
              1 reading off
              1 confirm ..2
            > 2 publish q 20; 2 publish q 21; 2 publish q 22
              2 reading off
            > 3 ack 1
              3 deliver m11 as 2 to 0
              1 confirm 3
            > 3 ack 2
              3 deliver m12 as 3 to 0
              2 confirm 1
            > 3 ack 3
              3 deliver m20 as 4 to 0
              1 reading on
              1 confirm 4
            > 3 ack 4
              3 deliver m13 as 5 to 0
              2 confirm 2
            > 3 ack 5
              3 deliver m21 as 6 to 0
              2 reading on
              2 confirm 3
            > 3 ack 6
              3 deliver m22 as 7 to 0
            > 3 ack 7
            q: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn a_closed_connection_takes_its_parked_publishes_along() {
    let bounded = QueueConfig {
        max_length: Some(1),
        overflow: Overflow::Block,
        ..queue("q")
    };
    check(
        vec![bounded],
        "1 publish q 10; 1 publish q 11; 1 publish q 12
         2 publish q 20
         close 1
         3 consume q",
        expect![[r#"
            > 1 publish q 10; 1 publish q 11; 1 publish q 12
              1 reading off
            > 2 publish q 20
              2 reading off
            > close 1
            > 3 consume q
              3 deliver m10 as 1 to 0
              2 reading on
              3 deliver m20 as 2 to 0
            q: 0 ready, 2 in flight
        "#]],
    );
}

#[test]
fn room_for_several_goes_to_connections_in_turn() {
    let bounded = QueueConfig {
        max_length: Some(3),
        overflow: Overflow::Block,
        ..queue("q")
    };
    check(
        vec![bounded],
        "1 publish q 1; 1 publish q 2; 1 publish q 3
         1 publish q 10; 1 publish q 11; 1 publish q 12
         2 publish q 20; 2 publish q 21
         3 consume q 0 3
         4 consume q 0",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3
            > 1 publish q 10; 1 publish q 11; 1 publish q 12
              1 reading off
            > 2 publish q 20; 2 publish q 21
              2 reading off
            > 3 consume q 0 3
              3 deliver m1 as 1 to 0
              3 deliver m2 as 2 to 0
              3 deliver m3 as 3 to 0
            > 4 consume q 0
              4 deliver m10 as 1 to 0
              4 deliver m20 as 2 to 0
              4 deliver m11 as 3 to 0
              2 reading on
              1 reading on
              4 deliver m21 as 4 to 0
              4 deliver m12 as 5 to 0
            q: 0 ready, 8 in flight
        "#]],
    );
}

#[test]
fn a_parked_publish_that_goes_lets_a_smaller_one_in() {
    let bounded = QueueConfig {
        max_bytes: Some(10),
        overflow: Overflow::Block,
        ..queue("q")
    };
    check(
        vec![bounded],
        "2 confirm; 1 publish q 1 6
         1 publish q 2 8; 2 publish q 3 4
         close 1",
        expect![[r#"
            > 2 confirm; 1 publish q 1 6
            > 1 publish q 2 8; 2 publish q 3 4
              1 reading off
              2 reading off
            > close 1
              2 reading on
              2 confirm 1
            q: 2 ready, 0 in flight
        "#]],
    );
}

#[test]
fn a_reopened_channel_hears_nothing_of_the_publishes_before() {
    check(
        vec![durable("q", Durability::Fsync)],
        "1 confirm; 1 publish q 1; 1 ack 9
         1 confirm; 1 publish q 2
         synced 1
         synced 2",
        expect![[r#"
            > 1 confirm; 1 publish q 1; 1 ack 9
              log 1: enqueue q/0 m1
              1 closed 406: unknown delivery tag
              sync 1
            > 1 confirm; 1 publish q 2
              log 2: enqueue q/1 m2
              sync 2
            > synced 1
            > synced 2
              1 confirm 1
            q: 2 ready, 0 in flight
        "#]],
    );
}

#[test]
fn what_would_wait_for_ever_is_refused() {
    let block = QueueConfig {
        overflow: Overflow::Block,
        ..queue("q")
    };
    check(
        vec![
            QueueConfig {
                max_bytes: Some(5),
                ..block.clone()
            },
            QueueConfig {
                name: "r".into(),
                max_length: Some(0),
                ..block
            },
        ],
        "1 confirm; 1 publish q 1 6; 1 publish r 2",
        expect![[r#"
            > 1 confirm; 1 publish q 1 6; 1 publish r 2
              1 refuse 1
              1 refuse 2
            q: 0 ready, 0 in flight
            r: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn a_rejected_message_moves_to_the_dead_letter_queue_in_one_entry() {
    let source = QueueConfig {
        dead_letter: dead_letter_to("dead"),
        ..durable("q", Durability::Os)
    };
    check_observed(
        vec![source, durable("dead", Durability::Fsync)],
        "1 publish q 1; 2 consume q
         written
         2 reject 1
         written
         synced
         power-loss",
        expect![[r#"
            > 1 publish q 1; 2 consume q
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
            > written
              * enqueued q/0
              2 deliver m1 as 1 to 0
            > 2 reject 1
              * m1 proposed dead/0 from q/0
              log 2: remove q/0 + enqueue dead/0 m1
              sync 2
            > written
            > synced
              * enqueued dead/0
              * removed q/0: DeadLettered(Rejected)
            > power-loss
              * recovered dead/0 m1
            q: 0 ready, 0 in flight
            dead: 1 ready, 0 in flight
        "#]],
    );
}

#[test]
fn a_rejected_message_without_a_target_is_dropped() {
    check_observed(
        vec![
            queue("q"),
            QueueConfig {
                dead_letter: dead_letter_to("nowhere"),
                ..queue("r")
            },
        ],
        "1 publish q 1; 1 publish r 2; 2 consume q 0; 2 consume r 1
         2 reject ..2",
        expect![[r#"
            > 1 publish q 1; 1 publish r 2; 2 consume q 0; 2 consume r 1
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed r/0
              * enqueued r/0
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 1
            > 2 reject ..2
              * removed q/0: Rejected
              * removed r/0: Rejected
            q: 0 ready, 0 in flight
            r: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn overflow_to_the_dead_letter_queue_moves_the_oldest() {
    let bounded = QueueConfig {
        max_length: Some(1),
        overflow: Overflow::DeadLetter,
        dead_letter: dead_letter_to("dead"),
        ..durable("q", Durability::Fsync)
    };
    check_observed(
        vec![bounded, queue("dead")],
        "1 confirm; 1 publish q 1
         synced
         1 publish q 2; 1 publish q 3
         synced",
        expect![[r#"
            > 1 confirm; 1 publish q 1
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
              sync 1
            > synced
              * enqueued q/0
              1 confirm 1
            > 1 publish q 2; 1 publish q 3
              * m2 routed, 1 copies
              * m1 proposed dead/0 from q/0
              * m2 proposed q/1
              log 2: remove q/0 + enqueue q/1 m2
              * enqueued dead/0
              * m3 routed, 1 copies
              * m3 proposed q/2
              * m3 proposed dead/1 from q/2
              * enqueued dead/1
              * removed q/2: DeadLettered(MaxLength)
              sync 2
              1 confirm 3
            > synced
              * removed q/0: DeadLettered(MaxLength)
              * enqueued q/1
              1 confirm 2
            q: 1 ready, 0 in flight
            dead: 2 ready, 0 in flight
        "#]],
    );
}

#[test]
fn a_full_dead_letter_target_that_refuses_loses_the_message() {
    let bounded = QueueConfig {
        max_length: Some(1),
        overflow: Overflow::DeadLetter,
        dead_letter: dead_letter_to("dead"),
        ..queue("q")
    };
    let dead = QueueConfig {
        max_length: Some(1),
        overflow: Overflow::RejectPublish,
        ..queue("dead")
    };
    check_observed(
        vec![bounded, dead],
        "1 publish q 1; 1 publish q 2; 1 publish q 3",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m1 proposed dead/0 from q/0
              * m2 proposed q/1
              * enqueued dead/0
              * removed q/0: DeadLettered(MaxLength)
              * enqueued q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * removed q/1: Dropped
              * enqueued q/2
            q: 1 ready, 0 in flight
            dead: 1 ready, 0 in flight
        "#]],
    );
}

#[test]
fn dead_letters_in_a_circle_end() {
    let bounded = |name, to| QueueConfig {
        max_length: Some(1),
        overflow: Overflow::DeadLetter,
        dead_letter: dead_letter_to(to),
        ..queue(name)
    };
    check(
        vec![bounded("a", "b"), bounded("b", "a")],
        "1 confirm; 1 publish a 1; 1 publish a 2
         1 publish a 3; 1 publish a 4",
        expect![[r#"
            > 1 confirm; 1 publish a 1; 1 publish a 2
              1 confirm ..2
            > 1 publish a 3; 1 publish a 4
              1 confirm ..4
            a: 1 ready, 0 in flight
            b: 1 ready, 0 in flight
        "#]],
    );
}

#[test]
fn dead_letters_in_a_circle_that_fans_out_end_soon() {
    let full = |name| QueueConfig {
        max_length: Some(0),
        overflow: Overflow::DeadLetter,
        dead_letter: Some(DeadLetter {
            exchange: ExchangeId(0),
            routing_key: None,
        }),
        ..queue(name)
    };
    let mut config = BrokerConfig {
        queues: ["a", "b", "c", "d", "e", "f", "g", "h"].map(full).to_vec(),
        observe: true,
        ..Default::default()
    };
    let bindings: Vec<_> = (0..8).map(|queue| (queue, "", 1)).collect();
    exchange(&mut config, ExchangeKind::Fanout, &bindings);
    let text = run(config, "1 confirm; 1 publish a 1");
    assert!(text.contains("1 confirm 1\n"));
    let count = |word: &str| text.lines().filter(|line| line.contains(word)).count();
    // The publish moves once; then at most 256 moves follow, each into the queues where it has not been.
    assert_eq!((count("proposed"), count("removed")), (422, 422));
    assert_eq!(count("DeadLettered"), 257);
}

#[test]
fn a_restart_finds_what_was_committed_as_redelivered() {
    check_observed(
        vec![durable("q", Durability::Os), queue("memory")],
        "1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish memory 4
         written
         2 consume q
         2 requeue 1; 2 ack 2
         1 publish q 5
         written 5
         crash
         1 publish q 6
         2 consume q
         written",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish memory 4
              * m1 routed, 1 copies
              * m1 proposed q/0
              log 1: enqueue q/0 m1
              * m2 routed, 1 copies
              * m2 proposed q/1
              log 2: enqueue q/1 m2
              * m3 routed, 1 copies
              * m3 proposed q/2
              log 3: enqueue q/2 m3
              * m4 routed, 1 copies
              * m4 proposed memory/0
              * enqueued memory/0
            > written
              * enqueued q/0
              * enqueued q/1
              * enqueued q/2
            > 2 consume q
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 deliver m3 as 3 to 0
            > 2 requeue 1; 2 ack 2
              log 4: return q/0 after 1
              log 5: remove q/1
            > 1 publish q 5
              * m5 routed, 1 copies
              * m5 proposed q/3
              log 6: enqueue q/3 m5
            > written 5
              * returned q/0 after 1
              * removed q/1: Acked
              2 deliver m1 as 4 to 0, redelivered
            > crash
              * recovered q/0 m1
              * recovered q/2 m3
            > 1 publish q 6
              * m6 routed, 1 copies
              * m6 proposed q/1:0
              log 6: enqueue q/1:0 m6
            > 2 consume q
              2 deliver m1 as 1 to 0, redelivered
              2 deliver m3 as 2 to 0, redelivered
            > written
              * enqueued q/1:0
              2 deliver m6 as 3 to 0
            q: 0 ready, 3 in flight
            memory: 0 ready, 0 in flight
        "#]],
    );
}

#[test]
fn errors_close_the_channel_and_nothing_else() {
    check(
        vec![queue("q")],
        "1.2 consume q 0; 1 publish q 1
         1 publish any@7 2
         1 consume nowhere
         1 consume q 0; 1 consume q 0
         1 ack 0
         1 cancel 5",
        expect![[r#"
            > 1.2 consume q 0; 1 publish q 1
              1.2 deliver m1 as 1 to 0
            > 1 publish any@7 2
              1 closed 404: no such exchange
            > 1 consume nowhere
              1 closed 404: no such queue
            > 1 consume q 0; 1 consume q 0
              1 closed 530: the consumer exists already
            > 1 ack 0
              1 closed 406: unknown delivery tag
            > 1 cancel 5
              1 cancelled 5
            q: 0 ready, 1 in flight
        "#]],
    );
}

#[test]
fn exchanges_route_to_each_queue_once() {
    let mut config = BrokerConfig {
        queues: ["a", "b", "c"].map(queue).to_vec(),
        observe: true,
        ..Default::default()
    };
    exchange(
        &mut config,
        ExchangeKind::Direct,
        &[(0, "x", 1), (1, "x", 1), (1, "y", 1), (1, "x", 1)],
    );
    exchange(
        &mut config,
        ExchangeKind::Topic,
        &[(0, "shop.*", 1), (0, "shop.#", 1), (2, "#.new", 1)],
    );
    let ring = ExchangeKind::ConsistentHash(HashKind::Ring { vnodes: 100 });
    exchange(&mut config, ring, &[(0, "", 1), (1, "", 0), (2, "", 1)]);
    let script = "1 publish x@0 1; 1 publish y@0 2; 1 publish z@0 3
         1 publish shop.new@1 4; 1 publish shop.a.b@1 5; 1 publish a.b@1 6
         1 publish k1@2 7; 1 publish k2@2 8; 1 publish k3@2 9; 1 publish k1@2 10";
    expect![[r#"
        > 1 publish x@0 1; 1 publish y@0 2; 1 publish z@0 3
          * m1 routed, 2 copies
          * m1 proposed a/0
          * m1 proposed b/0
          * enqueued a/0
          * enqueued b/0
          * m2 routed, 1 copies
          * m2 proposed b/1
          * enqueued b/1
          * m3 routed, 0 copies
        > 1 publish shop.new@1 4; 1 publish shop.a.b@1 5; 1 publish a.b@1 6
          * m4 routed, 2 copies
          * m4 proposed a/1
          * m4 proposed c/0
          * enqueued a/1
          * enqueued c/0
          * m5 routed, 1 copies
          * m5 proposed a/2
          * enqueued a/2
          * m6 routed, 0 copies
        > 1 publish k1@2 7; 1 publish k2@2 8; 1 publish k3@2 9; 1 publish k1@2 10
          * m7 routed, 1 copies
          * m7 proposed a/3
          * enqueued a/3
          * m8 routed, 1 copies
          * m8 proposed a/4
          * enqueued a/4
          * m9 routed, 1 copies
          * m9 proposed c/1
          * enqueued c/1
          * m10 routed, 1 copies
          * m10 proposed a/5
          * enqueued a/5
        a: 6 ready, 0 in flight
        b: 2 ready, 0 in flight
        c: 2 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

#[test]
fn the_log_is_released_once_nothing_needs_its_head() {
    let mut script = String::from("1 publish q 1\n1 publish q 2\n");
    let config = BrokerConfig {
        queues: vec![durable("q", Durability::Os)],
        ..Default::default()
    };
    script.push_str("written; 2 consume q 0 2\n2 ack 1\nwritten\n");
    let pass = |tag: u64| format!("1 publish q {tag}; written; 2 ack {tag}; written\n");
    script.extend((3..1100).map(pass));
    script.push_str("2 ack 2\nwritten\n");
    script.extend((1100..1800).map(pass));
    let text = run(config, &script);
    let releases: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("release"))
        .collect();
    assert_eq!(releases, ["release 2", "release 3075"]);
}
