//! A real tonic client through the layer, against a health service that checks tokens.
#![cfg(feature = "tonic")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod support;

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use refresh_client_layer::{
    Outcome, RefreshErrorKind, RefreshLayer, RefreshService, RefreshUnavailable, SessionEnded,
    TokenSet,
};
use support::{BoxError, World};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer as _, ServiceExt as _};

/// How the server refuses access-1.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Headers,
    Trailers,
    /// A quarter of a second is not over, but the headers have long been there.
    LateTrailers,
    AfterAMessage,
    Proxy,
}

struct Site {
    url: String,
    refused: Arc<AtomicU32>,
    uploads: Arc<Mutex<Vec<Bytes>>>,
}

impl Site {
    async fn start(refusal: Refusal) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (reporter, health) = tonic_health::server::health_reporter();
        let serving = tonic_health::ServingStatus::Serving;
        reporter.set_service_status("shop", serving).await;
        let (refused, uploads) = (Arc::<AtomicU32>::default(), Arc::default());
        let site = Self {
            url,
            refused: refused.clone(),
            uploads: Arc::clone(&uploads),
        };
        let guard = tower::layer::layer_fn(move |inner: Routes| {
            let (refused, uploads) = (refused.clone(), uploads.clone());
            tower::service_fn(move |request: Request<Body>| {
                let (inner, refused) = (inner.clone(), refused.clone());
                let uploads: Arc<Mutex<Vec<Bytes>>> = uploads.clone();
                async move {
                    let token = request.headers().get("authorization").unwrap();
                    if token != "Bearer access-2" {
                        refused.fetch_add(1, Ordering::SeqCst);
                        return Ok::<_, Infallible>(refusal.response());
                    }
                    if request.uri().path() == "/upload" {
                        let upload = request.into_body().collect().await.unwrap();
                        uploads.lock().unwrap().push(upload.to_bytes());
                        return Ok(Status::ok("").into_http());
                    }
                    Ok(inner.oneshot(request).await.unwrap())
                }
            })
        });
        let server = Server::builder().layer(guard).add_service(health);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        site
    }

    async fn channel(&self, world: &World) -> RefreshService<Channel> {
        let channel = Channel::from_shared(self.url.clone()).unwrap();
        let session = world.builder().origin(&self.url).build().unwrap();
        RefreshLayer::new(session).layer(channel.connect().await.unwrap())
    }

    fn refused(&self) -> u32 {
        self.refused.load(Ordering::SeqCst)
    }
}

impl Refusal {
    fn response(self) -> Response<Body> {
        let refused = || {
            let status = http::HeaderValue::from_static("16");
            HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status)])
        };
        let frames = match self {
            Self::Headers => return Status::unauthenticated("expired").into_http(),
            Self::Proxy => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                return response;
            }
            Self::Trailers | Self::LateTrailers => vec![Frame::trailers(refused())],
            Self::AfterAMessage => {
                let serving = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]);
                vec![Frame::data(serving), Frame::trailers(refused())]
            }
        };
        let frames = frames.into_iter().map(Ok::<_, Status>);
        let delay = match self {
            Self::LateTrailers => Duration::from_millis(50),
            _ => Duration::ZERO,
        };
        let frames = tokio_stream::iter(frames);
        let body = futures_util::FutureExt::flatten_stream(async move {
            // The point is that the headers come first, as they do from a busy server.
            tokio::time::sleep(delay).await;
            frames
        });
        Response::builder()
            .header("content-type", "application/grpc")
            .body(Body::new(StreamBody::new(body)))
            .unwrap()
    }
}

fn shop() -> HealthCheckRequest {
    HealthCheckRequest {
        service: "shop".to_owned(),
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let soon = tokio::time::timeout(Duration::from_secs(10), work).await;
    soon.expect("it does not hang")
}

const REFUSALS: [Refusal; 4] = [
    Refusal::Headers,
    Refusal::Trailers,
    Refusal::LateTrailers,
    Refusal::Proxy,
];

/// Law H4.
#[tokio::test]
async fn a_refused_unary_call_is_made_again_with_a_fresh_token() {
    for refusal in REFUSALS {
        let (site, world) = (Site::start(refusal).await, World::new());
        let mut client = HealthClient::new(site.channel(&world).await);
        let answer = soon(client.check(shop())).await.unwrap();
        assert_eq!(answer.get_ref().status, 1, "serving: {refusal:?}");
        let outcome = answer.extensions().get::<Outcome>().unwrap();
        assert_eq!(outcome.attempts(), 2);
        assert_eq!((site.refused(), world.calls()), (1, 1));
    }
}

/// Law H4.
#[tokio::test]
async fn a_refused_server_stream_is_begun_again() {
    for refusal in REFUSALS {
        let (site, world) = (Site::start(refusal).await, World::new());
        let mut client = HealthClient::new(site.channel(&world).await);
        let mut updates = soon(client.watch(shop())).await.unwrap().into_inner();
        let update = soon(updates.message()).await.unwrap().unwrap();
        assert_eq!(update.status, 1, "serving: {refusal:?}");
        assert_eq!(world.calls(), 1);
    }
}

/// Law H4.
#[tokio::test]
async fn after_the_first_message_nothing_is_sent_again() {
    let (site, world) = (Site::start(Refusal::AfterAMessage).await, World::new());
    let mut client = HealthClient::new(site.channel(&world).await);
    let mut updates = soon(client.watch(shop())).await.unwrap().into_inner();
    assert_eq!(soon(updates.message()).await.unwrap().unwrap().status, 1);
    let status = soon(updates.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!((site.refused(), world.calls()), (1, 0));
}

/// Law H4: while the client still streams.
#[tokio::test]
async fn a_refused_client_stream_is_sent_again_from_its_beginning() {
    for refusal in [Refusal::Headers, Refusal::Proxy] {
        let (site, world) = (Site::start(refusal).await, World::new());
        world.hold();
        let (sender, mut frames) = tokio::sync::mpsc::unbounded_channel();
        let frames =
            futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx).map(|it| it.map(Ok)));
        let body = Body::new(StreamBody::new(frames).map_err(|never: Infallible| match never {}));
        let request = Request::post(format!("{}/upload", site.url))
            .header("content-type", "application/grpc")
            .body(body)
            .unwrap();
        sender.send(Frame::data(Bytes::from("one "))).unwrap();
        let sent = tokio::spawn(site.channel(&world).await.oneshot(request));
        soon(world.called(1)).await;
        sender.send(Frame::data(Bytes::from("two "))).unwrap();
        world.release();
        sender.send(Frame::data(Bytes::from("three"))).unwrap();
        drop(sender);
        let response = soon(sent).await.unwrap().unwrap();
        assert_eq!(response.headers()["grpc-status"], "0");
        assert_eq!(*site.uploads.lock().unwrap(), ["one two three"]);
    }
}

/// A client that waits for the response before it goes on gets it at once.
#[tokio::test(start_paused = true)]
async fn a_response_is_not_held_back_from_a_client_that_still_streams() {
    let world = World::new();
    let inner = tower::service_fn(|request: Request<Body>| async {
        tokio::spawn(request.into_body().collect());
        let silent =
            StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Status>>());
        let response = Response::builder().header("content-type", "application/grpc");
        Ok::<_, BoxError>(response.body(Body::new(silent)).unwrap())
    });
    let open = || {
        Body::new(StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, Status>,
        >()))
    };
    for (body, patience) in [(open(), 0), (Body::empty(), 250)] {
        let request = Request::post(support::URL).body(body).unwrap();
        let start = tokio::time::Instant::now();
        let api = RefreshLayer::new(world.session()).layer(inner);
        api.oneshot(request).await.unwrap();
        // Tokio's clock has a grain of a millisecond.
        let waited = start.elapsed().as_millis();
        assert!((patience..=patience + 1).contains(&waited), "{waited}");
    }
}

#[tokio::test]
async fn errors_are_a_status_that_says_whether_to_sign_in() {
    let (site, world) = (Site::start(Refusal::Headers).await, World::new());
    world.fail_next(RefreshErrorKind::Transient);
    let mut client = HealthClient::new(site.channel(&world).await);
    let status = soon(client.check(shop())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let cause = status.source().unwrap();
    assert!(cause.downcast_ref::<RefreshUnavailable>().is_some());

    let session = world.builder().origin(&site.url).build().unwrap();
    session
        .sign_in(TokenSet::new("access-1", "refresh-1"))
        .unwrap();
    session.sign_out().await;
    let channel = Channel::from_shared(site.url.clone()).unwrap();
    let channel = RefreshLayer::new(session).layer(channel.connect().await.unwrap());
    let status = soon(HealthClient::new(channel).check(shop())).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let cause = status.source().unwrap();
    assert!(cause.downcast_ref::<SessionEnded>().is_some());
}

/// A session that is over: the server's own refusal, wherever it was.
#[tokio::test]
async fn a_refused_refresh_hands_out_the_servers_status() {
    for refusal in REFUSALS {
        let (site, world) = (Site::start(refusal).await, World::new());
        world.fail_next(RefreshErrorKind::Refused);
        let mut client = HealthClient::new(site.channel(&world).await);
        let status = soon(client.check(shop())).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{refusal:?}");
    }
}

/// Law C14: the channel panics if a clone of it is called unready.
#[tokio::test]
async fn fifty_calls_at_once_share_a_refresh() {
    let (site, world) = (Site::start(Refusal::Headers).await, World::new());
    let client = HealthClient::new(site.channel(&world).await);
    let calls = (0..50).map(|_| {
        let mut client = client.clone();
        async move { client.check(shop()).await.unwrap().into_inner().status }
    });
    let answers = soon(futures_util::future::join_all(calls)).await;
    assert_eq!(answers, [1; 50]);
    assert_eq!(world.calls(), 1);
}
