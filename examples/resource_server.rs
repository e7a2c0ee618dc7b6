//! An API that verifies access tokens of an issuer elsewhere.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use auth_layer::keys::Jwks;
use auth_layer::keys::remote::RemoteKeysErrorKind;
use auth_layer::{Algorithm, AuthLayer, Claims, KeySet, RemoteKeys, Verifier, VerifyingKey};
use axum::routing::get;
use axum::{Json, Router};
use clap::{ArgGroup, Parser};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Protects `GET /api` with bearer access tokens; `GET /healthz` is open.
#[derive(Parser)]
#[command(group = ArgGroup::new("key_source").required(true))]
struct Options {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    addr: SocketAddr,
    /// Where the issuer publishes its JSON Web Key Set; fetched now and again.
    #[arg(long, value_name = "URL", group = "key_source")]
    jwks_url: Option<String>,
    /// The issuer, whose metadata say where its keys are; instead of --issuer.
    #[arg(
        long,
        value_name = "ISSUER",
        group = "key_source",
        conflicts_with = "issuer"
    )]
    discover: Option<String>,
    /// A JSON Web Key Set with the issuer's public keys.
    #[arg(long, value_name = "FILE", group = "key_source")]
    jwks_file: Option<PathBuf>,
    /// A secret shared with the issuer, in hexadecimal digits; with an HMAC --alg.
    #[arg(long, value_name = "HEX", group = "key_source")]
    secret: Option<String>,
    /// The algorithm of --secret; a JWKS says its own.
    #[arg(long, default_value = "HS256")]
    alg: Algorithm,
    /// The `iss` of the tokens.
    #[arg(long, required_unless_present = "discover")]
    issuer: Option<String>,
    /// The name that tokens have for this service in `aud`.
    #[arg(long)]
    audience: String,
    /// How far clocks may differ, at most 300s.
    #[arg(long, default_value = "0s")]
    leeway: humantime::Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    examples::report(serve(Options::parse()).await)
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let verifier = Verifier::builder()
        .keys(options.keys().await?)
        .issuer(options.issuer())
        .audience(&options.audience)
        .leeway(Duration::from(options.leeway))
        .build()?;
    let app = Router::new()
        .route("/api", get(api))
        .layer(AuthLayer::new(verifier))
        .route("/healthz", get(async || "ok"));

    let listener = TcpListener::bind(options.addr).await.map_err(|error| {
        format!(
            "cannot listen on {}: {error}; choose another --addr",
            options.addr
        )
    })?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(examples::terminated())
        .await?;
    Ok(())
}

async fn api(claims: Claims) -> Json<Value> {
    Json(json!({ "sub": claims.subject() }))
}

impl Options {
    fn issuer(&self) -> &str {
        let issuer = self.issuer.as_ref().or(self.discover.as_ref());
        issuer.map_or("", String::as_str)
    }

    async fn keys(&self) -> Result<KeySet, Box<dyn Error>> {
        if let Some(url) = &self.jwks_url {
            return fetched(RemoteKeys::new(url), url).await;
        }
        if let Some(issuer) = &self.discover {
            return fetched(RemoteKeys::discover(issuer), issuer).await;
        }
        if let Some(secret) = &self.secret {
            let secret = examples::unhex(secret).ok_or("--secret is not hexadecimal")?;
            return Ok(VerifyingKey::from_secret(self.alg, &secret)?.into());
        }
        let path = self.jwks_file.as_deref().ok_or("give a key source")?;
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let jwks =
            Jwks::parse(&text).map_err(|_| format!("{} is no JSON Web Key Set", path.display()))?;
        for skipped in jwks.skipped() {
            eprintln!(
                "key {} is not used: {}",
                skipped.kid().unwrap_or("?"),
                skipped.error()
            );
        }
        if jwks.keys().is_empty() {
            return Err(format!("{} has no key to verify with", path.display()).into());
        }
        Ok(jwks.into())
    }
}

/// A server that is not there yet may come; one that answers nonsense is a mistake to be mended.
async fn fetched(keys: RemoteKeys, from: &str) -> Result<KeySet, Box<dyn Error>> {
    match keys.ready().await {
        Ok(()) => {}
        Err(error)
            if matches!(
                error.kind(),
                RemoteKeysErrorKind::Unreachable | RemoteKeysErrorKind::TimedOut
            ) =>
        {
            eprintln!(
                "no keys from {from} yet: {}; requests are answered 503 until they come",
                chain(&error)
            );
        }
        Err(error) => return Err(format!("no keys from {from}: {}", chain(&error)).into()),
    }
    Ok(keys.into())
}

/// An error and what caused it.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
