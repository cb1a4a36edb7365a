//! Machines, and what things cost on them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawDesign, RawDistribution};
use crate::shape::{At, Bandwidth, Count, Duration, SizeText};

/// The machines and their cost profile.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Cluster")]
pub(crate) struct RawCluster {
    /// Where the other defaults come from: "lan" (the default), "wan" (clients far away) or "ideal" (everything is free).
    pub(crate) profile: Option<RawProfile>,
    /// How many nodes. Only 1 is supported yet; its name is n1.
    pub(crate) nodes: Option<At<Count>>,
    /// CPU time per operation.
    pub(crate) cpu: RawCpu,
    /// The disk.
    pub(crate) disk: RawDisk,
    /// The network between clients and node.
    pub(crate) network: RawNetwork,
    /// Where the broker makes publishers wait.
    pub(crate) limits: RawLimits,
    /// The system whose defaults all queues have that name no other.
    pub(crate) design: Option<At<RawDesign>>,
}

/// A cost profile.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Profile")]
pub(crate) enum RawProfile {
    /// Everything is free: for theory.
    Ideal,
    /// One data centre.
    #[default]
    Lan,
    /// Clients far away.
    Wan,
}

/// CPU time per operation.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Cpu")]
pub(crate) struct RawCpu {
    /// Time per publish.
    pub(crate) publish: Option<Duration>,
    /// Time per delivery.
    pub(crate) deliver: Option<Duration>,
    /// Time per ack, nack or other request.
    pub(crate) ack: Option<Duration>,
    /// Time per KiB of body, published or delivered.
    pub(crate) per_kib: Option<Duration>,
    /// Time per batch of inputs that the node takes at once.
    pub(crate) per_batch: Option<Duration>,
    /// How many batches are worked on in parallel.
    pub(crate) cores: Option<At<Count>>,
}

/// The disk of a node.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Disk")]
pub(crate) struct RawDisk {
    /// Time of one fsync, bandwidth apart.
    pub(crate) fsync: Option<At<RawDistribution>>,
    /// Time to read entries of the log back that lie together, bandwidth apart.
    pub(crate) read: Option<At<RawDistribution>>,
    /// Bytes per second, as in "500MB/s", or "unlimited".
    pub(crate) bandwidth: Option<Bandwidth>,
    /// Bytes that the log may take; what is free of it is what `limits.disk_free` looks at. Absent: unlimited.
    pub(crate) capacity: Option<At<SizeText>>,
    /// How long written data wait before the operating system puts them on the disk by itself. Default "30s", as on Linux.
    pub(crate) writeback: Option<Duration>,
}

/// The network between clients and node.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Network")]
pub(crate) struct RawNetwork {
    /// One-way latency between a client and the node.
    pub(crate) clients: Option<At<RawDistribution>>,
    /// Of each connection and direction, as in "10Gbit/s", or "unlimited".
    pub(crate) bandwidth: Option<Bandwidth>,
}

/// Where the broker makes publishers wait; nothing is lost by it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Limits")]
pub(crate) struct RawLimits {
    /// The memory alarm: bytes of bodies in memory from which on publishers are not read.
    pub(crate) memory: Option<At<SizeText>>,
    /// The disk alarm: free bytes of `disk.capacity` below which publishers are not read.
    pub(crate) disk_free: Option<At<SizeText>>,
    /// Credit flow: so many publishes of a connection may wait for the log.
    pub(crate) publish_credit: Option<At<Count>>,
    /// The budget for bodies: those of a long backlog leave memory, and are read back from the log when their turn comes.
    pub(crate) bodies: Option<At<SizeText>>,
}
