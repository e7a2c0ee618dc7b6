//! Stays signed in with reqwest, in the fewest lines.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use examples::SignedIn;
use refresh_client_layer::AuthClient;
use refresh_client_layer::reqwest::ReqwestService;

/// Calls an API again and again and prints each answer; the token in FILE is refreshed meanwhile.
#[derive(Parser)]
struct Options {
    /// What to request.
    #[arg(long, value_name = "URL")]
    api: String,
    #[command(flatten)]
    signed_in: SignedIn,
    /// How many requests.
    #[arg(short, default_value_t = 10)]
    n: u64,
    /// How long to wait between two of them.
    #[arg(long, default_value = "1s")]
    every: humantime::Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::report(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let refresh = ReqwestService::new(reqwest::Client::builder())?;
    let session = options.signed_in.session(refresh, &options.api).await?;
    // No token follows a redirect to somebody else.
    let api = AuthClient::from_builder(reqwest::Client::builder(), session.clone())?;

    for _ in 0..options.n {
        let response = api.get(&options.api).send().await?;
        println!("{} {}", response.status(), response.text().await?);
        tokio::time::sleep(options.every.into()).await;
    }
    options.signed_in.close(&session).await
}
