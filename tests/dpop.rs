//! Tokens that are bound to a key: the client's layer and the server's, over a real socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::time::Duration;

use auth_layer::clock::{Clock as _, SystemClock};
use auth_layer::proof::{Dpop, Nonces};
use auth_layer::{Algorithm, AuthLayer, Claims, SigningKey, Verifier};
use axum::Router;
use axum::routing::post;
use refresh_client_layer::dpop::DpopKey;
use refresh_client_layer::{
    AuthClient, Outcome, RefreshError, RefreshRequest, TokenManager, TokenSet,
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
