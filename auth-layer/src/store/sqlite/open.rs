use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool, query, query_scalar, raw_sql};

use super::writer::BATCH;

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
        self.cause.source.as_ref().map(|it| it as _)
    }
}

#[derive(Debug)]
pub(super) struct Cause {
    kind: SqliteOpenErrorKind,
    source: Option<sqlx::Error>,
}

/// A connection that may write, to a file with the newest schema; and how to get another.
pub(super) async fn writer(
    options: SqliteConnectOptions,
) -> Result<(SqliteConnectOptions, SqliteConnection), Cause> {
    inspect(&options).await?;
    create_private(options.get_filename())?;
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // A whole batch is read without one thread waiting for the other.
        .row_buffer_size(BATCH);
    let mut connection = options.connect().await?;
    migrate(&mut connection).await?;
    Ok((options.create_if_missing(false), connection))
}

pub(super) fn readers(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options.read_only(true))
}

/// SQLite would let everybody read a file that it creates; its `-wal` gets the rights of the file.
#[cfg(unix)]
fn create_private(path: &Path) -> Result<(), Cause> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let created = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(sqlx::Error::from(error).into())
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn create_private(_: &Path) -> Result<(), Cause> {
    Ok(())
}

/// Looks at a file that exists without the right to change it.
async fn inspect(options: &SqliteConnectOptions) -> Result<(), Cause> {
    match std::fs::metadata(options.get_filename()) {
        Ok(file) if !file.is_file() => return Err(SqliteOpenErrorKind::NotAStore.into()),
        Ok(file) if file.len() > 0 => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(sqlx::Error::from(error).into()),
    }
    let mut connection = options.clone().read_only(true).connect().await?;
    check_version(&mut connection).await?;
    let verdict: String = query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await?;
    if verdict != "ok" {
        return Err(SqliteOpenErrorKind::Damaged.into());
    }
    connection.close().await?;
    Ok(())
}

/// How many migrations the file has had.
async fn check_version(on: &mut SqliteConnection) -> Result<usize, Cause> {
    let application: i64 = query_scalar("PRAGMA application_id")
        .fetch_one(&mut *on)
        .await?;
    let version: i64 = query_scalar("PRAGMA user_version")
        .fetch_one(&mut *on)
        .await?;
    let tables: i64 = query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(on)
        .await?;
    match usize::try_from(version) {
        Ok(0) if tables == 0 => Ok(0),
        _ if application != APPLICATION => Err(SqliteOpenErrorKind::NotAStore.into()),
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(SqliteOpenErrorKind::Newer.into()),
    }
}

/// All or nothing; also finds out whether the file can be written.
async fn migrate(on: &mut SqliteConnection) -> Result<(), Cause> {
    query("BEGIN IMMEDIATE").execute(&mut *on).await?;
    let done = check_version(on).await?;
    for migration in MIGRATIONS.iter().skip(done) {
        raw_sql(*migration).execute(&mut *on).await?;
    }
    query("COMMIT").execute(on).await?;
    Ok(())
}

/// "auth" in ASCII: tells our files from other programs'.
const APPLICATION: i64 = 0x6175_7468;

/// Each ends by setting `user_version` to its number.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/sqlite/0001_auth_session.sql"),
    include_str!("../../../migrations/sqlite/0002_auth_session_jkt.sql"),
    include_str!("../../../migrations/sqlite/0003_auth_session_revoked_at.sql"),
];

impl From<SqliteOpenErrorKind> for Cause {
    fn from(kind: SqliteOpenErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<sqlx::Error> for Cause {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|it| it.code());
        let code = code.and_then(|it| it.parse::<i32>().ok());
        let kind = match code.map(|it| it & 0xff) {
            Some(11) => SqliteOpenErrorKind::Damaged,
            Some(26) => SqliteOpenErrorKind::NotAStore,
            Some(5 | 6) => SqliteOpenErrorKind::Locked,
            Some(3 | 8 | 14) => SqliteOpenErrorKind::Inaccessible,
            None if matches!(error, sqlx::Error::Io(_)) => SqliteOpenErrorKind::Inaccessible,
            _ => SqliteOpenErrorKind::Failed,
        };
        let source = Some(error);
        Self { kind, source }
    }
}
