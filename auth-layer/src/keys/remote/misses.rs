use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Which misses, tokens whose key is not held, may cause a fetch: one in each interval, and one in
/// two intervals for the same `kid`, so that a client with a dead key leaves something to others.
/// Bounded, whatever tokens come.
#[derive(Debug)]
pub(super) struct Misses {
    interval: Duration,
    /// When the next fetch may be caused.
    free_at: Instant,
    /// Hashes of the `kid`s that were looked for, the oldest first.
    looked_for: VecDeque<(u64, Instant)>,
}

impl Misses {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            free_at: now,
            looked_for: VecDeque::new(),
        }
    }

    /// Whether the miss of `kid` may cause a fetch, which is then noted.
    pub(super) fn may_fetch(&mut self, kid: u64, now: Instant) -> bool {
        self.forget(now);
        let is_known = self.looked_for.iter().any(|(it, _)| *it == kid);
        if is_known || now < self.free_at {
            return false;
        }
        self.free_at = now + self.interval;
        self.join(kid, now);
        true
    }

    /// Notes that a fetch about to start will also tell about `kid`.
    pub(super) fn join(&mut self, kid: u64, now: Instant) {
        if self.looked_for.len() == MOST {
            self.looked_for.pop_front();
        }
        self.looked_for.push_back((kid, now));
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.duration_since(*at) >= 2 * self.interval;
        while self.looked_for.front().is_some_and(|(_, at)| is_old(at)) {
            self.looked_for.pop_front();
        }
    }
}

const MOST: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_that_was_looked_for_does_not_use_up_the_fetch_of_another() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut misses = Misses::new(Duration::from_secs(5), start);
        assert!(misses.may_fetch(1, at(0)));
        assert!(!misses.may_fetch(2, at(4)), "one in 5 s");
        assert!(!misses.may_fetch(1, at(5)), "looked for a moment ago");
        assert!(misses.may_fetch(2, at(5)));
        assert!(misses.may_fetch(1, at(10)), "it may have come meanwhile");
        assert!(!misses.may_fetch(2, at(14)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let start = Instant::now();
        let mut misses = Misses::new(Duration::from_secs(5), start);
        for kid in 0..100_000 {
            misses.join(kid, start);
        }
        assert_eq!(misses.looked_for.len(), MOST);
    }
}
