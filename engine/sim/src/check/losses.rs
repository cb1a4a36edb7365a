//! Where the lost messages were among all that their producers sent: before what was kept, amid it, or behind it.
//!
//! A log that loses its end while nobody sends on shows behind, one that loses its beginning before, and a hole amid.

use std::collections::BTreeSet;

use queuelab_record::Losses;

use super::{Check, Invariant, Tag};

/// What was lost and kept of each producer's messages.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    producers: Vec<OfProducer>,
}

#[derive(Clone, Debug, Default)]
struct OfProducer {
    /// The first and the last message that was kept.
    kept: Option<(u64, u64)>,
    /// Lost ones before the first that was kept.
    before: BTreeSet<u64>,
    /// How many lost ones have kept ones before and behind them.
    amid: u64,
    /// Lost ones behind the last that was kept.
    behind: BTreeSet<u64>,
}

impl Lost {
    /// For so many producers.
    pub fn new(producers: usize) -> Lost {
        Lost {
            producers: vec![OfProducer::default(); producers],
        }
    }

    /// A message has come to its end as it should, or is still there.
    #[inline]
    pub fn keeps(&mut self, tag: Tag) {
        let Some(of) = self.producers.get_mut(tag.producer()) else {
            return;
        };
        let sequence = tag.sequence();
        match of.kept {
            Some((first, last)) if first <= sequence && sequence <= last => {}
            _ => of.extends_to(sequence),
        }
    }

    /// A confirmed message is gone.
    pub fn loses(&mut self, tag: Tag) {
        let Some(of) = self.producers.get_mut(tag.producer()) else {
            return;
        };
        let sequence = tag.sequence();
        match of.kept {
            Some((first, _)) if sequence < first => _ = of.before.insert(sequence),
            Some((_, last)) if sequence <= last => of.amid += 1,
            _ => _ = of.behind.insert(sequence),
        }
    }

    fn sum(&self) -> Losses {
        let mut sum = Losses::default();
        for of in &self.producers {
            sum.before += of.before.len() as u64;
            sum.amid += of.amid;
            sum.behind += of.behind.len() as u64;
        }
        sum
    }
}

impl OfProducer {
    #[inline(never)]
    fn extends_to(&mut self, sequence: u64) {
        let Some((first, last)) = self.kept else {
            let behind = self.behind.split_off(&sequence);
            self.before = std::mem::replace(&mut self.behind, behind);
            self.kept = Some((sequence, sequence));
            return;
        };
        if sequence > last {
            let behind = self.behind.split_off(&sequence);
            self.amid += std::mem::replace(&mut self.behind, behind).len() as u64;
        } else {
            self.amid += self.before.split_off(&sequence).len() as u64;
        }
        self.kept = Some((first.min(sequence), last.max(sequence)));
    }
}

impl Check {
    /// Where the losses were, if there were any.
    pub(super) fn losses(&self) -> Option<Losses> {
        if self.tallies[Invariant::NoLoss as usize].violations == 0 {
            return None;
        }
        let mut lost = self.lost.clone();
        for (producer, messages) in self.messages.iter().enumerate() {
            let held = messages.iter().filter(|(_, message)| message.copies > 0);
            for (sequence, _) in held {
                lost.keeps(Tag::new(producer, sequence));
            }
        }
        Some(lost.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(events: &[(char, u64)]) -> (u64, u64, u64) {
        let mut lost = Lost::new(1);
        for (what, sequence) in events {
            let tag = Tag::new(0, *sequence);
            match what {
                '+' => lost.keeps(tag),
                _ => lost.loses(tag),
            }
        }
        let Losses {
            before,
            amid,
            behind,
        } = lost.sum();
        (before, amid, behind)
    }

    #[test]
    fn losses_lie_before_amid_or_behind_what_is_kept() {
        assert_eq!(split(&[('-', 1), ('-', 2)]), (0, 0, 2));
        assert_eq!(split(&[('-', 1), ('-', 2), ('+', 3)]), (2, 0, 0));
        assert_eq!(split(&[('+', 1), ('-', 2), ('-', 3)]), (0, 0, 2));
        assert_eq!(split(&[('+', 1), ('-', 2), ('-', 9), ('+', 3)]), (0, 1, 1));
        // What was kept may become known later than what was lost, in any order.
        assert_eq!(split(&[('-', 2), ('+', 3), ('+', 1)]), (0, 1, 0));
        assert_eq!(split(&[('+', 5), ('-', 2), ('-', 4), ('+', 3)]), (1, 1, 0));
        assert_eq!(split(&[('+', 1), ('+', 5), ('-', 3)]), (0, 1, 0));
    }
}
