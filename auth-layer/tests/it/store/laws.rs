//! The laws that every session store keeps.

use auth_layer::store::{MemoryStore, conformance};

/// R1 to R6: one live leaf, one child for each parent, generations never fall, revoked is absorbing,
/// reuse is told once, one row a session.
#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_keeps_the_laws() {
    conformance::all(MemoryStore::new()).await;
}

/// R1 to R6, as above.
#[tokio::test(flavor = "multi_thread")]
async fn the_sqlite_store_keeps_the_laws() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let store = auth_layer::store::SqliteStore::open(path).await.unwrap();
    conformance::all(store).await;
}

/// R1 to R6.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn the_postgres_store_keeps_the_laws() {
    let url = crate::support::servers::postgres("laws").await;
    let store = auth_layer::store::PostgresStore::connect(&url)
        .await
        .unwrap();
    conformance::all(store).await;
}

/// R1 to R6.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn the_redis_store_keeps_the_laws() {
    let url = crate::support::servers::redis(1);
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let flushed = redis::cmd("FLUSHDB").query_async::<()>(&mut raw).await;
    flushed.unwrap();
    let store = auth_layer::store::RedisStore::connect(&url).await.unwrap();
    conformance::all(store).await;
}
