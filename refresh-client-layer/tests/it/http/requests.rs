//! What the API sees of a request, first and second time.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty, Full};
use refresh_client_layer::replay::Replay;
use refresh_client_layer::{
    NotRetried, Outcome, RefreshErrorKind, RefreshLayer, SessionEnded, SkipAuth,
};
use tower::{Layer, Service, ServiceExt as _};

use crate::support::{BoxError, URL, World, settle};

type Seen = Arc<Mutex<Vec<Request<Bytes>>>>;

/// Records each request with its body; accepts access-2 only.
fn recorder<B>(
    seen: Seen,
) -> impl Service<Request<B>, Response = Response<Full<Bytes>>, Error = BoxError> + Clone
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    tower::service_fn(move |request: Request<B>| {
        let seen = seen.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            let mut response = Response::new(Full::from("as it came"));
            let token = parts.headers.get("authorization").cloned();
            if token.is_none_or(|token| token != "Bearer access-2") {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            seen.lock().unwrap().push(Request::from_parts(parts, body));
            Ok::<_, BoxError>(response)
        }
    })
}

async fn send_through<B>(
    world: &World,
    request: Request<B>,
) -> (Response<Full<Bytes>>, Vec<Request<Bytes>>)
where
    B: http_body::Body<Data = Bytes> + Replay + Send + 'static,
    B::Error: Into<BoxError>,
{
    let seen = Seen::default();
    let api = RefreshLayer::new(world.session()).layer(recorder(seen.clone()));
    let response = api.oneshot(request).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (response, seen)
}

#[derive(Clone, Debug, PartialEq)]
struct Mark(&'static str);

/// Law H1.
#[tokio::test]
async fn the_retry_is_the_same_request_with_one_new_token() {
    let request = Request::builder()
        .method(Method::PATCH)
        .uri("https://api.example/things/1?q=%20")
        .version(Version::HTTP_11)
        .header("content-length", "7")
        .header("idempotency-key", "callers-own")
        .header("x-twice", "a")
        .header("x-twice", "b")
        .extension(Mark("kept"))
        .body(Full::from("payload"))
        .unwrap();
    let (response, seen) = send_through(&World::new(), request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(seen.len(), 2);
    for (request, token) in seen.iter().zip(["Bearer access-1", "Bearer access-2"]) {
        let values: Vec<_> = request.headers().get_all("authorization").iter().collect();
        assert_eq!(values, [token]);
        assert!(values[0].is_sensitive());
        assert_eq!(request.method(), Method::PATCH);
        assert_eq!(request.uri(), "https://api.example/things/1?q=%20");
        assert_eq!(request.version(), Version::HTTP_11);
        assert_eq!(request.extensions().get(), Some(&Mark("kept")));
        assert_eq!(request.body(), "payload");
        assert_eq!(request.headers()["content-length"], "7");
        assert_eq!(request.headers()["idempotency-key"], "callers-own");
        let twice: Vec<_> = request.headers().get_all("x-twice").iter().collect();
        assert_eq!(twice, ["a", "b"]);
        assert_eq!(request.headers().len(), 5);
    }
}

/// Law H2.
#[tokio::test]
async fn an_empty_body_is_sent_twice() {
    let request = Request::get(URL).body(Empty::<Bytes>::new()).unwrap();
    let (response, seen) = send_through(&World::new(), request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(seen.iter().all(|request| request.body().is_empty()));
    assert_eq!(seen.len(), 2);
}

/// Law H2: the copy shares the bytes.
#[tokio::test]
async fn a_buffered_body_costs_a_reference_count() {
    let bytes = Bytes::from(vec![7; 1 << 20]);
    let copy = Full::new(bytes.clone()).try_clone().unwrap();
    assert_eq!(copy.size_hint().exact(), Some(1 << 20));
    let copy = copy.collect().await.unwrap().to_bytes();
    assert_eq!(copy.as_ptr(), bytes.as_ptr());
}

/// Law H2.
#[tokio::test]
async fn a_body_that_can_be_read_once_is_sent_once_and_the_outcome_says_so() {
    let world = World::new();
    let payload = http_body::Frame::data(Bytes::from("payload"));
    let payload = futures_util::stream::iter([Ok::<_, Infallible>(payload)]);
    let body = http_body_util::StreamBody::new(payload);
    let (response, seen) = send_through(&world, Request::post(URL).body(body).unwrap()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(seen.len(), 1);
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.attempts(), 1);
    assert_eq!(outcome.not_retried(), Some(NotRetried::BodyNotReplayable));
    // At least the next request has a new token.
    settle().await;
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn a_request_that_is_none_of_our_business_passes_untouched() {
    let world = World::new();
    let request = || Request::get(URL).body(Empty::<Bytes>::new()).unwrap();
    let mut own = request();
    let basic = http::HeaderValue::from_static("Basic eDp5");
    own.headers_mut().insert("authorization", basic.clone());
    let mut skipped = request();
    skipped.extensions_mut().insert(SkipAuth);
    let mut foreign = request();
    *foreign.uri_mut() = http::Uri::from_static("https://other.example/");
    for (request, expected) in [(own, Some(basic)), (skipped, None), (foreign, None)] {
        let (response, seen) = send_through(&world, request).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].headers().get("authorization"), expected.as_ref());
        let outcome = response.extensions().get::<Outcome>().unwrap();
        assert_eq!(outcome.not_retried(), Some(NotRetried::PassedThrough));
    }
    assert_eq!(world.calls(), 0);
}

/// Law H5.
#[tokio::test]
async fn a_403_for_insufficient_scope_is_handed_out() {
    let world = World::new();
    let api = tower::service_fn(|_: Request<Empty<Bytes>>| async {
        let response = Response::builder().status(403).header(
            "www-authenticate",
            "Bearer error=\"insufficient_scope\", scope=\"admin\"",
        );
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    });
    let api = RefreshLayer::new(world.session()).layer(api);
    let request = Request::get(URL).body(Empty::new()).unwrap();
    let response = api.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!((outcome.attempts(), outcome.not_retried()), (1, None));
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_rule_of_the_users_own_replaces_the_default_one() {
    let world = World::new();
    world.accept(Some("access-1"));
    let session = world.session();
    let layer = RefreshLayer::new(session).retry_when(|status, _| status == StatusCode::OK);
    let response = layer
        .layer(world.clone())
        .oneshot(crate::support::get(URL))
        .await;
    let outcome = *response.unwrap().extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.attempts(), 2);
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn a_refused_refresh_hands_out_the_servers_401_as_it_came() {
    let world = World::new();
    world.fail_next(RefreshErrorKind::Refused);
    let request = Request::get(URL).body(Empty::<Bytes>::new()).unwrap();
    let (response, _) = send_through(&world, request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "as it came");
}

/// What waits for a refresh may stand in its way.
#[tokio::test]
async fn a_refusal_that_is_too_large_to_hold_is_let_go_before_the_wait() {
    for (length, is_held) in [(32 * 1024, true), (32 * 1024 + 1, false)] {
        let world = World::new();
        world.hold();
        world.fail_next(RefreshErrorKind::Refused);
        let bytes = Arc::new(vec![b'x'; length]);
        let held = Arc::downgrade(&bytes);
        let body = Full::new(Bytes::from_owner(Owned(bytes)));
        let refusal = Response::builder().status(401).body(body).unwrap();
        let refusal = Arc::new(Mutex::new(Some(refusal)));
        let inner = tower::service_fn(move |_: Request<Full<Bytes>>| {
            let refusal = refusal.lock().unwrap().take().unwrap();
            std::future::ready(Ok::<_, Infallible>(refusal))
        });
        let api = RefreshLayer::new(world.session()).layer(inner);
        let sent = tokio::spawn(api.oneshot(crate::support::get(URL)));
        world.called(1).await;
        settle().await;
        assert_eq!(held.upgrade().is_some(), is_held);
        world.release();
        match sent.await.unwrap() {
            Ok(response) => assert_eq!((response.status().as_u16(), is_held), (401, true)),
            Err(error) => assert_eq!((error.is::<SessionEnded>(), is_held), (true, false)),
        }
    }
}

/// Bytes that tell whether anybody has them.
struct Owned(Arc<Vec<u8>>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Adapters make a service for each request.
#[tokio::test]
async fn what_may_be_held_is_shared_by_all_services_of_a_layer() {
    let world = World::new();
    world.hold();
    world.fail_next(RefreshErrorKind::Refused);
    let inner = tower::service_fn(|_: Request<Full<Bytes>>| {
        let body = Full::new(Bytes::from(vec![b'x'; 32 * 1024]));
        std::future::ready(Response::builder().status(401).body(body))
    });
    let layer = RefreshLayer::new(world.session());
    let sent = [layer.clone(), layer]
        .map(|layer| tokio::spawn(layer.layer(inner).oneshot(crate::support::get(URL))));
    world.called(1).await;
    settle().await;
    world.release();
    let [first, second] = sent;
    assert_eq!(first.await.unwrap().unwrap().status(), 401);
    assert!(second.await.unwrap().unwrap_err().is::<SessionEnded>());
}
