//! Where messages go: one key to one partition, one message once into a queue that knows them again.

use queuelab_core::{MessageCopy, Time};

use super::{Check, Invariant, Place, Tag};

impl Check {
    /// A copy of a publish begins.
    #[inline]
    pub fn routed_to(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let rules = &self.rules[copy.queue.index()];
        if self.enabled && (rules.partition.is_some() || rules.deduplicates.is_some()) {
            self.mind_routing(now, tag, copy);
        }
    }

    fn mind_routing(&mut self, now: Time, tag: Tag, copy: MessageCopy) {
        let queue = copy.queue.index();
        let rules = self.rules[queue];
        let messages = self.messages.get(tag.producer());
        let Some(message) = messages.and_then(|messages| messages.get(tag.sequence())) else {
            return;
        };
        let place = Place::of(now, queue, tag);
        if let Some(window) = rules.deduplicates {
            let doubt = self.doubt();
            let known = |(queue, since)| queue == copy.queue.0 && now - since + doubt < window;
            // `copies` counts this one.
            let twice = message.home.is_some_and(known) && message.copies > 1;
            self.compare(Invariant::NoDuplicate, place, !twice, || {
                format!(
                    "at {now}: {tag} entered a second time, while its first copy was still there"
                )
            });
            self.update(tag, |message| message.home = Some((copy.queue.0, now)));
        }
        let group = self.group_of.get(tag.producer()).copied().flatten();
        let (Some((of, partition)), Some(group)) = (rules.partition, group) else {
            return;
        };
        let messages = self.messages.get(tag.producer());
        let Some(message) = messages.and_then(|messages| messages.get(tag.sequence())) else {
            return;
        };
        let at = (of, group, message.key);
        if self.homes.len() >= KEYS && !self.homes.contains_key(&at) {
            return;
        }
        let home = *self.homes.entry(at).or_insert(partition);
        self.compare(Invariant::KeyPartition, place, home == partition, || {
            format!("at {now}: {tag} went to partition {partition}, and its key's earlier messages to {home}")
        });
    }
}

/// Keys that are remembered.
const KEYS: usize = 100_000;
