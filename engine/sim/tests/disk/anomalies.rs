//! The shipped anomalies and their twins: one key differs, and so does the verdict.

use std::sync::Arc;

use queuelab_record::RunRecord;
use queuelab_sim::{Options, Simulation};

use super::invariant;

fn shipped(name: &str, overrides: &[&str]) -> RunRecord {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    let scenario = queuelab_scenario::open(name, &overrides);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    let seed = scenario.seed;
    let mut simulation = Simulation::new(Arc::new(scenario), Options { seed, check: true });
    simulation.run_until(simulation.end());
    simulation.record()
}

fn losses(name: &str, overrides: &[&str]) -> u64 {
    invariant(&shipped(name, overrides), "no-loss").violations
}

#[test]
fn lazy_fsync_loses_and_fsync_does_not() {
    assert!(losses("lazy-fsync", &[]) > 100);
    assert_eq!(losses("lazy-fsync", &["queue.orders.durability=fsync"]), 0);
    let little = losses("lazy-fsync", &["queue.orders.durability=interval(10ms)"]);
    assert!(little < 30, "{little}");
}

#[test]
fn a_flipped_bit_matters_at_the_restart_that_reads_it() {
    let before = shipped("bit-flip", &[]);
    assert!(before.nodes[0].stopped.is_some());
    let after = shipped("bit-flip", &["fault.rot.at=40s"]);
    assert_eq!(after.nodes[0].stopped, None);
    assert!(after.queues[0].acked > before.queues[0].acked + 5_000);
    assert!(losses("bit-flip", &["fault.crash.kind=wipe"]) > 100);
}

#[test]
fn an_old_backup_loses_and_an_outage_does_not() {
    assert!(losses("old-backup", &[]) > 1_000);
    assert_eq!(losses("old-backup", &["fault.restore.kind=crash"]), 0);
}

#[test]
fn a_token_has_two_holders_unless_its_lease_outlasts_the_pause() {
    assert!(shipped("queue-as-lock", &[]).queues[0].lease_expired > 0);
    let patient = shipped("queue-as-lock", &["queue.lock.ack_timeout=30s"]);
    assert_eq!(patient.queues[0].lease_expired, 0);
}

#[test]
fn an_ambiguous_send_duplicates_unless_the_broker_counts() {
    let offered = |record: &RunRecord| record.outcomes.offered;
    let twice = shipped("ambiguous-send", &[]);
    assert!(twice.queues[0].enqueued > offered(&twice));
    let once = shipped("ambiguous-send", &["producer.shop.idempotent=true"]);
    assert_eq!(once.queues[0].enqueued, offered(&once));
    assert!(once.queues[0].deduplicated > 0);
}

#[test]
fn a_large_prefetch_makes_messages_wait_for_whoever_is_slow() {
    let slowest = |overrides: &[&str]| shipped("hoarding", overrides).end_to_end(None).max();
    let (hoarded, shared) = (slowest(&[]), slowest(&["consumer.workers.prefetch=1"]));
    assert!(
        hoarded > shared.map(|span| span * 5),
        "{hoarded:?}, {shared:?}"
    );
}
