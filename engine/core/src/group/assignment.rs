//! Which member of a group reads which stream.

use std::cmp::Reverse;

use crate::config::{Assignment, HashKind};
use crate::hashing::Placement;

/// A stream that wants a reader.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Hash of its name.
    pub name: u64,
    /// Its reader so far, as an index into the members, if that is still there.
    pub reader: Option<usize>,
}

/// The reader of each stream, as an index into `members`, which are named, each once. Without members there are none.
///
/// Range and round robin are Kafka's `RangeAssignor` for one topic and `RoundRobinAssignor` for equal subscriptions; sticky moves no
/// more than balance asks for, as its `StickyAssignor` does.
pub fn assign(assignment: Assignment, members: &[&[u8]], streams: &[Candidate]) -> Vec<usize> {
    if members.is_empty() {
        return Vec::new();
    }
    match assignment {
        Assignment::Range => range(members.len(), streams.len()),
        Assignment::RoundRobin => (0..streams.len()).map(|at| at % members.len()).collect(),
        Assignment::Sticky => sticky(members.len(), streams),
        Assignment::ConsistentHash => consistent_hash(members, streams),
    }
}

/// Neighbours to one member; the first members get one more if it does not come out even.
fn range(members: usize, streams: usize) -> Vec<usize> {
    let share = |member| streams / members + usize::from(member < streams % members);
    (0..members)
        .flat_map(|member| std::iter::repeat_n(member, share(member)))
        .collect()
}

/// Each keeps what it has, up to its share; those who have most get the larger shares. The rest goes to those with room, the emptiest first.
fn sticky(members: usize, streams: &[Candidate]) -> Vec<usize> {
    let mut held = vec![0; members];
    for reader in streams.iter().filter_map(|stream| stream.reader) {
        held[reader] += 1;
    }
    let mut by_load: Vec<usize> = (0..members).collect();
    by_load.sort_by_key(|member| Reverse(held[*member]));
    let mut room = vec![streams.len() / members; members];
    for member in &by_load[..streams.len() % members] {
        room[*member] += 1;
    }

    let mut readers: Vec<Option<usize>> = Vec::new();
    for stream in streams {
        let keeps = stream.reader.filter(|reader| room[*reader] > 0);
        if let Some(reader) = keeps {
            room[reader] -= 1;
        }
        readers.push(keeps);
    }
    let place = |reader: Option<usize>| {
        reader.unwrap_or_else(|| {
            let emptiest = (0..members).rev().max_by_key(|member| room[*member]);
            let member = emptiest.unwrap_or(0);
            room[member] = room[member].saturating_sub(1);
            member
        })
    };
    readers.into_iter().map(place).collect()
}

fn consistent_hash(members: &[&[u8]], streams: &[Candidate]) -> Vec<usize> {
    let nodes: Vec<(&[u8], u32)> = members.iter().map(|name| (*name, 1)).collect();
    let ring = Placement::new(HashKind::Ring { vnodes: VNODES }, &nodes);
    let place = |stream: &Candidate| ring.place(stream.name, |_| 0).unwrap_or(0);
    streams.iter().map(place).collect()
}

/// Points of a member on the ring.
const VNODES: u32 = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hashing::hash;

    fn names(members: &[u32]) -> Vec<[u8; 4]> {
        members.iter().map(|member| member.to_be_bytes()).collect()
    }

    /// Readers, by name, of streams that were read by `before`, by name.
    fn assigned(assignment: Assignment, members: &[u32], before: &[Option<u32>]) -> Vec<u32> {
        let streams: Vec<Candidate> = before
            .iter()
            .enumerate()
            .map(|(at, reader)| Candidate {
                name: hash(&at.to_be_bytes()),
                reader: reader
                    .and_then(|reader| members.iter().position(|member| *member == reader)),
            })
            .collect();
        let names = names(members);
        let names: Vec<&[u8]> = names.iter().map(|name| &name[..]).collect();
        let readers = assign(assignment, &names, &streams);
        readers.into_iter().map(|at| members[at]).collect()
    }

    fn counts(members: &[u32], readers: &[u32]) -> Vec<usize> {
        let count = |member| readers.iter().filter(|reader| *reader == member).count();
        members.iter().map(count).collect()
    }

    fn moved(before: &[Option<u32>], readers: &[u32]) -> usize {
        let moves = before.iter().zip(readers);
        moves
            .filter(|(before, reader)| **before != Some(**reader))
            .count()
    }

    /// The fewest moves with which loads differ by at most one: each member keeps what it has up to the smaller share, and as many as
    /// get the larger share keep one more.
    fn fewest_moves(members: &[u32], before: &[Option<u32>]) -> usize {
        let share = before.len() / members.len();
        let held = |member: &u32| {
            before
                .iter()
                .filter(|reader| **reader == Some(*member))
                .count()
        };
        let kept: usize = members.iter().map(|member| held(member).min(share)).sum();
        let larger = members.iter().filter(|member| held(member) > share).count();
        before.len() - kept - larger.min(before.len() % members.len())
    }

    const ALL: [Assignment; 4] = [
        Assignment::Range,
        Assignment::RoundRobin,
        Assignment::Sticky,
        Assignment::ConsistentHash,
    ];

    fn members() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::btree_set(0..12u32, 1..9).prop_map(|set| set.into_iter().collect())
    }

    proptest! {
        #[test]
        fn each_stream_has_one_reader_and_loads_are_balanced(
            members in members(),
            before in prop::collection::vec(prop::option::of(0..12u32), 0..40),
        ) {
            for assignment in ALL {
                let readers = assigned(assignment, &members, &before);
                prop_assert_eq!(readers.len(), before.len());
                prop_assert!(readers.iter().all(|reader| members.contains(reader)));
                if assignment != Assignment::ConsistentHash {
                    let counts = counts(&members, &readers);
                    prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
                }
            }
        }

        #[test]
        fn sticky_moves_no_more_than_balance_asks_for(
            members in members(),
            before in prop::collection::vec(prop::option::of(0..12u32), 0..40),
        ) {
            let readers = assigned(Assignment::Sticky, &members, &before);
            prop_assert_eq!(moved(&before, &readers), fewest_moves(&members, &before));
        }

        #[test]
        fn a_hashed_stream_moves_only_to_who_joins_and_from_who_leaves(
            members in members(),
            joins in 12..20u32,
            streams in 0..40usize,
        ) {
            let unread = vec![None; streams];
            let before = assigned(Assignment::ConsistentHash, &members, &unread);
            let mut more = members.clone();
            more.push(joins);
            let after = assigned(Assignment::ConsistentHash, &more, &unread);
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(before == after || *after == joins);
            }
        }
    }

    #[test]
    fn range_gives_neighbours_and_round_robin_takes_turns() {
        let unread = [None; 5];
        assert_eq!(
            assigned(Assignment::Range, &[7, 8], &unread),
            [7, 7, 7, 8, 8]
        );
        assert_eq!(
            assigned(Assignment::RoundRobin, &[7, 8], &unread),
            [7, 8, 7, 8, 7]
        );
    }

    #[test]
    fn nobody_reads_without_members() {
        for assignment in ALL {
            assert!(assigned(assignment, &[], &[None, Some(1)]).is_empty());
        }
    }
}
