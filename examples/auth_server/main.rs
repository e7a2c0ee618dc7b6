//! An issuer of tokens, with two demo users and an API that wants them.

mod keys;
mod login;
mod options;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use auth_layer::endpoint::TokenEndpoints;
use auth_layer::issue::TokenIssuer;
use auth_layer::store::{MemoryStore, PostgresStore, RedisStore, SqliteStore};
use auth_layer::{AuthLayer, Claims};
use axum::body::Bytes;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use serde_json::{Value, json};

use crate::keys::Keys;
use crate::login::{Users, login};
use crate::options::{Options, Store};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    examples::report(serve(Options::parse()).await)
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let listener = examples::listen(options.addr).await?;
    let address = listener.local_addr()?;
    let base_url = format!("http://{address}");
    let issuer = issuer(&options, &base_url).await?;

    println!("listening on {address}");
    axum::serve(listener, app(issuer, &options, base_url))
        .with_graceful_shutdown(examples::terminated())
        .await?;
    Ok(())
}

async fn issuer(options: &Options, base_url: &str) -> Result<TokenIssuer, Box<dyn Error>> {
    // The store first: where it does not open, nothing is left behind.
    let builder = match &options.store {
        Store::Memory => {
            let keys = Keys::generate(options.alg)?;
            TokenIssuer::builder(keys.signing, keys.refresh, MemoryStore::new())
        }
        Store::Sqlite(path) => {
            let store = SqliteStore::open(path).await?;
            let keys = Keys::open_or_create(&options.keys_file(path), options.alg)?;
            TokenIssuer::builder(keys.signing, keys.refresh, store)
        }
        Store::Postgres(url) => {
            let store = PostgresStore::connect(url).await?;
            let keys =
                Keys::open_or_create(&options.keys_file(Path::new("auth_server")), options.alg)?;
            TokenIssuer::builder(keys.signing, keys.refresh, store)
        }
        Store::Redis(url) => {
            let store = RedisStore::connect(url).await?;
            let keys =
                Keys::open_or_create(&options.keys_file(Path::new("auth_server")), options.alg)?;
            TokenIssuer::builder(keys.signing, keys.refresh, store)
        }
    };
    let issuer = builder
        .issuer(options.issuer.as_deref().unwrap_or(base_url))
        .audience(&options.audience)
        .access_ttl(options.access_ttl.into())
        .idle(options.idle.into())
        .absolute(options.absolute.into())
        .repeat_leeway(options.repeat_leeway.into())
        .build()?;
    Ok(issuer)
}

fn app(issuer: TokenIssuer, options: &Options, base_url: String) -> Router {
    let api = Router::new()
        .route("/api/me", get(me).post(echo))
        .layer(AuthLayer::new(issuer.verifier()));
    let endpoints = options.client.iter().fold(
        TokenEndpoints::new(issuer.clone()).base_url(base_url),
        |endpoints, client| match &client.secret {
            Some(secret) => endpoints.confidential_client(&client.id, secret),
            None => endpoints.public_client(&client.id),
        },
    );
    Router::new()
        .route("/login", post(login))
        .with_state((issuer, Users::demo()))
        .merge(api)
        .route("/healthz", get(async || "ok"))
        .fallback_service(endpoints)
}

async fn me(claims: Claims) -> Json<Value> {
    Json(json!({ "sub": claims.subject() }))
}

async fn echo(claims: Claims, body: Bytes) -> Json<Value> {
    Json(json!({ "sub": claims.subject(), "bytes": body.len() }))
}
