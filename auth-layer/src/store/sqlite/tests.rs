//! What is SQLite's own; the laws of all stores are in `tests/store.rs`.

use std::future::Future as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Waker};

use sqlx::{Connection as _, Row as _, SqliteConnection, query, query_scalar, raw_sql};
use tempfile::TempDir;

use super::*;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Dead, Outcome, StoreErrorKind};

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    (folder, path)
}

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
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

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1)).await.unwrap();
    store.rotate(rotation(1, 0)).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    let listed = store
        .list(Selection::Subject("alice".to_owned()), NOW)
        .await
        .unwrap();
    assert_eq!((listed.len(), listed[0].chain.generation), (1, 1));
}

#[tokio::test]
async fn it_is_durable_and_strict_and_nobody_elses_to_read() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1)).await.unwrap();
    let mut raw = raw(&path).await;
    let mode: String = query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    let table = query("PRAGMA table_list(auth_session)")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(table.get::<i64, _>("strict"), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["sessions.db", "sessions.db-wal"] {
            let file = path.with_file_name(name);
            assert_eq!(
                file.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let (_folder, path) = path();
    std::fs::write(&path, "my diary, not a database at all".repeat(100)).unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), SqliteOpenErrorKind::NotAStore);
    assert!(
        error
            .to_string()
            .ends_with("give another path, or move that file away"),
        "{error}"
    );
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    let (_folder, path) = path();
    let mut other = raw(&path).await;
    raw_sql("CREATE TABLE recipe (name TEXT)")
        .execute(&mut other)
        .await
        .unwrap();
    other.close().await.unwrap();
    assert_eq!(refused(&path).await.kind(), SqliteOpenErrorKind::NotAStore);
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date_with_its_sessions() {
    let (_folder, path) = path();
    let mut first = raw(&path).await;
    raw_sql(include_str!(
        "../../../migrations/sqlite/0001_auth_session.sql"
    ))
    .execute(&mut first)
    .await
    .unwrap();
    let old = session(1);
    query(
        "INSERT INTO auth_session (id, subject, scopes, claims, auth_time, created_at, generation, \
        current_hash, rotated_at, idle_expires_at, absolute_expires_at) \
        VALUES (?, 'alice', '', '{}', ?3, ?3, 0, ?2, ?3, ?4, ?4)",
    )
    .bind(&old.id.as_bytes()[..])
    .bind(&old.chain.current.as_bytes()[..])
    .bind(NOW.as_millis())
    .bind(old.chain.idle_expires_at.as_millis())
    .execute(&mut first)
    .await
    .unwrap();
    first.close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let mut bound = session(2);
    bound.jkt = Some(crate::claims::Thumbprint::from_bytes([2; 32]));
    store.insert(bound.clone()).await.unwrap();
    for it in [old, bound] {
        let listed = store.list(Selection::One(it.id), NOW).await;
        assert_eq!(listed.unwrap(), [it]);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, path) = path();
    drop(SqliteStore::open(&path).await.unwrap());
    let mut newer = raw(&path).await;
    raw_sql("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut newer)
        .await
        .unwrap();
    newer.close().await.unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), SqliteOpenErrorKind::Newer);
    assert!(
        error.to_string().contains("newer version of auth-layer"),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..200 {
        store.insert(session(number)).await.unwrap();
    }
    let mut checkpoint = raw(&path).await;
    raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut checkpoint)
        .await
        .unwrap();
    checkpoint.close().await.unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    const PAGE: usize = 4096;
    for at in [PAGE, 2 * PAGE, whole.len() - PAGE] {
        let mut bytes = whole.clone();
        bytes[at..at + PAGE].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&path).await;
        assert_eq!(error.kind(), SqliteOpenErrorKind::Damaged, "{at}");
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(
        refused(&path).await.kind(),
        SqliteOpenErrorKind::Damaged,
        "cut off"
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("sessions.db");
    let error = refused(&path).await;
    assert_eq!(error.kind(), SqliteOpenErrorKind::Inaccessible);
    assert!(!path.parent().unwrap().exists());
    let folder_itself = folder.path().join("sessions.db");
    std::fs::create_dir(&folder_itself).unwrap();
    assert_eq!(
        refused(&folder_itself).await.kind(),
        SqliteOpenErrorKind::NotAStore
    );
}

#[tokio::test]
async fn a_full_disk_is_a_passing_failure_and_nothing_is_half_done() {
    let (_folder, path) = path();
    let roomy = SqliteConnectOptions::new().filename(&path);
    let store = SqliteStore::connect(roomy.clone().pragma("max_page_count", "40"))
        .await
        .unwrap();
    let mut stored = 0;
    let error = loop {
        let mut big = session(stored);
        big.label = Some("x".repeat(3_000));
        match store.insert(big).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let listed = store
        .list(Selection::Subject("alice".to_owned()), NOW)
        .await
        .unwrap();
    assert_eq!(listed.len(), usize::from(stored));
    let small = store.rotate(rotation(0, 0)).await.unwrap();
    assert!(
        matches!(small, Rotated::Decided(Outcome::Advanced, _)),
        "it works on: {small:?}"
    );
}

#[tokio::test]
async fn a_statement_that_fails_takes_the_whole_batch_back_and_the_next_goes_through() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..3 {
        store.insert(session(number)).await.unwrap();
    }
    let mut raw = raw(&path).await;
    let trigger = "CREATE TRIGGER fails BEFORE UPDATE ON auth_session WHEN new.subject = 'alice' \
        AND new.id = zeroblob(16) BEGIN SELECT RAISE(ROLLBACK, 'as if the disk failed'); END";
    raw_sql(trigger).execute(&mut raw).await.unwrap();
    let (good, bad, other) = tokio::join!(
        store.rotate(rotation(1, 0)),
        store.rotate(rotation(0, 0)),
        store.rotate(rotation(2, 0)),
    );
    for answer in [good, bad, other] {
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    for number in [1, 2] {
        let again = store.rotate(rotation(number, 0)).await.unwrap();
        assert!(
            matches!(again, Rotated::Decided(Outcome::Advanced, _)),
            "{again:?}"
        );
    }
}

#[tokio::test]
async fn rotations_of_one_session_in_one_batch_are_decided_one_after_the_other() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1)).await.unwrap();
    let mut competing = rotation(1, 0);
    competing.child = hash(9, 1);
    let (first, repeat, next, fork, after) = tokio::join!(
        store.rotate(rotation(1, 0)),
        store.rotate(rotation(1, 0)),
        store.rotate(rotation(1, 1)),
        store.rotate(competing),
        store.rotate(rotation(1, 2)),
    );
    let outcome = |it: Result<Rotated, StoreError>| match it.unwrap() {
        Rotated::Decided(outcome, session) => Ok((outcome, session.chain.generation)),
        Rotated::Dead(dead) => Err(dead),
    };
    assert_eq!(outcome(first), Ok((Outcome::Advanced, 1)));
    assert_eq!(outcome(repeat), Ok((Outcome::Replayed, 1)));
    assert_eq!(outcome(next), Ok((Outcome::Advanced, 2)));
    assert_eq!(outcome(fork), Ok((Outcome::Stale, 2)));
    assert_eq!(outcome(after), Err(Dead::Revoked));
    let stored = query("SELECT generation, revoked_by FROM auth_session")
        .fetch_one(&mut raw(&path).await)
        .await
        .unwrap();
    assert_eq!(
        (stored.get(0), stored.get(1)),
        (2_i64, "reuse".to_owned()),
        "the last of it was written"
    );
}

#[tokio::test]
async fn a_damaged_session_harms_nobody_else() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..3 {
        store.insert(session(number)).await.unwrap();
    }
    raw_sql("UPDATE auth_session SET claims = '[' WHERE id = zeroblob(16)")
        .execute(&mut raw(&path).await)
        .await
        .unwrap();
    let (good, bad, other) = tokio::join!(
        store.rotate(rotation(1, 0)),
        store.rotate(rotation(0, 0)),
        store.rotate(rotation(2, 0)),
    );
    for answer in [good, other] {
        assert!(matches!(
            answer.unwrap(),
            Rotated::Decided(Outcome::Advanced, _)
        ));
    }
    assert_eq!(bad.unwrap_err().kind(), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn a_caller_that_goes_away_loses_nothing() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1)).await.unwrap();
    {
        let mut dropped = pin!(store.rotate(rotation(1, 0)));
        assert!(
            dropped
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    let repeat = store.rotate(rotation(1, 0)).await.unwrap();
    assert!(
        matches!(repeat, Rotated::Decided(Outcome::Replayed, _)),
        "{repeat:?}"
    );
}

#[test]
fn without_the_runtime_that_writes_callers_get_a_passing_failure() {
    let (_folder, path) = path();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let store = first.block_on(SqliteStore::open(&path)).unwrap();
    drop(first);
    let error = runtime().block_on(store.insert(session(1))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn two_stores_on_one_file_take_turns() {
    let (_folder, path) = path();
    let (a, b) = tokio::join!(SqliteStore::open(&path), SqliteStore::open(&path));
    let (a, b) = match (a, b) {
        (Ok(a), Ok(b)) => (a, b),
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => (one, SqliteStore::open(&path).await.unwrap()),
        (Err(error), Err(_)) => panic!("{error}"),
    };
    a.insert(session(1)).await.unwrap();
    let (one, other) = tokio::join!(a.rotate(rotation(1, 0)), b.rotate(rotation(1, 0)));
    let outcomes = [one.unwrap(), other.unwrap()].map(|it| match it {
        Rotated::Decided(outcome, _) => outcome,
        Rotated::Dead(dead) => panic!("{dead}"),
    });
    assert!(outcomes.contains(&Outcome::Advanced) && outcomes.contains(&Outcome::Replayed));
}

/// R6: no indexed column changes in a rotation, and there is one row.
#[tokio::test]
async fn a_thousand_rotations_are_one_row() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1)).await.unwrap();
    for generation in 0..1_000 {
        let rotated = store.rotate(rotation(1, generation)).await.unwrap();
        assert!(matches!(rotated, Rotated::Decided(Outcome::Advanced, _)));
    }
    let mut raw = raw(&path).await;
    let rows: i64 = query_scalar("SELECT count(*) FROM auth_session")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(rows, 1);
}

/// R11: no statement looks at more rows than it is about, however many there are.
#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let (_folder, path) = path();
    let _store = SqliteStore::open(&path).await.unwrap();
    let mut raw = raw(&path).await;
    let rotating = rotations::statements();
    let statements = statements::ALL.into_iter().chain([feed::REVOKED]);
    for statement in statements.chain(rotating.iter().map(String::as_str)) {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan = query(explain).fetch_all(&mut raw).await.unwrap();
        for step in plan {
            let step: String = step.get("detail");
            assert!(!step.contains("SCAN auth_session"), "{step}: {statement}");
        }
    }
}

/// R11: between two batches of a cleanup, whoever waits has a turn.
#[tokio::test(flavor = "multi_thread")]
async fn rotations_go_on_while_many_sessions_are_deleted() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..=255 {
        let mut expired = session(number);
        if number > 0 {
            expired.chain.absolute_expires_at = NOW;
        }
        store.insert(expired).await.unwrap();
    }
    let cleaning = store.clone();
    let after = NOW.plus(std::time::Duration::from_millis(1));
    let cleanup = tokio::spawn(async move {
        let mut batches = 0;
        while cleaning.delete_expired(after, 5).await.unwrap() > 0 {
            batches += 1;
        }
        batches
    });
    let mut rotations = 0;
    while !cleanup.is_finished() {
        let rotated = store.rotate(rotation(0, rotations)).await.unwrap();
        assert!(matches!(rotated, Rotated::Decided(Outcome::Advanced, _)));
        rotations += 1;
    }
    let batches: u64 = cleanup.await.unwrap();
    assert_eq!(batches, 51);
    assert!(
        rotations >= batches / 2,
        "{rotations} during {batches} batches"
    );
}
