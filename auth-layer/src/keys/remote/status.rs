use std::sync::Arc;
use std::time::Duration;

use super::RemoteKeysErrorKind;
use crate::keys::SkippedKey;

/// How it stands with keys over HTTP, for readiness probes and dashboards.
#[derive(Clone, Debug)]
pub struct KeySetStatus {
    pub(super) age: Option<Duration>,
    pub(super) last_error: Option<RemoteKeysErrorKind>,
    pub(super) keys: usize,
    pub(super) skipped: Arc<[SkippedKey]>,
}

impl KeySetStatus {
    /// Whether there is a key to verify with.
    pub fn is_ready(&self) -> bool {
        self.keys > 0
    }

    /// How long ago the keys were fetched or confirmed; none before the first time, and once they
    /// were too old to be kept.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// What went wrong at the newest fetch; none if it went well, or if there was none yet.
    pub fn last_error(&self) -> Option<RemoteKeysErrorKind> {
        self.last_error
    }

    /// How many keys of the set are used.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// The keys of the set that are not used, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}
