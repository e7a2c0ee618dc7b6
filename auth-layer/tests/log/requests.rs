//! What is logged of a request that the layer protects, by this crate and by tower-http around it.

use std::convert::Infallible;

use auth_layer::protect::TokenSource;
use auth_layer::{AuthLayer, Verifier};
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http::{Method, Request, Response};
use http_body_util::Empty;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::Level;

use crate::support::Log;
use crate::support::authority::Authority;

const HEADER: HeaderName = HeaderName::from_static("x-token");
const DPOP: HeaderName = HeaderName::from_static("dpop");

async fn send(sensitive: bool, request: Request<Empty<Bytes>>, layer: AuthLayer<Verifier>) {
    let inner =
        service_fn(async |_: Request<_>| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())));
    let names = [AUTHORIZATION, COOKIE, HEADER, DPOP];
    let trace = TraceLayer::new_for_http()
        .make_span_with(
            DefaultMakeSpan::new()
                .level(Level::ERROR)
                .include_headers(true),
        )
        .on_request(DefaultOnRequest::new().level(Level::TRACE))
        .on_response(
            DefaultOnResponse::new()
                .level(Level::TRACE)
                .include_headers(true),
        );
    let service = ServiceBuilder::new()
        .option_layer(sensitive.then(|| SetSensitiveRequestHeadersLayer::new(names)))
        .layer(trace)
        .layer(layer)
        .service(inner);
    service.oneshot(request).await.unwrap();
}

fn layer(authority: &Authority) -> AuthLayer<Verifier> {
    AuthLayer::new(authority.verifier()).token_from([
        TokenSource::Authorization,
        TokenSource::Cookie("t".into()),
        TokenSource::Header(HEADER),
    ])
}

/// Each place of a token, with a good one and with one that is refused.
fn requests(authority: &Authority) -> Vec<(String, Request<Empty<Bytes>>)> {
    let tokens = [authority.token(), Authority::new().token()];
    let mut requests = Vec::new();
    for token in tokens {
        for (name, value) in [
            (AUTHORIZATION, format!("Bearer {token}")),
            (COOKIE, format!("a=b; t={token}")),
            (HEADER, token.clone()),
            (DPOP, token.clone()),
        ] {
            let request = Request::get("/").header(name, value).body(Empty::new());
            requests.push((token.clone(), request.unwrap()));
        }
    }
    requests
}

/// S4.
#[tokio::test]
async fn no_token_is_logged_with_tower_http_stacked_as_the_guide_says() {
    let log = Log::begin().await;
    let authority = Authority::new();
    for (token, request) in requests(&authority) {
        send(true, request, layer(&authority)).await;
        let logged = log.take();
        assert!(logged.contains("headers="), "{logged}");
        assert!(logged.contains("Sensitive"), "{logged}");
        for part in token.split('.') {
            assert!(!logged.contains(part), "{logged}");
        }
    }
}

/// The reason for the order: this crate cannot hide a token from a layer that comes first.
#[tokio::test]
async fn token_is_logged_by_a_trace_layer_that_comes_first_with_headers() {
    let log = Log::begin().await;
    let authority = Authority::new();
    for (token, request) in requests(&authority) {
        send(false, request, layer(&authority)).await;
        assert!(log.take().contains(&token));
    }
}

#[tokio::test]
async fn refused_preflight_is_logged_with_the_remedy() {
    let log = Log::begin().await;
    let authority = Authority::new();
    for with_method in [true, false] {
        let mut request = Request::builder()
            .method(Method::OPTIONS)
            .header("origin", "https://app.example");
        if with_method {
            request = request.header("access-control-request-method", "PUT");
        }
        let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
        let service = layer(&authority).layer(inner);
        let answer = service.oneshot(request.body(()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(log.take().contains("CorsLayer"), with_method);
    }
}
