//! Bodies leave memory and are read back.

use queuelab_record::{BodiesRecord, RunRecord};

use super::{compared, run, run_with_losses};
use crate::parse;

/// Consumers stop for a while before a queue that has room in memory for a tenth of what comes.
fn backlog(cluster: &str, more: &str) -> String {
    format!(
        r#"
phases = [{{ name = "before", for = "2s" }}, {{ name = "stopped", for = "8s" }}, {{ name = "after", for = "20s" }}]
[cluster]
{cluster}
[[queue]]
name = "q"
durability = "os"
[[producer]]
name = "p"
to = "q"
rate = "300/s"
limit = 4_500
size = "1KiB"
confirm = {{ window = 50 }}
[[consumer]]
name = "c"
from = "q"
count = 2
prefetch = 5
service = "1ms"
reconnect = "10ms"
[[fault]]
kind = "pause-consumer"
during = "stopped"
target = "c"
{more}
"#
    )
}

const BUDGET: &str = "limits = { bodies = \"256KiB\" }";

fn bodies(record: &RunRecord) -> &BodiesRecord {
    record.nodes[0].bodies.as_ref().expect("there is a budget")
}

fn assert_drained(record: &RunRecord) {
    let queue = &record.queues[0];
    assert_eq!((queue.acked, queue.ready_end), (4_500, 0));
}

#[test]
fn a_backlog_beyond_the_budget_is_read_back_in_order() {
    let with = run(&backlog(BUDGET, ""));
    let without = run(&backlog("", ""));
    let of = bodies(&with);
    assert!(of.read > 2_000, "{} were read", of.read);
    assert!(
        of.resident_max <= of.budget + 64 * 1024,
        "{}",
        of.resident_max
    );
    assert_eq!(of.resident_series.len(), with.queues[0].series.ready.len());
    assert_eq!(without.nodes[0].bodies, None);
    for record in [&with, &without] {
        assert_drained(record);
    }
    assert!(compared(&with, "no-loss"));
    // It is the same backlog, and its drain takes longer.
    assert_eq!(with.queues[0].ready_max, without.queues[0].ready_max);
    assert!(with.queues[0].drain_time >= without.queues[0].drain_time);
}

#[test]
fn the_memory_alarm_counts_what_is_in_memory() {
    let alarm = run(&backlog("limits = { memory = \"512KiB\" }", ""));
    assert!(!alarm.alarms.is_empty());
    let both = "limits = { bodies = \"256KiB\", memory = \"512KiB\" }";
    assert!(run(&backlog(both, "")).alarms.is_empty());
}

#[test]
fn a_crash_forgets_reads_that_are_under_way() {
    let slow = "limits = { bodies = \"256KiB\" }\ndisk = { read = \"20ms\" }";
    for at in ["10020ms", "10500ms", "11s"] {
        let crash = format!(
            "[[fault]]\nname = \"crash\"\nkind = \"crash\"\nat = \"{at}\"\nfor = \"300ms\"\ntarget = \"n1\""
        );
        let record = run(&backlog(slow, &crash));
        assert!(bodies(&record).read > 1_000);
        assert_eq!(record.queues[0].ready_end, 0);
    }
}

#[test]
fn a_read_that_fails_stops_the_node_and_loses_nothing() {
    let fault =
        "[[fault]]\nname = \"eio\"\nkind = \"read-error\"\nat = \"11s\"\nfor = \"500ms\"\np = 0.01";
    let record = run(&backlog(BUDGET, fault));
    let eio = record.faults.iter().find(|fault| fault.name == "eio");
    let effect = &eio.expect("it struck").effect;
    assert!(
        effect.starts_with("n1 stopped: failed to read from the log"),
        "{effect}"
    );
    assert_eq!(record.queues[0].ready_end, 0);
}

/// What is damaged is recognised when it is read back: never is it delivered. Recovery then refuses the log.
#[test]
fn damage_at_rest_is_never_delivered() {
    for kind in [
        "kind = \"bit-rot\"\nbits = 40",
        "kind = \"misdirected-write\"",
    ] {
        let fault = format!("[[fault]]\nname = \"harm\"\n{kind}\nat = \"6s\"");
        let scenario = parse(
            &backlog(BUDGET, &fault).replace("durability = \"os\"", "durability = \"fsync\""),
        );
        let record = run_with_losses(scenario);
        let stopped = record.nodes[0].stopped.as_deref().unwrap_or("running");
        assert!(stopped.contains("entry"), "{kind}: {stopped}");
    }
}

#[test]
fn a_disk_that_stands_still_reads_on_afterwards() {
    let faults = "[[fault]]\nname = \"stall\"\nkind = \"stall-disk\"\nat = \"10500ms\"\nfor = \"1s\"\n[[fault]]\nname = \"throttle\"\nkind = \"throttle-disk\"\nat = \"12s\"\nfor = \"1s\"\nbandwidth = \"200kB/s\"";
    let free = run(&backlog(BUDGET, ""));
    let stalled = run(&backlog(BUDGET, faults));
    assert_drained(&stalled);
    assert!(stalled.queues[0].drain_time > free.queues[0].drain_time);
}

#[test]
fn dead_letters_and_priorities_go_with_their_bodies() {
    let record = run(r#"
phases = [{ name = "filled", for = "5s" }, { name = "drained", for = "15s" }]
[cluster]
limits = { bodies = "64KiB" }
[[queue]]
name = "q"
max_priority = 9
max_length = 1_000
overflow = "dead-letter"
dead_letter = "dead"
ttl = "8s"
[[queue]]
name = "dead"
[[producer]]
name = "p"
to = "q"
rate = "400/s"
limit = 2_000
size = "1KiB"
priority = [ { priority = 9, weight = 1 }, { priority = 0, weight = 4 } ]
[[consumer]]
name = "c"
from = "q"
prefetch = 3
service = "5ms"
nack = { probability = 0.1, requeue = false }
[[consumer]]
name = "undertaker"
from = "dead"
service = "1ms"
[[fault]]
kind = "pause-consumer"
during = "filled"
target = "c"
[[fault]]
name = "rest"
kind = "pause-consumer"
during = "filled"
target = "undertaker"
"#);
    assert!(bodies(&record).read > 500);
    let [queue, dead] = &record.queues[..] else {
        panic!("two queues");
    };
    assert!(queue.dead_lettered > 900, "{}", queue.dead_lettered);
    assert_eq!(queue.acked + dead.acked, 2_000);
    for invariant in [
        "priority-order",
        "timely",
        "dead-letter-once",
        "depth-bound",
    ] {
        assert!(compared(&record, invariant), "{invariant}");
    }
}
