//! Cookie mode on both sides: a client that is no browser, with a jar, at the server's own endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use auth_layer::clock::{Clock as _, ManualClock, SystemClock};
use auth_layer::endpoint::CookieMode;
use auth_layer::issue::NewSession;
use auth_layer::store::MemoryStore as Sessions;
use auth_layer::{
    Algorithm, AuthLayer, RefreshSecrets, SigningKey, SigningKeys, TokenEndpoints, TokenIssuer,
};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use refresh_client_layer::reqwest::ReqwestService;
use refresh_client_layer::{
    AuthClient, HttpRefresher, MemoryStore, Outcome, TokenError, TokenManager, TokenSet,
};
use reqwest::cookie::{CookieStore as _, Jar};
use tokio::net::TcpListener;

/// A server that signs alice in at `/login`, and knows her at `/api`.
struct Server {
    issuer: TokenIssuer,
    clock: ManualClock,
    url: String,
    /// Whether the next answer is lost on its way.
    loses: Arc<AtomicBool>,
}

impl Server {
    async fn start() -> Self {
        let clock = ManualClock::at(SystemClock.now());
        let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
        let secrets = RefreshSecrets::new(&[7; 32]).unwrap();
        let issuer = TokenIssuer::builder(keys, secrets, Sessions::new())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(clock.clone())
            .build()
            .unwrap();
        let loses = Arc::new(AtomicBool::new(false));
        let app = app(&issuer).layer(from_fn({
            let loses = loses.clone();
            move |request, next| lose(loses.clone(), request, next)
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            issuer,
            clock,
            url,
            loses,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn expire_access_tokens(&self) {
        self.clock.advance(Duration::from_secs(16 * 60));
    }

    /// How often the one session was refreshed.
    async fn generation(&self) -> u64 {
        let sessions = self.issuer.list("alice").await.unwrap();
        assert_eq!(sessions.len(), 1);
        sessions[0].chain.generation
    }
}

fn app(issuer: &TokenIssuer) -> Router {
    let cookies = CookieMode::new().dangerously_without_tls();
    let endpoints = TokenEndpoints::new(issuer.clone()).cookies(cookies);
    let (at_login, door) = (issuer.clone(), endpoints.clone());
    let login = async move || {
        let pair = at_login.start(NewSession::new("alice")).await.unwrap();
        door.token_response(&pair)
    };
    let api = Router::new()
        .route("/api", get(async || "ok"))
        .layer(AuthLayer::new(issuer.verifier()));
    Router::new()
        .route("/login", post(login))
        .merge(api)
        .fallback_service(endpoints)
}

/// What a proxy says when it has lost the server's answer.
async fn lose(loses: Arc<AtomicBool>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match loses.swap(false, Ordering::Relaxed) {
        true => StatusCode::GATEWAY_TIMEOUT.into_response(),
        false => response,
    }
}

/// A program that keeps its cookies and tokens when it starts again.
struct Program<'a> {
    server: &'a Server,
    jar: Arc<Jar>,
    store: MemoryStore,
}

impl<'a> Program<'a> {
    async fn sign_in(server: &'a Server) -> (Self, TokenManager) {
        let program = Self {
            server,
            jar: Arc::default(),
            store: MemoryStore::new(),
        };
        let login = program.http().post(server.url("/login")).send().await;
        let answer = login.unwrap().bytes().await.unwrap();
        let tokens = TokenSet::in_cookie_from_json(&answer).unwrap();
        let session = program.start(Some(tokens));
        (program, session)
    }

    fn start(&self, tokens: Option<TokenSet>) -> TokenManager {
        let http = ReqwestService::new(self.builder()).unwrap();
        let refresher = HttpRefresher::cookie(self.server.url("/refresh"), http);
        let mut session = TokenManager::builder(refresher).store(self.store.clone());
        if let Some(tokens) = tokens {
            session = session.tokens(tokens);
        }
        session.build().unwrap()
    }

    fn http(&self) -> reqwest::Client {
        self.builder().build().unwrap()
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder().cookie_provider(self.jar.clone())
    }

    /// How many attempts a call of the API took.
    async fn attempts(&self, session: &TokenManager) -> u32 {
        let api = AuthClient::new(self.http(), session.clone());
        let response = api.get(self.server.url("/api")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.extensions().get::<Outcome>().unwrap().attempts()
    }

    fn cookie(&self) -> Option<String> {
        let cookies = self.jar.cookies(&self.server.url.parse().unwrap())?;
        Some(cookies.to_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_session_in_a_cookie_outlives_its_access_tokens_until_log_out() {
    let server = Server::start().await;
    let (program, session) = Program::sign_in(&server).await;
    assert_eq!(program.attempts(&session).await, 1);
    for generation in 1..=3 {
        let before = program.cookie().unwrap();
        server.expire_access_tokens();
        assert_eq!(program.attempts(&session).await, 2);
        assert_eq!(server.generation().await, generation);
        assert_ne!(program.cookie().unwrap(), before);
    }
    assert!(session.sign_out().await.is_revoked());
    assert_eq!(program.cookie(), None);
    assert!(server.issuer.list("alice").await.unwrap().is_empty());
}

/// Law C17, where the token is in the jar and the key in the store.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_cookie_and_key_of_before() {
    let server = Server::start().await;
    let (program, session) = Program::sign_in(&server).await;
    let before = program.cookie();
    server.loses.store(true, Ordering::Relaxed);
    let lost = session.force_refresh().await.unwrap_err();
    assert!(matches!(lost, TokenError::RefreshUnavailable(_)));
    assert_eq!(
        (server.generation().await, program.cookie()),
        (1, before.clone())
    );

    let session = program.start(None);
    session.force_refresh().await.unwrap();
    assert_eq!(server.generation().await, 1, "it is the same refresh");
    assert_ne!(program.cookie(), before);
    server.expire_access_tokens();
    assert_eq!(program.attempts(&session).await, 2);
    assert_eq!(server.generation().await, 2);
}

#[tokio::test]
async fn the_client_says_where_it_comes_from_and_who_does_not_is_refused() {
    let server = Server::start().await;
    let (program, session) = Program::sign_in(&server).await;
    let before = program.cookie();
    let foreign = Some("https://evil.example");
    for origin in [None, foreign] {
        let mut request = program.http().post(server.url("/refresh"));
        request = request.header("idempotency-key", "\"AAAAAAAAAAAAAAAAAAAAAA\"");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::FORBIDDEN
        );
    }
    assert_eq!((server.generation().await, program.cookie()), (0, before));
    session.force_refresh().await.unwrap();
    assert_eq!(server.generation().await, 1);
}
