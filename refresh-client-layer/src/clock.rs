//! Time and chance: the one place that reads the wall clock and draws random numbers.
//!
//! Everything else takes them as arguments.

use std::time::{Duration, SystemTime};

use rand::RngExt as _;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

/// One moment on both clocks.
///
/// The monotonic clock cannot be set, but stands still while a laptop sleeps; the wall clock goes
/// on through the sleep, but can be set. A token is dead as soon as either says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) monotonic: Instant,
    pub(crate) wall: SystemTime,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: wall_clock(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(self) -> u64 {
        let since_epoch = self.wall.duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or_default())
    }

    /// This moment `later` on.
    pub(crate) fn after(self, later: Duration) -> Self {
        Self {
            monotonic: self.monotonic + later,
            wall: self.wall + later,
        }
    }
}

/// In `wait` from now. The end of a wait that no clock can tell is one that nobody lives to see.
pub(crate) fn end_of(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + A_LIFE)
}

/// What comes of `work`, `None` if it takes longer than `limit`. Where there is no runtime, there is no
/// limit.
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    match Handle::try_current() {
        Ok(_) => timeout(limit, work).await.ok(),
        Err(_) => Some(work.await),
    }
}

/// Time that is left until `deadline`, zero if it has passed.
pub(crate) fn until(deadline: SystemTime, now: SystemTime) -> Duration {
    deadline.duration_since(now).unwrap_or(Duration::ZERO)
}

/// `N` bytes nobody can guess.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    rng().random()
}

const A_LIFE: Duration = Duration::from_secs(50 * 365 * 24 * 3600);

/// A number between 0 and 1, to keep many clients from doing the same thing at the same moment.
pub(crate) fn jitter() -> f64 {
    rng().random()
}

/// What signatures draw from.
#[cfg(feature = "dpop")]
#[expect(clippy::disallowed_methods, reason = "the one place that draws")]
pub(crate) fn system_random() -> aws_lc_rs::rand::SystemRandom {
    aws_lc_rs::rand::SystemRandom::new()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place that draws")]
fn rng() -> rand::rngs::ThreadRng {
    rand::rng()
}
