//! What `reqwest` can do, through the layer (law H6), and what one request can ask of the layer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Extensions, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use refresh_client_layer::replay::{NoReplay, ReplayCap};
use refresh_client_layer::reqwest::RequestErrorKind;
use refresh_client_layer::{AuthClient, NotRetried, Outcome, SkipAuth, TokenManager, TokenSet};
use reqwest::ClientBuilder;
use tokio::sync::Notify;

use crate::support::World;
use crate::support::site::{Hit, Site, ok, status};

fn client_with(world: &World, site: &Site, builder: ClientBuilder) -> AuthClient {
    let session = TokenManager::builder(world.clone())
        .tokens(TokenSet::new("access-1", "refresh-1"))
        .origin(site.url(""))
        .build()
        .unwrap();
    AuthClient::new(builder.build().unwrap(), session)
}

fn client(world: &World, site: &Site) -> AuthClient {
    client_with(world, site, reqwest::Client::builder())
}

fn is_let_in(hit: &Hit) -> bool {
    hit.token() == Some("Bearer access-2")
}

fn outcome(response: &reqwest::Response) -> Outcome {
    *response.extensions().get().unwrap()
}

/// Law H6.
#[tokio::test]
async fn a_multipart_body_is_sent_twice_byte_for_byte() {
    let api = Site::api().await;
    let part = reqwest::multipart::Part::bytes(vec![b'x'; 10_000]).file_name("x.bin");
    let form = reqwest::multipart::Form::new()
        .text("name", "value")
        .part("file", part);
    let response = client(&World::new(), &api)
        .post(api.url("/"))
        .with(|builder| builder.multipart(form))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let [first, second] = &api.hits()[..] else {
        panic!("two attempts")
    };
    assert!(first.body.len() > 10_000);
    assert_eq!(first.body, second.body);
    for name in ["content-type", "content-length"] {
        assert_eq!(first.headers[name], second.headers[name], "{name}");
    }
}

/// Law H6.
#[tokio::test]
async fn json_is_sent_and_read() {
    let api = Site::start(|hit| match is_let_in(hit) {
        true => Response::new(Full::from(hit.body.clone())),
        false => status(401),
    })
    .await;
    let response = client(&World::new(), &api)
        .put(api.url("/"))
        .json(&[1, 2, 3])
        .send();
    let echo: Vec<u8> = response.await.unwrap().json().await.unwrap();
    assert_eq!(echo, [1, 2, 3]);
}

/// Law H6: the jar sees the refusal's cookies too, as it would without the layer.
#[tokio::test]
async fn cookies_are_kept_and_sent() {
    let api = Site::start(|hit| {
        let (mut response, cookie) = match is_let_in(hit) {
            true => (ok(), "second=2"),
            false => (status(401), "first=1"),
        };
        let headers = response.headers_mut();
        headers.insert("set-cookie", cookie.parse().unwrap());
        response
    })
    .await;
    let builder = reqwest::Client::builder().cookie_store(true);
    let client = client_with(&World::new(), &api, builder);
    let first = client.get(api.url("/")).send().await.unwrap();
    assert_eq!(first.cookies().next().unwrap().name(), "second");
    client.get(api.url("/")).send().await.unwrap();
    let sent = |hit: &Hit| {
        let cookies = hit.headers.get("cookie")?.to_str().ok()?;
        let mut cookies: Vec<_> = cookies.split("; ").map(str::to_owned).collect();
        cookies.sort_unstable();
        Some(cookies.join(" "))
    };
    let cookies: Vec<_> = api.hits().iter().map(sent).collect();
    let expected = [None, Some("first=1"), Some("first=1 second=2")];
    assert_eq!(cookies, expected.map(|it| it.map(str::to_owned)));
}

/// Law H6.
#[tokio::test]
async fn a_compressed_answer_is_unpacked() {
    let api = Site::start(|hit| {
        assert_eq!(hit.headers["accept-encoding"], "gzip");
        if !is_let_in(hit) {
            return status(401);
        }
        let mut response = Response::new(Full::from(HELLO_GZIP));
        let headers = response.headers_mut();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        response
    })
    .await;
    let response = client(&World::new(), &api).get(api.url("/")).send().await;
    assert_eq!(response.unwrap().text().await.unwrap(), "hello");
}

/// Law H6.
#[tokio::test]
async fn a_time_out_is_reqwests_own_and_holds_for_the_retry_too() {
    let api = Site::start_slow(|hit| {
        Box::pin(async move {
            match is_let_in(&hit) {
                true => std::future::pending().await,
                false => status(401).map(BodyExt::boxed),
            }
        })
    })
    .await;
    let client = client(&World::new(), &api);
    let stream = reqwest::Body::wrap(Full::<Bytes>::from("streamed"));
    for body in [reqwest::Body::from("buffered"), stream] {
        let request = client.post(api.url("/")).body(body);
        let sent = request.timeout(Duration::from_millis(200)).send().await;
        let error = sent.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Http);
        assert!(error.as_reqwest().unwrap().is_timeout());
    }
    assert_eq!(api.hits().len(), 3);
}

/// Laws H3 and H6: the first part of an answer is read while the server still holds the second back.
#[tokio::test]
async fn an_answer_streams_through() {
    let more = Arc::new(Notify::new());
    let held = more.clone();
    let api = Site::start_slow(move |hit| {
        let held = held.clone();
        Box::pin(async move {
            if !is_let_in(&hit) {
                return status(401).map(BodyExt::boxed);
            }
            let parts = stream::unfold(0, move |sent| {
                let held = held.clone();
                async move {
                    match sent {
                        0 => {}
                        1 => held.notified().await,
                        _ => return None,
                    }
                    let part = Bytes::from(format!("part {sent} "));
                    Some((Ok::<_, Infallible>(Frame::data(part)), sent + 1))
                }
            });
            Response::new(BodyExt::boxed(StreamBody::new(parts)))
        })
    })
    .await;
    let sent = client(&World::new(), &api).get(api.url("/")).send().await;
    let mut response = sent.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "part 0 ");
    more.notify_one();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "part 1 ");
    assert_eq!(response.chunk().await.unwrap(), None);
}

/// Law H2: each through the builder and through extensions.
#[tokio::test]
async fn one_request_can_ask_to_be_sent_once() {
    let api = Site::start(|_| status(401)).await;
    let world = World::new();
    let client = client(&world, &api);
    let built = client.post(api.url("/")).body("payload").no_replay();
    let request = client.post(api.url("/")).body("payload").build().unwrap();
    let mut extensions = Extensions::new();
    extensions.insert(NoReplay);
    let executed = client.execute_with_extensions(request, extensions);
    for response in [built.send().await.unwrap(), executed.await.unwrap()] {
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let outcome = outcome(&response);
        assert_eq!(outcome.attempts(), 1);
        assert_eq!(outcome.not_retried(), Some(NotRetried::OptedOut));
    }
    assert_eq!(api.hits().len(), 2);
}

/// Law H2: a stream over the cap is sent once, the same stream within a higher cap twice.
#[tokio::test]
async fn one_request_can_have_a_cap_of_its_own() {
    for (cap, attempts, why) in [(9, 1, Some(NotRetried::BodyPastCap)), (10, 2, None)] {
        let api = Site::api().await;
        let world = World::new();
        let client = client(&world, &api);
        let body = reqwest::Body::wrap(Full::<Bytes>::from("ten bytes!"));
        let built = client.post(api.url("/")).body(body).replay_cap(cap);
        let built = outcome(&built.send().await.unwrap());
        assert_eq!((built.attempts(), built.not_retried()), (attempts, why));
    }
    let api = Site::api().await;
    let client = client(&World::new(), &api);
    let body = reqwest::Body::wrap(Full::<Bytes>::from("ten bytes!"));
    let request = client.post(api.url("/")).body(body).build().unwrap();
    let mut extensions = Extensions::new();
    extensions.insert(ReplayCap(9));
    let executed = client.execute_with_extensions(request, extensions).await;
    let why = outcome(&executed.unwrap()).not_retried();
    assert_eq!(why, Some(NotRetried::BodyPastCap));
}

#[tokio::test]
async fn one_request_can_go_past_the_layer() {
    let api = Site::api().await;
    let world = World::new();
    let client = client(&world, &api);
    let request = client.get(api.url("/")).build().unwrap();
    let mut extensions = Extensions::new();
    extensions.insert(SkipAuth);
    let sent = client.execute_with_extensions(request, extensions).await;
    let outcome = outcome(&sent.unwrap());
    assert_eq!(outcome.not_retried(), Some(NotRetried::PassedThrough));
    assert_eq!(api.tokens(), [None]);
    assert_eq!(world.calls(), 0);
}

/// `hello`, packed by gzip.
const HELLO_GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07,
    0x00, 0x86, 0xa6, 0x10, 0x36, 0x05, 0x00, 0x00, 0x00,
];
