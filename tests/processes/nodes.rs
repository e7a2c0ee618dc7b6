//! Two servers that share a Postgres, their keys and their name.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::engine::{Engine, free_port};
use crate::honest::Honest;
use crate::support::Server;

struct Nodes {
    servers: [Server; 2],
    _engine: Engine,
}

impl Nodes {
    async fn start() -> Self {
        let engine = Engine::postgres().await;
        let keys = engine.folder().join("keys").display().to_string();
        let name = format!("http://127.0.0.1:{}", free_port());
        let serve = || {
            let (store, addr) = (engine.url(), "127.0.0.1:0");
            let more = ["--issuer", &name, "--rate-limit", "0"];
            let node = ["--addr", addr, "--store", &store, "--keys", &keys];
            Server::start("auth_server", &[&node[..], &more].concat())
        };
        Self {
            servers: [serve(), serve()],
            _engine: engine,
        }
    }

    fn urls(&self) -> Vec<String> {
        self.servers.iter().map(|it| it.url("")).collect()
    }

    /// What the API of a node says to an access token.
    async fn me(&self, node: usize, token: &str) -> u16 {
        let call = reqwest::Client::new().get(self.servers[node].url("/api/me"));
        call.bearer_auth(token)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }
}

/// R7, between machines: each refresh of a session goes to the other node than the one before, and
/// some go to both at once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn ten_thousand_refreshes_that_alternate_between_two_nodes_lose_no_session() {
    const SESSIONS: usize = 50;
    const REFRESHES: u64 = 200;
    let nodes = Nodes::start().await;
    let begin = Instant::now();
    let mut sessions = JoinSet::new();
    for _ in 0..SESSIONS {
        let mut session = Honest::sign_in(nodes.urls()).await;
        sessions.spawn(async move {
            for turn in 0..REFRESHES {
                match turn % 10 {
                    9 => session.rotate_twice_at_once().await,
                    _ => session.rotate().await.unwrap(),
                }
            }
            session.generation()
        });
    }
    while let Some(generation) = sessions.join_next().await {
        assert_eq!(generation.unwrap(), REFRESHES);
    }
    let took = begin.elapsed();
    println!("{SESSIONS} sessions, {REFRESHES} refreshes each, on two nodes: {took:?}");
}

/// R9, and keys that both nodes have: each takes the tokens of the other, until one has revoked.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn what_one_node_revokes_the_other_refuses_within_a_second() {
    let nodes = Nodes::start().await;
    for revoking in 0..nodes.servers.len() {
        let session = Honest::sign_in(nodes.urls()).await;
        for node in 0..nodes.servers.len() {
            assert_eq!(nodes.me(node, session.access_token()).await, 200);
        }
        let revoke = reqwest::Client::new().post(nodes.servers[revoking].url("/revoke"));
        let answer = revoke
            .form(&[("token", session.refresh_token())])
            .send()
            .await;
        assert_eq!(answer.unwrap().status(), 200);
        let begin = Instant::now();
        assert_eq!(nodes.me(revoking, session.access_token()).await, 401);
        let other = 1 - revoking;
        let mut pace = interval(Duration::from_millis(10));
        while nodes.me(other, session.access_token()).await != 401 {
            pace.tick().await;
            assert!(begin.elapsed() < Duration::from_secs(1), "still accepted");
        }
        println!("refused by the other node after {:?}", begin.elapsed());
    }
}
