use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{FeedListener, FeedStatus, follow};
use crate::clock::{Clock, SystemClock};
use crate::revocation::Revocations;
use crate::store::SessionStore;

/// Follows what is revoked in a store, in a process that verifies access tokens and issues none.
/// (An issuer follows its store by itself.) Dropping it ends that.
///
/// It needs no secret and no signing key, and of the database the right to read. What was revoked
/// within the life of an access token before it began is learnt first; a connection that is lost is
/// replaced, and what was missed is caught up with.
///
/// ```
/// use std::time::Duration;
/// use auth_layer::{Revocations, Verifier};
/// use auth_layer::store::{MemoryStore, RevocationFeed};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let store = MemoryStore::new();
/// // As long as the issuer's access tokens live, and the verifier's leeway.
/// let revocations = Revocations::new(Duration::from_secs(20 * 60));
/// let feed = RevocationFeed::follow(store, revocations.clone());
/// let verifier = Verifier::builder().revocations(revocations);
///
/// feed.current().await; // before the process says that it is ready
/// assert!(feed.status().is_current());
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct RevocationFeed {
    pub(super) status: watch::Receiver<FeedStatus>,
    task: AbortHandle,
}

impl RevocationFeed {
    /// Notes in `revocations` what is revoked in `store`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn follow(store: impl SessionStore, revocations: Revocations) -> Self {
        Self::follow_by(store, revocations, SystemClock)
    }

    /// As [`follow`](Self::follow), and tells the time by `clock`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn follow_by(
        store: impl SessionStore,
        revocations: Revocations,
        clock: impl Clock,
    ) -> Self {
        let listener = FeedListener::new(revocations, Arc::new(clock));
        let status = listener.status();
        let task = tokio::spawn(follow(Arc::new(store), listener)).abort_handle();
        Self { status, task }
    }

    /// How it stands.
    pub fn status(&self) -> FeedStatus {
        *self.status.borrow()
    }

    /// Waits until all that was revoked is known here.
    pub async fn current(&self) {
        let mut status = self.status.clone();
        let _ = status.wait_for(|it| it.is_current()).await;
    }
}

impl Drop for RevocationFeed {
    fn drop(&mut self) {
        self.task.abort();
    }
}
