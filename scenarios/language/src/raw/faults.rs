//! Faults.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawDistribution, RawDurability};
use crate::fault::{Direction, End, FaultBudget, Milestone, Rot, Unsynced};
use crate::shape::{At, Bandwidth, Count, Duration, Number, Signed, SignedDuration, SizeText};

/// A fault.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fault")]
pub(crate) struct RawFault {
    /// Its name, unique. Absent: its kind, numbered.
    pub(crate) name: Option<At<String>>,
    /// What happens.
    pub(crate) kind: RawFaultKind,
    /// When it strikes: once, then. One of `at`, `during`, `every`, `on` and `each_step`.
    pub(crate) at: Option<At<Duration>>,
    /// It starts with this phase, and ends with it unless `for` says otherwise; with `every` or `each_step`: only in this phase.
    pub(crate) during: Option<At<String>>,
    /// It strikes again and again, as a Poisson process.
    pub(crate) every: Option<At<EveryTable>>,
    /// It strikes at the nth time that something happens.
    pub(crate) on: Option<At<OnTable>>,
    /// It goes on and off by the toss of a coin.
    pub(crate) each_step: Option<At<EachStepTable>>,
    /// How long it lasts: a distribution. Not of what happens in an instant.
    #[serde(rename = "for")]
    pub(crate) length: Option<At<RawDistribution>>,
    /// To whom: the node n1 (the default where a node is meant), a group of clients or a queue by name, "all", "one", "minority", "majority", "one:NAME", "minority:NAME", "majority:NAME", or "leader:QUEUE".
    pub(crate) target: Option<At<String>>,
    /// How many members of the group, the first ones. Absent: all.
    pub(crate) count: Option<At<Count>>,
    /// Of slow faults: how many times as long things take; of "burst": how many times as much is sent.
    pub(crate) factor: Option<At<Number>>,
    /// Of "crash" and "power-loss": what becomes of what was not synced. Default "keep" for a crash, "drop" for a power loss.
    pub(crate) unsynced: Option<At<RawUnsynced>>,
    /// Of "stop": how long the node goes on with those who are connected. Default "5s".
    pub(crate) grace: Option<At<Duration>>,
    /// Of "out-of-memory": the limit; of "truncate-log": how much of its end is gone.
    pub(crate) bytes: Option<At<SizeText>>,
    /// Of "throttle-disk" and "bandwidth": no more than this.
    pub(crate) bandwidth: Option<At<Bandwidth>>,
    /// Of "throttle-disk": no more operations per second than this.
    pub(crate) iops: Option<At<Number>>,
    /// How likely it is, 0 to 1, each time. Default 1.
    pub(crate) p: Option<At<Number>>,
    /// Of "bit-rot": how many bits flip. Default 1.
    pub(crate) bits: Option<At<Count>>,
    /// Of "bit-rot": where. Default "any".
    pub(crate) of: Option<At<RawRot>>,
    /// Of "latency": a distribution, what is added to each packet's latency.
    pub(crate) extra: Option<At<RawDistribution>>,
    /// Of "clog": which way, as seen from the node. Default "both".
    pub(crate) direction: Option<At<RawDirection>>,
    /// Of "half-open": which end does not learn that the connection is dead. Default "node".
    pub(crate) unaware: Option<At<RawConnectionEnd>>,
    /// Of "clock-step" and "clock-strobe": by how much the wall clock jumps, such as "1h" or "-30s".
    pub(crate) by: Option<At<SignedDuration>>,
    /// Of "clock-drift": by how many millionths the wall clock runs fast, or slow.
    pub(crate) ppm: Option<At<Signed>>,
    /// Of "clock-strobe": time between two jumps.
    pub(crate) period: Option<At<Duration>>,
    /// Of "oversized": the size of bodies.
    pub(crate) size: Option<At<SizeText>>,
    /// Of "set-durability": when a message counts as stored.
    pub(crate) durability: Option<At<RawDurability>>,
    /// Of "set-weights": the consumers' weight.
    pub(crate) weight: Option<At<Count>>,
}

/// A Poisson process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Every")]
pub(crate) struct EveryTable {
    /// Mean time from one to the next.
    pub(crate) mean: At<Duration>,
}

/// Something that happens in a run, and can be counted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "On")]
pub(crate) struct OnTable {
    /// What happens.
    pub(crate) event: RawMilestone,
    /// Which time, from 1. Default 1.
    pub(crate) nth: Option<At<Count>>,
    /// Just before it takes effect, or just after. Default "after".
    pub(crate) edge: Option<RawEdge>,
}

/// The toss of a coin at each step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EachStep")]
pub(crate) struct EachStepTable {
    /// The length of a step. Default "1s".
    pub(crate) every: Option<At<Duration>>,
    /// How likely it begins at a step, 0 to 1.
    pub(crate) p: At<Number>,
    /// How likely it ends at a step, 0 to 1.
    pub(crate) heal_p: At<Number>,
    /// How long it stays off at least. Default "0s".
    pub(crate) stability: Option<At<Duration>>,
    /// How long it stays on at least. Default "0s".
    pub(crate) heal_stability: Option<At<Duration>>,
}

/// Just before something takes effect, or just after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Edge")]
pub(crate) enum RawEdge {
    /// Before.
    Before,
    /// After.
    #[default]
    After,
}

/// A word of a scenario for each variant of a type, with a description for the schema.
macro_rules! words {
    ($(#[doc = $about:literal])* $raw:ident as $schema:literal for $target:ident { $($(#[doc = $doc:literal])* $variant:ident,)+ }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[schemars(rename = $schema)]
        pub(crate) enum $raw {
            $($(#[doc = $doc])* $variant,)+
        }

        impl From<$raw> for $target {
            fn from(raw: $raw) -> $target {
                match raw {
                    $($raw::$variant => $target::$variant,)+
                }
            }
        }
    };
}

words! {
    /// What happens in a run again and again.
    RawMilestone as "Milestone" for Milestone {
        /// A publish reaches the broker.
        Publish,
        /// A copy of a message takes its place in a queue.
        Enqueue,
        /// The broker confirms a publish.
        Confirm,
        /// The broker sends a message to a consumer.
        Deliver,
        /// A consumer acknowledges.
        Ack,
        /// A message comes back to its queue.
        Requeue,
        /// A message becomes a dead letter.
        DeadLetter,
        /// A message's time to live is over.
        Expire,
        /// An fsync is done.
        Fsync,
        /// The node starts again.
        Restart,
        /// The members of a group are assigned anew.
        Rebalance,
    }
}

words! {
    /// What becomes of log entries that no fsync has covered.
    RawUnsynced as "Unsynced" for Unsynced {
        /// They are gone.
        Drop,
        /// They are there.
        Keep,
        /// A random subset is gone.
        Random,
        /// All up to a random place are there, which is within a record.
        Torn,
        /// Some of them are garbage.
        Corrupt,
    }
}

words! {
    /// Which part of a log rots.
    RawRot as "Rot" for Rot {
        /// What an fsync has covered.
        Synced,
        /// All entries.
        Any,
        /// The checkpoints, which say where the log begins.
        Checkpoints,
    }
}

words! {
    /// A direction, as seen from the node.
    RawDirection as "Direction" for Direction {
        /// To the node.
        In,
        /// From the node.
        Out,
        /// Both ways.
        Both,
    }
}

words! {
    /// An end of a connection.
    RawConnectionEnd as "ConnectionEnd" for End {
        /// The broker's.
        Node,
        /// The client's.
        Client,
    }
}

words! {
    /// What faults there may be, and what is expected of the end.
    RawFaultBudget as "FaultBudget" for FaultBudget {
        /// Each fault leaves a good copy of every message; once everything is healed, the backlog must drain.
        Recoverable,
        /// Anything goes; nothing is expected of the end.
        Unrestricted,
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "FaultKind")]
pub(crate) enum RawFaultKind {
    /// The node's process dies. It restarts after `for`.
    Crash,
    /// The node's machine dies: what was not synced is gone. It restarts after `for`.
    PowerLoss,
    /// The node is stopped in order, and starts again after `for`.
    Stop,
    /// The node is stopped in order, and starts again at once.
    Restart,
    /// The node's process dies, and its disk is empty when it restarts after `for`.
    Wipe,
    /// The node's process stands still.
    Pause,
    /// What the CPU does takes `factor` times as long.
    SlowCpu,
    /// The process is killed once the bodies in its queues take more than `bytes`. It restarts when `for` is over.
    OutOfMemory,
    /// fsync takes `factor` times as long.
    SlowDisk,
    /// fsyncs don't return.
    StallDisk,
    /// The disk transfers no more than `bandwidth`, or does no more than `iops` operations per second.
    ThrottleDisk,
    /// fsync reports an error, with probability `p`.
    FsyncError,
    /// fsync reports success, and nothing is on the platter, with probability `p`.
    FsyncLie,
    /// A write reports an error, with probability `p`.
    WriteError,
    /// A read reports an error, with probability `p`.
    ReadError,
    /// Nothing more can be written.
    DiskFull,
    /// `bits` flip in the log.
    BitRot,
    /// The next write lands in another place of the log.
    MisdirectedWrite,
    /// The last `bytes` of the log are gone.
    TruncateLog,
    /// The disk is put back to what it was `for` ago, and the node restarts from that.
    Rollback,
    /// Packets take longer, by `extra`.
    Latency,
    /// Packets are lost with probability `p`, and sent again after a timeout.
    Loss,
    /// Nothing gets through in one `direction` or both.
    Clog,
    /// A random half of the connections is clogged one after the other, and unclogged in another order.
    Swizzle,
    /// Connections are reset.
    Reset,
    /// Connections die, and one end is `unaware` of it.
    HalfOpen,
    /// Nobody answers those who connect.
    ConnectHang,
    /// Connections transfer no more than `bandwidth`.
    Bandwidth,
    /// The wall clock jumps `by`.
    ClockStep,
    /// The wall clock runs fast by `ppm` millionths.
    ClockDrift,
    /// The wall clock jumps `by` to and fro each `period`.
    ClockStrobe,
    /// Producers send `factor` times as much.
    Burst,
    /// Bodies are of this `size`.
    Oversized,
    /// All messages carry the same key.
    HotKey,
    /// Consumers die, and come back after `for`.
    ConsumerCrash,
    /// Service takes `factor` times as long.
    SlowConsumer,
    /// Consumers stand still.
    PauseConsumer,
    /// Acknowledgements are lost with probability `p`.
    AckLoss,
    /// Consumers reject with probability `p` what they are served.
    NackStorm,
    /// Consumers take what they can get, and serve none of it.
    Hoard,
    /// Consumers hold their acknowledgements back until `for` is over.
    Zombie,
    /// Queues are emptied.
    Purge,
    /// Queues are deleted.
    Delete,
    /// Queues get another `durability`.
    SetDurability,
    /// Consumers get another `weight`.
    SetWeights,
}
