use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::file::File;

/// A session store that was not opened. The file is as it was; the message says what to do.
#[derive(Debug)]
pub struct SqliteOpenError {
    path: PathBuf,
    cause: Cause,
}

impl SqliteOpenError {
    pub(super) fn new(path: &Path, cause: Cause) -> Self {
        let path = path.to_owned();
        Self { path, cause }
    }

    /// Why it was not opened.
    pub fn kind(&self) -> SqliteOpenErrorKind {
        self.cause.kind
    }
}

/// Why a session store was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqliteOpenErrorKind {
    /// The file or its folder cannot be read and written.
    Inaccessible,
    /// It is no SQLite file, or one with other tables.
    NotAStore,
    /// It is a session store, and broken.
    Damaged,
    /// It was written by a newer version of this crate.
    Newer,
    /// Another process keeps it locked.
    Locked,
    /// SQLite failed otherwise: see the source.
    Failed,
}

impl fmt::Display for SqliteOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.kind() {
            SqliteOpenErrorKind::Inaccessible => {
                "cannot be read and written: see that its folder exists and who may write there"
            }
            SqliteOpenErrorKind::NotAStore => {
                "is not a session store: give another path, or move that file away"
            }
            SqliteOpenErrorKind::Damaged => {
                "is damaged: restore it from a backup, or move it away and let everybody sign in \
                 again"
            }
            SqliteOpenErrorKind::Newer => {
                "was written by a newer version of auth-layer: run that version, or restore a \
                 backup from before it"
            }
            SqliteOpenErrorKind::Locked => "is locked by another process: stop that one, or retry",
            SqliteOpenErrorKind::Failed => "cannot be opened",
        };
        write!(f, "the session store {:?} {advice}", self.path)
    }
}

impl Error for SqliteOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source.as_deref().map(|it| it as _)
    }
}

#[derive(Debug)]
pub(super) struct Cause {
    kind: SqliteOpenErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// A connection that writes to the file, which is created if need be, and has the newest schema.
pub(super) fn open(file: &File) -> Result<Connection, Cause> {
    inspect(file)?;
    create_private(file.path())?;
    let connection = file.write()?;
    migrate(&connection)?;
    Ok(connection)
}

/// SQLite would let everybody read a file that it creates; its `-wal` gets the rights of the file.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Looks at a file that exists without the right to change it.
fn inspect(file: &File) -> Result<(), Cause> {
    match std::fs::metadata(file.path()) {
        Ok(file) if !file.is_file() => return Err(SqliteOpenErrorKind::NotAStore.into()),
        Ok(file) if file.len() > 0 => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let connection = file.read()?;
    check_version(&connection)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(SqliteOpenErrorKind::Damaged.into()),
    }
}

/// How many migrations the file has had.
fn check_version(on: &Connection) -> Result<usize, Cause> {
    let number = |query| on.query_row(query, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match usize::try_from(version) {
        Ok(0) if tables == 0 => Ok(0),
        _ if application != APPLICATION => Err(SqliteOpenErrorKind::NotAStore.into()),
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(SqliteOpenErrorKind::Newer.into()),
    }
}

/// All or nothing; also finds out whether the file can be written.
fn migrate(on: &Connection) -> Result<(), Cause> {
    let transaction = Transaction::new_unchecked(on, TransactionBehavior::Immediate)?;
    let done = check_version(&transaction)?;
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    transaction.commit()?;
    Ok(())
}

/// "auth" in ASCII: tells our files from other programs'.
const APPLICATION: i64 = 0x6175_7468;

/// Each ends by setting `user_version` to its number.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../../migrations/sqlite/0001_auth_session.sql"),
    include_str!("../../../migrations/sqlite/0002_auth_session_jkt.sql"),
    include_str!("../../../migrations/sqlite/0003_auth_session_revoked_at.sql"),
    include_str!("../../../migrations/sqlite/0004_auth_subject.sql"),
];

impl From<SqliteOpenErrorKind> for Cause {
    fn from(kind: SqliteOpenErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        let (kind, source) = (SqliteOpenErrorKind::Inaccessible, Some(error.into()));
        Self { kind, source }
    }
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => SqliteOpenErrorKind::Damaged,
            Some(ErrorCode::NotADatabase) => SqliteOpenErrorKind::NotAStore,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                SqliteOpenErrorKind::Locked
            }
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                SqliteOpenErrorKind::Inaccessible
            }
            _ => SqliteOpenErrorKind::Failed,
        };
        let source = Some(error.into());
        Self { kind, source }
    }
}
