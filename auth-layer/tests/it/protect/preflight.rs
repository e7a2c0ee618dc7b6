//! CORS preflight requests, and requests that look like them.

use std::convert::Infallible;

use auth_layer::protect::{RequireAuthentication, TokenSource};
use auth_layer::{AuthLayer, Claims, RequireScopes, Verifier};
use http::{Method, Request, Response};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::authority::Authority;

const PREFLIGHT: [(&str, &str); 2] = [
    ("origin", "https://app.example"),
    ("access-control-request-method", "PUT"),
];

fn request(method: Method, headers: &[(&str, &str)]) -> Request<()> {
    let request = Request::builder().method(method).uri("/orders");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.body(()).unwrap()
}

/// The status behind the layer, another one, and rules. The inner service asserts that it sees no
/// credential.
async fn status(layer: &AuthLayer<Verifier>, request: Request<()>) -> u16 {
    let inner = service_fn(async |request: Request<()>| {
        for name in ["authorization", "cookie", "x-token", "dpop"] {
            assert!(!request.headers().contains_key(name), "{name}");
        }
        assert!(request.extensions().get::<Claims>().is_none());
        Ok::<_, Infallible>(Response::new(()))
    });
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(AuthLayer::new(Authority::new().verifier()))
        .layer(RequireScopes::all(["admin"]))
        .layer(RequireAuthentication::new().acr(["mfa"]))
        .service(inner);
    service.oneshot(request).await.unwrap().status().as_u16()
}

fn layer(authority: &Authority) -> AuthLayer<Verifier> {
    AuthLayer::new(authority.verifier()).token_from([
        TokenSource::Authorization,
        TokenSource::Cookie("t".into()),
        TokenSource::Header(http::HeaderName::from_static("x-token")),
    ])
}

/// P6.
#[tokio::test]
async fn preflight_passes_all_layers_without_its_credential_when_the_bypass_is_on() {
    let layer = layer(&Authority::new()).bypass_cors_preflight();
    assert_eq!(
        status(&layer, request(Method::OPTIONS, &PREFLIGHT)).await,
        200
    );
    for credential in [
        ("authorization", "Bearer a"),
        ("cookie", "t=a"),
        ("x-token", "a"),
        ("dpop", "a"),
    ] {
        let headers = [PREFLIGHT[0], PREFLIGHT[1], credential];
        assert_eq!(
            status(&layer, request(Method::OPTIONS, &headers)).await,
            200
        );
    }
}

/// P6.
#[tokio::test]
async fn request_that_only_looks_like_a_preflight_is_rejected() {
    let layer = layer(&Authority::new()).bypass_cors_preflight();
    for (method, headers) in [
        (Method::OPTIONS, &PREFLIGHT[..1]),
        (Method::OPTIONS, &PREFLIGHT[1..]),
        (Method::OPTIONS, &[]),
        (Method::GET, &PREFLIGHT),
        (Method::POST, &PREFLIGHT),
    ] {
        let request = request(method.clone(), headers);
        assert_eq!(status(&layer, request).await, 401, "{method} {headers:?}");
    }
}

/// P6.
#[tokio::test]
async fn no_preflight_passes_by_default_and_no_rule_lets_one_pass_by_itself() {
    let layer = layer(&Authority::new());
    assert_eq!(
        status(&layer, request(Method::OPTIONS, &PREFLIGHT)).await,
        401
    );
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    let ruled = ServiceBuilder::new()
        .layer(layer.optional())
        .layer(RequireScopes::all(["admin"]))
        .service(inner);
    let answer = ruled.oneshot(request(Method::OPTIONS, &PREFLIGHT)).await;
    assert_eq!(answer.unwrap().status(), 401);
}
