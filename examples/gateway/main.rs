//! A reverse proxy: sessions of its own in front, and one at the upstream for each of them.
//!
//! The browser's access token is a bearer token in the memory of the page. A cookie would go with every
//! request by itself, also with those that another site makes the browser send: so there is none but
//! for `/refresh` and `/logout`, which check where they are called from.

mod answer;
mod app;
mod bearer;
mod config;
mod departures;
mod forwarded;
mod hops;
mod login;
mod options;
mod proxy;
mod seal;
mod sessions;
mod store;
mod tunnel;
mod upstream;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::options::Options;
use crate::sessions::Sessions;
use crate::upstream::Upstream;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    examples::report(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    serve(config::read(std::env::args_os().collect())?).await
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let upstream = Upstream::new(&options)?;
    let listener = examples::listen(options.addr).await?;
    let sessions = Sessions::open(&options, upstream.clone()).await?;
    let tunnels = TaskTracker::new();
    let app = app::app(&options, upstream, sessions.clone(), tunnels.clone())?;

    println!("listening on {}", listener.local_addr()?);
    let serving = axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(examples::terminated());
    let served = async {
        serving.await?;
        tunnels.close();
        tunnels.wait().await;
        Ok::<_, std::io::Error>(())
    };
    let late = async {
        examples::terminated().await;
        tokio::time::sleep(options.drain.into()).await;
    };
    tokio::select! {
        served = served => served?,
        () = late => tracing::warn!("requests were cut off"),
    }
    sessions.settled().await;
    sessions.managers.flush(Duration::from_secs(30)).await;
    Ok(())
}
