use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::FeedStatus;
use crate::clock::{Clock, Timestamp};
use crate::refresh_token::SessionId;
use crate::revocation::Revocations;
use crate::store::StoreError;

/// Who is told by [`SessionStore::feed`](crate::store::SessionStore::feed). Clones are the same.
#[derive(Clone, Debug)]
pub struct FeedListener(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    revocations: Revocations,
    clock: Arc<dyn Clock>,
    progress: Mutex<Progress>,
    status: watch::Sender<FeedStatus>,
}

#[derive(Debug, Default)]
struct Progress {
    /// All that was revoked before is known.
    known_until: Option<Timestamp>,
    is_down: bool,
}

impl FeedListener {
    pub(crate) fn new(revocations: Revocations, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            revocations,
            clock,
            progress: Mutex::default(),
            status: watch::Sender::new(FeedStatus::Starting),
        }))
    }

    /// A session was revoked just now. Telling it late or in another order does no harm. What was read
    /// from the past is for [`CatchUp::revoked`].
    pub fn revoked(&self, session: SessionId) {
        // By the time that it is heard: no clock elsewhere can shorten how long it is remembered.
        self.0
            .revocations
            .revoke_session(&session.to_string(), self.0.clock.now());
    }

    /// Begins to read what was revoked. Subscribe before, so that nothing falls in between.
    pub fn catch_up(&self) -> CatchUp<'_> {
        let asked_at = self.0.clock.now();
        let oldest = asked_at.minus(self.0.revocations.longest());
        let known = self.progress().known_until;
        let from = known.map_or(oldest, |it| it.min(asked_at).max(oldest));
        CatchUp {
            to: self,
            asked_at,
            since: from.minus(OVERLAP),
        }
    }

    pub(crate) fn status(&self) -> watch::Receiver<FeedStatus> {
        self.0.status.subscribe()
    }

    pub(super) fn has_heard_nothing(&self) -> bool {
        self.progress().known_until.is_none()
    }

    pub(super) fn is_current(&self) -> bool {
        self.0.status.borrow().is_current()
    }

    pub(super) fn absent(&self) {
        self.0.status.send_replace(FeedStatus::Absent);
    }

    pub(super) fn lags(&self) {
        if let Some(since) = self.progress().known_until {
            self.0.status.send_replace(FeedStatus::Lagging { since });
        }
    }

    /// Says so once for each outage.
    pub(super) fn lost(&self, error: Option<&StoreError>) {
        self.lags();
        if !std::mem::replace(&mut self.progress().is_down, true) {
            let cause = error
                .and_then(|it| it.source())
                .map(tracing::field::display);
            tracing::warn!(
                target: "auth_layer::store", cause,
                "the feed is down: sessions revoked elsewhere keep their access tokens until it is back"
            );
        }
    }

    fn caught_up(&self, asked_at: Timestamp) {
        let was_down = {
            let mut progress = self.progress();
            progress.known_until = Some(asked_at);
            std::mem::take(&mut progress.is_down)
        };
        self.0.status.send_if_modified(|status| {
            std::mem::replace(status, FeedStatus::Following) != FeedStatus::Following
        });
        if was_down {
            tracing::info!(target: "auth_layer::store", "the feed is back, and has caught up");
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What clocks of servers may differ by, and a revocation may take from its time to its commit.
const OVERLAP: Duration = Duration::from_secs(60);

/// A read of what was revoked in the past.
#[derive(Debug)]
#[must_use = "it counts only once it is `done`"]
pub struct CatchUp<'a> {
    to: &'a FeedListener,
    asked_at: Timestamp,
    since: Timestamp,
}

impl CatchUp<'_> {
    /// From when on: all that was revoked at this time or later is to be told.
    ///
    /// It lies back as far as an access token may live, or a minute before the read that was done
    /// last: servers' clocks may differ by that much.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// A session was revoked at `at`. Telling it again and again does no harm.
    pub fn revoked(&self, session: SessionId, at: Timestamp) {
        let listener = &self.to.0;
        let (sid, now) = (session.to_string(), listener.clock.now());
        listener.revocations.revoke_session_of(&sid, at, now);
    }

    /// All of it was told.
    pub fn done(self) {
        self.to.caught_up(self.asked_at);
    }
}
