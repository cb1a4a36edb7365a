//! What swarms found: faults that come between two halves of something. Nothing of it is a violation.

use std::sync::Arc;

use queuelab_record::Verdict;
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

use crate::{record_at, simulation, sound, verdict};

fn parse(text: &str) -> Scenario {
    Scenario::parse("race.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn holds_with_every_seed(scenario: Scenario, invariant: &str) {
    let scenario = Arc::new(scenario);
    for seed in 1..=20 {
        let mut run = Simulation::new(scenario.clone(), Options { seed, check: true });
        run.run_until(run.end());
        let record = run.record();
        sound(&record, &[]);
        assert_eq!(verdict(&record, invariant), Verdict::Pass);
    }
}

#[test]
fn a_dead_letter_that_the_log_does_not_have_yet_is_still_in_its_source() {
    for kind in ["power-loss", "crash", "fsync-error"] {
        let scenario = parse(&format!(
            r#"duration = "20s"
fault = [{{ kind = "{kind}", every = {{ mean = "1s" }}, for = "100ms" }}]

[cluster]
disk = {{ fsync = "80ms" }}

[[queue]]
name = "orders"
dead_letter = "dead"

[[queue]]
name = "dead"

[[producer]]
name = "shop"
to = "orders"
rate = "200/s"
confirm = {{ window = 50, timeout = "2s" }}
reconnect = "10ms"

[[consumer]]
name = "packers"
from = "orders"
count = 4
service = "5ms"
nack = {{ probability = 1, requeue = false }}
reconnect = "10ms"
"#
        ));
        let record = record_at(&scenario, 20.0);
        sound(&record, &[]);
        assert!(record.queues[0].dead_lettered > 500, "{kind}");
    }
}

#[test]
fn a_service_may_outlast_a_restart_that_its_consumer_has_not_heard_of() {
    let scenario = parse(
        r#"duration = "20s"
fault = [{ kind = "restart", every = { mean = "200ms" } }]

[cluster]
network = { clients = "30ms" }

[[queue]]
name = "clicks"
kind = "stream"

[[producer]]
name = "visitors"
to = "clicks"
rate = "200/s"
reconnect = "10ms"

[[consumer]]
name = "live"
from = "clicks"
service = "3ms"
reconnect = "10ms"
"#,
    );
    let record = record_at(&scenario, 20.0);
    sound(&record, &[]);
    assert!(record.faults.len() > 50, "{}", record.faults.len());
    assert!(record.consumers[0].served > 100);
}

#[test]
fn who_hoards_waits_for_the_end_of_that_whatever_else_he_does() {
    let scenario = parse(
        r#"duration = "20s"
fault = [{ kind = "hoard", at = "5s", for = "5s", target = "checkers" }]

[[queue]]
name = "orders"

[[queue]]
name = "packing"

[[producer]]
name = "shop"
to = "orders"
rate = "50/s"

[[consumer]]
name = "checkers"
from = "orders"
count = 2
service = "10ms"
then = { to = "packing", transaction = true }

[[consumer]]
name = "packers"
from = "packing"
service = "1ms"
"#,
    );
    let record = record_at(&scenario, 20.0);
    sound(&record, &[]);
    assert!(record.queues[1].acked > 900, "{}", record.queues[1].acked);
    assert!(record.events < 100_000, "{}", record.events);
}

#[test]
fn a_delivery_whose_lease_ran_out_on_the_way_is_not_held() {
    let scenario = parse(
        r#"duration = "60s"
fault = [{ kind = "loss", at = "1s", for = "58s", target = "all", p = 0.3 }]

[[queue]]
name = "jobs"
ack_timeout = "500ms"

[[producer]]
name = "clients"
to = "jobs"
rate = "20/s"

[[consumer]]
name = "workers"
from = "jobs"
count = 10
prefetch = 1
service = "20ms"
"#,
    );
    let record = record_at(&scenario, 60.0);
    sound(&record, &[]);
    assert!(record.queues[0].lease_expired > 20);
}

#[test]
fn what_a_dying_connection_swallowed_may_come_behind_what_follows() {
    // The node learns of the old connection's end when the new one comes: by then the return waits for an fsync.
    let scenario = parse(
        r#"duration = "60s"
fault = [{ kind = "half-open", every = { mean = "2s" }, for = "300ms", target = "bank" }]

[cluster]
disk = { fsync = "40ms" }

[[queue]]
name = "payments"

[[producer]]
name = "till"
to = "payments"
rate = "100/s"

[[consumer]]
name = "bank"
from = "payments"
service = "1ms"
reconnect = "10ms"
"#,
    );
    let mut run = simulation(&scenario);
    run.run_until(run.end());
    let record = run.record();
    sound(&record, &[]);
    assert!(record.queues[0].redelivered > 5);
    let order = record.invariants.iter();
    let order = order.filter(|it| it.name == "order-per-key");
    assert!(order.map(|it| it.compared).sum::<u64>() > 1_000);
}

#[test]
fn a_consumer_that_dies_while_it_waits_to_connect_does_not_connect() {
    let scenario = parse(
        r#"duration = "8s"
fault = [
    { kind = "half-open", at = "1s", for = "3s", target = "packers" },
    { kind = "consumer-crash", at = "1.5s", for = "1s", target = "packers" },
    { kind = "consumer-crash", at = "3s", for = "3s", target = "packers" },
]

[[queue]]
name = "orders"

[[producer]]
name = "shop"
to = "orders"
rate = "100/s"

[[consumer]]
name = "packers"
from = "orders"
prefetch = 1
service = "1ms"
"#,
    );
    let record = record_at(&scenario, 8.0);
    sound(&record, &[]);
    // From 4 s on the node would take a connection; nobody is there before 6 s.
    let at = |seconds: f64| (seconds * 1e9 / record.window.0 as f64) as usize;
    let delivered = &record.queues[0].series.delivered[at(4.2)..at(5.9)];
    assert!(delivered.iter().all(|count| *count == 0), "{delivered:?}");
    assert!(record.queues[0].delivered > 250);
}

#[test]
fn a_stop_amid_a_stop_does_not_read_on() {
    let scenario = parse(
        r#"duration = "10s"
fault = [
    { kind = "stop", at = "5s", for = "10ms", grace = "1s" },
    { kind = "stop", at = "5015ms", for = "300ms", grace = "1s" },
]

[cluster]
disk = { fsync = "40ms" }

[[queue]]
name = "orders"

[[producer]]
name = "shop"
to = "orders"
rate = "2000/s"
confirm = { window = 500, timeout = "1s" }
reconnect = "5ms"

[[consumer]]
name = "packers"
from = "orders"
service = "0s"
reconnect = "5ms"
"#,
    );
    sound(&record_at(&scenario, 10.0), &[]);
}

/// A packet that was lost again and again waits longer and longer to be sent again, and still does when nothing is lost any more.
#[test]
fn what_losses_have_delayed_may_come_late() {
    let scenario = parse(
        r#"duration = "2m"
fault = [{ kind = "loss", p = 0.6, at = "20s", for = "15s", target = "packers" }]

[[queue]]
name = "orders"

[[producer]]
name = "shop"
to = "orders"
rate = "5/s"

[[consumer]]
name = "packers"
from = "orders"
service = "1ms"
"#,
    );
    // Twice the fault's length at most: each wait is as long as all before it.
    holds_with_every_seed(scenario, "liveness");
}

#[test]
fn what_the_log_brings_back_has_its_priority() {
    let scenario = parse(
        r#"duration = "20s"
fault = [
    { kind = "fsync-error", p = 0.1, every = { mean = "1s" }, for = "600ms" },
    { kind = "power-loss", every = { mean = "500ms" }, for = "10ms" },
]

[cluster]
disk = { fsync = "5ms" }

[[queue]]
name = "calls"
max_priority = 9

[[producer]]
name = "shop"
to = "calls"
rate = "130/s"
priority = [{ priority = 0, weight = 5 }, { priority = 9, weight = 1 }]
reconnect = "10ms"

[[consumer]]
name = "operators"
from = "calls"
count = 5
prefetch = 1
service = { dist = "exponential", mean = "50ms" }
reconnect = "10ms"
"#,
    );
    holds_with_every_seed(scenario, "priority-order");
}

/// A connection that dies as a delivery is on its way out: the node hears of it when it has done what it does.
#[test]
fn a_connection_dies_between_two_things_that_the_node_does() {
    for nth in 40..80 {
        let scenario = parse(&format!(
            r#"duration = "30s"
cluster = {{ profile = "ideal" }}
fault = [{{ kind = "half-open", unaware = "client", target = "all", on = {{ event = "deliver", nth = {nth}, edge = "before" }}, for = "300ms" }}]
[[queue]]
name = "jobs"
kind = "memory"
[[producer]]
name = "clients"
to = "jobs"
rate = "80/s"
burst = 5
limit = 200
[[consumer]]
name = "workers"
from = "jobs"
prefetch = 1
service = {{ dist = "exponential", mean = "10ms" }}
"#
        ));
        let record = record_at(&scenario, 30.0);
        sound(&record, &[]);
        assert_eq!(record.fault_counts[0].fired, 1);
    }
}

/// What clients send at the instant at which the last fault is over counts as well.
#[test]
fn a_flood_at_the_end_of_a_fault_may_take_its_time() {
    let scenario = parse(
        r#"duration = "400s"
cluster = { profile = "ideal" }
fault = [{ kind = "half-open", unaware = "node", target = "clients", at = "20s", for = "60s" }]
[[queue]]
name = "jobs"
kind = "memory"
[[producer]]
name = "clients"
to = "jobs"
rate = "80/s"
burst = 5
[[consumer]]
name = "workers"
from = "jobs"
prefetch = 1
service = "10ms"
"#,
    );
    let record = record_at(&scenario, 400.0);
    sound(&record, &[]);
    assert!(record.queues[0].ready_max.0 > 4_000);
    assert_eq!(verdict(&record, "liveness"), Verdict::Pass);
}
