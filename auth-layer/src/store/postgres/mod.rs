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
use self::statements::Connections;
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
/// What is revoked is told by `NOTIFY`, in the transaction that revokes. The feed `LISTEN`s on one more connection, outside of
/// the pool, and looks every 5 seconds besides. To follow it the right to `SELECT` is enough.
///
/// # Poolers
/// PgBouncer in transaction mode may stand in between, also beside other applications. Settings belong to the connection from
/// its beginning; where a pooler does not pass them on, each statement is a transaction that sets them for itself and
/// prepares nothing, at the cost of three more round trips for a batch. Notifications do not arrive there, and a connection that
/// listens would disturb others: the feed says so in the log, and looks twice a second.
///
/// # Schema
/// Changes of the schema only add, and one node makes them while nodes of the previous version go on. A lock that a change needs is
/// waited for for 200 ms, then given up and tried again: other statements are not blocked behind a long transaction. Opening
/// the store lasts until then, and the log says what it waits for.
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
    connections: Connections,
    rotations: Rotations,
}

impl PostgresStore {
    /// Connects, with up to 8 connections, and brings the schema up to date: the tables
    /// `auth_session` and `auth_subject`, in the first schema of the role's `search_path`.
    ///
    /// # Errors
    /// When the database cannot be reached within 5 seconds or used, or was brought up to date by a
    /// newer version of this crate. It is then as it was, and the error says what to do. A table that is locked is no error:
    /// see [Schema](Self#schema).
    pub async fn connect(url: &str) -> Result<Self, PostgresOpenError> {
        Self::over(open::connect(url).await?, true).await
    }

    /// Uses connections of your own, and brings the schema up to date.
    ///
    /// Give it 6 or more: rotations use up to 4 at once, and sign-ins, lists and revocations wait for the
    /// others. Recommended: `test_before_acquire(false)` with a ping
    /// of those that were idle, an `acquire_timeout` of a few seconds, and in the connect options
    /// `lock_timeout`, `statement_timeout`, `enable_seqscan = off`, `enable_hashjoin = off` and `enable_mergejoin = off`. Without
    /// the latter each statement sets them for a transaction of its own, which takes three more round trips.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and when the pool's transactions are not `read committed`.
    pub async fn from_pool(pool: PgPool) -> Result<Self, PostgresOpenError> {
        Self::over(pool, false).await
    }

    async fn over(pool: PgPool, is_ours: bool) -> Result<Self, PostgresOpenError> {
        let are_settled = open::prepare(&pool, is_ours).await?;
        let connections = Connections { pool, are_settled };
        let rotations = Rotations::new(connections.clone());
        Ok(Self {
            connections,
            rotations,
        })
    }
}

impl SessionStore for PostgresStore {
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        statements::insert(&self.connections, &session, epoch).await
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        statements::epoch(&self.connections, subject).await
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
        statements::revoke(&self.connections, &selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        statements::list(&self.connections, &selection, now).await
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        statements::delete_expired(&self.connections, before, limit).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        feed::feed(&self.connections, to).await
    }
}

#[cfg(test)]
mod tests;
