//! Faults drawn by seed.

use std::collections::BTreeSet;

use queuelab_scenario::FaultBudget;
use queuelab_sim::swarm;

use crate::{record_at, scenario, sound, with_faults};

#[test]
fn a_swarm_has_other_faults_for_each_seed_and_the_same_for_the_same() {
    let shop = scenario("");
    let swarms: Vec<_> = (0..50).map(|seed| swarm(&shop, seed)).collect();
    assert_eq!(swarms[7], swarm(&shop, 7));
    let kinds: BTreeSet<_> = swarms
        .iter()
        .flatten()
        .map(|fault| fault.kind.name())
        .collect();
    assert!(kinds.len() > 25, "{kinds:?}");
    let sizes: BTreeSet<_> = swarms.iter().map(Vec::len).collect();
    assert!(sizes.len() > 5, "{sizes:?}");
    let recoverable = |fault: &queuelab_scenario::Fault| shop.survives(&fault.kind);
    assert!(swarms.iter().flatten().all(recoverable));
}

#[test]
fn nothing_confirmed_is_lost_in_a_swarm() {
    let shop = scenario("heal = '45s'");
    for seed in 0..30 {
        let scenario = with_faults(&shop, swarm(&shop, seed));
        let record = record_at(&scenario, 60.0);
        sound(&record, &[]);
    }
}

#[test]
fn a_swarm_of_everything_keeps_the_accounts() {
    let mut shop = scenario("");
    shop.budget = FaultBudget::Unrestricted;
    let mut kinds = BTreeSet::new();
    for seed in 0..20 {
        let faults = swarm(&shop, seed);
        kinds.extend(faults.iter().map(|fault| fault.kind.name()));
        let record = record_at(&with_faults(&shop, faults), 20.0);
        assert_eq!(
            record.littles_law.integral, record.littles_law.sojourns,
            "{seed}"
        );
    }
    assert!(kinds.contains("rollback") && kinds.contains("bit-rot"));
}
