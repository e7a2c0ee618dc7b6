use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use auth_layer::Algorithm;
use clap::Parser;
use examples::Store;

/// Issues, refreshes and revokes tokens, and protects `GET /api/me` with them.
///
/// `POST /login` takes {"username":..,"password":..} of alice/wonderland or bob/builder, as JSON.
/// `/refresh`, `/token`, `/revoke`, `/logout`, `/sessions`, `/introspect` (if a --client has a secret)
/// and the documents under `/.well-known` are those of the library; `GET /healthz` says ok. SIGTERM
/// lets requests that have begun end. RUST_LOG=info shows what happens to sessions.
#[derive(Parser)]
pub(crate) struct Options {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) addr: SocketAddr,
    /// Where sessions live: `memory`, `sqlite:PATH`, `postgres://...` or `redis://...`.
    #[arg(long, default_value = "memory")]
    pub(crate) store: Store,
    /// The file of the signing key and the refresh secret, made if it is missing. Servers that share
    /// a store share it too, and have one --issuer. Default: beside the SQLite file, or
    /// `auth_server.keys`. Not for `memory`: there keys and sessions die with the process.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// The `iss` of its tokens. Default: its own URL.
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Whom its tokens are for.
    #[arg(long, value_name = "A", default_value = "https://api.example")]
    pub(crate) audience: String,
    /// How long an access token lives, at most 1h.
    #[arg(long, default_value = "15m")]
    pub(crate) access_ttl: humantime::Duration,
    /// How long a session may stay unused.
    #[arg(long, default_value = "14d")]
    pub(crate) idle: humantime::Duration,
    /// How long a session lasts at most.
    #[arg(long, default_value = "90d")]
    pub(crate) absolute: humantime::Duration,
    /// How it signs: EdDSA, ES256, RS256, PS256, HS256, ...
    #[arg(long, default_value = "EdDSA")]
    pub(crate) alg: Algorithm,
    /// An OAuth 2.0 client, with its secret if it has one; may be repeated.
    #[arg(long, value_name = "ID[:SECRET]")]
    pub(crate) client: Vec<Client>,
    /// Keeps the refresh token of browsers in a cookie, `__Host-refresh`, and checks where requests
    /// with it come from.
    #[arg(long)]
    pub(crate) cookies: bool,
    /// How often a session may refresh in a minute; 0: as often as it likes, and guesses are not
    /// limited either.
    #[arg(long, value_name = "N", default_value = "30")]
    pub(crate) rate_limit: u32,
    /// Serves `GET /metrics`, in the text format of Prometheus.
    #[arg(long)]
    pub(crate) metrics: bool,
    /// How long a repeated refresh without an idempotency key is forgiven, at most 60s.
    #[arg(long, default_value = "0s")]
    pub(crate) repeat_leeway: humantime::Duration,
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

impl FromStr for Client {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, secret) = match text.split_once(':') {
            Some((id, secret)) => (id, Some(secret.to_owned())),
            None => (text, None),
        };
        if id.is_empty() || secret.as_deref() == Some("") {
            return Err("give ID or ID:SECRET".to_owned());
        }
        Ok(Self {
            id: id.to_owned(),
            secret,
        })
    }
}
