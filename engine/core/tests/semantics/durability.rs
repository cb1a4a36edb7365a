//! When entries are synced, and what a log that fails is the end of.

use super::*;

const TEN: Durability = Durability::Interval(Span::from_millis(10));

#[test]
fn an_interval_queue_confirms_at_the_write_and_syncs_when_its_time_is_over() {
    check(
        vec![durable("q", TEN)],
        "1 confirm; 1 publish q 1; written
         pass 9ms
         1 publish q 2; written
         pass 9ms
         synced
         pass 50ms
         1 publish q 3; written
         pass 10ms",
        expect![[r#"
            > 1 confirm; 1 publish q 1; written
              log 1: enqueue q/0 m1
              1 confirm 1
            > pass 9ms
            > 1 publish q 2; written
              log 2: enqueue q/1 m2
              1 confirm 2
            > pass 9ms
              at 10 ms:
              sync 2
            > synced
            > pass 50ms
            > 1 publish q 3; written
              log 3: enqueue q/2 m3
              1 confirm 3
            > pass 10ms
              at 78 ms:
              sync 3
            q: 3 ready, 0 in flight
        "#]],
    );
}

#[test]
fn the_shortest_interval_that_waits_counts_for_all() {
    check(
        vec![
            durable("slow", Durability::Interval(Span::from_secs(1))),
            durable("quick", TEN),
            durable("os", Durability::Os),
        ],
        "1 publish slow 1; 1 publish os 2; written
         pass 100ms
         1 publish quick 3; written
         pass 20ms
         pass 2s",
        expect![[r#"
            > 1 publish slow 1; 1 publish os 2; written
              log 1: enqueue slow/0 m1
              log 2: enqueue os/0 m2
            > pass 100ms
            > 1 publish quick 3; written
              log 3: enqueue quick/0 m3
            > pass 20ms
              at 110 ms:
              sync 3
            > pass 2s
            slow: 1 ready, 0 in flight
            quick: 1 ready, 0 in flight
            os: 1 ready, 0 in flight
        "#]],
    );
}

#[test]
fn a_log_that_fails_ends_all_connections_and_nothing_is_confirmed_any_more() {
    check(
        vec![durable("q", Durability::Fsync), durable("timed", TEN)],
        "1 confirm; 2 consume q; 1 publish q 1; 1 publish timed 2
         fails
         synced
         1 publish q 3; 3 confirm; open 4 100; 4 publish q 4
         pass 1s",
        expect![[r#"
            > 1 confirm; 2 consume q; 1 publish q 1; 1 publish timed 2
              log 1: enqueue q/0 m1
              log 2: enqueue timed/0 m2
              sync 2
            > fails
              1.0 closed 541: the log has failed
              2.0 closed 541: the log has failed
            > synced
            > 1 publish q 3; 3 confirm; open 4 100; 4 publish q 4
            > pass 1s
            q: 0 ready, 0 in flight
            timed: 0 ready, 0 in flight
        "#]],
    );
}
