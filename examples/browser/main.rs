//! One page, without a framework, that keeps its session in cookie mode and shows what it does.

mod app;
mod page;
mod thefts;
mod thief;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use auth_layer::issue::TokenIssuer;
use auth_layer::store::MemoryStore;
use auth_layer::{Algorithm, RefreshSecrets, SigningKey, SigningKeys};
use clap::Parser;

use crate::thefts::Thefts;

/// Serves a page that signs in, calls an API, refreshes and shows each request as it happens.
///
/// Open the URL that it prints and sign in as alice/wonderland or bob/builder. The page counts an
/// access token down, lists the devices of its user and ends their sessions, shares one session among
/// its tabs, and has a thief copy the refresh token. Sessions and keys die with the process.
///
/// The refresh token is in a cookie that browsers keep only of this machine, such as
/// http://localhost:8080, or of a server with TLS: for other machines put a proxy with TLS in front.
/// But mind that everybody knows the passwords, and that `POST /demo/thief` plays the thief. RUST_LOG=info
/// shows what happens to sessions; SIGTERM lets requests that have begun end.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// How long an access token lives, 1s to 1h. A session may refresh 30 times a minute.
    #[arg(long, default_value = "20s")]
    access_ttl: humantime::Duration,
    /// How long a session may stay unused.
    #[arg(long, default_value = "14d")]
    idle: humantime::Duration,
}

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
    let url = url(address);
    let thefts = Thefts::default();
    let issuer = issuer(&options, &url, thefts.clone())?;

    println!("listening on {address}");
    println!("open {url}");
    axum::serve(
        listener,
        app::app(issuer, thefts).into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(examples::terminated())
    .await?;
    Ok(())
}

fn issuer(options: &Options, url: &str, thefts: Thefts) -> Result<TokenIssuer, Box<dyn Error>> {
    let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA)?);
    let secrets = RefreshSecrets::new(&examples::random()?)?;
    let issuer = TokenIssuer::builder(keys, secrets, MemoryStore::new())
        .issuer(url)
        .audience(url)
        .access_ttl(options.access_ttl.into())
        .idle(options.idle.into())
        .on_event(move |event| thefts.note(event))
        .build()?;
    Ok(issuer)
}

/// As a browser on this machine names it.
fn url(address: SocketAddr) -> String {
    match address.ip().is_loopback() || address.ip().is_unspecified() {
        true => format!("http://localhost:{}", address.port()),
        false => format!("http://{address}"),
    }
}
