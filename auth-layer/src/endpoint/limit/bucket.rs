use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Rate;

/// For each key, how much is left. What is full again is forgotten.
pub(super) struct Bucket<K: Clone + Eq + Hash> {
    limiter: RateLimiter<K, HashMapStateStore<K>, MonotonicClock>,
    takes: AtomicU32,
    is_full: AtomicBool,
}

impl<K: Clone + Eq + Hash> Bucket<K> {
    pub(super) fn new(rate: Rate) -> Self {
        let quota = Quota::per_minute(rate.per_minute.saturating_mul(WHOLE))
            .allow_burst(rate.burst.saturating_mul(WHOLE));
        Self {
            limiter: RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock),
            takes: AtomicU32::new(0),
            is_full: AtomicBool::new(false),
        }
    }

    /// Takes `parts` of sixteen, or says how long to wait. A refusal takes nothing.
    pub(super) fn take(&self, key: &K, parts: NonZeroU32) -> Result<(), Duration> {
        if self.takes.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep();
        }
        if self.is_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.limiter.check_key_n(key, parts) {
            Ok(Err(not_until)) => Err(not_until.wait_time_from(MonotonicClock.now())),
            // A burst is sixteen parts at least.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Who floods us from a million places at once finds no limit, but no memory to fill either.
    fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let is_full = self.limiter.len() >= MOST_KEYS;
        self.is_full.store(is_full, Ordering::Relaxed);
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
}
