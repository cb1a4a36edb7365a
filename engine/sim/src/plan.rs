//! What a run is made of beside its scenario: seed, horizon, operations, faults and knobs, all of which can be cut down.
//!
//! An *operation* is one arrival, a message of a producer, with all its consequences. Whatever is left out of a plan shifts
//! nothing else, because every choice is drawn by a counter of its own: that is what makes a failing run small.

use std::sync::Arc;

use queuelab_core::Time;
use queuelab_scenario::{Fault, FaultKind, Queues, Scenario, Whose};
use serde::{Deserialize, Serialize};

use crate::check::Tag;

/// How to run a scenario. The default is the scenario as it is, with seed 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u64,
    /// When the run ends, if that is before the scenario's end: in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<Time>,
    /// The operations that take place; all, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Mask>,
    /// The faults, instead of the scenario's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<Fault>>,
    /// Values that differ from the scenario's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub knobs: Vec<Knob>,
    /// A bug that a test plants.
    #[cfg(feature = "planted-bugs")]
    #[serde(skip)]
    pub bug: Option<crate::planted::Bug>,
}

/// One arrival: which producer of all, and which of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Operation {
    /// Its number among all producers of the scenario; what is in the queues before the run has the number after all clients.
    pub producer: u32,
    /// Its number among the producer's arrivals, from zero.
    pub sequence: u64,
}

/// Operations that take place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mask {
    operations: Vec<Operation>,
}

/// A value of the scenario that can be turned down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Knob {
    /// How many members a consumer group has.
    Consumers {
        /// Index into [`Scenario::consumers`].
        group: usize,
        /// At least 1.
        count: u32,
    },
    /// How many unacknowledged deliveries a member holds.
    Prefetch {
        /// Index into [`Scenario::consumers`].
        group: usize,
        /// At least 1.
        limit: u32,
    },
    /// How many publishes of a producer may be unconfirmed.
    Window {
        /// Index into [`Scenario::producers`].
        group: usize,
        /// At least 1.
        limit: u32,
    },
}

impl Plan {
    /// The scenario as it is, with a seed.
    pub fn seeded(seed: u64) -> Plan {
        Plan {
            seed,
            ..Plan::default()
        }
    }

    /// The scenario with the faults and values of the plan. What does not fit the scenario is left as it is.
    pub fn apply(&self, scenario: &Arc<Scenario>) -> Arc<Scenario> {
        if self.faults.is_none() && self.knobs.is_empty() {
            return scenario.clone();
        }
        let mut scenario = Scenario::clone(scenario);
        if let Some(faults) = &self.faults {
            scenario.faults.clone_from(faults);
        }
        for knob in &self.knobs {
            knob.turn(&mut scenario);
        }
        Arc::new(scenario)
    }

    /// What of the plan a scenario does not have, in words, if there is something.
    pub fn misfit(&self, scenario: &Scenario) -> Option<String> {
        let (producers, consumers) = (scenario.producers.len(), scenario.consumers.len());
        let strays = |fault: &&Fault| match fault.kind.clients().map(|clients| clients.of) {
            Some(Whose::Producer(group)) => group >= producers,
            Some(Whose::Consumer(group)) => group >= consumers,
            _ => match fault.kind {
                FaultKind::Purge { queues }
                | FaultKind::Delete { queues }
                | FaultKind::SetDurability { queues, .. } => {
                    matches!(queues, Queues::Queue(queue) if queue >= scenario.queues.len())
                }
                _ => false,
            },
        };
        if let Some(fault) = self.faults.iter().flatten().find(strays) {
            return Some(format!(
                "fault {} is of a group or queue that is not there",
                fault.name
            ));
        }
        let stray = self.knobs.iter().find(|knob| match knob {
            Knob::Consumers { group, .. } | Knob::Prefetch { group, .. } => *group >= consumers,
            Knob::Window { group, .. } => *group >= producers,
        });
        stray.map(|knob| format!("{knob:?} is of a group that is not there"))
    }

    /// When the run of a scenario ends.
    pub fn end(&self, scenario: &Scenario) -> Time {
        let end = scenario.end();
        self.horizon.map_or(end, |horizon| horizon.min(end))
    }
}

impl Operation {
    /// The operation that a message's tag names.
    pub fn of_tag(tag: u64) -> Operation {
        let tag = Tag(tag);
        Operation {
            producer: tag.producer() as u32,
            sequence: tag.sequence(),
        }
    }
}

impl Mask {
    /// A mask of these operations.
    pub fn new(mut operations: Vec<Operation>) -> Mask {
        operations.sort_unstable();
        operations.dedup();
        Mask { operations }
    }

    /// The operations, by producer and sequence.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The arrivals of one producer, in order.
    pub fn of(&self, producer: u32) -> Vec<u64> {
        let first = self
            .operations
            .partition_point(|operation| operation.producer < producer);
        self.operations[first..]
            .iter()
            .take_while(|operation| operation.producer == producer)
            .map(|operation| operation.sequence)
            .collect()
    }
}

impl Knob {
    fn turn(self, scenario: &mut Scenario) {
        match self {
            Knob::Consumers { group, count } => {
                if let Some(consumer) = scenario.consumers.get_mut(group) {
                    consumer.count = count.clamp(1, consumer.count.max(1));
                }
            }
            Knob::Prefetch { group, limit } => {
                if let Some(consumer) = scenario.consumers.get_mut(group) {
                    consumer.prefetch = limit.max(1);
                }
            }
            Knob::Window { group, limit } => {
                let producer = scenario.producers.get_mut(group);
                if let Some(confirm) = producer.and_then(|producer| producer.confirm.as_mut()) {
                    confirm.window = limit.max(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_knows_the_arrivals_of_each_producer() {
        let operation = |producer, sequence| Operation { producer, sequence };
        let mask = Mask::new(vec![
            operation(2, 7),
            operation(0, 3),
            operation(2, 1),
            operation(2, 7),
        ]);
        assert_eq!(mask.of(0), [3]);
        assert!(mask.of(1).is_empty());
        assert_eq!(mask.of(2), [1, 7]);
    }
}
