//! Each fault of the disk: what the node does about it, and what it costs.

use super::{deposit, invariant, missing, power_loss, run};

/// Orders come and are served while `faults` strike a queue that syncs; in the end there is time to come to rest.
fn shop(faults: &str) -> String {
    format!(
        r#"
        duration = "60s"
        [[queue]]
        name = "q"
        [[producer]]
        name = "p"
        count = 4
        to = "q"
        rate = "200/s"
        limit = 6_000
        size = {{ dist = "lognormal", median = "1KB", p99 = "8KB" }}
        confirm = {{ window = 20, timeout = "1s" }}
        reconnect = "200ms"
        retry = {{ policy = "fixed", base = "100ms", attempts = 100 }}
        [[consumer]]
        name = "c"
        from = "q"
        count = 4
        service = "5ms"
        {faults}
        "#
    )
}

fn fault(kind: &str) -> String {
    format!("[[fault]]\nname = \"f\"\nat = \"10s\"\nkind = {kind}\n")
}

#[test]
fn what_a_failed_write_left_in_part_may_be_lost_once_more() {
    let power = "[[fault]]\nname = \"then\"\nkind = \"power-loss\"\nat = \"12s\"\nfor = \"1s\"\nunsynced = \"random\"\n";
    for seed in 1..=5 {
        let record = run(&shop(&(fault("\"disk-full\"\nfor = \"3s\"") + power)), seed);
        assert_eq!(record.nodes[0].stopped, None, "{seed}");
        assert_eq!(invariant(&record, "no-loss").violations, 0, "{seed}");
    }
}

#[test]
fn what_leaves_a_good_copy_of_everything_loses_nothing_and_the_node_comes_to_rest() {
    let power = |unsynced: &str| {
        format!(
            "[[fault]]\nname = \"then\"\nkind = \"power-loss\"\nat = \"12s\"\nfor = \"1s\"\nunsynced = \"{unsynced}\"\n"
        )
    };
    let thens = [String::new(), power("torn"), power("random")];
    for (kind, stops) in [
        ("\"stall-disk\"\nfor = \"3s\"", false),
        (
            "\"throttle-disk\"\nfor = \"5s\"\nbandwidth = \"20kB/s\"",
            false,
        ),
        ("\"throttle-disk\"\nfor = \"5s\"\niops = 4", false),
        ("\"fsync-error\"\nfor = \"3s\"", true),
        ("\"fsync-error\"\nfor = \"3s\"\np = 0.01", true),
        ("\"write-error\"\nfor = \"3s\"\np = 0.05", true),
        ("\"disk-full\"\nfor = \"3s\"", true),
        ("\"read-error\"\nfor = \"8s\"", false),
    ] {
        for then in &thens {
            let record = run(&shop(&(fault(kind) + then)), 5);
            if let Some(checked) = record.invariants.iter().find(|it| it.violations > 0) {
                panic!("{kind}: {} {:?}", checked.name, checked.examples);
            }
            let queue = &record.queues[0];
            assert_eq!(
                record.outcomes.confirmed, 6_000,
                "{kind}: {:?}",
                record.outcomes
            );
            assert_eq!((queue.ready_end, queue.in_flight_end), (0, 0), "{kind}");
            assert_eq!(record.nodes[0].stopped, None, "{kind}");
            let effect = &record.faults[0].effect;
            assert_eq!(
                effect.starts_with("n1 stopped: failed to "),
                stops,
                "{kind}: {effect}"
            );
        }
    }
}

#[test]
fn a_log_that_cannot_be_read_keeps_the_node_down_until_it_can() {
    let crash = "[[fault]]\nkind = \"crash\"\nat = \"11s\"\nfor = \"1s\"\n";
    let record = run(&shop(&(fault("\"read-error\"\nfor = \"20s\"") + crash)), 1);
    let published = &record.queues[0].series.published;
    // 600 windows of 100 ms: down from 11 s until 30 s.
    assert!(published[115..295].iter().all(|count| *count == 0));
    assert!(published[300..350].iter().any(|count| *count > 0));
}

#[test]
fn an_fsync_that_lies_loses_what_it_promised_and_the_checker_counts_it() {
    for seed in 1..=3 {
        let lie = "[[fault]]\nkind = \"fsync-lie\"\nat = \"59s\"\nfor = \"10s\"\n";
        let record = run(&deposit("fsync", 500, &(power_loss("61s", "") + lie)), seed);
        let missing = missing(&record);
        assert!((900..1_100).contains(&missing), "{missing}");
        assert_eq!(invariant(&record, "no-loss").violations, missing);
    }
}

#[test]
fn damage_to_what_was_synced_is_refused_with_the_reason() {
    for damage in [
        "\"bit-rot\"\nbits = 50\nof = \"synced\"",
        "\"misdirected-write\"",
    ] {
        let crash = "[[fault]]\nkind = \"crash\"\nat = \"20s\"\nfor = \"1s\"\n";
        // Nobody consumes, so that all that was written still counts.
        let text = deposit("fsync", 100, &(fault(damage) + crash)).replace("1h", "1s");
        let record = run(&text, 3);
        let stopped = record.nodes[0].stopped.as_deref().unwrap_or_default();
        assert!(
            stopped.starts_with("failed to read entry "),
            "{damage}: {stopped}"
        );
        assert!(
            stopped.contains("says that the disk had all entries up to"),
            "{stopped}"
        );
        assert!(stopped.contains("restore the log from"), "{stopped}");
        assert_eq!(
            invariant(&record, "no-loss").violations,
            0,
            "nothing was given up"
        );
        let published = &record.queues[0].series.published;
        assert!(
            published[140..].iter().all(|count| *count == 0),
            "and nothing is served"
        );
    }
}

#[test]
fn an_empty_disk_is_a_new_beginning() {
    let wipe = "[[fault]]\nkind = \"wipe\"\nat = \"20s\"\nfor = \"1s\"\n";
    let rot = fault("\"bit-rot\"\nbits = 50\nof = \"synced\"");
    let text = deposit("fsync", 100, &(rot + wipe)).replace("1h", "1s");
    let record = run(&text, 3);
    assert_eq!(record.nodes[0].stopped, None);
    let lost = invariant(&record, "no-loss").violations;
    assert!((1_990..=2_001).contains(&lost), "{lost}");
    assert!(record.outcomes.confirmed > 6_000);
}

#[test]
fn the_end_of_a_log_can_go_without_a_trace() {
    // The fault strikes as the node is down: nothing is written behind it.
    let truncate = "[[fault]]\nkind = \"truncate-log\"\nat = \"61.5s\"\nbytes = \"50KB\"\n";
    let crash = power_loss("61s", "");
    let record = run(&deposit("fsync", 200, &(crash + truncate)), 1);
    let missing = missing(&record);
    assert!(missing > 20, "{missing}");
    assert_eq!(invariant(&record, "no-loss").violations, missing);
}

#[test]
fn an_old_backup_takes_what_came_since() {
    let restore = "[[fault]]\nkind = \"rollback\"\nat = \"40s\"\nfor = \"20s\"\n";
    let record = run(&deposit("fsync", 200, restore), 1);
    let missing = missing(&record);
    assert!((3_950..=4_050).contains(&missing), "{missing}");
    assert_eq!(invariant(&record, "no-loss").violations, missing);
}

#[test]
fn a_log_that_fills_the_disk_stops_the_node() {
    let text = format!(
        "{}\n[cluster]\ndisk = {{ capacity = \"1MB\" }}",
        deposit("fsync", 200, "")
    );
    let record = run(&text, 1);
    let stopped = record.nodes[0].stopped.as_deref();
    assert_eq!(
        stopped,
        Some("failed to write to the log: no space left on device")
    );
    assert!(record.outcomes.confirmed > 100);
    assert_eq!(invariant(&record, "no-loss").violations, 0);
}

#[test]
fn a_run_with_faults_of_the_disk_repeats() {
    let text = shop(
        &(fault("\"fsync-error\"\nfor = \"3s\"\np = 0.01")
            + &power_loss("20s", "unsynced = \"random\"\n")),
    );
    assert_eq!(run(&text, 9).to_json(), run(&text, 9).to_json());
    assert_ne!(run(&text, 9).trace_hash, run(&text, 8).trace_hash);
}
