use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, Script};
use tokio::process::Command;

use super::Engine;
use crate::BoxError;

/// The store's own script, without pipelining, on a connection for each caller.
///
/// redis-benchmark sends one text again and again, and only the key is drawn: there are ten sessions for each call, so that
/// 95 of 100 find a token that nobody has used, and advance as the store's do.
pub(super) struct RedisBenchmark {
    port: String,
    connection: MultiplexedConnection,
    script: String,
}

impl RedisBenchmark {
    pub(super) async fn new(url: &str) -> Result<Self, BoxError> {
        let (_, port) = url.rsplit_once(':').ok_or("a URL with a port")?;
        let client = Client::open(url)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let script = redis::cmd("SCRIPT")
            .arg("LOAD")
            .arg(include_str!(
                "../../../../auth-layer/src/store/redis/rotate.lua"
            ))
            .query_async(&mut connection)
            .await?;
        let port = port.trim_end_matches('/').to_owned();
        Ok(Self {
            port,
            connection,
            script,
        })
    }

    /// Makes all sessions new, or deletes them.
    async fn reset(&mut self, sessions: u32, are_wanted: bool) -> Result<(), BoxError> {
        let script = Script::new(include_str!("../../statements/fill.lua"));
        for from in (0..sessions).step_by(CHUNK as usize) {
            let mut call = script.arg(from);
            call.arg(sessions.min(from + CHUNK)).arg(are_wanted);
            call.invoke_async::<()>(&mut self.connection).await?;
        }
        Ok(())
    }

    /// The arguments of `rotate.lua` for the first token of a session.
    fn call(&self, key: &str) -> Vec<String> {
        let call = ["EVALSHA", &self.script, "1", key];
        let token = ["0", FIRST, CHILD, "1", "1800000000001", "1801209600001"];
        let origin = ["", "", "", "", "", "0"];
        let words = [&call[..], &token[..], &origin[..]].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    async fn check(&mut self) -> Result<(), BoxError> {
        let call = self.call("auth_session:{peer-000000000000}");
        let mut command = redis::cmd(&call[0]);
        call[1..].iter().for_each(|it| {
            command.arg(it);
        });
        let (outcome, _): (i64, redis::Value) = command.query_async(&mut self.connection).await?;
        match outcome {
            1 => Ok(()),
            _ => Err(format!("the script did not advance: {outcome}").into()),
        }
    }
}

const CHUNK: u32 = 5_000;
const FIRST: &str = "00000000000000000000000000000000";
const CHILD: &str = "11111111111111111111111111111111";

impl Engine for RedisBenchmark {
    const NAME: &'static str = "redis-benchmark";

    async fn rate(&mut self, callers: usize, turn: Duration) -> Result<f64, BoxError> {
        let calls = (turn.as_secs() as u32) * if callers == 1 { 2_500 } else { 10_000 };
        let sessions = 10 * calls;
        self.reset(sessions, true).await?;
        self.check().await?;
        let output = Command::new("redis-benchmark")
            .args(["-p", &self.port, "--csv"])
            .args(["-c", &callers.to_string()])
            .args(["-n", &calls.to_string()])
            .args(["-r", &sessions.to_string()])
            .args(self.call("auth_session:{peer-__rand_int__}"))
            .output()
            .await?;
        self.reset(sessions, false).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text
            .lines()
            .last()
            .and_then(|it| it.split("\",\"").nth(1)?.parse().ok());
        match found {
            Some(rate) if output.status.success() => Ok(rate),
            _ => Err(format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }
}
