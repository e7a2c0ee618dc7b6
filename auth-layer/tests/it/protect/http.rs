//! The layer as HTTP clients and axum handlers see it.

use auth_layer::protect::{Rejection, TokenSource};
use auth_layer::{AuthLayer, Claims, RequireScopes};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::authority::{Authority, NOW};

async fn me(claims: Claims) -> String {
    claims.subject().unwrap_or("nobody").to_owned()
}

async fn anybody(claims: Option<Claims>, headers: HeaderMap) -> String {
    let token_seen = headers.contains_key("authorization") || headers.contains_key("cookie");
    format!("{} {token_seen}", claims.is_some())
}

fn router(layer: AuthLayer<auth_layer::Verifier>) -> Router {
    let admin = get(me).layer(RequireScopes::all(["admin", "write"]));
    Router::new()
        .route("/me", get(me))
        .route("/anybody", get(anybody).options(anybody))
        .route("/admin", admin)
        .layer(layer)
}

fn request(uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let builder = Request::builder().uri(uri);
    let builder = headers
        .iter()
        .fold(builder, |it, (name, value)| it.header(*name, *value));
    builder.body(Body::empty()).unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A challenge, taken apart by a reader that knows nothing of the writer (RFC 9110 s11.6.1).
fn parameters(challenge: &str) -> Vec<(String, String)> {
    let rest = challenge.strip_prefix("Bearer").expect("the scheme").trim();
    let mut parameters = Vec::new();
    let mut rest = rest;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a quoted parameter");
        let end = after.find('"').expect("the closing quote");
        parameters.push((
            name.trim_start_matches([',', ' ']).to_owned(),
            after[..end].to_owned(),
        ));
        rest = &after[end + 1..];
    }
    parameters
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// P1.
#[tokio::test]
async fn each_refusal_has_its_exact_status_challenge_and_body() {
    let authority = Authority::new();
    let app = router(AuthLayer::new(authority.verifier()).realm("shop"));
    let [expired, foreign, revoked, good] = [
        authority.token_with(json!({ "exp": NOW })),
        Authority::new().token(),
        authority.token_with(json!({ "sid": "dead" })),
        authority.token_with(json!({ "scope": "write" })),
    ]
    .map(|token| format!("Bearer {token}"));
    let now = auth_layer::Timestamp::from_secs(NOW);
    authority.revocations.revoke_session("dead", now);

    let invalid = |text| {
        owned(&[
            ("realm", "shop"),
            ("error", "invalid_token"),
            ("error_description", text),
        ])
    };
    let two = owned(&[
        ("realm", "shop"),
        ("error", "invalid_request"),
        (
            "error_description",
            "More than one credential was sent, or a malformed one",
        ),
    ]);
    let scope = owned(&[
        ("error", "insufficient_scope"),
        ("error_description", "The access token lacks a scope"),
        ("scope", "admin write"),
    ]);
    let auth = |value| vec![("authorization", value)];
    for (uri, headers, status, challenge) in [
        ("/me", vec![], 401, owned(&[("realm", "shop")])),
        ("/me", auth("Basic YTpi"), 401, owned(&[("realm", "shop")])),
        (
            "/me",
            auth(&expired),
            401,
            invalid("The access token expired"),
        ),
        (
            "/me",
            auth(&foreign),
            401,
            invalid("The access token is signed by an unknown key"),
        ),
        (
            "/me",
            auth(&revoked),
            401,
            invalid("The access token was revoked"),
        ),
        (
            "/me",
            auth("Bearer x"),
            401,
            invalid("The access token is malformed"),
        ),
        (
            "/me",
            auth("Bearer"),
            401,
            invalid("The access token is malformed"),
        ),
        ("/me", [auth(&good), auth(&good)].concat(), 400, two),
        ("/admin", auth(&good), 403, scope),
    ] {
        let response = app.clone().oneshot(request(uri, &headers)).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{challenge:?}");
        let written = response.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(parameters(&written), challenge);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert!(response.extensions().get::<Rejection>().is_some());
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        let value = |name: &str| {
            challenge
                .iter()
                .find(|it| it.0 == name)
                .map(|it| it.1.clone())
        };
        let error = value("error").unwrap_or("unauthorized".into());
        let description = value("error_description").unwrap_or("No access token was sent".into());
        assert_eq!(
            body,
            json!({ "error": error, "error_description": description })
        );
    }
}

/// P1.
#[tokio::test]
async fn without_keys_the_answer_is_try_again_and_never_sign_in_again() {
    let verifier = auth_layer::Verifier::builder()
        .keys(auth_layer::KeySet::new([]))
        .issuer("https://auth.example")
        .audience("https://api.example")
        .build()
        .unwrap();
    let bearer = format!("Bearer {}", Authority::new().token());
    let request = request("/me", &[("authorization", &bearer)]);
    let response = router(AuthLayer::new(verifier))
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert!(!response.headers().contains_key("www-authenticate"));
    assert_eq!(
        text(response).await,
        r#"{"error":"temporarily_unavailable"}"#
    );
}

#[tokio::test]
async fn a_good_token_reaches_the_handler_as_claims() {
    let authority = Authority::new();
    let app = router(AuthLayer::new(authority.verifier()));
    let bearer = format!(
        "bearer {}",
        authority.token_with(json!({ "scope": "admin read write" }))
    );
    for uri in ["/me", "/admin"] {
        let request = request(uri, &[("authorization", &bearer)]);
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(text(response).await, "alice");
    }
}

/// P3.
#[tokio::test]
async fn an_optional_layer_passes_the_absent_and_refuses_the_bad() {
    let authority = Authority::new();
    let app = router(AuthLayer::new(authority.verifier()).optional());
    let absent = app.clone().oneshot(request("/anybody", &[])).await.unwrap();
    assert_eq!(text(absent).await, "false false");
    let bad = request("/anybody", &[("authorization", "Bearer x")]);
    assert_eq!(
        app.clone().oneshot(bad).await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let needed = app.oneshot(request("/me", &[])).await.unwrap();
    assert_eq!(needed.status(), StatusCode::UNAUTHORIZED);
}

/// P3.
#[tokio::test]
async fn the_handler_cannot_see_a_stripped_token() {
    let authority = Authority::new();
    let sources = [
        TokenSource::Authorization,
        TokenSource::Cookie("__Host-access".into()),
    ];
    let layer = AuthLayer::new(authority.verifier()).token_from(sources);
    let [bearer, cookie] =
        ["Bearer ", "__Host-access="].map(|prefix| format!("{prefix}{}", authority.token()));
    for header in [("authorization", bearer.as_str()), ("cookie", &cookie)] {
        let seen = router(layer.clone())
            .oneshot(request("/anybody", &[header]))
            .await
            .unwrap();
        assert_eq!(text(seen).await, "true true");
        let stripped = router(layer.clone().strip_token());
        let unseen = stripped
            .oneshot(request("/anybody", &[header]))
            .await
            .unwrap();
        assert_eq!(text(unseen).await, "true false");
    }
}
