//! The layer calls the service that was readied, and holds nothing while it waits.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use refresh_client_layer::test_util::TokenServer;
use refresh_client_layer::{HttpRefresher, RefreshLayer, TokenManager, TokenSet};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use crate::support::{Body, BoxError, URL, World, get, send};

/// Panics when it is called without having been ready, or when a clone inherits readiness.
struct Strict {
    world: World,
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            world: self.world.clone(),
            is_ready: false,
        }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called unready");
        self.world.call(request)
    }
}

/// The API and the token endpoint of one origin behind one client, which takes its time as a network
/// does.
fn site() -> TokenServer {
    let server = TokenServer::new();
    server.delay_requests(Duration::from_millis(1));
    server.delay_refreshes(Duration::from_millis(1));
    server
}

async fn all_get_through<S>(server: &TokenServer, client: S)
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let refresher = HttpRefresher::json("https://api.example/refresh", client.clone());
    let (refused, expired) = (server.sign_in(), server.sign_in());
    for tokens in [refused, expired.expires_in(Duration::ZERO)] {
        let session = TokenManager::builder(refresher.clone())
            .tokens(tokens)
            .build()
            .unwrap();
        let api = RefreshLayer::new(session).layer(client.clone());
        server.expire_access_tokens();
        let requests = join_all((0..50).map(|_| send(&api)));
        let responses = tokio::time::timeout(Duration::from_secs(20), requests).await;
        for response in responses.expect("no deadlock") {
            assert_eq!(response.unwrap().status(), StatusCode::OK);
        }
    }
}

fn expired() -> TokenSet {
    TokenSet::new("access-1", "refresh-1").expires_in(Duration::ZERO)
}

/// Law C14: the refresher uses the same limited client.
#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_one_does_not_deadlock() {
    let server = site();
    all_get_through(&server, ConcurrencyLimit::new(server.clone(), 1)).await;
}

/// Law C14.
#[tokio::test(start_paused = true)]
async fn a_buffer_of_one_does_not_deadlock() {
    let server = site();
    all_get_through(&server, Buffer::new(server.clone(), 1)).await;
}

/// Law C14.
#[tokio::test(start_paused = true)]
async fn a_buffer_of_one_over_a_concurrency_limit_of_one_does_not_deadlock() {
    let server = site();
    let limited = ConcurrencyLimit::new(server.clone(), 1);
    all_get_through(&server, Buffer::new(limited, 1)).await;
}

/// Law C14.
#[tokio::test(start_paused = true)]
async fn the_service_that_was_readied_is_the_one_that_is_called() {
    let world = World::new();
    let strict = Strict {
        world: world.clone(),
        is_ready: false,
    };
    let session = world.session();
    let api = RefreshLayer::new(session.clone()).layer(strict);
    // At once, after a refusal, and after waiting.
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    world.accept(None);
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    session
        .sign_in(TokenSet::new("dead", "refresh").expires_in(Duration::ZERO))
        .unwrap();
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.calls(), 2);
}

/// Law C14: the layer's own readiness is that of the inner service.
#[tokio::test]
async fn a_readied_slot_is_given_back_while_a_request_waits_for_a_token() {
    let world = World::new();
    world.hold();
    let session = world.builder().tokens(expired()).build().unwrap();
    let limited = ConcurrencyLimit::new(world.clone(), 1);
    let mut waiting = RefreshLayer::new(session).layer(limited.clone());
    let ready = ServiceExt::<Request<Body>>::ready(&mut waiting)
        .await
        .unwrap();
    let response = tokio::spawn(ready.call(get(URL)));
    world.called(1).await;
    let mut other = limited;
    let ready = ServiceExt::<Request<Body>>::ready(&mut other);
    let ready = tokio::time::timeout(Duration::from_secs(5), ready).await;
    ready.expect("the slot is free").unwrap();
    drop(other);
    world.release();
    assert_eq!(response.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_error_of_the_inner_service_comes_through() {
    let world = World::new();
    let broken = tower::service_fn(|_: Request<Body>| {
        ready(Err::<Response<Body>, _>(std::io::Error::other(
            "as the test wants",
        )))
    });
    let api = RefreshLayer::new(world.session()).layer(broken);
    let error = send(&api).await.unwrap_err();
    assert!(error.downcast_ref::<std::io::Error>().is_some());
}

/// The types can be boxed, named and sent.
#[tokio::test]
async fn a_layered_service_is_like_any_other() {
    let world = World::new();
    let api = BoxCloneSyncService::new(world.layered(&world.session()));
    let response = api.oneshot(get(URL)).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "from the api");
}
