use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::{
    Event, Events, HttpRefresher, MemoryStore, Outcome, RefreshLayer, RefreshService, TokenManager,
    TokenSet, TokenStore as _,
};
use tower::{Layer as _, ServiceExt as _};

use crate::Result;
use crate::server::Premises;

type Http = Client<HttpConnector, Full<Bytes>>;

/// Somebody's device: a session, and a client that keeps it alive.
pub(crate) struct Device {
    pub(crate) session: TokenManager,
    store: MemoryStore,
    api: RefreshService<Http>,
    url: String,
    events: Events,
}

/// What a device found out about one request.
pub(crate) struct Call {
    pub(crate) status: StatusCode,
    pub(crate) is_retry: bool,
    pub(crate) took: Duration,
}

impl Device {
    /// Signs in at the server; the client is told what the answer says.
    pub(crate) async fn sign_in(premises: &Premises, name: &str) -> Result<Self> {
        let tokens = log_in(premises, name).await?;
        Self::with(premises, tokens, &premises.url("/refresh"))
    }

    pub(crate) fn with(premises: &Premises, tokens: TokenSet, refresh: &str) -> Result<Self> {
        let http = http();
        let store = MemoryStore::new();
        let session = TokenManager::builder(HttpRefresher::json(refresh, http.clone()))
            .tokens(tokens)
            .store(store.clone())
            .origin(premises.url(""))
            .build()?;
        Ok(Self {
            events: session.events(),
            api: RefreshLayer::new(session.clone()).layer(http),
            url: premises.url("/api/me"),
            session,
            store,
        })
    }

    /// Calls the API.
    pub(crate) async fn call(&self) -> Result<Call> {
        let begin = now();
        let request = Request::get(&self.url).body(Full::default())?;
        let response = self.api.clone().oneshot(request).await?;
        let outcome = response.extensions().get::<Outcome>();
        let is_retry = outcome.is_some_and(|it| it.is_retry());
        let status = response.status();
        response.into_body().collect().await?;
        Ok(Call {
            status,
            is_retry,
            took: now() - begin,
        })
    }

    /// Calls the API so many times at once.
    pub(crate) async fn call_at_once(&self, times: usize) -> Vec<Result<Call>> {
        futures_util::future::join_all((0..times).map(|_| self.call())).await
    }

    /// What a thief would copy.
    pub(crate) async fn refresh_token(&self) -> Result<String> {
        self.session.access_token().await?;
        self.session.flush(Duration::from_secs(30)).await;
        let stored = self.store.load().await?.ok_or("nobody is signed in")?;
        Ok(stored.tokens().refresh_token().secret().to_owned())
    }

    /// What happened to the session since the last time this was asked.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv()).collect()
    }
}

pub(crate) async fn log_in(premises: &Premises, name: &str) -> Result<TokenSet> {
    let (status, body) = post(&premises.url(&format!("/login/{name}")), String::new()).await?;
    if status != StatusCode::OK {
        return Err(format!("the log-in was answered {status}").into());
    }
    Ok(TokenSet::from_json(&body)?)
}

/// Asks for new tokens as a thief or any plain client does: the token, and nothing else.
pub(crate) async fn refresh_plainly(
    premises: &Premises,
    token: &str,
) -> Result<(StatusCode, Option<TokenSet>)> {
    let body = serde_json::json!({ "refresh_token": token }).to_string();
    let (status, body) = post(&premises.url("/refresh"), body).await?;
    Ok((status, TokenSet::from_json(&body).ok()))
}

/// Calls the API with this very access token.
pub(crate) async fn call_plainly(premises: &Premises, token: &str) -> Result<StatusCode> {
    let request = Request::get(premises.url("/api/me"))
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())?;
    Ok(http().oneshot(request).await?.status())
}

async fn post(url: &str, body: String) -> Result<(StatusCode, Bytes)> {
    let request = Request::post(url)
        .header("content-type", "application/json")
        .body(Full::from(body))?;
    let response = http().oneshot(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

#[expect(
    clippy::disallowed_methods,
    reason = "durations are measured for the reader"
)]
fn now() -> Instant {
    Instant::now()
}
