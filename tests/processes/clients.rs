//! Client processes on one token file: killed at any moment, and two at a time. `TEST_FULL=1` takes a
//! minute for each.

use std::net::SocketAddr;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use refresh_client_layer::StoredTokens;
use serde_json::Value;

use crate::support::command;
use crate::{Setting, generation};

/// Laws C16 and C17: the server may have rotated, the key or the child may be half written.
#[tokio::test]
async fn however_often_clients_are_killed_the_file_parses_and_the_session_lives() {
    let client = Client::new().await;
    let kills = if is_full() { 200 } else { 50 };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut under_way = 0;
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        client.let_expire();
        let mut process = client.start(&["-n", "1000000", "-c", "4", "--every", "2ms"]);
        // A process cannot be killed at a random moment without real time.
        tokio::time::sleep(Duration::from_millis(random % 150)).await;
        process.kill().unwrap();
        process.wait().unwrap();
        under_way += u64::from(client.stored()["idempotency_key"].is_string());
    }
    let survivor = client.start(&["-n", "50", "-c", "5"]);
    assert_eq!(Counts::of(survivor).await.all(), [50, 0, 0]);
    let rotations = client.generation();
    println!("{kills} kills, {under_way} amid a refresh; {rotations} rotations");
    assert!(rotations >= kills / 10, "{rotations} rotations are too few");
}

/// Law C16: the key makes one refresh of two.
#[tokio::test]
async fn two_clients_on_one_file_refresh_as_often_as_tokens_expire() {
    two_clients(&[]).await;
}

/// Law C16: without a key the server ends the session at the second use of a token.
#[tokio::test]
async fn two_clients_of_a_server_without_keys_never_use_a_token_twice() {
    let refreshes = two_clients(&["--plain"]).await;
    assert_eq!(
        refreshes[0], refreshes[1],
        "by the server's count and by theirs"
    );
}

/// Law C16, with both finding the token expired at the same moment, again and again.
#[tokio::test]
async fn two_clients_that_need_a_token_at_once_refresh_once() {
    tokio::join!(at_once(&[]), at_once(&["--plain"]));
}

async fn at_once(options: &[&str]) {
    let client = Client::new().await;
    client.let_expire();
    let turns = if is_full() { 24 } else { 5 };
    let n = turns.to_string();
    let load = ["-n", &n, "-c", "1", "--every", "2500ms"];
    for counts in client.run_two(&[&load, options].concat()).await {
        assert_eq!(counts.all(), [turns, 0, 0], "{options:?}: {}", counts.0);
    }
    let rotations = client.generation();
    assert_eq!(rotations, turns, "{options:?}");
    println!("{rotations} refreshes for {turns} expiries that two clients found {options:?}");
}

/// Sends a hundred requests a second from each, and counts the refreshes.
async fn two_clients(options: &[&str]) -> [u64; 2] {
    let client = Client::new().await;
    let seconds = if is_full() { 60 } else { 10 };
    let n = (seconds * 100).to_string();
    let load = ["-n", &n, "-c", "10", "--every", "10ms"];
    let begin = tokio::time::Instant::now();
    let mut told = 0;
    for counts in client.run_two(&[&load, options].concat()).await {
        assert_eq!(counts.all(), [seconds * 100, 0, 0], "{}", counts.0);
        told += counts.get("refreshes");
    }
    let lifetimes = begin.elapsed().as_secs_f64() / 2.0;
    let rotations = client.generation();
    // Ahead of expiry by up to a quarter of a lifetime, so a little more often than it expires.
    let most = lifetimes / 0.75 + 1.0;
    let needed = lifetimes.floor() - 1.0..=most;
    assert!(
        needed.contains(&(rotations as f64)),
        "{rotations} in {lifetimes}"
    );
    println!("{rotations} refreshes in {lifetimes:.1} lifetimes, {told} told of by two clients");
    [rotations, told]
}

/// How to start `client` for alice, whose tokens live for 2 seconds.
pub(crate) struct Client {
    setting: Setting,
    tokens: String,
}

impl Client {
    pub(crate) async fn new() -> Self {
        let setting = Setting::new();
        let tokens = setting.path("tokens.json");
        let first = setting.sign_in("alice", "wonderland").await;
        std::fs::write(&tokens, first.to_string()).unwrap();
        Self { setting, tokens }
    }

    fn start(&self, load: &[&str]) -> Child {
        self.start_at(&self.setting.server.url("/refresh"), load)
    }

    /// A client that refreshes at `refresh`.
    pub(crate) fn start_at(&self, refresh: &str, load: &[&str]) -> Child {
        let api = self.setting.server.url("/api/me");
        command("client")
            .args(["--api", &api, "--refresh", refresh])
            .args(["--tokens", &self.tokens])
            .args(load)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.setting.server.address()
    }

    pub(crate) fn generation(&self) -> u64 {
        generation(&self.stored())
    }

    async fn run_two(&self, load: &[&str]) -> [Counts; 2] {
        let [one, other] = [(); 2].map(|()| self.start(load));
        [Counts::of(one).await, Counts::of(other).await]
    }

    /// Lets the next process begin with a refresh.
    pub(crate) fn let_expire(&self) {
        self.change(|stored| stored["expires_at"] = 0.into());
    }

    /// Lets the next process use the token, and refresh it ahead of time.
    #[expect(clippy::disallowed_methods, reason = "the process reads the clock too")]
    pub(crate) fn let_age(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.change(|stored| {
            stored["generation"] = 1.into();
            stored["lifetime"] = 100.into();
            stored["expires_at"] = (now.as_secs() + 14).into();
        });
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut stored = self.stored();
        change(&mut stored);
        std::fs::write(&self.tokens, stored.to_string()).unwrap();
    }

    /// What the file holds, which is whole.
    fn stored(&self) -> Value {
        let json = std::fs::read(&self.tokens).unwrap();
        StoredTokens::from_json(&json).unwrap();
        serde_json::from_slice(&json).unwrap()
    }
}

/// What a client says at its end.
pub(crate) struct Counts(pub(crate) Value);

impl Counts {
    pub(crate) async fn of(process: Child) -> Self {
        let output = tokio::task::spawn_blocking(|| process.wait_with_output());
        let Output {
            status,
            stdout,
            stderr,
        } = output.await.unwrap().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        Self(serde_json::from_slice(&stdout).unwrap())
    }

    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap()
    }

    pub(crate) fn all(&self) -> [u64; 3] {
        ["ok", "status_401", "errors"].map(|name| self.get(name))
    }
}

fn is_full() -> bool {
    std::env::var_os("TEST_FULL").is_some()
}
