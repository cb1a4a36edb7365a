//! Groups of consumers of streams.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Queues;
use crate::shape::{At, Count, Duration, shapes};

/// A group of consumers of streams.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Group")]
pub(crate) struct RawGroup {
    /// Its name, unique among groups.
    pub(crate) name: At<String>,
    /// A stream, or a list of streams.
    pub(crate) streams: At<Queues>,
    /// Where it starts to read: "first", "next" (the default), "last", a number, or { since = "30s" } into the run.
    pub(crate) start: Option<At<RawOffset>>,
    /// How its members share the streams. Default "partitioned".
    #[serde(default)]
    pub(crate) kind: RawGroupKind,
    /// Of "partitioned": who gets which stream. Default "range".
    pub(crate) assignment: Option<At<RawAssignment>>,
    /// Of "partitioned": how long nobody reads while streams are assigned anew. Default "3s".
    pub(crate) rebalance: Option<At<Duration>>,
    /// Of "shared": how long a member may hold a record. Default "30s".
    pub(crate) lock: Option<At<Duration>>,
    /// Of "shared": most deliveries of a record, 0 for no limit. Default 5.
    pub(crate) delivery_limit: Option<At<Count>>,
    /// Of "shared": how many records of a stream may be in flight or settled out of order. Default 2_000.
    pub(crate) window: Option<At<Count>>,
}

/// How members share streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "GroupKind")]
pub(crate) enum RawGroupKind {
    /// Each stream, or partition of one, has one reader.
    #[default]
    Partitioned,
    /// All read all, record by record.
    Shared,
}

/// Who reads which stream.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Assignment")]
pub(crate) enum RawAssignment {
    /// Neighbours to one member.
    Range,
    /// In turn.
    RoundRobin,
    /// Balanced, with as few changes as possible.
    Sticky,
    /// By hash of the members: few changes, less balance.
    ConsistentHash,
}

shapes! {
    /// Where reading starts: "first", "next", "last", a number, or a time.
    RawOffset, "\"first\", \"next\", \"last\", a number such as 1_000, or a table such as { since = \"30s\" }",
    Count(Count), Text(RawStart), Table(SinceTable)
}

/// Where reading starts.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Start")]
pub(crate) enum RawStart {
    /// At the oldest message that is kept.
    First,
    /// After the newest.
    Next,
    /// At the newest.
    Last,
}

/// A moment of the run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Since")]
pub(crate) struct SinceTable {
    /// At the first message that was appended so long after the run's start, or after that; where none is there yet, at what comes next.
    pub(crate) since: Duration,
}
