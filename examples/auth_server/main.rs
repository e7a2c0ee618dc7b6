//! An issuer of tokens, with two demo users and an API that wants them.

mod app;
mod keys;
mod options;

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use auth_layer::issue::TokenIssuer;
use auth_layer::store::{MemoryStore, PostgresStore, RedisStore, SqliteStore};
use clap::Parser;

use crate::keys::Keys;
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
    let app = app::app(issuer, &options, base_url)?;

    println!("listening on {address}");
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
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
