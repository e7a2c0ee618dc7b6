//! An issuer whose clock stands still and whose events are kept, and a client without a socket.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_layer::clock::ManualClock;
use auth_layer::issue::{
    NewSession, RefreshErrorKind, RefreshRequest, SessionEvent, TokenIssuerBuilder, TokenPair,
};
use auth_layer::store::{
    RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError, StoreErrorKind,
};
use auth_layer::verify::VerifyErrorKind;
use auth_layer::{
    Algorithm, Claims, IdempotencyKey, RefreshSecrets, SigningKey, SigningKeys, Timestamp,
    TokenEndpoints, TokenIssuer, Verifier, Verify as _,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const SECRET: [u8; 32] = *b"a refresh secret of 32 bytes!!!!";

pub(crate) fn builder(store: impl SessionStore) -> TokenIssuerBuilder {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    TokenIssuer::builder(
        SigningKeys::new(key),
        RefreshSecrets::new(&SECRET).unwrap(),
        store,
    )
    .issuer("https://auth.example")
    .audience("https://api.example")
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) issuer: TokenIssuer,
    pub(crate) endpoints: TokenEndpoints,
    pub(crate) clock: ManualClock,
    pub(crate) events: Events,
}

impl Server {
    pub(crate) fn new(store: impl SessionStore) -> Self {
        Self::of(builder(store))
    }

    pub(crate) fn of(builder: TokenIssuerBuilder) -> Self {
        let clock = ManualClock::at(NOW);
        let events = Events::default();
        let sink = events.clone();
        let builder = builder.clock(clock.clone());
        let issuer = builder.on_event(move |it| sink.0.lock().unwrap().push(it.clone()));
        let issuer = issuer.build().unwrap();
        let endpoints = TokenEndpoints::new(issuer.clone());
        Self {
            issuer,
            endpoints,
            clock,
            events,
        }
    }

    pub(crate) async fn refresh(&self, token: &str, key: Option<&str>) -> Answer {
        let body = serde_json::json!({ "refresh_token": token }).to_string();
        let mut request = post("/refresh", JSON, body);
        if let Some(key) = key {
            request.headers_mut().insert("idempotency-key", header(key));
        }
        self.send(request).await
    }

    pub(crate) async fn token(&self, form: impl Into<String>) -> Answer {
        self.send(post("/token", FORM, form)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(String::new()).unwrap())
            .await
    }

    /// What every answer has in common is checked here.
    pub(crate) async fn send(&self, request: Request<String>) -> Answer {
        let is_public =
            request.uri().path().ends_with("jwks.json") && request.method() == Method::GET;
        let answer = self.endpoints.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let cached = parts.headers["cache-control"].to_str().unwrap();
        assert_eq!(cached == "no-store", !is_public);
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            assert_eq!(parts.headers["content-type"], "application/json");
            serde_json::from_slice(&bytes).unwrap()
        };
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) fn post(path: &str, content_type: &str, body: impl Into<String>) -> Request<String> {
    let request = Request::post(path).header("content-type", content_type);
    request.body(body.into()).unwrap()
}

pub(crate) fn header(value: &str) -> http::HeaderValue {
    value.parse().unwrap()
}

/// The header value of an idempotency key of 16 equal bytes.
pub(crate) fn key(byte: u8) -> String {
    use base64::Engine as _;
    format!(
        "\"{}\"",
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([byte; 16])
    )
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn error(&self) -> (u16, &str) {
        (
            self.status.as_u16(),
            self.body["error"].as_str().unwrap_or(""),
        )
    }

    pub(crate) fn description(&self) -> &str {
        self.body["error_description"].as_str().unwrap_or("")
    }

    pub(crate) fn refresh_token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["refresh_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn access_token(&self) -> String {
        self.body["access_token"].as_str().unwrap().to_owned()
    }
}

#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<SessionEvent>>>);

impl Events {
    pub(crate) fn all(&self) -> Vec<SessionEvent> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, is: impl Fn(&SessionEvent) -> bool) -> usize {
        self.all().iter().filter(|it| is(it)).count()
    }

    pub(crate) fn reuses(&self) -> usize {
        self.count(|it| matches!(it, SessionEvent::ReuseDetected { .. }))
    }
}

/// A store that is down.
#[derive(Debug)]
pub(crate) struct Down;

impl SessionStore for Down {
    async fn insert(&self, _: Session, _: Option<u64>) -> Result<(), StoreError> {
        Err(StoreErrorKind::Unavailable.into())
    }

    async fn epoch(&self, _: &str) -> Result<u64, StoreError> {
        Err(StoreErrorKind::Unavailable.into())
    }

    async fn rotate(&self, _: Rotation) -> Result<Rotated, StoreError> {
        Err(StoreErrorKind::Unavailable.into())
    }

    async fn revoke(
        &self,
        _: Selection,
        _: RevokedBy,
        _: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        Err(StoreErrorKind::Unavailable.into())
    }

    async fn list(&self, _: Selection, _: Timestamp) -> Result<Vec<Session>, StoreError> {
        Err(StoreErrorKind::Unavailable.into())
    }
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn signed_in(server: &Server) -> String {
    sign_in(server, NewSession::new("alice")).await
}

pub(crate) async fn sign_in(server: &Server, session: NewSession) -> String {
    let pair = server.issuer.start(session).await.unwrap();
    pair.refresh_token().expose().to_owned()
}

pub(crate) fn form(token: &str, more: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}{more}")
}

pub(crate) fn keyed(pair: &TokenPair, byte: u8) -> RefreshRequest {
    plain(pair).idempotency_key(Some(IdempotencyKey::new([byte; 16]).unwrap()))
}

pub(crate) fn plain(pair: &TokenPair) -> RefreshRequest {
    RefreshRequest::new(pair.refresh_token().clone())
}

/// Why a refresh is refused.
pub(crate) async fn kind(server: &Server, request: RefreshRequest) -> RefreshErrorKind {
    server.issuer.refresh(request).await.unwrap_err().kind()
}

pub(crate) async fn verified(
    verifier: &Verifier,
    pair: &TokenPair,
) -> Result<Claims, VerifyErrorKind> {
    let verification = verifier.verify(pair.access_token());
    verification.await.map_err(|error| error.kind())
}
