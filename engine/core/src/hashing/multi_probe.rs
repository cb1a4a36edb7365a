//! Multi-probe consistent hashing.

use super::ring::Ring;
use super::{Node, Place, mix};

/// A ring with one point per weight and several positions per key, of which the one nearest to its next point
/// counts (Appleton, O'Reilly, "Multi-probe consistent hashing", 2015). Of many nodes, the fullest has 1 +
/// 1/(probes − 1) of the average.
#[derive(Clone, Debug)]
pub(super) struct MultiProbe {
    ring: Ring,
    probes: u32,
}

impl MultiProbe {
    pub(super) fn new(nodes: &[Node], probes: u32) -> MultiProbe {
        MultiProbe {
            ring: Ring::new(nodes, 1),
            probes: probes.clamp(1, PROBES_MAX),
        }
    }
}

impl Place for MultiProbe {
    fn place(&self, key: u64, _load: impl Fn(usize) -> u64) -> Option<usize> {
        // Double hashing; an odd step never comes back to where it was.
        let step = mix(key) | 1;
        let positions =
            std::iter::successors(Some(key), |position| Some(position.wrapping_add(step)));
        let nexts = positions
            .take(self.probes as usize)
            .filter_map(|position| self.ring.next(position));
        nexts
            .min_by_key(|&(distance, _)| distance)
            .map(|(_, owner)| owner as usize)
    }
}

/// More improve nothing and take time.
const PROBES_MAX: u32 = 1024;
