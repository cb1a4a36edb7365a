//! Copies in equal copies that are there and gone: what came, what left, and the broker's counts, against the journeys.

use queuelab_core::{QueueId, Time};

use crate::journey::State;
use crate::world::World;

/// Where the unfinished copies of a queue are.
#[derive(Default)]
struct Places {
    proposed: u64,
    ready: u64,
    in_flight: u64,
    delayed: u64,
    stalled: u64,
    leaving: u64,
}

/// Two counts that should agree, each in words.
type Sides = ((u64, &'static str), (u64, &'static str));

impl World {
    /// Balances the accounts of queues that hold little, in between: what agrees is counted at the end only.
    pub fn account_often(&mut self) {
        let now = self.calendar.now();
        for queue in 0..self.layout.len() {
            if self.journeys.len(queue) <= LITTLE {
                let differs = |((one, _), (other, _)): &Sides| one != other;
                self.balance(now, queue, differs);
            }
        }
    }

    /// Balances the accounts of a queue.
    pub fn account(&mut self, now: Time, queue: usize) {
        self.balance(now, queue, |_| true);
    }

    fn balance(&mut self, now: Time, queue: usize, wanted: impl Fn(&Sides) -> bool) {
        for (one, other) in self.sides(queue).into_iter().filter(wanted) {
            self.check.balance(now, queue, one, other);
        }
    }

    fn sides(&self, queue: usize) -> Vec<Sides> {
        let places = self.places(queue);
        let metrics = &self.metrics.queues[queue];
        let left = metrics.dead_lettered()
            + metrics.dropped
            + metrics.rejected
            + metrics.expired
            + metrics.exhausted
            + metrics.purged
            + metrics.retired
            + metrics.lost;
        let stream = self.journeys.is_stream(queue);
        // What groups acknowledge stays in the stream.
        let left = left + if stream { 0 } else { metrics.counts.acked };
        let there = places.proposed
            + places.ready
            + places.in_flight
            + places.delayed
            + places.stalled
            + places.leaving;
        let came = metrics.begun + metrics.resurrected;
        let mut sides = vec![((came, "copies came"), (left + there, "left or are there"))];
        if let Some((waiting, taken)) = self.brokerless.depths(queue) {
            sides.push(((waiting, "wait"), (places.ready, "should")));
            sides.push(((taken, "are in flight"), (places.in_flight, "should be")));
            return sides;
        }
        // One whose log has failed carries nothing out any more.
        let broker = self.node.broker.as_ref();
        let Some(broker) = broker.filter(|broker| broker.failure().is_none()) else {
            return sides;
        };
        let view = broker.queue(QueueId(queue as u32));
        sides.push(((view.ready, "are ready"), (places.ready, "should be")));
        if stream {
            return sides;
        }
        sides.push((
            (view.in_flight, "are in flight"),
            (places.in_flight, "should be"),
        ));
        sides.push(((view.delayed, "are delayed"), (places.delayed, "should be")));
        if view.stalled + places.stalled > 0 {
            sides.push(((view.stalled, "are stalled"), (places.stalled, "should be")));
        }
        sides
    }

    /// How many copies are on their way out of a queue. What the log of a node that is down holds will be ready again.
    pub fn leaving(&self, queue: usize) -> u64 {
        match &self.node.broker {
            Some(_) => self.places(queue).leaving,
            None => 0,
        }
    }

    fn places(&self, queue: usize) -> Places {
        let mut places = Places::default();
        for (_, journey) in self.journeys.of_queue(queue) {
            let place = match journey.state {
                State::Proposed => &mut places.proposed,
                State::Ready => &mut places.ready,
                State::InFlight => &mut places.in_flight,
                State::Delayed => &mut places.delayed,
                State::Stalled => &mut places.stalled,
                State::Leaving => &mut places.leaving,
                State::Removed => continue,
            };
            *place += 1;
        }
        places
    }
}

/// So many unfinished copies are counted in no time.
const LITTLE: usize = 1_024;
