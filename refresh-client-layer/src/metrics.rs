//! What is counted and timed, for whatever recorder the program installs (feature `metrics`). Names and
//! labels are explained in `guide::operate`.

use crate::clock::Now;

/// A refresh under way.
pub(crate) struct Stopwatch {
    #[cfg(feature = "metrics")]
    begin: Now,
}

impl Stopwatch {
    pub(crate) fn start(now: Now) -> Self {
        #[cfg(not(feature = "metrics"))]
        let _ = now;
        Self {
            #[cfg(feature = "metrics")]
            begin: now,
        }
    }

    /// Notes how it ended and how long it took.
    pub(crate) fn stop(&self, outcome: &'static str, now: Now) {
        #[cfg(feature = "metrics")]
        {
            let took = now
                .monotonic
                .saturating_duration_since(self.begin.monotonic);
            metrics::counter!("refresh_client_refreshes_total", "outcome" => outcome).increment(1);
            metrics::histogram!("refresh_client_refresh_seconds").record(took.as_secs_f64());
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (outcome, now);
    }
}

/// Somebody who waits for a token, until it is dropped.
pub(crate) struct Waiter(());

impl Waiter {
    pub(crate) fn begin() -> Self {
        #[cfg(feature = "metrics")]
        metrics::gauge!("refresh_client_waiters").increment(1);
        Self(())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        #[cfg(feature = "metrics")]
        metrics::gauge!("refresh_client_waiters").decrement(1);
    }
}

/// A request that is sent again.
pub(crate) fn retry(reason: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("refresh_client_retries_total", "reason" => reason).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = reason;
}
