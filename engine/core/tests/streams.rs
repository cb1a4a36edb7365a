//! What streams and groups mean: one test per rule.

mod support;

use expect_test::{Expect, expect};
use queuelab_core::*;
use support::{queue, run};

fn check(config: BrokerConfig, script: &str, expected: Expect) {
    expected.assert_eq(&run(config, script));
}

fn stream(name: &'static str, retention: Retention) -> QueueConfig {
    QueueConfig {
        policy: QueuePolicy {
            stream: Some(retention),
            ..Default::default()
        },
        ..queue(name)
    }
}

/// Everything is kept, in segments of four.
const ALL: Retention = Retention {
    max_bytes: None,
    max_length: None,
    max_age: None,
    segment: 4,
    compact: false,
    interest: false,
};

fn streams(names: &[&'static str], retention: Retention) -> BrokerConfig {
    BrokerConfig {
        queues: names.iter().map(|name| stream(name, retention)).collect(),
        ..Default::default()
    }
}

fn durable(mut config: BrokerConfig) -> BrokerConfig {
    for queue in &mut config.queues {
        queue.durability = Durability::Fsync;
    }
    config
}

/// With a group that reads all the streams from their beginning.
fn grouped(mut config: BrokerConfig, kind: GroupKind) -> BrokerConfig {
    config.groups.push(GroupConfig {
        name: "group".into(),
        streams: (0..config.queues.len() as u32).map(QueueId).collect(),
        start: Offset::First,
        kind,
    });
    config
}

fn partitioned(assignment: Assignment, rebalance: u64) -> GroupKind {
    GroupKind::Partitioned {
        assignment,
        rebalance: Span::from_millis(rebalance),
    }
}

fn shared(delivery_limit: u32, window: u32) -> GroupKind {
    GroupKind::Shared {
        lock: Span::from_millis(100),
        delivery_limit,
        window,
    }
}

fn observed(mut config: BrokerConfig) -> BrokerConfig {
    config.observe = true;
    config
}

/// Row 33.
#[test]
fn a_stream_is_read_from_any_offset_and_keeps_what_was_read() {
    check(
        streams(&["s"], ALL),
        "1 publish s 0; 1 publish s 1; 1 publish s 2
         2 consume s 0 from=first; 3 consume s 0 from=1; 4 consume s 0 from=last; 5 consume s 0; 6 consume s 0 from=4
         2 ack ..0; 3 reject 1
         1 publish s 3
         1 publish s 4",
        expect![[r#"
            > 1 publish s 0; 1 publish s 1; 1 publish s 2
            > 2 consume s 0 from=first; 3 consume s 0 from=1; 4 consume s 0 from=last; 5 consume s 0; 6 consume s 0 from=4
              2 deliver m0 as 1 to 0
              2 deliver m1 as 2 to 0
              2 deliver m2 as 3 to 0
              3 deliver m1 as 1 to 0
              3 deliver m2 as 2 to 0
              4 deliver m2 as 1 to 0
            > 2 ack ..0; 3 reject 1
            > 1 publish s 3
              2 deliver m3 as 4 to 0
              3 deliver m3 as 3 to 0
              4 deliver m3 as 2 to 0
              5 deliver m3 as 1 to 0
            > 1 publish s 4
              2 deliver m4 as 5 to 0
              3 deliver m4 as 4 to 0
              4 deliver m4 as 3 to 0
              5 deliver m4 as 2 to 0
              6 deliver m4 as 1 to 0
            s: 5 ready, 0 in flight
        "#]],
    );
}

/// Row 33.
#[test]
fn a_stream_is_read_from_an_instant() {
    check(
        streams(&["s"], ALL),
        "1 publish s 0
         at 10; 1 publish s 1; 1 publish s 2
         at 20; 1 publish s 3
         2 consume s 0 from=@10
         3 consume s 0 from=@11
         4 consume s 0 from=@21",
        expect![[r#"
            > 1 publish s 0
            > at 10; 1 publish s 1; 1 publish s 2
            > at 20; 1 publish s 3
            > 2 consume s 0 from=@10
              2 deliver m1 as 1 to 0
              2 deliver m2 as 2 to 0
              2 deliver m3 as 3 to 0
            > 3 consume s 0 from=@11
              3 deliver m3 as 1 to 0
            > 4 consume s 0 from=@21
            s: 4 ready, 0 in flight
        "#]],
    );
}

/// Row 33.
#[test]
fn prefetch_is_a_readers_credit_and_without_acknowledgement_it_has_no_end() {
    check(
        observed(streams(&["s"], ALL)),
        "2 consume s 0 2; 3 consume s 0 1 noack
         1 publish s 0; 1 publish s 1; 1 publish s 2
         2 ack 1
         2 requeue 2
         2 cancel 0
         1 publish s 3",
        expect![[r#"
            > 2 consume s 0 2; 3 consume s 0 1 noack
            > 1 publish s 0; 1 publish s 1; 1 publish s 2
              * m0 routed, 1 copies
              * m0 proposed s/0
              * enqueued s/0
              2 deliver m0 as 1 to 0
              * delivered s/0
              3 deliver m0 as 1 to 0
              * delivered s/0
              * m1 routed, 1 copies
              * m1 proposed s/1
              * enqueued s/1
              2 deliver m1 as 2 to 0
              * delivered s/1
              3 deliver m1 as 2 to 0
              * delivered s/1
              * m2 routed, 1 copies
              * m2 proposed s/2
              * enqueued s/2
              3 deliver m2 as 3 to 0
              * delivered s/2
            > 2 ack 1
              2 deliver m2 as 3 to 0
              * delivered s/2
            > 2 requeue 2
            > 2 cancel 0
              2 cancelled 0
            > 1 publish s 3
              * m3 routed, 1 copies
              * m3 proposed s/3
              * enqueued s/3
              3 deliver m3 as 4 to 0
              * delivered s/3
            s: 4 ready, 0 in flight
        "#]],
    );
}

/// Row 33.
#[test]
fn a_record_is_read_once_it_is_committed_and_offsets_go_on_after_a_restart() {
    check(
        observed(durable(streams(&["s"], ALL))),
        "2 consume s from=first
         1 publish s 0; 1 publish s 1
         synced
         1 publish s 2
         power-loss
         2 consume s from=1
         1 publish s 3
         synced",
        expect![[r#"
            > 2 consume s from=first
            > 1 publish s 0; 1 publish s 1
              * m0 routed, 1 copies
              * m0 proposed s/0
              log 1: enqueue s/0 m0
              * m1 routed, 1 copies
              * m1 proposed s/1
              log 2: enqueue s/1 m1
              sync 2
            > synced
              * enqueued s/0
              * enqueued s/1
              2 deliver m0 as 1 to 0
              * delivered s/0
              2 deliver m1 as 2 to 0
              * delivered s/1
            > 1 publish s 2
              * m2 routed, 1 copies
              * m2 proposed s/2
              log 3: enqueue s/2 m2
              sync 3
            > power-loss
              * recovered s/0 m0
              * recovered s/1 m1
            > 2 consume s from=1
              2 deliver m1 as 1 to 0
              * delivered s/1
            > 1 publish s 3
              * m3 routed, 1 copies
              * m3 proposed s/1:2
              log 3: enqueue s/1:2 m3
              sync 3
            > synced
              * enqueued s/1:2
              2 deliver m3 as 2 to 0
              * delivered s/1:2
            s: 3 ready, 0 in flight
        "#]],
    );
}

/// Row 34.
#[test]
fn retention_by_length_drops_whole_segments() {
    check(
        observed(streams(
            &["s"],
            Retention {
                max_length: Some(5),
                segment: 2,
                ..ALL
            },
        )),
        "1 publish s 0; 1 publish s 1; 1 publish s 2; 1 publish s 3; 1 publish s 4
         1 publish s 5
         1 publish s 6
         2 consume s from=first",
        expect![[r#"
            > 1 publish s 0; 1 publish s 1; 1 publish s 2; 1 publish s 3; 1 publish s 4
              * m0 routed, 1 copies
              * m0 proposed s/0
              * enqueued s/0
              * m1 routed, 1 copies
              * m1 proposed s/1
              * enqueued s/1
              * m2 routed, 1 copies
              * m2 proposed s/2
              * enqueued s/2
              * m3 routed, 1 copies
              * m3 proposed s/3
              * enqueued s/3
              * m4 routed, 1 copies
              * m4 proposed s/4
              * enqueued s/4
            > 1 publish s 5
              * m5 routed, 1 copies
              * m5 proposed s/5
              * enqueued s/5
              * removed s/0: Retired
              * removed s/1: Retired
            > 1 publish s 6
              * m6 routed, 1 copies
              * m6 proposed s/6
              * enqueued s/6
            > 2 consume s from=first
              2 deliver m2 as 1 to 0
              * delivered s/2
              2 deliver m3 as 2 to 0
              * delivered s/3
              2 deliver m4 as 3 to 0
              * delivered s/4
              2 deliver m5 as 4 to 0
              * delivered s/5
              2 deliver m6 as 5 to 0
              * delivered s/6
            s: 5 ready, 0 in flight
        "#]],
    );
}

/// Row 34.
#[test]
fn retention_by_size_keeps_the_open_segment() {
    check(
        streams(
            &["s"],
            Retention {
                max_bytes: Some(10),
                segment: 2,
                ..ALL
            },
        ),
        "1 publish s 0 6; 1 publish s 1 6
         1 publish s 2 20
         2 consume s from=first",
        expect![[r#"
            > 1 publish s 0 6; 1 publish s 1 6
            > 1 publish s 2 20
            > 2 consume s from=first
              2 deliver m2 as 1 to 0
            s: 1 ready, 0 in flight
        "#]],
    );
}

/// Row 34.
#[test]
fn retention_by_age_drops_segments_once_their_newest_record_is_too_old() {
    check(
        observed(durable(streams(
            &["s"],
            Retention {
                max_age: Some(Span::from_millis(100)),
                segment: 2,
                ..ALL
            },
        ))),
        "1 publish s 0; synced
         at 50; 1 publish s 1; 1 publish s 2; synced
         at 149
         at 150
         synced
         crash
         1 publish s 3; synced",
        expect![[r#"
            > 1 publish s 0; synced
              * m0 routed, 1 copies
              * m0 proposed s/0
              log 1: enqueue s/0 m0
              * enqueued s/0
              sync 1
            > at 50; 1 publish s 1; 1 publish s 2; synced
              * m1 routed, 1 copies
              * m1 proposed s/1
              log 2: enqueue s/1 m1, due 50 ms
              * m2 routed, 1 copies
              * m2 proposed s/2
              log 3: enqueue s/2 m2, due 50 ms
              * enqueued s/1
              * enqueued s/2
              sync 3
            > at 149
            > at 150
              log 4: truncate before s/3
              sync 4
            > synced
              * removed s/0: Retired
              * removed s/1: Retired
              * removed s/2: Retired
            > crash
            > 1 publish s 3; synced
              * m3 routed, 1 copies
              * m3 proposed s/1:3
              log 5: enqueue s/1:3 m3, due 150 ms
              * enqueued s/1:3
              sync 5
            s: 1 ready, 0 in flight
        "#]],
    );
}

/// Row 34.
#[test]
fn compaction_keeps_the_last_record_of_each_key_besides_the_open_segment() {
    let mut config = streams(
        &["s"],
        Retention {
            segment: 3,
            compact: true,
            ..ALL
        },
    );
    support::exchange(&mut config, ExchangeKind::Fanout, &[(0, "", 1)]);
    check(
        observed(durable(config)),
        "1 publish a@0 0; 1 publish b@0 1; 1 publish a@0 2; synced
         synced
         1 publish b@0 3; 1 publish c@0 4; synced
         1 publish c@0 5; synced
         synced
         2 consume s from=first
         crash
         2 consume s from=first",
        expect![[r#"
            > 1 publish a@0 0; 1 publish b@0 1; 1 publish a@0 2; synced
              * m0 routed, 1 copies
              * m0 proposed s/0
              log 1: enqueue s/0 m0
              * m1 routed, 1 copies
              * m1 proposed s/1
              log 2: enqueue s/1 m1
              * m2 routed, 1 copies
              * m2 proposed s/2
              log 3: enqueue s/2 m2
              * enqueued s/0
              * enqueued s/1
              * enqueued s/2
              log 4: remove s/0
              sync 4
            > synced
              * removed s/0: Retired
            > 1 publish b@0 3; 1 publish c@0 4; synced
              * m3 routed, 1 copies
              * m3 proposed s/3
              log 5: enqueue s/3 m3
              * m4 routed, 1 copies
              * m4 proposed s/4
              log 6: enqueue s/4 m4
              * enqueued s/3
              * enqueued s/4
              sync 6
            > 1 publish c@0 5; synced
              * m5 routed, 1 copies
              * m5 proposed s/5
              log 7: enqueue s/5 m5
              * enqueued s/5
              log 8: remove s/1 + remove s/4
              sync 8
            > synced
              * removed s/1: Retired
              * removed s/4: Retired
            > 2 consume s from=first
              2 deliver m2 as 1 to 0
              * delivered s/2
              2 deliver m3 as 2 to 0
              * delivered s/3
              2 deliver m5 as 3 to 0
              * delivered s/5
            > crash
              * recovered s/2 m2
              * recovered s/3 m3
              * recovered s/5 m5
            > 2 consume s from=first
              2 deliver m2 as 1 to 0
              * delivered s/2
              2 deliver m3 as 2 to 0
              * delivered s/3
              2 deliver m5 as 3 to 0
              * delivered s/5
            s: 3 ready, 0 in flight
        "#]],
    );
}

/// Row 34.
#[test]
fn interest_retention_drops_what_all_groups_have_read() {
    let retention = Retention {
        segment: 2,
        interest: true,
        ..ALL
    };
    let kind = partitioned(Assignment::Range, 0);
    check(
        grouped(grouped(streams(&["s"], retention), kind), kind),
        "1 publish s 0; 1 publish s 1; 1 publish s 2
         2 join 0
         2 ack ..3
         3 join 1
         3 ack 1
         3 ack 2
         3 ack 3",
        expect![[r#"
            > 1 publish s 0; 1 publish s 1; 1 publish s 2
            > 2 join 0
              2 assigned [0] to 0, generation 1
              2 deliver m0 as 1 to 0
              2 deliver m1 as 2 to 0
              2 deliver m2 as 3 to 0
            > 2 ack ..3
            > 3 join 1
              3 assigned [0] to 0, generation 1
              3 deliver m0 as 1 to 0
              3 deliver m1 as 2 to 0
              3 deliver m2 as 3 to 0
            > 3 ack 1
            > 3 ack 2
            > 3 ack 3
            s: 1 ready, 0 in flight
            group 0: lag 0, 0 in flight
            group 1: lag 0, 0 in flight
        "#]],
    );
}

/// Row 35.
#[test]
fn members_share_the_streams_and_wait_for_the_rebalance() {
    check(
        observed(grouped(
            streams(&["s", "t", "u"], ALL),
            partitioned(Assignment::Range, 10),
        )),
        "1 publish s 0; 1 publish t 1; 1 publish u 2
         2 join 0
         at 5; 3 join 0
         at 10
         2 ack 1
         3 cancel 0
         1 publish s 3; 2 ack 2
         at 20",
        expect![[r#"
            > 1 publish s 0; 1 publish t 1; 1 publish u 2
              * m0 routed, 1 copies
              * m0 proposed s/0
              * enqueued s/0
              * m1 routed, 1 copies
              * m1 proposed t/0
              * enqueued t/0
              * m2 routed, 1 copies
              * m2 proposed u/0
              * enqueued u/0
            > 2 join 0
            > at 5; 3 join 0
            > at 10
              * group 0 rebalanced, generation 1, 2 members
              2 assigned [0, 1] to 0, generation 1
              3 assigned [2] to 0, generation 1
              2 deliver m0 as 1 to 0
              * delivered s/0 to group 0
              2 deliver m1 as 2 to 0
              * delivered t/0 to group 0
              3 deliver m2 as 1 to 0
              * delivered u/0 to group 0
            > 2 ack 1
              * acked s/0 for group 0
            > 3 cancel 0
              3 cancelled 0
            > 1 publish s 3; 2 ack 2
              * m3 routed, 1 copies
              * m3 proposed s/1
              * enqueued s/1
              * acked t/0 for group 0
            > at 20
              * group 0 rebalanced, generation 2, 1 members
              2 assigned [0, 1, 2] to 0, generation 2
              2 deliver m2 as 3 to 0, redelivered
              * delivered u/0 to group 0
              2 deliver m3 as 4 to 0
              * delivered s/1 to group 0
            s: 2 ready, 0 in flight
            t: 1 ready, 0 in flight
            u: 1 ready, 0 in flight
            group 0: lag 2, 2 in flight
        "#]],
    );
}

/// Row 35.
#[test]
fn a_stream_that_moves_is_read_from_the_committed_offset_and_stale_acks_are_ignored() {
    check(
        observed(grouped(
            streams(&["s", "t"], ALL),
            partitioned(Assignment::Range, 0),
        )),
        "1 publish t 0; 1 publish t 1; 1 publish t 2
         2 join 0
         2 ack 1; 2 ack 3
         3 join 0
         2 ack 2
         3 ack 1
         close 3
         2 ack 4",
        expect![[r#"
            > 1 publish t 0; 1 publish t 1; 1 publish t 2
              * m0 routed, 1 copies
              * m0 proposed t/0
              * enqueued t/0
              * m1 routed, 1 copies
              * m1 proposed t/1
              * enqueued t/1
              * m2 routed, 1 copies
              * m2 proposed t/2
              * enqueued t/2
            > 2 join 0
              * group 0 rebalanced, generation 1, 1 members
              2 assigned [0, 1] to 0, generation 1
              2 deliver m0 as 1 to 0
              * delivered t/0 to group 0
              2 deliver m1 as 2 to 0
              * delivered t/1 to group 0
              2 deliver m2 as 3 to 0
              * delivered t/2 to group 0
            > 2 ack 1; 2 ack 3
              * acked t/0 for group 0
            > 3 join 0
              * group 0 rebalanced, generation 2, 2 members
              2 assigned [0] to 0, generation 2
              3 assigned [1] to 0, generation 2
              3 deliver m1 as 1 to 0, redelivered
              * delivered t/1 to group 0
              3 deliver m2 as 2 to 0, redelivered
              * delivered t/2 to group 0
            > 2 ack 2
            > 3 ack 1
              * acked t/1 for group 0
            > close 3
              * group 0 rebalanced, generation 3, 1 members
              2 assigned [0, 1] to 0, generation 3
              2 deliver m2 as 4 to 0, redelivered
              * delivered t/2 to group 0
            > 2 ack 4
              * acked t/2 for group 0
            s: 0 ready, 0 in flight
            t: 3 ready, 0 in flight
            group 0: lag 0, 0 in flight
        "#]],
    );
}

/// Rows 28 and 35: a transaction that was to settle records which are somebody else's by now does nothing.
#[test]
fn a_transaction_fails_when_its_stream_has_moved_before_the_commit() {
    let mut config = grouped(streams(&["s", "t"], ALL), partitioned(Assignment::Range, 0));
    config.queues.push(support::queue("out"));
    check(
        observed(config),
        "1 publish t 0; 1 publish t 1
         2 tx; 2 join 0
         2 publish out 2; 2 ack 1; 2 commit
         2 publish out 3; 2 ack 2; 3 join 0; 2 commit
         2 publish out 4; 2 commit",
        expect![[r#"
            > 1 publish t 0; 1 publish t 1
              * m0 routed, 1 copies
              * m0 proposed t/0
              * enqueued t/0
              * m1 routed, 1 copies
              * m1 proposed t/1
              * enqueued t/1
            > 2 tx; 2 join 0
              2 done
              * group 0 rebalanced, generation 1, 1 members
              2 assigned [0, 1] to 0, generation 1
              2 deliver m0 as 1 to 0
              * delivered t/0 to group 0
              2 deliver m1 as 2 to 0
              * delivered t/1 to group 0
            > 2 publish out 2; 2 ack 1; 2 commit
              * m2 routed, 1 copies
              * m2 proposed out/0
              * enqueued out/0
              * acked t/0 for group 0
              2 done
            > 2 publish out 3; 2 ack 2; 3 join 0; 2 commit
              * group 0 rebalanced, generation 2, 2 members
              2 assigned [0] to 0, generation 2
              3 assigned [1] to 0, generation 2
              3 deliver m1 as 1 to 0, redelivered
              * delivered t/1 to group 0
              2 transaction failed
            > 2 publish out 4; 2 commit
              * m4 routed, 1 copies
              * m4 proposed out/1
              * enqueued out/1
              2 done
            s: 0 ready, 0 in flight
            t: 2 ready, 0 in flight
            out: 2 ready, 0 in flight
            group 0: lag 1, 1 in flight
        "#]],
    );
}

/// Row 35.
#[test]
fn the_committed_offset_is_the_contiguous_part_of_what_is_acked() {
    check(
        observed(durable(grouped(
            streams(&["s"], ALL),
            partitioned(Assignment::Range, 0),
        ))),
        "1 publish s 0; 1 publish s 1; 1 publish s 2; synced
         2 join 0; synced
         2 ack 2; 2 ack 1
         written
         crash
         2 join 0",
        expect![[r#"
            > 1 publish s 0; 1 publish s 1; 1 publish s 2; synced
              * m0 routed, 1 copies
              * m0 proposed s/0
              log 1: enqueue s/0 m0
              * m1 routed, 1 copies
              * m1 proposed s/1
              log 2: enqueue s/1 m1
              * m2 routed, 1 copies
              * m2 proposed s/2
              log 3: enqueue s/2 m2
              * enqueued s/0
              * enqueued s/1
              * enqueued s/2
              sync 3
            > 2 join 0; synced
              log 4: advance group 0 to s/0
              * group 0 rebalanced, generation 1, 1 members
              2 assigned [0] to 0, generation 1
              2 deliver m0 as 1 to 0
              * delivered s/0 to group 0
              2 deliver m1 as 2 to 0
              * delivered s/1 to group 0
              2 deliver m2 as 3 to 0
              * delivered s/2 to group 0
              sync 4
            > 2 ack 2; 2 ack 1
              log 5: advance group 0 to s/2
              sync 5
            > written
            > crash
              * recovered s/0 m0
              * recovered s/1 m1
              * recovered s/2 m2
            > 2 join 0
              * group 0 rebalanced, generation 1, 1 members
              2 assigned [0] to 0, generation 1
              2 deliver m2 as 1 to 0, redelivered
              * delivered s/2 to group 0
            s: 3 ready, 0 in flight
            group 0: lag 1, 1 in flight
        "#]],
    );
}

/// Row 35.
#[test]
fn a_nack_in_a_partitioned_group_reads_the_record_again_or_gives_it_up() {
    check(
        observed(grouped(
            streams(&["s"], ALL),
            partitioned(Assignment::Range, 0),
        )),
        "1 publish s 0; 1 publish s 1; 1 publish s 2
         2 join 0 0 2
         2 requeue 1
         2 reject 2
         2 ack 3",
        expect![[r#"
            > 1 publish s 0; 1 publish s 1; 1 publish s 2
              * m0 routed, 1 copies
              * m0 proposed s/0
              * enqueued s/0
              * m1 routed, 1 copies
              * m1 proposed s/1
              * enqueued s/1
              * m2 routed, 1 copies
              * m2 proposed s/2
              * enqueued s/2
            > 2 join 0 0 2
              * group 0 rebalanced, generation 1, 1 members
              2 assigned [0] to 0, generation 1
              2 deliver m0 as 1 to 0
              * delivered s/0 to group 0
              2 deliver m1 as 2 to 0
              * delivered s/1 to group 0
            > 2 requeue 1
              2 deliver m0 as 3 to 0, redelivered
              * delivered s/0 to group 0
            > 2 reject 2
              2 deliver m2 as 4 to 0
              * delivered s/2 to group 0
            > 2 ack 3
              * acked s/0 for group 0
              * archived s/1 for group 0
            s: 3 ready, 0 in flight
            group 0: lag 1, 1 in flight
        "#]],
    );
}

/// Row 35.
#[test]
fn a_member_reads_its_streams_in_turn() {
    check(
        grouped(
            streams(&["s", "t"], ALL),
            partitioned(Assignment::RoundRobin, 0),
        ),
        "1 publish s 0; 1 publish s 1; 1 publish t 2; 1 publish t 3
         2 join 0 0 1
         2 ack 1
         2 ack 2
         2 ack 3",
        expect![[r#"
            > 1 publish s 0; 1 publish s 1; 1 publish t 2; 1 publish t 3
            > 2 join 0 0 1
              2 assigned [0, 1] to 0, generation 1
              2 deliver m0 as 1 to 0
            > 2 ack 1
              2 deliver m2 as 2 to 0
            > 2 ack 2
              2 deliver m1 as 3 to 0
            > 2 ack 3
              2 deliver m3 as 4 to 0
            s: 2 ready, 0 in flight
            t: 2 ready, 0 in flight
            group 0: lag 1, 1 in flight
        "#]],
    );
}

/// Row 35.
#[test]
fn sticky_leaves_what_need_not_move_in_peace() {
    check(
        grouped(
            streams(&["s", "t", "u"], ALL),
            partitioned(Assignment::Sticky, 0),
        ),
        "2 join 0
         1 publish s 0; 1 publish t 1; 1 publish u 2
         3 join 0
         2 ack ..3
         4 join 0
         close 2",
        expect![[r#"
            > 2 join 0
              2 assigned [0, 1, 2] to 0, generation 1
            > 1 publish s 0; 1 publish t 1; 1 publish u 2
              2 deliver m0 as 1 to 0
              2 deliver m1 as 2 to 0
              2 deliver m2 as 3 to 0
            > 3 join 0
              2 assigned [0, 1] to 0, generation 2
              3 assigned [2] to 0, generation 2
              3 deliver m2 as 1 to 0, redelivered
            > 2 ack ..3
            > 4 join 0
              2 assigned [0] to 0, generation 3
              3 assigned [2] to 0, generation 3
              4 assigned [1] to 0, generation 3
            > close 2
              3 assigned [0, 2] to 0, generation 4
              4 assigned [1] to 0, generation 4
            s: 1 ready, 0 in flight
            t: 1 ready, 0 in flight
            u: 1 ready, 0 in flight
            group 0: lag 1, 1 in flight
        "#]],
    );
}

/// Row 36.
#[test]
fn a_share_group_gives_each_record_to_one_member() {
    check(
        observed(grouped(streams(&["s"], ALL), shared(2, 100))),
        "2 join 0 0 1; 3 join 0 0 1
         1 publish s 0; 1 publish s 1; 1 publish s 2
         3 ack 1
         2 requeue 1
         2 requeue 2
         3 ack 2",
        expect![[r#"
            > 2 join 0 0 1; 3 join 0 0 1
              2 assigned [0] to 0, generation 1
              3 assigned [0] to 0, generation 2
            > 1 publish s 0; 1 publish s 1; 1 publish s 2
              * m0 routed, 1 copies
              * m0 proposed s/0
              * enqueued s/0
              2 deliver m0 as 1 to 0
              * delivered s/0 to group 0
              * m1 routed, 1 copies
              * m1 proposed s/1
              * enqueued s/1
              3 deliver m1 as 1 to 0
              * delivered s/1 to group 0
              * m2 routed, 1 copies
              * m2 proposed s/2
              * enqueued s/2
            > 3 ack 1
              3 deliver m2 as 2 to 0
              * delivered s/2 to group 0
            > 2 requeue 1
              2 deliver m0 as 2 to 0, redelivered
              * delivered s/0 to group 0
            > 2 requeue 2
              * archived s/0 for group 0
              * acked s/1 for group 0
            > 3 ack 2
              * acked s/2 for group 0
            s: 3 ready, 0 in flight
            group 0: lag 0, 0 in flight
        "#]],
    );
}

/// Row 36.
#[test]
fn a_lock_that_ends_makes_a_record_available_until_its_last_delivery() {
    check(
        observed(grouped(streams(&["s"], ALL), shared(2, 100))),
        "2 join 0 0 1; 3 join 0 0 1
         1 publish s 0
         at 100
         2 ack 1
         at 150; 3 renew 1
         at 249
         at 250
         3 ack 1",
        expect![[r#"
            > 2 join 0 0 1; 3 join 0 0 1
              2 assigned [0] to 0, generation 1
              3 assigned [0] to 0, generation 2
            > 1 publish s 0
              * m0 routed, 1 copies
              * m0 proposed s/0
              * enqueued s/0
              2 deliver m0 as 1 to 0
              * delivered s/0 to group 0
            > at 100
              * lease of s/0 expired
              3 deliver m0 as 1 to 0, redelivered
              * delivered s/0 to group 0
            > 2 ack 1
            > at 150; 3 renew 1
            > at 249
            > at 250
              * lease of s/0 expired
              * archived s/0 for group 0
            > 3 ack 1
            s: 1 ready, 0 in flight
            group 0: lag 0, 0 in flight
        "#]],
    );
}

/// Row 36.
#[test]
fn a_share_group_holds_no_more_than_its_window() {
    check(
        grouped(streams(&["s"], ALL), shared(0, 2)),
        "2 join 0
         1 publish s 0; 1 publish s 1; 1 publish s 2; 1 publish s 3
         2 ack 2
         2 ack 1",
        expect![[r#"
            > 2 join 0
              2 assigned [0] to 0, generation 1
            > 1 publish s 0; 1 publish s 1; 1 publish s 2; 1 publish s 3
              2 deliver m0 as 1 to 0
              2 deliver m1 as 2 to 0
            > 2 ack 2
            > 2 ack 1
              2 deliver m2 as 3 to 0
              2 deliver m3 as 4 to 0
            s: 4 ready, 0 in flight
            group 0: lag 2, 2 in flight
        "#]],
    );
}

/// Row 36.
#[test]
fn what_a_member_of_a_share_group_held_is_available_when_it_goes() {
    check(
        observed(durable(grouped(streams(&["s"], ALL), shared(5, 100)))),
        "1 publish s 0; 1 publish s 1; synced
         2 join 0 0 2; 3 join 0 0 2; synced
         2 ack 1; synced
         close 2
         3 ack ..0; synced
         1 publish s 2; synced
         crash
         2 join 0",
        expect![[r#"
            > 1 publish s 0; 1 publish s 1; synced
              * m0 routed, 1 copies
              * m0 proposed s/0
              log 1: enqueue s/0 m0
              * m1 routed, 1 copies
              * m1 proposed s/1
              log 2: enqueue s/1 m1
              * enqueued s/0
              * enqueued s/1
              sync 2
            > 2 join 0 0 2; 3 join 0 0 2; synced
              log 3: advance group 0 to s/0
              2 assigned [0] to 0, generation 1
              2 deliver m0 as 1 to 0
              * delivered s/0 to group 0
              2 deliver m1 as 2 to 0
              * delivered s/1 to group 0
              3 assigned [0] to 0, generation 2
              sync 3
            > 2 ack 1; synced
              log 4: advance group 0 to s/1
              * acked s/0 for group 0
              sync 4
            > close 2
              3 deliver m1 as 1 to 0, redelivered
              * delivered s/1 to group 0
            > 3 ack ..0; synced
              log 5: advance group 0 to s/2
              * acked s/1 for group 0
              sync 5
            > 1 publish s 2; synced
              * m2 routed, 1 copies
              * m2 proposed s/2
              log 6: enqueue s/2 m2
              * enqueued s/2
              3 deliver m2 as 2 to 0
              * delivered s/2 to group 0
              sync 6
            > crash
              * recovered s/0 m0
              * recovered s/1 m1
              * recovered s/2 m2
            > 2 join 0
              2 assigned [0] to 0, generation 1
              2 deliver m2 as 1 to 0, redelivered
              * delivered s/2 to group 0
            s: 3 ready, 0 in flight
            group 0: lag 1, 1 in flight
        "#]],
    );
}

/// Rows 33 to 36.
#[test]
fn who_asks_for_what_is_not_there_loses_the_channel() {
    check(
        grouped(streams(&["s"], ALL), shared(5, 100)),
        "2 join 1
         2 join 0; 2 join 0
         2 join 0; 2 consume s 0",
        expect![[r#"
            > 2 join 1
              2 closed 404: no such group
            > 2 join 0; 2 join 0
              2 assigned [0] to 0, generation 1
              2 closed 530: the consumer exists already
            > 2 join 0; 2 consume s 0
              2 assigned [0] to 0, generation 3
              2 closed 530: the consumer exists already
            s: 0 ready, 0 in flight
            group 0: lag 0, 0 in flight
        "#]],
    );
}
