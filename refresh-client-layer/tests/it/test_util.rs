//! The token server for tests of users' own.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::test_util::TokenServer;
use refresh_client_layer::{HttpRefresher, Outcome, RefreshLayer, RefreshService, TokenManager};
use tower::{Layer, Service, ServiceExt};

use crate::support::{Body, BoxError};

type Refresher = HttpRefresher<TokenServer, Body>;
type Api = RefreshService<TokenServer>;

fn json(server: &TokenServer) -> Refresher {
    HttpRefresher::json(server.url("/refresh"), server.clone())
}

fn signed_in(server: &TokenServer, refresher: Refresher) -> (TokenManager, Api) {
    let session = TokenManager::builder(refresher).tokens(server.sign_in());
    let session = session.build().unwrap();
    (
        session.clone(),
        RefreshLayer::new(session).layer(server.clone()),
    )
}

async fn status_of(api: &Api, server: &TokenServer) -> StatusCode {
    let request = Request::get(server.url("/me")).body(Body::default());
    let response = api.clone().oneshot(request.unwrap()).await.unwrap();
    response.status()
}

#[tokio::test(start_paused = true)]
async fn tokens_rotate_in_both_dialects_and_expire_by_the_paused_clock() {
    let server = TokenServer::new();
    server.set_lifetime(Duration::from_secs(60));
    let oauth2 = HttpRefresher::oauth2(server.url("/token"), server.clone());
    for refresher in [json(&server), oauth2] {
        let (session, api) = signed_in(&server, refresher);
        for _ in 0..3 {
            assert_eq!(status_of(&api, &server).await, StatusCode::OK);
            tokio::time::advance(Duration::from_secs(61)).await;
        }
        assert!(session.sign_out().await.is_revoked());
    }
    let counts = server.counts();
    assert_eq!((counts.requests, counts.refused), (6, 0));
    assert_eq!((counts.refreshes, counts.rotations), (4, 4));
    assert_eq!(counts.sign_outs, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_repeated_with_its_key_and_is_a_theft_without() {
    for honours in [true, false] {
        let server = TokenServer::new();
        server.honour_idempotency_keys(honours);
        let (session, api) = signed_in(&server, json(&server));
        server.lose_answers(1);
        // The same refresh tries again.
        assert_eq!(session.force_refresh().await.is_ok(), honours);
        let counts = server.counts();
        assert_eq!(counts.rotations, 1);
        assert_eq!(
            (counts.repeats, counts.reuses),
            if honours { (1, 0) } else { (0, 1) }
        );
        if honours {
            assert_eq!(status_of(&api, &server).await, StatusCode::OK);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_can_fail_wait_and_end() {
    let server = TokenServer::new();
    let (session, api) = signed_in(&server, json(&server));
    server.fail_refreshes(1, StatusCode::INTERNAL_SERVER_ERROR);
    session.force_refresh().await.unwrap_err();
    tokio::time::advance(Duration::from_secs(2)).await;

    server.delay_refreshes(Duration::from_secs(5));
    let start = tokio::time::Instant::now();
    session.force_refresh().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);

    server.delay_refreshes(Duration::ZERO);
    server.hold_refreshes();
    server.expire_access_tokens();
    let requests = (0..10).map(|_| {
        let (api, server) = (api.clone(), server.clone());
        tokio::spawn(async move { status_of(&api, &server).await })
    });
    let requests: Vec<_> = requests.collect();
    server.refreshes_arrived(3).await;
    server.release();
    for status in join_all(requests).await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!(server.counts().refreshes, 3);
    assert_eq!(server.counts().refused, 10);

    server.end_sessions();
    assert_eq!(status_of(&api, &server).await, StatusCode::UNAUTHORIZED);
    session.access_token().await.unwrap_err();
}

#[tokio::test]
async fn it_listens_on_loopback_and_refuses_before_or_after_the_body() {
    let server = TokenServer::new();
    let listening = server.listen().await.unwrap();
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let refresher = HttpRefresher::json(listening.url("/refresh"), http.clone());
    let session = TokenManager::builder(refresher)
        .tokens(server.sign_in())
        .build()
        .unwrap();
    let mut api = RefreshLayer::new(session).layer(http);
    for early in [true, false] {
        server.refuse_early(early);
        server.expire_access_tokens();
        let request = Request::post(listening.url("/things"))
            .body(Full::from(vec![b'x'; 1 << 20]))
            .unwrap();
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut api);
        let response = ready.await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let outcome = response.extensions().get::<Outcome>().unwrap();
        assert_eq!(outcome.attempts(), 2);
        let echoed = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(echoed.len(), 1 << 20);
    }
    assert_eq!(server.counts().rotations, 2);
    let addr = listening.addr();
    let request = Request::get(listening.url("/things")).body(Full::default());
    drop(listening);
    crate::support::settle().await;
    // Nor does the connection that was kept alive.
    let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut api);
    let sent = ready.await.unwrap().call(request.unwrap()).await;
    assert!(sent.is_err());
    let refused: Result<_, BoxError> = tokio::net::TcpStream::connect(addr)
        .await
        .map_err(Into::into);
    assert!(refused.is_err());
}
