//! An API that verifies access tokens of an issuer elsewhere.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use auth_layer::keys::Jwks;
use auth_layer::protect::proof::Dpop;
use auth_layer::{Algorithm, AuthLayer, Claims, KeySet, Verifier, VerifyingKey};
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Protects `GET /api` with access tokens; `GET /healthz` is open.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    addr: SocketAddr,
    /// A JSON Web Key Set with the issuer's public keys.
    #[arg(long, value_name = "FILE", required_unless_present = "secret")]
    jwks_file: Option<PathBuf>,
    /// A secret shared with the issuer, in hexadecimal digits; with an HMAC --alg.
    #[arg(long, value_name = "HEX", conflicts_with = "jwks_file")]
    secret: Option<String>,
    /// The algorithm of --secret; a JWKS says its own.
    #[arg(long, default_value = "HS256")]
    alg: Algorithm,
    /// The `iss` of the tokens.
    #[arg(long)]
    issuer: String,
    /// The name that tokens have for this service in `aud`.
    #[arg(long)]
    audience: String,
    /// How far clocks may differ, at most 300s.
    #[arg(long, default_value = "0s")]
    leeway: humantime::Duration,
    /// Also accepts tokens that are bound to a key, with a DPoP proof for the address as requests
    /// name it, by http.
    #[arg(long)]
    dpop: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    examples::report(serve(Options::parse()).await)
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let app = Router::new()
        .route("/api", get(api))
        .layer(options.layer()?)
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
    fn layer(&self) -> Result<AuthLayer<Verifier>, Box<dyn Error>> {
        let verifier = Verifier::builder()
            .keys(self.keys()?)
            .issuer(&self.issuer)
            .audience(&self.audience)
            .leeway(Duration::from(self.leeway));
        if self.dpop {
            let verifier = verifier.accept_sender_constrained().build()?;
            Ok(AuthLayer::new(verifier).dpop(Dpop::new().plain_http()))
        } else {
            Ok(AuthLayer::new(verifier.build()?))
        }
    }

    fn keys(&self) -> Result<KeySet, Box<dyn Error>> {
        if let Some(secret) = &self.secret {
            let secret = examples::unhex(secret).ok_or("--secret is not hexadecimal")?;
            return Ok(VerifyingKey::from_secret(self.alg, &secret)?.into());
        }
        let path = self
            .jwks_file
            .as_deref()
            .ok_or("give --jwks-file or --secret")?;
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
