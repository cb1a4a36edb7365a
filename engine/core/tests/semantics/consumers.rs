//! Who gets what: credit, consumers' priorities, exclusive and single active ones, groups, selectors, pull and replies.

use crate::support::{Rig, queue};
use crate::{check, check_observed};
use expect_test::expect;
use queuelab_core::*;

/// Row 13.
#[test]
fn competing_consumers_take_turns_among_those_with_credit() {
    check(
        vec![queue("q")],
        "2 consume q 0 2; 3 consume q 0 1; 4 consume q 0 0
         1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4; 1 publish q 5; 1 publish q 6",
        expect![[r#"
            > 2 consume q 0 2; 3 consume q 0 1; 4 consume q 0 0
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4; 1 publish q 5; 1 publish q 6
              2 deliver m1 as 1 to 0
              3 deliver m2 as 1 to 0
              4 deliver m3 as 1 to 0
              2 deliver m4 as 2 to 0
              4 deliver m5 as 2 to 0
              4 deliver m6 as 3 to 0
            q: 0 ready, 6 in flight
        "#]],
    );
}

/// Row 14.
#[test]
fn consumer_priority_serves_the_lower_only_while_the_higher_are_blocked() {
    check(
        vec![queue("q")],
        "2 consume q 0 0 priority=-1; 3 consume q 0 1 priority=5; 4 consume q 0 1 priority=5
         1 publish q 1; 1 publish q 2; 1 publish q 3
         4 ack 1; 1 publish q 4; 1 publish q 5
         close 4; 1 publish q 6",
        expect![[r#"
            > 2 consume q 0 0 priority=-1; 3 consume q 0 1 priority=5; 4 consume q 0 1 priority=5
            > 1 publish q 1; 1 publish q 2; 1 publish q 3
              3 deliver m1 as 1 to 0
              4 deliver m2 as 1 to 0
              2 deliver m3 as 1 to 0
            > 4 ack 1; 1 publish q 4; 1 publish q 5
              4 deliver m4 as 2 to 0
              2 deliver m5 as 2 to 0
            > close 4; 1 publish q 6
              2 deliver m4 as 3 to 0, redelivered
              2 deliver m6 as 4 to 0
            q: 0 ready, 5 in flight
        "#]],
    );
}

/// Row 15.
#[test]
fn exclusive_consumer_refuses_others_and_is_refused_beside_others() {
    check(
        vec![queue("q")],
        "exclusive 2 consume q 0
         3 consume q 0
         exclusive 3 consume q 0
         2 cancel 0
         3 consume q 0; exclusive 2 consume q 0
         close 3; exclusive 2 consume q 0",
        expect![[r#"
            > exclusive 2 consume q 0
            > 3 consume q 0
              3 closed 403: the queue is in exclusive use
            > exclusive 3 consume q 0
              3 closed 403: the queue is in exclusive use
            > 2 cancel 0
              2 cancelled 0
            > 3 consume q 0; exclusive 2 consume q 0
              2 closed 403: the queue is in exclusive use
            > close 3; exclusive 2 consume q 0
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 16.
#[test]
fn single_active_consumer_is_the_first_of_the_highest_priority() {
    let single = QueueConfig {
        policy: QueuePolicy {
            single_active: true,
            ..Default::default()
        },
        ..queue("q")
    };
    check_observed(
        vec![single],
        "2 consume q 0 1; 3 consume q 0
         1 publish q 1; 1 publish q 2
         2 cancel 0
         4 consume q 0 0 priority=1
         1 publish q 3
         2 requeue 1
         close 4
         close 3",
        expect![[r#"
            > 2 consume q 0 1; 3 consume q 0
              * q activates 2
            > 1 publish q 1; 1 publish q 2
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              2 deliver m1 as 1 to 0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
            > 2 cancel 0
              * q activates 3
              2 cancelled 0
              3 deliver m2 as 1 to 0
            > 4 consume q 0 0 priority=1
              * q activates 4
            > 1 publish q 3
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
              4 deliver m3 as 1 to 0
            > 2 requeue 1
              * returned q/0 after 1
              4 deliver m1 as 2 to 0, redelivered
            > close 4
              * q activates 3
              * returned q/2 after 1
              * returned q/0 after 2
              3 deliver m1 as 2 to 0, redelivered
              3 deliver m3 as 3 to 0, redelivered
            > close 3
              * returned q/1 after 1
              * returned q/0 after 3
              * returned q/2 after 2
            q: 3 ready, 0 in flight
        "#]],
    );
}

/// Row 9.
#[test]
fn global_prefetch_bounds_what_the_consumers_of_a_channel_hold_together() {
    check(
        vec![queue("q"), queue("r")],
        "2 limit 3; 2 consume q 0 2; 2 consume r 1; 2.2 consume r 2 1
         1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish r 4; 1 publish r 5; 1 publish r 6
         2 get r
         2 ack 4
         2 ack 2
         2 limit 1; 2 ack 1
         2 limit 0",
        expect![[r#"
            > 2 limit 3; 2 consume q 0 2; 2 consume r 1; 2.2 consume r 2 1
              2 done
            > 1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish r 4; 1 publish r 5; 1 publish r 6
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 deliver m4 as 3 to 1
              2.2 deliver m5 as 1 to 2
            > 2 get r
              2 deliver m6 as 4 to get
            > 2 ack 4
            > 2 ack 2
              2 deliver m3 as 5 to 0
            > 2 limit 1; 2 ack 1
              2 done
            > 2 limit 0
              2 done
            q: 0 ready, 1 in flight
            r: 0 ready, 2 in flight
        "#]],
    );
}

/// Row 12.
#[test]
fn pull_get_takes_one_message_regardless_of_prefetch() {
    check_observed(
        vec![queue("q")],
        "2 get q
         1 publish q 1; 1 publish q 2; 1 publish q 3
         2 get q; noack 2 get q
         2 consume q 0 1
         2 requeue 1
         2 ack 3; 2 get q
         2 get nowhere",
        expect![[r#"
            > 2 get q
              2 empty
            > 1 publish q 1; 1 publish q 2; 1 publish q 3
              * m1 routed, 1 copies
              * m1 proposed q/0
              * enqueued q/0
              * m2 routed, 1 copies
              * m2 proposed q/1
              * enqueued q/1
              * m3 routed, 1 copies
              * m3 proposed q/2
              * enqueued q/2
            > 2 get q; noack 2 get q
              2 deliver m1 as 1 to get
              2 deliver m2 as 2 to get
              * removed q/1: Acked
            > 2 consume q 0 1
              2 deliver m3 as 3 to 0
            > 2 requeue 1
              * returned q/0 after 1
            > 2 ack 3; 2 get q
              * removed q/2: Acked
              2 deliver m1 as 4 to 0, redelivered
              2 empty
            > 2 get nowhere
              2 closed 404: no such queue
              * returned q/0 after 2
            q: 1 ready, 0 in flight
        "#]],
    );
}

/// Row 12.
#[test]
fn pull_get_makes_room_for_a_publish_that_waits() {
    let bounded = QueueConfig {
        max_length: Some(1),
        overflow: Overflow::Block,
        ..queue("q")
    };
    check(
        vec![bounded],
        "1 publish q 1; 1 publish q 2
         2 get q
         close 2",
        expect![[r#"
            > 1 publish q 1; 1 publish q 2
              1 reading off
            > 2 get q
              2 deliver m1 as 1 to get
              1 reading on
            > close 2
            q: 2 ready, 0 in flight
        "#]],
    );
}

/// Row 40.
#[test]
fn direct_reply_to_goes_straight_to_the_channel_that_asked_while_it_lives() {
    check_observed(
        vec![queue("q")],
        "1 ask q 1
         1 replies acked
         1 replies; 1 ask q 2; 1 consume q 0
         1 replies; 1 replies 1
         1 replies; 1 ask q 3; 2 consume q
         2 confirm; 2 publish direct-reply-to.0.1.1.4 4
         1 ack 1
         mandatory 2 publish direct-reply-to.0.1.1.4 5
         1 replies; 1 cancel 0; 1 ask q 6",
        expect![[r#"
            > 1 ask q 1
              1 closed 406: the channel has no reply consumer
            > 1 replies acked
              1 closed 406: replies are not acknowledged
            > 1 replies; 1 ask q 2; 1 consume q 0
              * m2 routed, 1 copies
              * m2 proposed q/0
              * enqueued q/0
              1 closed 530: the consumer exists already
            > 1 replies; 1 replies 1
              1 closed 406: the channel has a reply consumer already
            > 1 replies; 1 ask q 3; 2 consume q
              * m3 routed, 1 copies
              * m3 proposed q/1
              * enqueued q/1
              2 deliver m2 as 1 to 0, reply to b"direct-reply-to.0.1.1.2"
              2 deliver m3 as 2 to 0, reply to b"direct-reply-to.0.1.1.4"
            > 2 confirm; 2 publish direct-reply-to.0.1.1.4 4
              * m4 routed, 0 copies
              1 deliver m4 as 1 to 0
              2 confirm 1
            > 1 ack 1
              1 closed 406: unknown delivery tag
            > mandatory 2 publish direct-reply-to.0.1.1.4 5
              * m5 routed, 0 copies
              2 returned m5
              2 confirm 2
            > 1 replies; 1 cancel 0; 1 ask q 6
              1 cancelled 0
              1 closed 406: the channel has no reply consumer
            q: 0 ready, 2 in flight
        "#]],
    );
}

fn grouped() -> QueueConfig {
    QueueConfig {
        policy: QueuePolicy {
            groups: true,
            ..Default::default()
        },
        ..queue("q")
    }
}

/// Row 17.
#[test]
fn message_groups_stick_to_the_consumer_that_got_their_first_message() {
    check(
        vec![grouped()],
        "2 consume q 0; 3 consume q 0
         1 publish q 1 1 group=a; 1 publish q 2 1 group=b; 1 publish q 3 1 group=b
         1 publish q 4 1 group=a; 1 publish q 5 1 group=c; 1 publish q 6
         2 ack ..0; 1 publish q 7 1 group=a; 1 publish q 8 1 group=c",
        expect![[r#"
            > 2 consume q 0; 3 consume q 0
            > 1 publish q 1 1 group=a; 1 publish q 2 1 group=b; 1 publish q 3 1 group=b
              2 deliver m1 as 1 to 0
              3 deliver m2 as 1 to 0
              3 deliver m3 as 2 to 0
            > 1 publish q 4 1 group=a; 1 publish q 5 1 group=c; 1 publish q 6
              2 deliver m4 as 2 to 0
              3 deliver m5 as 3 to 0
              2 deliver m6 as 3 to 0
            > 2 ack ..0; 1 publish q 7 1 group=a; 1 publish q 8 1 group=c
              3 deliver m7 as 4 to 0
              3 deliver m8 as 5 to 0
            q: 0 ready, 5 in flight
        "#]],
    );
}

/// Row 17.
#[test]
fn message_groups_wait_for_their_consumer_without_blocking_others() {
    check(
        vec![grouped()],
        "2 consume q 0 1; 3 consume q 0 2
         1 publish q 1 1 group=a; 1 publish q 2 1 group=a; 1 publish q 3 1 group=a; 1 publish q 4 1 group=b; 1 publish q 5
         4 get q
         1 publish q 6; 4 get q
         2 ack 1",
        expect![[r#"
            > 2 consume q 0 1; 3 consume q 0 2
            > 1 publish q 1 1 group=a; 1 publish q 2 1 group=a; 1 publish q 3 1 group=a; 1 publish q 4 1 group=b; 1 publish q 5
              2 deliver m1 as 1 to 0
              3 deliver m4 as 1 to 0
              3 deliver m5 as 2 to 0
            > 4 get q
              4 empty
            > 1 publish q 6; 4 get q
              4 deliver m6 as 1 to get
            > 2 ack 1
              2 deliver m2 as 2 to 0
            q: 1 ready, 4 in flight
        "#]],
    );
}

/// Row 17.
#[test]
fn message_groups_are_released_when_their_consumer_goes() {
    check(
        vec![grouped()],
        "2 consume q 0 1
         1 publish q 1 1 group=a; 1 publish q 2 1 group=a; 1 publish q 3 1 group=b
         3 consume q 0 1; 4 consume q 0 1
         2 cancel 0
         4 ack ..0
         3 ack ..0
         2 requeue 1
         4 ack ..0
         3 ack ..0",
        expect![[r#"
            > 2 consume q 0 1
            > 1 publish q 1 1 group=a; 1 publish q 2 1 group=a; 1 publish q 3 1 group=b
              2 deliver m1 as 1 to 0
            > 3 consume q 0 1; 4 consume q 0 1
              3 deliver m3 as 1 to 0
            > 2 cancel 0
              2 cancelled 0
              4 deliver m2 as 1 to 0
            > 4 ack ..0
            > 3 ack ..0
            > 2 requeue 1
              4 deliver m1 as 2 to 0, redelivered
            > 4 ack ..0
            > 3 ack ..0
            q: 0 ready, 0 in flight
        "#]],
    );
}

/// Row 17.
#[test]
fn message_groups_are_forgotten_with_their_last_message() {
    check(
        vec![grouped()],
        "2 consume q 0; 3 consume q 0
         1 publish q 1 1 group=a; 1 publish q 2 1 group=a
         2 requeue 1; 2 ack 2; 2 ack 3
         1 publish q 3 1 group=a",
        expect![[r#"
            > 2 consume q 0; 3 consume q 0
            > 1 publish q 1 1 group=a; 1 publish q 2 1 group=a
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
            > 2 requeue 1; 2 ack 2; 2 ack 3
              2 deliver m1 as 3 to 0, redelivered
            > 1 publish q 3 1 group=a
              3 deliver m3 as 1 to 0
            q: 0 ready, 1 in flight
        "#]],
    );
}

/// Row 17.
#[test]
fn message_groups_cost_memory_only_while_they_have_messages() {
    let mut rig = Rig::new(BrokerConfig {
        queues: vec![grouped()],
        ..Default::default()
    });
    rig.step("2 consume q 0 2");
    for number in 1..5_000 {
        rig.step(&format!("1 publish q {number} 1 group=g{number}"));
        assert_eq!(rig.broker.queue(QueueId(0)).groups, 1);
        rig.step(&format!("2 ack {number}"));
        rig.flush();
        assert_eq!(rig.broker.queue(QueueId(0)).groups, 0);
    }
}

/// Row 32.
#[test]
fn selectors_pass_over_what_they_do_not_accept() {
    check(
        vec![queue("q")],
        "2 consume q 0 1 where region = 'eu' AND size > 2
         3 consume q 0 1 where region = 'us' OR size IS NULL
         1 publish q 1 1 region=eu size=1; 1 publish q 2 1 region=us size=1; 1 publish q 3 1 region=eu size=3
         1 publish q 4 1 region=eu size=4; 1 publish q 5 1 region=us; 1 publish q 6
         2 ack 1; 3 ack 1
         3 requeue 2
         4 consume q 0
         close 3; close 2",
        expect![[r#"
            > 2 consume q 0 1 where region = 'eu' AND size > 2
            > 3 consume q 0 1 where region = 'us' OR size IS NULL
            > 1 publish q 1 1 region=eu size=1; 1 publish q 2 1 region=us size=1; 1 publish q 3 1 region=eu size=3
              3 deliver m2 as 1 to 0
              2 deliver m3 as 1 to 0
            > 1 publish q 4 1 region=eu size=4; 1 publish q 5 1 region=us; 1 publish q 6
            > 2 ack 1; 3 ack 1
              2 deliver m4 as 2 to 0
              3 deliver m5 as 2 to 0
            > 3 requeue 2
              3 deliver m5 as 3 to 0, redelivered
            > 4 consume q 0
              4 deliver m1 as 1 to 0
              4 deliver m6 as 2 to 0
            > close 3; close 2
              4 deliver m5 as 3 to 0, redelivered
              4 deliver m4 as 4 to 0, redelivered
            q: 0 ready, 4 in flight
        "#]],
    );
}

/// Rows 14, 17, 18 and 32 together.
#[test]
fn the_first_message_by_priority_that_anybody_can_take_goes_to_the_highest_who_can() {
    let config = QueueConfig {
        policy: QueuePolicy {
            groups: true,
            max_priority: 9,
            ..Default::default()
        },
        ..queue("q")
    };
    check(
        vec![config],
        "1 publish q 1 1 group=a; 1 publish q 2 1 group=b priority=5; 1 publish q 3 1 kind=x priority=9; 1 publish q 4 1 priority=1
         2 consume q 0 1 priority=1 where kind IS NULL
         3 consume q 0 1 priority=0
         3 ack 1
         1 publish q 5 1 group=b priority=9; 3 ack 2
         2 ack 1",
        expect![[r#"
            > 1 publish q 1 1 group=a; 1 publish q 2 1 group=b priority=5; 1 publish q 3 1 kind=x priority=9; 1 publish q 4 1 priority=1
            > 2 consume q 0 1 priority=1 where kind IS NULL
              2 deliver m2 as 1 to 0
            > 3 consume q 0 1 priority=0
              3 deliver m3 as 1 to 0
            > 3 ack 1
              3 deliver m4 as 2 to 0
            > 1 publish q 5 1 group=b priority=9; 3 ack 2
              3 deliver m1 as 3 to 0
            > 2 ack 1
              2 deliver m5 as 2 to 0
            q: 0 ready, 2 in flight
        "#]],
    );
}
