//! Tokens that are bound to a key: the client's layer and the server's, over a real socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use auth_layer::claims::Thumbprint;
use auth_layer::clock::{Clock as _, SystemClock};
use auth_layer::issue::NewSession;
use auth_layer::proof::{Dpop, Nonces};
use auth_layer::store::MemoryStore;
use auth_layer::{
    Algorithm, AuthLayer, Claims, RefreshSecrets, SigningKey, SigningKeys, TokenEndpoints,
    TokenIssuer, Verifier,
};
use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use axum::routing::post;
use refresh_client_layer::dpop::DpopKey;
use refresh_client_layer::reqwest::ReqwestService;
use refresh_client_layer::{
    AuthClient, HttpRefresher, Outcome, RefreshError, RefreshErrorKind, RefreshRequest, TokenError,
    TokenManager, TokenSet,
};
use serde_json::json;
use tokio::net::TcpListener;

struct Setting {
    issuer: SigningKey,
}

impl Setting {
    fn new() -> Self {
        let issuer = SigningKey::generate(Algorithm::EdDSA).unwrap();
        Self { issuer }
    }

    /// A token that has so many seconds left, and is bound to `key`.
    fn token(&self, key: &DpopKey, left: i64) -> String {
        let now = SystemClock.now().as_secs();
        let claims = json!({
            "iss": "https://auth.example", "aud": "https://api.example", "sub": "alice",
            "exp": now + left, "cnf": { "jkt": key.thumbprint() },
        });
        self.issuer.sign(&claims).unwrap()
    }

    /// An API that takes nothing but bound tokens, each proof once and only with its nonce.
    async fn serve(&self) -> String {
        let verifier = Verifier::builder()
            .key(self.issuer.verifying())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .accept_sender_constrained();
        let nonces = Nonces::new(&[7; 32]).unwrap();
        let dpop = Dpop::new().plain_http().required().nonces(nonces);
        let layer = AuthLayer::new(verifier.build().unwrap()).dpop(dpop);
        let echo = async |claims: Claims, body: String| {
            format!("{} {body}", claims.subject().unwrap_or_default())
        };
        let app = Router::new().route("/echo", post(echo)).layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }
}

/// A nonce that was not known, then a token that the server says is dead, although the client thinks
/// that it lives.
#[tokio::test]
async fn a_bound_session_passes_the_servers_layer_and_survives_an_expiry() {
    let setting = Setting::new();
    let key = DpopKey::generate().unwrap();
    let url = setting.serve().await;
    let fresh = setting.token(&key, 900);
    let dead = setting.token(&key, -1);
    let refresher = move |request: RefreshRequest| {
        let tokens = TokenSet::new(fresh.clone(), "refresh-2");
        let tokens = tokens.bound_to(request.dpop_key().unwrap().clone());
        async move { Ok::<_, RefreshError>(tokens) }
    };
    let tokens = TokenSet::new(dead, "refresh-1").bound_to(key);
    let session = TokenManager::builder(refresher)
        .tokens(tokens.expires_in(Duration::from_secs(900)))
        .origin(&url)
        .build()
        .unwrap();
    let api = AuthClient::new(reqwest::Client::new(), session);
    let mut attempts = Vec::new();
    for body in ["one", "two", "three"] {
        let sent = api.post(format!("{url}/echo?x=1")).body(body).send();
        let response = sent.await.unwrap();
        let outcome: &Outcome = response.extensions().get().unwrap();
        attempts.push(outcome.attempts());
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), format!("alice {body}"));
    }
    assert!(attempts[0] > 1, "{attempts:?}");
    assert_eq!(attempts[1..], [1, 1]);
}

#[tokio::test]
async fn a_stolen_bound_token_is_of_no_use() {
    let setting = Setting::new();
    let (owner, thief) = (DpopKey::generate().unwrap(), DpopKey::generate().unwrap());
    let url = setting.serve().await;
    let token = setting.token(&owner, 900);
    // The server has nothing for who lacks the key.
    let refused = |_: RefreshRequest| async {
        let kind = RefreshErrorKind::Refused;
        Err::<TokenSet, _>(RefreshError::new(kind, "not the key of the session"))
    };
    for (stolen, expected) in [
        (TokenSet::new(&token, "r").bound_to(owner), 200),
        (TokenSet::new(&token, "r").bound_to(thief), 401),
    ] {
        let session = TokenManager::builder(refused).tokens(stolen).origin(&url);
        let api = AuthClient::new(reqwest::Client::new(), session.build().unwrap());
        let request = api.post(format!("{url}/echo")).body("");
        assert_eq!(request.send().await.unwrap().status(), expected);
    }
    let bare = reqwest::Client::new().post(format!("{url}/echo"));
    let answer = bare.bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

/// The server's own endpoints, which want their nonce in each proof.
struct Auth {
    issuer: TokenIssuer,
    url: String,
    requests: Arc<AtomicU32>,
}

impl Auth {
    async fn start() -> Self {
        let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
        let secrets = RefreshSecrets::new(&[7; 32]).unwrap();
        let issuer = TokenIssuer::builder(keys, secrets, MemoryStore::new())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proofs = Dpop::new().nonces(Nonces::new(&[8; 32]).unwrap());
        let endpoints = TokenEndpoints::new(issuer.clone()).dpop(proofs);
        let requests = Arc::new(AtomicU32::new(0));
        let counted = requests.clone();
        let app = Router::new()
            .fallback_service(endpoints.base_url(&url))
            .layer(map_request(move |request: Request| {
                counted.fetch_add(1, Ordering::Relaxed);
                std::future::ready(request)
            }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            issuer,
            url,
            requests,
        }
    }

    /// The tokens of a session that is bound to `key`, as a thief has them too: without the key.
    async fn sign_in(&self, key: &DpopKey) -> TokenSet {
        let thumbprint: Thumbprint = key.thumbprint().parse().unwrap();
        let session = NewSession::new("alice").bound_to(thumbprint);
        let pair = self.issuer.start(session).await.unwrap();
        TokenSet::new(pair.access_token(), pair.refresh_token().expose())
    }

    /// How often the session was refreshed, which still lives.
    async fn generation(&self) -> u64 {
        let sessions = self.issuer.list("alice").await.unwrap();
        assert_eq!(sessions.len(), 1);
        sessions[0].chain.generation
    }

    fn session(&self, tokens: TokenSet) -> TokenManager {
        let http = ReqwestService::new(reqwest::Client::builder()).unwrap();
        let refresher = HttpRefresher::json(format!("{}/refresh", self.url), http);
        let session = TokenManager::builder(refresher).tokens(tokens);
        session.build().unwrap()
    }

    /// How many requests have come since the last call.
    fn requests(&self) -> u32 {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

/// Only the first proof is sent without a nonce.
#[tokio::test]
async fn a_bound_session_is_refreshed_at_the_servers_endpoint() {
    let auth = Auth::start().await;
    let key = DpopKey::generate().unwrap();
    let tokens = auth.sign_in(&key).await;
    let session = auth.session(tokens.bound_to(key));
    for requests in [2, 1, 1] {
        let token = session.force_refresh().await.unwrap();
        assert!(token.header().as_bytes().starts_with(b"DPoP "));
        assert_eq!(auth.requests(), requests);
    }
    assert_eq!(auth.generation().await, 3);
}

#[tokio::test]
async fn a_stolen_bound_refresh_token_is_of_no_use_and_its_owner_goes_on() {
    let auth = Auth::start().await;
    let key = DpopKey::generate().unwrap();
    let stolen = auth.sign_in(&key).await;
    let without_proof = auth.session(stolen.clone()).force_refresh().await;
    assert!(without_proof.is_err());
    let own_key = DpopKey::generate().unwrap();
    let thief = auth.session(stolen.clone().bound_to(own_key));
    let refused = thief.force_refresh().await.unwrap_err();
    assert!(matches!(refused, TokenError::SessionEnded(_)));
    assert_eq!(auth.generation().await, 0);

    let owner = auth.session(stolen.bound_to(key));
    for _ in 0..2 {
        owner.force_refresh().await.unwrap();
    }
    assert_eq!(auth.generation().await, 2);
}
