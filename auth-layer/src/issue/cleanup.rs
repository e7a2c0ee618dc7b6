use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use super::Random;
use crate::clock::Clock;
use crate::store::{ErasedStore, StoreError};

/// Forgets sessions that nobody needs any more, a batch at a time: refreshes come in between.
#[derive(Clone)]
pub(super) struct Cleanup {
    pub(super) store: Arc<dyn ErasedStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

impl Cleanup {
    /// Again and again; ends when it is dropped.
    pub(super) async fn repeat(self, every: Duration) {
        loop {
            tokio::time::sleep(self.jittered(every)).await;
            match self.once().await {
                Ok(0) => {}
                Ok(sessions) => {
                    tracing::debug!(target: "auth_layer::store", sessions, "expired sessions forgotten");
                }
                Err(error) => {
                    let cause = error.source().map(tracing::field::display);
                    tracing::warn!(target: "auth_layer::store", cause, "cleanup failed, and is tried again later");
                }
            }
        }
    }

    pub(super) async fn once(&self) -> Result<u64, StoreError> {
        let before = self.clock.now().minus(KEPT);
        let mut all = 0;
        loop {
            let deleted = self.store.delete_expired(before, AT_A_TIME).await?;
            all += deleted;
            if deleted < AT_A_TIME.into() {
                return Ok(all);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Half as long to one and a half times as long: servers that were started together part.
    fn jittered(&self, every: Duration) -> Duration {
        let mut chance = [0; 4];
        let _ = self.random.fill(&mut chance);
        let chance = f64::from(u32::from_le_bytes(chance)) / f64::from(u32::MAX);
        every.mul_f64(0.5 + chance)
    }
}

const AT_A_TIME: u32 = 1_000;

/// How long a session is kept past its absolute deadline. Its last access token ends there, give or
/// take a verifier's leeway: until then a verifier that starts wants to hear that it was revoked.
const KEPT: Duration = Duration::from_secs(10 * 60);
