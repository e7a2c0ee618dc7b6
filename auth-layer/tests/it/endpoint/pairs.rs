//! What the endpoints give: pairs, log-outs and the public documents.

use auth_layer::endpoint::{CookieMode, token_response};
use auth_layer::issue::{NewSession, RefreshRequest};
use auth_layer::store::MemoryStore;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::issue::*;

#[tokio::test]
async fn a_pair_comes_with_all_members_that_rfc_6749_names() {
    let server = Server::new(MemoryStore::new());
    let scoped = NewSession::new("alice").scopes("read write".parse().unwrap());
    let token = sign_in(&server, scoped).await;
    let answer = server.refresh(&token, None).await;
    let body = answer.body.as_object().unwrap();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    assert_eq!(body["scope"], "read write");
    let plain = server.refresh(&signed_in(&server).await, None).await;
    let mut names: Vec<_> = plain.body.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "access_token",
            "expires_in",
            "idempotent",
            "refresh_token",
            "token_type"
        ]
    );
}

/// A client reads this member before it repeats a refresh whose answer was lost.
#[tokio::test]
async fn every_token_response_says_that_refreshes_are_idempotent() {
    let server = Server::new(MemoryStore::new());
    let json = server.refresh(&signed_in(&server).await, None).await;
    let oauth = server.token(form(&signed_in(&server).await, "")).await;
    for answer in [json, oauth] {
        assert_eq!(answer.body["idempotent"], true, "{}", answer.body);
    }
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let cookies = server.endpoints.clone().cookies(CookieMode::new());
    for answer in [
        token_response(&pair),
        server.endpoints.token_response(&pair),
        cookies.token_response(&pair),
    ] {
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["idempotent"], true, "{body}");
    }
}

#[tokio::test]
async fn the_camel_case_name_is_read_too_but_not_both() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    let both = json!({ "refreshToken": token, "refresh_token": token }).to_string();
    let answer = server.send(post("/refresh", JSON, both)).await;
    assert_eq!(answer.error(), (400, "invalid_request"));
    let camel = json!({ "refreshToken": token, "device": "d" }).to_string();
    server
        .send(post("/refresh", "Application/JSON; charset=utf-8", camel))
        .await
        .refresh_token();
}

#[tokio::test]
async fn revoking_and_logging_out_say_the_same_for_good_and_bad_tokens() {
    let server = Server::new(MemoryStore::new());
    for garbage in ["x", &signed_in(&Server::new(MemoryStore::new())).await] {
        let answer = server
            .send(post("/revoke", FORM, format!("token={garbage}")))
            .await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, json!(null)));
    }
    let token = signed_in(&server).await;
    let answer = server
        .send(post(
            "/revoke",
            FORM,
            format!("token={token}&token_type_hint=x"),
        ))
        .await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, json!(null)));
    assert_eq!(
        server.refresh(&token, None).await.error(),
        (401, "invalid_grant")
    );
    let token = signed_in(&server).await;
    let child = server.refresh(&token, None).await.refresh_token();
    let old = post(
        "/logout",
        JSON,
        json!({ "refresh_token": token }).to_string(),
    );
    assert_eq!(server.send(old).await.status, 204);
    assert_eq!(
        server.refresh(&child, None).await.error(),
        (401, "invalid_grant")
    );
}

#[tokio::test]
async fn the_keys_are_cacheable_and_change_their_tag_with_a_rotation() {
    let server = Server::new(MemoryStore::new());
    let path = "/.well-known/jwks.json";
    let first = server.get(path).await;
    assert_eq!(first.headers["cache-control"], "public, max-age=300");
    assert_eq!(first.body["keys"][0]["use"], "sig");
    assert!(first.body["keys"][0].get("d").is_none());
    let tag = first.headers["etag"].clone();
    let conditional = |tag: &http::HeaderValue| {
        Request::get(path)
            .header("if-none-match", tag)
            .body(String::new())
            .unwrap()
    };
    let again = server.send(conditional(&tag)).await;
    assert_eq!((again.status.as_u16(), &again.headers["etag"]), (304, &tag));
    let key = auth_layer::SigningKey::generate(auth_layer::Algorithm::EdDSA).unwrap();
    server.issuer.signing_keys().announce(key);
    let changed = server.send(conditional(&tag)).await;
    assert_eq!(
        (
            changed.status.as_u16(),
            changed.body["keys"].as_array().unwrap().len()
        ),
        (200, 2)
    );
}

#[tokio::test]
async fn the_metadata_names_what_is_there() {
    let mut server = Server::new(MemoryStore::new());
    let path = "/.well-known/oauth-authorization-server";
    let body = server.get(path).await.body;
    assert_eq!(body["issuer"], "https://auth.example");
    assert_eq!(body["token_endpoint"], "https://auth.example/token");
    assert_eq!(body["grant_types_supported"], json!(["refresh_token"]));
    assert_eq!(body["response_types_supported"], json!([]));
    server.endpoints = server.endpoints.base_url("https://auth.example/oauth/");
    let body = server.get(path).await.body;
    assert_eq!(
        body["jwks_uri"],
        "https://auth.example/oauth/.well-known/jwks.json"
    );
}

#[tokio::test]
async fn it_mounts_in_axum_at_the_root_and_under_a_prefix() {
    let server = Server::new(MemoryStore::new());
    let root = axum::Router::<()>::new().fallback_service(server.endpoints.clone());
    let nested = axum::Router::<()>::new().nest_service("/auth", server.endpoints.clone());
    for (app, path) in [(root, "/refresh"), (nested, "/auth/refresh")] {
        let body = json!({ "refresh_token": signed_in(&server).await }).to_string();
        let answer = app.oneshot(post(path, JSON, body)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_login_handler_answers_like_refresh() {
    let server = Server::new(MemoryStore::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let answer = auth_layer::endpoint::token_response(&pair);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["access_token"], pair.access_token());
    let request = RefreshRequest::new(body["refresh_token"].as_str().unwrap());
    server.issuer.refresh(request).await.unwrap();
}
