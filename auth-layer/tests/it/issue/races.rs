//! Law E2: a hundred refreshes at once, through the endpoints, on each store.

use auth_layer::endpoint::Limits;
use auth_layer::store::{MemoryStore, SessionStore};
use tokio::task::JoinSet;

use crate::support::issue::*;

async fn crowd(server: &Server, token: &str, keys: impl Iterator<Item = String>) -> Vec<Answer> {
    let mut answers = JoinSet::new();
    for key in keys {
        let (server, token) = (server.clone(), token.to_owned());
        answers.spawn(async move { server.refresh(&token, Some(&key)).await });
    }
    answers.join_all().await
}

async fn one_key_one_child(store: impl SessionStore) {
    let server = Server::new(store);
    let token = signed_in(&server).await;
    let answers = crowd(&server, &token, (0..100).map(|_| key(1))).await;
    let child = answers[0].refresh_token();
    assert!(answers.iter().all(|it| it.refresh_token() == child));
    assert_eq!(server.events.reuses(), 0);
    server.refresh(&child, Some(&key(2))).await.refresh_token();
}

async fn many_keys_one_reuse(store: impl SessionStore) {
    let mut server = Server::new(store);
    server.endpoints = server.endpoints.limits(Limits::none());
    let token = signed_in(&server).await;
    let answers = crowd(&server, &token, (0..100).map(key)).await;
    let advanced: Vec<_> = answers.iter().filter(|it| it.status == 200).collect();
    assert_eq!(advanced.len(), 1);
    assert!(
        answers
            .iter()
            .all(|it| it.status == 200 || it.error() == (401, "invalid_grant"))
    );
    assert_eq!(server.events.reuses(), 1);
    let child = advanced[0].refresh_token();
    assert_eq!(
        server.refresh(&child, Some(&key(200))).await.error(),
        (401, "invalid_grant")
    );
    assert_eq!(server.events.reuses(), 1);
}

/// E2, first half.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_with_one_key_get_one_child_from_memory() {
    one_key_one_child(MemoryStore::new()).await;
}

/// E2, second half.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_with_their_own_keys_are_one_reuse_in_memory() {
    many_keys_one_reuse(MemoryStore::new()).await;
}
async fn sqlite() -> (tempfile::TempDir, auth_layer::store::SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    (
        folder,
        auth_layer::store::SqliteStore::open(path).await.unwrap(),
    )
}

/// E2, first half.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_with_one_key_get_one_child_from_sqlite() {
    let (_folder, store) = sqlite().await;
    one_key_one_child(store).await;
}

/// E2, second half.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_with_their_own_keys_are_one_reuse_in_sqlite() {
    let (_folder, store) = sqlite().await;
    many_keys_one_reuse(store).await;
}
async fn postgres(database: &str) -> auth_layer::store::PostgresStore {
    let url = crate::support::servers::postgres(database).await;
    auth_layer::store::PostgresStore::connect(&url)
        .await
        .unwrap()
}

/// E2, first half.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_hundred_refreshes_with_one_key_get_one_child_from_postgres() {
    one_key_one_child(postgres("races_one_key").await).await;
}

/// E2, second half.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_hundred_refreshes_with_their_own_keys_are_one_reuse_in_postgres() {
    many_keys_one_reuse(postgres("races_many_keys").await).await;
}
async fn redis() -> auth_layer::store::RedisStore {
    let url = crate::support::servers::redis(7);
    auth_layer::store::RedisStore::connect(&url).await.unwrap()
}

/// E2, first half.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn a_hundred_refreshes_with_one_key_get_one_child_from_redis() {
    one_key_one_child(redis().await).await;
}

/// E2, second half.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn a_hundred_refreshes_with_their_own_keys_are_one_reuse_in_redis() {
    many_keys_one_reuse(redis().await).await;
}
