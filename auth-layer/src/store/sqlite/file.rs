use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// The file that holds the sessions.
#[derive(Clone, Debug)]
pub(super) struct File(PathBuf);

impl File {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A connection to write with, durable with each commit. The file must exist.
    pub(super) fn write(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        Ok(connection)
    }

    /// A connection that changes nothing.
    pub(super) fn read(&self) -> rusqlite::Result<Connection> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// One thread at a time has the connection.
    fn connect(&self, mode: OpenFlags) -> rusqlite::Result<Connection> {
        Connection::open_with_flags(&self.0, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }
}
