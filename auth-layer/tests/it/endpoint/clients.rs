//! OAuth clients, what is theirs, and scopes: rows of law E1.

use auth_layer::claims::Thumbprint;
use auth_layer::issue::NewSession;
use auth_layer::store::MemoryStore;
use auth_layer::{TokenEndpoints, Verify as _};
use serde_json::json;

use crate::support::issue::*;

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
        "Basic !".into(),
        "Negotiate x".into(),
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

/// What the session has is nothing that an old token tells.
#[tokio::test]
async fn an_old_token_is_a_theft_whatever_scope_it_asks_for() {
    let server = Server::new(MemoryStore::new());
    let scoped = NewSession::new("alice").scopes("read".parse().unwrap());
    let old = sign_in(&server, scoped).await;
    let wide = |token: &str| post("/token", FORM, form(token, "&scope=admin"));
    let with = |mut request: http::Request<String>, byte| {
        request
            .headers_mut()
            .insert("idempotency-key", header(&key(byte)));
        request
    };
    let next = with(post("/token", FORM, form(&old, "")), 1);
    server.send(next).await.refresh_token();
    let repeat = server.send(with(wide(&old), 1)).await;
    assert_eq!(repeat.error(), (400, "invalid_scope"), "that of its owner");
    assert_eq!(server.events.reuses(), 0);
    let theft = server.send(with(wide(&old), 2)).await;
    assert_eq!(theft.error(), (400, "invalid_grant"));
    assert_eq!(server.events.reuses(), 1);
}

#[tokio::test]
async fn an_empty_scope_is_none_and_a_repeated_one_counts_once() {
    let server = Server::new(MemoryStore::new());
    let scoped = NewSession::new("alice").scopes("read write".parse().unwrap());
    let mut token = sign_in(&server, scoped).await;
    for (scope, given) in [
        ("&scope=+", "read write"),
        ("&scope=write+read+write", "write read"),
        ("&scope=+read++", "read"),
    ] {
        let answer = server.token(form(&token, scope)).await;
        assert_eq!(answer.body["scope"], given, "{scope}");
        token = answer.refresh_token();
    }
    let unscoped = signed_in(&server).await;
    let answer = server.token(form(&unscoped, "&scope=read")).await;
    assert_eq!(answer.error(), (400, "invalid_scope"));
}

/// RFC 7009 s2.1: a token of another client is left alone, and nobody is told.
#[tokio::test]
async fn a_client_revokes_its_own_tokens_only() {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = TokenEndpoints::new(server.issuer.clone())
        .public_client("app")
        .confidential_client("web", "secret");
    let revoke = async |token: &str, client: &str| {
        let answer = server
            .send(post("/revoke", FORM, format!("token={token}{client}")))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.body),
            (200, serde_json::Value::Null)
        );
        server.issuer.list("alice").await.unwrap().len()
    };
    let (app, web) = ("&client_id=app", "&client_id=web&client_secret=secret");
    let theirs = server
        .issuer
        .start(NewSession::new("alice").client_id("web"))
        .await
        .unwrap();
    for token in [theirs.refresh_token().expose(), theirs.access_token()] {
        assert_eq!(revoke(token, app).await, 1);
        assert_eq!(revoke(token, "").await, 1);
    }
    assert_eq!(
        revoke(theirs.access_token(), web).await,
        0,
        "its session ends with it"
    );
    let theirs = sign_in(&server, NewSession::new("alice").client_id("web")).await;
    assert_eq!(revoke(&theirs, web).await, 0);
    let nobodys = signed_in(&server).await;
    assert_eq!(
        revoke(&nobodys, app).await,
        0,
        "a session of no client serves all"
    );
}

#[tokio::test]
async fn a_bound_access_token_is_revoked_without_a_proof() {
    let server = Server::new(MemoryStore::new());
    let jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let jkt: Thumbprint = jkt.parse().unwrap();
    let bound = NewSession::new("alice").bound_to(jkt);
    let pair = server.issuer.start(bound).await.unwrap();
    let body = format!("token={}", pair.access_token());
    assert_eq!(server.send(post("/revoke", FORM, body)).await.status, 200);
    assert!(server.issuer.list("alice").await.unwrap().is_empty());
}

/// A client library may add the access token that it is about to replace.
#[tokio::test]
async fn a_stale_access_token_beside_the_request_is_not_client_authentication() {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = (server.endpoints.clone())
        .public_client("app")
        .confidential_client("web", "secret");
    let clients = ["", "&client_id=app", "&client_id=web&client_secret=secret"];
    for authorization in ["Bearer stale", "bearer", "Bearer \u{e9}", "DPoP a.b.c"] {
        for client in clients {
            let token = signed_in(&server).await;
            let mut request = post("/token", FORM, form(&token, client));
            let value = http::HeaderValue::from_bytes(authorization.as_bytes()).unwrap();
            request.headers_mut().insert("authorization", value);
            server.send(request.clone()).await.refresh_token();
            *request.uri_mut() = "/revoke".parse().unwrap();
            *request.body_mut() = format!("token=x{client}");
            assert_eq!(server.send(request).await.status, 200);
        }
    }
    let mut introspection = post("/introspect", FORM, "token=x");
    let value = header("Bearer stale");
    introspection.headers_mut().insert("authorization", value);
    let answer = server.send(introspection).await;
    assert_eq!(answer.error(), (401, "invalid_client"));
}

/// RFC 8707 s2: each value is a target, and an access token is for no other than those named.
#[tokio::test]
async fn resources_narrow_the_audience_of_the_access_token() {
    let builder = builder(MemoryStore::new()).audience("https://files.example");
    let server = Server::of(builder.audience("urn:mail"));
    let mut token = signed_in(&server).await;
    for (resources, audience) in [
        (
            "",
            json!(["https://api.example", "https://files.example", "urn:mail"]),
        ),
        (
            "&resource=",
            json!(["https://api.example", "https://files.example", "urn:mail"]),
        ),
        ("&resource=urn:mail", json!("urn:mail")),
        ("&resource=urn:mail&resource=urn%3Amail", json!("urn:mail")),
        (
            "&resource=urn:mail&resource=https://api.example",
            json!(["https://api.example", "urn:mail"]),
        ),
    ] {
        let answer = server.token(form(&token, resources)).await;
        token = answer.refresh_token();
        let claims = payload(&answer.access_token());
        assert_eq!(claims["aud"], audience, "{resources}");
        let verified = server
            .issuer
            .verifier()
            .verify(&answer.access_token())
            .await;
        assert!(verified.is_ok(), "{resources}");
    }
    for unknown in [
        "&resource=https://other.example",
        "&resource=urn:mail&resource=https://other.example",
        "&resource=https://api.example/",
        "&resource=no+uri",
    ] {
        let answer = server.token(form(&token, unknown)).await;
        assert_eq!(answer.error(), (400, "invalid_target"), "{unknown}");
    }
    for twice in ["&scope=a&scope=a", "&client_id=app&client_id=app"] {
        let answer = server.token(form(&token, twice)).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{twice}");
    }
    server.token(form(&token, "")).await.refresh_token();
    assert_eq!(server.events.reuses(), 0);
}

/// RFC 9068 s2.2 requires the claim.
#[tokio::test]
async fn an_access_token_names_the_client_of_its_session_else_of_the_request_else_the_default() {
    let named = builder(MemoryStore::new()).default_client_id("web-shop");
    for (builder, default) in [
        (builder(MemoryStore::new()), "https://auth.example"),
        (named, "web-shop"),
    ] {
        let mut server = Server::of(builder);
        server.endpoints = (server.endpoints.clone())
            .public_client("app")
            .confidential_client("web", "secret");
        let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
        assert_eq!(payload(pair.access_token())["client_id"], default);
        let mut token = pair.refresh_token().expose().to_owned();
        for (client, expected) in [
            ("", default),
            ("&client_id=app", "app"),
            ("&client_id=web&client_secret=secret", "web"),
        ] {
            let answer = server.token(form(&token, client)).await;
            token = answer.refresh_token();
            assert_eq!(payload(&answer.access_token())["client_id"], expected);
        }
        let json = server.refresh(&token, None).await;
        assert_eq!(payload(&json.access_token())["client_id"], default);

        let owned = NewSession::new("alice").client_id("app");
        let pair = server.issuer.start(owned).await.unwrap();
        assert_eq!(payload(pair.access_token())["client_id"], "app");
        let again = plain(&pair).client_id(Some("app".into()));
        let pair = server.issuer.refresh(again).await.unwrap();
        assert_eq!(payload(pair.access_token())["client_id"], "app");
    }
}

/// What an access token says, which is read here without checking its signature.
fn payload(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

/// RFC 6749 s2.3.1 wants both halves form-encoded, and many clients do not encode them.
#[tokio::test]
async fn a_basic_secret_is_read_encoded_or_raw_but_never_half_of_each() {
    use base64::Engine as _;
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = (server.endpoints.clone())
        .confidential_client("web", "s3cret/+%2B")
        .confidential_client("a%62", "half+")
        .confidential_client("ab", "raw+secret");
    let token = async |pair: &str, more: &str| {
        let token = signed_in(&server).await;
        let mut request = post("/token", FORM, form(&token, more));
        let encoded = base64::prelude::BASE64_STANDARD.encode(pair);
        let value = header(&format!("Basic {encoded}"));
        request.headers_mut().insert("authorization", value);
        server.send(request).await.status.as_u16()
    };
    assert_eq!(token("web:s3cret%2F%2B%252B", "").await, 200, "encoded");
    assert_eq!(token("web:s3cret/+%2B", "").await, 200, "raw");
    assert_eq!(token("web:s3cret/+%2B", "&client_id=web").await, 200);
    assert_eq!(token("a%62:half+", "&client_id=a%2562").await, 200, "raw");
    assert_eq!(token("ab:raw+secret", "").await, 200, "raw");
    assert_eq!(token("a%62:raw%2Bsecret", "").await, 200, "encoded");
    assert_eq!(token("a%62:raw+secret", "").await, 401, "half of each");
    assert_eq!(token("ab:half+", "").await, 401, "half of each");
    assert_eq!(token("web:s3cret/ +", "").await, 401);
    assert_eq!(token("web:s3cret/+%2B", "&client_id=ab").await, 400);
}
