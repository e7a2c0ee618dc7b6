use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth_layer::endpoint::{TokenEndpoints, token_response};
use auth_layer::issue::{NewSession, SessionEvent, TokenIssuer};
use auth_layer::store::SqliteStore;
use auth_layer::{Algorithm, AuthLayer, Claims, RefreshSecrets, SigningKey, SigningKeys};
use axum::Router;
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::Result;

/// How long access tokens live: seconds, so that the tour need not wait.
pub(crate) const ACCESS_TTL: Duration = Duration::from_secs(2);

/// What outlives the server process: its keys, its database, its address.
pub(crate) struct Premises {
    signing: SigningKeys,
    refresh_secret: [u8; 64],
    database: PathBuf,
    address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
}

/// What the server has seen.
#[derive(Default)]
pub(crate) struct Counts {
    refreshes: AtomicU64,
    refused: AtomicU64,
    events: Mutex<Vec<SessionEvent>>,
}

/// A running server: the pair's server half on a socket of this machine. Dropping it is like
/// pulling the plug.
pub(crate) struct Server {
    runtime: Option<Runtime>,
    pub(crate) issuer: TokenIssuer,
}

impl Premises {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Ok(Self {
            signing: SigningKeys::new(SigningKey::generate(Algorithm::EdDSA)?),
            refresh_secret: examples::random()?,
            database: folder.join("sessions.db"),
            address: std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?,
            counts: Arc::default(),
        })
    }

    pub(crate) async fn open(&self) -> Result<Server> {
        let (signing, refresh) = (
            self.signing.clone(),
            RefreshSecrets::new(&self.refresh_secret)?,
        );
        let (database, address, counts) =
            (self.database.clone(), self.address, self.counts.clone());
        // A runtime of its own: when it goes, everything of the server's goes.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let start = runtime.spawn(async move {
            let store = SqliteStore::open(database).await?;
            let noted = counts.clone();
            let issuer = TokenIssuer::builder(signing, refresh, store)
                .issuer(format!("http://{address}"))
                .audience("https://api.example")
                .access_ttl(ACCESS_TTL)
                .on_event(move |event| noted.note(event))
                .build()?;
            let listener = listen(address).await?;
            let app = app(issuer.clone(), counts);
            tokio::spawn(async move { axum::serve(listener, app).await });
            Ok::<_, Box<dyn Error + Send + Sync>>(issuer)
        });
        let issuer = start.await??;
        Ok(Server {
            runtime: Some(runtime),
            issuer,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Whether `secret` is to be found anywhere in the database's files.
    pub(crate) fn database_holds(&self, secret: &[u8]) -> Result<bool> {
        let folder = self.database.parent().unwrap_or(Path::new("."));
        for file in std::fs::read_dir(folder)? {
            let bytes = std::fs::read(file?.path())?;
            if bytes.windows(secret.len()).any(|it| it == secret) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Between two servers, somebody's connection may have the port for a moment.
async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    for _ in 0..50 {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
        sleep(Duration::from_millis(100)).await;
    }
    TcpListener::bind(address).await
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Counts {
    /// Requests to `/refresh` since the last time this was asked.
    pub(crate) fn take_refreshes(&self) -> u64 {
        self.refreshes.swap(0, Ordering::SeqCst)
    }

    /// Requests to the API that were answered 401 since the last time this was asked.
    pub(crate) fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::SeqCst)
    }

    /// Events since the last time this was asked.
    pub(crate) fn take_events(&self) -> Vec<SessionEvent> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, event: &SessionEvent) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event.clone());
    }
}

fn app(issuer: TokenIssuer, counts: Arc<Counts>) -> Router {
    let api = Router::new()
        .route(
            "/api/me",
            get(async |claims: Claims| claims.subject().unwrap_or_default().to_owned()),
        )
        .layer(AuthLayer::new(issuer.verifier()));
    Router::new()
        .route("/login/{name}", post(login))
        .with_state(issuer.clone())
        .merge(api)
        .fallback_service(TokenEndpoints::new(issuer))
        .layer(from_fn_with_state(counts, count))
}

/// Lets everybody in under the name they give: this tour is about what comes after.
async fn login(State(issuer): State<TokenIssuer>, UrlPath(name): UrlPath<String>) -> Response {
    match issuer.start(NewSession::new(name)).await {
        Ok(pair) => token_response(&pair).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn count(State(counts): State<Arc<Counts>>, request: Request, next: Next) -> Response {
    let is_refresh = request.uri().path() == "/refresh";
    let response = next.run(request).await;
    if is_refresh {
        counts.refreshes.fetch_add(1, Ordering::SeqCst);
    } else if response.status() == StatusCode::UNAUTHORIZED {
        counts.refused.fetch_add(1, Ordering::SeqCst);
    }
    response
}
