use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::clock::Timestamp;

/// Names with a value and a time to forget them, in maps of their own so that readers rarely meet.
#[derive(Debug)]
pub(super) struct Shards<V> {
    hasher: RandomState,
    len: AtomicUsize,
    maps: [Map<V>; 16],
}

type Map<V> = RwLock<HashMap<Box<str>, (V, Timestamp)>>;

impl<V> Default for Shards<V> {
    fn default() -> Self {
        let maps = std::array::from_fn(|_| Map::default());
        Self {
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            maps,
        }
    }
}

impl<V: Copy> Shards<V> {
    pub(super) fn get(&self, name: &str) -> Option<V> {
        if self.len() == 0 {
            return None;
        }
        let map = self
            .map(name)
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        map.get(name).map(|(value, _)| *value)
    }

    /// Keeps what `value` makes of the value so far, `until` a time.
    pub(super) fn insert(&self, name: &str, until: Timestamp, value: impl FnOnce(Option<V>) -> V) {
        let mut map = self
            .map(name)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let so_far = map.get(name).map(|(value, _)| *value);
        map.insert(name.into(), (value(so_far), until));
        if so_far.is_none() {
            self.len.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns when the next of those that are left is to be forgotten.
    pub(super) fn retain_after(&self, now: Timestamp) -> Option<Timestamp> {
        let mut next = None;
        for map in &self.maps {
            let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
            let before = map.len();
            map.retain(|_, (_, until)| *until > now);
            self.len.fetch_sub(before - map.len(), Ordering::AcqRel);
            next = map.values().map(|(_, until)| *until).chain(next).min();
        }
        next
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn map(&self, name: &str) -> &Map<V> {
        &self.maps[self.hasher.hash_one(name) as usize % self.maps.len()]
    }
}
