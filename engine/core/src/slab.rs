//! Values under small reusable keys.

use std::ops::{Index, IndexMut};

/// A table whose freed places are used again, last freed first.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(key) = self.free.pop() {
            self.places[key as usize] = Some(value);
            return key;
        }
        self.places.push(Some(value));
        (self.places.len() - 1) as u32
    }

    /// Removes what a key from outside names, if it names anything.
    pub(crate) fn take(&mut self, key: u32) -> Option<T> {
        let value = self.places.get_mut(key as usize)?.take()?;
        self.free.push(key);
        Some(value)
    }

    pub(crate) fn remove(&mut self, key: u32) -> T {
        self.free.push(key);
        self.places[key as usize]
            .take()
            .expect("a key names a value until it is removed")
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    #[inline]
    fn index(&self, key: u32) -> &T {
        self.places[key as usize]
            .as_ref()
            .expect("a key names a value until it is removed")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, key: u32) -> &mut T {
        self.places[key as usize]
            .as_mut()
            .expect("a key names a value until it is removed")
    }
}
