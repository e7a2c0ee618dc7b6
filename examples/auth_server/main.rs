//! An issuer of tokens, with two demo users and an API that wants them.

mod app;
mod options;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use auth_layer::issue::TokenIssuer;
use clap::Parser;
use examples::Keys;

use crate::options::Options;

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
    let keys = || match options.store.keys_file("auth_server") {
        None => Keys::generate(options.alg),
        Some(default) => {
            Keys::open_or_create(options.keys.as_ref().unwrap_or(&default), options.alg)
        }
    };
    let issuer = options
        .store
        .issuer(keys)
        .await?
        .issuer(options.issuer.as_deref().unwrap_or(base_url))
        .audience(&options.audience)
        .access_ttl(options.access_ttl.into())
        .idle(options.idle.into())
        .absolute(options.absolute.into())
        .repeat_leeway(options.repeat_leeway.into())
        .build()?;
    Ok(issuer)
}
