//! The programs that a newcomer copies.

use std::path::Path;
use std::process::Output;

use refresh_client_layer::StoredTokens;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Server, run};

#[test]
fn a_starter_fits_on_a_screen() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/starters");
    let mut starters = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 40, "{} has {lines} lines", file.display());
        starters += 1;
    }
    assert_eq!(starters, 4);
}

#[tokio::test]
async fn the_axum_starter_signs_in_protects_refreshes_and_signs_out() {
    let server = Server::start("starter_axum", &["127.0.0.1:0"]);
    let (me, refresh) = (server.url("/api/me"), server.url("/refresh"));
    assert_eq!(reqwest::get(&me).await.unwrap().status(), 401);
    let wrong = json!({ "username": "alice", "password": "guessed" });
    assert_eq!(post(&server.url("/login"), &wrong).await.status(), 401);

    let first = sign_in(&server).await;
    let answer = Client::new().get(&me).bearer_auth(access(&first)).send();
    assert_eq!(answer.await.unwrap().text().await.unwrap(), "alice");

    let second: Value = post(&refresh, &first).await.json().await.unwrap();
    let gone = post(&server.url("/logout"), &second).await;
    assert_eq!(gone.status(), 204);
    let answer = Client::new().get(&me).bearer_auth(access(&second)).send();
    assert_eq!(answer.await.unwrap().status(), 401);
    assert_eq!(post(&refresh, &second).await.status(), 401);
}

#[tokio::test]
async fn the_tonic_starter_lets_in_whom_the_axum_starter_signed_in() {
    let issuer = Server::start("starter_axum", &["127.0.0.1:0"]);
    let server = Server::start("starter_tonic", &[&issuer.url(""), "127.0.0.1:0"]);
    let channel = Channel::from_shared(server.url("")).unwrap().connect_lazy();
    let mut health = HealthClient::new(channel);

    let refused = health.check(HealthCheckRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);

    let mut call = Request::new(HealthCheckRequest::default());
    let token = format!("Bearer {}", access(&sign_in(&issuer).await));
    call.metadata_mut()
        .insert("authorization", token.parse().unwrap());
    health.check(call).await.unwrap();
}

#[tokio::test]
async fn the_hyper_starter_refreshes_a_dead_token_and_keeps_the_new_one() {
    let server = Server::start("starter_axum", &["127.0.0.1:0"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tokens.json").display().to_string();
    let mut answer = sign_in(&server).await;
    answer["access_token"] = "dead".into();
    answer["expires_in"] = 900.into();
    std::fs::write(&file, answer.to_string()).unwrap();

    let (server, run) = (server.url(""), |server: &str| {
        said(&run("starter_hyper", &[server, &file]))
    });
    assert_eq!(run(&server), "200 OK after 2 attempts\nalice\n");
    assert_eq!(run(&server), "200 OK after 1 attempts\nalice\n");
    let kept = StoredTokens::from_json(&std::fs::read(&file).unwrap()).unwrap();
    assert!(kept.tokens().generation() > 1, "the refresh is in the file");
}

/// Its access tokens die between two of its requests.
#[tokio::test]
async fn the_reqwest_starter_outlives_its_access_tokens_and_signs_out() {
    let flags = ["--addr", "127.0.0.1:0", "--access-ttl", "1s", "--metrics"];
    let server = Server::start("auth_server", &flags);
    let said = said(&run("starter_reqwest", &[&server.url("")]));
    let me = "{\"sub\":\"alice\"}\n";
    assert_eq!(
        said,
        format!("{me}{me}{me}signed out at the server: true\n")
    );

    let metrics = reqwest::get(server.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        r#"auth_layer_sessions_total{event="refreshed"} 2"#,
        r#"auth_layer_sessions_total{event="revoked"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

async fn sign_in(server: &Server) -> Value {
    let user = json!({ "username": "alice", "password": "wonderland" });
    let answer = post(&server.url("/login"), &user).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn post(url: &str, body: &Value) -> reqwest::Response {
    Client::new().post(url).json(body).send().await.unwrap()
}

fn access(answer: &Value) -> &str {
    answer["access_token"].as_str().unwrap()
}

fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
