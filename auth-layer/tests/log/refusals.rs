//! What the log says of requests that are refused.

use auth_layer::endpoint::CookieMode;
use auth_layer::issue::RefreshRequest;
use auth_layer::store::MemoryStore;
use auth_layer::{RefreshToken, TokenEndpoints};

use crate::support::Log;
use crate::support::issue::*;

/// Law E1: whatever is refused leaves a line that says why, and no token.
#[tokio::test]
async fn each_refusal_is_in_the_log_with_its_kind() {
    let log = Log::begin().await;

    let mut server = Server::new(MemoryStore::new());
    server.endpoints = TokenEndpoints::new(server.issuer.clone())
        .cookies(CookieMode::new())
        .confidential_client("web", "secret of the client");
    let token = signed_in(&server).await;
    assert!(log.take().contains("session started"));
    let from_elsewhere = {
        let mut request = post("/refresh", JSON, "");
        let cookie = header(&format!("__Host-refresh={token}"));
        request.headers_mut().insert("cookie", cookie);
        request
    };
    let mut bad_key = post("/token", FORM, form(&token, ""));
    bad_key
        .headers_mut()
        .insert("idempotency-key", header("\"short\""));
    let cases = [
        (
            post(
                "/token",
                FORM,
                form(&token, "&client_id=web&client_secret=guess-1"),
            ),
            "invalid_client",
        ),
        (
            post("/token", FORM, form(&token, "&scope=a%22b")),
            "invalid_scope",
        ),
        (
            post("/token", FORM, "grant_type=password"),
            "unsupported_grant_type",
        ),
        (post("/refresh", JSON, "{}"), "No refresh token"),
        (from_elsewhere, "csrf"),
        (bad_key, "invalid_request"),
    ];
    for (request, kind) in cases {
        let path = request.uri().path().to_owned();
        assert!(server.send(request).await.status.is_client_error());
        let text = log.take();
        assert!(
            text.contains("request refused") && text.contains(kind),
            "{path} {kind}: {text}"
        );
        assert!(
            !text.contains(&token) && !text.contains("guess-1"),
            "{text}"
        );
    }

    let malformed = RefreshRequest::new(RefreshToken::from("x"));
    server.issuer.refresh(malformed).await.unwrap_err();
    assert!(log.take().contains("refresh refused kind=\"malformed\""));
    let child = server.refresh(&token, None).await.refresh_token();
    server.refresh(&token, Some(&key(1))).await;
    let text = log.take();
    for line in [
        "WARN auth_layer::session: refresh token reused",
        "by=\"reuse\"",
        "kind=\"reused\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    server.refresh(&child, None).await;
    assert!(log.take().contains("kind=\"revoked\""));
}
