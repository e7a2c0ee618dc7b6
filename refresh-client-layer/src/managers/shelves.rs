use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::shelf::{Entry, Shelf, Slot};
use crate::manager::TokenManager;

/// All keys, spread over shelves with a lock each.
pub(super) struct Shelves<K> {
    shelves: Box<[Mutex<Shelf<K>>]>,
    hasher: RandomState,
    len: AtomicUsize,
    capacity: usize,
    idle_after: Duration,
}

impl<K> Shelves<K> {
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

impl<K: Clone + Eq + Hash> Shelves<K> {
    pub(super) fn new(capacity: usize, idle_after: Duration) -> Self {
        let shelves = (capacity / SHELF).clamp(1, MOST_SHELVES);
        Self {
            shelves: (0..shelves).map(|_| Mutex::new(Shelf::new())).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            capacity,
            idle_after,
        }
    }

    /// What `read` makes of the key's slot.
    pub(super) fn look<T>(
        &self,
        key: &K,
        now: Instant,
        read: impl FnOnce(&mut Slot) -> T,
    ) -> Option<T> {
        let mut shelf = self.shelf(self.place(key));
        let found = shelf.look(key, now).map(read);
        let idle = shelf.evict_idle(self.idle_after, now);
        drop(shelf);
        self.remove(idle);
        found
    }

    /// Has `decide` look at the key's slot and put another in its place, if it wants to and there is
    /// room; `Err` if there is none.
    pub(super) fn fill<T>(
        &self,
        key: &K,
        now: Instant,
        decide: impl FnOnce(Option<&mut Slot>) -> (T, Option<Slot>),
    ) -> Result<T, Full> {
        let place = self.place(key);
        let has_room = self.make_room(place);
        let mut shelf = self.shelf(place);
        let present = shelf.look(key, now);
        if present.is_none() && !has_room {
            return Err(Full);
        }
        let (decision, slot) = decide(present);
        let old = slot.map(|slot| shelf.put(key.clone(), slot, now));
        drop(shelf);
        if let Some(None) = old {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        Ok(decision)
    }

    /// Those that refresh, and those whose stores do not know everything yet.
    pub(super) fn busy(&self) -> Vec<TokenManager> {
        let of_shelf = |place| {
            let shelf = self.shelf(place);
            let busy = shelf.managers().filter(|manager| manager.is_busy());
            busy.cloned().collect::<Vec<_>>()
        };
        (0..self.shelves.len()).flat_map(of_shelf).collect()
    }

    /// Begins with the shelf that needs the room.
    fn make_room(&self, place: usize) -> bool {
        for _ in 0..AT_ONCE {
            if self.len() < self.capacity {
                return true;
            }
            let shelves = self.shelves.len();
            let mut places = (place..place + shelves).map(|place| place % shelves);
            let Some(old) = places.find_map(|place| self.shelf(place).evict()) else {
                break;
            };
            self.remove(Some(old));
        }
        self.len() < self.capacity.saturating_mul(2)
    }

    /// Drops what was taken out, with no lock held.
    fn remove(&self, entry: Option<Entry>) {
        if entry.is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn place(&self, key: &K) -> usize {
        (self.hasher.hash_one(key) % self.shelves.len() as u64) as usize
    }

    fn shelf(&self, place: usize) -> MutexGuard<'_, Shelf<K>> {
        self.shelves[place]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Twice as many sessions as are to be kept are needed at this very moment.
pub(super) struct Full;

/// Enough for threads not to meet.
const MOST_SHELVES: usize = 64;

/// Smaller shelves would put away what is not old at all.
const SHELF: usize = 128;

/// Two out for one in, so that a crowd is gone some time after its rush.
const AT_ONCE: usize = 2;
