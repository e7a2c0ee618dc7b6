//! What goes behind the layer, and how refusals can be shaped.

use std::time::Duration;

use auth_layer::protect::{ProtectedResource, Rejection, Require, RequireAuthentication};
use auth_layer::{AuthLayer, Claims, RequireScopes, Scopes};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::authority::{Authority, NOW};

async fn call(app: &Router, uri: &str, token: &str) -> Response<Body> {
    let request = Request::builder()
        .uri(uri)
        .header("authorization", format!("Bearer {token}"));
    app.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn challenge(response: &Response<Body>) -> &str {
    response.headers()["www-authenticate"].to_str().unwrap()
}

/// P1, RFC 9470 s3 and s4.
#[tokio::test]
async fn a_step_up_says_which_sign_in_would_do() {
    let authority = Authority::new();
    let payments = RequireAuthentication::new()
        .acr(["urn:example:mfa", "urn:example:key"])
        .max_age(Duration::from_secs(300))
        .clock(authority.clock.clone());
    let app = Router::new()
        .route("/pay", get(async || "paid").layer(payments))
        .layer(AuthLayer::new(authority.verifier()));
    let token = |acr: &str, auth_time: i64| {
        authority.token_with(json!({ "acr": acr, "auth_time": auth_time }))
    };
    for refused in [
        authority.token(),
        token("urn:example:password", NOW),
        token("urn:example:mfa", NOW - 301),
        authority.token_with(json!({ "acr": "urn:example:mfa" })),
    ] {
        let response = call(&app, "/pay", &refused).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = challenge(&response).to_owned();
        assert!(
            challenge.contains(r#"error="insufficient_user_authentication""#),
            "{challenge}"
        );
        let wanted = r#"acr_values="urn:example:mfa urn:example:key", max_age="300""#;
        assert!(challenge.ends_with(wanted), "{challenge}");
    }
    for good in [
        token("urn:example:mfa", NOW - 300),
        token("urn:example:key", NOW),
    ] {
        assert_eq!(text(call(&app, "/pay", &good).await).await, "paid");
    }
}

#[tokio::test]
async fn a_closure_decides_over_claims_and_request() {
    let authority = Authority::new();
    let own_things = Require::new(|claims: &Claims, request: &Parts| {
        match (request.uri.path().strip_prefix("/users/"), claims.subject()) {
            (Some(owner), Some(subject)) if owner == subject => Ok(()),
            _ => Err(Rejection::InsufficientScope(Scopes::default())),
        }
    });
    let app = Router::new()
        .route(
            "/users/{name}",
            get(async || "mine").layer(own_things.clone()),
        )
        .route("/things", get(async || "mine").layer(own_things))
        .layer(AuthLayer::new(authority.verifier()));
    assert_eq!(
        text(call(&app, "/users/alice", &authority.token()).await).await,
        "mine"
    );
    let claims = json!({
        "iss": "https://auth.example",
        "aud": "https://api.example",
        "exp": NOW + 60,
    });
    let without_subject = authority.key.sign(&claims).unwrap();
    let refused = call(&app, "/things", &without_subject).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "no name, no owner");
    let refused = call(&app, "/users/bob", &authority.token()).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(
        !challenge(&refused).contains("scope=\""),
        "{}",
        challenge(&refused)
    );
}

#[tokio::test]
async fn scopes_may_be_alternatives_and_may_include_each_other() {
    let authority = Authority::new();
    let included = RequireScopes::all(["read"])
        .granted_if(|held, needed| held.contains(needed) || held.contains("admin"));
    let app = Router::new()
        .route(
            "/any",
            get(async || "in").layer(RequireScopes::any(["read", "write"])),
        )
        .route("/included", get(async || "in").layer(included))
        .layer(AuthLayer::new(authority.verifier()));
    let status = async |uri, scope: &str| {
        call(&app, uri, &authority.token_with(json!({ "scope": scope })))
            .await
            .status()
            .as_u16()
    };
    assert_eq!(status("/any", "write").await, 200);
    assert_eq!(status("/any", "admin").await, 403);
    assert_eq!(status("/included", "admin").await, 200);
    assert_eq!(status("/included", "write").await, 403);
}

/// P1, RFC 9728 s3 and s5.1.
#[tokio::test]
async fn a_refused_client_learns_which_issuer_to_ask() {
    let document = ProtectedResource::new("https://api.example")
        .authorization_server("https://auth.example")
        .scopes("read write".parse().unwrap());
    let url = "https://api.example/.well-known/oauth-protected-resource";
    let authority = Authority::new();
    let app = Router::new()
        .route(
            "/admin",
            get(async || "in").layer(RequireScopes::all(["admin"])),
        )
        .layer(AuthLayer::new(authority.verifier()).resource_metadata(url))
        .route_service("/.well-known/oauth-protected-resource", document);
    for (token, error) in [
        ("bad", "invalid_token"),
        (&authority.token(), "insufficient_scope"),
    ] {
        let refused = call(&app, "/admin", token).await;
        let challenge = challenge(&refused);
        assert!(challenge.contains(error), "{challenge}");
        assert!(
            challenge.ends_with(&format!(r#"resource_metadata="{url}""#)),
            "{challenge}"
        );
    }
    let answer = call(&app, "/.well-known/oauth-protected-resource", "none needed").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let document: Value = serde_json::from_str(&text(answer).await).unwrap();
    let expected = json!({
        "resource": "https://api.example",
        "authorization_servers": ["https://auth.example"],
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(document, expected);
}

#[tokio::test]
async fn refusals_take_another_shape_everywhere_but_keep_the_challenge() {
    let authority = Authority::new();
    let render = |rejection: &Rejection, mut response: Response<Bytes>| {
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response.map(|_| Bytes::from(rejection.label()))
    };
    let app = Router::new()
        .route(
            "/admin",
            get(async || "in").layer(RequireScopes::all(["admin"])),
        )
        .layer(AuthLayer::new(authority.verifier()).render(render));
    for (token, label) in [
        ("bad", "invalid_token"),
        (&authority.token(), "insufficient_scope"),
    ] {
        let refused = call(&app, "/admin", token).await;
        assert_eq!(refused.status(), StatusCode::IM_A_TEAPOT);
        assert!(challenge(&refused).contains(label));
        assert_eq!(text(refused).await, label);
    }
}

#[tokio::test]
async fn without_the_layer_in_front_nobody_gets_in() {
    let app = Router::new().route("/", get(async || "in").layer(RequireScopes::all([])));
    let refused = call(&app, "/", &Authority::new().token()).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}
