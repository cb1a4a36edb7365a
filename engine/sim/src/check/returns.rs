//! Whether what came back goes before what came after it.

use queuelab_core::{MessageCopy, Time};

use super::{Check, Invariant, Place, Tag};

impl Check {
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
}

#[cfg(test)]
mod tests {
    use super::super::Rules;
    use super::*;
    use queuelab_core::QueueId;

    /// The copies that come back, those that leave, and those that are delivered, each as a serial; the result is how many comparisons
    /// there were, and how many violations.
    fn compared(steps: &[(char, u64)]) -> (u64, u64) {
        let rules = Rules {
            returns_first: true,
            ..Rules::default()
        };
        let mut check = Check::with_rules(true, vec![rules], 1, 1);
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
            compared(&[&back[..], &[('d', 3), ('d', 5)]].concat()),
            (2, 0)
        );
        assert_eq!(compared(&[&back[..], &[('d', 5)]].concat()), (1, 1));
        assert_eq!(compared(&[&back[..], &[('d', 9)]].concat()), (1, 1));
        assert_eq!(
            compared(&[&back[..], &[('l', 3), ('d', 5), ('d', 9)]].concat()),
            (1, 0)
        );
    }
}
