//! What is Redis's own; the laws of all stores are in `tests/it/store/laws.rs`.

mod late;
mod open;
mod recent;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, cmd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::clock::ManualClock;
use crate::refresh_token::{SessionId, TokenHash};
use crate::revocation::Revocations;
use crate::store::{Dead, Outcome, RevocationFeed, StoreErrorKind};

/// Later than any test runs, as the server's clock takes part.
const NOW: Timestamp = Timestamp::from_secs(4_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn url() -> String {
    in_database(0)
}

/// Other files use 1 to 4 and 7.
fn in_database(number: u8) -> String {
    let url = server();
    if number == 0 {
        url
    } else {
        format!("{url}/{number}")
    }
}

fn server() -> String {
    std::env::var("TEST_REDIS_URL").unwrap_or_else(|_| {
        panic!("TEST_REDIS_URL is not set: run `tests/run test`, or name a server")
    })
}

async fn raw(database: u8) -> MultiplexedConnection {
    let client = Client::open(in_database(database)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// A session of its own for each test: all share the server.
fn session(subject: &str) -> Session {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut id = [0; 16];
    id[..4].copy_from_slice(&std::process::id().to_be_bytes());
    id[4..8].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let id = SessionId::from_bytes(id);
    Session::new(id, format!("{subject} of {id}"), hash(0), NOW, (DAY, DAY))
}

fn hash(generation: u8) -> TokenHash {
    TokenHash::from_bytes([generation; 32])
}

fn plain(id: SessionId, generation: u8) -> Rotation {
    Rotation::new(
        id,
        generation.into(),
        hash(generation),
        hash(generation + 1),
        NOW,
    )
}

fn keyed(id: SessionId, generation: u8) -> Rotation {
    let mut rotation = plain(id, generation);
    rotation.keyed = true;
    rotation
}

fn competing(id: SessionId, key: u8) -> Rotation {
    let mut rotation = keyed(id, 0);
    rotation.child = hash(100 + key);
    rotation
}

#[track_caller]
fn assert_outcome(answer: Result<Rotated, StoreError>, expected: Outcome) {
    match answer {
        Ok(Rotated::Decided(outcome, _)) if outcome == expected => {}
        other => panic!("expected {expected:?}, but was {other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_session_and_its_index_expire_at_the_absolute_deadline() {
    let store = RedisStore::connect(&url()).await.unwrap();
    let mut raw = raw(0).await;
    let mut short = session("expires");
    let mut long = session("expires");
    long.subject = short.subject.clone();
    long.chain.absolute_expires_at = NOW.plus(DAY * 2);
    short.chain.absolute_expires_at = NOW.plus(DAY);
    for it in [&long, &short] {
        store.insert(it.clone(), None).await.unwrap();
    }
    assert_outcome(store.rotate(keyed(short.id, 0)).await, Outcome::Advanced);
    for (key, deadline) in [
        (format!("auth_session:{{{}}}", short.id), NOW.plus(DAY)),
        (format!("auth_session:{{{}}}", long.id), NOW.plus(DAY * 2)),
        (format!("auth_subject:{}", short.subject), NOW.plus(DAY * 2)),
    ] {
        let at: i64 = cmd("PEXPIRETIME")
            .arg(&key)
            .query_async(&mut raw)
            .await
            .unwrap();
        assert_eq!(at, deadline.as_millis(), "{key}");
    }
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_subjects_index_forgets_what_has_expired() {
    let store = RedisStore::connect(&url()).await.unwrap();
    let first = session("indexed");
    store.insert(first.clone(), None).await.unwrap();
    let mut later = session("indexed");
    later.subject = first.subject.clone();
    later.created_at = NOW.plus(DAY * 2);
    later.chain.absolute_expires_at = NOW.plus(DAY * 3);
    store.insert(later.clone(), None).await.unwrap();
    let mut raw = raw(0).await;
    let ids: Vec<String> = cmd("ZRANGE")
        .arg(format!("auth_subject:{}", first.subject))
        .arg(0)
        .arg(-1)
        .query_async(&mut raw)
        .await
        .unwrap();
    assert_eq!(ids, [later.id.to_string()]);
}

/// R1 and R4, across two servers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn two_stores_that_race_give_one_child_and_one_report() {
    let stores = [
        RedisStore::connect(&url()).await.unwrap(),
        RedisStore::connect(&url()).await.unwrap(),
    ];
    let it = session("races");
    stores[0].insert(it.clone(), None).await.unwrap();
    let mut tasks = JoinSet::new();
    for key in 0..100 {
        let (store, id) = (stores[usize::from(key % 2)].clone(), it.id);
        tasks.spawn(async move { store.rotate(competing(id, key)).await.unwrap() });
    }
    let answers = tasks.join_all().await;
    let count = |is: fn(&Rotated) -> bool| answers.iter().filter(|it| is(it)).count();
    let advanced = count(|it| matches!(it, Rotated::Decided(Outcome::Advanced, _)));
    let reported = count(|it| matches!(it, Rotated::Decided(Outcome::Forked, _)));
    let refused = count(|it| matches!(it, Rotated::Dead(Dead::Revoked)));
    assert_eq!((advanced, reported, refused), (1, 1, 98));
}

/// A server in between that forwards everything, and hangs up instead of some answers.
async fn swallowing() -> (String, Arc<AtomicU32>) {
    let server = server().strip_prefix("redis://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("redis://{}", listener.local_addr().unwrap());
    let swallow = Arc::new(AtomicU32::new(0));
    let armed = swallow.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            let armed = armed.clone();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                let mut bytes = [0; 16 * 1024];
                while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                    // Answers of scripts are arrays or, once loaded, begin with their hash; the
                    // greetings of a connection are neither.
                    if matches!(bytes[0], b'*' | b'$') && armed.load(Ordering::SeqCst) > 0 {
                        armed.fetch_sub(1, Ordering::SeqCst);
                        return;
                    }
                    if to_client.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (through, swallow)
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn an_answer_that_is_lost_never_becomes_a_second_rotation() {
    let (through, swallow) = swallowing().await;
    let store = RedisStore::connect(&through).await.unwrap();
    let it = session("loses answers");
    store.insert(it.clone(), None).await.unwrap();
    assert_outcome(store.rotate(plain(it.id, 0)).await, Outcome::Advanced);

    swallow.store(1, Ordering::SeqCst);
    let error = store.rotate(plain(it.id, 1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let alive = store.list(Selection::One(it.id), NOW).await.unwrap();
    assert_eq!(alive[0].chain.generation, 2, "it had happened, once");

    swallow.store(1, Ordering::SeqCst);
    assert_outcome(store.rotate(keyed(it.id, 2)).await, Outcome::Replayed);
    assert_eq!(swallow.load(Ordering::SeqCst), 0);
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn reuse_and_log_outs_are_told_although_their_first_answer_was_lost() {
    let (through, swallow) = swallowing().await;
    let store = RedisStore::connect(&through).await.unwrap();
    let (reused, ended) = (session("is reused"), session("logs out"));
    for it in [&reused, &ended] {
        store.insert(it.clone(), None).await.unwrap();
        assert_outcome(store.rotate(keyed(it.id, 0)).await, Outcome::Advanced);
    }
    swallow.store(1, Ordering::SeqCst);
    assert_outcome(store.rotate(competing(reused.id, 9)).await, Outcome::Forked);

    let revoke = |id| store.revoke(Selection::One(id), RevokedBy::Token, NOW);
    assert_eq!(revoke(reused.id).await.unwrap(), [], "over already");
    swallow.store(1, Ordering::SeqCst);
    assert_eq!(revoke(ended.id).await.unwrap().len(), 1);
    assert_eq!(swallow.load(Ordering::SeqCst), 0);
}
