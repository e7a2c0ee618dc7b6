//! The client against an OAuth 2.0 server that somebody else wrote (`tests/oauth_server`), in a process of
//! its own: 2-second access tokens, rotation, and an end to the session when a refresh token comes twice.

use std::time::Duration;

use refresh_client_layer::dpop::DpopKey;
use refresh_client_layer::reqwest::ReqwestService;
use refresh_client_layer::{
    AuthClient, EndReason, Event, Events, HttpRefresher, Outcome, TokenError, TokenManager,
    TokenManagerBuilder, TokenSet,
};
use reqwest::Body;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

type Http = HttpRefresher<ReqwestService, Body>;

/// One client of the server.
struct Server {
    url: String,
    client: &'static str,
}

impl Server {
    fn with(client: &'static str) -> Self {
        let url = std::env::var("TEST_OAUTH_URL").unwrap_or_else(|_| {
            panic!("TEST_OAUTH_URL is not set: run `tests/run test`, which starts the server")
        });
        Self { url, client }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn sign_in(&self) -> TokenSet {
        let url = self.at(&format!("/sign-in?client={}", self.client));
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        TokenSet::from_json(&answer.bytes().await.unwrap()).unwrap()
    }

    fn refresher(&self) -> Http {
        let http = ReqwestService::new(reqwest::Client::builder()).unwrap();
        HttpRefresher::oauth2(self.at("/token"), http).client_id(self.client)
    }

    /// A session with another's tokens or its own.
    fn session(&self, refresher: Http, tokens: TokenSet) -> TokenManagerBuilder {
        TokenManager::builder(refresher)
            .tokens(tokens)
            .origin(&self.url)
    }

    async fn count(&self, what: &str) -> u64 {
        let url = self.at(&format!("/counts?client={}", self.client));
        let counts: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        counts[what].as_u64().unwrap()
    }
}

fn refreshes(events: &mut Events) -> u64 {
    let all = std::iter::from_fn(|| events.try_recv());
    all.map(|event| u64::from(matches!(event, Event::Refreshed { .. })))
        .sum()
}

/// Four requests at once, eight times a second, until there were 1,000 of them and 20 expiries.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the OAuth 2.0 server of tests/oauth_server: tests/run test"]
async fn a_thousand_requests_across_twenty_expiries_see_no_failure_and_one_refresh_for_each() {
    let server = Server::with("public");
    let tokens = server.sign_in().await;
    let session = server.session(server.refresher(), tokens).build().unwrap();
    let mut events = session.events();
    let api = AuthClient::new(reqwest::Client::new(), session);
    let mut ticks = interval(Duration::from_millis(125));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let (mut requests, mut expiries, mut retries) = (0, 0, 0);
    while requests < 1_000 || expiries < 20 {
        ticks.tick().await;
        let mut calls = JoinSet::new();
        for _ in 0..4 {
            calls.spawn(api.get(server.at("/api")).send());
        }
        for sent in calls.join_all().await {
            let response = sent.unwrap();
            assert_eq!(response.status(), 200);
            let outcome: &Outcome = response.extensions().get().unwrap();
            retries += u64::from(outcome.is_retry());
            requests += 1;
        }
        expiries += refreshes(&mut events);
        assert!(requests < 2_000, "{expiries} refreshes");
    }
    println!("{requests} requests, {expiries} expiries, {retries} retries");
    assert_eq!(server.count("refreshes").await, expiries);
    assert_eq!(server.count("refused").await, 0);
    assert_eq!(server.count("revoked").await, 0);
    // Each token was used; the last one perhaps not yet.
    let used = server.count("used").await;
    assert!((expiries..=expiries + 1).contains(&used), "{used} tokens");
}

#[tokio::test]
#[ignore = "needs the OAuth 2.0 server of tests/oauth_server: tests/run test"]
async fn a_client_with_a_secret_is_known_in_either_way() {
    for (client, post) in [("basic", false), ("post", true)] {
        let server = Server::with(client);
        let refresher = match post {
            false => server.refresher().client_secret("a secret/+"),
            true => server.refresher().client_secret_post("a secret/+"),
        };
        let tokens = server.sign_in().await;
        let session = server.session(refresher, tokens).build().unwrap();
        session.force_refresh().await.unwrap();
        session.force_refresh().await.unwrap();
        assert_eq!(server.count("refreshes").await, 2, "{client}");
    }
}

/// Somebody with a copy refreshes first: the owner's try tells the server, and the session is over.
#[tokio::test]
#[ignore = "needs the OAuth 2.0 server of tests/oauth_server: tests/run test"]
async fn a_stolen_refresh_token_ends_the_session_for_both() {
    let server = Server::with("stolen");
    let tokens = server.sign_in().await;
    let build = |tokens| server.session(server.refresher(), tokens).build().unwrap();
    let (thief, owner) = (build(tokens.clone()), build(tokens));
    thief.force_refresh().await.unwrap();
    for session in [owner, thief] {
        let TokenError::SessionEnded(error) = session.force_refresh().await.unwrap_err() else {
            panic!("the session is over")
        };
        assert_eq!(error.reason(), EndReason::Refused);
    }
    assert_eq!(server.count("revoked").await, 1);
}

/// With nonces at the token endpoint and at the API, and a thief who has everything but the key.
#[tokio::test]
#[ignore = "needs the OAuth 2.0 server of tests/oauth_server: tests/run test"]
async fn a_session_that_is_bound_to_a_key_lives_and_is_of_no_use_to_a_thief() {
    let server = Server::with("bound");
    let key = DpopKey::generate().unwrap();
    let url = format!("/sign-in?client=bound&jkt={}", key.thumbprint());
    let answer = reqwest::Client::new().post(server.at(&url)).send().await;
    let answer = answer.unwrap().bytes().await.unwrap();
    assert!(TokenSet::from_json(&answer).is_err(), "no bearer token");
    let build = |key: &DpopKey| {
        let tokens = TokenSet::bound_from_json(&answer, key).unwrap();
        server.session(server.refresher(), tokens).build().unwrap()
    };
    let thief = build(&DpopKey::generate().unwrap());
    assert!(matches!(
        thief.force_refresh().await,
        Err(TokenError::SessionEnded(_))
    ));

    let owner = build(&key);
    let api = AuthClient::new(reqwest::Client::new(), owner.clone());
    for attempts in [2, 1] {
        let me = api.get(server.at("/me")).send().await.unwrap();
        assert_eq!(me.status(), 200);
        let outcome: &Outcome = me.extensions().get().unwrap();
        assert_eq!(outcome.attempts(), attempts);
        owner.force_refresh().await.unwrap();
    }
    assert_eq!(server.count("refreshes").await, 2);
}
