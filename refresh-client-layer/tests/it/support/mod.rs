//! A little world: a token server, and an API that believes it.

pub(crate) mod records;
pub(crate) mod shelf;
pub(crate) mod site;
pub(crate) mod token_server;
pub(crate) mod users;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use refresh_client_layer::{
    Event, Events, RefreshError, RefreshErrorKind, RefreshLayer, RefreshRequest, RefreshService,
    RefreshToken, Refresher, TokenManager, TokenManagerBuilder, TokenSet,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tower::{Layer, Service, ServiceExt as _};

pub(crate) type Body = Full<Bytes>;
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

pub(crate) const ORIGIN: &str = "https://api.example";
pub(crate) const URL: &str = "https://api.example/me";

/// Hands out access-2, access-3, .. one after the other; the API accepts the last one only.
#[derive(Clone, Default)]
pub(crate) struct World {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    calls: watch::Sender<u32>,
    is_held: watch::Sender<bool>,
    seen: Mutex<Seen>,
    script: Mutex<VecDeque<Answer>>,
    accepted: Mutex<Option<String>>,
}

#[derive(Default)]
struct Seen {
    refresh_tokens: Vec<String>,
    keys: Vec<Option<String>>,
    revoked: Vec<String>,
    api: Vec<ApiCall>,
}

/// What the API was sent.
#[derive(Clone, Debug)]
pub(crate) struct ApiCall {
    pub(crate) authorization: Vec<String>,
    pub(crate) status: StatusCode,
}

/// How the token server answers; the default is new tokens.
pub(crate) enum Answer {
    Tokens(TokenSet),
    Error(RefreshError),
    Panic,
    Silence,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self::default();
        world.accept(Some("access-1"));
        world
    }

    /// A session that begins with access-1.
    pub(crate) fn builder(&self) -> TokenManagerBuilder {
        let builder = TokenManager::builder(self.clone())
            .tokens(TokenSet::new("access-1", "refresh-1"))
            .origin(ORIGIN);
        // A test drives its runtime as long as it runs.
        match Handle::try_current() {
            Ok(runtime) => builder.runtime(runtime),
            Err(_) => builder,
        }
    }

    pub(crate) fn session(&self) -> TokenManager {
        self.builder().build().unwrap()
    }

    pub(crate) fn layered(&self, session: &TokenManager) -> RefreshService<Self> {
        RefreshLayer::new(session.clone()).layer(self.clone())
    }

    /// The only access token that the API accepts, until the next refresh.
    pub(crate) fn accept(&self, token: Option<&str>) {
        *self.shared.accepted.lock().unwrap() = token.map(str::to_owned);
    }

    pub(crate) fn answer_next(&self, answer: Answer) {
        self.shared.script.lock().unwrap().push_back(answer);
    }

    pub(crate) fn fail_next(&self, kind: RefreshErrorKind) {
        self.answer_next(Answer::Error(RefreshError::new(kind, "as the test wants")));
    }

    /// Keeps the token server from answering until `release`.
    pub(crate) fn hold(&self) {
        self.shared.is_held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.shared.is_held.send_replace(false);
    }

    /// Waits until the token server has been called `count` times.
    pub(crate) async fn called(&self, count: u32) {
        let mut calls = self.shared.calls.subscribe();
        calls.wait_for(|calls| *calls >= count).await.unwrap();
    }

    pub(crate) fn calls(&self) -> u32 {
        *self.shared.calls.borrow()
    }

    pub(crate) fn refresh_tokens(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().refresh_tokens.clone()
    }

    pub(crate) fn keys(&self) -> Vec<Option<String>> {
        self.shared.seen.lock().unwrap().keys.clone()
    }

    pub(crate) fn revoked(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().revoked.clone()
    }

    pub(crate) fn api_calls(&self) -> Vec<ApiCall> {
        self.shared.seen.lock().unwrap().api.clone()
    }

    pub(crate) fn count_api_calls(&self, status: StatusCode) -> usize {
        let calls = self.api_calls();
        calls.iter().filter(|call| call.status == status).count()
    }

    fn judge(&self, headers: &HeaderMap) -> StatusCode {
        let values = headers.get_all("authorization");
        let authorization: Vec<_> = values
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        let accepted = self.shared.accepted.lock().unwrap().clone();
        let accepted = accepted.map(|token| format!("Bearer {token}"));
        let status = match authorization.first() == accepted.as_ref() && accepted.is_some() {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        };
        self.shared.seen.lock().unwrap().api.push(ApiCall {
            authorization,
            status,
        });
        status
    }
}

impl Refresher for World {
    async fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, RefreshError> {
        {
            let mut seen = self.shared.seen.lock().unwrap();
            let token = request.refresh_token().secret().to_owned();
            seen.refresh_tokens.push(token);
            let key = request.idempotency_key();
            seen.keys.push(key.map(|key| key.secret().to_owned()));
        }
        self.shared.calls.send_modify(|calls| *calls += 1);
        let number = self.calls() + 1;
        let answer = self.shared.script.lock().unwrap().pop_front();
        let mut is_held = self.shared.is_held.subscribe();
        is_held.wait_for(|is_held| !is_held).await.unwrap();
        let tokens = match answer {
            None => TokenSet::new(format!("access-{number}"), format!("refresh-{number}")),
            Some(Answer::Tokens(tokens)) => tokens,
            Some(Answer::Error(error)) => return Err(error),
            Some(Answer::Panic) => panic!("as the test wants"),
            Some(Answer::Silence) => std::future::pending().await,
        };
        self.accept(Some(tokens.access_token().secret()));
        Ok(tokens)
    }

    async fn revoke(&self, token: RefreshToken) -> Result<(), RefreshError> {
        let mut seen = self.shared.seen.lock().unwrap();
        seen.revoked.push(token.secret().to_owned());
        Ok(())
    }
}

impl<B> Service<Request<B>> for World {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut response = Response::new(Body::from("from the api"));
        *response.status_mut() = self.judge(request.headers());
        ready(Ok(response))
    }
}

pub(crate) fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::default()).unwrap()
}

/// Sends a GET to the API.
pub(crate) async fn send<S>(service: &S) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    service.clone().oneshot(get(URL)).await
}

/// All events so far.
pub(crate) fn drain(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv()).collect()
}

/// Lets every task run until all of them wait.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
