use rusqlite::params;

use super::*;
use crate::store::sqlite::{feed, rotation, statements};

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date_with_its_sessions() {
    let (_folder, path) = path();
    execute(
        &path,
        include_str!("../../../../migrations/sqlite/0001_auth_session.sql"),
    );
    let old = session(1);
    let first = raw(&path).execute(
        "INSERT INTO auth_session (id, subject, scopes, claims, auth_time, created_at, generation, \
        current_hash, rotated_at, idle_expires_at, absolute_expires_at) \
        VALUES (?, 'alice', '', '{}', ?3, ?3, 0, ?2, ?3, ?4, ?4)",
        params![
            old.id.as_bytes(),
            old.chain.current.as_bytes(),
            NOW.as_millis(),
            old.chain.idle_expires_at.as_millis()
        ],
    );
    assert_eq!(first, Ok(1));
    let store = SqliteStore::open(&path).await.unwrap();
    let mut bound = session(2);
    bound.jkt = Some(crate::claims::Thumbprint::from_bytes([2; 32]));
    store.insert(bound.clone(), None).await.unwrap();
    for it in [old, bound] {
        let listed = store.list(Selection::One(it.id), NOW).await;
        assert_eq!(listed.unwrap(), [it]);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, path) = path();
    drop(SqliteStore::open(&path).await.unwrap());
    closed(&path).await;
    execute(&path, "PRAGMA user_version = 99");
    let error = refused(&path).await;
    assert_eq!(error.kind(), SqliteOpenErrorKind::Newer);
    assert!(
        error.to_string().contains("newer version of auth-layer"),
        "{error}"
    );
}

/// R6: no indexed column changes in a rotation, and there is one row.
#[tokio::test]
async fn a_thousand_rotations_are_one_row() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1), None).await.unwrap();
    for generation in 0..1_000 {
        let rotated = store.rotate(rotation(1, generation)).await.unwrap();
        assert!(matches!(rotated, Rotated::Decided(Outcome::Advanced, _)));
    }
    let count = "SELECT count(*) FROM auth_session";
    assert_eq!(raw(&path).query_row(count, [], |row| row.get(0)), Ok(1));
}

/// Else the pages of those who signed in one after the other would all be split later.
#[tokio::test]
async fn a_first_rotation_needs_no_more_room() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..200 {
        store.insert(session(number), None).await.unwrap();
    }
    let pages = "PRAGMA page_count";
    let pages = || raw(&path).query_row(pages, [], |row| row.get::<_, i64>(0));
    let before = pages();
    for number in 0..200 {
        let rotated = store.rotate(rotation(number, 0)).await.unwrap();
        assert!(matches!(rotated, Rotated::Decided(Outcome::Advanced, _)));
    }
    assert_eq!(pages(), before);
}

/// R11: no statement looks at more rows than it is about, however many there are.
#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let (_folder, path) = path();
    let _store = SqliteStore::open(&path).await.unwrap();
    let raw = raw(&path);
    let others = [feed::REVOKED, rotation::FIND, rotation::ADVANCE];
    for statement in statements::ALL.into_iter().chain(others) {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let mut explain = raw.prepare(&explain).unwrap();
        let steps = explain.raw_query().mapped(|row| row.get("detail"));
        for step in steps.collect::<rusqlite::Result<Vec<String>>>().unwrap() {
            assert!(!step.contains("SCAN auth_session"), "{step}: {statement}");
        }
    }
}
