mod fields;
mod open;
mod scripts;

use std::fmt;

use ::redis::aio::ConnectionManager;

pub use open::{RedisOpenError, RedisOpenErrorKind};

use self::scripts::Scripts;
use super::{RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError};
use crate::clock::Timestamp;

/// Sessions in Redis 7 or later, for any number of servers. Clones share a connection.
///
/// A session is one hash, `auth_session:{sid}`, that expires at its absolute deadline; each verb is
/// one script on it. `auth_subject:<subject>` is a sorted set of the subject's sessions by that
/// deadline. Revoking those of a subject takes one step a session.
///
/// Redis forgets what it has not written. With `appendonly yes` and `appendfsync always` every answer
/// is durable; with `everysec` a crash costs up to a second, and a fail-over what was not replicated:
/// who refreshed then signs in again, and nobody is taken for a thief. Set `maxmemory-policy
/// noeviction`, or memory pressure signs people out.
///
/// A connection that is lost is replaced. What was asked over it is asked again where a repeat
/// changes nothing; a refresh without an idempotency key is not, as it may have happened: its caller
/// gets a [`StoreError`], like everybody while Redis is away.
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
pub struct RedisStore(Scripts);

impl RedisStore {
    /// Connects. The URL's forms are those of the `redis` crate; for `rediss://` enable one of its
    /// TLS features.
    ///
    /// # Errors
    /// When Redis cannot be reached within a few seconds, or denies access. The error says what to do.
    pub async fn connect(url: &str) -> Result<Self, RedisOpenError> {
        Ok(Self::from_manager(open::connect(url).await?))
    }

    /// Uses a connection of your own. Its `response_timeout` is how long callers wait, once or twice.
    pub fn from_manager(manager: ConnectionManager) -> Self {
        Self(Scripts::new(manager))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl SessionStore for RedisStore {
    async fn insert(&self, session: Session) -> Result<(), StoreError> {
        self.0.insert(&session).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.0.rotate(&rotation).await
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.0.revoke(&selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.0.list(&selection, now).await
    }
}

#[cfg(test)]
mod tests;
