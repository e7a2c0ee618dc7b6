//! The wire: every row of the error table, the documents, and bodies that somebody made up.
#![cfg(all(feature = "issue", feature = "test-util"))]

mod issue_kit;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use auth_layer::TokenEndpoints;
use auth_layer::issue::{NewSession, RefreshRequest};
use auth_layer::store::{MemoryStore, Selection, SessionStore as _};
use bytes::Bytes;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::BodyExt as _;
use issue_kit::*;
use serde_json::json;
use tower::ServiceExt as _;

async fn signed_in(server: &Server) -> String {
    sign_in(server, NewSession::new("alice")).await
}

async fn sign_in(server: &Server, session: NewSession) -> String {
    server
        .issuer
        .start(session)
        .await
        .unwrap()
        .refresh_token()
        .expose()
        .to_owned()
}

fn form(token: &str, more: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}{more}")
}

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
        ["access_token", "expires_in", "refresh_token", "token_type"]
    );
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

/// E1, first row: unknown, expired, revoked, FORK, STALE, FUTURE, forged.
#[tokio::test]
async fn every_dead_token_gets_the_same_answer() {
    let store = MemoryStore::new();
    let server = Server::new(store.clone());
    let elsewhere = Server::new(MemoryStore::new());

    let mut dead = Vec::new();
    dead.push(("unknown", signed_in(&elsewhere).await, &server));
    let revoked = signed_in(&server).await;
    server
        .issuer
        .revoke(&revoked.as_str().into())
        .await
        .unwrap();
    dead.push(("revoked", revoked, &server));
    let forked = signed_in(&server).await;
    server.refresh(&forked, None).await.refresh_token();
    dead.push(("forked", forked, &server));
    let stale = signed_in(&server).await;
    let child = server.refresh(&stale, None).await.refresh_token();
    server.refresh(&child, None).await.refresh_token();
    dead.push(("stale", stale, &server));
    let restored = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let which = Selection::One(restored.session());
    let backup = store.list(which, NOW).await.unwrap().remove(0);
    let future = server
        .refresh(restored.refresh_token().expose(), None)
        .await
        .refresh_token();
    let behind = MemoryStore::new();
    behind.insert(backup).await.unwrap();
    let behind = Server::new(behind);
    dead.push(("future", future, &behind));
    let mut forged = signed_in(&server).await;
    forged.replace_range(50..51, if &forged[50..51] == "A" { "B" } else { "A" });
    dead.push(("forged", forged, &server));
    let late = Server::new(MemoryStore::new());
    let expired = signed_in(&late).await;
    late.clock.advance(Duration::from_secs(14 * 24 * 3600));
    dead.push(("expired", expired, &late));

    for (why, token, server) in dead {
        let answer = server.refresh(&token, None).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (401, &json!({"error":"invalid_grant"})),
            "{why}"
        );
        let answer = server.token(form(&token, "")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (400, &json!({"error":"invalid_grant"})),
            "{why}"
        );
    }
}

/// E1: no refresh token was sent.
#[tokio::test]
async fn a_missing_token_is_said_to_be_missing() {
    let server = Server::new(MemoryStore::new());
    for body in [
        "{}",
        "",
        r#"{"refresh_token":null}"#,
        r#"{"refresh_token":""}"#,
    ] {
        let answer = server.send(post("/refresh", JSON, body)).await;
        assert_eq!(answer.error(), (401, "invalid_grant"), "{body}");
        assert_eq!(answer.description(), "No refresh token");
    }
    let bare = Request::post("/refresh").body(String::new()).unwrap();
    assert_eq!(server.send(bare).await.error(), (401, "invalid_grant"));
    for body in [
        "grant_type=refresh_token",
        "grant_type=refresh_token&refresh_token=",
    ] {
        assert_eq!(server.token(body).await.error(), (400, "invalid_request"));
    }
    assert_eq!(
        server.send(post("/revoke", FORM, "")).await.error(),
        (400, "invalid_request")
    );
    assert_eq!(
        server.send(post("/logout", JSON, "{}")).await.error(),
        (400, "invalid_request")
    );
}

/// E1: LATE.
#[tokio::test]
async fn a_repeat_that_was_overtaken_is_superseded_and_harms_nobody() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    let (first, second) = (key(1), key(2));
    let child = server.refresh(&token, Some(&first)).await.refresh_token();
    let grandchild = server.refresh(&child, Some(&second)).await.refresh_token();
    let answer = server.refresh(&token, Some(&first)).await;
    assert_eq!(
        (answer.error(), answer.description()),
        ((409, "invalid_grant"), "superseded")
    );
    let mut request = post("/token", FORM, form(&token, ""));
    request
        .headers_mut()
        .insert("idempotency-key", header(&first));
    let answer = server.send(request).await;
    assert_eq!(
        (answer.error(), answer.description()),
        ((400, "invalid_grant"), "superseded")
    );
    server.refresh(&grandchild, None).await.refresh_token();
}

/// E1: malformed body, garbage for a token, body over 16 KiB, duplicated parameter.
#[tokio::test]
async fn what_cannot_be_read_is_an_invalid_request() {
    let server = Server::new(MemoryStore::new());
    let long = json!({ "refresh_token": "x", "more": "x".repeat(16 * 1024) }).to_string();
    let bodies = [
        "{",
        "[]",
        "null",
        "\"x\"",
        r#"{"refresh_token":1}"#,
        r#"{"refresh_token":"x"}"#,
        &long,
    ];
    for body in bodies {
        for path in ["/refresh", "/logout"] {
            let answer = server.send(post(path, JSON, body)).await;
            if path == "/logout" && body == r#"{"refresh_token":"x"}"# {
                assert_eq!(
                    answer.status, 204,
                    "a log-out with garbage has nothing to end"
                );
            } else {
                assert_eq!(
                    answer.error(),
                    (400, "invalid_request"),
                    "{path} {body:.40}"
                );
            }
        }
    }
    let token = signed_in(&server).await;
    let long = form(&token, &format!("&x={}", "x".repeat(16 * 1024)));
    for body in [
        &form(&token, "&refresh_token=x"),
        &form(&token, "&grant_type=x"),
        &form("x", ""),
        &long,
        "refresh_token=x",
    ] {
        assert_eq!(
            server.token(body).await.error(),
            (400, "invalid_request"),
            "{body:.40}"
        );
    }
    let other = server
        .token("grant_type=password&username=a&password=b")
        .await;
    assert_eq!(other.error(), (400, "unsupported_grant_type"));
    server.refresh(&token, None).await.refresh_token();
}

#[tokio::test]
async fn an_idempotency_key_is_16_to_64_bytes_in_quotes_and_comes_once() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    let raw = key(1).trim_matches('"').to_owned();
    let bad = [
        raw.clone(),
        format!("\"{raw}"),
        format!("\"{raw}==\""),
        "\"\"".into(),
        "\"AAAA\"".into(),
        format!("\"{}\"", "A".repeat(88)),
        format!("\"{raw}!\""),
        format!("{};a=1", key(1)),
    ];
    for bad in bad {
        assert_eq!(
            server.refresh(&token, Some(&bad)).await.error(),
            (400, "invalid_request"),
            "{bad}"
        );
    }
    let mut twice = post(
        "/refresh",
        JSON,
        json!({ "refresh_token": token }).to_string(),
    );
    twice
        .headers_mut()
        .append("idempotency-key", header(&key(1)));
    twice
        .headers_mut()
        .append("idempotency-key", header(&key(1)));
    assert_eq!(server.send(twice).await.error(), (400, "invalid_request"));
    let longest = format!("\"{}\"", "A".repeat(86 - 1) + "A");
    server.refresh(&token, Some(&longest)).await.refresh_token();
}

/// E1: wrong content type 415, unknown path 404, wrong method 405 with Allow, all in JSON.
#[tokio::test]
async fn wrong_paths_methods_and_content_types_are_told_apart() {
    let server = Server::new(MemoryStore::new());
    for (path, type_) in [
        ("/refresh", FORM),
        ("/logout", "text/plain"),
        ("/token", JSON),
        ("/revoke", JSON),
    ] {
        assert_eq!(
            server.send(post(path, type_, "{}")).await.status,
            415,
            "{path}"
        );
    }
    let untyped = Request::post("/refresh").body("{}".to_owned()).unwrap();
    assert_eq!(server.send(untyped).await.status, 415);
    for path in ["/", "/refresh/", "/Refresh", "/refresh/x"] {
        assert_eq!(
            server.send(post(path, JSON, "{}")).await.error(),
            (404, "invalid_request")
        );
    }
    for path in ["/refresh", "/token", "/revoke", "/logout"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
    ] {
        let answer = server.send(post(path, JSON, "{}")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["allow"]),
            (405, &header("GET, HEAD"))
        );
    }
}

/// E1: unknown client or bad client secret.
#[tokio::test]
async fn a_client_that_does_not_prove_itself_is_invalid() {
    use base64::Engine as _;
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = TokenEndpoints::new(server.issuer.clone())
        .public_client("app")
        .confidential_client("web", "s e:c%ret");
    let token = signed_in(&server).await;
    let bad = [
        "&client_id=nobody",
        "&client_id=web",
        "&client_id=web&client_secret=no",
        "&client_id=app&client_secret=no",
        "&client_secret=no",
    ];
    for bad in bad {
        for path in ["/token", "/revoke"] {
            let body = format!("{}&token={token}", form(&token, bad));
            let answer = server.send(post(path, FORM, body)).await;
            assert_eq!(answer.error(), (401, "invalid_client"), "{bad}");
            assert!(!answer.headers.contains_key("www-authenticate"));
        }
    }
    let basic = |pair: &str| format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair));
    let with = |authorization: &str, body: String| {
        let mut request = post("/token", FORM, body);
        request
            .headers_mut()
            .insert("authorization", header(authorization));
        request
    };
    for bad in [
        basic("web:no"),
        basic("nobody:x"),
        basic("no colon"),
        "Bearer x".into(),
        "Basic !".into(),
    ] {
        let answer = server.send(with(&bad, form(&token, ""))).await;
        assert_eq!(answer.error(), (401, "invalid_client"), "{bad}");
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic ")
        );
    }
    let right = basic("web:s+e%3Ac%25ret");
    let twice = with(&right, form(&token, "&client_id=web&client_secret=x"));
    assert_eq!(server.send(twice).await.error(), (400, "invalid_request"));
    let child = server
        .send(with(&right, form(&token, "&client_id=web")))
        .await
        .refresh_token();
    let child = server
        .token(form(&child, "&client_id=app"))
        .await
        .refresh_token();
    let posted = form(&child, "&client_id=web&client_secret=s+e:c%25ret");
    server.token(posted).await.refresh_token();
}

#[tokio::test]
async fn a_session_of_a_client_is_of_use_to_that_client_alone() {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = TokenEndpoints::new(server.issuer.clone())
        .public_client("app")
        .public_client("other");
    let token = sign_in(&server, NewSession::new("alice").client_id("app")).await;
    assert_eq!(
        server.token(form(&token, "&client_id=other")).await.error(),
        (400, "invalid_grant")
    );
    assert_eq!(
        server.token(form(&token, "")).await.error(),
        (400, "invalid_grant")
    );
    assert_eq!(
        server.refresh(&token, None).await.error(),
        (401, "invalid_grant")
    );
    server
        .token(form(&token, "&client_id=app"))
        .await
        .refresh_token();
}

/// E1: wider scope than granted. The token is still good, and the session keeps its scopes.
#[tokio::test]
async fn a_scope_may_be_narrowed_for_one_access_token_and_never_widened() {
    let server = Server::new(MemoryStore::new());
    let token = sign_in(
        &server,
        NewSession::new("alice").scopes("read write".parse().unwrap()),
    )
    .await;
    for wide in ["&scope=read+admin", "&scope=a%22b"] {
        assert_eq!(
            server.token(form(&token, wide)).await.error(),
            (400, "invalid_scope"),
            "{wide}"
        );
    }
    let narrow = server.token(form(&token, "&scope=read")).await;
    assert_eq!(narrow.body["scope"], "read");
    let again = server.token(form(&narrow.refresh_token(), "&scope=")).await;
    assert_eq!(again.body["scope"], "read write");
}

/// E1: store down.
#[tokio::test]
async fn a_store_that_is_down_is_never_an_invalid_grant() {
    let token = signed_in(&Server::new(MemoryStore::new())).await;
    let server = Server::new(Down);
    let json = json!({ "refresh_token": token }).to_string();
    for request in [
        post("/refresh", JSON, &*json),
        post("/logout", JSON, &*json),
        post("/token", FORM, form(&token, "")),
        post("/token", FORM, form(&token, "&scope=read")),
        post("/revoke", FORM, format!("token={token}")),
    ] {
        let answer = server.send(request).await;
        assert_eq!(answer.error(), (503, "temporarily_unavailable"));
        assert_eq!(answer.headers["retry-after"], "1");
    }
}

/// E1: slow bodies are cut.
#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_cut_off() {
    struct Never;
    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }
    let server = Server::new(MemoryStore::new());
    let request = Request::post("/refresh")
        .header("content-type", JSON)
        .body(Never)
        .unwrap();
    let before = tokio::time::Instant::now();
    let answer = server.endpoints.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 408);
    assert_eq!(before.elapsed().as_secs(), 10);
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

/// E1: fuzzed bodies and headers give no 5xx, no panic, and no session.
#[test]
fn whatever_is_sent_the_answer_is_a_refusal() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = Server::new(MemoryStore::new());
    let token = runtime.block_on(signed_in(&server));
    let path = prop_oneof![
        8 => prop_oneof![Just("/refresh"), Just("/token"), Just("/revoke"), Just("/logout")].prop_map(String::from),
        1 => "/[a-z./%-]{0,20}",
    ];
    let damaged = (0..token.len(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = b"ABCDabcd0123-_=.!~"[usize::from(byte) % 18];
        String::from_utf8(bytes).unwrap()
    });
    let body = prop_oneof![
        ".{0,200}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..200),
        "[A-Za-z0-9_-]{80,110}"
            .prop_map(|it| json!({ "refresh_token": it }).to_string().into_bytes()),
        damaged
            .clone()
            .prop_map(|it| json!({ "refreshToken": it }).to_string().into_bytes()),
        damaged.prop_map(|it| form(&it, "&scope=a").into_bytes()),
        "(grant_type|refresh_token|scope|client_id|token|&|=|%|\\+|[a-z_%0-9]){0,20}"
            .prop_map(String::into_bytes),
        "[\\[{]{1,5000}".prop_map(String::into_bytes),
    ];
    let name = prop_oneof![
        "content-type",
        "idempotency-key",
        "authorization",
        "user-agent",
        "if-none-match"
    ];
    let value = prop_oneof![
        Just(JSON.as_bytes().to_vec()),
        Just(FORM.as_bytes().to_vec()),
        Just(key(1).into_bytes()),
        "Basic [A-Za-z0-9+/=]{0,20}".prop_map(String::into_bytes),
        proptest::collection::vec(0x20u8..=0xff, 0..40),
    ];
    let headers = proptest::collection::vec((name, value), 0..5);
    let method = prop_oneof![5 => Just("POST"), 1 => Just("GET"), 1 => Just("PROPFIND")];
    let config = ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(path in path, method in method, headers in headers, body in body)| {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(&path);
        for (name, value) in headers {
            match http::HeaderValue::from_bytes(&value) {
                Ok(value) => request = request.header(name, value),
                Err(_) => return Err(TestCaseError::reject("no header value")),
            }
        }
        let request = request.body(http_body_util::Full::<Bytes>::from(body)).unwrap();
        let answer = runtime.block_on(server.endpoints.clone().oneshot(request)).unwrap();
        prop_assert!(!answer.status().is_server_error(), "{}", answer.status());
        let is_end = path == "/revoke" || path == "/logout" || path.starts_with("/.well-known/");
        prop_assert!(answer.status().is_client_error() || is_end, "{}", answer.status());
    });
}
