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

    /// A copy that came back is ready: it goes before those that came after it.
    pub fn came_back(&mut self, copy: MessageCopy) {
        if self.enabled && self.rules[copy.queue.index()].returns_first {
            self.back[copy.queue.index()].insert(copy.serial);
        }
    }

    /// A copy that had come back is no longer ready.
    #[inline]
    pub fn no_longer_back(&mut self, copy: MessageCopy) {
        if let Some(back) = self.back.get_mut(copy.queue.index())
            && !back.is_empty()
        {
            back.remove(&copy.serial);
        }
    }

    /// A copy leaves the ready state for a consumer: none that came back may have been there before it.
    #[inline]
    pub fn in_turn(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let queue = copy.queue.index();
        let Some(back) = self.back.get_mut(queue).filter(|back| !back.is_empty()) else {
            return;
        };
        let first = back.first().copied().unwrap_or(copy.serial);
        back.remove(&copy.serial);
        let place = Place::of(now, queue, tag);
        self.compare(Invariant::RequeueOrder, place, copy.serial <= first, || {
            format!(
                "at {now}: {tag} was delivered before one that had come back and stood before it"
            )
        });
    }

    /// Whatever was known of copies that came back is void: the broker is gone.
    pub fn forget_returns(&mut self) {
        for back in &mut self.back {
            back.clear();
        }
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
