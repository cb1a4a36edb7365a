//! Streams and their readers.

use super::{compared, run};

/// Messages keep their keys, whether or not there are partitions to choose by them.
#[test]
fn compaction_keeps_the_newest_of_each_key() {
    for partitions in [1, 2] {
        let record = run(&format!(
            r#"
duration = "30s"
[[queue]]
name = "s"
kind = "stream"
partitions = {partitions}
retention = {{ compact = true, segment = 10 }}
[[producer]]
name = "p"
to = "s"
arrivals = "constant"
rate = "100/s"
limit = 1000
message_key = {{ dist = "round-robin", keys = 7 }}
[[consumer]]
name = "late"
from = "s"
offset = "first"
start = "15s"
"#
        ));
        let served = record.consumers[0].served;
        // And what is in segments that are not full.
        assert!((7..7 + 10 * partitions).contains(&served), "{served}");
    }
}

#[test]
fn each_reader_without_a_group_reads_all_from_where_it_says() {
    let record = run(r#"
duration = "10s"
[[queue]]
name = "s"
kind = "stream"
[[producer]]
name = "p"
to = "s"
arrivals = "constant"
rate = "100/s"
limit = 600
[[consumer]]
name = "from-first"
from = "s"
offset = "first"
start = "3s"
service = "1ms"
[[consumer]]
name = "two"
from = "s"
count = 2
offset = "next"
service = "1ms"
[[consumer]]
name = "late"
from = "s"
offset = "next"
start = "3s"
service = "1ms"
"#);
    let served = [0, 1, 2].map(|consumer| record.consumers[consumer].served);
    assert_eq!(served[..2], [600, 1200]);
    assert!((290..310).contains(&served[2]), "{served:?}");
    let stream = &record.queues[0];
    assert_eq!(stream.delivered, served.iter().sum::<u64>());
    assert_eq!(stream.ready_end, 600, "a stream keeps what is read");
    assert_eq!(record.end_to_end(None).count(), served.iter().sum::<u64>());
    assert!(compared(&record, "order-per-key"));
}

#[test]
fn a_shared_group_gives_up_what_it_cannot_do() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "s"
kind = "stream"
[[group]]
name = "g"
streams = "s"
start = "first"
kind = "shared"
lock = "1s"
delivery_limit = 3
[[producer]]
name = "p"
to = "s"
rate = "100/s"
limit = 1000
[[consumer]]
name = "c"
from = "s"
group = "g"
count = 8
prefetch = 5
service = "20ms"
poison = 0.05
"#);
    let group = &record.groups[0];
    assert_eq!(group.settled + group.archived, 1000);
    assert!((20..90).contains(&group.archived), "{}", group.archived);
    assert_eq!(
        group.delivered,
        group.settled + 3 * group.archived,
        "three times each, in vain"
    );
    assert_eq!(group.lag_end, 0);
    assert!(
        record.consumers[0]
            .served_by_member
            .iter()
            .all(|served| *served > 50)
    );
}

#[test]
fn members_that_come_and_go_share_the_partitions_anew() {
    let record = run(r#"
duration = "30s"
[[queue]]
name = "s"
kind = "stream"
partitions = 6
[[group]]
name = "g"
streams = "s"
start = "first"
[[producer]]
name = "p"
to = "s"
rate = "200/s"
limit = 2000
message_key = { dist = "uniform", keys = 50 }
[[consumer]]
name = "c"
from = "s"
group = "g"
count = 3
service = "2ms"
churn = { every = "2s", away = "500ms" }
"#);
    let group = &record.groups[0];
    assert!(group.rebalances > 4, "{}", group.rebalances);
    assert_eq!(group.lag_end, 0);
    assert_eq!(
        group.end_to_end[0].count(),
        2000,
        "each once, whatever is read again"
    );
    assert!(compared(&record, "single-reader"));
}

#[test]
fn retention_takes_what_nobody_has_read() {
    let record = run(r#"
duration = "10s"
[[queue]]
name = "s"
kind = "stream"
retention = { max_length = 100, segment = 100 }
[[producer]]
name = "p"
to = "s"
rate = "200/s"
limit = 1500
[[consumer]]
name = "slow"
from = "s"
offset = "first"
prefetch = 1
service = "20ms"
"#);
    let stream = &record.queues[0];
    assert!(stream.retired > 1000, "{}", stream.retired);
    assert!(stream.ready_end < 300, "{}", stream.ready_end);
    assert!(record.consumers[0].served < 600, "it fell off the end");
}

/// Kafka's read-process-write: a member publishes on and acknowledges in one transaction, whether its group deals out partitions or records.
#[test]
fn members_of_groups_may_have_transactions() {
    for kind in ["partitioned", "shared"] {
        let record = run(&format!(
            r#"
duration = "30s"
[[queue]]
name = "in"
kind = "stream"
partitions = 4
[[queue]]
name = "out"
[[group]]
name = "g"
streams = "in"
start = "first"
kind = "{kind}"
[[producer]]
name = "p"
to = "in"
rate = "20/s"
limit = 300
message_key = {{ dist = "uniform", keys = 50 }}
[[consumer]]
name = "c"
from = "in"
group = "g"
count = 2
service = "10ms"
then = {{ to = "out", transaction = true }}
[[consumer]]
name = "o"
from = "out"
service = "1ms"
"#
        ));
        assert_eq!(
            record.queues.last().map(|queue| queue.acked),
            Some(300),
            "{kind}"
        );
    }
}
