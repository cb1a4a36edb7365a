//! Every shipped scenario: its expectations pass, its laws hold, and it repeats to the last bit.

use std::sync::Arc;

use expect_test::{Expect, expect};
use queuelab_record::{RunRecord, Verdict};
use queuelab_sim::{Options, Simulation};

fn run(name: &str, overrides: &[&str], seed: Option<u64>) -> RunRecord {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    let scenario =
        queuelab_scenario::open(name, &overrides).unwrap_or_else(|error| panic!("{error}"));
    let options = Options {
        seed: seed.unwrap_or(scenario.seed),
        check: true,
    };
    let mut simulation = Simulation::new(Arc::new(scenario), options);
    simulation.run_until(simulation.end());
    simulation.record()
}

/// `golden` is the trace hash at the scenario's own seed. A change there is a change of behaviour: say why in the commit.
fn passes(name: &str, golden: Expect) {
    let record = run(name, &[], None);
    for expectation in &record.expectations {
        assert_eq!(
            expectation.verdict,
            Verdict::Pass,
            "{}: {}",
            expectation.text,
            expectation.measured
        );
    }
    assert_eq!(
        record.littles_law.integral, record.littles_law.sojourns,
        "L = λW"
    );
    for invariant in record
        .invariants
        .iter()
        .filter(|invariant| invariant.violations > 0)
    {
        let shown = record.expectations.iter().any(|expectation| {
            expectation
                .text
                .contains(&format!("violates {}", invariant.name))
        });
        assert!(shown, "{}: {:?}", invariant.name, invariant.examples);
    }
    assert_accounted(&record);
    golden.assert_eq(&record.trace_hash);
}

/// Every message and every copy is somewhere.
fn assert_accounted(record: &RunRecord) {
    let outcomes = record.outcomes;
    let ended =
        outcomes.confirmed + outcomes.failed + outcomes.unknown + outcomes.dropped_by_producer;
    if record
        .producers
        .iter()
        .all(|producer| producer.outcomes.confirmed > 0)
    {
        assert_eq!(outcomes.offered, ended + outcomes.pending, "{outcomes:?}");
    }
    for queue in &record.queues {
        let left = queue.acked + queue.dead_lettered + queue.rejected + queue.lost;
        let inside = queue.ready_end + queue.in_flight_end;
        assert!(
            queue.enqueued <= left + queue.dropped + inside,
            "{}: more went in than came out: {queue:?}",
            queue.name
        );
    }
}

macro_rules! library {
    ($($test:ident: $name:literal, $golden:expr;)*) => {
        $(#[test]
        fn $test() {
            passes($name, $golden);
        })*

        #[test]
        fn every_shipped_scenario_is_run() {
            let tested = std::collections::BTreeSet::from([$($name),*]);
            let shipped = queuelab_scenario::library().map(|entry| entry.name).collect();
            assert_eq!(tested, shipped);
        }
    };
}

library! {
    hello: "hello", expect!["8e3ef8e2f17d7df5"];
    balancers: "balancers", expect!["815809ac84c72253"];
    bounded_buffer: "bounded-buffer", expect!["c90c1287919cad3d"];
    broker_crash: "broker-crash", expect!["2492fe4f6df67f39"];
    flash_sale: "flash-sale", expect!["5515cea2925391fc"];
    hot_key: "hot-key", expect!["adf30b60ab8a9007"];
    idle_consumers: "idle-consumers", expect!["85fa29f326c95160"];
    order_fanout: "order-fanout", expect!["751809c6a49c1713"];
    overload: "overload", expect!["fdf600b9b3a3bfe9"];
}

#[test]
fn another_seed_gives_another_trace() {
    let hash = |seed| run("hello", &[], Some(seed)).trace_hash;
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn watching_changes_nothing() {
    let scenario = Arc::new(queuelab_scenario::open("broker-crash", &[]).expect("it is shipped"));
    let all_at_once = run("broker-crash", &[], Some(3)).to_json();
    let mut simulation = Simulation::new(
        scenario,
        Options {
            seed: 3,
            check: true,
        },
    );
    let mut fork = simulation.clone();
    let mut part = 0;
    while simulation.now() < simulation.end() {
        part += 1;
        simulation.run_until(queuelab_core::Time(simulation.end().0 / 7 * part));
        simulation.record();
        simulation.take_log();
        if part == 3 {
            fork = simulation.clone();
        }
    }
    assert_eq!(simulation.record().to_json(), all_at_once);
    while fork.step() {}
    assert_eq!(fork.record().to_json(), all_at_once);
}

#[test]
fn checkers_change_nothing_but_their_own_verdicts() {
    let scenario = Arc::new(queuelab_scenario::open("hello", &[]).expect("it is shipped"));
    let hash = |check| {
        let mut simulation = Simulation::new(scenario.clone(), Options { seed: 5, check });
        simulation.run_until(simulation.end());
        simulation.record().trace_hash
    };
    assert_eq!(hash(true), hash(false));
}

/// Whether a crash and a power loss take what a queue of this durability had confirmed.
fn losses(durability: &str) -> String {
    let of = |kind: &str| {
        let kind = format!("fault.crash.kind={kind}");
        // The scenario's second queue is in memory.
        let (queue, record) = match durability {
            "memory" => (1, run("broker-crash", &[&kind], None)),
            mode => (
                0,
                run(
                    "broker-crash",
                    &[&kind, &format!("queue.kept.durability={mode}")],
                    None,
                ),
            ),
        };
        let no_loss = record
            .invariants
            .iter()
            .find(|invariant| invariant.name == "no-loss");
        no_loss.expect("it is checked").by_queue[queue] > 0
    };
    format!("crash: {}, power loss: {}", of("crash"), of("power-loss"))
}

#[test]
fn durability_is_worth_what_it_says() {
    expect!["crash: true, power loss: true"].assert_eq(&losses("memory"));
    expect!["crash: false, power loss: true"].assert_eq(&losses("os"));
    expect!["crash: false, power loss: false"].assert_eq(&losses("fsync"));
}
