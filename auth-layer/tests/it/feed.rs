//! Law R9: what is revoked at one node is refused at the others. On the servers that `tests/run test`
//! starts, where one is needed.

use auth_layer::store::MemoryStore;

use crate::support::feed::*;

/// R9: at once in the same process, and by the next look in another one.
#[tokio::test]
async fn issuers_in_one_process_hear_each_other() {
    let store = MemoryStore::new();
    let nodes = Nodes::new(store.clone(), store).await;
    nodes.every_revocation_arrives().await;
}

/// R9, for processes that share a file.
#[tokio::test]
async fn issuers_on_one_file_hear_each_other() {
    use auth_layer::store::SqliteStore;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let here = SqliteStore::open(&path).await.unwrap();
    let nodes = Nodes::new(here, SqliteStore::open(&path).await.unwrap()).await;
    nodes.every_revocation_arrives().await;
}

/// A node whose line is cut hears nothing, says so, and catches up once it is mended.
async fn an_outage_is_caught_up_with(nodes: &Nodes, line: &Line) {
    use auth_layer::store::FeedStatus;

    let (before, during) = (nodes.sign_in().await, nodes.sign_in().await);
    nodes.here.revoke_session(before.session()).await.unwrap();
    nodes.refused_within(&before, SECOND).await;
    line.cut();
    until(&nodes.there, |it| matches!(it, FeedStatus::Lagging { .. })).await;
    nodes.here.revoke_session(during.session()).await.unwrap();
    assert!(refused(&nodes.here, &during).await.is_some());
    assert_eq!(refused(&nodes.there, &during).await, None, "until `exp`");
    line.mend();
    current(&nodes.there).await;
    assert!(refused(&nodes.there, &during).await.is_some());
    nodes.every_revocation_arrives().await;
}

mod postgres {
    use auth_layer::issue::TokenPair;
    use auth_layer::store::{PostgresStore, RevocationFeed};
    use auth_layer::{Revocations, Verifier, Verify as _};
    use sqlx::{Connection as _, PgConnection, query_scalar, raw_sql};

    use super::*;

    async fn accepted(verifier: &Verifier, pair: &TokenPair) -> bool {
        verifier.verify(pair.access_token()).await.is_ok()
    }

    /// R9: also when the connection that listens is lost just before.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: tests/run test"]
    async fn what_is_revoked_at_one_node_is_refused_at_the_other_within_a_second() {
        let url = crate::support::servers::postgres("feed_nodes").await;
        let here = PostgresStore::connect(&url).await.unwrap();
        let nodes = Nodes::new(here, PostgresStore::connect(&url).await.unwrap()).await;
        nodes.every_revocation_arrives().await;
        let mut admin = PgConnection::connect(&url).await.unwrap();
        for _ in 0..10 {
            let pair = nodes.sign_in().await;
            let killed: Vec<bool> = query_scalar(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'auth-layer feed'",
            )
            .fetch_all(&mut admin)
            .await
            .unwrap();
            assert!(!killed.is_empty());
            nodes.here.revoke_session(pair.session()).await.unwrap();
            nodes.refused_within(&pair, SECOND).await;
        }
    }

    /// R9: catch-up after an outage.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: tests/run test"]
    async fn a_node_that_was_cut_off_catches_up() {
        let url = crate::support::servers::postgres("feed_outage").await;
        let address = url.split(['@', '/']).nth(3).unwrap();
        let line = Line::to(address).await;
        let through = url.replace(address, &line.address.to_string());
        let here = PostgresStore::connect(&url).await.unwrap();
        let nodes = Nodes::new(here, PostgresStore::connect(&through).await.unwrap()).await;
        an_outage_is_caught_up_with(&nodes, &line).await;
    }

    /// A verifying process needs no right to write.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: tests/run test"]
    async fn to_follow_the_feed_the_right_to_read_is_enough() {
        let url = crate::support::servers::postgres("feed_reader").await;
        let nodes = {
            let store = PostgresStore::connect(&url).await.unwrap();
            Nodes::new(store.clone(), store).await
        };
        let mut admin = PgConnection::connect(&url).await.unwrap();
        let reader = "DROP ROLE IF EXISTS feed_reader; CREATE ROLE feed_reader LOGIN; \
            GRANT SELECT ON auth_session, auth_session_schema TO feed_reader";
        raw_sql(reader).execute(&mut admin).await.unwrap();
        let store = PostgresStore::connect(&url.replace("auth@", "feed_reader@"))
            .await
            .unwrap();
        let revocations = Revocations::new(1_200 * SECOND);
        let feed = RevocationFeed::follow(store, revocations.clone());
        feed.current().await;
        let verifier = nodes.here.verifier_builder().revocations(revocations);
        let verifier = verifier.build().unwrap();
        let pair = nodes.sign_in().await;
        assert!(accepted(&verifier, &pair).await);
        nodes.here.revoke_session(pair.session()).await.unwrap();
        let refused = async {
            while accepted(&verifier, &pair).await {
                tokio::time::sleep(SECOND / 100).await;
            }
        };
        let heard = tokio::time::timeout(10 * SECOND, refused).await;
        heard.expect("the revocation never came");
        drop(feed);
        raw_sql("DROP OWNED BY feed_reader")
            .execute(&mut admin)
            .await
            .unwrap();
    }
}

mod redis_ {
    use auth_layer::store::RedisStore;

    use super::*;

    /// R9: also when the connection that listens is lost just before.
    #[tokio::test]
    #[ignore = "needs Redis: tests/run test"]
    async fn what_is_revoked_at_one_node_is_refused_at_the_other_within_a_second() {
        let here = RedisStore::connect(&crate::support::servers::redis(2))
            .await
            .unwrap();
        let nodes = Nodes::new(
            here,
            RedisStore::connect(&crate::support::servers::redis(2))
                .await
                .unwrap(),
        )
        .await;
        nodes.every_revocation_arrives().await;
        let client = redis::Client::open(crate::support::servers::redis(2)).unwrap();
        let mut admin = client.get_multiplexed_async_connection().await.unwrap();
        for _ in 0..10 {
            let pair = nodes.sign_in().await;
            let kill = ["KILL", "TYPE", "pubsub"];
            let killed: u32 = redis::cmd("CLIENT")
                .arg(&kill)
                .query_async(&mut admin)
                .await
                .unwrap();
            assert!(killed > 0);
            nodes.here.revoke_session(pair.session()).await.unwrap();
            nodes.refused_within(&pair, SECOND).await;
        }
    }

    /// R9: catch-up after an outage.
    #[tokio::test]
    #[ignore = "needs Redis: tests/run test"]
    async fn a_node_that_was_cut_off_catches_up() {
        let url = crate::support::servers::redis(3);
        let address = url.split('/').nth(2).unwrap();
        let line = Line::to(address).await;
        let through = url.replace(address, &line.address.to_string());
        let here = RedisStore::connect(&url).await.unwrap();
        let nodes = Nodes::new(here, RedisStore::connect(&through).await.unwrap()).await;
        an_outage_is_caught_up_with(&nodes, &line).await;
    }

    /// R9, by asking.
    #[tokio::test]
    #[ignore = "needs Redis: tests/run test"]
    async fn a_connection_of_ones_own_hears_within_a_second_too() {
        let manager = async || {
            let client = redis::Client::open(crate::support::servers::redis(4)).unwrap();
            RedisStore::from_manager(redis::aio::ConnectionManager::new(client).await.unwrap())
        };
        let nodes = Nodes::new(manager().await, manager().await).await;
        nodes.every_revocation_arrives().await;
    }
}
