use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::load::{Failure, WeakLoad};
use crate::manager::TokenManager;

/// Some of the keys. It runs no foreign code but the key's own comparison, and hands out what it
/// removes, so that it can live behind a lock.
pub(super) struct Shelf<K> {
    entries: HashMap<K, Entry>,
    /// Each key once, in the order in which they are looked at.
    queue: VecDeque<K>,
}

pub(super) struct Entry {
    pub(super) slot: Slot,
    used: Instant,
}

pub(super) enum Slot {
    Loading {
        load: WeakLoad,
        /// How many loads had failed in a row before.
        failures: u32,
    },
    Here(TokenManager),
    /// The loader knows of no session.
    Nobody,
    Failed(Failure),
}

impl Slot {
    /// False if somebody needs it, or would miss it.
    fn is_spare(&self) -> bool {
        match self {
            Self::Loading { load, .. } => load.upgrade().is_none(),
            Self::Here(manager) => manager.is_spare(),
            Self::Nobody | Self::Failed(_) => true,
        }
    }
}

impl<K: Clone + Eq + Hash> Shelf<K> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            queue: VecDeque::new(),
        }
    }

    pub(super) fn look(&mut self, key: &K, now: Instant) -> Option<&mut Slot> {
        let entry = self.entries.get_mut(key)?;
        entry.used = now;
        Some(&mut entry.slot)
    }

    /// Puts `slot` in the place of the key and returns what was there.
    pub(super) fn put(&mut self, key: K, slot: Slot, now: Instant) -> Option<Entry> {
        let entry = Entry { slot, used: now };
        let old = self.entries.insert(key.clone(), entry);
        if old.is_none() {
            self.queue.push_back(key);
        }
        old
    }

    /// Takes out the next in the queue if it has been idle.
    pub(super) fn evict_idle(&mut self, idle_after: Duration, now: Instant) -> Option<Entry> {
        let key = self.queue.pop_front()?;
        let entry = self.entries.get(&key)?;
        if now.saturating_duration_since(entry.used) >= idle_after && entry.slot.is_spare() {
            return self.entries.remove(&key);
        }
        self.queue.push_back(key);
        None
    }

    /// Takes out the one that was used least lately, of a few that nobody needs.
    pub(super) fn evict(&mut self) -> Option<Entry> {
        let looked_at = SAMPLE.min(self.queue.len());
        self.queue.rotate_left(looked_at);
        let sample = self.queue.len() - looked_at..self.queue.len();
        let spare = sample.filter_map(|place| {
            let entry = self.entries.get(&self.queue[place])?;
            entry.slot.is_spare().then_some((entry.used, place))
        });
        let (_, place) = spare.min()?;
        let key = self.queue.remove(place)?;
        self.entries.remove(&key)
    }

    pub(super) fn managers(&self) -> impl Iterator<Item = &TokenManager> {
        self.entries.values().filter_map(|entry| match &entry.slot {
            Slot::Here(manager) => Some(manager),
            _ => None,
        })
    }
}

/// More would find an older one, and take longer.
const SAMPLE: usize = 8;
