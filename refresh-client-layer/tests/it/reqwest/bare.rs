//! The layer over a bare `reqwest::Client`, whose requests keep their extensions to themselves.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use refresh_client_layer::replay::{NoReplay, ReplayCap};
use refresh_client_layer::reqwest::same_origin_redirects;
use refresh_client_layer::{
    AuthClient, EndReason, LoadError, MemoryStore, NotRetried, Outcome, RefreshLayer,
    RefreshService, SessionEnded, SessionKey, SkipAuth, TokenManagers,
};
use reqwest::{Body, Client, Request, Response};
use tower::{Layer as _, ServiceExt as _};

use crate::support::site::{Site, ok, redirect, status};
use crate::support::{BoxError, World};

fn http() -> Client {
    let http = Client::builder().redirect(same_origin_redirects());
    http.build().unwrap()
}

fn layer(world: &World, site: &Site) -> RefreshLayer {
    let session = world.builder().origin(site.url(""));
    RefreshLayer::new(session.build().unwrap())
}

/// Everybody's first token is access-1.
fn keyed(world: &World, site: &Site) -> RefreshLayer {
    let (world, origin) = (world.clone(), site.url(""));
    let managers = TokenManagers::builder(move |_: String| {
        let session = world.builder().store(MemoryStore::new()).origin(&origin);
        async { Ok::<_, LoadError>(Some(session)) }
    });
    RefreshLayer::keyed(managers.build())
}

async fn send(layer: RefreshLayer, request: Request) -> Result<Response, BoxError> {
    let api: RefreshService<Client> = layer.layer(http());
    api.oneshot(request).await
}

fn get(url: String) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

fn outcome(response: &Response) -> Outcome {
    *response.extensions().get().unwrap()
}

#[tokio::test]
async fn a_refused_request_is_sent_again_whatever_its_body() {
    for body in [
        Body::from("payload"),
        Body::wrap(Full::<Bytes>::from("payload")),
    ] {
        let (api, world) = (Site::api().await, World::new());
        let http = http().post(api.url("/things")).body(body);
        let request = http.build().unwrap();
        let response = send(layer(&world, &api), request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.url().as_str(), api.url("/things"));
        assert_eq!(outcome(&response).attempts(), 2);
        assert_eq!(world.calls(), 1);
        for hit in api.hits() {
            assert_eq!((hit.method, &*hit.path), (Method::POST, "/things"));
            assert_eq!(hit.body, "payload");
        }
    }
}

/// Law S2.
#[tokio::test]
async fn where_a_redirect_leads_is_known() {
    let foreign = Site::start(|_| status(401)).await;
    let to = foreign.url("/");
    let api = Site::start(move |_| redirect(&to)).await;
    let world = World::new();
    let sent = send(layer(&world, &api), get(api.url("/"))).await;
    assert_eq!(sent.unwrap().status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(foreign.hits().is_empty());

    let follows = layer(&world, &api).layer(Client::new());
    let response = follows.oneshot(get(api.url("/"))).await.unwrap();
    let why = outcome(&response).not_retried();
    assert_eq!(why, Some(NotRetried::ForeignResponse));
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn what_a_request_asks_of_the_layer_is_not_seen() {
    let (api, world) = (Site::api().await, World::new());
    let marked = http::Request::post(api.url("/"))
        .extension(SkipAuth)
        .extension(NoReplay)
        .extension(ReplayCap(0))
        .body(Body::wrap(Full::<Bytes>::from("payload")));
    let request = marked.unwrap().try_into().unwrap();
    let response = send(layer(&world, &api), request).await.unwrap();
    assert_eq!(outcome(&response).attempts(), 2);
    let tokens = ["Bearer access-1", "Bearer access-2"];
    assert_eq!(api.tokens(), tokens.map(|it| Some(it.to_owned())));
}

#[tokio::test]
async fn a_keyed_request_is_nobodys() {
    let (api, world) = (Site::start(|_| ok()).await, World::new());
    let request = || {
        let request = http::Request::get(api.url("/")).extension(SessionKey("alice".to_owned()));
        Request::try_from(request.body(Body::default()).unwrap()).unwrap()
    };
    send(keyed(&world, &api), request()).await.unwrap();
    assert_eq!(api.tokens(), [None]);

    let required = keyed(&world, &api).require_session();
    let error = send(required, request()).await.unwrap_err();
    let ended = error.downcast_ref::<SessionEnded>().unwrap();
    assert_eq!(ended.reason(), EndReason::NeverSignedIn);
    assert_eq!(api.hits().len(), 1);
}

/// What the docs say to do instead.
#[tokio::test]
async fn a_keyed_request_of_an_auth_client_is_its_users() {
    let (api, world) = (Site::api().await, World::new());
    let client = AuthClient::with_layer(http(), &keyed(&world, &api));
    let request = client.get(api.url("/"));
    let request = request.with_extension(SessionKey("alice".to_owned()));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.calls(), 1);
}
