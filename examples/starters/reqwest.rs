//! A client on reqwest that signs in, stays signed in and signs out.
//! refresh-client-layer with the feature `reqwest`. The first argument is the server.

use std::time::Duration;

use refresh_client_layer::reqwest::{ReqwestService, same_origin_redirects};
use refresh_client_layer::{AuthClient, HttpRefresher, TokenManager, TokenSet};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1);
    let server = server.unwrap_or("http://127.0.0.1:8080".into());
    let http = reqwest::Client::builder()
        .redirect(same_origin_redirects()) // no token follows a redirect to somebody else
        .build()?;

    let login = http.post(format!("{server}/login"));
    let login = login.json(&json!({ "username": "alice", "password": "wonderland" }));
    let answer = login.send().await?.error_for_status()?;
    let tokens = TokenSet::from_json(&answer.bytes().await?)?;

    let refresh = ReqwestService::new(reqwest::Client::builder())?; // follows no redirects at all
    let refresher = HttpRefresher::json(format!("{server}/refresh"), refresh);
    let session = TokenManager::builder(refresher).tokens(tokens).build()?;
    let api = AuthClient::new(http, session.clone());

    // Whoever uses `api` need not think of tokens any more.
    for _ in 0..3 {
        let me = api.get(format!("{server}/api/me")).send().await?;
        println!("{}", me.error_for_status()?.text().await?);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let signed_out = session.sign_out().await;
    println!("signed out at the server: {}", signed_out.is_revoked());
    Ok(())
}
