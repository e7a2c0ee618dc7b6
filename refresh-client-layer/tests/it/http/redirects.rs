//! Redirects of a Tower stack: `FollowRedirect` of tower-http around the layer (law S2).

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::{
    EndReason, LoadError, MemoryStore, NotRetried, Outcome, RefreshLayer, SessionEnded, SessionKey,
    SkipAuth, TokenManagers,
};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_http::follow_redirect::policy::{
    FilterCredentials, Limited, Policy, PolicyExt as _, SameOrigin, Standard,
};
use tower_http::follow_redirect::{FollowRedirect, FollowRedirectLayer};

use crate::support::site::{Hit, Site, ok, redirect, status};
use crate::support::{Body, BoxError, World};

/// Two sites. The path of a request names its hops: `/aba` begins at the API, leads to the foreign
/// site and back. The last one lets access-2 in.
struct Web {
    api: Site,
    foreign: Site,
    world: World,
}

impl Web {
    async fn new() -> Self {
        let urls = Arc::<OnceLock<[String; 2]>>::default();
        let site = || {
            let urls = urls.clone();
            Site::start(move |hit| hop(hit, urls.get().unwrap()))
        };
        let (api, foreign) = (site().await, site().await);
        urls.set([api.url(""), foreign.url("")]).unwrap();
        Self {
            api,
            foreign,
            world: World::new(),
        }
    }

    fn layer(&self) -> RefreshLayer {
        let session = self.world.builder().origin(self.api.url(""));
        RefreshLayer::new(session.build().unwrap())
    }

    fn keyed_layer(&self) -> RefreshLayer {
        let (world, origin) = (self.world.clone(), self.api.url(""));
        let managers = TokenManagers::builder(move |_: String| {
            let session = world.builder().store(MemoryStore::new()).origin(&origin);
            async { Ok::<_, LoadError>(Some(session)) }
        });
        RefreshLayer::keyed(managers.build())
    }

    fn get(&self, hops: &str) -> Request<Body> {
        crate::support::get(&self.api.url(hops))
    }

    /// The numbers of the access tokens that the sites were sent; none is 0.
    fn tokens(&self) -> [Vec<u32>; 2] {
        [&self.api, &self.foreign].map(|site| {
            let hits = site.hits();
            hits.iter()
                .map(|hit| hit.token().map_or(0, number))
                .collect()
        })
    }
}

fn hop(hit: &Hit, [api, foreign]: &[String; 2]) -> Response<Full<Bytes>> {
    let rest = &hit.path[2..];
    match (rest.chars().next(), hit.token()) {
        (Some('a'), _) => redirect(&format!("{api}/{rest}")),
        (Some(_), _) => redirect(&format!("{foreign}/{rest}")),
        (None, Some("Bearer access-2")) => ok(),
        (None, _) => status(401),
    }
}

fn number(token: &str) -> u32 {
    let number = token.strip_prefix("Bearer access-").unwrap();
    number.parse().unwrap()
}

fn http() -> Client<hyper_util::client::legacy::connect::HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn send(
    layer: RefreshLayer,
    policy: impl Policy<Body, BoxError> + Clone,
    request: Request<Body>,
) -> Result<Response<Incoming>, BoxError> {
    let api = FollowRedirectLayer::with_policy(policy).layer(layer.layer(http()));
    api.oneshot(request).await
}

fn why(response: &Response<Incoming>) -> Option<NotRetried> {
    response
        .extensions()
        .get::<Outcome>()
        .unwrap()
        .not_retried()
}

#[tokio::test]
async fn each_hop_within_the_origin_carries_the_token_and_may_be_refreshed() {
    let web = Web::new().await;
    let response = send(web.layer(), Standard::default(), web.get("/aaa")).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!(web.tokens(), [vec![1, 1, 1, 2], vec![]]);
    assert_eq!(web.world.calls(), 1);
}

/// Law S2: A to B, and A to B to B.
#[tokio::test]
async fn no_foreign_hop_carries_the_token_and_its_401_is_the_callers() {
    for (hops, tokens) in [("/ab", vec![0]), ("/abb", vec![0, 0])] {
        let web = Web::new().await;
        let response = send(web.layer(), Standard::default(), web.get(hops)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(why(&response), Some(NotRetried::PassedThrough));
        assert_eq!(web.tokens(), [vec![1], tokens]);
        assert_eq!(web.world.calls(), 0);
    }
}

/// Law S2: A to B to A.
#[tokio::test]
async fn the_way_back_carries_the_token_again() {
    let web = Web::new().await;
    let response = send(web.layer(), Standard::default(), web.get("/aba")).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!(web.tokens(), [vec![1, 1, 2], vec![0]]);
    assert_eq!(web.world.calls(), 1);
}

/// Law S2: nobody else decides what is done with the token.
#[tokio::test]
async fn the_policy_of_one_origin_hands_foreign_redirects_out() {
    let web = Web::new().await;
    let within = Limited::default().and::<_, Body, BoxError>(SameOrigin::new());
    let response = send(web.layer(), within, web.get("/aaba")).await;
    assert_eq!(response.unwrap().status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(web.tokens(), [vec![1, 1], vec![]]);
}

/// A hop to another origin drops extensions, and with them whose request it is.
#[tokio::test]
async fn a_keyed_request_comes_back_as_nobodys_unless_its_key_may_go_along() {
    let request = |web: &Web| {
        let mut request = web.get("/aba");
        let key = SessionKey("alice".to_owned());
        request.extensions_mut().insert(key);
        request
    };
    let web = Web::new().await;
    let response = send(web.keyed_layer(), Standard::default(), request(&web)).await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(why(&response), Some(NotRetried::NoToken));
    assert_eq!(web.tokens(), [vec![1, 0], vec![0]]);

    let web = Web::new().await;
    let layer = web.keyed_layer().require_session();
    let error = send(layer, Standard::default(), request(&web)).await;
    let error = error.unwrap_err();
    let ended = error.downcast_ref::<SessionEnded>().unwrap();
    assert_eq!(ended.reason(), EndReason::NeverSignedIn);
    assert_eq!(web.tokens(), [vec![1], vec![]]);

    let web = Web::new().await;
    let layer = web.keyed_layer().require_session();
    let keeps_key = FilterCredentials::new().allow_extension::<SessionKey<String>>();
    let policy = Limited::default().and::<_, Body, BoxError>(keeps_key);
    let response = send(layer, policy, request(&web)).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!(web.tokens(), [vec![1, 1, 2], vec![0]]);
}

/// So does it drop what the caller said against the token.
#[tokio::test]
async fn a_request_that_went_past_the_layer_comes_back_with_the_token() {
    let request = |web: &Web| {
        let mut request = web.get("/aba");
        request.extensions_mut().insert(SkipAuth);
        request
    };
    let web = Web::new().await;
    let sent = send(web.layer(), Standard::default(), request(&web)).await;
    assert_eq!(sent.unwrap().status(), StatusCode::OK);
    assert_eq!(web.tokens(), [vec![0, 1, 2], vec![0]]);

    let web = Web::new().await;
    let keeps_mark = FilterCredentials::new().allow_extension::<SkipAuth>();
    let policy = Limited::default().and::<_, Body, BoxError>(keeps_mark);
    let sent = send(web.layer(), policy, request(&web)).await;
    assert_eq!(sent.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(web.tokens(), [vec![0, 0], vec![0]]);
}

/// Why the docs put it outside: inside, the layer takes a foreign refusal for one of its own.
#[tokio::test]
async fn inside_of_the_layer_a_foreign_401_spends_a_refresh() {
    let web = Web::new().await;
    let mut api = web.layer().layer(FollowRedirect::new(http()));
    let response = api.ready().await.unwrap().call(web.get("/ab")).await;
    assert_eq!(why(&response.unwrap()), Some(NotRetried::AlreadyRetried));
    assert_eq!(web.tokens(), [vec![1, 2], vec![0, 0]]);
    assert_eq!(web.world.calls(), 1);
}
