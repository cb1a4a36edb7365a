//! What deliveries, returns and removals have to do with what was delivered before.

use queuelab_core::{MessageCopy, Time};

use super::{Check, Invariant, Place, Tag};
use crate::journey::{Journey, State};

impl Check {
    /// A copy is delivered; `journey` is as it was before. What was delivered before has to say so.
    #[inline]
    pub fn flagged(&mut self, now: Time, copy: MessageCopy, journey: &Journey, redelivered: bool) {
        if !self.enabled || journey.attempts == 0 || journey.moved {
            return;
        }
        let place = Place::of(now, copy.queue.index(), Tag(journey.tag));
        self.compare(Invariant::RedeliveredFlag, place, redelivered, || {
            format!(
                "at {now}: {} was delivered for the {}th time, and not marked as redelivered",
                Tag(journey.tag),
                journey.attempts + 1
            )
        });
    }

    /// A copy leaves its queue as acknowledged: a consumer that had it has said so.
    #[inline]
    pub fn acked(&mut self, now: Time, copy: MessageCopy, journey: &Journey, automatic: bool) {
        if !self.enabled || automatic || journey.state == State::Proposed {
            return;
        }
        let place = Place::of(now, copy.queue.index(), Tag(journey.tag));
        self.compare(Invariant::AckAsked, place, journey.acked, || {
            format!(
                "at {now}: {} was removed as acknowledged, and the consumer that had it had not said so",
                Tag(journey.tag)
            )
        });
    }

    /// A copy is back with a count of deliveries in vain: that never shrinks.
    pub fn counted(&mut self, now: Time, copy: MessageCopy, journey: &Journey, deliveries: u32) {
        if !self.enabled || self.rules[copy.queue.index()].limit.is_none() {
            return;
        }
        let place = Place::of(now, copy.queue.index(), Tag(journey.tag));
        let before = journey.in_vain;
        self.compare(Invariant::DeliveryLimit, place, deliveries >= before, || {
            format!(
                "at {now}: {} came back {deliveries} times by the queue's count, and {before} times before",
                Tag(journey.tag)
            )
        });
    }
}
