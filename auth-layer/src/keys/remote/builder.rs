use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::fetcher::ErasedFetcher;
use super::https::HttpsFetcher;
use super::place::Place;
use super::schedule::Schedule;
use super::task::{Shared, now};
use super::{Fetcher, RemoteKeys, RemoteKeysError};

/// Configures [`RemoteKeys`]. Nothing is required.
#[must_use = "nothing is fetched before `build`"]
pub struct RemoteKeysBuilder {
    place: Result<Place, RemoteKeysError>,
    max_stale: Duration,
    refetch_interval: Duration,
    fetcher: Arc<dyn ErasedFetcher>,
}

impl RemoteKeysBuilder {
    pub(super) fn new(place: Result<Place, RemoteKeysError>) -> Self {
        Self {
            place,
            max_stale: DAY,
            refetch_interval: Duration::from_secs(5),
            fetcher: Arc::new(HttpsFetcher::default()),
        }
    }

    /// How long keys are used after they were last fetched or confirmed, should their server be
    /// down; they are fetched at least twice in that time. At least 2 min, at most 7 days. Default:
    /// 24 h.
    pub fn max_stale(mut self, age: Duration) -> Self {
        self.max_stale = age.clamp(2 * MINUTE, 7 * DAY);
        self
    }

    /// How much time is at least between fetches that tokens with unknown keys cause, twice as much
    /// if they name the same key; a key that appears within it may be refused until it is over. At
    /// least 1 s, at most 5 min. Default: 5 s.
    pub fn refetch_interval(mut self, interval: Duration) -> Self {
        self.refetch_interval = interval.clamp(Duration::from_secs(1), 5 * MINUTE);
        self
    }

    /// Fetches by `fetcher` instead of the built-in client.
    pub fn fetcher(mut self, fetcher: impl Fetcher) -> Self {
        self.fetcher = Arc::new(fetcher);
        self
    }

    /// The keys. Their first fetch starts now, or when they are first used on a tokio runtime.
    pub fn build(self) -> RemoteKeys {
        let schedule = Schedule::new(self.max_stale, self.refetch_interval, now());
        RemoteKeys::start(self.place, self.fetcher, Shared::new(schedule))
    }
}

impl fmt::Debug for RemoteKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysBuilder")
            .field("max_stale", &self.max_stale)
            .field("refetch_interval", &self.refetch_interval)
            .finish_non_exhaustive()
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
