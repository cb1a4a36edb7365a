//! When faults strike, whom, and how the run can be had again.

use queuelab_core::{Span, Time};
use queuelab_record::Verdict;
use queuelab_scenario::{Distribution, Scenario, When};

use crate::kinds::KINDS;
use crate::{measured, metric, record_at, run, scenario, simulation, sound, verdict, with_faults};

#[test]
fn faults_come_again_and_again() {
    let record = record_at(
        &scenario("fault = [{ kind = 'reset', target = 'one:packers', every = { mean = '2s' } }]"),
        60.0,
    );
    // Until everything is healed at 45s.
    let fired = record.fault_counts[0].fired;
    assert!((10..40).contains(&fired), "{fired}");
    assert_eq!(record.faults.len() as u64, fired);
    sound(&record, &[]);
}

#[test]
fn faults_go_by_the_toss_of_a_coin() {
    let step = "each_step = { every = '500ms', p = 0.3, heal_p = 0.5, heal_stability = '1s' }";
    let record = record_at(
        &scenario(&format!("fault = [{{ kind = 'pause', {step} }}]")),
        60.0,
    );
    assert!(record.faults.len() > 5, "{:?}", record.faults);
    let healed = Time::ZERO + Span::from_secs(45);
    for fault in &record.faults {
        assert!(fault.until - fault.from >= Span::from_secs(1) || fault.until == healed);
    }
    sound(&record, &[]);
}

#[test]
fn a_crash_just_before_the_third_confirm_leaves_it_unknown_and_just_after_does_not() {
    let at = |edge: &str| {
        run(&format!(
            "kind = 'crash', for = '1s', on = {{ event = 'confirm', nth = 3, edge = '{edge}' }}"
        ))
    };
    let (before, after) = (at("before"), at("after"));
    sound(&before, &[]);
    sound(&after, &[]);
    assert!(before.faults[0].from < after.faults[0].from);
}

#[test]
fn all_that_wait_for_the_same_event_strike() {
    for edge in ["before", "after"] {
        let on = format!("for = '2s', on = {{ event = 'confirm', nth = 3, edge = '{edge}' }}");
        let record = record_at(
            &scenario(&format!(
                "fault = [{{ kind = 'crash', {on} }}, {{ kind = 'slow-disk', factor = 5, {on} }}, {{ kind = 'consumer-crash', target = 'all', {on} }}]"
            )),
            60.0,
        );
        let kinds: Vec<&str> = record.faults.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, ["crash", "slow-disk", "consumer-crash"], "{edge}");
        assert!(
            (record.faults.iter()).all(|fault| fault.from == record.faults[0].from),
            "{edge}"
        );
        sound(&record, &[]);
    }
}

/// No step of an activation that is over is one of the next: else the clock jumps there twice, and back once.
#[test]
fn a_clock_that_is_strobed_again_and_again_is_never_off_by_more_than_once() {
    let all = [
        "every = { mean = '2s' }, for = '1s'",
        "each_step = { every = '1s', p = 0.5, heal_p = 0.5 }",
    ];
    for again in all {
        let strobe = "kind = 'clock-strobe', by = '1h', period = '10500ms'";
        let late = "{ kind = 'pause-consumer', target = 'packers', at = '1s', for = '50s' }";
        let mut strobed = scenario(&format!("fault = [{{ {strobe}, {again} }}, {late}]"));
        strobed.queues[0].policy.ttl = Some(Span::from_secs(90 * 60));
        let record = record_at(&strobed, 60.0);
        assert!(record.fault_counts[0].fired > 5, "{again}");
        assert_eq!(metric(&record, "count.expired"), 0.0, "{again}");
        assert_eq!(record.queues[0].dead_lettered, 0, "{again}");
        sound(&record, &[]);
    }
}

#[test]
fn every_event_can_be_waited_for() {
    let events = [
        "publish", "enqueue", "confirm", "deliver", "ack", "fsync", "restart", "requeue",
    ];
    for event in events {
        for edge in ["before", "after"] {
            let scenario = scenario(&format!(
                "fault = [{{ kind = 'crash', for = '1s', on = {{ event = '{event}', nth = 2, edge = '{edge}' }} }},
                          {{ kind = 'consumer-crash', target = 'all', at = '10s', for = '1s' }},
                          {{ kind = 'restart', at = '12s' }}, {{ kind = 'restart', at = '14s' }}]"
            ));
            let record = record_at(&scenario, 60.0);
            assert_eq!(record.fault_counts[0].fired, 1, "{event} {edge}");
            sound(&record, &[]);
        }
    }
}

#[test]
fn one_is_the_client_that_the_event_is_about() {
    let record = run(
        "kind = 'consumer-crash', target = 'one', for = '1s', on = { event = 'ack', nth = 5, edge = 'before' }",
    );
    sound(&record, &[]);
    assert_eq!(record.faults[0].target, "1 of consumers");
    // What it had served and not acknowledged comes back.
    assert!(metric(&record, "count.redelivered") >= 1.0);
}

#[test]
fn a_fault_that_never_struck_is_told() {
    let record = record_at(
        &scenario("fault = [{ kind = 'crash', for = '1s', on = { event = 'dead-letter' } }]"),
        60.0,
    );
    assert!(record.faults.is_empty());
    assert_eq!(record.fault_counts[0].fired, 0);
}

#[test]
fn the_same_run_can_be_had_from_what_has_struck() {
    let mut list = String::new();
    for (number, kind) in KINDS.iter().enumerate() {
        list += &format!("{{ {}, every = {{ mean = '{}s' }} }},\n", kind, 20 + number);
    }
    let scenario = scenario(&format!("heal = '40s'\nfault = [{list}]"));
    let mut first = simulation(&scenario);
    first.run_until(scenario.end());
    let again = with_faults(&scenario, first.activations());
    assert!(again.faults.iter().all(|fault| {
        matches!(fault.when, When::At(_)) && matches!(fault.span, Distribution::Constant(_))
    }));
    let mut second = simulation(&again);
    second.run_until(again.end());
    let (first, second) = (first.record(), second.record());
    assert_eq!(first.faults.len(), second.faults.len());
    assert_eq!(first.outcomes, second.outcomes);
    assert!(measured(&first) == measured(&second));
}

#[test]
fn a_fork_goes_on_identically_with_all_kinds_on() {
    let mut list = String::new();
    for (number, kind) in KINDS.iter().enumerate() {
        list += &format!("{{ {kind}, every = {{ mean = '{}s' }} }},\n", 10 + number);
    }
    let scenario = scenario(&format!("fault = [{list}]"));
    let mut run = simulation(&scenario);
    run.run_until(Time::ZERO + Span::from_secs(23));
    let mut fork = run.clone();
    run.run_until(scenario.end());
    fork.run_until(scenario.end());
    assert!(run.record() == fork.record());
    let mut other = simulation(&scenario);
    other.run_until(scenario.end());
    assert_eq!(run.record().trace_hash, other.record().trace_hash);
}

#[test]
fn a_fault_can_be_injected() {
    let calm = scenario("");
    let crash = scenario("fault = [{ kind = 'crash', at = '1s', for = '1s' }]").faults;
    let mut run = simulation(&calm);
    run.run_until(Time::ZERO + Span::from_secs(30));
    let at = run.now();
    run.inject(crash[0].clone());
    run.run_until(calm.end());
    let record = run.record();
    assert_eq!(record.faults[0].from, at);
    assert_eq!(record.fault_counts[0].fired, 1);
    sound(&record, &[]);
}

#[test]
fn a_fault_can_be_injected_after_everything_is_healed() {
    let healed = scenario("heal = '10s'\nfault = [{ kind = 'pause', at = '1s', for = '1s' }]");
    let crash = scenario("fault = [{ name = 'late', kind = 'crash', at = '1s', for = '1s' }]");
    let mut run = simulation(&healed);
    run.run_until(Time::ZERO + Span::from_secs(30));
    run.inject(crash.faults[0].clone());
    run.run_until(healed.end());
    let record = run.record();
    assert_eq!(record.faults.last().unwrap().kind, "crash");
    assert_eq!(record.fault_counts[1].fired, 1);
    sound(&record, &[]);
}

#[test]
fn a_fault_that_is_injected_after_everything_is_healed_takes_its_steps() {
    let healed = scenario("heal = '10s'\nfault = [{ kind = 'pause', at = '1s', for = '1s' }]");
    let stop = scenario("fault = [{ kind = 'stop', at = '1s', for = '10s', grace = '1s' }]");
    let mut run = simulation(&healed);
    run.run_until(Time::ZERO + Span::from_secs(30));
    run.inject(stop.faults[0].clone());
    run.run_until(healed.end());
    let record = run.record();
    // It is down from the end of its grace on.
    let slowest = metric(&record, "latency.end_to_end.max");
    assert!((8.0..10.0).contains(&slowest), "{slowest}");
    sound(&record, &[]);
}

#[test]
fn what_waits_when_all_is_over_must_drain() {
    let record = run("kind = 'pause-consumer', at = '20s', for = '5s', target = 'packers'");
    assert_eq!(verdict(&record, "liveness"), Verdict::Pass);
    let unrestricted =
        scenario("budget = 'unrestricted'\nfault = [{ kind = 'crash', at = '20s', for = '1s' }]");
    let record = record_at(&unrestricted, 60.0);
    assert_eq!(verdict(&record, "liveness"), Verdict::Undecided);
}

/// Who has lost acknowledgements starts anew when that is over, whatever else has happened to him meanwhile.
#[test]
fn lost_acknowledgements_are_not_forgotten_when_another_fault_begins() {
    let record = record_at(
        &scenario(
            "fault = [{ kind = 'ack-loss', at = '20s', for = '3s', target = 'packers', p = 1 }, { kind = 'hoard', at = '22s', for = '2s', target = 'packers' }]",
        ),
        60.0,
    );
    sound(&record, &[]);
    assert_eq!(verdict(&record, "liveness"), Verdict::Pass);
}

/// A busy node may answer who was connecting after the connection was reset: that opens nothing.
#[test]
fn a_late_answer_does_not_open_a_connection_that_was_reset() {
    let text = r#"duration = "60s"
cluster = { cpu = { ack = "1s" } }
fault = [{ kind = "reset", target = "workers", at = "10s" }, { kind = "reset", target = "workers", at = "11500ms" }]
[[queue]]
name = "jobs"
[[producer]]
name = "clients"
to = "jobs"
rate = "10/s"
limit = 200
confirm = false
[[consumer]]
name = "workers"
from = "jobs"
ack = "auto"
"#;
    let scenario = Scenario::parse("late.toml", text, &[]).unwrap_or_else(|it| panic!("{it}"));
    let record = record_at(&scenario, 60.0);
    sound(&record, &[]);
    assert_eq!(record.queues[0].acked, 200);
}

/// Consumers far away are kept from their next message by its way, not by their services.
#[test]
fn a_drain_takes_as_long_as_the_network_makes_it() {
    let drains = |network: &str, producer: &str, consumer: &str| {
        let text = format!(
            r#"duration = "900s"
fault = [{{ kind = "pause-consumer", target = "packers", at = "1s", for = "100s" }}]

[cluster]
profile = "wan"
{network}

[[queue]]
name = "orders"

[[producer]]
name = "shop"
to = "orders"
{producer}

[[consumer]]
name = "packers"
from = "orders"
count = 2
{consumer}
"#
        );
        let scenario =
            Scenario::parse("far.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
        verdict(&record_at(&scenario, 900.0), "liveness")
    };
    let one = "prefetch = 1\nservice = '1ms'";
    // Each can do 12/s or so.
    assert_eq!(drains("", "rate = '20/s'", one), Verdict::Pass);
    assert_eq!(drains("", "rate = '20/s'", "prefetch = 1"), Verdict::Pass);
    let ahead = "prefetch = 2\nservice = '1ms'";
    assert_eq!(drains("", "rate = '40/s'", ahead), Verdict::Pass);
    // Who cannot keep up owes nothing.
    assert_eq!(drains("", "rate = '30/s'", one), Verdict::Undecided);
    // Each can do 10/s.
    let narrow = "network = { bandwidth = '1MB/s' }";
    let large = "rate = '16/s'\nsize = '100kB'";
    let many = "prefetch = 20\nservice = '1ms'";
    assert_eq!(drains(narrow, large, many), Verdict::Pass);
}
