use futures_util::future::join_all;

use super::*;
use crate::store::Dead;
use crate::store::sqlite::writer::BATCH;

#[tokio::test]
async fn a_statement_that_fails_takes_the_whole_batch_back_and_the_next_goes_through() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..3 {
        store.insert(session(number), None).await.unwrap();
    }
    let trigger = "CREATE TRIGGER fails BEFORE UPDATE ON auth_session WHEN new.subject = 'alice' \
        AND new.id = zeroblob(16) BEGIN SELECT RAISE(ROLLBACK, 'as if the disk failed'); END";
    execute(&path, trigger);
    let asked = async {
        tokio::join!(
            store.rotate(rotation(1, 0)),
            store.rotate(rotation(0, 0)),
            store.rotate(rotation(2, 0)),
        )
    };
    let (good, bad, other) = in_one_batch(&store, asked).await;
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
    store.insert(session(1), None).await.unwrap();
    let mut competing = rotation(1, 0);
    competing.child = hash(9, 1);
    let asked = async {
        tokio::join!(
            store.rotate(rotation(1, 0)),
            store.rotate(rotation(1, 0)),
            store.rotate(rotation(1, 1)),
            store.rotate(competing),
            store.rotate(rotation(1, 2)),
        )
    };
    let (first, repeat, next, fork, after) = in_one_batch(&store, asked).await;
    let outcome = |it: Result<Rotated, StoreError>| match it.unwrap() {
        Rotated::Decided(outcome, session) => Ok((outcome, session.chain.generation)),
        Rotated::Dead(dead) => Err(dead),
    };
    assert_eq!(outcome(first), Ok((Outcome::Advanced, 1)));
    assert_eq!(outcome(repeat), Ok((Outcome::Replayed, 1)));
    assert_eq!(outcome(next), Ok((Outcome::Advanced, 2)));
    assert_eq!(outcome(fork), Ok((Outcome::Stale, 2)));
    assert_eq!(outcome(after), Err(Dead::Revoked));
    let stored = raw(&path).query_row(
        "SELECT generation, revoked_by FROM auth_session",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    );
    let expected = (2_i64, "reuse".to_owned());
    assert_eq!(stored, Ok(expected), "the last of it was written");
}

#[tokio::test]
async fn a_damaged_session_harms_nobody_else() {
    for (damage, beside_an_insert) in DAMAGES.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let (_folder, path) = path();
        let store = SqliteStore::open(&path).await.unwrap();
        for number in 0..3 {
            store.insert(session(number), None).await.unwrap();
        }
        execute(&path, damage);
        let insert = async {
            if beside_an_insert {
                store.insert(session(3), None).await.unwrap();
            }
        };
        let asked = async {
            tokio::join!(
                store.rotate(rotation(1, 0)),
                insert,
                store.rotate(rotation(0, 0)),
                store.rotate(rotation(2, 0)),
            )
        };
        let (good, (), bad, other) = in_one_batch(&store, asked).await;
        for answer in [good, other] {
            assert!(
                matches!(answer, Ok(Rotated::Decided(Outcome::Advanced, _))),
                "{damage}: {answer:?}"
            );
        }
        assert_eq!(bad.unwrap_err().kind(), StoreErrorKind::Damaged, "{damage}");
        let after = store.rotate(rotation(1, 1)).await.unwrap();
        assert!(
            matches!(after, Rotated::Decided(Outcome::Advanced, _)),
            "{damage}: what was answered was written"
        );
    }
}

/// Of the session 0: what cannot be parsed, read as text, read as a hash, and is of another type.
const DAMAGES: [&str; 4] = [
    "UPDATE auth_session SET claims = '[' WHERE id = zeroblob(16)",
    "UPDATE auth_session SET subject = CAST(x'ff' AS TEXT) WHERE id = zeroblob(16)",
    "PRAGMA ignore_check_constraints = ON; \
    UPDATE auth_session SET current_hash = x'00' WHERE id = zeroblob(16)",
    "PRAGMA writable_schema = ON; \
    UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'auth_session'; \
    PRAGMA writable_schema = RESET; \
    UPDATE auth_session SET subject = x'ff' WHERE id = zeroblob(16)",
];

/// R11: between two batches of a cleanup, whoever waits has a turn.
#[tokio::test]
async fn rotations_go_on_while_many_sessions_are_deleted() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..=255 {
        let mut expired = session(number);
        if number > 0 {
            expired.chain.absolute_expires_at = NOW;
        }
        store.insert(expired, None).await.unwrap();
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

#[tokio::test]
async fn above_what_may_wait_callers_are_turned_away_and_nobody_else_is() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    // More than a whole batch in the hand of the thread, and all that may wait.
    let asked = queue::LENGTH + BATCH + 1;
    let all = join_all((0..asked).map(|_| store.writer.write(|_| Ok(()))));
    let answers = in_one_batch(&store, all).await;
    let turned_away = |answer: &&Result<(), StoreError>| matches!(answer, Err(error) if error.kind() == StoreErrorKind::Overloaded);
    let turned_away = answers.iter().filter(turned_away).count();
    assert_ne!(turned_away, 0);
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(done, asked - turned_away);
}
