use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep_until};

use super::Gateway;
use crate::support::{Server, refused, run};
use crate::{Setting, start};

/// Nobody is signed out because an upstream is down.
#[tokio::test]
async fn an_upstream_that_is_down_is_said_so_and_forgiven() {
    let Setting { folder, server } = Setting::new();
    let gateway = Gateway::start(&server.url(""), &[]);
    let user = gateway.sign_in("alice").await;
    assert_eq!(gateway.status("/api/me", &user).await, 200);
    let address = server.kill();

    let down = gateway.get("/api/me", &user).await;
    assert_eq!(down.status(), 502);
    assert_eq!(down.headers()["content-type"], "application/json");
    let body: Value = down.json().await.unwrap();
    assert_eq!(body["error"], "bad_gateway");
    let login = gateway.log_in("alice").send().await.unwrap();
    assert_eq!(login.status(), 502);

    // Until the token there is dead.
    sleep_until(Instant::now() + Duration::from_secs(2)).await;
    for _ in 0..5 {
        let down = gateway.get("/api/me", &user).await;
        assert_eq!(down.status(), 503);
        let pause = down.headers()["retry-after"].to_str().unwrap().parse();
        assert!(matches!(pause, Ok(1..=60)), "{pause:?}");
        let body: Value = down.json().await.unwrap();
        assert_eq!(body["error"], "temporarily_unavailable");
    }
    let _server = start(&folder, &address.to_string());
    let patience = Instant::now() + Duration::from_secs(30);
    let mut pace = interval(Duration::from_millis(100));
    loop {
        match gateway.status("/api/me", &user).await {
            200 => break,
            status => assert_eq!(status, 503),
        }
        assert!(Instant::now() < patience, "it did not recover");
        pace.tick().await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_in_the_upstreams_words() {
    let setting = Setting::new();
    let gateway = Gateway::start(&setting.server.url(""), &[]);
    for (name, password) in [("alice", "looking-glass"), ("mallory", "wonderland")] {
        let credentials = json!({ "username": name, "password": password });
        let login = Client::new().post(gateway.0.url("/login"));
        let answer = login.json(&credentials).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert!(!answer.headers().contains_key("set-cookie"));
        assert_eq!(
            answer.text().await.unwrap(),
            r#"{"error":"invalid_credentials"}"#
        );
    }
}

#[test]
fn bad_input_is_answered_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let wrong_key = write("key.toml", "upsteam = 'http://127.0.0.1:1'");
    let wrong_value = write("value.toml", "drain = 'soon'");
    let damaged = write("damaged.keys", "{");
    let absent = folder.path().join("absent").display().to_string();
    let taken = Server::start("auth_server", &["--addr", "127.0.0.1:0"]);
    let taken = taken.address().to_string();
    let store = format!("sqlite:{}", folder.path().join("s.db").display());
    let nobody = "redis://127.0.0.1:1";
    for (args, sentence) in [
        (
            &["--config", &wrong_key][..],
            "key.toml: `upsteam`: there is no such key",
        ),
        (
            &["--config", &wrong_value],
            "value.toml: `drain`: invalid value 'soon'",
        ),
        (&["--config", &absent], "cannot read"),
        (&["--store", "redis"], "give `memory`, `sqlite:PATH`"),
        (&["--store", nobody], "see that Redis runs"),
        (&["--store", &store, "--keys", &damaged], "is damaged"),
        (&["--addr", &taken], "choose another --addr"),
        (
            &["--upstream", "http://127.0.0.1:1/api"],
            "give one like https://",
        ),
        (&["--upstream", "http://api.example"], "see --plain-http"),
        (&["--upstream", "ftp://x"], "give one like https://"),
        (&["--access-ttl", "2h"], "an hour at most"),
    ] {
        let mut all = vec!["--addr", "127.0.0.1:0"];
        if !args.contains(&"--upstream") {
            all.extend(["--upstream", "http://127.0.0.1:1"]);
        }
        if args.contains(&"--addr") {
            all.drain(..2);
        }
        all.extend(args);
        let said = refused("gateway", &all);
        assert_eq!(said.matches(sentence).count(), 1, "{args:?}: {said}");
    }
}

#[test]
fn a_file_is_as_good_as_flags_which_win() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(
        &path,
        "addr = '127.0.0.1:1'\nupstream = 'http://127.0.0.1:1'\nmetrics = true",
    )
    .unwrap();
    let path = path.display().to_string();
    let gateway = Server::start("gateway", &["--config", &path, "--addr", "127.0.0.1:0"]);
    assert_ne!(gateway.address().port(), 1);
    let help = String::from_utf8(run("gateway", &["--help"]).stdout).unwrap();
    assert!(help.contains("--upstream <URL>"), "{help}");
}
