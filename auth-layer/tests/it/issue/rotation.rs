//! Keys and secrets that are replaced while several servers issue: nobody notices.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use auth_layer::clock::ManualClock;
use auth_layer::issue::{NewSession, RefreshErrorKind, TokenPair};
use auth_layer::keys::remote::{BoxError, Fetcher};
use auth_layer::keys::{DatedKey, RemoteKeys, RotationSchedule};
use auth_layer::store::MemoryStore;
use auth_layer::{
    Algorithm, Clock as _, RefreshSecrets, SigningKey, SigningKeys, Timestamp, TokenEndpoints,
    TokenIssuer,
};
use axum::Router;
use axum::extract::Request;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::ServiceExt as _;

use crate::support::issue::{NOW, SECRET, Server, keyed, kind};
use crate::support::jwks::at_once;

const STEP: Duration = Duration::from_secs(30);
const ACCESS: Duration = Duration::from_secs(15 * 60);
const HOUR: Duration = Duration::from_secs(3600);

/// A server that signs, with a clock of its own.
struct Node {
    issuer: TokenIssuer,
    keys: SigningKeys,
    clock: ManualClock,
    /// When it last read the keys.
    seen: Vec<DatedKey>,
}

impl Node {
    fn new(store: MemoryStore, first: DatedKey, now: Timestamp) -> Self {
        let keys = SigningKeys::new(first.key.clone());
        let clock = ManualClock::at(now);
        let secrets = RefreshSecrets::new(&SECRET).unwrap();
        let issuer = TokenIssuer::builder(keys.clone(), secrets, store)
            .issuer(crate::support::jwks::ISSUER)
            .audience("https://api.example")
            .access_ttl(ACCESS)
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            issuer,
            keys,
            clock,
            seen: vec![first],
        }
    }

    fn follow(&self) -> bool {
        self.keys.follow(&SCHEDULE, &self.seen, self.clock.now())
    }

    async fn mint(&self) -> TokenPair {
        self.issuer.start(NewSession::new("alice")).await.unwrap()
    }
}

const SCHEDULE: RotationSchedule = RotationSchedule::every(HOUR)
    .keys_max_age(Duration::from_secs(300))
    .access_ttl(ACCESS)
    .slack(Duration::from_secs(300));

/// Serves the documents of both nodes in turn at one address, as a load balancer does.
async fn in_turn(nodes: &[Node; 2]) -> String {
    let endpoints = nodes
        .each_ref()
        .map(|it| TokenEndpoints::new(it.issuer.clone()));
    let turn = Arc::new(AtomicUsize::new(0));
    let app = Router::new().fallback(async move |request: Request| {
        let node = turn.fetch_add(1, Ordering::Relaxed) % 2;
        endpoints[node].clone().oneshot(request).await
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/.well-known/jwks.json")
}

/// Fetches over a socket, and knows whether a fetch is under way.
#[derive(Clone, Default)]
struct Line(Arc<AtomicUsize>);

impl Line {
    fn fetcher(&self) -> impl Fetcher + use<> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let line = self.clone();
        move |request: http::Request<()>| {
            let (client, line) = (client.clone(), line.clone());
            async move {
                line.0.fetch_add(1, Ordering::SeqCst);
                let answer = client.request(request.map(|()| Empty::new())).await;
                let (parts, body) = answer.map_err(BoxError::from)?.into_parts();
                let body = body.collect().await?.to_bytes();
                line.0.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, BoxError>(http::Response::from_parts(parts, body))
            }
        }
    }

    /// Time stands still until whatever was started is done.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        while self.0.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

/// Six hours, a new key each, two servers of which one reads the keys late and whose clocks are
/// apart. The verifier, elsewhere, knows each key before it meets it: no token waits for a fetch.
#[tokio::test(start_paused = true)]
async fn keys_take_turns_on_two_servers_and_no_token_is_refused_or_kept_waiting() {
    let first = DatedKey::new(SigningKey::generate(Algorithm::EdDSA).unwrap(), NOW);
    let store = MemoryStore::new();
    let ahead = Duration::from_secs(20);
    let mut nodes = [NOW, NOW.plus(ahead)].map(|it| Node::new(store.clone(), first.clone(), it));
    let line = Line::default();
    let remote = RemoteKeys::builder(in_turn(&nodes).await)
        .fetcher(line.fetcher())
        .build();
    let clock = ManualClock::at(NOW);
    let verifier = crate::support::jwks::builder()
        .keys(remote.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    line.settle().await;
    let mut file = vec![first];
    let mut young: VecDeque<(Timestamp, TokenPair)> = VecDeque::new();
    let (mut minted, mut turns) = (0, 0);
    for step in 0..6 * 120_u32 {
        if SCHEDULE.is_due(&file, nodes[0].clock.now()) {
            let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
            file.push(DatedKey::new(key, nodes[0].clock.now()));
            SCHEDULE.prune(&mut file, nodes[0].clock.now());
        }
        for (node, reads_every) in nodes.iter_mut().zip([2, 8]) {
            if step % reads_every == 1 {
                node.seen.clone_from(&file);
            }
            turns += usize::from(node.follow());
            young.push_back((clock.now(), node.mint().await));
            minted += 1;
        }
        for (at, pair) in &young {
            let answer = at_once(&verifier, pair.access_token());
            assert_eq!(answer, Some(Ok(())), "step {step}, minted {at:?}");
        }
        let over = |at: Timestamp| at.plus(ACCESS) <= clock.now().plus(STEP);
        while young.front().is_some_and(|(at, _)| over(*at)) {
            young.pop_front();
        }
        for clock in nodes.iter().map(|it| &it.clock).chain([&clock]) {
            clock.advance(STEP);
        }
        tokio::time::advance(STEP).await;
        line.settle().await;
    }
    assert_eq!((minted, turns), (1_440, 10), "five turns of each");
    assert!(file.len() <= 2, "what is over is gone");
}

/// Which secrets a server has, in the three steps.
#[derive(Clone, Copy)]
enum Secrets {
    Old,
    Announced,
    Replaced,
    New,
}

fn node(store: &MemoryStore, secrets: Secrets) -> Server {
    let [old, new] = [[1; 32], [2; 32]];
    let secrets = match secrets {
        Secrets::Old => RefreshSecrets::new(&old),
        Secrets::Announced => RefreshSecrets::new(&old).unwrap().next(&new),
        Secrets::Replaced => RefreshSecrets::new(&new).unwrap().previous(&old),
        Secrets::New => RefreshSecrets::new(&new),
    };
    let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
    let builder = TokenIssuer::builder(keys, secrets.unwrap(), store.clone());
    Server::of(builder.issuer("i").audience("a"))
}

/// Each refresh is repeated at the other server, as after a lost answer.
#[tokio::test]
async fn a_refresh_secret_is_replaced_on_two_servers_step_by_step_and_no_refresh_fails() {
    let store = MemoryStore::new();
    let start = node(&store, Secrets::Old);
    let mut pair = start.issuer.start(NewSession::new("alice")).await.unwrap();
    let mut number = 0;
    for both in [
        [Secrets::Old, Secrets::Old],
        [Secrets::Announced, Secrets::Old],
        [Secrets::Announced, Secrets::Announced],
        [Secrets::Announced, Secrets::Replaced],
        [Secrets::Replaced, Secrets::Replaced],
        [Secrets::New, Secrets::Replaced],
        [Secrets::New, Secrets::New],
    ] {
        let servers = both.map(|it| node(&store, it));
        for [first, second] in [[0, 1], [1, 0]] {
            number += 1;
            let lost = servers[first].issuer.refresh(keyed(&pair, number)).await;
            lost.unwrap();
            let again = servers[second].issuer.refresh(keyed(&pair, number)).await;
            pair = again.unwrap();
        }
    }
    assert_eq!(
        start.issuer.list("alice").await.unwrap()[0]
            .chain
            .generation,
        14
    );
}

#[tokio::test]
async fn a_secret_that_was_not_announced_costs_a_refresh_at_who_does_not_know_it_but_no_session() {
    let store = MemoryStore::new();
    let [old, replaced] = [Secrets::Old, Secrets::Replaced].map(|it| node(&store, it));
    let pair = old.issuer.start(NewSession::new("alice")).await.unwrap();
    let next = replaced.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    assert_eq!(
        kind(&old, keyed(&next, 2)).await,
        RefreshErrorKind::UnknownSecret
    );
    assert!(replaced.issuer.refresh(keyed(&next, 2)).await.is_ok());
}

/// During the second step one request may be answered by both kinds of servers. A client that compares texts, or tabs that share
/// a storage, must see one token.
#[tokio::test]
async fn while_the_refresh_secret_is_replaced_all_servers_return_one_text_for_one_child() {
    for (first, second) in [
        (Secrets::Announced, Secrets::Replaced),
        (Secrets::Replaced, Secrets::Announced),
    ] {
        let store = MemoryStore::new();
        let [first, second] = [first, second].map(|it| node(&store, it));
        let mut pair = first.issuer.start(NewSession::new("alice")).await.unwrap();
        for round in 0..4 {
            let answer = first.issuer.refresh(keyed(&pair, round)).await.unwrap();
            let repeat = second.issuer.refresh(keyed(&pair, round)).await.unwrap();
            let again = first.issuer.refresh(keyed(&pair, round)).await.unwrap();
            for other in [&repeat, &again] {
                assert_eq!(
                    answer.refresh_token().expose(),
                    other.refresh_token().expose()
                );
            }
            pair = repeat;
        }
    }
}
