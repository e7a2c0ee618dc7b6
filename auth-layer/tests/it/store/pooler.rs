//! Law R12: PgBouncer in transaction mode, beside another application that shares its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use auth_layer::store::{PostgresStore, conformance};
use sqlx::{Connection as _, PgConnection, Row as _, raw_sql};

use crate::support::servers;

/// R1 to R6, R9, R13 and R14 as well: two processes, and rows that the settings would hide from a sequential scan.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and PgBouncer: tests/run test"]
async fn the_postgres_store_keeps_the_laws_behind_a_pooler_of_transactions() {
    let [direct, through] = servers::postgres_and_pgbouncer("pooled_laws").await;
    let other = PostgresStore::connect(&through).await.unwrap();
    let store = PostgresStore::connect(&through).await.unwrap();
    conformance::all(store).await;
    let mut plain = PgConnection::connect(&direct).await.unwrap();
    forget_sessions(&mut plain).await;
    conformance::sign_ins_do_not_outrun_a_revocation(&Arc::new(other)).await;
}

/// What the store sets or prepares would reach whatever else uses the server connection next.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and PgBouncer: tests/run test"]
async fn neither_a_setting_nor_a_prepared_statement_reaches_another_application() {
    let [direct, through] = servers::postgres_and_pgbouncer("pooled_settings").await;
    let mut plain = PgConnection::connect(&direct).await.unwrap();
    let expected = observe(&mut plain).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let application = {
        let (through, is_over) = (through.clone(), is_over.clone());
        tokio::spawn(async move {
            let options: sqlx::postgres::PgConnectOptions = through.parse().unwrap();
            let options = options.extra_float_digits(None);
            let mut observed = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let mut on = PgConnection::connect_with(&options).await.unwrap();
                for _ in 0..10 {
                    observed.push(observe(&mut on).await);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                on.close().await.unwrap();
            }
            observed
        })
    };
    let stores = [
        PostgresStore::connect(&through).await.unwrap(),
        PostgresStore::connect(&through).await.unwrap(),
    ];
    for store in stores {
        let store = Arc::new(store);
        conformance::repeats_of_one_refresh_get_one_child(&store).await;
        conformance::a_listener_that_was_away_catches_up(&store).await;
        forget_sessions(&mut plain).await;
    }
    is_over.store(true, Ordering::SeqCst);
    let observed = application.await.unwrap();
    assert!(observed.len() > 20);
    for one in observed {
        assert_eq!(one, expected);
    }
}

/// The laws name their sessions alike each time.
async fn forget_sessions(on: &mut PgConnection) {
    let all = "DELETE FROM auth_session; DELETE FROM auth_subject";
    raw_sql(all).execute(on).await.unwrap();
}

/// Settings and prepared statements of the server connection, asked for without a prepared statement.
async fn observe(on: &mut PgConnection) -> Vec<String> {
    let asked = "SELECT current_setting('enable_seqscan') AS a, current_setting('lock_timeout') AS b, \
        current_setting('statement_timeout') AS c, (SELECT count(*)::text FROM pg_prepared_statements) AS d";
    let rows = sqlx::Executor::fetch_all(on, raw_sql(asked)).await.unwrap();
    (0..4).map(|it| rows[0].get(it)).collect()
}
