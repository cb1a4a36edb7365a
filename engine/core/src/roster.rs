//! The consumers of a queue, and which of them is served next.

use crate::balance::{Balance, Balancer, Member, Rng};
use crate::config::Dispatch;

/// The consumers of a queue. Those of lower priority are served only while all of higher priority are busy.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    dispatch: Dispatch,
    /// Only the first consumer is served.
    single_active: bool,
    /// The one consumer wants no other beside it.
    pub(crate) exclusive: bool,
    /// By priority, the highest first; none is empty.
    levels: Vec<Level>,
    /// Room to choose among some.
    some: Vec<Member>,
}

/// Consumers of the same priority.
#[derive(Clone, Debug)]
struct Level {
    priority: i32,
    /// Keys of the consumers, in order of registration.
    keys: Vec<u32>,
    /// The same consumers, as the balancer sees them.
    members: Vec<Member>,
    /// How many members are available.
    available: usize,
    balancer: Balancer,
}

/// A consumer's place in the roster, until another one joins or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    level: u32,
    at: u32,
}

impl Roster {
    pub(crate) fn new(dispatch: Dispatch, single_active: bool) -> Roster {
        Roster {
            dispatch,
            single_active,
            exclusive: false,
            levels: Vec::new(),
            some: Vec::new(),
        }
    }

    /// All of them: none is left.
    pub(crate) fn take(&mut self) -> Roster {
        let empty = Roster::new(self.dispatch, self.single_active);
        std::mem::replace(self, empty)
    }

    pub(crate) fn len(&self) -> usize {
        self.levels.iter().map(|level| level.keys.len()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Registers a consumer, without credit. Others may have to move.
    pub(crate) fn join(&mut self, key: u32, weight: u32, priority: i32) {
        let at = self
            .levels
            .partition_point(|level| level.priority > priority);
        if self
            .levels
            .get(at)
            .is_none_or(|level| level.priority != priority)
        {
            self.levels.insert(at, Level::new(priority, self.dispatch));
        }
        self.levels[at].join(key, weight);
    }

    /// Strikes a consumer off. Others may have to move.
    pub(crate) fn leave(&mut self, seat: Seat) {
        let level = &mut self.levels[seat.level as usize];
        level.leave(seat.at as usize);
        if level.keys.is_empty() {
            self.levels.remove(seat.level as usize);
        }
        self.exclusive &= !self.is_empty();
    }

    /// All consumers' keys, the highest priority first, in order of registration within each.
    pub(crate) fn seats(&self) -> impl Iterator<Item = (Seat, u32)> {
        self.levels.iter().zip(0..).flat_map(|(level, number)| {
            let keys = level.keys.iter().copied().zip(0..);
            keys.map(move |(key, at)| (Seat { level: number, at }, key))
        })
    }

    #[inline]
    pub(crate) fn key(&self, seat: Seat) -> u32 {
        self.levels[seat.level as usize].keys[seat.at as usize]
    }

    /// The one consumer that is served, where only one is.
    pub(crate) fn active(&self) -> Option<u32> {
        let first = self.levels.first().filter(|_| self.single_active)?;
        first.keys.first().copied()
    }

    /// Notes whether a consumer can take a message.
    #[inline]
    pub(crate) fn set_available(&mut self, seat: Seat, available: bool) {
        self.levels[seat.level as usize].set_available(seat.at as usize, available);
    }

    #[inline]
    pub(crate) fn set_in_flight(&mut self, seat: Seat, in_flight: u32) {
        self.levels[seat.level as usize].members[seat.at as usize].in_flight = in_flight;
    }

    /// Chooses the consumer that takes the next message.
    #[inline]
    pub(crate) fn pick(&mut self, rng: &mut Rng) -> Option<Seat> {
        if self.single_active {
            return self.takers().next().map(|(seat, _)| seat);
        }
        let (level, number) = self
            .levels
            .iter_mut()
            .zip(0..)
            .find(|(level, _)| level.available > 0)?;
        let at = level.balancer.pick(&level.members, level.available, rng)? as u32;
        Some(Seat { level: number, at })
    }

    /// Chooses among those available whom `takes` names by key.
    pub(crate) fn pick_among(
        &mut self,
        takes: impl Fn(u32) -> bool,
        rng: &mut Rng,
    ) -> Option<Seat> {
        if self.single_active {
            let mut takers = self.takers().filter(|(_, key)| takes(*key));
            return takers.next().map(|(seat, _)| seat);
        }
        for (level, number) in self.levels.iter_mut().zip(0..) {
            let members = level.members.iter().zip(&level.keys);
            self.some.clear();
            self.some.extend(members.map(|(member, key)| Member {
                available: member.available && takes(*key),
                ..*member
            }));
            let available = self.some.iter().filter(|member| member.available).count();
            if let Some(at) = level.balancer.pick(&self.some, available, rng) {
                let at = at as u32;
                return Some(Seat { level: number, at });
            }
        }
        None
    }

    /// Seats and keys of those that can take a message, the highest priority first.
    pub(crate) fn takers(&self) -> impl Iterator<Item = (Seat, u32)> {
        let served = if self.single_active { 1 } else { usize::MAX };
        let available = |seat: &Seat| {
            let level = &self.levels[seat.level as usize];
            level.members[seat.at as usize].available
        };
        self.seats()
            .take(served)
            .filter(move |(seat, _)| available(seat))
    }
}

impl Level {
    fn new(priority: i32, dispatch: Dispatch) -> Level {
        Level {
            priority,
            keys: Vec::new(),
            members: Vec::new(),
            available: 0,
            balancer: Balancer::new(dispatch),
        }
    }

    fn join(&mut self, key: u32, weight: u32) {
        let at = self.keys.len();
        self.keys.push(key);
        self.members.push(Member {
            in_flight: 0,
            weight: weight.max(1),
            available: false,
        });
        self.balancer.joined(at);
    }

    fn leave(&mut self, at: usize) {
        self.set_available(at, false);
        self.keys.remove(at);
        self.members.remove(at);
        self.balancer.left(at);
    }

    #[inline]
    fn set_available(&mut self, at: usize, available: bool) {
        let member = &mut self.members[at];
        if member.available != available {
            member.available = available;
            self.available = if available {
                self.available + 1
            } else {
                self.available - 1
            };
        }
    }
}
