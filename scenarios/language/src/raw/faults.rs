//! Faults.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::shape::{At, Count, Duration, Number};

/// A fault.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fault")]
pub(crate) struct RawFault {
    /// Its name, unique. Absent: its kind, numbered.
    pub(crate) name: Option<At<String>>,
    /// What happens.
    pub(crate) kind: RawFaultKind,
    /// When it starts. Either this or `during`.
    pub(crate) at: Option<At<Duration>>,
    /// It starts with this phase, and ends with it unless `for` says otherwise. Either this or `at`.
    pub(crate) during: Option<At<String>>,
    /// To whom: the node n1 (the default where a node is meant), or a group of consumers.
    pub(crate) target: Option<At<String>>,
    /// How many members of the group. Absent: all.
    pub(crate) count: Option<At<Count>>,
    /// Of "slow-disk" and "slow-consumer": how many times as long things take.
    pub(crate) factor: Option<At<Number>>,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub(crate) length: Option<At<Duration>>,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "FaultKind")]
pub(crate) enum RawFaultKind {
    /// The node's process dies: what was not written is gone. It restarts after `for`.
    Crash,
    /// The node's machine dies: what was not synced is gone. It restarts after `for`.
    PowerLoss,
    /// fsync takes `factor` times as long.
    SlowDisk,
    /// Consumers die, and come back after `for`.
    ConsumerCrash,
    /// Service takes `factor` times as long.
    SlowConsumer,
    /// Consumers stand still.
    PauseConsumer,
}

impl RawFaultKind {
    /// As in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            RawFaultKind::Crash => "crash",
            RawFaultKind::PowerLoss => "power-loss",
            RawFaultKind::SlowDisk => "slow-disk",
            RawFaultKind::ConsumerCrash => "consumer-crash",
            RawFaultKind::SlowConsumer => "slow-consumer",
            RawFaultKind::PauseConsumer => "pause-consumer",
        }
    }
}
