use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Freshness, ProofUse, ReplayCheck, ReplayStore};
use crate::clock::Timestamp;

/// Used proofs in the memory of this process; clones share them.
///
/// Each is remembered until it is too old to be accepted. No key can fill the store alone, and a
/// full store refuses rather than forgets.
#[derive(Clone)]
pub struct MemoryReplays(Arc<Shared>);

struct Shared {
    capacity: usize,
    quota: usize,
    len: AtomicUsize,
    hasher: RandomState,
    shards: [Mutex<Shard>; 16],
}

impl MemoryReplays {
    /// A store of at most 500,000 proofs, some tens of MiB, of which one key may have 20,000: about 7,500
    /// and 300 requests a second.
    pub fn new() -> Self {
        Self::bounded(500_000, 20_000)
    }

    /// A store of at most `proofs`, of which one key may have `per_key`. Some 65 s of proofs have to
    /// fit in, both of all clients and of the busiest one.
    pub fn bounded(proofs: usize, per_key: usize) -> Self {
        Self(Arc::new(Shared {
            capacity: proofs,
            quota: per_key,
            len: AtomicUsize::new(0),
            hasher: RandomState::new(),
            shards: Default::default(),
        }))
    }
}

impl Default for MemoryReplays {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplayStore for MemoryReplays {
    fn remember(&self, proof: ProofUse) -> ReplayCheck {
        ReplayCheck::ready(self.0.remember(&proof))
    }
}

impl fmt::Debug for MemoryReplays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplays")
            .field("len", &self.0.len.load(Ordering::Relaxed))
            .field("capacity", &self.0.capacity)
            .field("quota", &self.0.quota)
            .finish()
    }
}

impl Shared {
    fn remember(&self, proof: &ProofUse) -> Freshness {
        let key = self.hasher.hash_one(proof.key());
        if !self.reserve() {
            self.forget_before(proof.now());
            if !self.reserve() {
                // What is known to be a replay is called one, however full the store is.
                let is_known = self.shard(key).ids.contains(&id(proof));
                return if is_known {
                    Freshness::Replayed
                } else {
                    Freshness::Unknown
                };
            }
        }
        let mut shard = self.shard(key);
        let forgotten = shard.forget_before(proof.now());
        let freshness = shard.insert(proof, key, self.quota);
        drop(shard);
        let unused = usize::from(freshness != Freshness::Fresh);
        self.len.fetch_sub(forgotten + unused, Ordering::AcqRel);
        freshness
    }

    /// Takes a place before it is filled, so that requests at the same time cannot overfill.
    fn reserve(&self) -> bool {
        let one_more = |len| (len < self.capacity).then_some(len + 1);
        self.len
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok()
    }

    fn forget_before(&self, now: Timestamp) {
        for shard in &self.shards {
            let forgotten = lock(shard).forget_before(now);
            self.len.fetch_sub(forgotten, Ordering::AcqRel);
        }
    }

    /// All proofs of a key are in one shard, so that its quota can be kept.
    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[key as usize % self.shards.len()])
    }
}

#[derive(Default)]
struct Shard {
    ids: HashSet<Id>,
    per_key: HashMap<u64, usize>,
    by_end: BTreeMap<Timestamp, Vec<(Id, u64)>>,
}

impl Shard {
    fn insert(&mut self, proof: &ProofUse, key: u64, quota: usize) -> Freshness {
        let id = id(proof);
        if self.ids.contains(&id) {
            return Freshness::Replayed;
        }
        let used = self.per_key.entry(key).or_default();
        if *used >= quota {
            return Freshness::OverQuota;
        }
        *used += 1;
        self.ids.insert(id);
        self.by_end
            .entry(proof.until())
            .or_default()
            .push((id, key));
        Freshness::Fresh
    }

    /// How many proofs are too old to be accepted again, and so forgotten.
    fn forget_before(&mut self, now: Timestamp) -> usize {
        let mut forgotten = 0;
        while let Some(oldest) = self.by_end.first_entry().filter(|entry| *entry.key() < now) {
            for (id, key) in oldest.remove() {
                self.ids.remove(&id);
                self.release(key);
                forgotten += 1;
            }
        }
        forgotten
    }

    fn release(&mut self, key: u64) {
        if let Some(used) = self.per_key.get_mut(&key) {
            *used -= 1;
            if *used == 0 {
                self.per_key.remove(&key);
            }
        }
    }
}

/// Half of the hash: still too much to find another proof with it.
type Id = [u8; 16];

fn id(proof: &ProofUse) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(&proof.id()[..16]);
    id
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
