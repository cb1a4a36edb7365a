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
fn losses_are_told_by_where_they_were() {
    let record = shipped("lazy-fsync", &[]);
    let lost = invariant(&record, "no-loss");
    let places = lost.losses.expect("something was lost");
    // The shop goes on selling after the power is back.
    assert_eq!((places.before, places.behind), (0, 0));
    assert_eq!(places.amid, lost.violations);
    let measured = &record.expectations[0].measured;
    assert!(
        measured.ends_with(" amid, 0 behind what was kept"),
        "{measured}"
    );
    let kept = shipped("lazy-fsync", &["queue.orders.durability=fsync"]);
    assert_eq!(invariant(&kept, "no-loss").losses, None);
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
fn a_damaged_snapshot_is_refused_unless_another_has_taken_its_place() {
    let refused = shipped("snapshot-corruption", &[]);
    let stopped = refused.nodes[0].stopped.as_deref().unwrap_or_default();
    assert!(stopped.contains("neither checkpoint is whole"), "{stopped}");
    assert_eq!(invariant(&refused, "no-loss").violations, 0);
    let replaced = shipped("snapshot-corruption", &["fault.rot.at=20s"]);
    assert_eq!(replaced.nodes[0].stopped, None);
    assert!(replaced.queues[0].acked > refused.queues[0].acked + 5_000);
    // Of one bit it depends which checkpoint it is in.
    let one = |name: &str| {
        let name = format!("fault.rot.name={name}");
        let record = shipped("snapshot-corruption", &["fault.rot.bits=1", &name]);
        record.nodes[0].stopped.clone()
    };
    let stopped: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(one).into();
    assert!(stopped.iter().any(Option::is_none), "{stopped:?}");
    let older = |stopped: &String| stopped.contains("0000000000.log: it is missing, although");
    assert!(stopped.iter().flatten().all(older), "{stopped:?}");
    assert!(stopped.iter().any(Option::is_some), "{stopped:?}");
}

#[test]
fn a_retry_storm_stays_unless_repetitions_fit_into_the_spare_capacity() {
    let confirmed = |overrides: &[&str]| {
        let record = shipped("metastable", overrides);
        (record.outcomes.confirmed, record.outcomes.offered)
    };
    let (storm, offered) = confirmed(&[]);
    assert!(storm * 5 < offered, "{storm} of {offered}");
    let backoff =
        "{ policy = 'exponential', base = '20s', max = '2m', jitter = 'full', attempts = 10 }";
    let (healed, offered) = confirmed(&[&format!("producer.clients.retry={backoff}")]);
    assert!(healed + 100 > offered, "{healed} of {offered}");
    let (short, offered) = confirmed(&["fault.standstill.for=2s"]);
    assert!(short + 100 > offered, "{short} of {offered}");
}

#[test]
fn those_who_reconnect_together_hold_up_all_others() {
    let waits = |overrides: &[&str]| {
        let record = shipped("thundering-reconnect", overrides);
        match record.metric("latency.confirm.p50", Some("tills"), Some("rush")) {
            Ok(queuelab_record::Measured::Value { value, .. }) => value,
            other => panic!("{other:?}"),
        }
    };
    let (together, apart) = (waits(&[]), waits(&["producer.phones.reconnect_spread=30s"]));
    assert!(together > 5.0 * apart, "{together} s, {apart} s");
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
