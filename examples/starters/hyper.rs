//! A client on hyper that stays signed in, also from one start to the next.
//! refresh-client-layer with the features `file` and `http`. The arguments are the server and a file,
//! into which the answer of a sign-in was put once; from then on the client keeps it.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use refresh_client_layer::{FileStore, HttpRefresher, Outcome, RefreshLayer, TokenManager};
use tower::{ServiceBuilder, ServiceExt as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or("http://127.0.0.1:8080".into());
    let tokens = arguments.next().unwrap_or("tokens.json".into());

    // For https give it a connector such as that of hyper-rustls.
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();

    let refresher = HttpRefresher::json(format!("{server}/refresh"), http.clone());
    let session = TokenManager::builder(refresher)
        .store(FileStore::new(tokens))
        .build()?; // without an `origin` only the server of the refresher sees the token
    let api = ServiceBuilder::new()
        .layer(RefreshLayer::new(session.clone()))
        .service(http);

    let request = Request::get(format!("{server}/api/me")).body(Full::default())?;
    let response = api.oneshot(request).await?;
    let attempts = response.extensions().get().map_or(0, Outcome::attempts);
    println!("{} after {attempts} attempts", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));

    // Before the program ends: a refresh that is cut off may cost the session.
    session.close(std::time::Duration::from_secs(30)).await;
    Ok(())
}
