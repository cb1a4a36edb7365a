//! Faults as values: what happens, to whom, when and for how long.

use queuelab_core::{Durability, Span, Time};
use serde::{Deserialize, Serialize};

use crate::scenario::{Distribution, Scenario};

/// A fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Its name, unique; a number is added where the author gave none.
    pub name: String,
    /// What happens.
    pub kind: FaultKind,
    /// When it strikes.
    pub when: When,
    /// How long an activation lasts: zero for what happens in an instant, [`Span::MAX`] until everything is healed or the run ends.
    pub span: Distribution,
    /// Names its random stream, so that a fault left out shifts nothing else.
    pub draw: u64,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Once, then.
    At(Time),
    /// Again and again: a Poisson process.
    Every {
        /// Mean time between two beginnings, above zero.
        mean: Span,
        /// Not before.
        from: Time,
        /// Not after.
        until: Time,
    },
    /// Once, at the `nth` time (from 1) that something happens.
    On {
        /// What.
        milestone: Milestone,
        /// Which one, from 1.
        nth: u64,
        /// Just before it takes effect, rather than just after.
        before: bool,
    },
    /// On and off by the toss of a coin at each step.
    EachStep {
        /// The length of a step, above zero.
        every: Span,
        /// How likely it begins at a step while it is off, 0 to 1.
        p: f64,
        /// How likely it ends at a step while it is on, 0 to 1.
        heal_p: f64,
        /// How long it stays off at least.
        stability: Span,
        /// How long it stays on at least.
        heal_stability: Span,
        /// Not before.
        from: Time,
        /// Not after.
        until: Time,
    },
}

/// What happens in a run again and again, and can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
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

/// What a fault does, and to whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    // The process
    /// The node's process dies; it restarts from what the disk kept after the span.
    Crash {
        /// What becomes of what was not synced.
        unsynced: Unsynced,
    },
    /// The node's machine dies; it restarts from what the disk kept after the span.
    PowerLoss {
        /// What becomes of what was not synced.
        unsynced: Unsynced,
    },
    /// The node is stopped in order: no new connections, what is under way is finished for `grace` at most, everything is synced. It
    /// starts again after the span.
    Stop {
        /// How long it goes on with those who are connected.
        grace: Span,
    },
    /// A stop without grace that is followed at once by a start.
    Restart,
    /// The node's process dies, and its disk is empty when it restarts after the span.
    Wipe,
    /// The process stands still: what reaches it waits.
    Pause,
    /// What the CPU does takes so many times as long.
    SlowCpu {
        /// Above 0.
        factor: f64,
    },
    /// The process is killed once the bodies in its queues take more than `bytes`; it restarts when the span is over.
    OutOfMemory {
        /// The limit.
        bytes: u64,
    },

    // The disk
    /// fsync takes `factor` times as long.
    SlowDisk {
        /// Above 0.
        factor: f64,
    },
    /// fsyncs don't return until the span is over.
    StallDisk,
    /// The disk does no more than this.
    ThrottleDisk {
        /// Bytes per second.
        bandwidth: Option<f64>,
        /// Operations per second, above 0: an fsync is one, and one more for each further 256 KiB that it writes.
        iops: Option<f64>,
    },
    /// fsync reports an error.
    FsyncError {
        /// How likely each of them does, 0 to 1.
        p: f64,
    },
    /// fsync reports success, and nothing is on the platter.
    FsyncLie {
        /// How likely each of them does, 0 to 1.
        p: f64,
    },
    /// A write reports an error.
    WriteError {
        /// How likely each of them does, 0 to 1.
        p: f64,
    },
    /// A read reports an error.
    ReadError {
        /// How likely each of them does, 0 to 1.
        p: f64,
    },
    /// Nothing more can be written until the span is over.
    DiskFull,
    /// Bits flip in the log.
    BitRot {
        /// How many.
        bits: u32,
        /// Where.
        of: Rot,
    },
    /// The next write lands in another place of the log.
    MisdirectedWrite,
    /// The end of the log is gone.
    TruncateLog {
        /// How much of it.
        bytes: u64,
    },
    /// The disk is put back to what it was when the fault began, and the node restarts from that.
    Rollback,

    // The network between clients and node
    /// Packets take longer.
    Latency {
        /// Whose.
        clients: Clients,
        /// By so much, drawn for each packet.
        extra: Distribution,
    },
    /// Packets are lost and sent again after a retransmission timeout, twice as long each time.
    Loss {
        /// Whose.
        clients: Clients,
        /// How likely each is lost, 0 to below 1.
        p: f64,
    },
    /// Nothing gets through; what was sent arrives after the span.
    Clog {
        /// Whose.
        clients: Clients,
        /// Which way.
        direction: Direction,
    },
    /// A random half is clogged one after the other, and unclogged in another order.
    Swizzle {
        /// Among whom.
        clients: Clients,
    },
    /// Connections are reset; both ends learn of it.
    Reset {
        /// Whose.
        clients: Clients,
    },
    /// Connections die, and one end does not learn of it until the span is over.
    HalfOpen {
        /// Whose.
        clients: Clients,
        /// Which end that is.
        unaware: End,
    },
    /// Nobody answers those who connect.
    ConnectHang {
        /// Who.
        clients: Clients,
    },
    /// Connections transfer no more than this in each direction.
    Bandwidth {
        /// Whose.
        clients: Clients,
        /// Bytes per second of each connection.
        bandwidth: f64,
    },

    // The node's wall clock
    /// The wall clock jumps by so much, and back when the span is over.
    ClockStep {
        /// Nanoseconds, forwards or backwards.
        by: i64,
    },
    /// The wall clock runs fast (or slow) by so many millionths, and goes on from there when the span is over.
    ClockDrift {
        /// Parts per million.
        ppm: f64,
    },
    /// The wall clock jumps to and fro.
    ClockStrobe {
        /// Nanoseconds, forwards or backwards.
        by: i64,
        /// Time between two jumps, above zero.
        period: Span,
    },

    // Producers
    /// Producers send so many times as much.
    Burst {
        /// Who.
        clients: Clients,
        /// Above 1.
        factor: f64,
    },
    /// Bodies are this large.
    Oversized {
        /// Whose.
        clients: Clients,
        /// Bytes.
        size: u64,
    },
    /// All messages carry the same key.
    HotKey {
        /// Whose.
        clients: Clients,
    },

    // Consumers
    /// Consumers die and come back after the span.
    ConsumerCrash {
        /// Who.
        clients: Clients,
    },
    /// Service takes `factor` times as long.
    SlowConsumer {
        /// Who.
        clients: Clients,
        /// Above 0.
        factor: f64,
    },
    /// No new service starts and nothing is read, a service under way is suspended, until the span is over.
    PauseConsumer {
        /// Who.
        clients: Clients,
    },
    /// Acknowledgements get lost on the way.
    AckLoss {
        /// Whose.
        clients: Clients,
        /// How likely each is lost, 0 to 1.
        p: f64,
    },
    /// Consumers reject what they are served, and it goes back to its queue.
    NackStorm {
        /// Who.
        clients: Clients,
        /// How likely each is rejected, 0 to 1.
        p: f64,
    },
    /// Consumers take what they can get, and serve none of it.
    Hoard {
        /// Who.
        clients: Clients,
    },
    /// Consumers hold their acknowledgements back and send them all when the span is over.
    Zombie {
        /// Who.
        clients: Clients,
    },

    // The operator
    /// Queues are emptied of what is ready.
    Purge {
        /// Which.
        queues: Queues,
    },
    /// Queues are deleted.
    Delete {
        /// Which.
        queues: Queues,
    },
    /// When a message of a queue counts as stored changes, until the span is over.
    SetDurability {
        /// Which.
        queues: Queues,
        /// To this.
        durability: Durability,
    },
    /// Consumers get another weight in weighted dispatch, until the span is over.
    SetWeights {
        /// Whose.
        clients: Clients,
        /// At least 1.
        weight: u32,
    },
}

/// What becomes of log entries that no fsync has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsynced {
    /// They are gone.
    Drop,
    /// The operating system writes them out in time.
    Keep,
    /// A random subset is gone.
    Random,
    /// All up to a random place are there, which is within a record.
    Torn,
    /// Some of them are garbage.
    Corrupt,
}

/// Which part of a log rots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rot {
    /// What an fsync has covered.
    Synced,
    /// All entries.
    Any,
    /// The two checkpoints, which say where the log begins and how far the disk was.
    Checkpoints,
}

/// A direction, as seen from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the node.
    In,
    /// From the node.
    Out,
    /// Both ways.
    Both,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The broker's.
    Node,
    /// The client's.
    Client,
}

/// Some clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// Of which group.
    pub of: Whose,
    /// How many of them.
    pub share: Share,
}

/// Which clients a fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// All.
    Everybody,
    /// All producers.
    Producers,
    /// All consumers.
    Consumers,
    /// An index into [`crate::Scenario::producers`].
    Producer(usize),
    /// An index into [`crate::Scenario::consumers`].
    Consumer(usize),
}

/// How many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// All.
    All,
    /// The first so many.
    First(u32),
    /// One at random; of a milestone that concerns one of them, that one.
    One,
    /// Fewer than half of them, at random.
    Minority,
    /// More than half of them, at random.
    Majority,
}

/// Some queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Queues {
    /// All.
    All,
    /// One at random.
    One,
    /// An index into [`crate::Scenario::queues`].
    Queue(usize),
}

/// What faults a scenario may have, and what then is expected in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultBudget {
    /// Each fault leaves a good copy of every message; once everything is healed, the backlog must drain.
    Recoverable,
    /// Anything goes; nothing is expected of the end.
    #[default]
    Unrestricted,
}

impl FaultKind {
    /// Its name in a scenario: `slow-disk`.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Crash { .. } => "crash",
            FaultKind::PowerLoss { .. } => "power-loss",
            FaultKind::Stop { .. } => "stop",
            FaultKind::Restart => "restart",
            FaultKind::Wipe => "wipe",
            FaultKind::Pause => "pause",
            FaultKind::SlowCpu { .. } => "slow-cpu",
            FaultKind::OutOfMemory { .. } => "out-of-memory",
            FaultKind::SlowDisk { .. } => "slow-disk",
            FaultKind::StallDisk => "stall-disk",
            FaultKind::ThrottleDisk { .. } => "throttle-disk",
            FaultKind::FsyncError { .. } => "fsync-error",
            FaultKind::FsyncLie { .. } => "fsync-lie",
            FaultKind::WriteError { .. } => "write-error",
            FaultKind::ReadError { .. } => "read-error",
            FaultKind::DiskFull => "disk-full",
            FaultKind::BitRot { .. } => "bit-rot",
            FaultKind::MisdirectedWrite => "misdirected-write",
            FaultKind::TruncateLog { .. } => "truncate-log",
            FaultKind::Rollback => "rollback",
            FaultKind::Latency { .. } => "latency",
            FaultKind::Loss { .. } => "loss",
            FaultKind::Clog { .. } => "clog",
            FaultKind::Swizzle { .. } => "swizzle",
            FaultKind::Reset { .. } => "reset",
            FaultKind::HalfOpen { .. } => "half-open",
            FaultKind::ConnectHang { .. } => "connect-hang",
            FaultKind::Bandwidth { .. } => "bandwidth",
            FaultKind::ClockStep { .. } => "clock-step",
            FaultKind::ClockDrift { .. } => "clock-drift",
            FaultKind::ClockStrobe { .. } => "clock-strobe",
            FaultKind::Burst { .. } => "burst",
            FaultKind::Oversized { .. } => "oversized",
            FaultKind::HotKey { .. } => "hot-key",
            FaultKind::ConsumerCrash { .. } => "consumer-crash",
            FaultKind::SlowConsumer { .. } => "slow-consumer",
            FaultKind::PauseConsumer { .. } => "pause-consumer",
            FaultKind::AckLoss { .. } => "ack-loss",
            FaultKind::NackStorm { .. } => "nack-storm",
            FaultKind::Hoard { .. } => "hoard",
            FaultKind::Zombie { .. } => "zombie",
            FaultKind::Purge { .. } => "purge",
            FaultKind::Delete { .. } => "delete",
            FaultKind::SetDurability { .. } => "set-durability",
            FaultKind::SetWeights { .. } => "set-weights",
        }
    }

    /// Whether a good copy of every message is left that the node has confirmed as synced. On one node, damage to synced data and the
    /// operator's destructive acts are not recoverable.
    pub fn recoverable(&self) -> bool {
        !matches!(
            self,
            FaultKind::Wipe
                | FaultKind::FsyncLie { .. }
                | FaultKind::BitRot { .. }
                | FaultKind::MisdirectedWrite
                | FaultKind::TruncateLog { .. }
                | FaultKind::Rollback
                | FaultKind::Purge { .. }
                | FaultKind::Delete { .. }
                | FaultKind::SetDurability { .. }
        )
    }

    /// The clients that it strikes, if it does that.
    pub fn clients(&self) -> Option<Clients> {
        match *self {
            FaultKind::Latency { clients, .. }
            | FaultKind::Loss { clients, .. }
            | FaultKind::Clog { clients, .. }
            | FaultKind::Swizzle { clients }
            | FaultKind::Reset { clients }
            | FaultKind::HalfOpen { clients, .. }
            | FaultKind::ConnectHang { clients }
            | FaultKind::Bandwidth { clients, .. }
            | FaultKind::Burst { clients, .. }
            | FaultKind::Oversized { clients, .. }
            | FaultKind::HotKey { clients }
            | FaultKind::ConsumerCrash { clients }
            | FaultKind::SlowConsumer { clients, .. }
            | FaultKind::PauseConsumer { clients }
            | FaultKind::AckLoss { clients, .. }
            | FaultKind::NackStorm { clients, .. }
            | FaultKind::Hoard { clients }
            | FaultKind::Zombie { clients }
            | FaultKind::SetWeights { clients, .. } => Some(clients),
            _ => None,
        }
    }
}

impl FaultKind {
    /// The queues that it strikes, if it does that.
    pub fn queues(&self) -> Option<Queues> {
        match *self {
            FaultKind::Purge { queues }
            | FaultKind::Delete { queues }
            | FaultKind::SetDurability { queues, .. } => Some(queues),
            _ => None,
        }
    }

    /// Whether it can strike in the midst of what the broker does. The others ask something of the broker itself.
    pub fn strikes_at_once(&self) -> bool {
        !matches!(
            self,
            FaultKind::Stop { .. }
                | FaultKind::Restart
                | FaultKind::OutOfMemory { .. }
                | FaultKind::HalfOpen {
                    unaware: End::Client,
                    ..
                }
                | FaultKind::ClockStep { .. }
                | FaultKind::ClockStrobe { .. }
                | FaultKind::Purge { .. }
                | FaultKind::Delete { .. }
                | FaultKind::SetDurability { .. }
        )
    }
}

impl Scenario {
    /// Whether all that was confirmed outlives such a fault: it is recoverable, and what it takes of the node the queues don't need.
    pub fn survives(&self, kind: &FaultKind) -> bool {
        let weakest = self.queues.iter().map(|queue| queue.durability).min();
        let persistent = self.producers.iter().all(|producer| producer.persistent);
        let outlives_process = persistent && weakest != Some(Durability::None);
        let synced = persistent && weakest.is_none_or(|weakest| weakest == Durability::Fsync);
        kind.recoverable()
            && match kind {
                FaultKind::Crash { unsynced } | FaultKind::PowerLoss { unsynced } => match unsynced
                {
                    Unsynced::Keep => outlives_process,
                    _ => synced,
                },
                FaultKind::Stop { .. } | FaultKind::Restart | FaultKind::OutOfMemory { .. } => {
                    outlives_process
                }
                // The node stops, and what it had not synced may be gone.
                FaultKind::FsyncError { .. }
                | FaultKind::WriteError { .. }
                | FaultKind::ReadError { .. }
                | FaultKind::DiskFull => synced,
                _ => true,
            }
    }
}
