use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How many access tokens a user's calls take: one at the log-in, and one after each pause, in which
/// the one before it dies. Nobody refreshes what lasts until the next call.
pub(super) struct Lifetimes {
    dead: usize,
    /// What slow calls may have spanned besides.
    spanned: usize,
    since: Instant,
}

impl Lifetimes {
    pub(super) const ONE: Duration = Duration::from_secs(2);

    /// Before the log-in.
    pub(super) fn begin() -> Self {
        Self {
            dead: 0,
            spanned: 0,
            since: Instant::now(),
        }
    }

    /// After calls: the token that they took is dead when this returns, also at the upstream, which
    /// lets one live until the second is full.
    pub(super) async fn pause(&mut self) {
        self.calls_end();
        // An expiry is a matter of time.
        sleep_until(Instant::now() + Self::ONE + Duration::from_secs(1)).await;
        self.dead += 1;
        self.since = Instant::now();
    }

    /// How many refreshes there are after the last calls if each token but the first took one: exactly
    /// one number, unless calls took so long that a token came to its last quarter under them, in
    /// which it is replaced.
    pub(super) fn refreshes(mut self) -> RangeInclusive<usize> {
        self.calls_end();
        self.dead..=self.dead + self.spanned
    }

    fn calls_end(&mut self) {
        let took = self.since.elapsed().as_millis();
        self.spanned += (took / (Self::ONE * 3 / 4).as_millis()) as usize;
    }
}
