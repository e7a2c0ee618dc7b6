//! Sends many gRPC calls through the layer over a tonic channel and counts what came of them.

use std::error::Error;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Parser;
use examples::{Answer, Load, SignedIn};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::{RefreshLayer, RefreshService};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer as _;

/// Asks a gRPC server many times for its health, with a token that expires meanwhile. Prints one JSON
/// line of counts.
#[derive(Parser)]
struct Options {
    /// The server; plain http, as this program is for trying things out.
    #[arg(long, value_name = "URL")]
    api: String,
    #[command(flatten)]
    signed_in: SignedIn,
    #[command(flatten)]
    load: Load,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    examples::report(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let session = options.signed_in.session(http, &options.api).await?;
    let mut events = session.events();
    let channel = Endpoint::new(options.api.clone())?.connect_lazy();
    let channel = RefreshLayer::new(session.clone()).layer(channel);
    // With an origin, so that the token goes there and nowhere else.
    let health = HealthClient::with_origin(channel, options.api.parse()?);

    let counts = options.load.send(move || check(health.clone())).await?;
    options.signed_in.close(&session).await?;
    println!("{}", counts.to_json("status_16", &mut events));
    Ok(())
}

async fn check(mut health: HealthClient<RefreshService<Channel>>) -> Answer {
    match health.check(HealthCheckRequest::default()).await {
        Ok(answer) => Answer::Served(answer.extensions().get().copied()),
        Err(status) if status.code() == Code::Unauthenticated => Answer::Refused(None),
        Err(status) => Answer::Failed(status.into()),
    }
}
