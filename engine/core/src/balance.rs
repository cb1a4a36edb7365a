//! Which consumer gets the next message.

use std::cmp::Ordering;

use rand::Rng as _;

use crate::Dispatch;

/// The generator that balancers draw from: named, so that a release never changes what it gives.
pub type Rng = rand_xoshiro::Xoshiro256PlusPlus;

/// What a balancer sees of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Messages that it has and hasn't settled.
    pub in_flight: u32,
    /// Its share in the weighted algorithms; 0 counts as 1.
    pub weight: u32,
    /// Whether it can take a message.
    pub available: bool,
}

/// Chooses among members, which are named by their place in the order of registration.
pub trait Balance {
    /// A member was inserted at `at`.
    fn joined(&mut self, at: usize);

    /// The member at `at` was removed.
    fn left(&mut self, at: usize);

    /// The one to serve. `available` is the number of members that are available; with none there is no
    /// choice.
    fn pick(&mut self, members: &[Member], available: usize, rng: &mut Rng) -> Option<usize>;
}

/// The balancer of a [`Dispatch`].
#[derive(Clone, Debug)]
pub enum Balancer {
    /// In turn.
    RoundRobin(RoundRobin),
    /// In turn, in proportion to weight.
    WeightedRoundRobin(SmoothRoundRobin),
    /// To the least loaded of all.
    Least(Least),
    /// To the least loaded of a sample.
    Sampled(Sampled),
}

impl Balancer {
    /// A balancer without members.
    pub fn new(dispatch: Dispatch) -> Balancer {
        match dispatch {
            Dispatch::RoundRobin => Balancer::RoundRobin(RoundRobin::default()),
            Dispatch::WeightedRoundRobin => {
                Balancer::WeightedRoundRobin(SmoothRoundRobin::default())
            }
            Dispatch::LeastConnections => Balancer::Least(Least { weighted: false }),
            Dispatch::WeightedLeastConnections => Balancer::Least(Least { weighted: true }),
            Dispatch::Random => Balancer::Sampled(Sampled::new(Sample::Of(1))),
            Dispatch::PowerOf(choices) => {
                Balancer::Sampled(Sampled::new(Sample::Of(choices.max(1))))
            }
            Dispatch::JoinIdleQueue => Balancer::Sampled(Sampled::new(Sample::UntilIdle)),
        }
    }
}

impl Balance for Balancer {
    fn joined(&mut self, at: usize) {
        match self {
            Balancer::RoundRobin(balancer) => balancer.joined(at),
            Balancer::WeightedRoundRobin(balancer) => balancer.joined(at),
            Balancer::Least(balancer) => balancer.joined(at),
            Balancer::Sampled(balancer) => balancer.joined(at),
        }
    }

    fn left(&mut self, at: usize) {
        match self {
            Balancer::RoundRobin(balancer) => balancer.left(at),
            Balancer::WeightedRoundRobin(balancer) => balancer.left(at),
            Balancer::Least(balancer) => balancer.left(at),
            Balancer::Sampled(balancer) => balancer.left(at),
        }
    }

    fn pick(&mut self, members: &[Member], available: usize, rng: &mut Rng) -> Option<usize> {
        debug_assert_eq!(
            available,
            members.iter().filter(|member| member.available).count()
        );
        if available == 0 {
            return None;
        }
        match self {
            Balancer::RoundRobin(balancer) => balancer.pick(members, available, rng),
            Balancer::WeightedRoundRobin(balancer) => balancer.pick(members, available, rng),
            Balancer::Least(balancer) => balancer.pick(members, available, rng),
            Balancer::Sampled(balancer) => balancer.pick(members, available, rng),
        }
    }
}

/// Round robin over the available members.
#[derive(Clone, Debug, Default)]
pub struct RoundRobin {
    /// Whose turn it is; one past the end after the last one's turn, so that a newcomer there is next.
    next: usize,
}

impl Balance for RoundRobin {
    fn joined(&mut self, at: usize) {
        if at < self.next {
            self.next += 1;
        }
    }

    fn left(&mut self, at: usize) {
        if at < self.next {
            self.next -= 1;
        }
    }

    fn pick(&mut self, members: &[Member], _available: usize, _rng: &mut Rng) -> Option<usize> {
        let next = self.next.min(members.len());
        let ahead = members[next..]
            .iter()
            .position(|member| member.available)
            .map(|at| next + at);
        let chosen =
            ahead.or_else(|| members[..next].iter().position(|member| member.available))?;
        self.next = chosen + 1;
        Some(chosen)
    }
}

/// Smooth weighted round robin, as in nginx (M. Dounin, commit 52327e0, 2012): in each turn all available
/// members earn their weight, the richest is chosen (the first of equals) and pays what all have earned.
#[derive(Clone, Debug, Default)]
pub struct SmoothRoundRobin {
    /// What each member has earned and not paid. Sums to 0.
    credit: Vec<i64>,
}

impl Balance for SmoothRoundRobin {
    fn joined(&mut self, at: usize) {
        self.credit.insert(at.min(self.credit.len()), 0);
    }

    /// Spreads the credit of the one that leaves over the others: the sum stays 0, so credits stay bounded.
    fn left(&mut self, at: usize) {
        if at >= self.credit.len() {
            return;
        }
        let legacy = self.credit.remove(at);
        let heirs = self.credit.len() as i64;
        for (credit, rank) in self.credit.iter_mut().zip(0..) {
            *credit += legacy.div_euclid(heirs) + i64::from(rank < legacy.rem_euclid(heirs));
        }
    }

    fn pick(&mut self, members: &[Member], _available: usize, _rng: &mut Rng) -> Option<usize> {
        self.credit.resize(members.len(), 0);
        let mut earned = 0;
        let mut richest: Option<(usize, i64)> = None;
        for (at, (member, credit)) in members.iter().zip(&mut self.credit).enumerate() {
            if member.available {
                *credit += weight(member) as i64;
                earned += weight(member) as i64;
                if richest.is_none_or(|(_, most)| *credit > most) {
                    richest = Some((at, *credit));
                }
            }
        }
        let (chosen, _) = richest?;
        self.credit[chosen] -= earned;
        Some(chosen)
    }
}

/// Least connections: the available member with the fewest messages in flight (per weight, if weighted); ties
/// at random.
#[derive(Clone, Copy, Debug)]
pub struct Least {
    weighted: bool,
}

impl Least {
    fn pick_by(
        members: &[Member],
        rng: &mut Rng,
        compare: impl Fn(&Member, &Member) -> Ordering,
    ) -> Option<usize> {
        let mut lightest: Option<&Member> = None;
        let mut ties = 0;
        for member in members.iter().filter(|member| member.available) {
            match lightest.map_or(Ordering::Less, |least| compare(member, least)) {
                Ordering::Less => (lightest, ties) = (Some(member), 1),
                Ordering::Equal => ties += 1,
                Ordering::Greater => {}
            }
        }
        let lightest = lightest?;
        let skipped = if ties > 1 { below(rng, ties) } else { 0 };
        let tied = |member: &Member| member.available && compare(member, lightest).is_eq();
        members
            .iter()
            .enumerate()
            .filter(|(_, member)| tied(member))
            .map(|(at, _)| at)
            .nth(skipped)
    }
}

impl Balance for Least {
    fn joined(&mut self, _at: usize) {}

    fn left(&mut self, _at: usize) {}

    fn pick(&mut self, members: &[Member], _available: usize, rng: &mut Rng) -> Option<usize> {
        if self.weighted {
            // a / v < b / w, without the division.
            Self::pick_by(members, rng, |a, b| {
                (u64::from(a.in_flight) * weight(b)).cmp(&(u64::from(b.in_flight) * weight(a)))
            })
        } else {
            Self::pick_by(members, rng, |a, b| a.in_flight.cmp(&b.in_flight))
        }
    }
}

/// Looks at available members in random order, and takes the least loaded that it has seen.
///
/// With one look that is the random choice; with d looks the power of d choices (Mitzenmacher 2001;
/// Vvedenskaya, Dobrushin, Karpelevich 1996), distinct; with a look at each until one is idle the idle-queue
/// choice (Lu et al. 2011). Since the order is random, the first of equals is a random one of them.
#[derive(Clone, Debug)]
pub struct Sampled {
    sample: Sample,
    /// A permutation of the members' places. A pick shuffles as much of its front as it looks at
    /// (Fisher–Yates), which is uniform whatever the permutation was before.
    order: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Sample {
    Of(u8),
    UntilIdle,
}

impl Sampled {
    fn new(sample: Sample) -> Sampled {
        Sampled {
            sample,
            order: Vec::new(),
        }
    }

    fn resize(&mut self, members: usize) {
        if self.order.len() > members {
            self.order.retain(|&at| (at as usize) < members);
        }
        self.order.extend(self.order.len() as u32..members as u32);
    }
}

impl Balance for Sampled {
    // Members' places are always 0..n, whoever comes or goes.
    fn joined(&mut self, _at: usize) {
        self.resize(self.order.len() + 1);
    }

    fn left(&mut self, _at: usize) {
        self.resize(self.order.len().saturating_sub(1));
    }

    fn pick(&mut self, members: &[Member], available: usize, rng: &mut Rng) -> Option<usize> {
        self.resize(members.len());
        let (looks, load): (usize, fn(&Member) -> u32) = match self.sample {
            Sample::Of(1) => (1, |_| 0),
            Sample::Of(choices) => (usize::from(choices).min(available), |member| {
                member.in_flight
            }),
            // Without an idle one, looking further would find nothing better than the first.
            Sample::UntilIdle if !members.iter().any(is_idle) => (1, |_| 0),
            Sample::UntilIdle => (available, |member| member.in_flight.min(1)),
        };
        let mut best: Option<(usize, u32)> = None;
        let mut looked = 0;
        for front in 0..self.order.len() {
            let drawn = front + below(rng, self.order.len() - front);
            self.order.swap(front, drawn);
            let at = self.order[front] as usize;
            if !members[at].available {
                continue;
            }
            let load = load(&members[at]);
            if best.is_none_or(|(_, least)| load < least) {
                best = Some((at, load));
            }
            looked += 1;
            if load == 0 || looked == looks {
                break;
            }
        }
        best.map(|(at, _)| at)
    }
}

fn is_idle(member: &Member) -> bool {
    member.available && member.in_flight == 0
}

fn weight(member: &Member) -> u64 {
    u64::from(member.weight.max(1))
}

/// A uniform number below `bound`, which is not 0 (Lemire, "Fast random integer generation in an interval",
/// 2019).
fn below(rng: &mut Rng, bound: usize) -> usize {
    let bound = bound as u64;
    let mut product = u128::from(rng.next_u64()) * u128::from(bound);
    if (product as u64) < bound {
        let unfair = bound.wrapping_neg() % bound;
        while (product as u64) < unfair {
            product = u128::from(rng.next_u64()) * u128::from(bound);
        }
    }
    (product >> 64) as usize
}

#[cfg(test)]
mod tests;
