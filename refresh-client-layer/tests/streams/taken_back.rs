//! What becomes of the first body, without a network.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use refresh_client_layer::{NotRetried, Outcome, RefreshErrorKind, RefreshLayer};
use tokio::sync::mpsc;
use tower::{Layer as _, ServiceExt as _};

use crate::client::{Upload, chunk, stream, whole};
use crate::soon;
use crate::support::{URL, World, settle};

/// An error type that cannot say that the rest was taken back.
#[tokio::test]
async fn a_body_that_cannot_fail_is_sent_again_only_if_it_was_over() {
    for is_over in [true, false] {
        let world = World::new();
        let (sender, mut frames) = mpsc::unbounded_channel();
        sender.send(Frame::data(chunk(1))).unwrap();
        let frames = futures_util::stream::poll_fn(move |cx| {
            frames.poll_recv(cx).map(|it| it.map(Ok::<_, Infallible>))
        });
        let body = StreamBody::new(frames).boxed();
        let sender = (!is_over).then_some(sender);
        let inner = tower::service_fn(|request: Request<BoxBody<Bytes, Infallible>>| async {
            let is_fresh = request.headers()["authorization"] == "Bearer access-2";
            let mut body = request.into_body();
            assert_eq!(
                body.frame().await.unwrap().unwrap().into_data().unwrap(),
                chunk(1)
            );
            futures_util::FutureExt::now_or_never(body.frame());
            let mut response = Response::new(Full::<Bytes>::default());
            if !is_fresh {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            Ok::<_, Infallible>(response)
        });
        let api = RefreshLayer::new(world.session()).layer(inner);
        let request = Request::post(URL).body(body).unwrap();
        let response = soon(api.oneshot(request)).await.unwrap();
        let outcome = response.extensions().get::<Outcome>().unwrap();
        let expected = (!is_over).then_some(NotRetried::BodyNotReplayable);
        assert_eq!(outcome.not_retried(), expected);
        drop(sender);
    }
}

#[tokio::test]
async fn a_refused_session_lets_the_first_upload_go_on() {
    let world = World::new();
    world.fail_next(RefreshErrorKind::Refused);
    let (body, rest) = tokio::sync::oneshot::channel::<Upload>();
    let body = Arc::new(Mutex::new(Some(body)));
    let inner = tower::service_fn(move |request: Request<Upload>| {
        let upload = body.lock().unwrap().take().unwrap();
        upload.send(request.into_body()).unwrap();
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let session = world.session();
    let service = RefreshLayer::new(session).layer(inner);
    let (stream, bytes) = whole();
    let request = Request::post(URL).body(stream).unwrap();
    let response = soon(service.oneshot(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let upload = rest.await.unwrap().collect().await.unwrap();
    assert_eq!(upload.to_bytes(), bytes);
}

/// Law H2: whoever writes the first body hears that it is over, though the stream says nothing.
#[tokio::test]
async fn the_first_body_is_woken_and_fails_when_its_rest_is_taken_back() {
    let world = World::new();
    let (started, mut ended) = mpsc::unbounded_channel();
    let inner = tower::service_fn(move |request: Request<Upload>| {
        let is_fresh = request.headers()["authorization"] == "Bearer access-2";
        let upload = tokio::spawn(request.into_body().collect());
        started.send(upload).unwrap();
        async move {
            // The upload begins, and waits for more.
            settle().await;
            let mut response = Response::new(Full::<Bytes>::default());
            if !is_fresh {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let (sender, body) = stream();
    sender.send(Frame::data(chunk(0))).unwrap();
    let request = Request::post(URL).body(body).unwrap();
    let api = RefreshLayer::new(world.session()).layer(inner);
    let response = soon(api.oneshot(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let first = ended.recv().await.unwrap();
    let error = soon(first).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("taken back"));
    drop(sender);
    let second = ended.recv().await.unwrap();
    let second = soon(second).await.unwrap().unwrap();
    assert_eq!(second.to_bytes(), chunk(0));
}
