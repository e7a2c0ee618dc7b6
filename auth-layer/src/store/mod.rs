//! Where sessions are kept.
//!
//! A [`SessionStore`] holds one row for each session, however often its refresh token was rotated,
//! and hashes only. [`MemoryStore`] is for tests and tools of a single process, the feature `sqlite`
//! brings one durable file, `postgres` and `redis` a database for several servers.
//! Yours needs five methods, and `conformance` (feature `test-util`) tells whether they keep the
//! laws.
//!
//! Processes that share a store hear from its feed what the others revoke:
//! [`guide::several_machines`](crate::guide::several_machines). Their clocks may differ by a minute.

mod claims;
mod erased;
mod error;
mod feed;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
pub mod rotation;
mod session;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod ticket;

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;

use std::future::Future;
use std::sync::Arc;

pub use claims::{CustomClaims, InvalidClaims};
pub(crate) use erased::ErasedStore;
pub use error::{StoreError, StoreErrorKind};
pub(crate) use feed::follow;
pub use feed::{CatchUp, FeedListener, FeedStatus, RevocationFeed};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOpenError, PostgresOpenErrorKind, PostgresStore};
#[cfg(feature = "redis")]
pub use redis::{RedisOpenError, RedisOpenErrorKind, RedisStore};
pub use rotation::{Chain, Dead, Outcome, Rotation};
pub use session::{RevokedBy, Selection, Session};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOpenError, SqliteOpenErrorKind, SqliteStore};

use crate::clock::Timestamp;

/// Keeps sessions.
///
/// Each method happens entirely or not at all, also when its future is dropped, and is durable once
/// it has answered (as far as the store is). An error means: not known to have happened, ask again.
/// Work that waits when its caller is refused is withdrawn first, so that a repeat by that caller is not taken for reuse.
/// Implementations may write `async fn`. An issuer boxes the futures itself, one small allocation
/// beside each trip to the store, so that its own type does not name the store.
pub trait SessionStore: Send + Sync + 'static {
    /// Adds a session, only if the [`epoch`](Self::epoch) of its subject still is the one that is given, if one is.
    ///
    /// # Errors
    /// [`StoreErrorKind::Conflict`] if its id is taken: the other session is untouched.
    /// [`StoreErrorKind::Revoked`] if the epoch is another one.
    fn insert(
        &self,
        session: Session,
        epoch: Option<u64>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How often [`revoke`](Self::revoke) was called for a subject's sessions, 0 if it never was. An insertion that knows an
    /// epoch and a revocation exclude each other: the session is revoked, or it is not added. So a sign-in that began before a
    /// revocation does not survive it. No clock takes part.
    fn epoch(&self, subject: &str) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Decides what becomes of a refresh token and applies it, in one atomic step: exactly what
    /// [`Chain::rotate`] does. If it advances, `ip` and `user_agent` replace those of the session
    /// where they are given; if it is reuse, the session was revoked by [`RevokedBy::Reuse`].
    ///
    /// A rotation that has not begun within [`Rotation::timeout`] is not carried out, and the answer is
    /// [`StoreErrorKind::Unavailable`]. One that has begun is waited for.
    fn rotate(
        &self,
        rotation: Rotation,
    ) -> impl Future<Output = Result<Rotated, StoreError>> + Send;

    /// Revokes the selected sessions that are not revoked yet, and returns them. What is revoked
    /// stays so. For a [subject](Selection::Subject), or the [others](Selection::Others) of one, its epoch is incremented
    /// first.
    fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Session>, StoreError>> + Send;

    /// The selected sessions that are alive at `now`: neither revoked nor past a deadline. Newest
    /// first, at most [`LIST_LIMIT`].
    fn list(
        &self,
        selection: Selection,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Session>, StoreError>> + Send;

    /// Forgets up to `limit` sessions whose absolute deadline lies before `before`, and returns how
    /// many. For stores that do not expire by themselves; the default does nothing.
    fn delete_expired(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        let _ = (before, limit);
        std::future::ready(Ok(0))
    }

    /// Tells `to` what is revoked, by whomever, as long as it can: [`rotate`](Self::rotate) revokes
    /// too. First subscribe, then [catch up](FeedListener::catch_up), then tell each session within
    /// a second. It ends with an error where it cannot go on, and is then called again by whoever
    /// listens, after a while; dropping its future ends it too.
    ///
    /// The default has no feed and says so by `Ok`: right for a store that only one process uses.
    fn feed(&self, to: &FeedListener) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = to;
        std::future::ready(Ok(()))
    }
}

/// How many sessions [`SessionStore::list`] returns at most.
pub const LIST_LIMIT: usize = 1_000;

/// What a store did with a refresh token.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores say which, and there is no third"
)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and taken apart at once: a box would cost more"
)]
pub enum Rotated {
    /// The session was alive: what became of the token, and the session after it.
    Decided(Outcome, Session),
    /// No token of that session is worth anything.
    Dead(Dead),
}

impl<S: SessionStore> SessionStore for Arc<S> {
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        S::insert(self, session, epoch).await
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        S::epoch(self, subject).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        S::rotate(self, rotation).await
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        S::revoke(self, selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        S::list(self, selection, now).await
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        S::delete_expired(self, before, limit).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        S::feed(self, to).await
    }
}
