//! A server of keys that does what it is told, and tokens of its keys.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use auth_layer::clock::ManualClock;
use auth_layer::keys::RemoteKeys;
use auth_layer::keys::remote::{BoxError, Fetcher, RemoteKeysBuilder};
use auth_layer::verify::{VerifierBuilder, Verify, VerifyErrorKind};
use auth_layer::{Claims, Timestamp, Verifier};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://auth.example";
pub(crate) const URL: &str = "https://auth.example/jwks";

/// A key whose name is whatever a test says.
pub(crate) struct Key(Ed25519KeyPair);

impl Key {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let x = BASE64.encode(self.0.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": x })
    }

    /// An hour of access.
    pub(crate) fn token(&self, kid: &str) -> String {
        self.sign(json!({ "alg": "EdDSA", "kid": kid }), json!({}))
    }

    pub(crate) fn sign(&self, header: Value, more: Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": "https://api.example", "sub": "alice", "exp": NOW + 3_600,
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let [header, claims] = [header, claims].map(|it| BASE64.encode(it.to_string()));
        let message = format!("{header}.{claims}");
        let signature = BASE64.encode(self.0.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// Answers with the same document on every path, unless told otherwise.
#[derive(Clone)]
pub(crate) struct KeyServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    pages: Vec<(String, Bytes)>,
    takes: Duration,
    mood: Mood,
    requests: Vec<Request<()>>,
    abandoned: usize,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Up,
    Down,
    Panics,
}

impl KeyServer {
    pub(crate) fn with(keys: &[Value]) -> Self {
        let server = Self(Arc::default());
        server.0.lock().unwrap().status = 200;
        server.publish(keys);
        server
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        self.say(200, json!({ "keys": keys }).to_string());
    }

    pub(crate) fn say(&self, status: u16, body: impl Into<Bytes>) {
        let mut state = self.0.lock().unwrap();
        (state.status, state.body) = (status, body.into());
    }

    /// Answers 404 on all paths but such.
    pub(crate) fn page(&self, path: &str, body: &Value) {
        let body = body.to_string().into();
        let mut state = self.0.lock().unwrap();
        state.pages.retain(|it| it.0 != path);
        state.pages.push((path.to_owned(), body));
    }

    pub(crate) fn header(&self, name: &'static str, value: &str) {
        let mut state = self.0.lock().unwrap();
        state.headers.insert(name, value.parse().unwrap());
    }

    pub(crate) fn takes(&self, time: Duration) {
        self.0.lock().unwrap().takes = time;
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    /// Fetches that were dropped before they were answered.
    pub(crate) fn abandoned(&self) -> usize {
        self.0.lock().unwrap().abandoned
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state
            .requests
            .iter()
            .map(|it| it.uri().path().to_owned())
            .collect()
    }

    pub(crate) fn last_headers(&self) -> HeaderMap {
        self.0
            .lock()
            .unwrap()
            .requests
            .last()
            .unwrap()
            .headers()
            .clone()
    }

    pub(crate) fn fetcher(&self) -> impl Fetcher + use<> {
        let server = self.clone();
        move |request: Request<()>| server.clone().answer(request)
    }

    pub(crate) fn builder(&self) -> RemoteKeysBuilder {
        RemoteKeys::builder(URL).fetcher(self.fetcher())
    }

    pub(crate) fn keys(&self) -> RemoteKeys {
        self.builder().build()
    }

    async fn answer(self, request: Request<()>) -> Result<Response<Bytes>, BoxError> {
        let mut answering = Answering {
            server: self.clone(),
            is_done: false,
        };
        let (takes, mood, response) = {
            let mut state = self.0.lock().unwrap();
            let body = match state.pages.iter().find(|it| it.0 == request.uri().path()) {
                Some((_, body)) => Some(body.clone()),
                None => state.pages.is_empty().then(|| state.body.clone()),
            };
            let mut response = Response::new(body.clone().unwrap_or_default());
            let status = if body.is_some() { state.status } else { 404 };
            *response.status_mut() = status.try_into().unwrap();
            *response.headers_mut() = state.headers.clone();
            let etag = state.headers.get("etag");
            if etag.is_some() && etag == request.headers().get("if-none-match") {
                *response.status_mut() = http::StatusCode::NOT_MODIFIED;
                *response.body_mut() = Bytes::new();
            }
            state.requests.push(request);
            (state.takes, state.mood, response)
        };
        assert!(mood != Mood::Panics, "as told");
        tokio::time::sleep(takes).await;
        answering.is_done = true;
        match mood {
            Mood::Down => Err("connection refused".into()),
            _ => Ok(response),
        }
    }
}

struct Answering {
    server: KeyServer,
    is_done: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.is_done && !std::thread::panicking() {
            self.server.0.lock().unwrap().abandoned += 1;
        }
    }
}

pub(crate) fn verifier(keys: &RemoteKeys) -> Verifier {
    builder().keys(keys.clone()).build().unwrap()
}

pub(crate) fn builder() -> VerifierBuilder {
    Verifier::builder()
        .issuer(ISSUER)
        .audience("https://api.example")
        .clock(ManualClock::at(Timestamp::from_secs(NOW)))
}

pub(crate) async fn ask<V: Verify>(verify: &V, token: &str) -> Result<(), VerifyErrorKind> {
    let answer: Result<Claims<_>, _> = verify.verify(token).await;
    answer.map(drop).map_err(|it| it.kind())
}

/// The answer if there is no wait for it.
pub(crate) fn at_once<V: Verify>(verify: &V, token: &str) -> Option<Result<(), VerifyErrorKind>> {
    now(ask(verify, token))
}

/// What a future comes to when it is polled once.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
