//! An API that verifies access tokens of an issuer elsewhere.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use auth_layer::Claims;
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use examples::Protection;
use serde_json::{Value, json};

/// Protects `GET /api` with access tokens; `GET /healthz` is open.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    addr: SocketAddr,
    #[command(flatten)]
    protection: Protection,
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
        .layer(options.protection.layer().await?)
        .route("/healthz", get(async || "ok"));

    let listener = examples::listen(options.addr).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(examples::terminated())
        .await?;
    Ok(())
}

/// Nobody's name without a token, which only `--optional` lets in.
async fn api(claims: Option<Claims>) -> Json<Value> {
    Json(json!({ "sub": claims.as_ref().and_then(Claims::subject) }))
}
