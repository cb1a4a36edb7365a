//! Groups of consumers of streams.

use std::collections::BTreeMap;

use queuelab_core::{Assignment, GroupKind, Offset, Span};

use super::Check;
use super::consumers::{from, offset};
use super::topology::Places;
use crate::error::Problem;
use crate::raw::{RawAssignment, RawGroup, RawGroupKind, RawQueueKind, RawScenario};
use crate::scenario::Group;
use crate::shape::At;
use crate::units::short;

/// The groups that are declared, and those that a consumer's `group` makes by naming them.
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    by_name: BTreeMap<String, usize>,
}

impl Groups {
    pub(super) fn declared(
        check: &mut Check<'_>,
        raw: &RawScenario,
        places: &Places<'_>,
    ) -> Groups {
        check.index("group", raw.group.iter().map(|group| &group.value.name));
        let groups: Vec<_> = raw
            .group
            .iter()
            .map(|group| self::group(check, &group.value, raw, places))
            .collect();
        let named = |(index, group): (usize, &Group)| (group.name.clone(), index);
        Groups {
            by_name: groups.iter().enumerate().map(named).collect(),
            groups,
        }
    }

    /// The group that a consumer of the streams `from` belongs to.
    pub(super) fn of_consumer(
        &mut self,
        check: &mut Check<'_>,
        name: &At<String>,
        from: &[usize],
    ) -> Option<usize> {
        let Some(index) = self.by_name.get(&name.value).copied() else {
            check.name("group", name);
            self.groups.push(Group {
                name: name.value.clone(),
                streams: from.to_vec(),
                start: Offset::default(),
                kind: partitioned(Assignment::default(), None),
            });
            self.by_name
                .insert(name.value.clone(), self.groups.len() - 1);
            return Some(self.groups.len() - 1);
        };
        let streams = &self.groups[index].streams;
        if from.len() != streams.len() || from.iter().any(|queue| !streams.contains(queue)) {
            let problem = Problem::new(
                name.span.clone(),
                format!(
                    "the group `{}` reads other streams than this consumer's `from`",
                    short(&name.value)
                ),
            );
            check.push(problem.help("all members of a group read the same streams"));
        }
        Some(index)
    }
}

fn group(
    check: &mut Check<'_>,
    raw: &RawGroup,
    scenario: &RawScenario,
    places: &Places<'_>,
) -> Group {
    let streams = from(check, &raw.streams, &places.queues);
    if let Some(queue) = streams
        .iter()
        .find(|queue| scenario.queue[**queue].value.kind() != RawQueueKind::Stream)
    {
        let name = short(&scenario.queue[*queue].value.name.value);
        check.push(
            Problem::new(
                raw.streams.span.clone(),
                format!("the queue `{name}` is no stream, and groups read streams"),
            )
            .help("write kind = \"stream\" there"),
        );
    }
    Group {
        name: raw.name.value.clone(),
        streams,
        start: raw
            .start
            .as_ref()
            .map_or(Offset::default(), |start| offset(&start.value)),
        kind: kind(check, raw),
    }
}

fn kind(check: &mut Check<'_>, raw: &RawGroup) -> GroupKind {
    match raw.kind {
        RawGroupKind::Partitioned => {
            check.misplaced(&raw.lock, "`lock` belongs to kind = \"shared\"");
            check.misplaced(
                &raw.delivery_limit,
                "`delivery_limit` belongs to kind = \"shared\"",
            );
            check.misplaced(&raw.window, "`window` belongs to kind = \"shared\"");
            let assignment = match raw.assignment.as_ref().map(|given| given.value) {
                None | Some(RawAssignment::Range) => Assignment::Range,
                Some(RawAssignment::RoundRobin) => Assignment::RoundRobin,
                Some(RawAssignment::Sticky) => Assignment::Sticky,
                Some(RawAssignment::ConsistentHash) => Assignment::ConsistentHash,
            };
            partitioned(
                assignment,
                raw.rebalance.as_ref().map(|given| given.value.0),
            )
        }
        RawGroupKind::Shared => {
            check.misplaced(
                &raw.assignment,
                "`assignment` belongs to kind = \"partitioned\"",
            );
            check.misplaced(
                &raw.rebalance,
                "`rebalance` belongs to kind = \"partitioned\"",
            );
            GroupKind::Shared {
                lock: check
                    .duration("lock", &raw.lock)
                    .unwrap_or(Span::from_secs(30)),
                delivery_limit: check.count32(
                    "delivery_limit",
                    &raw.delivery_limit,
                    5,
                    0..=1_000_000,
                ),
                window: check.count32("window", &raw.window, 2_000, 1..=1_000_000),
            }
        }
    }
}

fn partitioned(assignment: Assignment, rebalance: Option<Span>) -> GroupKind {
    GroupKind::Partitioned {
        assignment,
        rebalance: rebalance.unwrap_or(Span::from_secs(3)),
    }
}
