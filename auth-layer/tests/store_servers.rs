//! The laws, on the servers that `tests/run test` starts.
#![cfg(all(feature = "issue", feature = "test-util"))]
#![cfg(any(feature = "postgres", feature = "redis"))]

mod servers_kit;

use auth_layer::store::conformance;

/// R1 to R6.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn the_postgres_store_keeps_the_laws() {
    let url = servers_kit::postgres("laws").await;
    let store = auth_layer::store::PostgresStore::connect(&url)
        .await
        .unwrap();
    conformance::all(store).await;
}

/// R1 to R6.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn the_redis_store_keeps_the_laws() {
    let url = servers_kit::redis(1);
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let flushed = redis::cmd("FLUSHDB").query_async::<()>(&mut raw).await;
    flushed.unwrap();
    let store = auth_layer::store::RedisStore::connect(&url).await.unwrap();
    conformance::all(store).await;
}
