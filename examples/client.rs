//! Sends many requests through the layer over hyper-util's client and counts what came of them.

use std::error::Error;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Parser;
use examples::{Answer, Load, SignedIn};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::{RefreshLayer, RefreshService};
use tower::{Layer as _, ServiceExt as _};

type Http = Client<HttpConnector, Full<Bytes>>;

/// Calls an API many times with a token that expires meanwhile. Prints one JSON line of counts.
#[derive(Parser)]
struct Options {
    /// What to request; plain http, as this program is for trying things out.
    #[arg(long, value_name = "URL")]
    api: String,
    #[command(flatten)]
    signed_in: SignedIn,
    #[command(flatten)]
    load: Load,
    /// POST so many bytes instead of a GET.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    body: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    examples::report(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    let session = options
        .signed_in
        .session(http.clone(), &options.api)
        .await?;
    let mut events = session.events();
    let api = RefreshLayer::new(session.clone()).layer(http);

    let method = if options.body == 0 { "GET" } else { "POST" };
    let request = Request::builder()
        .method(method)
        .uri(&options.api)
        .body(Full::from(vec![b'x'; options.body]))?;
    let send = move || send(api.clone(), request.clone());
    let counts = options.load.send(send).await?;
    options.signed_in.close(&session).await?;
    println!("{}", counts.to_json("status_401", &mut events));
    Ok(())
}

async fn send(api: RefreshService<Http>, request: Request<Full<Bytes>>) -> Answer {
    let answer = async {
        let response = api.oneshot(request).await?;
        let answer = (response.status(), response.extensions().get().copied());
        response.into_body().collect().await?;
        Ok::<_, Box<dyn Error + Send + Sync>>(answer)
    };
    match answer.await {
        Ok((status, outcome)) if status.is_success() => Answer::Served(outcome),
        Ok((StatusCode::UNAUTHORIZED, outcome)) => Answer::Refused(outcome),
        Ok((status, _)) => Answer::Failed(format!("the API answered {status}").into()),
        Err(error) => Answer::Failed(error),
    }
}
