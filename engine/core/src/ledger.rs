//! An append-only sequence with removal anywhere.

use std::collections::VecDeque;

/// Values under strictly growing `u64` keys: appended at the end, removed anywhere, in amortised constant time.
///
/// Removal leaves a hole; holes at the front go at once, the others once they outnumber the values, so memory is
/// proportional to what is live. A look-up is one or two probes where keys are dense from the first or up to the last,
/// else a binary search.
#[derive(Clone, Debug)]
pub struct Ledger<T> {
    slots: VecDeque<(u64, Option<T>)>,
    live: usize,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Ledger {
            slots: VecDeque::new(),
            live: 0,
        }
    }
}

impl<T> Ledger<T> {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.live
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Appends. `key` must exceed all keys appended before that are still known; it panics otherwise.
    #[inline]
    pub fn push(&mut self, key: u64, value: T) {
        if let Some((last, _)) = self.slots.back() {
            assert!(*last < key, "ledger keys must grow: {key} after {last}");
        }
        self.slots.push_back((key, Some(value)));
        self.live += 1;
    }

    /// The value under `key`.
    #[inline]
    pub fn get(&self, key: u64) -> Option<&T> {
        match self.dense(key) {
            Some(at) => self.slots[at].1.as_ref(),
            None => self.slots[self.search(key)?].1.as_ref(),
        }
    }

    /// The value under `key`, to change it.
    // Either way to a slot indexes for itself, here and below: so the usual one finds its slot once.
    #[inline]
    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        match self.dense(key) {
            Some(at) => self.slots[at].1.as_mut(),
            None => {
                let at = self.search(key)?;
                self.slots[at].1.as_mut()
            }
        }
    }

    /// Takes the value under `key` out.
    #[inline]
    pub fn remove(&mut self, key: u64) -> Option<T> {
        let value = match self.dense(key) {
            Some(at) => self.slots[at].1.take()?,
            None => {
                let at = self.search(key)?;
                self.slots[at].1.take()?
            }
        };
        self.live -= 1;
        self.tidy();
        Some(value)
    }

    /// Forgets the value under `key`, of which `look` tells what is still wanted: nothing is moved.
    #[inline]
    pub fn discard<R>(&mut self, key: u64, look: impl FnOnce(&T) -> R) -> Option<R> {
        let value = match self.dense(key) {
            Some(at) => &mut self.slots[at].1,
            None => {
                let at = self.search(key)?;
                &mut self.slots[at].1
            }
        };
        let told = look(value.as_ref()?);
        *value = None;
        self.live -= 1;
        self.tidy();
        Some(told)
    }

    /// The smallest key and its value.
    pub fn front(&self) -> Option<(u64, &T)> {
        self.slots
            .front()
            .and_then(|(key, value)| Some((*key, value.as_ref()?)))
    }

    /// Takes the smallest key out.
    pub fn pop_front(&mut self) -> Option<(u64, T)> {
        let (key, value) = self.slots.pop_front()?;
        let value = value.expect("the front of a ledger is live");
        self.live -= 1;
        self.tidy();
        Some((key, value))
    }

    /// The smallest key that is `key` or more, with its value.
    pub fn at_or_after(&self, key: u64) -> Option<(u64, &T)> {
        let from = self.lower_bound(key);
        self.slots
            .range(from..)
            .find_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    /// All values by key, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        self.slots
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    /// The values under `key` and larger keys, ascending.
    pub fn iter_from(&self, key: u64) -> impl Iterator<Item = (u64, &T)> {
        self.slots
            .range(self.lower_bound(key)..)
            .filter_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    /// Forgets the values under `key` and larger keys.
    pub fn truncate(&mut self, key: u64) {
        while let Some((last, value)) = self.slots.back() {
            if *last < key {
                break;
            }
            self.live -= usize::from(value.is_some());
            self.slots.pop_back();
        }
        self.tidy();
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.live = 0;
    }

    /// Where `key` is if keys are dense from the first on, the usual case: at its distance from that.
    #[inline]
    fn dense(&self, key: u64) -> Option<usize> {
        let (first, _) = self.slots.front()?;
        let place = usize::try_from(key.checked_sub(*first)?).ok()?;
        let (found, _) = self.slots.get(place)?;
        (*found == key).then_some(place)
    }

    #[cold]
    fn search(&self, key: u64) -> Option<usize> {
        let at = self.lower_bound(key);
        (at < self.slots.len() && self.slots[at].0 == key).then_some(at)
    }

    /// Index of the first slot whose key is `key` or more.
    #[inline]
    fn lower_bound(&self, key: u64) -> usize {
        let Some((first, _)) = self.slots.front() else {
            return 0;
        };
        if key <= *first {
            return 0;
        }
        // Keys grow by at least one per slot, so the slot is at this distance or nearer.
        let bound = usize::try_from(key - first)
            .unwrap_or(usize::MAX)
            .min(self.slots.len());
        if bound < self.slots.len() && self.slots[bound].0 == key {
            return bound;
        }
        // After a gap, keys are dense again up to the last: probe from there, too.
        if let Some((last, _)) = self.slots.back()
            && let Some(distance) = last.checked_sub(key)
            && distance < self.slots.len() as u64
        {
            let at = self.slots.len() - 1 - distance as usize;
            if self.slots[at].0 == key {
                return at;
            }
        }
        let (mut low, mut high) = (0, bound);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.slots[middle].0 < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    #[inline(always)]
    fn tidy(&mut self) {
        while let Some((_, None)) = self.slots.front() {
            self.slots.pop_front();
        }
        if self.slots.len() > 32 && self.slots.len() > 2 * self.live {
            self.close_gaps();
        }
    }

    #[cold]
    fn close_gaps(&mut self) {
        self.slots.retain(|(_, value)| value.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u64),
        Remove(u64),
        Discard(u64),
        PopFront,
        AtOrAfter(u64),
        Truncate(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..4u64).prop_map(Step::Push),
            2 => (0..300u64).prop_map(Step::Remove),
            2 => (0..300u64).prop_map(Step::Discard),
            1 => Just(Step::PopFront),
            1 => (0..300u64).prop_map(Step::AtOrAfter),
            1 => (0..900u64).prop_map(Step::Truncate),
        ];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_map(steps in steps()) {
            let (mut ledger, mut model, mut last) = (Ledger::new(), BTreeMap::new(), 0);
            for step in steps {
                match step {
                    Step::Push(gap) => {
                        last += gap;
                        ledger.push(last, last * 10);
                        model.insert(last, last * 10);
                    }
                    Step::Remove(key) => prop_assert_eq!(ledger.remove(key), model.remove(&key)),
                    Step::Discard(key) => prop_assert_eq!(ledger.discard(key, |value| *value), model.remove(&key)),
                    Step::PopFront => prop_assert_eq!(ledger.pop_front(), model.pop_first()),
                    Step::AtOrAfter(key) => {
                        let expected = model.range(key..).next().map(|(key, value)| (*key, value));
                        prop_assert_eq!(ledger.at_or_after(key), expected);
                        let rest = ledger.iter_from(key).map(|(key, value)| (key, *value));
                        prop_assert!(rest.eq(model.range(key..).map(|(key, value)| (*key, *value))));
                    }
                    Step::Truncate(key) => {
                        ledger.truncate(key);
                        drop(model.split_off(&key));
                    }
                }
                prop_assert_eq!(ledger.len(), model.len());
                prop_assert!(ledger.slots.len() <= 32.max(2 * model.len()));
                let all: Vec<_> = ledger.iter().map(|(key, value)| (key, *value)).collect();
                prop_assert!(all.iter().copied().eq(model.clone()));
            }
        }
    }
}
