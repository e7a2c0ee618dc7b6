//! Redis in set-ups that need servers of their own: a fail-over, and a cluster's node.
#![cfg(all(feature = "issue", feature = "redis", feature = "test-util"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod issue_kit;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use auth_layer::issue::{NewSession, RefreshErrorKind, SessionEvent};
use auth_layer::store::{RedisStore, conformance};
use issue_kit::*;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

/// A server that keeps nothing, and ends with its handle.
struct Redis {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--repl-diskless-sync-delay",
                "0",
            ])
            .arg("--dir")
            .arg(folder.path())
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server is needed: {error}"));
        let redis = Self {
            process,
            port,
            _folder: folder,
        };
        redis.says("PING", "PONG").await;
        redis
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn connection(&self) -> Option<MultiplexedConnection> {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.ok()
    }

    async fn ask(&self, command: &str) -> Option<String> {
        let mut words = command.split(' ');
        let mut call = redis::cmd(words.next()?);
        call.arg(words.collect::<Vec<_>>());
        let answer: redis::Value = call.query_async(&mut self.connection().await?).await.ok()?;
        redis::from_redis_value(answer).ok()
    }

    /// Asks until the answer has `what` in it.
    async fn says(&self, command: &str, what: &str) {
        let waiting = tokio::time::timeout(Duration::from_secs(20), async {
            while !self.ask(command).await.is_some_and(|it| it.contains(what)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waiting.await.is_ok(), "{command} never says {what}");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A replica that lagged becomes the primary: tokens that it has never seen are told as such. Nobody
/// is taken for a thief, and whoever did not refresh meanwhile goes on.
#[tokio::test]
async fn after_a_fail_over_that_lost_rotations_the_store_is_behind_and_nobody_is_a_thief() {
    let primary = Redis::start(&[]).await;
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]).await;
    replica
        .says("INFO replication", "master_link_status:up")
        .await;
    let before = Server::new(RedisStore::connect(&primary.url()).await.unwrap());
    let start = async || before.issuer.start(NewSession::new("alice")).await.unwrap();
    let (busy, quiet) = (start().await, start().await);
    let busy = before.issuer.refresh(keyed(&busy, 1)).await.unwrap();
    for (pair, generation) in [(&busy, "1"), (&quiet, "0")] {
        let session = format!("HGET auth_session:{{{}}} generation", pair.session());
        replica.says(&session, generation).await;
    }
    replica.says("REPLICAOF NO ONE", "OK").await;
    let lost = before.issuer.refresh(keyed(&busy, 2)).await.unwrap();
    let lost = before.issuer.refresh(keyed(&lost, 3)).await.unwrap();
    drop(primary);

    let after = Server::new(RedisStore::connect(&replica.url()).await.unwrap());
    assert_eq!(
        kind(&after, keyed(&lost, 4)).await,
        RefreshErrorKind::StoreBehind
    );
    let is_behind = |it: &SessionEvent| matches!(it, SessionEvent::StoreBehind { .. });
    assert_eq!(
        (after.events.count(is_behind), after.events.reuses()),
        (1, 0)
    );
    assert_eq!(after.issuer.list("alice").await.unwrap().len(), 2);
    for goes_on in [busy, quiet] {
        after.issuer.refresh(keyed(&goes_on, 5)).await.unwrap();
    }
}

/// A cluster's node refuses whatever touches two slots: no verb does. (`RedisStore` itself talks to
/// one server and follows no redirects.)
#[tokio::test(flavor = "multi_thread")]
async fn each_verb_keeps_to_one_slot() {
    let node = Redis::start(&["--cluster-enabled", "yes"]).await;
    node.says("CLUSTER ADDSLOTSRANGE 0 16383", "OK").await;
    node.says("CLUSTER INFO", "cluster_state:ok").await;
    conformance::all(RedisStore::connect(&node.url()).await.unwrap()).await;
}
