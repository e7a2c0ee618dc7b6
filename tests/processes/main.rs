//! The programs as a user starts them: processes, sockets, files. They are ended with signals of Unix.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod auth_server;
mod browser;
mod clients;
mod engine;
mod faults;
mod faulty_network;
mod foreign_clients;
mod gateway;
mod honest;
mod nodes;
mod starters;
mod support;

use honest::{Honest, generation};
use serde_json::{Value, json};
use support::{Server, run};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// An `auth_server` with 2-second access tokens and its sessions in a file.
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

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    async fn sign_in(&self, name: &str, password: &str) -> Value {
        let body = json!({ "username": name, "password": password });
        let login = reqwest::Client::new()
            .post(self.server.url("/login"))
            .json(&body);
        let answer = login.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

fn start(folder: &TempDir, address: &str) -> Server {
    let store = format!("sqlite:{}", folder.path().join("sessions.db").display());
    Server::start(
        "auth_server",
        &[
            "--addr",
            address,
            "--store",
            &store,
            "--access-ttl",
            "2s",
            "--rate-limit",
            "0",
        ],
    )
}

/// C1, C3 and C12, between processes.
#[tokio::test]
async fn two_thousand_requests_across_expiries_see_no_401_and_one_refresh_for_each() {
    let setting = Setting::new();
    let tokens = setting.path("tokens.json");
    let first = setting.sign_in("alice", "wonderland").await;
    std::fs::write(&tokens, first.to_string()).unwrap();
    let (api, refresh) = (
        setting.server.url("/api/me"),
        setting.server.url("/refresh"),
    );
    let what = ["--api", &api, "--refresh", &refresh, "--tokens", &tokens];
    let load = ["-n", "2000", "-c", "50", "--every", "5ms"];

    let begin = Instant::now();
    let output = run("client", &[what.as_slice(), &load].concat());
    let lifetimes = begin.elapsed().as_secs_f64() / 2.0;

    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [ok, refused, errors, refreshes] =
        ["ok", "status_401", "errors", "refreshes"].map(|it| counts[it].as_u64().unwrap());
    assert_eq!((ok, refused, errors), (2_000, 0, 0), "{counts}");
    let last: Value = serde_json::from_slice(&std::fs::read(&tokens).unwrap()).unwrap();
    assert_eq!(
        refreshes,
        generation(&last),
        "the server rotated as often as the client knows"
    );
    // Ahead of expiry by up to a quarter of a lifetime, so a little more often than it expires.
    let most = lifetimes / 0.75 + 1.0;
    assert!(
        (lifetimes - 1.0..=most).contains(&(refreshes as f64)),
        "{refreshes} in {lifetimes}"
    );
}

/// The same in the other dialect: uploads over hyper, and reads over reqwest.
#[tokio::test]
async fn both_clients_stay_signed_in_over_oauth2() {
    let setting = Setting::new();
    let (api, token) = (setting.server.url("/api/me"), setting.server.url("/token"));
    let tokens = setting.path("tokens.json");
    let what = ["--api", &api, "--refresh", &token, "--tokens", &tokens];
    let what = [what.as_slice(), &["--grant", "oauth2"]].concat();

    let first = setting.sign_in("alice", "wonderland").await;
    std::fs::write(&tokens, first.to_string()).unwrap();
    let load = ["-n", "120", "-c", "2", "--every", "50ms", "--body", "20000"];
    let output = run("client", &[what.as_slice(), &load].concat());
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (what, expected) in [("ok", 120), ("status_401", 0), ("errors", 0)] {
        assert_eq!(counts[what], expected, "{what}: {counts}");
    }
    let read = || serde_json::from_slice(&std::fs::read(&tokens).unwrap()).unwrap();
    let after_uploads = generation(&read());
    assert_eq!(counts["refreshes"], after_uploads);
    assert!(after_uploads >= 1, "{counts}");

    let output = run(
        "reqwest_client",
        &[what.as_slice(), &["-n", "12", "--every", "400ms"]].concat(),
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 12, "{said}");
    assert!(
        said.lines()
            .all(|it| it.starts_with("200 OK") && it.contains("alice")),
        "{said}"
    );
    assert!(generation(&read()) > after_uploads);
}

/// R10, the part of SQLite and the server.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_the_server_being_killed_amid_two_thousand_rotations() {
    const SESSIONS: usize = 10;
    const ROTATIONS: u64 = 200;
    let setting = Setting::new();
    let address = setting.server.address();
    let client = LayeredClient::sign_in(&setting).await;
    let (progress, mut seen) = watch::channel(0_u64);
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let session = Honest::sign_in(vec![setting.server.url("")]).await;
        sessions.push(tokio::spawn(rotate(session, ROTATIONS, progress.clone())));
    }
    let calling =
        tokio::spawn(client.call_until_told(progress.subscribe(), SESSIONS as u64 * ROTATIONS));

    let Setting { folder, mut server } = setting;
    for kill_at in [500, 1_100, 1_600] {
        seen.wait_for(|done| *done >= kill_at).await.unwrap();
        server.kill();
        server = start(&folder, &address.to_string());
    }

    for session in sessions {
        assert_eq!(session.await.unwrap(), ROTATIONS);
    }
    let faults = calling.await.unwrap();
    println!("the layered client met {faults} network faults and went on by itself");
}

/// Rotates so often, whatever happens.
async fn rotate(mut client: Honest, times: u64, progress: watch::Sender<u64>) -> u64 {
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(5));
    for _ in 0..times {
        pace.tick().await;
        client.rotate().await.unwrap();
        progress.send_modify(|done| *done += 1);
    }
    client.generation()
}

/// A program that uses the layer and cares for nothing.
struct LayeredClient {
    api: refresh_client_layer::AuthClient,
    url: String,
}

impl LayeredClient {
    async fn sign_in(setting: &Setting) -> Self {
        use refresh_client_layer::reqwest::ReqwestService;
        use refresh_client_layer::{AuthClient, HttpRefresher, TokenManager, TokenSet};
        let tokens = setting.sign_in("alice", "wonderland").await.to_string();
        let refresher = ReqwestService::new(reqwest::Client::builder()).unwrap();
        let session = TokenManager::builder(HttpRefresher::json(
            setting.server.url("/refresh"),
            refresher,
        ))
        .tokens(TokenSet::from_json(tokens.as_bytes()).unwrap())
        .build()
        .unwrap();
        let api = AuthClient::new(reqwest::Client::new(), session);
        Self {
            api,
            url: setting.server.url("/api/me"),
        }
    }

    /// Calls while others rotate, and once more when the dust has settled. A call may meet a fault
    /// of the network, but never a 401.
    async fn call_until_told(self, mut progress: watch::Receiver<u64>, end: u64) -> u32 {
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
        let patience = Instant::now() + std::time::Duration::from_secs(120);
        let mut faults = 0;
        loop {
            pace.tick().await;
            assert!(Instant::now() < patience, "the client did not recover");
            let is_over = *progress.borrow_and_update() >= end;
            match self.api.get(&self.url).send().await {
                Ok(answer) => {
                    assert_eq!(answer.status(), 200);
                    if is_over {
                        return faults;
                    }
                }
                Err(_) => faults += 1,
            }
        }
    }
}

/// V3, between processes.
#[tokio::test]
async fn a_server_elsewhere_verifies_with_the_keys_that_the_issuer_publishes() {
    let setting = Setting::new();
    let issuer = setting.server.url("");
    let tokens = setting.sign_in("alice", "wonderland").await;
    let token = tokens["access_token"].as_str().unwrap();
    let keys = setting.server.url("/.well-known/jwks.json");
    let url = ["--jwks-url", &keys, "--issuer", &issuer];
    let discovery = ["--discover", issuer.as_str()];
    for source in [url.as_slice(), &discovery] {
        let common = ["--addr", "127.0.0.1:0", "--audience", "https://api.example"];
        let args = [common.as_slice(), source].concat();
        let api = Server::start("resource_server", &args);
        let call = reqwest::Client::new().get(api.url("/api"));
        assert_eq!(
            call.try_clone().unwrap().send().await.unwrap().status(),
            401
        );
        let answer = call.bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), r#"{"sub":"alice"}"#);

        let grpc = Server::start("grpc_server", &args);
        let channel = tonic::transport::Channel::from_shared(grpc.url("")).unwrap();
        let mut health = HealthClient::new(channel.connect().await.unwrap());
        let refused = health
            .check(HealthCheckRequest::default())
            .await
            .unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        assert_eq!(
            health.check(request).await.unwrap().into_inner().status,
            1,
            "SERVING"
        );
    }
}

/// gRPC calls across expiries, with the tokens of one server and the health of another.
#[tokio::test]
async fn the_grpc_client_sees_no_refusal_and_refreshes_once_for_each_expiry() {
    let setting = Setting::new();
    let (issuer, keys) = (
        setting.server.url(""),
        setting.server.url("/.well-known/jwks.json"),
    );
    let common = ["--addr", "127.0.0.1:0", "--audience", "https://api.example"];
    let source = ["--jwks-url", keys.as_str(), "--issuer", issuer.as_str()];
    let grpc = Server::start("grpc_server", &[common, source].concat());
    let tokens = setting.sign_in("alice", "wonderland").await;
    let file = setting.path("tokens.json");
    std::fs::write(&file, tokens.to_string()).unwrap();
    let (api, refresh) = (grpc.url(""), setting.server.url("/refresh"));
    let mut args = vec!["--api", &api, "--refresh", &refresh, "--tokens", &file];
    args.extend(["-n", "200", "-c", "4", "--every", "25ms"]);
    let output = tokio::task::spawn_blocking({
        let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
        move || {
            run(
                "grpc_client",
                &args.iter().map(String::as_str).collect::<Vec<_>>(),
            )
        }
    });
    let output = output.await.unwrap();
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (what, expected) in [("ok", 200), ("status_16", 0), ("errors", 0)] {
        assert_eq!(counts[what], expected, "{what}: {counts}");
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let refreshes = counts["refreshes"].as_u64().unwrap();
    assert!(refreshes >= 2, "{counts}");
    assert_eq!(generation(&kept), refreshes);
}

#[test]
fn the_tour_keeps_every_promise() {
    let output = run("tour", &[]);
    let story = String::from_utf8(output.stdout).unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{story}{why}");
    assert_eq!(story.lines().last(), Some("tour: 11 steps passed"));

    let picture = include_str!("../../examples/tour/tour.svg");
    for step in story
        .lines()
        .filter(|it| it.contains(". ") && !it.starts_with("    "))
    {
        assert!(
            picture.contains(step),
            "make the picture of the tour again, see examples/tour_picture.rs: {step}"
        );
    }
}

#[test]
fn bad_input_is_answered_with_a_sentence() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| {
        std::fs::write(path(name), text).unwrap();
        path(name)
    };
    let damaged = write("damaged.json", "{\"access_token\":");
    let text = write(
        "text.db",
        "this is no database, although it is long enough to be one",
    );
    let (in_text, nowhere) = (
        format!("sqlite:{text}"),
        format!("sqlite:{}", path("no/where.db")),
    );
    let absent = path("absent.json");
    let server = ["--addr", "127.0.0.1:0"];
    let resource = ["--addr", "127.0.0.1:0", "--issuer", "i", "--audience", "a"];
    let client = [
        "--api",
        "http://127.0.0.1:9/",
        "--refresh",
        "http://127.0.0.1:9/",
    ];
    let secret = "00".repeat(16);
    for (example, common, args, sentence) in [
        (
            "auth_server",
            server.as_slice(),
            ["--store", "redis"],
            "give `memory`, `sqlite:PATH`",
        ),
        (
            "auth_server",
            &server,
            ["--store", &nowhere],
            "see that its folder exists",
        ),
        (
            "auth_server",
            &server,
            ["--store", &in_text],
            "is not a session store",
        ),
        (
            "auth_server",
            &server,
            ["--access-ttl", "2h"],
            "an hour at most",
        ),
        ("auth_server", &server, ["--audience", ""], "no audience"),
        ("auth_server", &server, ["--repeat-leeway", "2m"], "60 s"),
        (
            "auth_server",
            &server,
            ["--alg", "none"],
            "not a supported algorithm",
        ),
        (
            "resource_server",
            &resource,
            ["--secret", &secret],
            "shorter than its hash",
        ),
        (
            "resource_server",
            &resource,
            ["--secret", "xyz"],
            "not hexadecimal",
        ),
        (
            "resource_server",
            &resource,
            ["--jwks-file", &absent],
            "cannot read",
        ),
        (
            "resource_server",
            &resource,
            ["--jwks-file", &damaged],
            "no JSON Web Key Set",
        ),
        (
            "client",
            &client,
            ["--tokens", &absent],
            "sign in and save the answer there",
        ),
        ("client", &client, ["--tokens", &damaged], "is damaged"),
        (
            "reqwest_client",
            &client,
            ["--tokens", &damaged],
            "is damaged",
        ),
        ("grpc_client", &client, ["--tokens", &damaged], "is damaged"),
        (
            "grpc_client",
            &client,
            ["--tokens", &absent],
            "sign in and save the answer there",
        ),
        (
            "client",
            &client,
            ["--grant", "saml"],
            "invalid value 'saml'",
        ),
        (
            "client",
            &client,
            ["--every", "soon"],
            "invalid value 'soon'",
        ),
        ("client", &client, ["-n", "-1"], "-1"),
        (
            "client",
            &client,
            ["--body", "much"],
            "invalid value 'much'",
        ),
    ] {
        let output = run(example, &[common, &args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{example} {args:?}");
        assert!(said.contains(sentence), "{example} {args:?}: {said}");
    }
    assert_eq!(
        std::fs::read_to_string(&damaged).unwrap(),
        "{\"access_token\":"
    );
    assert!(
        std::fs::read_to_string(&text)
            .unwrap()
            .starts_with("this is no database")
    );
    assert!(!std::path::Path::new(&format!("{text}.keys")).exists());
}
