//! Queues that lie at their senders.

use std::sync::Arc;

use queuelab_record::RunRecord;
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

use super::{parse, run_of, run_with_losses};

/// All queues of a scenario without a broker.
fn brokerless(text: &str) -> Scenario {
    let mut scenario = parse(text);
    for queue in &mut scenario.queues {
        queue.brokerless = true;
    }
    scenario
}

fn flow(consumer: &str, more: &str) -> Scenario {
    brokerless(&format!(
        r#"
duration = "20s"
[[queue]]
name = "q"
kind = "memory"
max_length = 10
[[producer]]
name = "p"
to = "q"
confirm = false
arrivals = "constant"
rate = "100/s"
limit = 1000
[[consumer]]
name = "c"
from = "q"
ack = "auto"
{consumer}
{more}
"#
    ))
}

/// As the tests write it; the language has no prefetch where nothing is acknowledged.
fn windowed(mut scenario: Scenario, window: u32) -> Scenario {
    for group in &mut scenario.consumers {
        group.prefetch = window;
    }
    scenario
}

fn parts_mean(record: &RunRecord, part: usize) -> f64 {
    record.parts.nanos[part] as f64 / record.parts.copies as f64 / 1e9
}

#[test]
fn messages_go_straight_from_client_to_client() {
    let mut scenario = flow("service = \"2ms\"", "");
    scenario.cluster.network.clients =
        queuelab_scenario::Distribution::Constant(queuelab_core::Span::from_millis(50));
    let record = run_of(windowed(scenario, 100));
    let queue = &record.queues[0];
    assert_eq!(
        (queue.enqueued, queue.delivered, queue.acked),
        (1000, 1000, 1000)
    );
    assert_eq!(
        (queue.ready_end, queue.in_flight_end, queue.lost),
        (0, 0, 0)
    );
    let delivery = record.producers[0].delivery[0].max().unwrap().as_secs_f64();
    assert!(
        (0.0499..0.051).contains(&delivery),
        "one latency: {delivery}"
    );
    assert_eq!(record.end_to_end(None).count(), 1000);
    assert_eq!(record.nodes[0].cpu, 0.0, "no broker has to do with it");
}

/// With one message under way at a time, a pipe carries one per round trip and service.
#[test]
fn a_window_of_one_costs_a_round_trip_each() {
    let mut scenario = flow("service = \"10ms\"", "");
    scenario.cluster.network.clients =
        queuelab_scenario::Distribution::Constant(queuelab_core::Span::from_millis(20));
    let record = run_of(windowed(scenario, 1));
    // 50 ms each, for 20 s.
    let served = record.consumers[0].served;
    assert!((395..=401).contains(&served), "{served}");
    let queue = &record.queues[0];
    assert_eq!(queue.ready_max.0, 10, "the high-water mark");
    assert_eq!(queue.ready_end, 10);
    assert!(
        record.outcomes.pending > 500,
        "the rest waits in the sender's hands"
    );
    assert!(
        parts_mean(&record, 0) > 1.0,
        "a blocked sender's wait is its own"
    );
}

#[test]
fn a_full_sender_may_drop() {
    let mut scenario = flow("service = \"20ms\"", "");
    scenario.producers[0].when_full = queuelab_scenario::WhenFull::Drop;
    scenario.producers[0].buffer = 1;
    let record = run_of(windowed(scenario, 5));
    let outcomes = record.outcomes;
    assert!(
        (450..500).contains(&outcomes.dropped_by_producer),
        "{outcomes:?}"
    );
    assert_eq!(record.queues[0].acked + outcomes.dropped_by_producer, 1000);
}

#[test]
fn messages_go_round_those_that_have_room() {
    let scenario = flow(
        "count = 4\nservice = \"30ms\"\nslow = { share = 0.25, factor = 4.0 }",
        "",
    );
    let record = run_of(windowed(scenario, 2));
    let [slow, rest @ ..] = &record.consumers[0].served_by_member[..] else {
        panic!("four members");
    };
    assert_eq!(record.queues[0].acked, 1000);
    assert!(*slow < 180, "120 ms each: {slow}");
    assert!(rest.iter().all(|served| *served > 250), "{rest:?}");
}

#[test]
fn what_a_killed_receiver_had_is_lost() {
    let scenario = flow(
        "service = \"9ms\"",
        "[[fault]]\nkind = \"consumer-crash\"\ntarget = \"c\"\nat = \"3s\"\nfor = \"2s\"",
    );
    let text = windowed(scenario, 5);
    let record = run_with_losses(text);
    let queue = &record.queues[0];
    let no_loss = record
        .invariants
        .iter()
        .find(|one| one.name == "no-loss")
        .unwrap();
    assert!(queue.lost > 0);
    assert_eq!(
        no_loss.violations, queue.lost,
        "each was sent in good faith"
    );
    assert_eq!(queue.acked + queue.lost, 1000);
    assert!(
        queue.ready_max.0 <= 10,
        "two seconds' messages wait with the sender"
    );
}

#[test]
fn a_killed_sender_takes_what_it_held() {
    for crash in [false, true] {
        let mut scenario = flow("service = \"20ms\"", "");
        scenario.producers[0].churn = parse(&format!(
            r#"
duration = "1s"
[[queue]]
name = "q"
[[producer]]
name = "p"
to = "q"
rate = "1/s"
churn = {{ every = "4s", away = "1s", crash = {crash} }}
[[consumer]]
name = "c"
from = "q"
service = "1ms"
"#
        ))
        .producers[0]
            .churn
            .clone();
        let record = run_with_losses(windowed(scenario, 5));
        let lost = record.queues[0].lost;
        assert_eq!(lost > 0, crash, "{lost} lost; in peace it lingers");
    }
}

/// Ventilator, workers and sink; back-pressure goes all the way.
#[test]
fn a_pipeline_is_as_fast_as_its_sink() {
    let scenario = brokerless(
        r#"
duration = "20s"
[[queue]]
name = "tasks"
kind = "memory"
max_length = 5
[[queue]]
name = "results"
kind = "memory"
max_length = 5
[[producer]]
name = "ventilator"
to = "tasks"
confirm = false
rate = "500/s"
limit = 5000
[[consumer]]
name = "workers"
from = "tasks"
ack = "auto"
count = 4
service = "5ms"
then = { to = "results" }
[[consumer]]
name = "sink"
from = "results"
ack = "auto"
service = "10ms"
"#,
    );
    let record = run_of(windowed(scenario, 3));
    let sunk = record.queues[1].acked;
    assert!((1950..=2001).contains(&sunk), "{sunk}");
    let ahead = record.queues[0].acked - sunk;
    assert!(
        ahead <= 4 * (5 + 3 + 3 + 1),
        "{ahead} are between the workers and the sink"
    );
    assert_eq!(record.end_to_end(None).count(), sunk);
}

#[test]
fn a_fork_of_a_run_goes_on_alike() {
    let scenario = flow(
        "count = 2\nservice = { dist = \"exponential\", mean = \"15ms\" }",
        "[[fault]]\nkind = \"consumer-crash\"\ntarget = \"c\"\ncount = 1\nat = \"5s\"\nfor = \"1s\"",
    );
    let options = Options {
        seed: 3,
        check: true,
    };
    let mut one = Simulation::new(Arc::new(windowed(scenario, 3)), options);
    one.run_until(queuelab_core::Time(4_990_000_000));
    let mut other = one.clone();
    while one.step() {}
    while other.step() {}
    assert_eq!(one.record(), other.record());
}
