use std::time::Duration;

use tokio::time::Instant;

use super::misses::Misses;

/// When keys are fetched and for how long they are kept. Knows no clock and draws no lots: `now`
/// and `chance` (0 to 1) are given.
#[derive(Debug)]
pub(super) struct Schedule {
    max_stale: Duration,
    misses: Misses,
    /// When the keys that are held were fetched or confirmed.
    fetched_at: Option<Instant>,
    /// When the next fetch starts by itself.
    due: Instant,
    /// How many fetches have failed in a row.
    failures: u32,
    /// How many fetches were started.
    started: u64,
    is_fetching: bool,
    /// When the fetch under way started.
    began: Instant,
    /// A miss caused a fetch that has not started.
    is_wanted: bool,
}

/// Why a fetch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Time,
    Miss,
}

impl Schedule {
    pub(super) fn new(max_stale: Duration, refetch_interval: Duration, now: Instant) -> Self {
        Self {
            max_stale,
            misses: Misses::new(refetch_interval, now),
            fetched_at: None,
            due: now,
            failures: 0,
            started: 0,
            is_fetching: false,
            began: now,
            is_wanted: false,
        }
    }

    /// When there is something to do: a fetch, or keys to be dropped.
    pub(super) fn wake_at(&self) -> Instant {
        match self.expires_at() {
            Some(expires_at) => self.due.min(expires_at),
            None => self.due,
        }
    }

    /// When a task that is driven has done what is due, so that keys are too old or the task is not driven from then on.
    pub(super) fn late_at(&self) -> Instant {
        let late_at = match self.is_fetching {
            true => self.began + TIMEOUT + ANSWERS_WITHIN,
            false => self.due + ANSWERS_WITHIN,
        };
        match self.expires_at() {
            Some(expires_at) => late_at.min(expires_at),
            None => late_at,
        }
    }

    /// Starts a fetch, if one is to start.
    pub(super) fn start(&mut self, now: Instant) -> Option<Cause> {
        let cause = if now >= self.due {
            Cause::Time
        } else if self.is_wanted {
            Cause::Miss
        } else {
            return None;
        };
        self.started += 1;
        self.is_fetching = true;
        self.began = now;
        self.is_wanted = false;
        Some(cause)
    }

    /// The fetch brought keys, or confirmed those that are held, and they are fresh for `lifetime`.
    pub(super) fn succeed(&mut self, lifetime: Duration, chance: f64, now: Instant) {
        self.is_fetching = false;
        self.failures = 0;
        self.fetched_at = Some(now);
        // Half of the time that they are kept is left for a server that is down.
        let lifetime = lifetime.min(self.max_stale / 2);
        self.due = now + lifetime.mul_f64(0.75 + 0.15 * chance);
    }

    pub(super) fn fail(&mut self, chance: f64, now: Instant) {
        self.is_fetching = false;
        let backoff = FIRST_BACKOFF * 2_u32.pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.due = now + backoff.min(LONGEST_BACKOFF).mul_f64(0.5 + 0.5 * chance);
    }

    /// The fetch, if there is one, came to nothing. It is still wanted, and the next one has its number.
    pub(super) fn abandon(&mut self) {
        self.is_wanted |= self.is_fetching;
        self.started -= u64::from(self.is_fetching);
        self.is_fetching = false;
    }

    /// Whether the keys are too old and must go; they are gone then.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let is_over = self.expires_at().is_some_and(|it| now >= it);
        if is_over {
            self.fetched_at = None;
        }
        is_over
    }

    /// The number of the fetch that a token must wait for whose key is not held: one under way, or
    /// one that this miss causes. None if it would be in vain.
    pub(super) fn miss(&mut self, kid: u64, now: Instant) -> Option<u64> {
        if self.failures > 0 {
            return None;
        }
        if self.is_fetching {
            return Some(self.started);
        }
        let is_first = self.fetched_at.is_none();
        if is_first || self.is_wanted {
            self.misses.join(kid, now);
        } else if self.misses.may_fetch(kid, now) {
            self.is_wanted = true;
        } else {
            return None;
        }
        Some(self.started + 1)
    }

    /// The number of the fetch under way, else of the next.
    pub(super) fn next(&self) -> u64 {
        self.started + u64::from(!self.is_fetching)
    }

    /// The number of fetches that have ended.
    pub(super) fn finished(&self) -> u64 {
        self.started - u64::from(self.is_fetching)
    }

    /// Whether the newest fetch went well.
    pub(super) fn is_current(&self) -> bool {
        self.failures == 0 && self.fetched_at.is_some()
    }

    /// How long ago the keys that are held were fetched or confirmed.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.fetched_at.map(|it| now.saturating_duration_since(it))
    }

    fn expires_at(&self) -> Option<Instant> {
        self.fetched_at.map(|it| it + self.max_stale)
    }
}

/// For all that a fetch takes, discovery included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// A task that has not moved for as long sits on a runtime that is not driven.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
