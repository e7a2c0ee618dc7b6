//! Law E1: the rows of the error table.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use auth_layer::issue::NewSession;
use auth_layer::store::{MemoryStore, Selection, SessionStore as _};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::issue::*;

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
    behind.insert(backup, None).await.unwrap();
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

/// E1: each text gets the same answer (RFC 6749 s5.2), upon which clients ask for a new sign-in.
#[tokio::test]
async fn a_text_that_is_not_a_refresh_token_is_an_invalid_grant() {
    let server = Server::new(MemoryStore::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let uuid = "2f1c1c9e-8f0e-4b0a-9d8e-3f6a5d0a7b11";
    for text in [
        "x",
        uuid,
        pair.access_token(),
        "rt_v1.AAAA",
        &"y".repeat(4_000),
    ] {
        let answer = server.refresh(text, None).await;
        assert_eq!(answer.error(), (401, "invalid_grant"), "{text:.40}");
        let answer = server.token(form(text, "")).await;
        assert_eq!(answer.error(), (400, "invalid_grant"), "{text:.40}");
        assert_eq!(answer.body, json!({ "error": "invalid_grant" }));
    }
}

/// E1: malformed body, body over 16 KiB, duplicated parameter.
#[tokio::test]
async fn what_cannot_be_read_is_an_invalid_request() {
    let server = Server::new(MemoryStore::new());
    let long = json!({ "refresh_token": "x", "more": "x".repeat(16 * 1024) }).to_string();
    let bodies = ["{", "[]", "null", "\"x\"", r#"{"refresh_token":1}"#, &long];
    for body in bodies {
        for path in ["/refresh", "/logout"] {
            let answer = server.send(post(path, JSON, body)).await;
            assert_eq!(
                answer.error(),
                (400, "invalid_request"),
                "{path} {body:.40}"
            );
        }
    }
    let garbage = r#"{"refresh_token":"x"}"#;
    let answer = server.send(post("/logout", JSON, garbage)).await;
    assert_eq!(
        answer.status, 204,
        "a log-out with garbage has nothing to end"
    );
    let token = signed_in(&server).await;
    let long = form(&token, &format!("&x={}", "x".repeat(16 * 1024)));
    for body in [
        &form(&token, "&refresh_token=x"),
        &form(&token, "&grant_type=x"),
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
async fn an_idempotency_key_is_16_to_255_visible_characters_and_comes_once() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    let raw = key(1).trim_matches('"').to_owned();
    let bad = [
        format!("\"{raw}"),
        "\"\"".into(),
        "\"".into(),
        "".into(),
        "\"AAAA\"".into(),
        "fifteen-letters".into(),
        "\"fifteen-letters\"".into(),
        "a text with blanks in it".into(),
        "\"a text with blanks in it\"".into(),
        "A".repeat(256),
        format!("\"{}\"", "A".repeat(256)),
        format!("{};a=1", key(1)),
    ];
    for bad in bad {
        let answer = server.refresh(&token, Some(&bad)).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{bad}");
        assert!(answer.description().contains("16 to 255"), "{bad}");
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
    let longest = format!("\"{}\"", "A".repeat(255));
    server.refresh(&token, Some(&longest)).await.refresh_token();
}

/// A repeat is known as one however the header is written, as the quotes are no part of the key.
#[tokio::test]
async fn an_idempotency_key_is_the_same_with_and_without_quotes() {
    let server = Server::new(MemoryStore::new());
    let keys = [
        "9f1c2a66-0f1d-4a53-9d53-0c7cf0a4b0f2",
        "the-16-character",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
        "AQEBAQEBAQEBAQEBAQEBAQ",
        "AQEBAQEBAQEBAQEBAQEBAQ==",
        "{any:visible,characters!~\\}",
    ];
    for text in keys {
        let token = signed_in(&server).await;
        let bare = server.refresh(&token, Some(text)).await.refresh_token();
        let quoted = format!("\"{text}\"");
        let repeat = server.refresh(&token, Some(&quoted)).await;
        assert_eq!(repeat.refresh_token(), bare, "{text}");
    }
    assert_eq!(server.events.reuses(), 0);
    let token = signed_in(&server).await;
    server.refresh(&token, Some(keys[2])).await.refresh_token();
    let other = server.refresh(&token, Some(keys[3])).await;
    assert_eq!(other.error(), (401, "invalid_grant"), "another key");
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
