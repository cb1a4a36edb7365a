//! Whether what came back goes before what came after it.

use std::collections::{BTreeMap, BTreeSet};

use queuelab_core::{MessageCopy, Time};

use super::{Check, Invariant, Place, Tag};

/// Copies of one queue that came back and are ready, by serial.
#[derive(Clone, Debug, Default)]
pub struct Back {
    /// In their order.
    ready: BTreeSet<u64>,
    /// Those that something behind them was delivered before, and when: they must be on their way out, and nobody has heard of it yet.
    passed: BTreeMap<u64, (Time, Tag)>,
}

impl Back {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.passed.is_empty()
    }

    fn remove(&mut self, serial: u64) {
        self.ready.remove(&serial);
        self.passed.remove(&serial);
    }
}

impl Check {
    /// A copy that came back is ready: it goes before those that came after it.
    pub fn came_back(&mut self, copy: MessageCopy) {
        if self.enabled && self.rules[copy.queue.index()].returns_first {
            self.back[copy.queue.index()].ready.insert(copy.serial);
        }
    }

    /// A copy that had come back is no longer ready.
    #[inline]
    pub fn no_longer_back(&mut self, copy: MessageCopy) {
        if let Some(back) = self.back.get_mut(copy.queue.index())
            && !back.is_empty()
        {
            back.remove(copy.serial);
        }
    }

    /// A copy leaves the ready state for a consumer: none that came back may have been there before it.
    #[inline]
    pub fn in_turn(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let back = self.back.get(copy.queue.index());
        if back.is_some_and(|back| !back.is_empty()) {
            match self.rules[copy.queue.index()].vanishes {
                false => self.compare_turn(now, tag, copy),
                true => self.compare_turn_later(now, tag, copy),
            }
        }
    }

    fn compare_turn(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let queue = copy.queue.index();
        let ready = &mut self.back[queue].ready;
        let first = ready.first().copied().unwrap_or(copy.serial);
        ready.remove(&copy.serial);
        let place = Place::of(now, queue, tag);
        self.compare(Invariant::RequeueOrder, place, copy.serial <= first, || {
            format!(
                "at {now}: {tag} was delivered before one that had come back and stood before it"
            )
        });
    }

    /// What expires or is displaced is not ready any more, and is heard of once the log says so. So of a copy that is passed over nothing is
    /// known until it leaves its queue, which is well, or is delivered after all. Each is passed over once: the work per event is constant.
    fn compare_turn_later(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let queue = copy.queue.index();
        let back = &mut self.back[queue];
        let was_back = back.ready.remove(&copy.serial);
        let passed = back.passed.remove(&copy.serial);
        let behind = back.ready.split_off(&copy.serial);
        let before = std::mem::replace(&mut back.ready, behind);
        back.passed
            .extend(before.into_iter().map(|serial| (serial, (now, tag))));
        if !was_back && passed.is_none() {
            return;
        }
        let place = Place::of(now, queue, tag);
        self.compare(Invariant::RequeueOrder, place, passed.is_none(), || {
            let (then, other) = passed.unwrap_or((now, tag));
            format!(
                "at {now}: {tag} was delivered; it had come back, and at {then} {other}, which stood behind it, was delivered before it"
            )
        });
    }

    /// Whatever was known of copies that came back is void: the broker is gone.
    pub fn forget_returns(&mut self) {
        self.back.fill(Back::default());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rules;
    use super::*;
    use queuelab_core::QueueId;

    fn check(vanishes: bool) -> Check {
        let rules = Rules {
            returns_first: true,
            vanishes,
            ..Rules::default()
        };
        Check::with_rules(true, vec![rules], 1, 1)
    }

    /// The copies that come back, those that leave, and those that are delivered, each as a serial; the result is how many comparisons
    /// there were, and how many violations.
    fn compared(vanishes: bool, steps: &[(char, u64)]) -> (u64, u64) {
        let mut check = check(vanishes);
        for (step, serial) in steps {
            let copy = MessageCopy {
                queue: QueueId(0),
                serial: *serial,
            };
            match step {
                'b' => check.came_back(copy),
                'l' => check.no_longer_back(copy),
                _ => check.in_turn(Time(1), Tag::new(0, *serial), copy),
            }
        }
        let tally = &check.tallies[Invariant::RequeueOrder as usize];
        (tally.compared, tally.violations)
    }

    #[test]
    fn what_passes_one_that_came_back_is_seen_at_once() {
        let back = [('b', 3), ('b', 5)];
        assert_eq!(
            compared(false, &[&back[..], &[('d', 3), ('d', 5)]].concat()),
            (2, 0)
        );
        assert_eq!(compared(false, &[&back[..], &[('d', 5)]].concat()), (1, 1));
        assert_eq!(compared(false, &[&back[..], &[('d', 9)]].concat()), (1, 1));
        assert_eq!(
            compared(
                false,
                &[&back[..], &[('l', 3), ('d', 5), ('d', 9)]].concat()
            ),
            (1, 0)
        );
    }

    #[test]
    fn where_messages_vanish_one_that_was_passed_must_not_be_delivered_after_all() {
        let back = [('b', 3), ('b', 5)];
        assert_eq!(
            compared(true, &[&back[..], &[('d', 3), ('d', 5), ('d', 9)]].concat()),
            (2, 0)
        );
        // It had expired, and that is heard of later.
        assert_eq!(
            compared(true, &[&back[..], &[('d', 5), ('l', 3), ('d', 9)]].concat()),
            (1, 0)
        );
        assert_eq!(
            compared(true, &[&back[..], &[('d', 9), ('l', 3), ('l', 5)]].concat()),
            (0, 0)
        );
        assert_eq!(
            compared(true, &[&back[..], &[('d', 5), ('d', 3)]].concat()),
            (2, 1)
        );
        assert_eq!(
            compared(true, &[&back[..], &[('d', 9), ('d', 3), ('d', 5)]].concat()),
            (2, 2)
        );
        // It has come back anew, and nothing has passed it since.
        assert_eq!(
            compared(true, &[&back[..], &[('d', 3), ('b', 3), ('d', 3)]].concat()),
            (2, 0)
        );
    }
}
