//! The programs as a user starts them, on real sockets and real files.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod support;

use serde_json::Value;
use support::{Server, run};
use tempfile::TempDir;

/// An `auth_server` with 2-second access tokens and a SQLite file, and somebody signed in.
struct Setting {
    folder: TempDir,
    server: Server,
}

impl Setting {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let server = start(&folder, "127.0.0.1:0");
        Self { folder, server }
    }

    fn tokens(&self) -> String {
        self.folder.path().join("tokens.json").display().to_string()
    }

    async fn sign_in(&self) -> Value {
        let body = serde_json::json!({ "username": "alice", "password": "wonderland" });
        let login = reqwest::Client::new().post(self.server.url("/login")).json(&body);
        let answer = login.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

fn start(folder: &TempDir, address: &str) -> Server {
    let store = format!("sqlite:{}", folder.path().join("sessions.db").display());
    Server::start("auth_server", &["--addr", address, "--store", &store, "--access-ttl", "2s"])
}

/// C1, C3 and C12 between processes.
#[tokio::test]
async fn two_thousand_requests_across_expiries_see_no_401_and_one_refresh_each() {
    let setting = Setting::new();
    std::fs::write(setting.tokens(), setting.sign_in().await.to_string()).unwrap();
    let begin = std::time::Instant::now();
    let (api, refresh) = (setting.server.url("/api/me"), setting.server.url("/refresh"));
    let output = tokio::task::spawn_blocking({
        let tokens = setting.tokens();
        move || {
            let load = ["-n", "2000", "-c", "50", "--every", "5ms"];
            let what = ["--api", &api, "--refresh", &refresh, "--tokens", &tokens];
            run("client", &[what.as_slice(), &load].concat())
        }
    });
    let output = output.await.unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&counts["ok"], &counts["status_401"], &counts["errors"]), (&2000.into(), &0.into(), &0.into()), "{counts}");
}
