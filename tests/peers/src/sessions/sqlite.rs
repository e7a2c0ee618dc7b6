use std::path::PathBuf;
use std::time::Duration;

use auth_layer::refresh_token::SessionId;
use auth_layer::store::{SessionStore as _, SqliteStore};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, query, raw_sql};
use tempfile::TempDir;
use tokio::process::Command;

use super::{Engine, compare, session};
use crate::BoxError;
use crate::report::Report;
use crate::rounds::{Effort, Series};

pub(super) async fn run(effort: Effort, report: &Report) -> Result<Series, BoxError> {
    let folder = Folder::create()?;
    let store = SqliteStore::open(folder.file("store.db")).await?;
    let mut group_commit = GroupCommit::create(folder.file("engine.db")).await?;
    compare("sqlite", &store, &mut group_commit, effort, report).await
}

/// A folder of our own, beside the servers' data.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn create() -> Result<Self, BoxError> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds so many sessions to the store in that file, in one statement; their ids, in the order of
    /// the table.
    pub(crate) async fn fill(&self, name: &str, sessions: u32) -> Result<Vec<SessionId>, BoxError> {
        let options = SqliteConnectOptions::new().filename(self.file(name));
        let mut on = options.connect().await?;
        query(FILL).bind(sessions).execute(&mut on).await?;
        raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut on)
            .await?;
        let rows = query("SELECT id FROM auth_session")
            .fetch_all(&mut on)
            .await?;
        let ids = rows.iter().map(|row| {
            let bytes: [u8; 16] = row.try_get::<&[u8], _>(0)?.try_into()?;
            Ok(SessionId::from_bytes(bytes))
        });
        ids.collect()
    }
}

/// As `load::session` makes them, with ids by chance.
const FILL: &str = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) \
    INSERT INTO auth_session (id, subject, scopes, label, claims, auth_time, created_at, generation, \
    current_hash, previous_hash, rotated_at, idle_expires_at, absolute_expires_at) \
    SELECT randomblob(16), 'user-' || n, 'read write', 'Firefox on Linux', '{\"role\":\"member\"}', \
    1800000000000, 1800000000000, 0, zeroblob(32), zeroblob(32), 1800000000000, 1800000000000 + 1209600000, \
    1800000000000 + 7776000000 FROM numbers";

/// `group_commit`, a process of its own: the newest rusqlite and sqlx cannot be in one.
pub(crate) struct GroupCommit {
    file: PathBuf,
}

impl GroupCommit {
    /// Among the sessions of a store that is closed.
    pub(crate) fn of(file: PathBuf) -> Self {
        Self { file }
    }

    /// With SQLite's own size of a page, which serves it best.
    async fn create(file: PathBuf) -> Result<Self, BoxError> {
        let options = SqliteConnectOptions::new().filename(&file).page_size(4_096);
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        options.connect().await?.close().await?;
        let store = SqliteStore::open(&file).await?;
        for _ in 0..64 {
            store.insert(session("engine"), None).await?;
        }
        Ok(Self { file })
    }
}

impl Engine for GroupCommit {
    const NAME: &'static str = "group commit";

    async fn rate(&mut self, callers: usize, turn: Duration) -> Result<f64, BoxError> {
        let output = Command::new(std::env::var("GROUP_COMMIT")?)
            .arg(&self.file)
            .arg(callers.to_string())
            .arg(turn.as_secs().to_string())
            .output()
            .await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }
}
