use std::io::Write as _;
use std::time::Duration;

use auth_layer::store::{PostgresStore, SessionStore as _};
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::{Engine, session};
use crate::BoxError;

/// The single statement, prepared, on a connection for each caller.
pub(super) struct Pgbench {
    url: String,
    script: NamedTempFile,
}

impl Pgbench {
    /// Gives each of its clients a session, beside those of the store.
    pub(super) async fn new(url: &str, store: &PostgresStore) -> Result<Self, BoxError> {
        for client in 0..64 {
            store.insert(session(&format!("pgbench-{client}")), None).await?;
        }
        let mut script = NamedTempFile::new()?;
        script.write_all(include_bytes!("../../statements/postgres.pgbench"))?;
        let url = url.to_owned();
        Ok(Self { url, script })
    }
}

impl Engine for Pgbench {
    const NAME: &'static str = "pgbench";

    /// The first second is not counted: each connection begins by preparing its statements.
    async fn rate(&mut self, callers: usize, turn: Duration) -> Result<f64, BoxError> {
        let output = Command::new("pgbench")
            .args(["-n", "-M", "prepared", "-D", "begun=0", "-f"])
            .arg(self.script.path())
            .args(["-c", &callers.to_string()])
            .args(["-j", &callers.min(2).to_string()])
            .args(["-P", "1", "-T", &(turn.as_secs() + 1).to_string()])
            .arg(&self.url)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stderr);
        let seconds: Option<Vec<f64>> = text.lines().filter_map(second).skip(1).collect();
        match seconds {
            Some(rates) if output.status.success() && !rates.is_empty() => {
                Ok(rates.iter().sum::<f64>() / rates.len() as f64)
            }
            Some(_) if output.status.success() => {
                Err("pgbench did not get going: is the machine busy?".into())
            }
            _ => Err(text.into()),
        }
    }
}

/// The rate in a line such as `progress: 2.0 s, 926.8 tps, lat ..`.
fn second(line: &str) -> Option<Option<f64>> {
    let (_, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
    Some(
        rest.split_once(" tps")
            .and_then(|(rate, _)| rate.parse().ok()),
    )
}
