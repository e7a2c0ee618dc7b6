//! The layer over hyper-util's client, which the refresher shares.
#![cfg(feature = "http")]

mod support;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::{HttpRefresher, Outcome, RefreshLayer, TokenManager, TokenSet};
use support::site::{Site, ok, status};
use tower::{Service, ServiceBuilder, ServiceExt};

#[tokio::test]
async fn one_client_serves_the_api_and_the_refresher() {
    let site = Site::start(|hit| match (hit.path.as_str(), hit.token()) {
        ("/refresh", None) => {
            let mut response = ok();
            let json = r#"{"access_token":"access-2","refresh_token":"refresh-2"}"#;
            *response.body_mut() = Full::from(json);
            response
        }
        (_, Some("Bearer access-2")) => ok(),
        _ => status(401),
    })
    .await;
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let session = TokenManager::builder(HttpRefresher::json(site.url("/refresh"), http.clone()))
        .tokens(TokenSet::new("access-1", "refresh-1"))
        .build()
        .unwrap();
    let mut api = ServiceBuilder::new()
        .layer(RefreshLayer::new(session))
        .service(http);

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
    assert_eq!(body, "as it came");
    let paths: Vec<_> = site.hits().iter().map(|hit| hit.path.clone()).collect();
    assert_eq!(paths, ["/things", "/refresh", "/things"]);
    assert_eq!(site.hits()[2].body, "payload");
}
