use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::{RedisError, cmd};
use tokio::time::Instant;

use super::link::Link;

/// The clock of the server, as far as it is known from its last answer to `TIME`.
///
/// A script compares a caller's deadline with it, so the clocks of servers that share a Redis need not agree.
#[derive(Clone)]
pub(super) struct ServerTime {
    link: Link,
    last: Arc<Mutex<Option<Sample>>>,
}

#[derive(Clone, Copy)]
struct Sample {
    millis: u64,
    read_at: Instant,
}

impl ServerTime {
    pub(super) fn new(link: Link) -> Self {
        let last = Arc::default();
        Self { link, last }
    }

    /// The time of the server after `duration`, in milliseconds; early by the time that its answer was on its way.
    pub(super) async fn in_future(&self, duration: Duration) -> Result<u64, RedisError> {
        let asked_at = Instant::now();
        let known = self.last().filter(|it| it.read_at.elapsed() < FRESH);
        let sample = match known {
            Some(sample) => sample,
            None => self.read().await?,
        };
        let until = asked_at.saturating_duration_since(sample.read_at) + duration.min(FOREVER);
        Ok(sample.millis + until.as_millis() as u64)
    }

    /// Reads it anew the next time, as it may have been set.
    pub(super) fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn read(&self) -> Result<Sample, RedisError> {
        let (seconds, micros): (u64, u64) = self.link.ask_one(&cmd("TIME")).await?;
        let sample = Sample {
            millis: seconds * 1_000 + micros / 1_000,
            read_at: Instant::now(),
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
        Ok(sample)
    }

    fn last(&self) -> Option<Sample> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FRESH: Duration = Duration::from_secs(30);
/// Longer than any caller waits, and short enough to be added to a time.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
