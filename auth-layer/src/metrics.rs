//! What is counted and timed, for whatever recorder the program installs (feature `metrics`).
//! `guide/operate.md` has their names and labels.

#[cfg(feature = "metrics")]
use std::time::Instant;

/// A request, and what the layer made of it.
pub(crate) fn request(outcome: &'static str) {
    #[cfg(feature = "metrics")]
    match outcome {
        // Spelled out, so that the usual case allocates nothing.
        ACCEPTED => metrics::counter!("auth_layer_requests_total", "outcome" => "accepted"),
        _ => metrics::counter!("auth_layer_requests_total", "outcome" => outcome),
    }
    .increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = outcome;
}

/// The outcome of a request that is let in with its claims.
pub(crate) const ACCEPTED: &str = "accepted";

/// A fetch of keys.
#[cfg(feature = "jwks")]
pub(crate) fn keys_fetched(outcome: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("auth_layer_jwks_refresh_total", "outcome" => outcome).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = outcome;
}

/// Something that happened to a session.
#[cfg(feature = "issue")]
pub(crate) fn session(event: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("auth_layer_sessions_total", "event" => event).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = event;
}

/// A refresh without a new pair.
#[cfg(feature = "issue")]
pub(crate) fn refresh_failed(kind: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("auth_layer_refresh_failures_total", "kind" => kind).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = kind;
}

/// A verification or a refresh under way.
pub(crate) struct Stopwatch {
    #[cfg(feature = "metrics")]
    begin: Instant,
}

impl Stopwatch {
    #[cfg_attr(
        feature = "metrics",
        expect(
            clippy::disallowed_methods,
            reason = "what is measured is this very machine"
        )
    )]
    pub(crate) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            begin: Instant::now(),
        }
    }

    /// Notes how long a refresh took.
    #[cfg(feature = "issue")]
    pub(crate) fn refreshed(self, is_granted: bool) {
        #[cfg(feature = "metrics")]
        {
            let granted = if is_granted { "true" } else { "false" };
            metrics::histogram!("auth_layer_refresh_seconds", "granted" => granted)
                .record(self.begin.elapsed().as_secs_f64());
        }
        #[cfg(not(feature = "metrics"))]
        let _ = is_granted;
    }

    /// Notes how long a verification took.
    pub(crate) fn stop(self, is_cached: bool) {
        #[cfg(feature = "metrics")]
        match is_cached {
            true => metrics::histogram!("auth_layer_verify_seconds", "cached" => "true"),
            false => metrics::histogram!("auth_layer_verify_seconds", "cached" => "false"),
        }
        .record(self.begin.elapsed().as_secs_f64());
        #[cfg(not(feature = "metrics"))]
        let _ = is_cached;
    }
}
