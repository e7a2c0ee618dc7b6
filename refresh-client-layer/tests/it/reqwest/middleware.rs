//! The layer as a middleware of `reqwest-middleware`, against servers on loopback.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Extensions, StatusCode};
use http_body_util::Full;
use refresh_client_layer::replay::{NoReplay, ReplayCap};
use refresh_client_layer::reqwest::{RequestError, RequestErrorKind, same_origin_redirects};
use refresh_client_layer::reqwest_middleware::RefreshMiddleware;
use refresh_client_layer::{
    NotRetried, Outcome, RefreshErrorKind, RefreshLayer, SkipAuth, TokenManager, TokenSet,
};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next, Result};

use crate::support::World;
use crate::support::site::{Site, ok, redirect, status};

fn session_for(world: &World, site: &Site) -> TokenManager {
    TokenManager::builder(world.clone())
        .tokens(TokenSet::new("access-1", "refresh-1"))
        .origin(site.url(""))
        .build()
        .unwrap()
}

fn builder() -> ClientBuilder {
    let client = reqwest::Client::builder().redirect(same_origin_redirects());
    ClientBuilder::new(client.build().unwrap())
}

fn client(session: TokenManager) -> ClientWithMiddleware {
    builder().with(RefreshMiddleware::new(session)).build()
}

fn outcome(response: &Response) -> Outcome {
    *response.extensions().get().unwrap()
}

#[tokio::test]
async fn a_refused_request_is_sent_again_with_a_new_token() {
    let api = Site::api().await;
    let world = World::new();
    let request = client(session_for(&world, &api)).post(api.url("/a?b=c"));
    let sent = tokio::spawn(request.body("payload").send());
    let response = sent.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().as_str(), api.url("/a?b=c"));
    assert_eq!(outcome(&response).attempts(), 2);
    assert_eq!(world.calls(), 1);
    let expected = ["Bearer access-1", "Bearer access-2"];
    assert_eq!(api.tokens(), expected.map(|it| Some(it.to_owned())));
    assert!(api.hits().iter().all(|hit| hit.body == "payload"));
}

#[tokio::test]
async fn a_streamed_body_is_sent_twice_within_its_cap() {
    for (cap, attempts, why) in [(6, 1, Some(NotRetried::BodyPastCap)), (7, 2, None)] {
        let api = Site::api().await;
        let body = reqwest::Body::wrap(Full::<Bytes>::from("payload"));
        let request = client(session_for(&World::new(), &api)).post(api.url("/"));
        let request = request.body(body).with_extension(ReplayCap(cap));
        let outcome = outcome(&request.send().await.unwrap());
        assert_eq!((outcome.attempts(), outcome.not_retried()), (attempts, why));
        assert!(api.hits().iter().all(|hit| hit.body == "payload"));
    }
}

#[tokio::test]
async fn a_request_can_ask_to_be_left_alone_or_sent_once() {
    let api = Site::api().await;
    let world = World::new();
    let client = client(session_for(&world, &api));
    let skipped = client.get(api.url("/")).with_extension(SkipAuth).send();
    let why = outcome(&skipped.await.unwrap()).not_retried();
    assert_eq!(why, Some(NotRetried::PassedThrough));
    assert_eq!(api.tokens(), [None]);
    assert_eq!(world.calls(), 0);
    let once = client.get(api.url("/")).with_extension(NoReplay).send();
    let why = outcome(&once.await.unwrap()).not_retried();
    assert_eq!(why, Some(NotRetried::OptedOut));
}

#[tokio::test]
async fn a_rule_of_the_users_own_holds_here_too() {
    let api = Site::start(|hit| match hit.token() {
        Some("Bearer access-2") => ok(),
        _ => status(419),
    })
    .await;
    let layer = RefreshLayer::new(session_for(&World::new(), &api))
        .retry_when(|status, _| status.as_u16() == 419);
    let client = builder().with(RefreshMiddleware::with_layer(layer)).build();
    let response = client.get(api.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Laws S1 and S2.
#[tokio::test]
async fn a_foreign_origin_is_sent_no_token_and_its_401_is_no_reason_to_refresh() {
    let foreign = Site::start(|_| status(401)).await;
    let to = foreign.url("/");
    let api = Site::start(move |_| redirect(&to)).await;
    let world = World::new();
    let client = client(session_for(&world, &api));
    let stopped = client.get(api.url("/")).send().await.unwrap();
    assert_eq!(stopped.status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(foreign.hits().is_empty());
    client.get(foreign.url("/")).send().await.unwrap();
    assert_eq!(foreign.tokens(), [None]);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn errors_say_whose_they_are() {
    let api = Site::api().await;
    let world = World::new();
    world.fail_next(RefreshErrorKind::Transient);
    let session = session_for(&world, &api);
    let client = client(session.clone());
    let kind = |error: Error| match error {
        Error::Middleware(error) => error.downcast_ref::<RequestError>().unwrap().kind(),
        Error::Reqwest(error) => panic!("{error}"),
    };
    let error = client.get(api.url("/")).send().await.unwrap_err();
    assert_eq!(kind(error), RequestErrorKind::RefreshUnavailable);
    session.sign_out().await;
    let error = client.get(api.url("/")).send().await.unwrap_err();
    assert_eq!(kind(error), RequestErrorKind::SessionEnded);
    let unreachable = client.get("http://127.0.0.1:1/").send().await.unwrap_err();
    assert!(unreachable.is_connect());
}

/// Counts what passes it, in the extensions and in a log.
struct Witness {
    name: &'static str,
    log: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, Default)]
struct Passages(u32);

#[async_trait::async_trait]
impl Middleware for Witness {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let token = request.headers().get("authorization").cloned();
        let Passages(before) = extensions.get().copied().unwrap_or_default();
        extensions.insert(Passages(before + 1));
        let response = next.run(request, extensions).await?;
        let Passages(after) = extensions.get().copied().unwrap_or_default();
        let token = token.map(|it| it.to_str().unwrap().to_owned());
        let (name, status) = (self.name, response.status().as_u16());
        let line = format!("{name}: {token:?} {status}, {before} before, {after} after");
        self.log.lock().unwrap().push(line);
        Ok(response)
    }
}

#[tokio::test]
async fn those_before_it_see_one_request_and_those_after_it_each_attempt() {
    let api = Site::api().await;
    let log = Arc::default();
    let witness = |name| Witness {
        name,
        log: Arc::clone(&log),
    };
    let client = builder()
        .with(witness("outer"))
        .with(RefreshMiddleware::new(session_for(&World::new(), &api)))
        .with(witness("inner"))
        .build();
    client.get(api.url("/")).send().await.unwrap();
    assert_eq!(
        *log.lock().unwrap(),
        [
            r#"inner: Some("Bearer access-1") 401, 1 before, 2 after"#,
            r#"inner: Some("Bearer access-2") 200, 1 before, 2 after"#,
            r#"outer: None 200, 0 before, 2 after"#,
        ]
    );
}
