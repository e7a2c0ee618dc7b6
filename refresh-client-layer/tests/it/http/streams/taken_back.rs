//! What becomes of the first body, without a network.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt as _, Full, StreamBody};
use refresh_client_layer::{NotRetried, Outcome, RefreshErrorKind, RefreshLayer};
use tokio::sync::{Notify, mpsc};
use tower::{Layer as _, ServiceExt as _};

use super::client::{Upload, chunk, stream, whole};
use super::soon;

use crate::support::{BoxError, URL, World, settle};

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

/// A connection that writes slowly, and asks for the end once more.
#[tokio::test]
async fn a_first_body_that_was_wholly_given_is_over_whatever_becomes_of_the_second() {
    let world = World::new();
    let (started, mut bodies) = mpsc::unbounded_channel();
    let inner = tower::service_fn(move |request: Request<BoxBody<Bytes, Infallible>>| {
        let started = started.clone();
        let is_fresh = request.headers()["authorization"] == "Bearer access-2";
        let mut body = request.into_body();
        async move {
            let all = body.frame().await.unwrap().unwrap();
            assert_eq!(all.into_data().unwrap(), chunk(3));
            let mut response = Response::new(Full::<Bytes>::default());
            if !is_fresh {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                started.send(body).unwrap();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let api = RefreshLayer::new(world.session()).layer(inner);
    let request = Request::post(URL)
        .body(Full::new(chunk(3)).boxed())
        .unwrap();
    let response = soon(api.oneshot(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut first = bodies.recv().await.unwrap();
    assert!(first.frame().await.is_none());
}

/// Half of a file, then a failure once `midway` has run, and the end.
struct Torn<F> {
    frames: u32,
    midway: F,
}

impl<F: FnMut() + Unpin> http_body::Body for Torn<F> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.frames += 1;
        Poll::Ready(match self.frames {
            1 => Some(Ok(Frame::data(chunk(1)))),
            2 => {
                (self.midway)();
                Some(Err("the file is torn".into()))
            }
            _ => None,
        })
    }
}

/// The first body is polled while the retry is decided or begins: half of a file is not the whole of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_while_it_is_taken_back_fails_the_second_body() {
    for is_begun in [true, false] {
        let world = World::new();
        world.hold();
        let (polls, mut is_polled) = mpsc::unbounded_channel();
        let (fail, fails) = std::sync::mpsc::channel();
        let midway = Arc::new(Notify::new());
        let is_midway = midway.clone();
        let midway = move || {
            midway.notify_one();
            tokio::task::block_in_place(|| fails.recv().unwrap());
        };
        let body = UnsyncBoxBody::new(Torn { frames: 0, midway });
        let (sent, mut uploads) = mpsc::unbounded_channel();
        let inner = tower::service_fn(move |request: Request<UnsyncBoxBody<Bytes, BoxError>>| {
            let is_fresh = request.headers()["authorization"] == "Bearer access-2";
            let mut upload = Box::pin(request.into_body().collect());
            let polls = polls.clone();
            let upload = tokio::spawn(std::future::poll_fn(move |cx| {
                let polled = upload.as_mut().poll(cx);
                polls.send(()).unwrap();
                polled
            }));
            sent.send(upload).unwrap();
            let is_midway = is_midway.clone();
            async move {
                let mut response = Response::new(Full::<Bytes>::default());
                if !is_fresh {
                    is_midway.notified().await;
                    *response.status_mut() = StatusCode::UNAUTHORIZED;
                }
                Ok::<_, Infallible>(response)
            }
        });
        let api = RefreshLayer::new(world.session()).layer(inner);
        let request = Request::post(URL).body(body).unwrap();
        let sent = tokio::spawn(api.oneshot(request));
        soon(world.called(1)).await;
        let first = soon(uploads.recv()).await.unwrap();
        if !is_begun {
            fail.send(()).unwrap();
            soon(is_polled.recv()).await.unwrap();
        }
        world.release();
        soon(sent).await.unwrap().unwrap();
        let second = soon(uploads.recv()).await.unwrap();
        if is_begun {
            fail.send(()).unwrap();
        }
        for (upload, expected) in [(first, "taken back"), (second, "the file is torn")] {
            let error = soon(upload).await.unwrap().unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
