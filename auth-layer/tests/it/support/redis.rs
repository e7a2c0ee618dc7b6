mod detour;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) use detour::Detour;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

/// A server that keeps nothing, and ends with its handle.
pub(crate) struct Redis {
    process: Child,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Redis {
    pub(crate) async fn start(options: &[&str]) -> Self {
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

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn connection(&self) -> Option<MultiplexedConnection> {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.ok()
    }

    pub(crate) async fn ask(&self, command: &str) -> Option<String> {
        let mut words = command.split(' ');
        let mut call = redis::cmd(words.next()?);
        call.arg(words.collect::<Vec<_>>());
        let answer: redis::Value = call.query_async(&mut self.connection().await?).await.ok()?;
        redis::from_redis_value(answer).ok()
    }

    /// Asks until the answer has `what` in it.
    pub(crate) async fn says(&self, command: &str, what: &str) {
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
