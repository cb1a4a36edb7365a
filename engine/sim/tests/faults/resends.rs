//! What is sent again is the same message: its key is the same, its second service is a duplicate, and who knows it does not take it twice.

use queuelab_record::{RunRecord, Verdict};
use queuelab_scenario::Scenario;

use crate::{record_at, sound, verdict};

fn run(queue: &str, producer: &str, faults: &str) -> RunRecord {
    let text = format!(
        r#"duration = "40s"
expect = ["no-duplicate", "key-partition"]
fault = [{faults}]

[cluster]
disk = {{ fsync = "20ms" }}

[[queue]]
name = "work"
{queue}

[[producer]]
name = "clients"
to = "work"
limit = 600
confirm = {{ window = 50, timeout = "400ms" }}
{producer}

[[consumer]]
name = "workers"
from = "work"
service = "1ms"
"#
    );
    let scenario =
        Scenario::parse("resends.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    record_at(&scenario, 40.0)
}

const AGAIN: &str = "rate = \"20/s\"\nretry = { policy = \"fixed\", base = \"600ms\", jitter = \"none\", attempts = 20 }";

/// Confirms do not come back for a while, while messages arrive.
fn clog(at: &str, length: &str) -> String {
    format!(
        r#"{{ kind = "clog", at = "{at}", for = "{length}", target = "clients", direction = "out" }}"#
    )
}

#[test]
fn a_service_before_the_resend_makes_the_next_one_a_duplicate() {
    for fault in [
        clog("5s", "3s"),
        format!(
            "{}, {{ kind = \"crash\", at = \"5500ms\", for = \"200ms\" }}",
            clog("5s", "600ms")
        ),
    ] {
        let record = run("", AGAIN, &fault);
        let queue = &record.queues[0];
        assert_eq!(
            (queue.lost, queue.ready_end, queue.in_flight_end),
            (0, 0, 0)
        );
        assert_eq!(queue.duplicates, queue.acked - 600, "{fault}");
        assert!(queue.duplicates > 0, "{fault}");
    }
}

#[test]
fn a_window_of_identities_outlives_restarts() {
    let faults = format!(
        "{}, {{ kind = \"crash\", at = \"15500ms\", for = \"200ms\" }}",
        clog("15s", "600ms")
    );
    let record = run(
        "deduplicate = \"10s\"",
        &format!("id = true\n{AGAIN}"),
        &faults,
    );
    let queue = &record.queues[0];
    assert!(queue.deduplicated > 0, "{queue:?}");
    assert_eq!((queue.acked, queue.duplicates), (600, 0));
    assert_eq!(verdict(&record, "no-duplicate"), Verdict::Pass);
    sound(&record, &[]);
}

#[test]
fn a_key_that_a_fault_gave_stays() {
    let producer = "rate = \"60/s\"\nmessage_key = { dist = \"uniform\", keys = 30 }\nretry = { attempts = 20 }";
    let hot = r#"{ kind = "hot-key", at = "5s", for = "1s", target = "clients" }"#;
    for at in ["5900ms", "4900ms"] {
        let faults = format!("{hot}, {{ kind = \"crash\", at = \"{at}\", for = \"400ms\" }}");
        let record = run("partitions = 3", producer, &faults);
        assert!(record.outcomes.retried > 0, "{at}");
        assert_eq!(verdict(&record, "key-partition"), Verdict::Pass, "{at}");
        sound(&record, &[]);
    }
}

/// What a burst adds is confirmed to nobody, and shifts no other confirm.
#[test]
fn confirms_are_counted_without_what_a_burst_adds() {
    let faults = r#"{ kind = "burst", at = "5s", for = "5s", target = "clients", factor = 5 }, { kind = "slow-disk", at = "5s", for = "5s", factor = 10 }"#;
    for queue in ["", "max_length = 5\noverflow = \"reject-publish\""] {
        let record = run(queue, "rate = \"20/s\"", faults);
        assert_eq!(verdict(&record, "confirm-durable"), Verdict::Pass);
        assert_eq!(verdict(&record, "no-phantom"), Verdict::Pass);
        sound(&record, &[]);
    }
}

/// Places in a log that was emptied go on where they were, and none of what was there before is known.
#[test]
fn a_disk_that_was_wiped_knows_nobody_again() {
    let text = r#"duration = "30s"
budget = "unrestricted"
expect = ["no-duplicate"]
fault = [{ kind = "wipe", at = "10s", for = "1s" }]

[cluster]
profile = "wan"

[[queue]]
name = "work"
deduplicate = "15s"

[[producer]]
name = "clients"
to = "work"
rate = "100/s"
id = true
confirm = { timeout = "1s" }
retry = { attempts = 8 }

[[consumer]]
name = "workers"
from = "work"
service = "5ms"
"#;
    let scenario =
        Scenario::parse("wiped.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let record = record_at(&scenario, 30.0);
    assert!(record.outcomes.retried > 0);
    assert_eq!(verdict(&record, "no-duplicate"), Verdict::Pass);
}
