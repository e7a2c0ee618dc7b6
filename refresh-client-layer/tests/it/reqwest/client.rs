//! The layer over `reqwest`, against servers on loopback.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use refresh_client_layer::reqwest::{RequestErrorKind, ReqwestService};
use refresh_client_layer::{
    AuthClient, HttpRefresher, NotRetried, Outcome, RefreshErrorKind, TokenManager, TokenSet,
};

use crate::support::World;
use crate::support::site::{Site, ok, redirect, status};

fn session_for(world: &World, sites: &[&Site]) -> TokenManager {
    let mut builder =
        TokenManager::builder(world.clone()).tokens(TokenSet::new("access-1", "refresh-1"));
    for site in sites {
        builder = builder.origin(site.url(""));
    }
    builder.build().unwrap()
}

fn client(session: TokenManager) -> AuthClient {
    AuthClient::from_builder(reqwest::Client::builder(), session).unwrap()
}

/// Law H6: the URL of the response is kept.
#[tokio::test]
async fn a_refused_request_is_sent_again_with_a_new_token() {
    let api = Site::api().await;
    let world = World::new();
    let client = client(session_for(&world, &[&api]));
    let response = client
        .post(api.url("/things"))
        .query(&[("q", "a b")])
        .header("x-own", "1")
        .json(&["payload"])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().as_str(), api.url("/things?q=a+b"));
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.attempts(), 2);
    assert_eq!(world.calls(), 1);
    for hit in api.hits() {
        assert_eq!((hit.method, &*hit.path), (Method::POST, "/things"));
        assert_eq!(hit.headers["content-type"], "application/json");
        assert_eq!(hit.headers["x-own"], "1");
        assert_eq!(hit.body, r#"["payload"]"#);
    }
}

#[tokio::test]
async fn a_streamed_body_is_sent_twice() {
    let api = Site::api().await;
    let world = World::new();
    let body = reqwest::Body::wrap(Full::<Bytes>::from("payload"));
    let response = client(session_for(&world, &[&api]))
        .post(api.url("/"))
        .body(body);
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let bodies: Vec<_> = api.hits().into_iter().map(|hit| hit.body).collect();
    assert_eq!(bodies, ["payload", "payload"]);
}

#[tokio::test]
async fn the_caller_can_go_past_the_layer() {
    let api = Site::api().await;
    let world = World::new();
    let client = client(session_for(&world, &[&api]));
    let own = client
        .get(api.url("/"))
        .bearer_auth("callers-own")
        .send()
        .await
        .unwrap();
    let skipped = client.get(api.url("/")).skip_auth().send().await.unwrap();
    for response in [own, skipped] {
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            response.extensions().get::<Outcome>().unwrap().attempts(),
            1
        );
    }
    assert_eq!(api.tokens(), [Some("Bearer callers-own".to_owned()), None]);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn errors_say_whose_they_are() {
    let api = Site::api().await;
    let world = World::new();
    world.fail_next(RefreshErrorKind::Transient);
    let session = session_for(&world, &[&api]);
    let client = client(session.clone());
    let error = client.get(api.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::RefreshUnavailable);
    session.sign_out().await;
    for kind in ["text/plain", "application/grpc-web"] {
        let request = client.get(api.url("/")).header("content-type", kind);
        let error = request.send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::SessionEnded, "{kind}");
    }
    let error = client.get("no url").send().await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::Http);
    assert!(error.as_reqwest().unwrap().is_builder());
}

#[tokio::test]
async fn the_refresher_works_over_reqwest() {
    let auth = Site::start(|_| {
        let mut response = ok();
        let json = r#"{"access_token":"access-2","refresh_token":"refresh-2","expires_in":900}"#;
        *response.body_mut() = Full::from(json);
        response
    })
    .await;
    let api = Site::api().await;
    let http = ReqwestService::new(reqwest::Client::builder()).unwrap();
    let session = TokenManager::builder(HttpRefresher::json(auth.url("/refresh"), http))
        .tokens(TokenSet::new("access-1", "refresh-1"))
        .origin(api.url(""))
        .build()
        .unwrap();
    let response = client(session).get(api.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(auth.hits()[0].body, r#"{"refresh_token":"refresh-1"}"#);
}

/// Law S3.
#[tokio::test]
async fn a_refresh_token_does_not_follow_a_redirect() {
    let evil = Site::start(|_| ok()).await;
    let to = evil.url("/refresh");
    let auth = Site::start(move |_| redirect(&to)).await;
    let http = ReqwestService::new(reqwest::Client::builder()).unwrap();
    let session = TokenManager::builder(HttpRefresher::json(auth.url("/refresh"), http))
        .tokens(TokenSet::new("access-1", "refresh-1"))
        .build()
        .unwrap();
    session.force_refresh().await.unwrap_err();
    assert_eq!(auth.hits().len(), 1);
    assert!(evil.hits().is_empty());
}

/// Law S1: a name that reqwest normalises, or an address that it does not take for another.
#[tokio::test]
async fn a_foreign_origin_is_sent_no_token() {
    let (api, other) = (Site::api().await, Site::api().await);
    let world = World::new();
    let client = client(session_for(&world, &[&api]));
    let port = api.addr.port();
    let by_name = format!("http://localhost:{port}/");
    let user = format!("http://user@127.0.0.1:{port}/");
    for url in [other.url("/"), by_name, user] {
        let sent = client.get(&url).send().await;
        assert_eq!(sent.unwrap().status(), StatusCode::UNAUTHORIZED, "{url}");
    }
    let mut by_hand = format!("http://127.0.0.1:{port}/")
        .parse::<reqwest::Url>()
        .unwrap();
    by_hand.set_username("user").unwrap();
    let request = reqwest::Request::new(Method::GET, by_hand);
    client.execute(request).await.unwrap();
    let tokens = [api.tokens(), other.tokens()].concat();
    assert_eq!(tokens.len(), 4);
    assert!(
        tokens
            .iter()
            .flatten()
            .all(|token| !token.starts_with("Bearer"))
    );
    // Law S2: nor is its 401 a reason to refresh.
    assert_eq!(world.calls(), 0);
}

/// Law S2: A to B, and A to B to B.
#[tokio::test]
async fn a_redirect_to_a_foreign_origin_is_handed_out_and_not_followed() {
    let foreign = Site::start(|hit| match hit.path.as_str() {
        "/once" => status(401),
        _ => redirect("/once"),
    })
    .await;
    for path in ["/once", "/twice"] {
        let to = foreign.url(path);
        let api = Site::start(move |_| redirect(&to)).await;
        let world = World::new();
        let client = client(session_for(&world, &[&api]));
        let response = client.get(api.url("/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.url().as_str(), api.url("/"));
        assert_eq!(world.calls(), 0);
    }
    assert!(foreign.hits().is_empty());
}

/// Law S2: A to B to A.
#[tokio::test]
async fn a_redirect_there_and_back_is_not_followed_either() {
    let back = Arc::new(Mutex::new(String::new()));
    let to = back.clone();
    let foreign = Site::start(move |_| redirect(&to.lock().unwrap())).await;
    let to = foreign.url("/");
    let api = Site::start(move |hit| match hit.path.as_str() {
        "/back" => ok(),
        _ => redirect(&to),
    })
    .await;
    *back.lock().unwrap() = api.url("/back");
    let client = client(session_for(&World::new(), &[&api]));
    let response = client.get(api.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(foreign.hits().is_empty());
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_with_the_token() {
    let api = Site::start(|hit| match (hit.path.as_str(), hit.token()) {
        ("/new", Some("Bearer access-2")) => ok(),
        ("/new", _) => status(401),
        _ => redirect("/new"),
    })
    .await;
    let world = World::new();
    let client = client(session_for(&world, &[&api]));
    let sent = tokio::spawn(client.get(api.url("/old")).send());
    let response = sent.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().as_str(), api.url("/new"));
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn endless_redirects_within_the_origin_are_an_error() {
    let api = Site::start(|_| redirect("/again")).await;
    let client = client(session_for(&World::new(), &[&api]));
    let error = client.get(api.url("/")).send().await.unwrap_err();
    assert!(error.as_reqwest().unwrap().is_redirect());
    assert!(api.hits().len() <= 12);
}

/// Law S2: with a client that does follow, the foreign 401 is the caller's.
#[tokio::test]
async fn a_401_from_where_a_redirect_led_is_no_reason_to_refresh() {
    let foreign = Site::start(|_| status(401)).await;
    let to = foreign.url("/");
    let api = Site::start(move |_| redirect(&to)).await;
    let world = World::new();
    let client = AuthClient::new(reqwest::Client::new(), session_for(&world, &[&api]));
    let response = client.get(api.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.url().as_str(), foreign.url("/"));
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.not_retried(), Some(NotRetried::ForeignResponse));
    assert_eq!(foreign.tokens(), [None]);
    assert_eq!(world.calls(), 0);
}

/// Law S2: why the docs ask for `same_origin_redirects`.
#[tokio::test]
async fn reqwest_by_itself_sends_the_token_to_the_second_foreign_hop() {
    let foreign = Site::start(|hit| match hit.path.as_str() {
        "/second" => ok(),
        _ => redirect("/second"),
    })
    .await;
    let to = foreign.url("/first");
    let api = Site::start(move |_| redirect(&to)).await;
    let session = session_for(&World::new(), &[&api]);
    let client = AuthClient::new(reqwest::Client::new(), session);
    client.get(api.url("/")).send().await.unwrap();
    assert_eq!(foreign.tokens(), [None, Some("Bearer access-1".to_owned())]);
}

/// The order was accepted, and what tells of it wants a fresher token.
#[tokio::test]
async fn a_request_that_was_redirected_is_sent_again_only_if_that_does_no_harm() {
    for (method, code, why) in [
        (Method::POST, 303, Some(NotRetried::Redirected)),
        (Method::PATCH, 307, Some(NotRetried::Redirected)),
        (Method::PUT, 303, None),
        (Method::GET, 303, None),
    ] {
        let api = Site::start(move |hit| match (&*hit.path, hit.token()) {
            ("/orders", _) => {
                let mut response = redirect("/orders/1");
                *response.status_mut() = StatusCode::from_u16(code).unwrap();
                response
            }
            (_, Some("Bearer access-2")) => ok(),
            _ => status(401),
        })
        .await;
        let world = World::new();
        let client = client(session_for(&world, &[&api]));
        let send = |path| client.request(method.clone(), api.url(path)).send();
        let response = send("/orders").await.unwrap();
        let outcome = response.extensions().get::<Outcome>().unwrap();
        assert_eq!(outcome.not_retried(), why, "{method}");
        let hits = api.hits();
        let orders = hits.iter().filter(|hit| hit.path == "/orders").count();
        assert_eq!(orders, if why.is_some() { 1 } else { 2 });
        // In any case the next request has a new token.
        world.called(1).await;
        crate::support::settle().await;
        let response = send("/orders/2").await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_fragment_makes_no_redirect() {
    let api = Site::api().await;
    let client = client(session_for(&World::new(), &[&api]));
    let response = client.post(api.url("/orders#new")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
