use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_layer::endpoint::{Limits, TokenEndpoints, token_response};
use auth_layer::issue::{NewSession, SessionEvent};
use auth_layer::store::MemoryStore;
use auth_layer::{
    Algorithm, AuthLayer, Claims, RefreshSecrets, SigningKey, SigningKeys, TokenIssuer,
};
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_stream::wrappers::ReceiverStream;

/// An issuer and an API of a test's own. It signs in whoever comes and remembers what it sees.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) issuer: TokenIssuer,
    endpoints: TokenEndpoints,
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How often the tokens of each user were refreshed.
    refreshes: Mutex<HashMap<String, usize>>,
    /// How often each refresh token was presented.
    presented: Mutex<HashMap<String, usize>>,
    /// The headers of the latest request.
    headers: Mutex<Vec<(String, String)>>,
    /// The refresh token that was last handed out at a log-in.
    refresh_token: Mutex<String>,
    /// How often a refresh was held up.
    held: watch::Sender<usize>,
    release: Notify,
    goes_on: Notify,
}

impl Upstream {
    pub(super) async fn start(access_ttl: Duration) -> Self {
        let seen = Arc::<Seen>::default();
        let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
        let secrets = RefreshSecrets::new(&[7; 32]).unwrap();
        let issuer = TokenIssuer::builder(keys, secrets, MemoryStore::new())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .access_ttl(access_ttl)
            .on_event({
                let seen = seen.clone();
                move |event| seen.note(event)
            })
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoints = TokenEndpoints::new(issuer.clone()).limits(Limits::none());
        let upstream = Self {
            issuer,
            endpoints,
            address,
            seen,
        };
        let app = upstream.clone().app();
        tokio::spawn(async move { axum::serve(listener, app).await });
        upstream
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often a user's tokens were refreshed.
    pub(super) fn refreshes(&self, name: &str) -> usize {
        let refreshes = self.seen.refreshes.lock().unwrap();
        refreshes.get(name).copied().unwrap_or_default()
    }

    /// For each refresh token that was presented, how often it was.
    pub(super) fn presented(&self) -> Vec<usize> {
        let presented = self.seen.presented.lock().unwrap();
        presented.values().copied().collect()
    }

    /// The values of a header of the latest request.
    pub(super) fn header(&self, name: &str) -> Vec<String> {
        let headers = self.seen.headers.lock().unwrap();
        let values = headers.iter().filter(|(it, _)| it == name);
        values.map(|(_, value)| value.clone()).collect()
    }

    /// All that it has handed out at the latest log-in or got with the latest request.
    pub(super) fn tokens(&self) -> [String; 2] {
        let access = self.header("authorization").remove(0);
        let access = access.strip_prefix("Bearer ").unwrap().to_owned();
        [access, self.refresh_token()]
    }

    /// That of the latest log-in.
    pub(super) fn refresh_token(&self) -> String {
        self.seen.refresh_token.lock().unwrap().clone()
    }

    /// Waits until the refresh of a user whose name says so is held up.
    pub(super) async fn held(&self) {
        self.seen
            .held
            .subscribe()
            .wait_for(|it| *it > 0)
            .await
            .unwrap();
    }

    pub(super) fn release(&self) {
        self.seen.release.notify_one();
    }

    /// Sends the rest of a download of `/halves`.
    pub(super) fn go_on(&self) {
        self.seen.goes_on.notify_one();
    }

    fn app(self) -> Router {
        let api = Router::new()
            .route(
                "/me",
                get(async |claims: Claims| Json(json!({ "sub": claims.subject() }))),
            )
            .route("/odd", get(odd))
            .route("/bytes/{count}", get(download))
            .route("/halves", get(halves))
            .route("/count", post(count))
            .route("/socket", get(socket))
            .with_state(self.clone())
            .layer(AuthLayer::new(self.issuer.verifier()))
            .layer(from_fn_with_state(self.clone(), look));
        let endpoints = Router::new()
            .nest_service("/auth", self.endpoints.clone())
            .fallback_service(self.endpoints.clone())
            .layer(from_fn_with_state(self.clone(), hold));
        Router::new()
            .route("/login", post(login))
            .route("/auth/login", post(login))
            .with_state(self)
            .merge(api)
            .fallback_service(endpoints)
    }
}

impl Seen {
    fn note(&self, event: &SessionEvent) {
        if let SessionEvent::Refreshed { subject, .. } = event {
            let mut refreshes = self.refreshes.lock().unwrap();
            *refreshes.entry(subject.clone()).or_default() += 1;
        }
    }
}

async fn login(State(upstream): State<Upstream>, Json(body): Json<Value>) -> Response {
    let name = body["username"].as_str().unwrap();
    let pair = upstream.issuer.start(NewSession::new(name)).await.unwrap();
    let refresh_token = pair.refresh_token().expose().to_owned();
    *upstream.seen.refresh_token.lock().unwrap() = refresh_token;
    token_response(&pair).into_response()
}

async fn look(State(upstream): State<Upstream>, request: Request, next: Next) -> Response {
    let headers = request.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    *upstream.seen.headers.lock().unwrap() = headers.collect();
    next.run(request).await
}

/// Counts refreshes as they come; that of somebody slow waits until it is released.
async fn hold(State(upstream): State<Upstream>, request: Request, next: Next) -> Response {
    let is_refresh = request.uri().path() == "/refresh";
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let token: Value = serde_json::from_slice(&body).unwrap_or_default();
    let slow = upstream.issuer.list("slow").await.unwrap();
    let is_slow = slow
        .iter()
        .any(|it| of(&token["refresh_token"]) == it.id.as_bytes());
    if let (true, Some(token)) = (is_refresh, token["refresh_token"].as_str()) {
        let mut presented = upstream.seen.presented.lock().unwrap();
        *presented.entry(token.to_owned()).or_default() += 1;
    }
    if is_refresh && is_slow {
        upstream.seen.held.send_modify(|it| *it += 1);
        upstream.seen.release.notified().await;
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

/// The session that a refresh token names, after version and key id.
fn of(token: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let token = token.as_str().unwrap_or_default();
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .unwrap();
    bytes.get(2..18).unwrap_or_default().to_vec()
}

/// A response with headers that are nobody's business but the next hop's.
async fn odd(State(upstream): State<Upstream>) -> Response {
    let location = format!("{}/me", upstream.url());
    let headers = [
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("x-end", "2"),
        ("set-cookie", "__Host-refresh=planted; Path=/; Secure"),
        ("location", &location),
    ];
    (StatusCode::FOUND, headers, "").into_response()
}

async fn download(Path(count): Path<usize>) -> Body {
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = std::iter::repeat_n(chunk, count / CHUNK);
    Body::from_stream(tokio_stream::iter(chunks.map(Ok::<_, std::io::Error>)))
}

async fn halves(State(upstream): State<Upstream>) -> Body {
    let (chunks, body) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        chunks
            .send(Ok::<_, std::io::Error>("one half, "))
            .await
            .unwrap();
        upstream.seen.goes_on.notified().await;
        chunks.send(Ok("and the other")).await.unwrap();
    });
    Body::from_stream(ReceiverStream::new(body))
}

async fn count(request: Request) -> String {
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    bytes.to_string()
}

/// Leaves HTTP, and says everything twice.
async fn socket(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut socket = TokioIo::new(upgrade.await.unwrap());
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = socket.read(&mut buffer).await {
            let twice = buffer[..length].repeat(2);
            socket.write_all(&twice).await.unwrap();
        }
    });
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-protocol", "chat"),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

const CHUNK: usize = 64 * 1024;
