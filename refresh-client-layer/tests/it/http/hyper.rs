//! The layer over hyper-util's client, which the refresher shares.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use refresh_client_layer::test_util::TokenServer;
use refresh_client_layer::{
    HttpRefresher, Outcome, RefreshLayer, SessionEnded, TokenManager, TokenSet,
};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
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

type Answer = Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>>;

/// What becomes of `count` requests at once, over the one HTTP/2 connection that the refresh takes too, or
/// the few of HTTP/1.1 that the server takes. Refusals are `length` bytes long.
async fn crowd(
    is_h2: bool,
    (count, length): (usize, usize),
    refresh: (u16, &'static str),
) -> Vec<Answer> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |request: Request<Incoming>| {
        let token = request.headers().get("authorization");
        let (status, body) = match request.uri().path() {
            "/refresh" => (refresh.0, Bytes::from(refresh.1)),
            _ if token.is_some_and(|it| it == "Bearer access-2") => (200, Bytes::new()),
            _ => (401, Bytes::from(vec![b'x'; length])),
        };
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json");
        std::future::ready(Ok::<_, Infallible>(response.body(Full::new(body)).unwrap()))
    };
    tokio::spawn(async move {
        let connections = Arc::new(Semaphore::new(10));
        while let Ok(one) = connections.clone().acquire_owned().await {
            let (stream, _) = listener.accept().await.unwrap();
            let (io, answer) = (TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async move {
                // A client that has seen enough closes it.
                let _ = match is_h2 {
                    true => {
                        let connection = http2::Builder::new(TokioExecutor::new());
                        connection.serve_connection(io, answer).await
                    }
                    false => http1::Builder::new().serve_connection(io, answer).await,
                };
                drop(one);
            });
        }
    });
    let mut http = Client::builder(TokioExecutor::new());
    if !is_h2 {
        // One that was idle would be no less in the way of others than one that is held.
        http.pool_max_idle_per_host(0);
    }
    let http = http.http2_only(is_h2).build_http::<Full<Bytes>>();
    let refresher = HttpRefresher::oauth2(format!("{url}/refresh"), http.clone());
    let session = TokenManager::builder(refresher)
        .tokens(TokenSet::new("access-1", "refresh-1"))
        .build()
        .unwrap();
    let api = ServiceBuilder::new()
        .layer(RefreshLayer::new(session))
        .service(http);
    let sent = (0..count).map(|_| {
        let request = Request::get(format!("{url}/me")).body(Full::default());
        tokio::spawn(api.clone().oneshot(request.unwrap()))
    });
    let answers = tokio::time::timeout(Duration::from_secs(20), join_all(sent)).await;
    let answers = answers.expect("the refresh has its answer");
    answers.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_crowd_that_is_refused_does_not_keep_the_refresh_from_its_answer() {
    let tokens = r#"{"access_token":"access-2","refresh_token":"refresh-2","expires_in":600}"#;
    for (is_h2, size) in [
        (true, (100, 60_000)),
        (true, (1000, 6_000)),
        (false, (100, 60_000)),
    ] {
        for answer in crowd(is_h2, size, (200, tokens)).await {
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn if_the_session_is_over_a_crowd_sees_as_many_401s_as_can_be_held() {
    for (count, length, refusals) in [(1, 6_000, 1), (1, 60_000, 0), (100, 6_000, 5)] {
        let end = (400, r#"{"error":"invalid_grant"}"#);
        let mut seen = 0;
        for answer in crowd(true, (count, length), end).await {
            match answer {
                Ok(response) => {
                    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                    let body = response.into_body().collect().await.unwrap();
                    assert_eq!(body.to_bytes().len(), length);
                    seen += 1;
                }
                Err(error) => assert!(error.is::<SessionEnded>(), "{error}"),
            }
        }
        assert_eq!(seen, refusals);
    }
}
