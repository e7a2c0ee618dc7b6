//! What `auth_server` offers beside refreshing, as its flags say.

use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::interval;

use crate::support::Server;

struct AuthServer(Server);

impl AuthServer {
    fn start(flags: &[&str]) -> Self {
        let args = [&["--addr", "127.0.0.1:0"], flags].concat();
        Self(Server::start("auth_server", &args))
    }

    async fn log_in(&self) -> Response {
        let body = json!({ "username": "alice", "password": "wonderland" });
        let log_in = Client::new().post(self.0.url("/login")).json(&body);
        let answer = log_in.header("user-agent", "a test").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer
    }

    async fn tokens(&self) -> Value {
        self.log_in().await.json().await.unwrap()
    }

    async fn refresh(&self, tokens: &Value) -> Response {
        let body = json!({ "refresh_token": tokens["refresh_token"] });
        let refresh = Client::new().post(self.0.url("/refresh")).json(&body);
        refresh.send().await.unwrap()
    }

    async fn get(&self, path: &str, tokens: &Value) -> Response {
        let get = Client::new().get(self.0.url(path));
        let get = get.bearer_auth(tokens["access_token"].as_str().unwrap());
        get.send().await.unwrap()
    }
}

/// Each check of a password takes 19 MiB.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_crowd_that_signs_in_at_once_takes_little_memory() {
    let server = AuthServer::start(&["--rate-limit", "0"]);
    futures_util::future::join_all((0..64).map(|_| server.log_in())).await;
    let most = server.0.peak_memory();
    assert!(most < 150_000_000, "{most} bytes");
}

#[tokio::test]
async fn sigterm_lets_a_request_that_has_begun_end() {
    let server = AuthServer::start(&[]);
    let tokens = server.tokens().await;
    let (address, token) = (server.0.address(), tokens["access_token"].as_str().unwrap());
    let mut call = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/me HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    );
    call.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 25];
    call.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.0.terminate();
    let mut pace = interval(Duration::from_millis(10));
    while TcpStream::connect(address).await.is_ok() {
        pace.tick().await;
    }
    call.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    call.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with(r#"{"bytes":5,"sub":"alice"}"#), "{answer}");
    assert!(server.0.ended().success());
}

#[tokio::test]
async fn metrics_are_served_on_request() {
    let server = AuthServer::start(&["--metrics"]);
    let tokens = server.tokens().await;
    assert_eq!(server.refresh(&tokens).await.status(), 200);
    assert_eq!(server.refresh(&tokens).await.status(), 401);
    let metrics = server.get("/metrics", &tokens).await.text().await.unwrap();
    for line in [
        r#"auth_layer_sessions_total{event="started"} 1"#,
        r#"auth_layer_sessions_total{event="refreshed"} 1"#,
        r#"auth_layer_sessions_total{event="reuse_detected"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let without = AuthServer::start(&[]);
    assert_eq!(without.get("/metrics", &tokens).await.status(), 404);
    let health = without.get("/healthz", &tokens).await;
    assert_eq!(health.text().await.unwrap(), "ok");
}

/// E4.
#[tokio::test]
async fn a_session_that_refreshes_too_often_is_told_when_to_come_again() {
    let server = AuthServer::start(&["--rate-limit", "3"]);
    let tokens = server.tokens().await;
    let first = server.refresh(&tokens).await;
    assert_eq!(first.status(), 200);
    let second = server.refresh(&first.json().await.unwrap()).await;
    assert_eq!(second.status(), 429);
    let wait: u64 = second.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_browser_gets_its_refresh_token_in_a_cookie() {
    let server = AuthServer::start(&["--cookies"]);
    let answer = server.log_in().await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let tokens: Value = answer.json().await.unwrap();
    assert!(tokens["refresh_token"].is_null());
    let (pair, attributes) = cookie.split_once(';').unwrap();
    assert!(pair.starts_with("__Host-refresh="));
    assert!(attributes.contains("HttpOnly") && attributes.contains("Secure"));
    let refresh = |site: &'static str| {
        let key = format!("\"{}\"", "k".repeat(32));
        let refresh = Client::new().post(server.0.url("/refresh"));
        let refresh = refresh
            .header("cookie", pair)
            .header("sec-fetch-site", site);
        refresh.header("idempotency-key", key).send()
    };
    assert_eq!(refresh("cross-site").await.unwrap().status(), 403);
    assert_eq!(refresh("same-origin").await.unwrap().status(), 200);
}

#[tokio::test]
async fn users_see_their_devices_and_sign_the_others_out() {
    let server = AuthServer::start(&[]);
    let (here, elsewhere) = (server.tokens().await, server.tokens().await);
    let sessions: Value = server.get("/sessions", &here).await.json().await.unwrap();
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    for session in sessions {
        assert_eq!(session["user_agent"], "a test");
        assert_eq!(session["ip"], "127.0.0.1");
    }
    let current = sessions.iter().filter(|it| it["current"] == true);
    assert_eq!(current.count(), 1);

    let others = Client::new().delete(server.0.url("/sessions"));
    let others = others.bearer_auth(here["access_token"].as_str().unwrap());
    assert_eq!(others.send().await.unwrap().status(), 204);
    assert_eq!(server.get("/api/me", &here).await.status(), 200);
    assert_eq!(server.get("/api/me", &elsewhere).await.status(), 401);
    assert_eq!(server.refresh(&elsewhere).await.status(), 401);
}

#[tokio::test]
async fn a_client_with_a_secret_may_ask_what_a_token_is_worth() {
    let server = AuthServer::start(&["--client", "api:a long secret"]);
    let tokens = server.tokens().await;
    let ask = |password: &'static str| {
        let token = [("token", tokens["access_token"].as_str().unwrap())];
        let ask = Client::new().post(server.0.url("/introspect")).form(&token);
        ask.basic_auth("api", Some(password)).send()
    };
    let answer: Value = ask("a+long+secret").await.unwrap().json().await.unwrap();
    assert_eq!(
        (&answer["active"], &answer["sub"]),
        (&json!(true), &json!("alice"))
    );
    assert_eq!(ask("guessed").await.unwrap().status(), 401);
}
