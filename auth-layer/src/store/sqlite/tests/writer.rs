use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use crate::store::sqlite::rotation as rotations;

#[tokio::test]
async fn a_full_disk_is_a_passing_failure_and_nothing_is_half_done() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    let cramp = |hand: &mut Hand<'_>| {
        let cramped = hand.on.pragma_update(None, "max_page_count", 120);
        cramped.map_err(failure::of)
    };
    store.writer.write(cramp).await.unwrap();
    let mut stored = 0;
    let error = loop {
        let mut big = session(stored);
        big.label = Some("x".repeat(3_000));
        match store.insert(big, None).await {
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

/// Long before the thread that writes would do it.
#[tokio::test]
async fn the_log_is_moved_into_the_file_beside_the_writing() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1), None).await.unwrap();
    let length = || path.metadata().unwrap().len();
    let before = length();
    let rotate = |generation| store.rotate(rotation(1, generation));
    futures_util::future::join_all((0..checkpoints::EVERY as u64).map(rotate)).await;
    let moved = async {
        while length() == before {
            tokio::task::yield_now().await;
        }
    };
    let moved = tokio::time::timeout(std::time::Duration::from_secs(10), moved);
    assert_eq!(moved.await, Ok(()), "{before} bytes");
}

#[tokio::test]
async fn a_caller_that_goes_away_loses_nothing() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1), None).await.unwrap();
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
fn it_outlives_the_runtime_that_it_was_opened_on() {
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
    runtime().block_on(store.insert(session(1), None)).unwrap();
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
    a.insert(session(1), None).await.unwrap();
    let (one, other) = tokio::join!(a.rotate(rotation(1, 0)), b.rotate(rotation(1, 0)));
    let outcomes = [one.unwrap(), other.unwrap()].map(|it| match it {
        Rotated::Decided(outcome, _) => outcome,
        Rotated::Dead(dead) => panic!("{dead}"),
    });
    assert!(outcomes.contains(&Outcome::Advanced) && outcomes.contains(&Outcome::Replayed));
}

/// Keeps the thread that writes in a transaction, as a disk does whose `fsync` stalls, until the answers are there.
async fn stalled<T>(store: &SqliteStore, asked: impl Future<Output = T>) -> T {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let stall = store.writer.write(move |_| {
        let _ = begun.send(());
        let _ = held.recv();
        Ok(())
    });
    let asked = async {
        begins.await.unwrap();
        let answers = asked.await;
        drop(release);
        answers
    };
    tokio::join!(stall, asked).1
}

/// R12 and R13: a plain client's repeat would be taken for reuse if the first were carried out after its refusal.
#[tokio::test]
async fn a_rotation_whose_caller_was_refused_is_not_carried_out() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    let plain = |number| Rotation {
        keyed: false,
        timeout: std::time::Duration::from_millis(50),
        ..rotation(number, 0)
    };
    for number in 0..4 {
        store.insert(session(number), None).await.unwrap();
    }
    let asked = futures_util::future::join_all((0..4).map(|number| store.rotate(plain(number))));
    for answer in stalled(&store, asked).await {
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    for number in 0..4 {
        let repeat = store.rotate(rotation(number, 0)).await.unwrap();
        assert!(
            matches!(repeat, Rotated::Decided(Outcome::Advanced, _)),
            "{repeat:?}"
        );
    }
}

/// R12: the transaction that has it may be committed, so there is nothing to say yet.
#[tokio::test]
async fn a_rotation_that_has_begun_is_waited_for_while_the_disk_stalls() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1), None).await.unwrap();
    let impatient = Rotation {
        timeout: std::time::Duration::from_millis(50),
        ..rotation(1, 0)
    };
    let (release, held) = std::sync::mpsc::channel::<()>();
    let rotated = store.writer.write_within(impatient.timeout, {
        let impatient = impatient.clone();
        move |hand| {
            let rotated = rotations::rotate(hand, &impatient);
            let _ = held.recv();
            rotated
        }
    });
    let stall = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        drop(release);
    };
    let (rotated, ()) = tokio::join!(rotated, stall);
    let rotated = rotations::read(rotated.unwrap()).unwrap();
    assert!(matches!(rotated, Rotated::Decided(Outcome::Advanced, _)));
}
