//! What is PostgreSQL's own; the laws of all stores are in `tests/store_servers.rs`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, query, query_scalar, raw_sql};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Dead, Outcome, StoreErrorKind};

const NOW: Timestamp = Timestamp::from_secs(1_000);

/// An empty database of the server that `tests/run test` starts.
async fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!("TEST_POSTGRES_URL is not set: run `tests/run test`, or name a server")
    });
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("store_{}_{number}", std::process::id());
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    raw_sql(create).execute(&mut admin).await.unwrap();
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

async fn store() -> (PostgresStore, PgConnection) {
    let url = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    (store, PgConnection::connect(&url).await.unwrap())
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn session(number: u8) -> Session {
    let day = Duration::from_secs(24 * 3600);
    Session::new(id(number), "alice", hash(number, 0), NOW, (day, day))
}

fn hash(number: u8, generation: u64) -> TokenHash {
    let mut bytes = [number; 32];
    bytes[..8].copy_from_slice(&generation.to_be_bytes());
    TokenHash::from_bytes(bytes)
}

fn keyed(number: u8, generation: u64) -> Rotation {
    let mut rotation = plain(number, generation);
    rotation.keyed = true;
    rotation
}

fn plain(number: u8, generation: u64) -> Rotation {
    let (token, child) = (
        hash(number, generation),
        hash(number, generation.wrapping_add(1)),
    );
    Rotation::new(id(number), generation, token, child, NOW)
}

/// With a key of its own: another child.
fn competing(number: u8, key: u8) -> Rotation {
    let mut rotation = keyed(number, 0);
    rotation.child = TokenHash::from_bytes([key; 32]);
    rotation
}

async fn stored(store: &PostgresStore, number: u8) -> Option<Session> {
    let found = store.list(Selection::One(id(number)), NOW).await.unwrap();
    found.into_iter().next()
}

#[track_caller]
fn assert_outcome(answer: Result<Rotated, StoreError>, expected: Outcome) {
    match answer {
        Ok(Rotated::Decided(outcome, _)) if outcome == expected => {}
        other => panic!("expected {expected:?}, but was {other:?}"),
    }
}

/// Ends the connection that rotates a session of "doomed", `times` times.
async fn doom(on: &mut PgConnection, times: u32) {
    let trigger = format!(
        "CREATE SEQUENCE IF NOT EXISTS kills;
        CREATE OR REPLACE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('kills') <= {times} THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN new; END $$;
        CREATE TRIGGER kills BEFORE UPDATE ON auth_session FOR EACH ROW
            WHEN (old.subject = 'doomed') EXECUTE FUNCTION kill();"
    );
    raw_sql(sqlx::AssertSqlSafe(trigger))
        .execute(on)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connection_killed_in_the_middle_of_a_batch_is_a_passing_failure_and_the_next_call_works()
{
    let (store, mut raw) = store().await;
    let mut doomed = session(0);
    doomed.subject = "doomed".to_owned();
    store.insert(doomed).await.unwrap();
    for number in 1..4 {
        store.insert(session(number)).await.unwrap();
    }
    doom(&mut raw, 2).await;
    let answers = tokio::join!(
        store.rotate(keyed(1, 0)),
        store.rotate(keyed(0, 0)),
        store.rotate(plain(2, 0)),
        store.rotate(plain(3, 0)),
    );
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    for again in [keyed(1, 0), keyed(0, 0), plain(2, 0), plain(3, 0)] {
        assert_outcome(store.rotate(again).await, Outcome::Advanced);
    }
}

#[tokio::test]
async fn a_keyed_refresh_outlives_one_lost_connection() {
    let (store, mut raw) = store().await;
    let mut doomed = session(0);
    doomed.subject = "doomed".to_owned();
    store.insert(doomed).await.unwrap();
    doom(&mut raw, 1).await;
    assert_outcome(store.rotate(keyed(0, 0)).await, Outcome::Advanced);
}

/// A server in between that forwards everything until told to swallow an answer.
async fn swallowing(url: &str) -> (String, std::sync::Arc<AtomicU32>) {
    let server: PgConnectOptions = url.parse().unwrap();
    let to = (server.get_host().to_owned(), server.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let swallow = std::sync::Arc::new(AtomicU32::new(0));
    let armed = swallow.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&to).await.unwrap();
            let armed = armed.clone();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    let _ = to_server.shutdown().await;
                });
                let mut bytes = [0; 16 * 1024];
                while let Ok(length @ 1..) =
                    tokio::io::AsyncReadExt::read(&mut from_server, &mut bytes).await
                {
                    // `T`, `D` and `2` begin what comes after a statement was run, `Z` is its end.
                    let is_answer = bytes[..length].starts_with(b"2") && bytes[length - 6] == b'Z';
                    if is_answer && armed.load(Ordering::SeqCst) > 0 {
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
    let path = url.rsplit_once('/').unwrap().1;
    let through = format!(
        "postgres://{}@127.0.0.1:{port}/{path}",
        server.get_username()
    );
    (through, swallow)
}

#[tokio::test]
async fn an_answer_that_is_lost_never_becomes_a_second_rotation() {
    let (through, swallow) = swallowing(&database().await).await;
    let store = PostgresStore::connect(&through).await.unwrap();
    for number in 0..2 {
        store.insert(session(number)).await.unwrap();
    }
    // The first use of a statement has an answer of its own to its preparation.
    assert_outcome(store.rotate(plain(0, 0)).await, Outcome::Advanced);

    swallow.store(1, Ordering::SeqCst);
    let error = store.rotate(plain(0, 1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let session = stored(&store, 0).await.expect("not revoked");
    assert_eq!(session.chain.generation, 2, "it had happened");

    assert_outcome(store.rotate(keyed(1, 0)).await, Outcome::Advanced);
    swallow.store(1, Ordering::SeqCst);
    assert_outcome(store.rotate(keyed(1, 1)).await, Outcome::Replayed);
    assert_eq!(swallow.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn reuse_and_log_outs_are_told_although_their_first_answer_was_lost() {
    let (through, swallow) = swallowing(&database().await).await;
    let store = PostgresStore::connect(&through).await.unwrap();
    for number in 0..2 {
        store.insert(session(number)).await.unwrap();
    }
    store.rotate(keyed(0, 0)).await.unwrap();
    swallow.store(1, Ordering::SeqCst);
    assert_outcome(store.rotate(competing(0, 9)).await, Outcome::Forked);

    let revoke = |number| store.revoke(Selection::One(id(number)), RevokedBy::Token, NOW);
    assert_eq!(revoke(0).await.unwrap(), [], "over already");
    swallow.store(1, Ordering::SeqCst);
    assert_eq!(revoke(1).await.unwrap().len(), 1);
    assert_eq!(swallow.load(Ordering::SeqCst), 0);
}

/// R1 and R4, across two servers.
#[tokio::test(flavor = "multi_thread")]
async fn two_stores_that_race_give_one_child_and_one_report() {
    let url = database().await;
    let stores = [
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::connect(&url).await.unwrap(),
    ];
    stores[0].insert(session(0)).await.unwrap();
    let mut tasks = JoinSet::new();
    for key in 0..100 {
        let store = stores[usize::from(key % 2)].clone();
        tasks.spawn(async move { store.rotate(competing(0, key)).await.unwrap() });
    }
    let answers = tasks.join_all().await;
    let count = |is: fn(&Rotated) -> bool| answers.iter().filter(|it| is(it)).count();
    let advanced = count(|it| matches!(it, Rotated::Decided(Outcome::Advanced, _)));
    let reported = count(|it| matches!(it, Rotated::Decided(Outcome::Forked, _)));
    let refused = count(|it| matches!(it, Rotated::Dead(Dead::Revoked)));
    assert_eq!((advanced, reported, refused), (1, 1, 98));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_that_start_at_once_take_turns_with_the_schema() {
    let url = database().await;
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        tasks.spawn(async move { PostgresStore::connect(&url).await.map(drop) });
    }
    for opened in tasks.join_all().await {
        opened.unwrap();
    }
}

/// R6: rotations touch no index.
#[tokio::test]
async fn a_thousand_rotations_are_one_row_and_no_index_entry() {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(&database().await)
        .await
        .unwrap();
    let store = PostgresStore::from_pool(pool.clone()).await.unwrap();
    store.insert(session(0)).await.unwrap();
    for generation in 0..1_000 {
        let mut rotation = keyed(0, generation);
        rotation.now = NOW.plus(Duration::from_secs(generation));
        assert_outcome(store.rotate(rotation).await, Outcome::Advanced);
    }
    raw_sql("SELECT pg_stat_force_next_flush()")
        .execute(&pool)
        .await
        .unwrap();
    let (rows, updates, hot): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM auth_session), n_tup_upd, n_tup_hot_upd \
        FROM pg_stat_user_tables WHERE relname = 'auth_session'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((rows, updates), (1, 1_000));
    // A page that is full before it can be pruned costs one that is not.
    assert!(hot >= 950, "{hot} of {updates} were heap-only");
}

/// What one caller brings cannot fail the others.
#[tokio::test]
async fn a_value_that_postgres_cannot_hold_harms_nobody_else() {
    let (store, _) = store().await;
    for number in 0..3 {
        store.insert(session(number)).await.unwrap();
    }
    let mut bad = keyed(1, 0);
    bad.user_agent = Some("a\0b".to_owned());
    let (first, bad, last) = tokio::join!(
        store.rotate(keyed(0, 0)),
        store.rotate(bad),
        store.rotate(keyed(2, 0)),
    );
    assert_outcome(first, Outcome::Advanced);
    assert_outcome(last, Outcome::Advanced);
    assert_eq!(bad.unwrap_err().kind(), StoreErrorKind::Rejected);
}

#[tokio::test]
async fn a_row_that_somebody_keeps_locked_holds_up_its_own_session_only() {
    let (store, mut raw) = store().await;
    for number in 0..3 {
        store.insert(session(number)).await.unwrap();
    }
    let mut other = raw.begin().await.unwrap();
    raw_sql("SELECT FROM auth_session WHERE id = decode(repeat('01', 16), 'hex') FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let (first, locked, last) = tokio::join!(
        store.rotate(keyed(0, 0)),
        store.rotate(plain(1, 0)),
        store.rotate(plain(2, 0)),
    );
    assert_outcome(first, Outcome::Advanced);
    assert_outcome(last, Outcome::Advanced);
    assert_eq!(locked.unwrap_err().kind(), StoreErrorKind::Unavailable);
    drop(other);
    raw.close().await.unwrap();
    assert_outcome(store.rotate(plain(1, 0)).await, Outcome::Advanced);
}

#[tokio::test]
async fn another_programs_table_and_a_newer_schema_are_refused() {
    let url = database().await;
    let mut raw = PgConnection::connect(&url).await.unwrap();
    raw_sql("CREATE TABLE auth_session (name TEXT)")
        .execute(&mut raw)
        .await
        .unwrap();
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), PostgresOpenErrorKind::NotAStore);

    let (_, mut raw) = {
        raw_sql("DROP TABLE auth_session")
            .execute(&mut raw)
            .await
            .unwrap();
        (PostgresStore::connect(&url).await.unwrap(), raw)
    };
    raw_sql("INSERT INTO auth_session_schema (version) VALUES (99)")
        .execute(&mut raw)
        .await
        .unwrap();
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), PostgresOpenErrorKind::Newer);
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_its_sessions() {
    let url = database().await;
    let mut first = PgConnection::connect(&url).await.unwrap();
    raw_sql(include_str!(
        "../../../migrations/postgres/0001_auth_session.sql"
    ))
    .execute(&mut first)
    .await
    .unwrap();
    raw_sql("INSERT INTO auth_session_schema (version) VALUES (1)")
        .execute(&mut first)
        .await
        .unwrap();
    let old = session(1);
    query(
        "INSERT INTO auth_session (id, subject, scopes, claims, auth_time, created_at, generation, \
        current_hash, rotated_at, idle_expires_at, absolute_expires_at) \
        VALUES ($1, $5, '', '{}', $3, $3, 0, $2, $3, $4, $4)",
    )
    .bind(*old.id.as_bytes())
    .bind(*old.chain.current.as_bytes())
    .bind(old.created_at.as_millis())
    .bind(old.chain.idle_expires_at.as_millis())
    .bind(&old.subject)
    .execute(&mut first)
    .await
    .unwrap();
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut bound = session(2);
    bound.jkt = Some(crate::claims::Thumbprint::from_bytes([2; 32]));
    store.insert(bound.clone()).await.unwrap();
    let now = old.created_at;
    for it in [old, bound] {
        let listed = store.list(Selection::One(it.id), now).await;
        assert_eq!(listed.unwrap(), [it]);
    }
}

#[tokio::test]
async fn a_pool_of_another_isolation_is_refused() {
    let options: PgConnectOptions = database().await.parse().unwrap();
    let strict = options.options([("default_transaction_isolation", "repeatable read")]);
    let pool = PgPoolOptions::new().connect_with(strict).await.unwrap();
    let error = PostgresStore::from_pool(pool).await.unwrap_err();
    assert_eq!(error.kind(), PostgresOpenErrorKind::Isolation);
}

#[tokio::test]
async fn an_open_error_does_not_print_the_password() {
    for url in [
        "postgres://auth:hunter2@[",
        "postgres://auth:hunter2@host/db?sslmode=nonsense",
        "auth:hunter2@host",
    ] {
        let error = PostgresStore::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), PostgresOpenErrorKind::InvalidUrl);
        let mut text = format!("{error} {error:?}");
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(it) = cause {
            text += &it.to_string();
            cause = it.source();
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn generations_and_deadlines_at_the_end_of_time_are_no_error() {
    let (store, mut raw) = store().await;
    store.insert(session(0)).await.unwrap();
    let mut rotation = keyed(0, u64::MAX);
    rotation.idle = Duration::MAX;
    rotation.repeat_leeway = Duration::MAX;
    assert_outcome(store.rotate(rotation).await, Outcome::Future);
    let outcome: i16 = query_scalar("SELECT last_outcome FROM auth_session")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(outcome, 6);
}

/// Commits that notify wait for each other: rotations must not.
#[tokio::test]
async fn only_what_is_revoked_is_notified() {
    let url = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut listener = PgListener::connect(&url).await.unwrap();
    listener.listen("auth_session_revoked").await.unwrap();
    for number in 0..3 {
        store.insert(session(number)).await.unwrap();
    }
    for number in 0..2 {
        assert_outcome(store.rotate(keyed(number, 0)).await, Outcome::Advanced);
        assert_outcome(store.rotate(keyed(number, 0)).await, Outcome::Replayed);
    }
    assert_outcome(store.rotate(competing(1, 9)).await, Outcome::Forked);
    let others = Selection::Others {
        subject: "alice".to_owned(),
        keep: id(0),
    };
    store.revoke(others, RevokedBy::Token, NOW).await.unwrap();
    for told in [id(1), id(2)] {
        let news = listener.recv().await.unwrap();
        assert_eq!(news.payload().parse(), Ok(told));
    }
    assert!(listener.next_buffered().is_none());
}
