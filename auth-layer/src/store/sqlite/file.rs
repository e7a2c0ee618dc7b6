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
        // Of a new file. Whatever changes in a page, the log gets all of it: small ones make small logs.
        connection.pragma_update(None, "page_size", 1_024)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
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

/// In pages. Whoever makes it this long moves it into the file before going on: see `checkpoints`.
const LONGEST_LOG: i64 = 16_000;
const CACHE_KIB: i64 = 64 * 1024;
