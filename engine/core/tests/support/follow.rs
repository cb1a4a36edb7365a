//! What the events say of each queue's messages, against what the queue says: whoever only watches knows where each message is.

use std::collections::BTreeMap;

use queuelab_core::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    InFlight,
    Delayed,
    Stalled,
    Leaving,
}

#[derive(Default)]
pub(crate) struct Follower {
    copies: BTreeMap<MessageCopy, Place>,
}

/// What is followed, and not compared with the model: it says no more than what follows from it.
pub(crate) fn is_about_leaving(output: &Output) -> bool {
    matches!(
        output,
        Output::Observe(Event::Leaving { .. } | Event::Stalled { .. })
    )
}

impl Follower {
    pub(crate) fn note(&mut self, output: &Output) {
        let (copy, place) = match *output {
            Output::Client {
                response: Response::Deliver { copy, .. },
                ..
            } => {
                if let Some(place) = self.copies.get_mut(&copy) {
                    *place = Place::InFlight;
                }
                return;
            }
            Output::Observe(Event::Removed { copy, .. }) => {
                self.copies.remove(&copy);
                return;
            }
            Output::Observe(
                Event::Enqueued { copy, .. }
                | Event::Returned { copy, .. }
                | Event::Recovered { copy, .. }
                | Event::Due { copy, .. },
            ) => (copy, Place::Ready),
            Output::Observe(Event::Delayed { copy, .. }) => (copy, Place::Delayed),
            Output::Observe(Event::Stalled { copy, .. }) => (copy, Place::Stalled),
            Output::Observe(Event::Leaving { copy, .. }) => (copy, Place::Leaving),
            _ => return,
        };
        self.copies.insert(copy, place);
    }

    pub(crate) fn compare(&self, config: &BrokerConfig, broker: &Broker) {
        if broker.failure().is_some() {
            return;
        }
        for (id, queue) in (0..).map(QueueId).zip(&config.queues) {
            if queue.policy.stream.is_some() {
                continue;
            }
            let count = |wanted: Place| {
                let copies = self.copies.iter();
                let there = copies.filter(|(copy, place)| copy.queue == id && **place == wanted);
                there.count() as u64
            };
            let view = broker.queue(id);
            assert_eq!(
                (view.ready, view.in_flight, view.delayed, view.stalled),
                (
                    count(Place::Ready),
                    count(Place::InFlight),
                    count(Place::Delayed),
                    count(Place::Stalled)
                ),
                "{:?}: ready, in flight, delayed, stalled",
                queue.name
            );
        }
    }
}
