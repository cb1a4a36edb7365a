//! One test for each kind: its effect.

use queuelab_core::Span;
use queuelab_record::Verdict;

use crate::{measured, metric, record_at, run, scenario, sound, verdict};

/// Each kind with its keys, all from 20s on.
pub const KINDS: &[&str] = &[
    "kind = 'crash', for = '2s'",
    "kind = 'power-loss', for = '2s'",
    "kind = 'stop', for = '5s', grace = '1s'",
    "kind = 'restart'",
    "kind = 'pause', for = '2s'",
    "kind = 'slow-cpu', for = '5s', factor = 1000",
    "kind = 'out-of-memory', for = '5s', bytes = '1B'",
    "kind = 'slow-disk', for = '5s', factor = 100",
    "kind = 'stall-disk', for = '2s'",
    "kind = 'throttle-disk', for = '5s', bandwidth = '10kB/s'",
    "kind = 'throttle-disk', for = '5s', iops = 5",
    "kind = 'fsync-error', for = '2s', p = 0.5",
    "kind = 'write-error', for = '2s', p = 0.5",
    "kind = 'read-error', for = '2s', p = 0.5",
    "kind = 'disk-full', for = '2s'",
    "kind = 'latency', for = '5s', target = 'all', extra = '300ms'",
    "kind = 'loss', for = '5s', target = 'all', p = 0.5",
    "kind = 'clog', for = '2s', target = 'shop'",
    "kind = 'swizzle', for = '8s', target = 'all'",
    "kind = 'reset', target = 'all'",
    "kind = 'half-open', for = '3s', target = 'one:packers'",
    "kind = 'half-open', for = '3s', target = 'one:packers', unaware = 'client'",
    "kind = 'bandwidth', for = '5s', target = 'shop', bandwidth = '10kB/s'",
    "kind = 'clock-step', by = '1h'",
    "kind = 'clock-drift', for = '10s', ppm = -1000",
    "kind = 'clock-strobe', for = '5s', by = '-1h', period = '500ms'",
    "kind = 'burst', for = '5s', target = 'shop', factor = 5",
    "kind = 'oversized', for = '5s', target = 'shop', size = '1MiB'",
    "kind = 'hot-key', for = '5s', target = 'shop'",
    "kind = 'consumer-crash', for = '5s', target = 'packers'",
    "kind = 'slow-consumer', for = '5s', target = 'packers', factor = 10",
    "kind = 'pause-consumer', for = '5s', target = 'majority:packers'",
    "kind = 'ack-loss', for = '5s', target = 'packers', p = 0.2",
    "kind = 'nack-storm', for = '5s', target = 'packers', p = 0.9",
    "kind = 'hoard', for = '5s', target = 'packers', count = 2",
    "kind = 'zombie', for = '5s', target = 'minority:packers'",
    "kind = 'set-weights', for = '5s', target = 'packers', weight = 5",
    "kind = 'purge', target = 'orders'",
    "kind = 'set-durability', target = 'orders', durability = 'os', for = '10s'",
];

#[test]
fn every_kind_keeps_the_accounts_and_what_was_confirmed() {
    for kind in KINDS {
        let record = run(&format!("{kind}, at = '20s'"));
        sound(&record, &[]);
        assert!(record.outcomes.confirmed > 3_000, "{kind}");
    }
}

#[test]
fn nothing_differs_before_a_fault_begins() {
    let calm = measured(&record_at(&scenario(""), 19.999));
    for kind in KINDS {
        let scenario = scenario(&format!("fault = [{{ {kind}, at = '20s' }}]"));
        let record = measured(&record_at(&scenario, 19.999));
        assert!(record == calm, "{kind}");
    }
}

#[test]
fn each_kind_shows() {
    let calm = record_at(&scenario(""), 60.0);
    for kind in KINDS {
        // A clock alone does nothing where nothing goes by it, nor do keys where nobody looks, reads where nobody restarts, and a purge where
        // nothing waits.
        let unseen = ["clock-", "hot-key", "read-error", "purge"];
        let record = run(&format!("{kind}, at = '20s'"));
        let differs = measured(&record) != measured(&calm);
        let seen = !unseen.iter().any(|unseen| kind.contains(unseen));
        assert!(differs || !seen, "{kind}");
    }
}

#[test]
fn a_stop_loses_nothing_and_says_so_to_those_who_connect() {
    let record = run("kind = 'stop', at = '20s', for = '5s', grace = '1s'");
    assert!(
        record.faults[0].effect.contains("it took 0 messages"),
        "{:?}",
        record.faults
    );
    assert_eq!(verdict(&record, "no-loss"), Verdict::Pass);
    assert!(metric(&record, "latency.end_to_end.max") > 3.0);
}

#[test]
fn a_pause_delays_and_loses_nothing() {
    let record = run("kind = 'pause', at = '20s', for = '2s'");
    let slowest = metric(&record, "latency.confirm.max");
    assert!((1.9..4.0).contains(&slowest), "{slowest}");
    assert_eq!(record.outcomes.unknown, 0);
}

#[test]
fn loss_is_retransmission_delay() {
    let record = run("kind = 'loss', at = '20s', for = '5s', target = 'shop', p = 0.05");
    let slowest = metric(&record, "latency.confirm.max");
    assert!(slowest > 0.2, "{slowest}");
    assert_eq!(record.outcomes.unknown + record.outcomes.failed, 0);
}

#[test]
fn what_is_clogged_arrives_afterwards() {
    for direction in ["in", "out", "both"] {
        let record = run(&format!(
            "kind = 'clog', at = '20s', for = '2s', target = 'shop', direction = '{direction}'"
        ));
        let slowest = metric(&record, "latency.confirm.max");
        assert!((1.9..4.0).contains(&slowest), "{direction}: {slowest}");
        assert_eq!(record.outcomes.unknown, 0, "{direction}");
    }
}

#[test]
fn a_reset_leaves_messages_unknown_and_clients_come_back() {
    let record = run("kind = 'reset', at = '20s', target = 'shop'");
    assert!(metric(&record, "latency.confirm.max") > 0.9);
    assert_eq!(verdict(&record, "no-loss"), Verdict::Pass);
}

#[test]
fn a_new_connection_does_not_wait_for_what_the_old_one_had_under_way() {
    let both = r#"fault = [
        { kind = 'latency', at = '20s', for = '2s', target = 'packers', extra = '1h' },
        { kind = 'reset', at = '23s', target = 'packers' },
    ]"#;
    let record = record_at(&scenario(both), 60.0);
    sound(&record, &[]);
    let slowest = metric(&record, "latency.end_to_end.max");
    assert!((3.0..10.0).contains(&slowest), "{slowest}");
}

#[test]
fn nobody_is_answered_who_connects_while_that_hangs() {
    let both = r#"fault = [
        { kind = 'connect-hang', at = '19s', for = '5s', target = 'all' },
        { kind = 'reset', at = '20s', target = 'all' },
    ]"#;
    let record = record_at(&scenario(both), 60.0);
    sound(&record, &[]);
    let slowest = metric(&record, "latency.end_to_end.max");
    // Who connects at 21s waits for ten seconds, and for one more before it tries again.
    assert!((10.0..14.0).contains(&slowest), "{slowest}");
}

#[test]
fn a_clock_that_jumps_ends_lives_too_soon() {
    let text = |fault: &str| {
        let paused = "{ kind = 'pause-consumer', at = '19s', for = '3s', target = 'packers' }";
        let text = format!("fault = [{paused}, {fault}]");
        let mut scenario = scenario(&text);
        scenario.queues[0].policy.ttl = Some(Span::from_secs(30));
        record_at(&scenario, 60.0)
    };
    let calm = text("{ kind = 'clock-step', at = '20s', by = '1ms' }");
    let jump = text("{ kind = 'clock-step', at = '20s', by = '1h' }");
    assert_eq!(calm.queues[0].expired, 0);
    assert!(jump.queues[0].dead_lettered + jump.queues[0].expired > 20);
}

#[test]
fn a_burst_sends_more_and_large_messages_are_large() {
    let sent = |fault: &str| {
        let record = run(fault);
        record.outcomes.sent
    };
    let usual = sent("kind = 'pause-consumer', at = '20s', for = '1s', target = 'packers'");
    let burst = sent("kind = 'burst', at = '20s', for = '10s', target = 'shop', factor = 3");
    // 100/s for 10 s, three times.
    assert!((1_800..2_200).contains(&(burst - usual)), "{usual} {burst}");
}

#[test]
fn rejected_messages_come_back() {
    let record = run("kind = 'nack-storm', at = '20s', for = '5s', target = 'packers', p = 0.5");
    let redelivered = metric(&record, "count.redelivered");
    assert!(redelivered > 100.0, "{redelivered}");
}

#[test]
fn lost_and_late_acknowledgements_are_duplicates() {
    let record = run("kind = 'ack-loss', at = '20s', for = '5s', target = 'packers', p = 0.1");
    assert!(metric(&record, "count.redelivered") > 0.0);
    let mut zombies = scenario(
        "fault = [{ kind = 'zombie', at = '20s', for = '8s', target = 'packers', count = 2 }]",
    );
    zombies.queues[0].policy.ack_timeout = Some(queuelab_core::AckTimeout {
        after: Span::from_secs(2),
        closes_channel: false,
    });
    let record = record_at(&zombies, 60.0);
    sound(&record, &[]);
    assert!(metric(&record, "count.redelivered") > 10.0);
}

#[test]
fn the_operator_purges_and_deletes() {
    let slow = "{ kind = 'pause-consumer', at = '15s', for = '10s', target = 'packers' }";
    let record = record_at(
        &scenario(&format!(
            "fault = [{slow}, {{ kind = 'purge', at = '20s', target = 'orders' }}]"
        )),
        60.0,
    );
    sound(&record, &[]);
    assert!(record.queues[0].purged > 100, "{}", record.queues[0].purged);
    let record = record_at(
        &scenario(&format!(
            "fault = [{slow}, {{ kind = 'delete', at = '20s', target = 'orders' }}]"
        )),
        60.0,
    );
    sound(&record, &["no-loss"]);
    assert!(
        record.faults[1].effect.contains("was deleted"),
        "{:?}",
        record.faults[1]
    );
}

#[test]
fn too_much_memory_kills() {
    let record = record_at(
        &scenario(
            "fault = [{ kind = 'pause-consumer', at = '15s', for = '10s', target = 'packers' }, { kind = 'out-of-memory', at = '16s', for = '10s', bytes = '200KiB' }]",
        ),
        60.0,
    );
    sound(&record, &[]);
    assert!(
        record.faults[1].effect.contains("killed at"),
        "{:?}",
        record.faults[1]
    );
}

#[test]
fn a_stop_does_not_wait_for_a_log_that_fails() {
    for trouble in ["fsync-error", "write-error", "disk-full"] {
        let p = if trouble == "disk-full" {
            ""
        } else {
            ", p = 1"
        };
        for stop in [
            "kind = 'stop', for = '2s', grace = '1s'",
            "kind = 'restart'",
            "kind = 'set-durability', for = '10s', target = 'orders', durability = 'os'",
        ] {
            let both = format!(
                "fault = [{{ kind = '{trouble}', at = '20s', for = '4s'{p} }}, {{ {stop}, at = '20s' }}]"
            );
            let record = record_at(&scenario(&both), 60.0);
            sound(&record, &["confirm-durable"]);
            assert_eq!(record.nodes[0].stopped, None, "{trouble} {stop}");
            assert!(record.outcomes.confirmed > 3_000, "{trouble} {stop}");
        }
    }
}

#[test]
fn a_log_that_fails_at_the_end_of_its_fault_is_opened_again() {
    let both = "fault = [{ kind = 'pause', at = '20s', for = '2s' }, { kind = 'disk-full', at = '20s', for = '2s' }]";
    let record = record_at(&scenario(both), 60.0);
    sound(&record, &[]);
    assert_eq!(record.nodes[0].stopped, None);
    assert!(record.outcomes.confirmed > 3_000);
}
