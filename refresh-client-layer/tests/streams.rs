//! Streamed bodies over real sockets: sent twice byte for byte, or once and the outcome says why.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use refresh_client_layer::replay::{NoReplay, ReplayCap};
use refresh_client_layer::{NotRetried, Outcome, RefreshLayer, RefreshService};
use support::{BoxError, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tower::{Layer as _, ServiceExt as _};

type Body = BoxBody<Bytes, BoxError>;

/// How far the server reads before it says 401 to access-1.
#[derive(Clone, Copy)]
enum Reads {
    Nothing,
    OneFrame,
    Everything,
}

#[derive(Clone, Debug)]
struct Hit {
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

struct Server {
    addr: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    /// How many connections have ended.
    closed: watch::Sender<u32>,
    /// How many requests have been refused.
    refused: watch::Sender<u32>,
}

impl Server {
    async fn start(is_h2: bool, reads: Reads) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            addr: listener.local_addr().unwrap(),
            hits: Arc::default(),
            closed: watch::Sender::default(),
            refused: watch::Sender::default(),
        });
        let shared = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let io = TokioIo::new(stream);
                let server = shared.clone();
                let answering = server.clone();
                let answer = service_fn(move |request| answering.clone().answer(request, reads));
                tokio::spawn(async move {
                    // A client that goes away is what some tests are about.
                    let _ = match is_h2 {
                        true => {
                            let builder = http2::Builder::new(TokioExecutor::new());
                            builder.serve_connection(io, answer).await
                        }
                        false => http1::Builder::new().serve_connection(io, answer).await,
                    };
                    server.closed.send_modify(|closed| *closed += 1);
                });
            }
        });
        server
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        reads: Reads,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, mut body) = request.into_parts();
        let mut response = Response::new(Full::default());
        if head.headers["authorization"] != "Bearer access-2" {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            self.refused.send_modify(|refused| *refused += 1);
            match reads {
                Reads::Nothing => return Ok(response),
                Reads::OneFrame => {
                    body.frame().await.unwrap().unwrap();
                    return Ok(response);
                }
                Reads::Everything => {}
            }
        }
        if let Ok(body) = body.collect().await {
            self.hits.lock().unwrap().push(Hit {
                headers: head.headers,
                trailers: body.trailers().cloned(),
                body: body.to_bytes(),
            });
        }
        Ok(response)
    }

    fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    fn post(&self, body: Body) -> Request<Body> {
        Request::post(format!("http://{}/", self.addr))
            .header("te", "trailers")
            .header("trailer", "x-sum")
            .body(body)
            .unwrap()
    }
}

fn api(world: &World, server: &Server, is_h2: bool) -> RefreshService<Client<HttpConnector, Body>> {
    let session = world.builder().origin(format!("http://{}", server.addr));
    let http = Client::builder(TokioExecutor::new())
        .http2_only(is_h2)
        .build_http();
    RefreshLayer::new(session.build().unwrap()).layer(http)
}

fn chunk(number: u8) -> Bytes {
    Bytes::from(vec![number; 1000])
}

fn sum() -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("x-sum"),
        http::HeaderValue::from_static("42"),
    )])
}

/// A body whose frames the test sends one by one.
fn stream() -> (mpsc::UnboundedSender<Frame<Bytes>>, Body) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx).map(|it| it.map(Ok)));
    (sender, StreamBody::new(frames).boxed())
}

/// Ten chunks and trailers.
fn whole() -> (Body, Vec<u8>) {
    let (sender, body) = stream();
    let mut bytes = Vec::new();
    for number in 0..10 {
        bytes.extend_from_slice(&chunk(number));
        sender.send(Frame::data(chunk(number))).unwrap();
    }
    sender.send(Frame::trailers(sum())).unwrap();
    (body, bytes)
}

fn outcome(response: &Response<Incoming>) -> Outcome {
    *response.extensions().get().unwrap()
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let soon = tokio::time::timeout(Duration::from_secs(10), work).await;
    soon.expect("it does not hang")
}

/// Laws H2 and H3.
#[tokio::test]
async fn a_stream_and_its_trailers_are_sent_twice_byte_for_byte() {
    for is_h2 in [false, true] {
        let server = Server::start(is_h2, Reads::Everything).await;
        let world = World::new();
        let (body, bytes) = whole();
        let sent = api(&world, &server, is_h2).oneshot(server.post(body));
        let response = soon(sent).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(outcome(&response).attempts(), 2);
        let hits = server.hits();
        assert_eq!(hits.len(), 2);
        for hit in hits {
            assert_eq!(hit.body, bytes);
            assert_eq!(hit.trailers, Some(sum()));
        }
    }
}

/// Law H2: before the first byte, and mid-stream.
#[tokio::test]
async fn an_early_401_takes_the_rest_of_the_stream_to_the_second_attempt() {
    for is_h2 in [false, true] {
        for reads in [Reads::Nothing, Reads::OneFrame] {
            let server = Server::start(is_h2, reads).await;
            let world = World::new();
            world.hold();
            let (sender, body) = stream();
            if matches!(reads, Reads::OneFrame) {
                sender.send(Frame::data(chunk(0))).unwrap();
            }
            let request = server.post(body);
            let sent = tokio::spawn(api(&world, &server, is_h2).oneshot(request));
            soon(world.called(1)).await;
            // The rest comes into being while the token is refreshed, and after it.
            let first = if matches!(reads, Reads::OneFrame) {
                1
            } else {
                0
            };
            sender.send(Frame::data(chunk(first))).unwrap();
            world.release();
            for number in first + 1..10 {
                sender.send(Frame::data(chunk(number))).unwrap();
                tokio::task::yield_now().await;
            }
            sender.send(Frame::trailers(sum())).unwrap();
            drop(sender);
            let response = soon(sent).await.unwrap().unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let hits = server.hits();
            assert_eq!(hits.len(), 1, "the first body was never completed");
            let (_, bytes) = whole();
            assert_eq!(hits[0].body, bytes);
            assert_eq!(hits[0].trailers, Some(sum()));
            if !is_h2 {
                let mut closed = server.closed.subscribe();
                soon(closed.wait_for(|closed| *closed >= 1)).await.unwrap();
            }
        }
    }
}

/// Law H1.
#[tokio::test]
async fn the_content_length_of_a_stream_is_that_of_the_second_attempt() {
    let server = Server::start(false, Reads::Everything).await;
    let body = Full::new(chunk(7)).map_err(|never| match never {}).boxed();
    let request = Request::post(format!("http://{}/", server.addr)).body(body);
    let sent = api(&World::new(), &server, false).oneshot(request.unwrap());
    assert_eq!(soon(sent).await.unwrap().status(), StatusCode::OK);
    for hit in server.hits() {
        assert_eq!(hit.headers["content-length"], "1000");
        assert_eq!(hit.body, chunk(7));
    }
    assert_eq!(server.hits().len(), 2);
}

/// Law H2.
#[tokio::test]
async fn past_the_cap_the_401_is_returned_and_the_outcome_says_why() {
    for (cap, expected) in [(9_999, Some(NotRetried::BodyPastCap)), (10_000, None)] {
        let server = Server::start(true, Reads::Everything).await;
        let world = World::new();
        let (body, bytes) = whole();
        let mut request = server.post(body);
        request.extensions_mut().insert(ReplayCap(cap));
        let response = soon(api(&world, &server, true).oneshot(request)).await;
        let outcome = outcome(&response.unwrap());
        assert_eq!(outcome.not_retried(), expected);
        assert_eq!(server.hits()[0].body, bytes);
        // In any case the next request has a new token.
        soon(world.called(1)).await;
    }
}

#[tokio::test]
async fn no_replay_sends_once_whatever_the_body() {
    let server = Server::start(false, Reads::Everything).await;
    let mut request = server.post(whole().0);
    request.extensions_mut().insert(NoReplay);
    let response = soon(api(&World::new(), &server, false).oneshot(request)).await;
    let outcome = outcome(&response.unwrap());
    assert_eq!(outcome.attempts(), 1);
    assert_eq!(outcome.not_retried(), Some(NotRetried::OptedOut));
}

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
        let request = Request::post(support::URL).body(body).unwrap();
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
    world.fail_next(refresh_client_layer::RefreshErrorKind::Refused);
    let (body, rest) = tokio::sync::oneshot::channel::<Body>();
    let body = Arc::new(Mutex::new(Some(body)));
    let inner = tower::service_fn(move |request: Request<Body>| {
        let upload = body.lock().unwrap().take().unwrap();
        upload.send(request.into_body()).unwrap();
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let session = world.session();
    let service = RefreshLayer::new(session).layer(inner);
    let (stream, bytes) = whole();
    let request = Request::post(support::URL).body(stream).unwrap();
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
    let inner = tower::service_fn(move |request: Request<Body>| {
        let is_fresh = request.headers()["authorization"] == "Bearer access-2";
        let upload = tokio::spawn(request.into_body().collect());
        started.send(upload).unwrap();
        async move {
            // The upload begins, and waits for more.
            support::settle().await;
            let mut response = Response::new(Full::<Bytes>::default());
            if !is_fresh {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let (sender, body) = stream();
    sender.send(Frame::data(chunk(0))).unwrap();
    let request = Request::post(support::URL).body(body).unwrap();
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

/// Law H2: the peer answers and never reads.
#[tokio::test]
async fn a_peer_that_never_reads_does_not_hold_up_the_second_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let received = tokio::spawn(async move {
        // Says 401 at once, and reads nothing of the megabytes that come.
        let (mut deaf, _) = listener.accept().await.unwrap();
        let refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        deaf.peek(&mut [0]).await.unwrap();
        deaf.write_all(refusal).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while !received.ends_with(b"\r\n0\r\n\r\n") {
            let count = stream.read(&mut buffer).await.unwrap();
            received.extend_from_slice(&buffer[..count]);
        }
        let accepted = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(accepted).await.unwrap();
        drop(deaf);
        received.len()
    });
    let world = World::new();
    let session = world.builder().origin(format!("http://{addr}")).build();
    let http = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let api = RefreshLayer::new(session.unwrap())
        .replay_cap(64 << 20)
        .layer(http);
    let chunks = futures_util::stream::iter((0..32).map(|_| {
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        Ok(Frame::data(chunk))
    }));
    let request = Request::post(format!("http://{addr}/")).body(StreamBody::new(chunks).boxed());
    let response = soon(api.oneshot(request.unwrap())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(soon(received).await.unwrap() > 32 << 20);
}
