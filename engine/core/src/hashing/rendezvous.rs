//! Rendezvous hashing.

use super::{Node, Place, mix};

/// Highest random weight (Thaler, Ravishankar 1998): every node draws a number u for the key, the highest −w
/// / ln u wins (Schindelhauer, Schomaker 2005). With equal weights that is the highest draw.
#[derive(Clone, Debug)]
pub(super) struct Rendezvous {
    nodes: Vec<Node>,
    equal: bool,
}

impl Rendezvous {
    pub(super) fn new(nodes: Vec<Node>) -> Rendezvous {
        let equal = nodes
            .windows(2)
            .all(|pair| pair[0].weight == pair[1].weight);
        Rendezvous { nodes, equal }
    }
}

impl Place for Rendezvous {
    fn place(&self, key: u64, _load: impl Fn(usize) -> u64) -> Option<usize> {
        let highest = if self.equal {
            highest_draw(&self.nodes, key)
        } else {
            highest_score(&self.nodes, key)
        };
        highest.map(|index| index as usize)
    }
}

fn highest_draw(nodes: &[Node], key: u64) -> Option<u32> {
    let mut best: Option<(u64, u32)> = None;
    for node in nodes {
        let drawn = draw(node, key);
        if best.is_none_or(|(highest, _)| drawn > highest) {
            best = Some((drawn, node.index));
        }
    }
    best.map(|(_, index)| index)
}

/// Minimises −ln u / w. As −ln u ≥ 1 − u, most nodes are out without a logarithm.
fn highest_score(nodes: &[Node], key: u64) -> Option<u32> {
    let mut best = None;
    let mut least = f64::INFINITY;
    for node in nodes {
        let u = ((draw(node, key) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
        let weight = f64::from(node.weight);
        if 1.0 - u < least * weight {
            let score = -libm::log(u) / weight;
            if score < least {
                (best, least) = (Some(node.index), score);
            }
        }
    }
    best
}

fn draw(node: &Node, key: u64) -> u64 {
    mix(node.seed ^ key)
}
