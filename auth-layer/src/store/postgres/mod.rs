mod batch;
mod failure;
mod feed;
mod open;
mod rotations;
mod row;
mod statements;

use sqlx::PgPool;

pub use open::{PostgresOpenError, PostgresOpenErrorKind};

use self::rotations::Rotations;
use super::{
    FeedListener, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError,
};
use crate::clock::Timestamp;

/// Sessions in PostgreSQL 12 or later, for any number of servers. Clones share connections.
///
/// Each verb is one statement, durable with its answer as far as the database's
/// `synchronous_commit` is. Rotations that wait at the same time travel together, so it gets faster
/// per session the more there is to do.
///
/// A connection that is lost is replaced. What was asked over it is asked again where a repeat
/// changes nothing; a refresh without an idempotency key is not, as it may have happened: its caller
/// gets a [`StoreError`], like everybody while the database is away.
///
/// What is revoked is told by `NOTIFY`, in the transaction that revokes. Whoever follows the feed
/// `LISTEN`s on one more connection, outside of the pool, and looks every 5 seconds besides: that is
/// all that works through a pooler of transactions, such as PgBouncer. To follow it the right to
/// `SELECT` is enough.
///
/// For TLS, enable one of sqlx's `tls-*` features and ask for it in the URL
/// (`?sslmode=verify-full`).
///
/// ```no_run
/// # async fn example() -> Result<(), auth_layer::store::PostgresOpenError> {
/// use auth_layer::store::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://auth@db.internal/auth").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    rotations: Rotations,
}

impl PostgresStore {
    /// Connects, with up to 8 connections, and brings the schema up to date: the table
    /// `auth_session`, in the first schema of the role's `search_path`.
    ///
    /// # Errors
    /// When the database cannot be reached within 5 seconds or used, or was brought up to date by a
    /// newer version of this crate. It is then as it was, and the error says what to do.
    pub async fn connect(url: &str) -> Result<Self, PostgresOpenError> {
        Self::over(open::connect(url).await?).await
    }

    /// Uses connections of your own, and brings the schema up to date.
    ///
    /// Give it 6 or more: rotations use up to 4 at once, and sign-ins, lists and revocations wait for the
    /// others. Recommended: `test_before_acquire(false)` with a ping
    /// of those that were idle, an `acquire_timeout` of a few seconds, and on each connection
    /// `lock_timeout`, `statement_timeout` and `enable_seqscan = off`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and when the pool's transactions are not `read committed`.
    pub async fn from_pool(pool: PgPool) -> Result<Self, PostgresOpenError> {
        Self::over(pool).await
    }

    async fn over(pool: PgPool) -> Result<Self, PostgresOpenError> {
        open::prepare(&pool).await?;
        let rotations = Rotations::new(pool.clone());
        Ok(Self { pool, rotations })
    }
}

impl SessionStore for PostgresStore {
    async fn insert(&self, session: Session) -> Result<(), StoreError> {
        statements::insert(&self.pool, &session).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.rotations.rotate(rotation).await
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        statements::revoke(&self.pool, &selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        statements::list(&self.pool, &selection, now).await
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        statements::delete_expired(&self.pool, before, limit).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        feed::feed(&self.pool.connect_options(), to).await
    }
}

#[cfg(test)]
mod tests;
