//! Who gets what: credit, consumers' priorities, exclusive and single active ones, groups, selectors, pull and replies.

use crate::support::queue;
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
