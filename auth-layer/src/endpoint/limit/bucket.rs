use std::convert::Infallible;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{HashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};

use super::Rate;

/// For each key, how much is left. What is full again is forgotten.
pub(super) struct Bucket<K: Clone + Eq + Hash> {
    limiter: RateLimiter<(K, Access), States<K>, MonotonicClock>,
    uses: AtomicU32,
    is_full: AtomicBool,
}

impl<K: Clone + Eq + Hash> Bucket<K> {
    pub(super) fn new(rate: Rate) -> Self {
        let quota = Quota::per_minute(rate.per_minute.saturating_mul(WHOLE))
            .allow_burst(rate.burst.saturating_mul(WHOLE));
        let states = States(HashMapStateStore::default());
        Self {
            limiter: RateLimiter::new(quota, states, MonotonicClock),
            uses: AtomicU32::new(0),
            is_full: AtomicBool::new(false),
        }
    }

    /// Takes `parts` of sixteen, or says how long to wait. A refusal takes nothing.
    pub(super) fn take(&self, key: &K, parts: NonZeroU32) -> Result<(), Duration> {
        self.access(key, parts, Access::Take)
    }

    /// Whether `parts` of sixteen are left, or how long to wait for them. Takes nothing.
    pub(super) fn inspect(&self, key: &K, parts: NonZeroU32) -> Result<(), Duration> {
        self.access(key, parts, Access::Inspect)
    }

    fn access(&self, key: &K, parts: NonZeroU32, access: Access) -> Result<(), Duration> {
        if self.uses.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep();
        }
        if self.is_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.limiter.check_key_n(&(key.clone(), access), parts) {
            Ok(Err(not_until)) => Err(not_until.wait_time_from(MonotonicClock.now())),
            // A burst is sixteen parts at least.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Once [`MOST_KEYS`] are tracked the limiter lets every key through until a sweep frees entries:
    /// memory stays bounded, and limits do not hold under a distributed flood.
    fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let is_full = self.limiter.len() >= MOST_KEYS;
        self.is_full.store(is_full, Ordering::Relaxed);
    }
}

/// What a check does with the state of its key. `governor` has no check that only reads, so the
/// access travels with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Access {
    Take,
    Inspect,
}

/// The states of all keys.
struct States<K>(HashMapStateStore<K>);

impl<K: Clone + Eq + Hash> StateStore for States<K> {
    type Key = (K, Access);

    fn measure_and_replace<T, F, E>(&self, (key, access): &Self::Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match access {
            Access::Take => self.0.measure_and_replace(key, decide),
            Access::Inspect => {
                // The inner store replaces nothing after an error: so the answer is one.
                let look = |state| -> Result<(Infallible, Nanos), Result<T, E>> {
                    Err(decide(state).map(|(outcome, _)| outcome))
                };
                match self.0.measure_and_replace(key, look) {
                    Err(decided) => decided,
                    Ok(never) => match never {},
                }
            }
        }
    }
}

impl<K: Clone + Eq + Hash> ShrinkableKeyedStateStore<(K, Access)> for States<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn shrink_to_fit(&self) {
        self.0.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A request, in parts.
pub(super) const WHOLE: NonZeroU32 = NonZeroU32::new(16).expect("it is not zero");
/// A repeat.
pub(super) const PART: NonZeroU32 = NonZeroU32::MIN;

const SWEEP_EVERY: u32 = 4_096;
const MOST_KEYS: usize = 1_000_000;

/// Not the issuer's clock: a wall clock that is set back would lock everybody out for as long.
#[derive(Clone, Copy, Debug)]
struct MonotonicClock;

impl Clock for MonotonicClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E4: memory is bounded.
    #[tokio::test(start_paused = true)]
    async fn keys_that_are_full_again_are_forgotten() {
        let rate = Rate {
            per_minute: NonZeroU32::new(60).unwrap(),
            burst: NonZeroU32::new(2).unwrap(),
        };
        let bucket = Bucket::new(rate);
        for key in 0..100_000 {
            bucket.take(&key, WHOLE).unwrap();
        }
        assert_eq!(bucket.limiter.len(), 100_000);
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..SWEEP_EVERY {
            let _ = bucket.take(&0, WHOLE);
        }
        assert_eq!(bucket.limiter.len(), 1);
        assert!(
            bucket.take(&0, WHOLE).is_err(),
            "what is not, is remembered"
        );
    }
    #[tokio::test(start_paused = true)]
    async fn inspecting_takes_nothing_and_agrees_with_taking() {
        let rate = Rate {
            per_minute: NonZeroU32::new(60).unwrap(),
            burst: NonZeroU32::new(2).unwrap(),
        };
        let bucket = Bucket::new(rate);
        for _ in 0..2 {
            for _ in 0..100 {
                bucket.inspect(&0, WHOLE).unwrap();
            }
            bucket.take(&0, WHOLE).unwrap();
        }
        let wait = bucket.inspect(&0, WHOLE).unwrap_err();
        assert_eq!(bucket.take(&0, WHOLE), Err(wait));
        tokio::time::advance(wait).await;
        assert_eq!(bucket.inspect(&0, WHOLE), Ok(()));
        assert_eq!(bucket.take(&0, WHOLE), Ok(()));
    }
}
