mod feed;
mod fields;
mod link;
mod open;
mod probe;
mod recent;
mod scripts;
mod time;

use std::fmt;

use ::redis::Client;
use ::redis::aio::ConnectionManager;

pub use open::{RedisOpenError, RedisOpenErrorKind};

use self::link::Link;
use self::scripts::Scripts;
use super::{
    FeedListener, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError,
};
use crate::clock::Timestamp;

/// Sessions in Redis 7 or later, for any number of servers. Clones share a connection.
///
/// A session is one hash, `auth_session:{sid}`, that expires at its absolute deadline; each verb is
/// one script on it. `auth_subject:<subject>` is a sorted set of the subject's sessions by that
/// deadline; its member `epoch` counts how often all of them were revoked, and lets the set live for 30 days at least. Revoking
/// those of a subject takes one step a session.
///
/// # Durability
/// Redis forgets what it has not written. Set `maxmemory-policy noeviction`, or memory pressure signs
/// people out, and then:
///
/// | setting | what a crash costs |
/// | --- | --- |
/// | `appendonly yes`, `appendfsync always` | nothing that was answered |
/// | `appendonly yes`, `appendfsync everysec` | up to a second, sometimes two |
/// | `save` alone | all since the last snapshot |
///
/// A fail-over costs what was not replicated. `min-replicas-to-write 1` with a short
/// `min-replicas-max-lag` bounds how much that can be: without a replica that keeps up Redis then
/// refuses writes, and callers get a [`StoreError`]. `WAIT` is not used: it would hold up everybody
/// on the connection, and does not keep a replica that lags from being promoted.
///
/// Whoever refreshed in what was lost has a token that the store has never seen: they sign in again,
/// an event says that the store is behind, and nobody is taken for a thief. A session that was
/// revoked in it goes on.
///
/// # Feed
/// The script that revokes also publishes the session on the channel `auth_revoked`, for who listens,
/// and a sorted set of that name keeps it for a day, for who does not: access tokens that
/// live longer are not caught up with. The set is written by a second step. If that is lost, those
/// that did not listen at that moment hear of it when the log-out, or the refresh that was refused,
/// is repeated.
///
/// # Rights
/// What an issuer needs, and what a process needs that only [follows](Self::connect_to_read) the feed:
///
/// ```text
/// ACL SETUSER issuer on >password ~auth_* &auth_revoked +@connection +@scripting +@transaction +@hash +@sortedset +exists +unlink +set +pexpire +pexpireat +time +publish +subscribe
/// ACL SETUSER reader on >password %R~auth_* &auth_revoked +@connection +get +zrange +subscribe
/// ```
///
/// # Cluster
/// Each step touches one slot. This store talks to one server, though, and follows no redirects: give
/// it a primary, or a proxy.
///
/// # Fail-over
/// A connection is replaced when it is lost, when an answer is not there within two seconds, and when
/// the server says that it is no primary any more. A primary that was demoted under open connections
/// decides nothing: each script is one that writes, which it refuses. Who only listens asks every
/// five seconds what the server is.
///
/// A rotation that was sent is waited for until the connection is lost, or silent for 30 seconds, since it may have happened.
/// Each carries the time at which its caller is refused, by the server's own clock: Redis does nothing with one that it reaches
/// later.
///
/// What was asked over a connection that is lost is asked again where a repeat changes nothing; a
/// refresh without an idempotency key is not, as it may have happened: its caller gets a
/// [`StoreError`], like everybody while Redis is away.
///
/// ```no_run
/// # async fn example() -> Result<(), auth_layer::store::RedisOpenError> {
/// use auth_layer::store::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    scripts: Scripts,
    client: Option<Client>,
    primary_only: bool,
}

impl RedisStore {
    /// Connects, and sees that the server is new enough and lets the user do what is needed. The
    /// URL's forms are those of the `redis` crate; for `rediss://` enable one of its TLS features.
    ///
    /// # Errors
    /// When Redis cannot be reached within a few seconds, denies what is needed, is a replica or too
    /// old. The error says what to do.
    pub async fn connect(url: &str) -> Result<Self, RedisOpenError> {
        let client = open::client(url)?;
        let scripts = Scripts::new(Link::to(client.clone())?);
        probe::issuing(&scripts, &client).await?;
        Ok(Self {
            scripts,
            client: Some(client),
            primary_only: true,
        })
    }

    /// Connects with the right to read alone, for a process that follows the
    /// [feed](super::RevocationFeed) and issues nothing; also to a replica.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub async fn connect_to_read(url: &str) -> Result<Self, RedisOpenError> {
        let client = open::client(url)?;
        let scripts = Scripts::new(Link::to(client.clone())?);
        probe::reading(&scripts, &client).await?;
        Ok(Self {
            scripts,
            client: Some(client),
            primary_only: false,
        })
    }

    /// Uses a connection of your own. Its `response_timeout` is how long callers wait, once or twice.
    /// It is replaced when it is lost, as the manager does it, but not when it leads nowhere. What
    /// others revoke is asked for twice a second, unless it can [subscribe](Self::subscribe_with).
    pub fn from_manager(manager: ConnectionManager) -> Self {
        Self {
            scripts: Scripts::new(Link::over(manager)),
            client: None,
            primary_only: false,
        }
    }

    /// Hears what others revoke over a connection of `client`, to the same Redis.
    pub fn subscribe_with(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl SessionStore for RedisStore {
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        self.scripts.insert(&session, epoch).await
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        self.scripts.epoch(subject).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.scripts.rotate(&rotation).await
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.scripts.revoke(&selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.scripts.list(&selection, now).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        match &self.client {
            Some(client) => feed::subscribe(client, &self.scripts, to, self.primary_only).await,
            None => feed::poll(&self.scripts, to).await,
        }
    }
}

#[cfg(test)]
mod tests;
