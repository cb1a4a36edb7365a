//! Maglev's lookup table.

use super::{Node, Place, SIZE_MAX};

/// A table in which the nodes take entries in turns, each in its own order (Eisenbud et al., "Maglev", NSDI
/// 2016). Balance is near perfect; a change moves the keys that it must and a few others.
#[derive(Clone, Debug)]
pub(super) struct Maglev {
    /// The node of each entry. Empty if there are no nodes.
    table: Vec<u32>,
}

impl Maglev {
    /// The table's size is `size` or the next larger prime: a permutation of the entries takes a prime.
    pub(super) fn new(nodes: &[Node], size: u32) -> Maglev {
        let Some(weight_max) = nodes.iter().map(|node| u64::from(node.weight)).max() else {
            return Maglev { table: Vec::new() };
        };
        let size = next_prime(u64::from(size).min(SIZE_MAX).max(nodes.len() as u64));
        let mut table = vec![FREE; size as usize];
        let mut preferences: Vec<Preference> = nodes
            .iter()
            .map(|node| Preference::new(node, size))
            .collect();
        let mut left = size;
        loop {
            for (node, preference) in nodes.iter().zip(&mut preferences) {
                // In each round the heaviest node has a turn, the others as often as their weight is of the
                // heaviest.
                preference.credit += u64::from(node.weight);
                if preference.credit < weight_max {
                    continue;
                }
                preference.credit -= weight_max;
                let entry =
                    std::iter::repeat_with(|| preference.next(size)).find(|&at| table[at] == FREE);
                let Some(entry) = entry else { continue };
                table[entry] = node.index;
                left -= 1;
                if left == 0 {
                    return Maglev { table };
                }
            }
        }
    }

    /// How many entries each node has.
    #[cfg(test)]
    pub(super) fn entries(&self, nodes: usize) -> Vec<u64> {
        let mut entries = vec![0; nodes];
        self.table
            .iter()
            .for_each(|&node| entries[node as usize] += 1);
        entries
    }
}

impl Place for Maglev {
    fn place(&self, key: u64, _load: impl Fn(usize) -> u64) -> Option<usize> {
        let at = (u128::from(key) * self.table.len() as u128) >> 64;
        self.table.get(at as usize).map(|&index| index as usize)
    }
}

/// The order in which a node takes entries: from `at` in steps of `skip`, around a table of prime size.
struct Preference {
    at: u64,
    skip: u64,
    credit: u64,
}

impl Preference {
    fn new(node: &Node, size: u64) -> Preference {
        Preference {
            at: node.draw(0) % size,
            skip: node.draw(1) % (size - 1) + 1,
            credit: 0,
        }
    }

    fn next(&mut self, size: u64) -> usize {
        let at = self.at;
        self.at = (at + self.skip) % size;
        at as usize
    }
}

/// No node has this index: there are fewer.
const FREE: u32 = u32::MAX;

/// The smallest prime from `from` on.
fn next_prime(from: u64) -> u64 {
    let is_prime = |n: u64| {
        (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
    };
    (from.max(2)..).find(|&n| is_prime(n)).unwrap_or(2)
}
