//! What is SQLite's own; the laws of all stores are in `tests/it/store/laws.rs`.

mod batch;
mod file;
mod schema;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Outcome, StoreErrorKind};

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    (folder, path)
}

fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn execute(path: &Path, statements: &str) {
    raw(path).execute_batch(statements).unwrap();
}

/// What is asked for at once is one batch: the thread that writes is held up until all of it waits.
async fn in_one_batch<T>(store: &SqliteStore, asked: impl Future<Output = T>) -> T {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let hold_up = store.writer.write(move |_| {
        let _ = held.recv();
        Ok(())
    });
    let (_, answers, ()) = tokio::join!(biased; hold_up, asked, async { drop(release) });
    answers
}

/// Once the thread that wrote is gone, so is its log.
async fn closed(path: &Path) {
    let log = path.with_file_name("sessions.db-wal");
    while log.exists() {
        tokio::task::yield_now().await;
    }
}

fn session(number: u8) -> Session {
    let day = std::time::Duration::from_secs(24 * 3600);
    let id = SessionId::from_bytes([number; 16]);
    Session::new(id, "alice", hash(number, 0), NOW, (day, day))
}

fn hash(number: u8, generation: u64) -> TokenHash {
    let mut bytes = [number; 32];
    bytes[..8].copy_from_slice(&generation.to_be_bytes());
    TokenHash::from_bytes(bytes)
}

fn rotation(number: u8, generation: u64) -> Rotation {
    let (token, child) = (hash(number, generation), hash(number, generation + 1));
    let mut rotation = Rotation::new(
        SessionId::from_bytes([number; 16]),
        generation,
        token,
        child,
        NOW,
    );
    rotation.keyed = true;
    rotation
}

/// Opens what is at `path`, and sees that the error changed nothing there.
async fn refused(path: &Path) -> SqliteOpenError {
    let before = std::fs::read(path).ok();
    let error = SqliteStore::open(path).await.unwrap_err();
    assert_eq!(std::fs::read(path).ok(), before);
    assert!(error.to_string().contains("sessions.db"), "{error}");
    error
}
