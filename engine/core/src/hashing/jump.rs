//! Jump consistent hash.

use super::{Node, Place};

/// The bucket of a key among `buckets`, of which 0 counts as 1 (Lamping, Veach, "A fast, minimal memory,
/// consistent hash algorithm", 2014). One more bucket takes its share of each and moves nothing else; only
/// the last bucket can go.
pub fn jump(mut key: u64, buckets: u32) -> u32 {
    let mut bucket = 0;
    let mut next = 0;
    while next < i64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let chance = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * chance) as i64;
    }
    bucket as u32
}

/// Jump hash over the nodes that take part, in order.
#[derive(Clone, Debug)]
pub(super) struct Jump {
    nodes: Vec<u32>,
}

impl Jump {
    pub(super) fn new(nodes: &[Node]) -> Jump {
        Jump {
            nodes: nodes.iter().map(|node| node.index).collect(),
        }
    }
}

impl Place for Jump {
    fn place(&self, key: u64, _load: impl Fn(usize) -> u64) -> Option<usize> {
        let bucket = jump(key, self.nodes.len() as u32);
        self.nodes.get(bucket as usize).map(|&index| index as usize)
    }
}
