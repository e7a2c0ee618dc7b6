//! A real tonic client through the layer, against a health service that checks tokens.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use refresh_client_layer::replay::{NoReplay, ReplayCap};
use refresh_client_layer::{
    NotRetried, Outcome, RefreshErrorKind, RefreshLayer, RefreshService, RefreshUnavailable,
    SessionEnded, TokenSet,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer as _, ServiceExt as _};

use crate::support::{BoxError, World};

/// How the server refuses access-1.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Headers,
    Trailers,
    /// A quarter of a second is not over, but the headers have long been there.
    LateTrailers,
    /// It is over.
    TooLateTrailers,
    AfterAMessage,
    /// In the headers, after something that the client has sent.
    AfterAFrame,
    AfterTheUpload,
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
                        refusal.read(request.into_body()).await;
                        return Ok::<_, Infallible>(refusal.response());
                    }
                    if request.uri().path() == "/upload" {
                        let upload = request.into_body().collect().await.unwrap();
                        uploads.lock().unwrap().push(upload.to_bytes());
                        return Ok(Status::ok("").into_http());
                    }
                    if request.uri().path() == TALK {
                        let mut talk = tonic::server::Grpc::new(Words::default());
                        return Ok(talk.streaming(tower::service_fn(echo), request).await);
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

/// Says what it hears, until it hears no more.
async fn echo(
    words: tonic::Request<Streaming<String>>,
) -> Result<tonic::Response<Streaming<String>>, Status> {
    Ok(tonic::Response::new(words.into_inner()))
}

const TALK: &str = "/test.Parrot/Talk";

type Words = tonic_prost::ProstCodec<String, String>;

impl Refusal {
    async fn read(self, mut body: Body) {
        match self {
            Self::AfterAFrame => drop(body.frame().await),
            Self::AfterTheUpload => drop(body.collect().await),
            _ => {}
        }
    }

    fn response(self) -> Response<Body> {
        let refused = || {
            let status = http::HeaderValue::from_static("16");
            HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status)])
        };
        let frames = match self {
            Self::Headers | Self::AfterAFrame | Self::AfterTheUpload => {
                return Status::unauthenticated("expired").into_http();
            }
            Self::Proxy => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                return response;
            }
            Self::Trailers | Self::LateTrailers | Self::TooLateTrailers => {
                vec![Frame::trailers(refused())]
            }
            Self::AfterAMessage => {
                let serving = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]);
                vec![Frame::data(serving), Frame::trailers(refused())]
            }
        };
        let frames = frames.into_iter().map(Ok::<_, Status>);
        let delay = match self {
            Self::LateTrailers => Duration::from_millis(50),
            Self::TooLateTrailers => Duration::from_millis(300),
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

/// Calls a method that is no generated client's.
async fn talk<S>(
    channel: S,
    words: impl Stream<Item = String> + Send + 'static,
    cap: usize,
) -> Result<Streaming<String>, Status>
where
    S: tonic::client::GrpcService<Body>,
    S::ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let mut client = tonic::client::Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let mut request = tonic::Request::new(words);
    request.extensions_mut().insert(ReplayCap(cap));
    let path = http::uri::PathAndQuery::from_static(TALK);
    let answer = client.streaming(request, path, Words::default()).await?;
    Ok(answer.into_inner())
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let soon = tokio::time::timeout(Duration::from_secs(10), work).await;
    soon.expect("it does not hang")
}

const CAP: usize = 1 << 16;

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
    crate::support::settle().await;
    assert_eq!((site.refused(), world.calls()), (1, 0));
}

/// Law H4: nobody waits for these trailers.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_handed_out_unseen_renews_the_token_for_the_next_call() {
    for (refusal, is_once) in [(Refusal::TooLateTrailers, false), (Refusal::Trailers, true)] {
        let world = World::new();
        let inner = tower::service_fn(move |_: Request<Body>| {
            std::future::ready(Ok::<_, BoxError>(refusal.response()))
        });
        let api = RefreshLayer::new(world.session()).layer(inner);
        let mut request = Request::post(crate::support::URL)
            .body(Body::empty())
            .unwrap();
        if is_once {
            request.extensions_mut().insert(NoReplay);
        }
        let response = api.oneshot(request).await.unwrap();
        assert_eq!(world.calls(), 0);
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "16");
        soon(world.called(1)).await;
    }
}

/// Law H4: what was said is not said again, but the next conversation is heard.
#[tokio::test]
async fn a_conversation_that_is_refused_late_is_the_callers_to_begin_again() {
    let (site, world) = (Site::start(Refusal::LateTrailers).await, World::new());
    let channel = site.channel(&world).await;
    let begin = || {
        let (speaker, words) = mpsc::unbounded_channel();
        speaker.send("one".to_owned()).unwrap();
        let talk = talk(channel.clone(), UnboundedReceiverStream::new(words), CAP);
        async { (soon(talk).await.unwrap(), speaker) }
    };
    let (mut answers, _speaker) = begin().await;
    let status = soon(answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    soon(world.called(1)).await;
    crate::support::settle().await;
    let (mut answers, _speaker) = begin().await;
    assert_eq!(soon(answers.message()).await.unwrap().unwrap(), "one");
    assert_eq!((site.refused(), world.calls()), (1, 1));
}

#[tokio::test]
async fn a_body_that_has_come_to_its_end_is_not_asked_for_it_again() {
    let world = World::new();
    let inner = tower::service_fn(|_: Request<Body>| {
        // It panics if it is polled after the end.
        let nothing =
            futures_util::stream::unfold((), async |()| None::<(Result<Frame<Bytes>, Status>, ())>);
        let response = Response::builder().header("content-type", "application/grpc");
        let body = Body::new(StreamBody::new(Box::pin(nothing)));
        std::future::ready(response.body(body))
    });
    let api = RefreshLayer::new(world.session()).layer(inner);
    let response = api.oneshot(
        Request::post(crate::support::URL)
            .body(Body::empty())
            .unwrap(),
    );
    let body = response.await.unwrap().into_body().collect().await.unwrap();
    assert!(body.to_bytes().is_empty());
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

/// Law H4: before anything was said, and after the first word.
#[tokio::test]
async fn a_refused_conversation_is_begun_again_and_goes_on_both_ways() {
    for refusal in [Refusal::Headers, Refusal::Proxy, Refusal::AfterAFrame] {
        let (site, world) = (Site::start(refusal).await, World::new());
        let (speaker, words) = mpsc::unbounded_channel();
        let say = |word: &str| speaker.send(word.to_owned()).unwrap();
        let speaks_first = matches!(refusal, Refusal::AfterAFrame);
        if speaks_first {
            say("one");
        }
        let channel = site.channel(&world).await;
        let mut answers = soon(talk(channel, UnboundedReceiverStream::new(words), CAP))
            .await
            .unwrap();
        assert_eq!((site.refused(), world.calls()), (1, 1));
        if !speaks_first {
            say("one");
        }
        for (answer, word) in [("one", "two"), ("two", "three")] {
            let heard = soon(answers.message()).await.unwrap();
            assert_eq!(heard.as_deref(), Some(answer), "{refusal:?}");
            say(word);
        }
        drop(speaker);
        assert_eq!(soon(answers.message()).await.unwrap().unwrap(), "three");
        assert_eq!(soon(answers.message()).await.unwrap(), None);
        assert_eq!(site.refused(), 1);
    }
}

/// Laws H2 and H4: the status is the caller's, and a layer outside hears why.
#[tokio::test]
async fn an_upload_past_the_cap_is_not_sent_again() {
    // Five bytes before each message say how long it is, and two before each string.
    const SENT: usize = 3 * (5 + 2 + 100);
    for (cap, why) in [(SENT - 1, Some(NotRetried::BodyPastCap)), (SENT, None)] {
        let (site, world) = (Site::start(Refusal::AfterTheUpload).await, World::new());
        let (told, mut outcomes) = mpsc::unbounded_channel();
        let channel = site.channel(&world).await;
        let channel = channel.map_response(move |response: Response<_>| {
            let outcome = response.extensions().get::<Outcome>();
            told.send(*outcome.unwrap()).unwrap();
            response
        });
        let words = tokio_stream::iter((0..3).map(|_| "x".repeat(100)));
        let answers = soon(talk(channel, words, cap)).await;
        let outcome = outcomes.try_recv().unwrap();
        assert_eq!(outcome.not_retried(), why);
        match why {
            Some(_) => assert_eq!(answers.unwrap_err().code(), Code::Unauthenticated),
            None => assert_eq!(
                soon(futures_util::StreamExt::count(answers.unwrap())).await,
                3
            ),
        }
        assert_eq!(site.refused(), 1);
        // In any case the next call has a new token.
        soon(world.called(1)).await;
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
        let request = Request::post(crate::support::URL).body(body).unwrap();
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
