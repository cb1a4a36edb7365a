//! Every shipped scenario: its expectations pass, its laws hold, and it repeats to the last bit.

use std::sync::Arc;

use expect_test::{Expect, expect};
use queuelab_record::{Measured, RunRecord, Verdict};
use queuelab_scenario::{MetricRef, Scenario};
use queuelab_sim::{Options, Simulation};
use queuelab_theory::Kind;

fn open(name: &str, overrides: &[&str]) -> Scenario {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    queuelab_scenario::open(name, &overrides).unwrap_or_else(|error| panic!("{error}"))
}

fn run(name: &str, overrides: &[&str], seed: Option<u64>) -> RunRecord {
    let scenario = open(name, overrides);
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
    assert_predicted(&open(name, &[]), &record);
    golden.assert_eq(&record.trace_hash);
}

/// Means and utilisations are what theory says, as far as it goes: within 15 % where the model is the scenario, within 40 % where it is close to
/// it, beyond a bound by at most 10 %.
fn assert_predicted(scenario: &Scenario, record: &RunRecord) {
    for prediction in queuelab_theory::recognise(scenario) {
        let MetricRef { name, of, phase } = &prediction.metric;
        if !name.ends_with(".mean") && name != "utilisation" {
            continue;
        }
        let measured = record.metric(name, of.as_deref(), phase.as_deref());
        let Ok(Measured::Value { value, .. }) = measured else {
            panic!("{name} of {of:?} is predicted, and measured as {measured:?}");
        };
        let allowed = match prediction.kind {
            Kind::Exact => 0.85..=1.15,
            Kind::Approximation | Kind::Fluid => 0.6..=1.4,
            Kind::LowerBound => 0.9..=f64::MAX,
            Kind::UpperBound => 0.0..=1.1,
        };
        let predicted = prediction.value;
        let ratio = match predicted > 0.0 {
            true => value / predicted,
            false => 1.0 + value,
        };
        assert!(
            allowed.contains(&ratio),
            "{} ({}): {name} of {of:?} is predicted to be {predicted}, and is {value}",
            prediction.model,
            prediction.kind
        );
    }
}

/// Every message and every copy is somewhere.
fn assert_accounted(record: &RunRecord) {
    let outcomes = record.outcomes;
    let ended = outcomes.confirmed
        + outcomes.failed
        + outcomes.unknown
        + outcomes.dropped_by_producer
        + outcomes.abandoned;
    if record
        .producers
        .iter()
        .all(|producer| producer.outcomes.confirmed > 0)
    {
        assert_eq!(outcomes.offered, ended + outcomes.pending, "{outcomes:?}");
    }
    for queue in &record.queues {
        let out = queue.acked + queue.dead_lettered + queue.rejected + queue.lost;
        let unasked =
            queue.dropped + queue.expired + queue.exhausted + queue.purged + queue.retired;
        assert!(
            queue.enqueued <= out + unasked + queue.left(),
            "{}: more went in than came out",
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
    bounded_buffer: "bounded-buffer", expect!["31a503367ab64684"];
    drop_oldest: "drop-oldest", expect!["125cc8b082d63a91"];
    idle_consumers: "idle-consumers", expect!["85fa29f326c95160"];
    batch_linger: "batch-linger", expect!["9f283d38e32f9fad"];
    bursts: "bursts", expect!["2adaacf4ca0feebd"];
    credit_flow: "credit-flow", expect!["4637d8bb7d744510"];
    idempotent_producer: "idempotent-producer", expect!["bee9ae06caee0bf5"];
    retention: "retention", expect!["825efd295800eda6"];
    temporary_queue: "temporary-queue", expect!["61a29c4150afdb34"];
    waiting_dead_letters: "waiting-dead-letters", expect!["6ccb8f55ef2a929d"];
    visibility_timeout: "visibility-timeout", expect!["d625c63c89f46a3c"];
    closed_users: "closed-users", expect!["01ae9c691497c6e0"];
    diurnal: "diurnal", expect!["d19bb0512ad6e189"];
    flash_sale: "flash-sale", expect!["789eb8b30808bb74"];
    long_backlog: "long-backlog", expect!["f8060c469f097f04"];
    impatient_senders: "impatient-senders", expect!["af8b09826242668c"];
    overload: "overload", expect!["fdf600b9b3a3bfe9"];
    retry_storm: "retry-storm", expect!["a0e11ff81788f207"];
    trace: "trace", expect!["59de3f69db2f799f"];
    alternate: "alternate", expect!["eab952fec0ccf67d"];
    balancers: "balancers", expect!["815809ac84c72253"];
    headers: "headers", expect!["3b6b038cddf7d3d7"];
    hot_key: "hot-key", expect!["adf30b60ab8a9007"];
    order_fanout: "order-fanout", expect!["751809c6a49c1713"];
    partitions: "partitions", expect!["085885c1abe17164"];
    selectors: "selectors", expect!["54b5cd99181bdc97"];
    shifting_hot_spot: "shifting-hot-spot", expect!["0b3c797ca7d07a32"];
    broker_crash: "broker-crash", expect!["2492fe4f6df67f39"];
    read_process_write: "read-process-write", expect!["9cb328a6544f1bc3"];
    consumer_group: "consumer-group", expect!["74624f77b10cd86f"];
    crash_churn: "crash-churn", expect!["b4c0a88f32d93168"];
    deduplication: "deduplication", expect!["63e135e5ca357970"];
    delayed_retry: "delayed-retry", expect!["13eeeb2f69f49a32"];
    fork_join: "fork-join", expect!["e7b294a0ed234b37"];
    memory_alarm: "memory-alarm", expect!["3db95957d644f58a"];
    message_groups: "message-groups", expect!["a34f9d784779d630"];
    pipeline: "pipeline", expect!["f199b1de0161be21"];
    poison: "poison", expect!["828e58080b1dbfcb"];
    priorities: "priorities", expect!["52f8bb1aa1b87f9a"];
    replay: "replay", expect!["7f9f5c693b911db6"];
    scheduled: "scheduled", expect!["f244232d8d3ce6a5"];
    share_group: "share-group", expect!["bef3f2eeacaf7541"];
    single_active: "single-active", expect!["5638845a4d83cb25"];
    transactions: "transactions", expect!["deff8500e33f0312"];
    ttl: "ttl", expect!["4b287304e12bfb0f"];
    ambiguous_send: "ambiguous-send", expect!["51c138f9fc758cba"];
    bit_flip: "bit-flip", expect!["c608f7c5cb5e4f5c"];
    hoarding: "hoarding", expect!["287e6175e3782046"];
    lazy_fsync: "lazy-fsync", expect!["0e5668c286cab63a"];
    metastable: "metastable", expect!["94e40fab2f12afca"];
    snapshot_corruption: "snapshot-corruption", expect!["d4bd103d75feb821"];
    thundering_reconnect: "thundering-reconnect", expect!["d43aaf83ebaf7c4f"];
    old_backup: "old-backup", expect!["18304a41f64a29cd"];
    queue_as_lock: "queue-as-lock", expect!["7d557e5d0515ff31"];
    batch_arrivals: "batch-arrivals", expect!["cf8e96266bce74fb"];
    erlang_a: "erlang-a", expect!["01eb95d2c5ffb2ba"];
    mm5: "mm5", expect!["874ffb49a2c16f2b"];
    mmpp: "mmpp", expect!["40e2989c42b07fb3"];
    power_of_two: "power-of-two", expect!["c53d2da211d49cb0"];
    priority_classes: "priority-classes", expect!["6851471999f2700e"];
    tandem: "tandem", expect!["775f6bb15e78c688"];
    activemq_redelivery: "activemq-redelivery", expect!["7042dad120453f89"];
    kafka_rebalance: "kafka-rebalance", expect!["41316bb8d852c98a"];
    nats_ack_wait: "nats-ack-wait", expect!["33c6051e3e32c8e4"];
    one_workload: "one-workload", expect!["6c965200df807a87"];
    rabbitmq_power_loss: "rabbitmq-power-loss", expect!["1fd336a7b19fada3"];
    redis_list_crash: "redis-list-crash", expect!["73db36ec7baa037c"];
    redis_stream_claim: "redis-stream-claim", expect!["b7741220a741f3ca"];
    zeromq_slow_peer: "zeromq-slow-peer", expect!["e3d918420d1a58c5"];
    sqs_visibility: "sqs-visibility", expect!["f8cc0a4066843d92"];
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
        simulation.log();
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
    expect!["crash: false, power loss: true"].assert_eq(&losses("interval(1s)"));
    expect!["crash: false, power loss: false"].assert_eq(&losses("fsync"));
}
