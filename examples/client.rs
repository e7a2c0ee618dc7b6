//! Sends many requests through the layer over hyper-util's client and counts what came of them.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::{
    Event, Events, HttpRefresher, Outcome, RefreshLayer, RefreshService, TokenManager,
};
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tower::{Layer as _, ServiceExt as _};

type Http = Client<HttpConnector, Full<Bytes>>;

/// Calls an API many times with a token that expires meanwhile. Prints one JSON line of counts.
#[derive(Parser)]
struct Options {
    /// What to request; plain http, as this program is for trying things out.
    #[arg(long, value_name = "URL")]
    api: String,
    /// Where to refresh.
    #[arg(long, value_name = "URL")]
    refresh: String,
    /// How to ask for it: JSON, or the form of OAuth 2.0.
    #[arg(long, value_enum, default_value = "json")]
    grant: Grant,
    /// The OAuth 2.0 client.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// A JSON file with `access_token`, `refresh_token` and perhaps `expires_in`, as a log-in
    /// answers; it is updated.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// How many requests.
    #[arg(short, default_value_t = 100)]
    n: u64,
    /// How many of them at once.
    #[arg(short, value_name = "CONCURRENCY", default_value_t = 10)]
    c: u64,
    /// How long from the start of one request to that of the next.
    #[arg(long, default_value = "0ms")]
    every: humantime::Duration,
    /// POST so many bytes instead of a GET.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    body: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Grant {
    Json,
    Oauth2,
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
    let session = sign_in(&options, http.clone()).await?;
    let mut events = session.events();
    let api = RefreshLayer::new(session).layer(http);

    let load = Arc::new(Load {
        options,
        api,
        next: AtomicU64::new(0),
        begin: Instant::now(),
        counts: Counts::default(),
    });
    let workers = (0..load.options.c.max(1)).map(|_| tokio::spawn(work(load.clone())));
    for worker in workers.collect::<Vec<_>>() {
        worker.await?;
    }
    println!("{}", load.counts.to_json(refreshes(&mut events)));
    Ok(())
}

async fn sign_in(options: &Options, http: Http) -> Result<TokenManager, Box<dyn Error>> {
    let refresher = match options.grant {
        Grant::Json => HttpRefresher::json(&options.refresh, http),
        Grant::Oauth2 => HttpRefresher::oauth2(&options.refresh, http),
    };
    let refresher = match &options.client_id {
        Some(id) => refresher.client_id(id),
        None => refresher,
    };
    let store = examples::signed_in(&options.tokens).await?;
    Ok(TokenManager::builder(refresher)
        .store(store)
        .origin(&options.api)
        .build()?)
}

struct Load {
    options: Options,
    api: RefreshService<Http>,
    next: AtomicU64,
    begin: Instant,
    counts: Counts,
}

/// Takes the next request until there is none.
async fn work(load: Arc<Load>) {
    loop {
        let turn = load.next.fetch_add(1, Ordering::Relaxed);
        if turn >= load.options.n {
            return;
        }
        let wait = Duration::from(load.options.every) * u32::try_from(turn).unwrap_or(u32::MAX);
        sleep_until(load.begin + wait).await;
        load.counts.note(send(&load).await);
    }
}

type Answer = (StatusCode, Option<Outcome>);

async fn send(load: &Load) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let method = if load.options.body == 0 {
        "GET"
    } else {
        "POST"
    };
    let body = Full::from(vec![b'x'; load.options.body]);
    let request = Request::builder()
        .method(method)
        .uri(&load.options.api)
        .body(body)?;
    let response = load.api.clone().oneshot(request).await?;
    let answer = (response.status(), response.extensions().get().copied());
    response.into_body().collect().await?;
    Ok(answer)
}

#[derive(Default)]
struct Counts {
    ok: AtomicU64,
    status_401: AtomicU64,
    errors: AtomicU64,
    retries: AtomicU64,
}

impl Counts {
    fn note(&self, result: Result<Answer, Box<dyn Error + Send + Sync>>) {
        let count = match &result {
            Ok((status, _)) if status.is_success() => &self.ok,
            Ok((StatusCode::UNAUTHORIZED, _)) => &self.status_401,
            _ => &self.errors,
        };
        count.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok((_, Some(outcome))) if outcome.is_retry() => {
                self.retries.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error, "a request failed"),
        }
    }

    fn to_json(&self, refreshes: u64) -> serde_json::Value {
        let [ok, status_401, errors, retries] =
            [&self.ok, &self.status_401, &self.errors, &self.retries]
                .map(|it| it.load(Ordering::Relaxed));
        json!({
            "ok": ok,
            "status_401": status_401,
            "errors": errors,
            "refreshes": refreshes,
            "retries": retries,
        })
    }
}

fn refreshes(events: &mut Events) -> u64 {
    let all = std::iter::from_fn(|| events.try_recv());
    all.filter(|event| matches!(event, Event::Refreshed { .. }))
        .count() as u64
}
