//! Hash rings: plain, and with bounded loads.

use super::{Node, Place, SIZE_MAX};

/// Points on a circle of 2^64; a key belongs to the first point at or after it (Karger et al. 1997).
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// Ascending.
    points: Vec<u64>,
    /// The node of each point. At equal points the first node comes first, and gets the keys.
    owners: Vec<u32>,
}

impl Ring {
    pub(super) fn new(nodes: &[Node], points_per_weight: u32) -> Ring {
        let wanted = |node: &Node| u64::from(node.weight) * u64::from(points_per_weight.max(1));
        let total: u128 = nodes.iter().map(|node| u128::from(wanted(node))).sum();
        let granted = |node: &Node| match total > u128::from(SIZE_MAX) {
            true => (u128::from(wanted(node)) * u128::from(SIZE_MAX) / total).max(1) as u64,
            false => wanted(node),
        };
        let mut pairs: Vec<(u64, u32)> = nodes
            .iter()
            .flat_map(|node| (0..granted(node)).map(move |at| (node.draw(at), node.index)))
            .collect();
        pairs.sort_unstable();
        let (points, owners) = pairs.into_iter().unzip();
        Ring { points, owners }
    }

    /// The first point at or after `position`, clockwise, as an index; none on an empty ring.
    fn successor(&self, position: u64) -> Option<usize> {
        let at = self.points.partition_point(|&point| point < position);
        match self.points.is_empty() {
            true => None,
            false => Some(if at == self.points.len() { 0 } else { at }),
        }
    }

    /// How far it is from `position` to the next point, and whose that is.
    pub(super) fn next(&self, position: u64) -> Option<(u64, u32)> {
        let at = self.successor(position)?;
        Some((self.points[at].wrapping_sub(position), self.owners[at]))
    }

    /// The stretch of the circle that belongs to each point.
    #[cfg(test)]
    pub(super) fn arcs(&self) -> impl Iterator<Item = (u64, u32)> {
        let before = self
            .points
            .iter()
            .cycle()
            .skip(self.points.len().saturating_sub(1));
        let arcs = self
            .points
            .iter()
            .zip(before)
            .map(|(point, before)| point.wrapping_sub(*before));
        arcs.zip(self.owners.iter().copied())
    }
}

impl Place for Ring {
    fn place(&self, key: u64, _load: impl Fn(usize) -> u64) -> Option<usize> {
        self.next(key).map(|(_, owner)| owner as usize)
    }
}

/// A ring on which keys walk on past nodes that have their share: at most ceil((1 + ε) · w/W · (m + 1)) of m
/// keys and the new one (Mirrokni, Thorup, Zadimoghaddam 2018).
#[derive(Clone, Debug)]
pub(super) struct BoundedRing {
    ring: Ring,
    /// Index and weight of each node that takes part, by index.
    weights: Vec<(u32, u32)>,
    /// Σ weight.
    weight: u64,
    /// 1 + ε, in millionths: exact, so that no rounding error adds a place.
    stretch: u64,
}

impl BoundedRing {
    pub(super) fn new(nodes: &[Node], points_per_weight: u32, epsilon: f64) -> BoundedRing {
        BoundedRing {
            ring: Ring::new(nodes, points_per_weight),
            weights: nodes.iter().map(|node| (node.index, node.weight)).collect(),
            weight: nodes.iter().map(|node| u64::from(node.weight)).sum(),
            stretch: MILLION + (epsilon.clamp(0.0, 1000.0) * MILLION as f64).round() as u64,
        }
    }

    fn capacity(&self, owner: u32, total: u64) -> u64 {
        let weight = match self
            .weights
            .binary_search_by_key(&owner, |&(index, _)| index)
        {
            Ok(at) => self.weights[at].1,
            Err(_) => 0,
        };
        let share = u128::from(self.stretch) * u128::from(total) * u128::from(weight);
        u64::try_from(share.div_ceil(u128::from(MILLION) * u128::from(self.weight)))
            .unwrap_or(u64::MAX)
    }
}

impl Place for BoundedRing {
    fn place(&self, key: u64, load: impl Fn(usize) -> u64) -> Option<usize> {
        let first = self.ring.successor(key)?;
        let total = self.weights.iter().fold(1_u64, |sum, &(index, _)| {
            sum.saturating_add(load(index as usize))
        });
        let (before, after) = self.ring.owners.split_at(first);
        let clockwise = after.iter().chain(before);
        // Capacities sum to more than all loads, so there is one with room.
        let free = clockwise
            .copied()
            .find(|&owner| load(owner as usize) < self.capacity(owner, total));
        Some(free.unwrap_or(self.ring.owners[first]) as usize)
    }
}

const MILLION: u64 = 1_000_000;
