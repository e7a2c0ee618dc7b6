//! What the log says of a feed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use auth_layer::Revocations;
use auth_layer::clock::ManualClock;
use auth_layer::store::{
    FeedListener, RevocationFeed, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore,
    StoreError, StoreErrorKind,
};

use crate::support::Log;
use crate::support::issue::{Down, NOW};

/// Its feed fails five times, is there for a moment, and fails again.
struct Shaky(AtomicU32);

impl SessionStore for Shaky {
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        Down.insert(session, epoch).await
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        Down.epoch(subject).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        Down.rotate(rotation).await
    }

    async fn revoke(
        &self,
        which: Selection,
        by: RevokedBy,
        now: auth_layer::Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        Down.revoke(which, by, now).await
    }

    async fn list(
        &self,
        which: Selection,
        now: auth_layer::Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        Down.list(which, now).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        if self.0.fetch_add(1, Ordering::Relaxed) % 6 == 5 {
            to.catch_up().done();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let cause = io::Error::other("as if the line were cut");
        Err(StoreError::new(StoreErrorKind::Unavailable, cause))
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_said_once_with_its_cause_and_so_is_its_end() {
    let log = Log::begin().await;

    let store = Arc::new(Shaky(AtomicU32::new(0)));
    let clock = ManualClock::at(NOW);
    let feed = RevocationFeed::follow_by(
        store.clone(),
        Revocations::new(Duration::from_secs(1_200)),
        clock,
    );
    while store.0.load(Ordering::Relaxed) < 11 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    drop(feed);
    let text = log.take();
    let count = |what| text.matches(what).count();
    assert_eq!((count("is down"), count("has caught up")), (2, 1), "{text}");
    assert_eq!(count("as if the line were cut"), 2, "{text}");
    assert_eq!(count("WARN auth_layer::store"), 2, "{text}");
}
