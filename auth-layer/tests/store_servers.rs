//! The laws, on the servers that `tests/run test` starts.
#![cfg(all(feature = "issue", feature = "test-util"))]
#![cfg(any(feature = "postgres", feature = "redis"))]

use auth_layer::store::conformance;

/// R1 to R6.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn the_postgres_store_keeps_the_laws() {
    use sqlx::{Connection as _, PgConnection, query};

    let url = server("TEST_POSTGRES_URL");
    let mut admin = PgConnection::connect(&url).await.unwrap();
    for statement in [
        "DROP DATABASE IF EXISTS laws WITH (FORCE)",
        "CREATE DATABASE laws",
    ] {
        query(statement).execute(&mut admin).await.unwrap();
    }
    let laws = format!("{}/laws", url.rsplit_once('/').unwrap().0);
    let store = auth_layer::store::PostgresStore::connect(&laws)
        .await
        .unwrap();
    conformance::all(store).await;
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `tests/run test`, which starts the servers, or name one")
    })
}

/// R1 to R6.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn the_redis_store_keeps_the_laws() {
    // Another number than 0, which unit tests use at the same time.
    let url = format!("{}/1", server("TEST_REDIS_URL"));
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let flushed = redis::cmd("FLUSHDB").query_async::<()>(&mut raw).await;
    flushed.unwrap();
    let store = auth_layer::store::RedisStore::connect(&url).await.unwrap();
    conformance::all(store).await;
}
