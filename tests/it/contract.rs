//! The wire, and both sides held to it: what the client asks is what the server takes, and what the
//! server answers is what the client reads.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_layer::clock::ManualClock;
use auth_layer::endpoint::TokenEndpoints;
use auth_layer::issue::NewSession;
use auth_layer::store::MemoryStore as Sessions;
use auth_layer::{Algorithm, RefreshSecrets, SigningKey, SigningKeys, Timestamp, TokenIssuer};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use refresh_client_layer::{HttpRefresher, TokenError, TokenManager, TokenSet};
use serde_json::Value;
use tower::{ServiceExt as _, service_fn};

/// What goes over the wire in one exchange.
#[derive(Debug)]
struct Exchange {
    method: String,
    path: String,
    content_type: String,
    key: Option<String>,
    sent: String,
    status: StatusCode,
    answer: String,
}

#[derive(Clone)]
struct Wire {
    endpoints: TokenEndpoints,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

impl Wire {
    async fn carry(self, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let sent = body.collect().await.unwrap().to_bytes();
        let header = |name: &str| {
            head.headers
                .get(name)
                .map(|it| it.to_str().unwrap().to_owned())
        };
        let (content_type, key) = (header("content-type").unwrap(), header("idempotency-key"));
        let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
        let request = Request::from_parts(head, Full::new(sent.clone()));
        let response = self.endpoints.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let (sent, answer, status) = (text(&sent), text(&body), head.status);
        let exchange = Exchange {
            method,
            path,
            content_type,
            key,
            sent,
            status,
            answer,
        };
        self.seen.lock().unwrap().push(exchange);
        Response::from_parts(head, Full::new(body))
    }
}

struct Pair {
    issuer: TokenIssuer,
    clock: ManualClock,
    wire: Wire,
}

impl Pair {
    fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
        let secrets = RefreshSecrets::new(&[7; 32]).unwrap();
        let issuer = TokenIssuer::builder(keys, secrets, Sessions::new())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(clock.clone())
            .build()
            .unwrap();
        let endpoints = TokenEndpoints::new(issuer.clone()).public_client("app");
        Self {
            issuer,
            clock,
            wire: Wire {
                endpoints,
                seen: Arc::default(),
            },
        }
    }

    async fn client(&self, dialect: Dialect) -> TokenManager {
        let session = NewSession::new("alice");
        let session = match dialect {
            Dialect::Json => session,
            Dialect::OAuth2 => session.client_id("app"),
        };
        let pair = self.issuer.start(session).await.unwrap();
        self.client_with(pair.access_token(), pair.refresh_token().expose(), dialect)
    }

    fn client_with(&self, access: &str, refresh: &str, dialect: Dialect) -> TokenManager {
        let wire = self.wire.clone();
        let http = service_fn(move |request| {
            let wire = wire.clone();
            async move { Ok::<_, Infallible>(wire.carry(request).await) }
        });
        let refresher = match dialect {
            Dialect::Json => HttpRefresher::json("https://auth.example/refresh", http),
            Dialect::OAuth2 => {
                HttpRefresher::oauth2("https://auth.example/token", http).client_id("app")
            }
        };
        // The server's clock stands still: its tokens look expired, so their lifetime is told.
        let tokens = TokenSet::new(access, refresh).expires_in(Duration::from_secs(900));
        TokenManager::builder(refresher)
            .tokens(tokens)
            .build()
            .unwrap()
    }

    fn last(&self) -> Exchange {
        self.wire.seen.lock().unwrap().pop().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    Json,
    OAuth2,
}

fn names(json: &str) -> BTreeSet<String> {
    let value: Value = serde_json::from_str(json).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

const ANSWER: [&str; 5] = [
    "access_token",
    "expires_in",
    "idempotent",
    "refresh_token",
    "token_type",
];

#[tokio::test]
async fn a_json_refresh_is_asked_and_answered_as_the_wire_says() {
    let pair = Pair::new();
    let client = pair.client(Dialect::Json).await;
    client.force_refresh().await.unwrap();
    let it = pair.last();
    assert_eq!((it.method.as_str(), it.path.as_str()), ("POST", "/refresh"));
    assert_eq!(it.content_type, "application/json");
    assert_eq!(
        names(&it.sent),
        BTreeSet::from(["refresh_token".to_owned()])
    );
    let key = it.key.unwrap();
    let inside = key
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"'))
        .unwrap();
    let is_base64url = |it: char| it.is_ascii_alphanumeric() || "-_".contains(it);
    assert!(
        inside.len() >= 22 && inside.chars().all(is_base64url),
        "16 random bytes or more"
    );
    assert_eq!(it.status, StatusCode::OK);
    assert_eq!(names(&it.answer), ANSWER.map(str::to_owned).into());
    let answer: Value = serde_json::from_str(&it.answer).unwrap();
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"]),
        (&"Bearer".into(), &900.into())
    );
    assert_eq!(answer["idempotent"], true);
}

#[tokio::test]
async fn an_oauth2_refresh_is_asked_and_answered_as_the_wire_says() {
    let pair = Pair::new();
    let client = pair.client(Dialect::OAuth2).await;
    client.force_refresh().await.unwrap();
    let it = pair.last();
    assert_eq!((it.method.as_str(), it.path.as_str()), ("POST", "/token"));
    assert_eq!(it.content_type, "application/x-www-form-urlencoded");
    let fields: BTreeSet<_> = it
        .sent
        .split('&')
        .map(|it| it.split('=').next().unwrap())
        .collect();
    assert_eq!(
        fields,
        BTreeSet::from(["client_id", "grant_type", "refresh_token"])
    );
    assert_eq!(names(&it.answer), ANSWER.map(str::to_owned).into());
}

#[tokio::test]
async fn a_log_out_ends_the_session_at_the_server_in_both_dialects() {
    for (dialect, path) in [(Dialect::Json, "/logout"), (Dialect::OAuth2, "/revoke")] {
        let pair = Pair::new();
        let client = pair.client(dialect).await;
        client.access_token().await.unwrap();
        assert!(client.sign_out().await.is_revoked());
        assert_eq!(pair.last().path, path);
        assert!(pair.issuer.list("alice").await.unwrap().is_empty());
    }
}

/// Whether the client thinks that the session is over.
async fn is_over(client: &TokenManager) -> bool {
    matches!(
        client.force_refresh().await,
        Err(TokenError::SessionEnded(_))
    )
}

#[tokio::test]
async fn what_ends_a_session_at_the_server_ends_it_at_the_client() {
    for dialect in [Dialect::Json, Dialect::OAuth2] {
        let pair = Pair::new();
        let client = pair.client(dialect).await;
        client.access_token().await.unwrap();
        pair.issuer.revoke_all("alice").await.unwrap();
        assert!(is_over(&client).await);
        let it = pair.last();
        let status = if dialect == Dialect::Json { 401 } else { 400 };
        assert_eq!(
            (it.status.as_u16(), it.answer.contains("invalid_grant")),
            (status, true)
        );

        let pair = Pair::new();
        let client = pair.client(dialect).await;
        client.access_token().await.unwrap();
        pair.clock.advance(Duration::from_secs(15 * 24 * 3600));
        assert!(is_over(&client).await, "unused for too long");
    }
}

#[tokio::test]
async fn a_text_that_is_not_a_refresh_token_ends_the_session() {
    for (dialect, status) in [(Dialect::Json, 401), (Dialect::OAuth2, 400)] {
        let pair = Pair::new();
        let client = pair.client_with("access", "not-ours", dialect);
        assert!(is_over(&client).await);
        let exchange = pair.last();
        assert_eq!(
            (
                exchange.status.as_u16(),
                exchange.answer.contains("invalid_grant")
            ),
            (status, true)
        );
    }
}
