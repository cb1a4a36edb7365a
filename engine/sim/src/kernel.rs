//! The event calendar: what happens next, in the order of (time, sequence).

use std::collections::VecDeque;

use queuelab_core::{Span, Time};

/// A lane: events whose times never decrease, of which only the first is in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneId(u32);

const NO_LANE: u32 = u32::MAX;

/// A calendar of events `E`, each due at an instant; events of one instant run in the order in which they were scheduled.
///
/// Three stores share one sequence counter, so that the order does not depend on which one an event went through:
/// a 4-ary heap on the packed (time, sequence), a FIFO for events due at once, and FIFO lanes for streams of events
/// whose times never decrease (constant timeouts, ordered connections), which keep the heap small.
#[derive(Clone, Debug)]
pub struct Calendar<E> {
    now: Time,
    sequence: u64,
    heap: Heap<E>,
    /// The heap's first entry has been popped, and its place waits for the next one pushed: one sift does for both.
    vacant: bool,
    at_once: VecDeque<(u64, E)>,
    lanes: Vec<VecDeque<(Time, u64, E)>>,
    /// Lanes that were left, to be taken again once they are empty.
    left: VecDeque<LaneId>,
}

/// A 4-ary heap in families of four siblings, so that the children of an entry are an array. Places in a family that nobody has hold an
/// entry that is never due: looking for the smallest child needs no count.
#[derive(Clone, Debug)]
struct Heap<E> {
    /// The first one has only its last place taken, by the root. The children of an entry are the family whose number is the entry's place
    /// less two.
    families: Vec<[Scheduled<E>; ARITY]>,
    /// The place after the last one taken: a family's number times four, and the place in it.
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct Scheduled<E> {
    /// Time in the upper half, sequence in the lower: one comparison orders both.
    key: u128,
    lane: u32,
    event: E,
}

impl<E: Copy> Calendar<E> {
    /// An empty calendar at time zero.
    pub fn new() -> Self {
        Calendar {
            now: Time::ZERO,
            sequence: 0,
            heap: Heap::new(),
            vacant: false,
            at_once: VecDeque::new(),
            lanes: Vec::new(),
            left: VecDeque::new(),
        }
    }

    /// The instant of the last event popped.
    #[inline]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Events scheduled so far.
    pub fn scheduled(&self) -> u64 {
        self.sequence
    }

    /// Events that wait.
    pub fn len(&self) -> usize {
        let behind: usize = self
            .lanes
            .iter()
            .map(|lane| lane.len().saturating_sub(1))
            .sum();
        self.heap.len() - usize::from(self.vacant) + self.at_once.len() + behind
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.heap.len() == usize::from(self.vacant) && self.at_once.is_empty()
    }

    /// Schedules `event` at `at`; an instant in the past counts as now.
    #[inline]
    pub fn schedule(&mut self, at: Time, event: E) {
        let sequence = self.next_sequence();
        if at <= self.now {
            self.at_once.push_back((sequence, event));
        } else {
            self.push(Scheduled {
                key: pack(at, sequence),
                lane: NO_LANE,
                event,
            });
        }
    }

    /// Schedules `event` after `delay`.
    #[inline]
    pub fn after(&mut self, delay: Span, event: E) {
        self.schedule(self.now + delay, event);
    }

    /// A new lane.
    pub fn lane(&mut self) -> LaneId {
        self.lanes.push(VecDeque::new());
        LaneId(self.lanes.len() as u32 - 1)
    }

    /// Schedules `event` at `at`, or with the lane's last event if that is later. Past instants count as now.
    #[inline(always)]
    pub fn schedule_in(&mut self, lane: LaneId, at: Time, event: E) {
        if at <= self.now && self.lanes[lane.0 as usize].is_empty() {
            let sequence = self.next_sequence();
            return self.at_once.push_back((sequence, event));
        }
        self.join_lane(lane, at, event);
    }

    fn join_lane(&mut self, lane: LaneId, at: Time, event: E) {
        let waiting = &mut self.lanes[lane.0 as usize];
        let sequence = self.sequence;
        match waiting.back() {
            Some((last, _, _)) => {
                let at = at.max(*last);
                waiting.push_back((at, sequence, event));
                self.sequence += 1;
            }
            None => {
                self.sequence += 1;
                waiting.push_back((at, sequence, event));
                self.push(Scheduled {
                    key: pack(at, sequence),
                    lane: lane.0,
                    event,
                });
            }
        }
    }

    /// When the next event is due.
    #[inline]
    pub fn next_at(&self) -> Option<Time> {
        if !self.at_once.is_empty() {
            return Some(self.now);
        }
        let first = match self.vacant {
            true => self.heap.second(),
            false => self.heap.first().map(|first| first.key),
        };
        first.map(unpack)
    }

    /// The next event, with its instant (now from here on) and its sequence.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, u64, E)> {
        self.pop_until(Time::MAX)
    }

    /// The same, if that event is due at `until` or before.
    #[inline]
    pub fn pop_until(&mut self, until: Time) -> Option<(Time, u64, E)> {
        if std::mem::take(&mut self.vacant) {
            self.heap.remove_first();
        }
        if self.now > until {
            return None;
        }
        if let Some((sequence, _)) = self.at_once.front() {
            let due_before = |first: &Scheduled<E>| first.key < pack(self.now, *sequence);
            if !self.heap.first().is_some_and(due_before) {
                let (sequence, event) = self.at_once.pop_front()?;
                return Some((self.now, sequence, event));
            }
        }
        let first = *self.heap.first()?;
        if unpack(first.key) > until {
            return None;
        }
        if first.lane == NO_LANE {
            self.vacant = true;
        } else {
            let lane = &mut self.lanes[first.lane as usize];
            lane.pop_front();
            match lane.front() {
                Some((at, sequence, event)) => {
                    let next = Scheduled {
                        key: pack(*at, *sequence),
                        lane: first.lane,
                        event: *event,
                    };
                    self.heap.replace_first(next);
                }
                None => self.vacant = true,
            }
        }
        self.now = unpack(first.key);
        Some((self.now, first.key as u64, first.event))
    }

    /// The lane to go on with where nothing is to wait for what is in `lane`: of that the first event still happens, the others are forgotten.
    pub fn leave(&mut self, lane: LaneId) -> LaneId {
        let waiting = &mut self.lanes[lane.0 as usize];
        if waiting.is_empty() {
            return lane;
        }
        waiting.truncate(1);
        self.left.push_back(lane);
        let lanes = &self.lanes;
        let free = |left: &mut LaneId| lanes[left.0 as usize].is_empty();
        match self.left.pop_front_if(free) {
            Some(free) => free,
            None => self.lane(),
        }
    }

    /// Forgets all that was to happen.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.vacant = false;
        self.at_once.clear();
        self.lanes.iter_mut().for_each(VecDeque::clear);
    }

    /// Moves to `at` if nothing is due before it; never back.
    pub fn advance(&mut self, at: Time) {
        debug_assert!(self.next_at().is_none_or(|next| at <= next));
        self.now = self.now.max(at);
    }

    #[inline]
    fn next_sequence(&mut self) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        sequence
    }

    #[inline]
    fn push(&mut self, entry: Scheduled<E>) {
        if std::mem::take(&mut self.vacant) {
            self.heap.replace_first(entry);
        } else {
            self.heap.push(entry);
        }
    }
}

impl<E: Copy> Heap<E> {
    fn new() -> Self {
        Heap {
            families: Vec::new(),
            end: ROOT,
        }
    }

    fn len(&self) -> usize {
        self.end - ROOT
    }

    fn is_empty(&self) -> bool {
        self.end == ROOT
    }

    #[inline]
    fn first(&self) -> Option<&Scheduled<E>> {
        let root = &self.families.first()?[ROOT];
        (!self.is_empty()).then_some(root)
    }

    /// The smallest key but for the first one's.
    fn second(&self) -> Option<u128> {
        let keys = self.families.get(1)?.iter().map(|entry| entry.key);
        keys.min().filter(|key| *key < NEVER)
    }

    fn clear(&mut self) {
        self.families.clear();
        self.end = ROOT;
    }

    fn push(&mut self, entry: Scheduled<E>) {
        let mut hole = self.end;
        self.end += 1;
        if hole / ARITY == self.families.len() {
            self.families.push([entry.never(); ARITY]);
        }
        while hole > ROOT {
            let parent = hole / ARITY + 2;
            let above = *self.at(parent);
            if above.key <= entry.key {
                break;
            }
            *self.at(hole) = above;
            hole = parent;
        }
        *self.at(hole) = entry;
    }

    /// Takes the first one out; there is one.
    #[inline]
    fn remove_first(&mut self) {
        self.end -= 1;
        let place = self.end;
        let last = *self.at(place);
        *self.at(place) = last.never();
        if place.is_multiple_of(ARITY) {
            self.families.pop();
        }
        if place > ROOT {
            self.replace_first(last);
        }
    }

    /// Puts `entry` where the first one was, and restores the order.
    #[inline]
    fn replace_first(&mut self, entry: Scheduled<E>) {
        let mut hole = ROOT;
        while let Some(children) = self.families.get(hole - 2) {
            let [a, b, c, d] = children;
            // A tournament compiles to conditional moves: which child is the smallest cannot be predicted.
            let left = if b.key < a.key {
                (1, b.key)
            } else {
                (0, a.key)
            };
            let right = if d.key < c.key {
                (3, d.key)
            } else {
                (2, c.key)
            };
            let (child, key) = if right.1 < left.1 { right } else { left };
            if entry.key <= key {
                break;
            }
            let smallest = children[child % ARITY];
            *self.at(hole) = smallest;
            hole = (hole - 2) * ARITY + child;
        }
        *self.at(hole) = entry;
    }

    #[inline]
    fn at(&mut self, place: usize) -> &mut Scheduled<E> {
        &mut self.families[place / ARITY][place % ARITY]
    }
}

impl<E: Copy> Scheduled<E> {
    /// What stands where nothing does.
    fn never(self) -> Self {
        Scheduled { key: NEVER, ..self }
    }
}

impl<E: Copy> Default for Calendar<E> {
    fn default() -> Self {
        Self::new()
    }
}

/// Wider than binary: fewer levels to sift through, and a node's children share cache lines.
const ARITY: usize = 4;

/// The place of the heap's first entry.
const ROOT: usize = ARITY - 1;

/// Later than all that is scheduled.
const NEVER: u128 = u128::MAX;

#[inline]
fn pack(at: Time, sequence: u64) -> u128 {
    (u128::from(at.0) << 64) | u128::from(sequence)
}

#[inline]
fn unpack(key: u128) -> Time {
    Time((key >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Schedule(u64),
        ScheduleIn(usize, u64),
        Leave(usize),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20u64).prop_map(Step::Schedule),
            (0..3usize, 0..20u64).prop_map(|(lane, delay)| Step::ScheduleIn(lane, delay)),
            Just(Step::Pop),
            Just(Step::Pop),
            (0..3usize).prop_map(Step::Leave),
        ]
    }

    proptest! {
        #[test]
        fn pops_in_the_order_of_time_and_sequence(steps in prop::collection::vec(step(), 0..500)) {
            let mut calendar = Calendar::new();
            let mut lanes = [calendar.lane(), calendar.lane(), calendar.lane()];
            let mut last_in_lane = [0u64; 3];
            let mut waiting: [Vec<(u64, u64)>; 3] = Default::default();
            let mut model = BTreeMap::new();
            for (number, step) in (0u64..).zip(steps) {
                let sequence = calendar.scheduled();
                match step {
                    Step::Schedule(delay) => {
                        calendar.after(Span(delay), number);
                        model.insert((calendar.now().0 + delay, sequence), number);
                    }
                    Step::ScheduleIn(lane, delay) => {
                        let at = (calendar.now().0 + delay).max(last_in_lane[lane]);
                        last_in_lane[lane] = at;
                        calendar.schedule_in(lanes[lane], Time(at), number);
                        waiting[lane].retain(|key| model.contains_key(key));
                        // What is due at once is in no lane.
                        if at > calendar.now().0 || !waiting[lane].is_empty() {
                            waiting[lane].push((at, sequence));
                        }
                        model.insert((at, sequence), number);
                    }
                    Step::Leave(lane) => {
                        lanes[lane] = calendar.leave(lanes[lane]);
                        last_in_lane[lane] = 0;
                        let mut left = std::mem::take(&mut waiting[lane]);
                        left.retain(|key| model.contains_key(key));
                        for key in left.iter().skip(1) {
                            model.remove(key);
                        }
                    }
                    Step::Pop => {
                        let popped = calendar.pop().map(|(at, sequence, event)| ((at.0, sequence), event));
                        prop_assert_eq!(popped, model.pop_first());
                    }
                }
                prop_assert_eq!(calendar.len(), model.len());
                prop_assert_eq!(calendar.is_empty(), model.is_empty());
                let next = model.first_key_value().map(|((at, _), _)| Time(*at));
                prop_assert_eq!(calendar.next_at(), next);
            }
        }
    }
}
