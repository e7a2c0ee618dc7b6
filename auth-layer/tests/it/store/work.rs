//! Law R11: how much there is to do does not depend on how many sessions there are. Counted in pages,
//! as no clock is to be trusted here; the benchmark is in `tests/peers`.

use std::time::Duration;

use auth_layer::refresh_token::{SessionId, TokenHash};
use auth_layer::store::{
    Outcome, PostgresStore, RevocationFeed, Rotated, Rotation, SessionStore as _,
};
use auth_layer::{Revocations, Timestamp};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, query_scalar, raw_sql};

use crate::support::servers;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// A store over one connection, with sessions that expire one a millisecond. The first to expire come
/// last in the table, where nobody finds them who reads it from the beginning.
async fn filled(name: &str, sessions: u32) -> (PostgresStore, PgPool) {
    let url = servers::postgres(name).await;
    let pool = PgPoolOptions::new().max_connections(1);
    let settle = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
    let pool = pool.after_connect(move |on, _| {
        Box::pin(async move { raw_sql(settle).execute(on).await.map(drop) })
    });
    let pool = pool.connect(&url).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone()).await.unwrap();
    let fill = format!(
        "INSERT INTO auth_session (id, subject, scopes, claims, auth_time, created_at, generation,
            current_hash, rotated_at, idle_expires_at, absolute_expires_at)
        SELECT substring(sha256(int4send(n)) FROM 1 FOR 16), 'subject ' || n, '', '{{}}', 0, 0, 0,
            sha256(int4send(n)), 0, {0} + n, {0} + n
        FROM generate_series({sessions}, 1, -1) AS n",
        NOW.as_millis()
    );
    raw_sql(AssertSqlSafe(fill)).execute(&pool).await.unwrap();
    // What PostgreSQL does by itself in the background would be counted, too.
    raw_sql("ALTER TABLE auth_session SET (autovacuum_enabled = false)")
        .execute(&pool)
        .await
        .unwrap();
    raw_sql("VACUUM ANALYZE auth_session")
        .execute(&pool)
        .await
        .unwrap();
    (store, pool)
}

/// Pages of the table and its indexes that were looked at so far.
async fn pages(pool: &PgPool) -> i64 {
    raw_sql("SELECT pg_stat_force_next_flush()")
        .execute(pool)
        .await
        .unwrap();
    query_scalar(
        "SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit \
        FROM pg_statio_user_tables WHERE relname = 'auth_session'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// Pages that 500 rotations look at, each.
async fn pages_of_a_rotation(store: &PostgresStore, pool: &PgPool) -> f64 {
    let ids: Vec<Vec<u8>> = query_scalar("SELECT id FROM auth_session ORDER BY id LIMIT 500")
        .fetch_all(pool)
        .await
        .unwrap();
    let hashes: Vec<Vec<u8>> =
        query_scalar("SELECT current_hash FROM auth_session ORDER BY id LIMIT 500")
            .fetch_all(pool)
            .await
            .unwrap();
    let before = pages(pool).await;
    for (id, hash) in ids.into_iter().zip(hashes) {
        let id = SessionId::from_bytes(id.try_into().unwrap());
        let (current, child) = (hash.try_into().unwrap(), [7; 32]);
        let [current, child] = [current, child].map(TokenHash::from_bytes);
        let rotation = Rotation::new(id, 0, current, child, Timestamp::from_secs(0));
        let rotated = store.rotate(rotation).await.unwrap();
        assert!(matches!(rotated, Rotated::Decided(Outcome::Advanced, _)));
    }
    (pages(pool).await - before) as f64 / 500.0
}

/// R11: one more level of an index, at most.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_rotation_among_fifty_thousand_sessions_costs_what_it_costs_among_a_thousand() {
    let (few, pool_of_few) = filled("work_few", 1_000).await;
    let (many, pool_of_many) = filled("work_many", 50_000).await;
    let few = pages_of_a_rotation(&few, &pool_of_few).await;
    let many = pages_of_a_rotation(&many, &pool_of_many).await;
    println!("pages a rotation: {few} among 1,000, {many} among 50,000");
    assert!(few > 1.0 && many < few + 2.0, "{few} and {many}");
}

/// R11: what cleanup and the feed read is what they need, not the table.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn cleanup_and_the_feed_look_at_what_they_take() {
    let (store, pool) = filled("work_cleanup", 50_000).await;
    let all: i64 = query_scalar("SELECT pg_relation_size('auth_session') / 8192")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(all > 1_000);
    let before = pages(&pool).await;
    let expired = NOW.plus(Duration::from_secs(20));
    for _ in 0..5 {
        assert_eq!(store.delete_expired(expired, 20).await.unwrap(), 20);
    }
    let each = (pages(&pool).await - before) / 100;
    assert!(each < 20, "{each} pages for each that was deleted");

    let revoke = "UPDATE auth_session SET revoked_at = 9e15 WHERE subject LIKE 'subject 4000_'";
    raw_sql(revoke).execute(&pool).await.unwrap();
    let before = pages(&pool).await;
    let feed = RevocationFeed::follow(store, Revocations::new(Duration::from_secs(60)));
    feed.current().await;
    drop(feed);
    let looked_at = pages(&pool).await - before;
    assert!(looked_at < 50, "{looked_at} pages");
}

/// R11: cleanup waits for nobody, and nobody for it.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn cleanup_passes_by_what_others_hold() {
    let (store, pool) = filled("work_locks", 100).await;
    let mut other = PgConnection::connect_with(&pool.connect_options())
        .await
        .unwrap();
    let mut held = other.begin().await.unwrap();
    let hold = "SELECT FROM auth_session WHERE subject = 'subject 3' FOR UPDATE";
    raw_sql(hold).execute(&mut *held).await.unwrap();
    let expired = NOW.plus(Duration::from_secs(1));
    assert_eq!(store.delete_expired(expired, 60).await.unwrap(), 60);
    assert_eq!(store.delete_expired(expired, 60).await.unwrap(), 39);
    held.rollback().await.unwrap();
    assert_eq!(store.delete_expired(expired, 60).await.unwrap(), 1);
    drop(pool);
}
