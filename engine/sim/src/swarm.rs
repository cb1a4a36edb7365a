//! Faults of a seed.

use queuelab_core::Time;
use queuelab_scenario::{Fault, Scenario};

/// The faults of a seed, up to an instant.
pub fn swarm(scenario: &Scenario, _seed: u64, _end: Time) -> Vec<Fault> {
    scenario.faults.clone()
}
