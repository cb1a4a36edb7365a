//! What outlives a crash: delays, terms, leases, streams and their groups.

use super::{compared, parse, run, run_with_losses};

#[test]
fn a_delay_outlives_a_crash() {
    for kind in ["crash", "power-loss"] {
        let record = run(&format!(
            r#"
duration = "10s"
[[queue]]
name = "q"
kind = "durable"
durability = "fsync"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "100/s"
limit = 100
delay = "4s"
confirm = {{ window = 10 }}
[[consumer]]
name = "c"
from = "q"
service = "1ms"
[[fault]]
kind = "{kind}"
at = "2s"
for = "500ms"
"#
        ));
        let queue = &record.queues[0];
        assert_eq!((queue.acked, queue.delayed_end), (100, 0));
        assert!(compared(&record, "timely"));
        let first = record.end_to_end(None).min().unwrap().as_secs_f64();
        assert!((4.0..4.2).contains(&first), "not before: {first}");
        let last = record.end_to_end(None).max().unwrap().as_secs_f64();
        assert!(last < 4.2, "nor after: {last}");
        let delayed = &queue.series.delayed;
        // One window of the 600 is 1/60 s: at 3 s, after the crash, all wait.
        assert_eq!(delayed[delayed.len() * 3 / 10], 100);
        // At 2.25 s, while the broker is down, too.
        assert_eq!(delayed[delayed.len() * 9 / 40], 100);
    }
}

#[test]
fn a_term_outlives_a_crash() {
    let record = run(r#"
duration = "10s"
[[queue]]
name = "q"
kind = "durable"
durability = "fsync"
ttl = "3s"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "100/s"
limit = 100
confirm = { window = 10 }
[[consumer]]
name = "c"
from = "q"
start = "3500ms"
prefetch = 1
service = "1ms"
[[fault]]
kind = "crash"
at = "2s"
for = "500ms"
"#);
    let queue = &record.queues[0];
    assert_eq!(queue.acked + queue.expired, 100);
    // Those of the first half second had expired when the consumer came; the others had not.
    assert!((45..60).contains(&queue.expired), "{}", queue.expired);
    assert!(compared(&record, "timely"));
}

#[test]
fn leases_and_retries_go_on_after_a_crash() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "q"
kind = "durable"
durability = "fsync"
ack_timeout = "300ms"
delivery_limit = 5
retry_delay = { base = "400ms", max = "400ms" }
dead_letter = "dead"
[[queue]]
name = "dead"
[[producer]]
name = "p"
to = "q"
rate = "50/s"
limit = 200
confirm = { window = 10 }
[[consumer]]
name = "c"
from = "q"
count = 4
service = "10ms"
prefetch = 2
nack = { probability = 0.2, requeue = true }
[[fault]]
kind = "crash"
at = "2s"
for = "200ms"
[[fault]]
kind = "pause-consumer"
at = "3s"
for = "1s"
target = "c"
count = 2
"#);
    let [queue, dead] = &record.queues[..] else {
        panic!("two queues");
    };
    assert_eq!(queue.acked + dead.enqueued, 200);
    assert!(queue.lease_expired > 0);
    assert_eq!(queue.delayed_end, 0);
    assert!(compared(&record, "delivery-limit"));
}

fn group_through(fault: &str, kind: &str, durability: &str) -> queuelab_record::RunRecord {
    run_with_losses(parse(&format!(
        r#"
duration = "30s"
[[queue]]
name = "s"
kind = "stream"
durability = "{durability}"
partitions = 3
[[group]]
name = "g"
streams = "s"
start = "first"
{kind}
[[producer]]
name = "p"
to = "s"
rate = "200/s"
limit = 2000
message_key = {{ dist = "uniform", keys = 50 }}
confirm = {{ window = 50 }}
[[consumer]]
name = "c"
from = "s"
group = "g"
count = 3
prefetch = 10
service = "5ms"
[[fault]]
kind = "{fault}"
at = "4s"
for = "300ms"
{}
"#,
        if fault == "consumer-crash" {
            "target = \"c\"\ncount = 2"
        } else {
            ""
        }
    )))
}

#[test]
fn groups_go_on_after_a_crash() {
    for kind in ["", "kind = \"shared\"\nlock = \"2s\""] {
        for fault in ["crash", "power-loss", "consumer-crash"] {
            let record = group_through(fault, kind, "fsync");
            let no_loss = record
                .invariants
                .iter()
                .find(|one| one.name == "no-loss")
                .unwrap();
            assert_eq!(
                no_loss.violations, 0,
                "{fault} {kind}: {:?}",
                no_loss.examples
            );
            let (stream, group) = (&record.queues[..], &record.groups[0]);
            let kept: u64 = stream.iter().map(|one| one.ready_end).sum();
            assert_eq!(group.lag_end, 0, "{fault} {kind}");
            assert_eq!(
                group.end_to_end[0].count(),
                kept,
                "{fault} {kind}: each is served"
            );
            assert!(kept >= record.outcomes.confirmed);
            assert!(group.delivered > kept, "{fault} {kind}: some twice");
        }
    }
}

#[test]
fn a_stream_that_is_not_synced_loses_its_end_with_the_power() {
    let record = group_through("power-loss", "", "os");
    let lost: u64 = record.queues.iter().map(|one| one.lost).sum();
    assert!(lost > 0, "nothing syncs it");
    assert_eq!(record.groups[0].lag_end, 0);
}
