//! Faults: each kind does what it says, at its time, to whom it strikes, and nothing before.

mod kinds;
mod races;
mod resends;
mod strikes;
mod swarm;
mod told;

use std::sync::Arc;

use queuelab_core::{Span, Time};
use queuelab_record::{InvariantRecord, RunRecord, Verdict};
use queuelab_scenario::{Fault, Scenario};
use queuelab_sim::{Options, Simulation};

/// A shop of four packers, at a load of a half, with a fault.
fn scenario(fault: &str) -> Scenario {
    let text = format!(
        r#"duration = "60s"
{fault}

[[queue]]
name = "orders"
dead_letter = "dead"

[[queue]]
name = "dead"

[[producer]]
name = "shop"
count = 3
to = "orders"
rate = "100/s"
message_key = {{ dist = "uniform", keys = 50 }}
size = "1KiB"
confirm = {{ window = 50, timeout = "5s" }}

[[consumer]]
name = "packers"
from = "orders"
count = 4
prefetch = 20
service = {{ dist = "exponential", mean = "20ms" }}
"#
    );
    Scenario::parse("shop.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn simulation(scenario: &Scenario) -> Simulation {
    let options = Options {
        seed: 7,
        check: true,
    };
    Simulation::new(Arc::new(scenario.clone()), options)
}

fn record_at(scenario: &Scenario, seconds: f64) -> RunRecord {
    let mut run = simulation(scenario);
    run.run_until(Time::ZERO + Span::from_secs_f64(seconds));
    run.record()
}

/// The whole run with a fault, which begins at 20s.
fn run(fault: &str) -> RunRecord {
    let record = record_at(&scenario(&format!("fault = [{{ {fault} }}]")), 60.0);
    assert_eq!(
        record.fault_counts[0].fired, 1,
        "{fault}: {:?}",
        record.faults
    );
    record
}

/// What was measured, without what speaks of the faults themselves.
fn measured(record: &RunRecord) -> RunRecord {
    let mut record = record.clone();
    record.scenario.source.clear();
    record.trace_hash.clear();
    record.events = 0;
    record.faults.clear();
    record.fault_counts.clear();
    record
}

/// Nothing but (perhaps) these invariants is violated.
fn sound(record: &RunRecord, but: &[&str]) {
    let violated = |invariant: &&InvariantRecord| {
        invariant.verdict == Verdict::Fail && !but.contains(&invariant.name.as_str())
    };
    let violated: Vec<_> = record.invariants.iter().filter(violated).collect();
    assert!(violated.is_empty(), "{violated:?}");
    assert_eq!(record.littles_law.integral, record.littles_law.sojourns);
}

fn verdict(record: &RunRecord, name: &str) -> Verdict {
    let mut invariants = record.invariants.iter();
    let invariant = invariants.find(|invariant| invariant.name == name);
    invariant.map_or(Verdict::Undecided, |invariant| invariant.verdict)
}

fn metric(record: &RunRecord, name: &str) -> f64 {
    match record.metric(name, None, None) {
        Ok(queuelab_record::Measured::Value { value, .. }) => value,
        other => panic!("{name}: {other:?}"),
    }
}

fn with_faults(scenario: &Scenario, faults: Vec<Fault>) -> Scenario {
    Scenario {
        faults,
        ..scenario.clone()
    }
}
