//! Faults of a seed.

use queuelab_scenario::{Fault, Scenario};

/// The faults of a seed.
pub fn swarm(scenario: &Scenario, _seed: u64) -> Vec<Fault> {
    scenario.faults.clone()
}
