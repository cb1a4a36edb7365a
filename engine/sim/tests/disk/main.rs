//! What a disk does to messages: losses are reported to the last message, by a reckoning that knows nothing of the checkers.

mod anomalies;
mod faults;

use std::sync::Arc;

use queuelab_record::{InvariantRecord, RunRecord};
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

fn run(text: &str, seed: u64) -> RunRecord {
    let scenario = Scenario::parse("disk.toml", text, &[]);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    let mut simulation = Simulation::new(Arc::new(scenario), Options { seed, check: true });
    simulation.run_until(simulation.end());
    simulation.record()
}

fn invariant<'r>(record: &'r RunRecord, name: &str) -> &'r InvariantRecord {
    let mut invariants = record.invariants.iter();
    invariants
        .find(|it| it.name == name)
        .expect("it is checked")
}

/// A producer that nobody disturbs until a fault comes, and that never comes back. Nobody consumes: what the broker has kept is there in
/// the end, the first messages of those that were sent.
fn deposit(durability: &str, rate: u64, faults: &str) -> String {
    format!(
        r#"
        duration = "90s"
        [[queue]]
        name = "q"
        durability = "{durability}"
        [[producer]]
        name = "p"
        to = "q"
        arrivals = "constant"
        rate = "{rate}/s"
        confirm = {{ window = 100 }}
        reconnect = "1h"
        {faults}
        "#
    )
}

/// How many of the confirmed messages are not there: they were sent and confirmed in order, and a log loses its end.
fn missing(record: &RunRecord) -> u64 {
    let kept = record.queues[0].ready_end;
    record.outcomes.confirmed.saturating_sub(kept)
}

fn power_loss(at: &str, more: &str) -> String {
    format!("[[fault]]\nkind = \"power-loss\"\nat = \"{at}\"\nfor = \"1s\"\n{more}")
}

#[test]
fn a_power_loss_takes_what_the_checker_says_and_no_more_than_the_mode_allows() {
    // Rate, and the longest time in seconds that something is not on the platter: an fsync takes up to 30 ms or so.
    for (durability, most) in [
        ("fsync", 0.0),
        ("interval(20ms)", 0.05),
        ("interval(1s)", 1.05),
        ("os", 32.0),
    ] {
        for seed in 1..=3 {
            let record = run(&deposit(durability, 200, &power_loss("61s", "")), seed);
            let missing = missing(&record);
            let reported = invariant(&record, "no-loss");
            assert!(record.outcomes.confirmed > 12_000);
            assert_eq!(
                reported.violations, missing,
                "{durability}: {:?}",
                reported.examples
            );
            assert!(missing as f64 <= 200.0 * most, "{durability}: {missing}");
            assert!(
                missing > 0 || durability.contains("20ms") || most == 0.0,
                "{durability}"
            );
        }
    }
}

#[test]
fn a_crash_of_the_process_takes_nothing_that_was_written() {
    for durability in ["fsync", "interval(1s)", "os"] {
        let crash = power_loss("61s", "").replace("power-loss", "crash");
        let record = run(&deposit(durability, 200, &crash), 1);
        assert_eq!(missing(&record), 0);
        assert_eq!(invariant(&record, "no-loss").violations, 0, "{durability}");
    }
}

#[test]
fn what_the_kernel_may_keep_for_itself_is_a_matter_of_its_writeback() {
    let lost = |writeback: &str| {
        let text = format!(
            "{}\n[cluster]\ndisk = {{ writeback = \"{writeback}\" }}",
            deposit("os", 200, &power_loss("61s", ""))
        );
        let record = run(&text, 1);
        assert_eq!(invariant(&record, "no-loss").violations, missing(&record));
        missing(&record)
    };
    assert!((1_000..1_200).contains(&lost("5s")), "{}", lost("5s"));
    assert!((6_000..6_500).contains(&lost("30s")), "{}", lost("30s"));
    assert!(lost("1h") > 12_000);
}

#[test]
fn an_fsync_queue_loses_nothing_whatever_becomes_of_the_rest() {
    for unsynced in ["drop", "keep", "random", "torn", "corrupt"] {
        for seed in 1..=5 {
            let fault = power_loss("61.003s", &format!("unsynced = \"{unsynced}\""));
            let record = run(&deposit("fsync", 1_000, &fault), seed);
            assert_eq!(missing(&record), 0, "{unsynced}");
            assert_eq!(invariant(&record, "no-loss").violations, 0, "{unsynced}");
            let lazy = run(&deposit("os", 1_000, &fault), seed);
            assert_eq!(
                invariant(&lazy, "no-loss").violations,
                missing(&lazy),
                "{unsynced}"
            );
        }
    }
}
