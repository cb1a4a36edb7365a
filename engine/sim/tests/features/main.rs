//! Small scenarios of what goes beyond plain queues: each tells what it came to.

mod bodies;
mod brokerless;
mod clients;
mod crashes;
mod exactly_once;
mod memory;
mod routing;
mod streams;

use std::sync::Arc;

use queuelab_record::{RunRecord, Verdict};
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

fn parse(text: &str) -> Scenario {
    Scenario::parse("feature.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// A run that breaks none of its invariants.
fn run(text: &str) -> RunRecord {
    run_of(parse(text))
}

fn run_of(scenario: Scenario) -> RunRecord {
    let record = run_with_losses(scenario);
    for invariant in &record.invariants {
        let (name, examples) = (&invariant.name, &invariant.examples);
        assert_eq!(invariant.violations, 0, "{name}: {examples:?}");
    }
    record
}

/// A run that may lose messages, and breaks no other invariant.
fn run_with_losses(scenario: Scenario) -> RunRecord {
    let options = Options {
        seed: 7,
        check: true,
    };
    let mut simulation = Simulation::new(Arc::new(scenario), options);
    simulation.run_until(simulation.end());
    let record = simulation.record();
    for invariant in record.invariants.iter().filter(|one| one.name != "no-loss") {
        let (name, examples) = (&invariant.name, &invariant.examples);
        assert_eq!(invariant.violations, 0, "{name}: {examples:?}");
    }
    assert_eq!(
        record.littles_law.integral, record.littles_law.sojourns,
        "L = λW"
    );
    let measured = record.end_to_end(None).sum();
    assert_eq!(record.parts.nanos.iter().sum::<u128>(), measured, "parts");
    record
}

fn compared(record: &RunRecord, invariant: &str) -> bool {
    let mut invariants = record.invariants.iter();
    invariants.any(|one| one.name == invariant && one.verdict == Verdict::Pass)
}

#[test]
fn priorities_terms_and_delays() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "q"
max_priority = 9
ttl = "2s"
[[producer]]
name = "p"
to = "q"
rate = "120/s"
priority = [ { priority = 9, weight = 1 }, { priority = 0, weight = 4 } ]
[[producer]]
name = "later"
to = "q"
rate = "5/s"
delay = "500ms"
[[consumer]]
name = "c"
from = "q"
prefetch = 1
service = "10ms"
"#);
    let queue = &record.queues[0];
    assert!(queue.expired > 0, "the backlog expires");
    assert!(queue.series.delayed.iter().any(|delayed| *delayed > 0));
    let [low, high] = &queue.priorities[..] else {
        panic!("two priorities: {:?}", queue.priorities);
    };
    assert!(high.delivery.mean() < low.delivery.mean());
    for invariant in ["timely", "priority-order", "lease"] {
        assert!(compared(&record, invariant), "{invariant}");
    }
}

#[test]
fn failures_end_as_dead_letters() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "q"
delivery_limit = 2
retry_delay = { base = "100ms", max = "1s", growth = "exponential" }
dead_letter = "dead"
[[queue]]
name = "dead"
[[producer]]
name = "p"
to = "q"
rate = "50/s"
limit = 500
[[consumer]]
name = "c"
from = "q"
service = "1ms"
nack = { probability = 0.5, requeue = true }
"#);
    let [queue, dead] = &record.queues[..] else {
        panic!("two queues");
    };
    assert_eq!(queue.dead_lettered, dead.enqueued);
    assert_eq!(queue.deaths[3], queue.dead_lettered);
    assert!(queue.dead_lettered > 20);
    assert!(compared(&record, "delivery-limit"));
    assert!(compared(&record, "dead-letter-once"));
}

#[test]
fn a_pipeline_ends_where_it_ends() {
    for transaction in [false, true] {
        let record = run(&format!(
            r#"
duration = "20s"
[[queue]]
name = "a"
[[queue]]
name = "b"
[[producer]]
name = "p"
to = "a"
rate = "50/s"
limit = 500
[[consumer]]
name = "first"
from = "a"
service = "2ms"
then = {{ to = "b", transaction = {transaction} }}
[[consumer]]
name = "second"
from = "b"
service = "3ms"
"#
        ));
        assert_eq!(record.consumers[0].forwarded, 500);
        assert_eq!(record.queues[1].acked, 500);
        assert_eq!(record.end_to_end(None).count(), 500, "final services only");
        assert_eq!(record.producers[0].complete[0].count(), 500);
        let (all, last) = (
            record.end_to_end(None).min().unwrap(),
            record.producers[0].complete[0].min().unwrap(),
        );
        assert_eq!(all, last);
        assert!(all.0 > 5_000_000, "from the origin's intended send: {all}");
    }
}

/// What leaves its queue before it is published on is still one message, and complete once: at the end of its last service.
#[test]
fn a_pipeline_is_complete_once() {
    let first_stages = [
        ("", "ack = \"auto\""),
        ("kind = \"stream\"", ""),
        ("design = \"zeromq\"", ""),
        ("", ""),
    ];
    for (queue, consumer) in first_stages {
        let record = run(&format!(
            r#"
duration = "20s"
[[exchange]]
name = "both"
type = "fanout"
[[queue]]
name = "a"
{queue}
[[queue]]
name = "b"
bind = [{{ exchange = "both" }}]
[[queue]]
name = "c"
bind = [{{ exchange = "both" }}]
[[producer]]
name = "p"
to = "a"
confirm = false
rate = "50/s"
limit = 500
[[consumer]]
name = "first"
from = "a"
service = "2ms"
{consumer}
then = {{ to = {{ exchange = "both" }} }}
[[consumer]]
name = "second"
from = "b"
service = "3ms"
[[consumer]]
name = "third"
from = "c"
service = "7ms"
"#
        ));
        let complete = &record.producers[0].complete[0];
        assert_eq!(complete.count(), 500, "{queue} {consumer}");
        let least = complete.min().unwrap().0;
        assert!(least > 9_000_000, "{queue} {consumer}: {least} ns");
        assert_eq!(record.producers[0].incomplete[0], 0, "{queue} {consumer}");
    }
}

#[test]
fn a_backlog_is_drained_and_the_run_is_over() {
    let record = run(r#"
duration = "60s"
until = "empty"
[[queue]]
name = "q"
backlog = 1000
[[producer]]
name = "p"
to = "q"
arrivals = "closed"
think = "1s"
limit = 1
[[consumer]]
name = "c"
from = "q"
service = "5ms"
"#);
    assert_eq!(record.queues[0].acked, 1001);
    let seconds = record.end.as_secs_f64();
    assert!((5.0..7.0).contains(&seconds), "{seconds}");
}

/// Queues that are empty between two messages end nothing.
#[test]
fn a_run_that_ends_when_all_is_empty_waits_for_what_is_to_come() {
    let record = run(r#"
duration = "60s"
until = "empty"
[[queue]]
name = "q"
[[producer]]
name = "p"
to = "q"
rate = "50/s"
limit = 500
[[consumer]]
name = "c"
from = "q"
service = "5ms"
"#);
    assert_eq!(record.queues[0].acked, 500);
    let seconds = record.end.as_secs_f64();
    assert!((8.0..13.0).contains(&seconds), "{seconds}");
}

/// Where a consumer that holds nothing of a queue could not be served all the same, nothing stalls.
#[test]
fn who_is_busy_elsewhere_does_not_stall_a_queue() {
    run(r#"
duration = "60s"
[[queue]]
name = "a"
[[queue]]
name = "b"
[[producer]]
name = "p"
to = "a"
rate = "1/s"
limit = 10
[[producer]]
name = "one"
to = "b"
rate = "1/s"
limit = 1
[[consumer]]
name = "c"
from = ["a", "b"]
channel_prefetch = 1
service = "8s"
"#);
    run(r#"
duration = "30s"
[[queue]]
name = "q"
single_active = true
[[producer]]
name = "p"
to = "q"
rate = "100/s"
[[consumer]]
name = "picky"
from = "q"
selector = "x = 1"
[[consumer]]
name = "standby"
from = "q"
start = "1s"
"#);
}

/// By an alarm that its own publishes have raised: that connection is not read.
#[test]
fn a_consumer_that_stops_itself_does_not_stall_a_queue() {
    let record = run(r#"
duration = "60s"
cluster = { limits = { memory = "1000B" } }
[[queue]]
name = "a"
[[queue]]
name = "out"
[[producer]]
name = "p"
to = "a"
arrivals = "constant"
rate = "20/s"
limit = 40
size = "100B"
[[consumer]]
name = "c"
from = "a"
prefetch = 1
service = "150ms"
then = { to = "out" }
"#);
    assert!(record.queues[1].enqueued > 0);
    assert!(record.queues[0].ready_end > 0);
}

#[test]
fn partitions_keep_keys_in_order_and_sum_up() {
    let record = run(r#"
duration = "10s"
[[queue]]
name = "q"
partitions = 4
[[producer]]
name = "p"
to = "q"
rate = "200/s"
limit = 1000
message_key = { dist = "uniform", keys = 100 }
[[consumer]]
name = "c"
from = "q"
service = "1ms"
"#);
    assert_eq!(record.queues.len(), 4);
    assert!(record.queues.iter().all(|queue| queue.acked > 100));
    let all = record.metric("count.acked", Some("q"), None).unwrap();
    assert_eq!(all.to_string(), "1,000");
    assert!(compared(&record, "order-per-key"));
}

#[test]
fn a_group_reads_a_stream() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "events"
kind = "stream"
partitions = 4
[[group]]
name = "readers"
streams = ["events"]
start = "first"
[[producer]]
name = "p"
to = "events"
rate = "100/s"
limit = 1000
message_key = { dist = "uniform", keys = 100 }
[[consumer]]
name = "c"
from = "events"
group = "readers"
count = 2
service = "1ms"
"#);
    let group = &record.groups[0];
    assert_eq!((group.settled, group.lag_end), (1000, 0));
    assert_eq!(group.end_to_end[0].count(), 1000);
    assert!(group.lag_max.0 > 0 && group.members_end == 2);
    assert_eq!(record.producers[0].complete[0].count(), 1000);
    assert!(compared(&record, "single-reader"));
    assert!(compared(&record, "order-per-key"));
}

#[test]
fn pulling_and_asking_again() {
    let record = run(r#"
duration = "10s"
[[queue]]
name = "q"
max_length = 20
overflow = "reject-publish"
[[producer]]
name = "p"
to = "q"
rate = "150/s"
limit = 900
confirm = { window = 50 }
retry = { policy = "fixed", base = "50ms", attempts = 3 }
[[consumer]]
name = "c"
from = "q"
pull = "10ms"
service = "10ms"
"#);
    assert!(record.outcomes.retried > 100, "{:?}", record.outcomes);
    assert_eq!(record.queues[0].acked, record.outcomes.confirmed);
}

#[test]
fn a_reader_starts_at_a_time_of_the_run() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "events"
kind = "stream"
[[group]]
name = "late"
streams = "events"
start = { since = "5s" }
[[producer]]
name = "p"
to = "events"
arrivals = "constant"
rate = "100/s"
limit = 1000
[[consumer]]
name = "member"
from = "events"
group = "late"
start = "12s"
[[consumer]]
name = "alone"
from = "events"
offset = { since = "8s" }
start = "12s"
"#);
    let served: Vec<u64> = record.consumers.iter().map(|group| group.served).collect();
    assert!((495..=505).contains(&served[0]), "{served:?}");
    assert!((195..=205).contains(&served[1]), "{served:?}");
}

#[test]
fn a_partitioned_group_reads_again_what_it_refused() {
    let run = |nack: &str| {
        run(&format!(
            r#"
duration = "20s"
[[queue]]
name = "events"
kind = "stream"
partitions = 2
[[group]]
name = "readers"
streams = "events"
start = "first"
[[producer]]
name = "p"
to = "events"
rate = "100/s"
limit = 1000
message_key = {{ dist = "uniform", keys = 100 }}
[[consumer]]
name = "c"
from = "events"
group = "readers"
count = 2
service = "1ms"
{nack}
"#
        ))
    };
    let again = run("nack = { probability = 0.1 }");
    let redelivered = |record: &RunRecord| -> u64 {
        let partitions = record.queues.iter();
        partitions.map(|partition| partition.redelivered).sum()
    };
    let group = &again.groups[0];
    assert!(redelivered(&again) > 50, "{}", redelivered(&again));
    assert_eq!((group.settled, group.lag_end), (1000, 0));
    assert!(compared(&again, "order-per-key"));
    let given_up = run("poison = 0.1\nnack = { probability = 0, requeue = false }");
    assert_eq!(redelivered(&given_up), 0);
    assert_eq!(given_up.groups[0].lag_end, 0);
    assert!(given_up.consumers[0].nacked > 50);
}

#[test]
fn a_stream_knows_what_it_has_seen() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "events"
kind = "stream"
deduplicate = "1m"
[[group]]
name = "readers"
streams = "events"
start = "first"
[[producer]]
name = "p"
to = "events"
rate = "100/s"
limit = 1000
id = true
duplicates = 0.2
[[consumer]]
name = "c"
from = "events"
group = "readers"
service = "1ms"
"#);
    let stream = &record.queues[0];
    assert!(stream.deduplicated > 100, "{}", stream.deduplicated);
    assert_eq!(stream.enqueued + stream.deduplicated, 1000);
    assert_eq!(record.groups[0].settled, stream.enqueued);
    assert_eq!(record.producers[0].outcomes.confirmed, 1000);
}
