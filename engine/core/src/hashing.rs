//! Consistent hashing: which node gets a key.
//!
//! Keys of one node move when it goes, and no others, with [`HashKind::Ring`], [`HashKind::Rendezvous`],
//! [`HashKind::MultiProbe`] and, for the last node, [`HashKind::Jump`]; a few others move with
//! [`HashKind::Maglev`] and [`HashKind::BoundedRing`]. Where a key goes is the same on all platforms and in
//! all releases.

mod jump;
mod maglev;
mod multi_probe;
mod rendezvous;
mod ring;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::jump::Jump;
pub use self::jump::jump;
use self::maglev::Maglev;
use self::multi_probe::MultiProbe;
use self::rendezvous::Rendezvous;
use self::ring::{BoundedRing, Ring};
use crate::HashKind;

/// The hash of a routing key or of a node's name: XXH3, 64 bits.
pub fn hash(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, SEED)
}

/// Nodes, arranged so that a key's node is found fast.
#[derive(Clone, Debug)]
pub struct Placement(Algorithm);

#[derive(Clone, Debug)]
enum Algorithm {
    Ring(Ring),
    BoundedRing(BoundedRing),
    Jump(Jump),
    Rendezvous(Rendezvous),
    Maglev(Maglev),
    MultiProbe(MultiProbe),
}

impl Placement {
    /// Arranges `nodes`: names, which should differ (of equal ones, one may get everything), and weights. A node
    /// of weight 0 gets nothing.
    ///
    /// Parameters that make no sense are taken as the nearest that do: at least one point and one probe, a
    /// prime table size that has room for all nodes, an epsilon of 0 to 1000 in millionths, and at most some
    /// 2 million points in all (all nodes get fewer in proportion).
    pub fn new(kind: HashKind, nodes: &[(&[u8], u32)]) -> Placement {
        let nodes: Vec<Node> = (0..)
            .zip(nodes)
            .filter(|(_, (_, weight))| *weight > 0)
            .map(|(index, (name, weight))| Node {
                index,
                seed: hash(name),
                weight: *weight,
            })
            .collect();
        Placement(match kind {
            HashKind::Ring { vnodes } => Algorithm::Ring(Ring::new(&nodes, vnodes)),
            HashKind::BoundedRing { vnodes, epsilon } => {
                Algorithm::BoundedRing(BoundedRing::new(&nodes, vnodes, epsilon))
            }
            HashKind::Jump => Algorithm::Jump(Jump::new(&nodes)),
            HashKind::Rendezvous => Algorithm::Rendezvous(Rendezvous::new(nodes)),
            HashKind::Maglev { table } => Algorithm::Maglev(Maglev::new(&nodes, table)),
            HashKind::MultiProbe { probes } => {
                Algorithm::MultiProbe(MultiProbe::new(&nodes, probes))
            }
        })
    }

    /// The node, as an index into those given, for a key's [`hash`]; none if no node has a weight. `load`
    /// tells how much each node has already; only the bounded ring asks.
    pub fn place(&self, key: u64, load: impl Fn(usize) -> u64) -> Option<usize> {
        match &self.0 {
            Algorithm::Ring(ring) => ring.place(key, load),
            Algorithm::BoundedRing(ring) => ring.place(key, load),
            Algorithm::Jump(jump) => jump.place(key, load),
            Algorithm::Rendezvous(rendezvous) => rendezvous.place(key, load),
            Algorithm::Maglev(maglev) => maglev.place(key, load),
            Algorithm::MultiProbe(multi_probe) => multi_probe.place(key, load),
        }
    }
}

/// What every algorithm does.
trait Place {
    fn place(&self, key: u64, load: impl Fn(usize) -> u64) -> Option<usize>;
}

/// A node that takes part.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Its place among the nodes given.
    index: u32,
    /// Hash of its name.
    seed: u64,
    /// At least 1.
    weight: u32,
}

impl Node {
    /// The node's own random sequence: SplitMix64 from its seed (Steele, Lea, Flood 2014). No two are equal.
    fn draw(&self, at: u64) -> u64 {
        mix(self
            .seed
            .wrapping_add((at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// Chosen once, never changed: keys would move.
const SEED: u64 = 0x7175_6575_656c_6162;

/// The most points on a ring, and entries in a table, about: what fits in 32 MB.
const SIZE_MAX: u64 = 1 << 21;

/// SplitMix64's finalizer: a bijection of which every output bit depends on every input bit.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
