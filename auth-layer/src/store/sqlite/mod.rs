mod checkpoints;
mod failure;
mod feed;
mod file;
mod hand;
mod open;
mod queue;
mod reader;
mod rotation;
mod row;
mod statements;
mod writer;

use std::path::Path;

use rusqlite::Connection;

pub use open::{SqliteOpenError, SqliteOpenErrorKind};

use self::file::File;
use self::hand::Hand;
use self::reader::Reader;
use self::row::Unread;
use self::writer::Writer;
use super::{
    FeedListener, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError,
};
use crate::clock::Timestamp;

/// Sessions in one SQLite file, durable with every answer. Clones share it.
///
/// One thread writes: what waits is committed together, with one `fsync` (`synchronous=FULL`), so it
/// gets faster per session the more there is to do. Beside it (WAL) one reads, and one moves the log into
/// the file, for which others wait only under full load. Up to 64 MiB of pages are kept in memory. A
/// dropped future loses nothing: what was asked for happens. A call that has not begun after 10 seconds is refused, and then it
/// does not happen; one whose transaction waits for a slow disk is answered once the disk has it. Where the disk is full, callers get a
/// [`StoreError`] and nothing happened. Several processes may share the file on one machine: each looks twice a second
/// for what the others have revoked.
///
/// SQLite itself comes with [rusqlite](https://docs.rs/rusqlite), in the version that the other
/// crates of a program agree to, `sqlx` among them.
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
    reader: Reader,
}

impl SqliteStore {
    /// Opens the file, or creates it, and brings its schema up to date. The folder must exist.
    ///
    /// The threads end when the last clone is dropped, after what was asked for is written.
    ///
    /// # Errors
    /// When the file cannot be read and written, is damaged, holds something else, or was written by
    /// a newer version of this crate. The file is then as it was, and the error says what to do.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let file = File::new(path.as_ref());
        let writer = Writer::open(file.clone()).await;
        let opened = writer.and_then(|writer| {
            let reader = Reader::spawn(file)?;
            Ok(Self { writer, reader })
        });
        opened.map_err(|cause| SqliteOpenError::new(path.as_ref(), cause))
    }
}

impl SessionStore for SqliteStore {
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        let insert = move |hand: &mut Hand<'_>| statements::insert(hand.on, &session, epoch);
        self.writer.write(insert).await
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        let subject = subject.to_owned();
        let read = move |on: &Connection| statements::epoch(on, &subject);
        self.reader.read(read).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let timeout = rotation.timeout;
        let rotate = move |hand: &mut Hand<'_>| rotation::rotate(hand, &rotation);
        rotation::read(self.writer.write_within(timeout, rotate).await?)
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let revoke = move |hand: &mut Hand<'_>| statements::revoke(hand.on, &selection, by, now);
        let revoked = self.writer.write(revoke).await?;
        revoked.into_iter().map(Unread::read).collect()
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let list = move |on: &Connection| statements::list(on, &selection, now);
        let listed = self.reader.read(list).await?;
        listed.into_iter().map(Unread::read).collect()
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let delete = move |hand: &mut Hand<'_>| statements::delete_expired(hand.on, before, limit);
        self.writer.write(delete).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        feed::feed(&self.reader, to).await
    }
}

#[cfg(test)]
mod tests;
