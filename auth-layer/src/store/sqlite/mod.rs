mod feed;
mod open;
mod rotations;
mod row;
mod statements;
mod writer;

use std::path::Path;

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

pub use open::{SqliteOpenError, SqliteOpenErrorKind};

use self::writer::Writer;
use super::{
    FeedListener, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError,
};
use crate::clock::Timestamp;

/// Sessions in one SQLite file, durable with every answer. Clones share it.
///
/// One task writes: what waits is committed together, with one `fsync` (`synchronous=FULL`), so it
/// gets faster per session the more there is to do. Reads go beside it (WAL). A dropped future loses
/// nothing: what was asked for happens. Where the disk is full or the task is gone, callers get a
/// [`StoreError`] and nothing happened. Several processes may share the file on one machine:
/// each looks twice a second for what the others have revoked.
///
/// ```
/// # async fn example() -> Result<(), auth_layer::store::SqliteOpenError> {
/// use auth_layer::store::SqliteStore;
///
/// let store = SqliteStore::open("sessions.db").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, or creates it, and brings its schema up to date. The folder must exist.
    ///
    /// The task that writes runs on the runtime that this is called on, which needs its timer, and
    /// ends when the last clone is dropped.
    ///
    /// # Errors
    /// When the file cannot be read and written, is damaged, holds something else, or was written by
    /// a newer version of this crate. The file is then as it was, and the error says what to do.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let path = path.as_ref();
        Self::connect(SqliteConnectOptions::new().filename(path))
            .await
            .map_err(|cause| SqliteOpenError::new(path, cause))
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, open::Cause> {
        let (options, writer) = open::writer(options).await?;
        Ok(Self {
            readers: open::readers(options.clone()),
            writer: Writer::spawn(writer, options),
        })
    }
}

impl SessionStore for SqliteStore {
    async fn insert(&self, session: Session) -> Result<(), StoreError> {
        self.writer.insert(session).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.writer.rotate(rotation).await
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.writer.revoke(selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        statements::list(&self.readers, &selection, now).await
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.writer.delete_expired(before, limit).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        feed::feed(&self.readers, to).await
    }
}

#[cfg(test)]
mod tests;
