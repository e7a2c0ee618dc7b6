//! Law C21: a request belongs to the sign-in under which it began.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use refresh_client_layer::{
    EndReason, NotRetried, Outcome, RefreshLayer, SessionEnded, TokenError, TokenManager, TokenSet,
};
use tokio::sync::watch;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};

use crate::support::{Body, BoxError, URL, World, send, settle};

/// The API of `world`, whose responses wait until `is_open`.
fn gated(
    world: &World,
    is_open: watch::Receiver<bool>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
+ Clone
+ Send
+ 'static {
    let world = world.clone();
    tower::service_fn(move |request: Request<Body>| {
        let (mut world, mut is_open) = (world.clone(), is_open.clone());
        async move {
            let response = world.call(request).await;
            is_open.wait_for(|is_open| *is_open).await.unwrap();
            response
        }
    })
}

fn post() -> Request<Body> {
    Request::post(URL).body(Body::from("a payment")).unwrap()
}

async fn bob_replaces_alice(session: &TokenManager) {
    session.sign_out().await;
    let bob = TokenSet::new("access-of-bob", "refresh-of-bob");
    session.sign_in(bob).unwrap();
}

fn sent_as_bob(world: &World) -> usize {
    let calls = world.api_calls();
    let is_bobs = |value: &String| value.contains("bob");
    calls
        .iter()
        .filter(|call| call.authorization.iter().any(is_bobs))
        .count()
}

fn is_replaced(error: &BoxError) -> bool {
    let ended = error.downcast_ref::<SessionEnded>();
    ended.is_some_and(|ended| ended.reason() == EndReason::Replaced)
}

#[tokio::test(start_paused = true)]
async fn late_401_of_one_user_is_not_repeated_as_another() {
    let world = World::new();
    world.accept(Some("access-of-bob"));
    let session = world.session();
    let (open, is_open) = watch::channel(false);
    let api = RefreshLayer::new(session.clone()).layer(gated(&world, is_open));

    let payment = tokio::spawn(api.oneshot(post()));
    settle().await;
    assert_eq!(world.count_api_calls(StatusCode::UNAUTHORIZED), 1);
    bob_replaces_alice(&session).await;
    open.send(true).unwrap();

    let response = payment.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.not_retried(), Some(NotRetried::SignInChanged));
    assert_eq!((sent_as_bob(&world), world.calls()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_refresh_do_not_change_user() {
    let world = World::new();
    world.accept(Some("access-of-bob"));
    let session = world.session();
    world.hold();
    let api = world.layered(&session);
    let refused = tokio::spawn(async move { send(&api).await });
    let asking = session.clone();
    let asked = tokio::spawn(async move { asking.force_refresh().await });
    world.called(1).await;
    settle().await;

    bob_replaces_alice(&session).await;
    settle().await;
    let response = refused.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    match asked.await.unwrap() {
        Err(TokenError::SessionEnded(ended)) => assert_ne!(ended.reason(), EndReason::Refused),
        other => panic!("{other:?}"),
    }
    assert_eq!(sent_as_bob(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn unsent_request_of_a_replaced_sign_in_fails() {
    let world = World::new();
    let session = world.session();
    session
        .sign_in(TokenSet::new("access-1", "refresh-1").expires_in(std::time::Duration::ZERO))
        .unwrap();
    world.hold();
    let (open, is_open) = watch::channel(false);
    let limited = ServiceBuilder::new()
        .concurrency_limit(1)
        .service(gated(&world, is_open));
    let mut occupied = limited.clone();
    let api = RefreshLayer::new(session.clone()).layer(limited);

    // It waits for a token first, and then for the only place.
    let payment = tokio::spawn(api.oneshot(post()));
    world.called(1).await;
    let other = Service::call(occupied.ready().await.unwrap(), post());
    let other = tokio::spawn(other);
    world.release();
    settle().await;
    bob_replaces_alice(&session).await;
    open.send(true).unwrap();

    other.await.unwrap().unwrap();
    let error = payment.await.unwrap().unwrap_err();
    assert!(is_replaced(&error), "{error}");
    assert_eq!(sent_as_bob(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn request_that_waits_for_its_place_carries_the_newest_token_of_its_sign_in() {
    let world = World::new();
    world.accept(None);
    let session = world.session();
    session
        .sign_in(TokenSet::new("access-1", "refresh-1").expires_in(std::time::Duration::ZERO))
        .unwrap();
    world.hold();
    let (open, is_open) = watch::channel(false);
    let limited = ServiceBuilder::new()
        .concurrency_limit(1)
        .service(gated(&world, is_open));
    let mut occupied = limited.clone();
    let api = RefreshLayer::new(session.clone()).layer(limited);

    let waiting = tokio::spawn(api.oneshot(post()));
    world.called(1).await;
    let other = Service::call(occupied.ready().await.unwrap(), post());
    let other = tokio::spawn(other);
    world.release();
    settle().await;
    session.force_refresh().await.unwrap();
    open.send(true).unwrap();

    other.await.unwrap().unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(world.calls(), 2);
}
