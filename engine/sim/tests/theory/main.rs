//! The simulator against closed forms, with free hardware (`profile = "ideal"`).
//!
//! How close a correct simulator must come follows from the number of messages: for M/M/1 the 95 % half width of the mean
//! sojourn over N messages is 1.96 (1 + ρ) / ((1 − ρ)² μ √N) (Daley 1968; Whitt 1989), and where no such formula is at
//! hand, ten or twenty independent replications must come within four standard errors. Seeds are fixed, so that a test
//! that passes goes on passing; the margins say how unlikely a correct simulator was to fail it.
//!
//! | Model | Test |
//! |---|---|
//! | M/M/1, ρ = 0.5 and 0.8 | `mm1_at_half_load`, `mm1_at_four_fifths_load` |
//! | M/M/1/5, M/M/1/10, M/D/1/10 | `losses::mm1k`, `losses::md1k` |
//! | M/M/5; M/M/3 and M/M/4 (a bank) | `mm5`, `balancing::bank` |
//! | M/G/10/10 (Erlang B), M/M/10+M (Erlang A) | `classes::erlang_b`, `classes::erlang_a` |
//! | M/D/1 with its quantiles, M/E₄/1, M/D/2, D/M/1 | `md1`, `me4_1`, `balancing::md2`, `arrivals::dm1` |
//! | batches, MMPP, closed loop, linger | `arrivals` |
//! | routing: random, power of two choices, shortest of two queues | `random_routing_over_four_servers`, `power_of_two_choices`, `balancing::join_the_shortest_of_two` |
//! | two priorities, county hospital without preemption | `classes::two_priorities`, `classes::county_hospital` |
//! | breakdowns | `classes::breakdowns` |
//! | tandem, Jackson network, fork and join, a hundred calls | `classes::tandem`, `jackson`, `fork_join`, `hundred_calls` |
//! | feedback, limited retries, retry storm | `returns`, `transient::retry_storm` |
//! | group commit, outage | `group_commit`, `outage_and_drain` |
//! | warm-up, drain of a backlog | `transient` |
//! | whatever is predicted of two scenarios, with each key of the language toggled; of each kind of model, with one more key | `toggles` |
//!
//! Without a scenario: preemptive priorities, as no consumer interrupts a service (their formulas: `queuelab-theory`); Raft's elections and commits at a
//! majority, as one node has no peers (the order statistics: `queuelab-theory`); balls in bins, rings, jump hash, moved keys and bounded loads, which
//! are functions (`hashing/tests.rs` of `queuelab-core`, their laws in `queuelab-theory`).

#![allow(
    clippy::disallowed_methods,
    reason = "tests compare floats with a tolerance"
)]

mod arrivals;
mod balancing;
mod classes;
mod losses;
mod returns;
mod toggles;
mod transient;

use std::sync::Arc;

use queuelab_core::Span;
use queuelab_record::{Latencies, RunRecord};
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

/// One queue, one group of consumers; services have mean 1 s.
struct Model {
    arrivals: &'static str,
    messages: f64,
    rate: f64,
    servers: u32,
    service: &'static str,
    queue: &'static str,
    prefetch: u32,
}

const BASE: Model = Model {
    arrivals: "poisson",
    messages: 1e5,
    rate: 0.5,
    servers: 1,
    service: r#"{ dist = "exponential", mean = "1s" }"#,
    queue: "",
    prefetch: 1,
};

impl Model {
    fn run(&self, seed: u64) -> RunRecord {
        run(&self.scenario(), seed)
    }

    fn scenario(&self) -> String {
        let Model {
            arrivals,
            rate,
            servers,
            service,
            queue,
            prefetch,
            messages,
        } = self;
        one_queue(
            queue,
            &format!("arrivals = \"{arrivals}\"\nrate = \"{rate}/s\""),
            &format!("count = {servers}\nprefetch = {prefetch}\nservice = {service}"),
            messages / rate,
        )
    }

    /// The mean of several measures over the same runs, each within four standard errors of its figure.
    #[track_caller]
    fn all_within_4_standard_errors(&self, count: u64, measures: &[Measure<'_>]) {
        all_within_4_standard_errors(&self.scenario(), count, measures);
    }
}

/// A scenario of one queue `q`, one producer `p` and one consumer group `c`, with free hardware. What is given are further lines of their tables.
fn one_queue(queue: &str, producer: &str, consumer: &str, seconds: f64) -> String {
    format!(
        r#"
        title = "model"
        about = "A queue of theory."
        duration = "{}s"
        steady = {{ warmup = "{}s" }}
        [cluster]
        profile = "ideal"
        [[queue]]
        name = "q"
        kind = "memory"
        {queue}
        [[producer]]
        name = "p"
        to = {{ queue = "q" }}
        confirm = false
        size = "0B"
        {producer}
        [[consumer]]
        name = "c"
        from = "q"
        {consumer}
        "#,
        seconds as u64,
        (seconds / 50.0) as u64,
    )
}

/// One server with exponential services of a second.
const SERVER: &str = r#"
    prefetch = 1
    service = { dist = "exponential", mean = "1s" }
"#;

/// `measure` over independent runs of a scenario: mean and standard error.
fn replicate(scenario: &str, count: u64, measure: impl Fn(&RunRecord) -> f64) -> (f64, f64) {
    let scenario = parse(scenario);
    let values: Vec<f64> = (1..=count)
        .map(|seed| measure(&simulate(&scenario, seed)))
        .collect();
    mean_and_error(&values)
}

/// Mean and standard error of independent values.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

/// What is measured, how, and its exact value.
type Measure<'a> = (&'a str, fn(&RunRecord) -> f64, f64);

/// The mean of several measures over the same runs, each within four standard errors of its figure.
#[track_caller]
fn all_within_4_standard_errors(scenario: &str, count: u64, measures: &[Measure<'_>]) {
    let scenario = parse(scenario);
    let records: Vec<RunRecord> = (1..=count).map(|seed| simulate(&scenario, seed)).collect();
    for (what, measure, exact) in measures {
        let values: Vec<f64> = records.iter().map(measure).collect();
        within_4_standard_errors(what, mean_and_error(&values), *exact);
    }
}

fn run(scenario: &str, seed: u64) -> RunRecord {
    simulate(&parse(scenario), seed)
}

fn parse(scenario: &str) -> Arc<Scenario> {
    let scenario = Scenario::parse("model.toml", scenario, &[]);
    Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")))
}

fn finished(scenario: &Arc<Scenario>, options: Options) -> RunRecord {
    let mut simulation = Simulation::new(scenario.clone(), options);
    simulation.run_until(simulation.end());
    simulation.record()
}

fn simulate(scenario: &Arc<Scenario>, seed: u64) -> RunRecord {
    let record = finished(scenario, Options { seed, check: true });
    let (integral, sojourns) = (record.littles_law.integral, record.littles_law.sojourns);
    assert_eq!(integral, sojourns, "L = λW holds on every sample path");
    for invariant in &record.invariants {
        assert_eq!(
            invariant.violations, 0,
            "{}: {:?}",
            invariant.name, invariant.examples
        );
    }
    record
}

/// Mean messages in the system, by both sides of Little's law.
fn in_system(record: &RunRecord) -> f64 {
    record.littles_law.integral as f64 / record.end.0 as f64
}

/// Time in system, over all phases.
fn sojourn(record: &RunRecord) -> Latencies {
    merged(&record.queues[0].end_to_end)
}

/// Time until a consumer has it: with prefetch 1 and free hardware, the wait in the queue.
fn wait(record: &RunRecord) -> Latencies {
    merged(&record.queues[0].delivery)
}

fn merged(phases: &[Latencies]) -> Latencies {
    let mut all = Latencies::default();
    phases.iter().for_each(|phase| all.merge(phase));
    all
}

fn mean(latencies: &Latencies) -> f64 {
    latencies.sum() as f64 / latencies.count() as f64 / 1e9
}

fn above(latencies: &Latencies, seconds: f64) -> f64 {
    latencies.fraction_above(Span::from_secs_f64(seconds))
}

#[track_caller]
fn within(what: &str, measured: f64, exact: f64, margin: f64) {
    assert!(
        (measured - exact).abs() <= margin,
        "{what}: measured {measured}, exact {exact}, margin {margin}"
    );
}

#[track_caller]
fn within_4_standard_errors(what: &str, (measured, standard_error): (f64, f64), exact: f64) {
    assert!(
        standard_error < 0.05 * exact,
        "{what}: the test cannot tell anything: {measured} ± {standard_error}"
    );
    within(what, measured, exact, 4.0 * standard_error);
}

/// Gross and Harris, Fundamentals of Queueing Theory, 2.2: W = 1 / (μ − λ), P(T > t) = exp(−(μ − λ) t).
#[test]
fn mm1_at_half_load() {
    let record = Model {
        messages: 4e5,
        ..BASE
    }
    .run(1);
    // 4 standard errors are 2.04 half widths; at 10⁶ messages those are 0.01176 (W) and 0.01055 (Wq).
    let scale = 2.04 * (1e6f64 / 4e5).sqrt();
    within("W", mean(&sojourn(&record)), 2.0, 0.01176 * scale);
    within("Wq", mean(&wait(&record)), 1.0, 0.01056 * scale);
    tail("p50", &record, 1.386_294_361_119_890_6, 0.5, 3.0);
    tail("p99", &record, 9.210_340_371_976_182, 0.01, 4.0);
}

#[test]
fn mm1_at_four_fifths_load() {
    let record = Model {
        messages: 1e6,
        rate: 0.8,
        ..BASE
    }
    .run(2);
    within("W", mean(&sojourn(&record)), 5.0, 2.04 * 0.0882);
    within("Wq", mean(&wait(&record)), 4.0, 2.04 * 0.08713);
    // Messages of one busy period are alike: the binomial error is too small by 4.4 at p50 and 8.3 at p99.
    tail("p50", &record, 3.465_735_902_799_727, 0.5, 4.4);
    tail("p99", &record, 23.025_850_929_940_46, 0.01, 8.3);
    let utilisation = record.consumers[0].utilisation;
    within("ρ", utilisation, 0.8, 0.01);
}

/// P(T > the exact quantile) against its level; `inflation` is the factor by which correlation widens the binomial error.
#[track_caller]
fn tail(what: &str, record: &RunRecord, quantile: f64, level: f64, inflation: f64) {
    let sojourn = sojourn(record);
    let error = (level * (1.0 - level) / sojourn.count() as f64).sqrt() * inflation;
    within(what, above(&sojourn, quantile), level, 4.0 * error);
}

/// Erlang C with 5 servers at ρ = 0.8 (Gross and Harris, 2.3).
#[test]
fn mm5() {
    let model = Model {
        rate: 4.0,
        servers: 5,
        messages: 5e4,
        ..BASE
    };
    model.all_within_4_standard_errors(
        12,
        &[
            ("Wq", |record| mean(&wait(record)), 0.554_112_554_112_554_3),
            (
                "W",
                |record| mean(&sojourn(record)),
                1.554_112_554_112_554_4,
            ),
            (
                "P(wait)",
                |record| above(&wait(record), 0.0),
                0.554_112_554_112_554_3,
            ),
        ],
    );
}

/// Pollaczek–Khinchine, and the distribution of the wait (Erlang 1909; Tijms, A First Course in Stochastic Models, 9.2).
#[test]
fn md1() {
    let record = Model {
        rate: 0.8,
        service: r#""1s""#,
        messages: 1e6,
        ..BASE
    }
    .run(3);
    within("Wq", mean(&wait(&record)), 2.0, 2.04 * 0.04);
    within("W", mean(&sojourn(&record)), 3.0, 2.04 * 0.04);
    within(
        "P(Wq ≤ 1)",
        1.0 - above(&wait(&record), 1.0),
        0.445_108_185_698_493_4,
        0.012,
    );
    within(
        "P(Wq ≤ 5)",
        1.0 - above(&wait(&record), 5.0),
        0.899_502_761_753_601_8,
        0.008,
    );
}

#[test]
fn me4_1() {
    let service = r#"{ dist = "erlang", mean = "1s", k = 4 }"#;
    let record = Model {
        rate: 0.8,
        service,
        messages: 1e6,
        ..BASE
    }
    .run(4);
    within("Wq", mean(&wait(&record)), 2.5, 2.04 * 0.045);
    within("W", mean(&sojourn(&record)), 3.5, 2.04 * 0.045);
}

/// Routing at random splits the stream into four M/M/1 queues at ρ = 0.9.
#[test]
fn random_routing_over_four_servers() {
    let queue = r#"dispatch = "random""#;
    let record = Model {
        rate: 3.6,
        servers: 4,
        prefetch: 0,
        queue,
        messages: 1e6,
        ..BASE
    }
    .run(5);
    within("W", mean(&sojourn(&record)), 10.0, 2.04 * 0.38);
}

/// Mitzenmacher 2001: E[T] = Σ λ^((d^i − d) / (d − 1)) for n → ∞; a hundred servers are a little above it.
#[test]
fn power_of_two_choices() {
    for (load, limit, above) in [
        (0.5, 1.265_686_036_087_572_6, 1.008),
        (0.9, 2.614_057_377_323_876, 1.03),
    ] {
        let queue = r#"dispatch = "power-of-2""#;
        let model = Model {
            rate: 100.0 * load,
            servers: 100,
            prefetch: 0,
            queue,
            messages: 1e6,
            ..BASE
        };
        let measured = mean(&sojourn(&model.run(6)));
        assert!(
            (limit..limit * above).contains(&measured),
            "λ = {load}: {measured}, the limit is {limit}"
        );
    }
}

/// A message that arrives during an fsync waits for the next one (renewal argument): with D = 5 ms and Poisson arrivals
/// the mean batch is 1 + λD − (1 − e^−λD) … at 20/s 1.0048 messages, at 200/s 1.3679.
#[test]
fn group_commit() {
    let cases = [
        (
            20.0,
            0.005_248_796_467_480_924,
            1.004_837_418_035_96,
            0.099_518_586_992_369_91,
        ),
        (
            200.0,
            0.006_827_646_446_575_012,
            1.367_879_441_171_442_3,
            0.731_058_578_630_004_9,
        ),
    ];
    for (rate, confirm, batch, busy) in cases {
        let messages = 1e5;
        let record = run(
            &format!(
                r#"
                title = "group commit"
                about = "Confirms of a durable queue."
                duration = "{}s"
                [cluster]
                profile = "ideal"
                disk = {{ fsync = "5ms" }}
                [[queue]]
                name = "q"
                kind = "durable"
                durability = "fsync"
                [[producer]]
                name = "p"
                to = {{ queue = "q" }}
                arrivals = "poisson"
                rate = "{rate}/s"
                confirm = {{ window = 1000 }}
                size = "0B"
                "#,
                (messages / rate) as u64
            ),
            7,
        );
        // 4 standard errors; the half width is 3 µs at 10⁶ messages.
        let margin = 2.04 * 3e-6 * (1e6f64 / messages).sqrt();
        within(
            "confirm",
            mean(&merged(&record.producers[0].confirm)),
            confirm,
            margin,
        );
        let node = &record.nodes[0];
        within(
            "batch",
            node.synced as f64 / node.fsyncs as f64,
            batch,
            0.01,
        );
        within("disk", node.disk, busy, 0.01);
    }
}

/// Fluid: 800/s into 1,000/s that stand still for 10 s. 8,000 wait, the rest of the capacity takes 40 s to clear them, the
/// area under the backlog is 200,000 message-seconds.
#[test]
fn outage_and_drain() {
    let record = run(
        r#"
        title = "outage"
        about = "A server stands still."
        duration = "100s"
        [cluster]
        profile = "ideal"
        [[queue]]
        name = "q"
        kind = "memory"
        [[producer]]
        name = "p"
        to = { queue = "q" }
        arrivals = "constant"
        rate = "800/s"
        confirm = false
        [[consumer]]
        name = "c"
        from = "q"
        prefetch = 1
        service = "1ms"
        [[fault]]
        kind = "pause-consumer"
        target = "c"
        at = "20s"
        for = "10s"
        "#,
        8,
    );
    let queue = &record.queues[0];
    within("backlog", queue.ready_max.0 as f64, 8_000.0, 2.0);
    within(
        "drain",
        queue.drain_time.expect("it drains").as_secs_f64(),
        40.0,
        0.05,
    );
    let load = &record.phases[0].load[0];
    within("area", load.ready_mean * 100.0, 200_000.0, 100.0);
}
