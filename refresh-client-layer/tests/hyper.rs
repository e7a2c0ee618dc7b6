//! The layer over hyper-util's client, which the refresher shares.
#![cfg(all(feature = "http", feature = "test-util"))]

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::test_util::TokenServer;
use refresh_client_layer::{HttpRefresher, Outcome, RefreshLayer, TokenManager};
use tower::{Service, ServiceBuilder, ServiceExt};

#[tokio::test]
async fn one_client_serves_the_api_and_the_refresher() {
    let server = TokenServer::new();
    let site = server.listen().await.unwrap();
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let session = TokenManager::builder(HttpRefresher::json(site.url("/refresh"), http.clone()))
        .tokens(server.sign_in())
        .build()
        .unwrap();
    let mut api = ServiceBuilder::new()
        .layer(RefreshLayer::new(session))
        .service(http);

    server.expire_access_tokens();
    let request = Request::post(site.url("/things"))
        .body(Full::from("payload"))
        .unwrap();
    let response = api.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.extensions().get::<Outcome>().unwrap().attempts(),
        2
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "payload");
    let counts = server.counts();
    assert_eq!((counts.requests, counts.refreshes), (2, 1));
}
