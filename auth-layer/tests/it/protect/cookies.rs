//! An access token in a cookie: where it is found, and which requests may use it.

use auth_layer::protect::{Rejection, TokenSource};
use auth_layer::{AuthLayer, Claims, Verifier};
use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::authority::Authority;

fn layer(authority: &Authority) -> AuthLayer<Verifier> {
    let sources = [TokenSource::Authorization, TokenSource::Cookie("t".into())];
    AuthLayer::new(authority.verifier()).token_from(sources)
}

/// The status, the body, and whether the inner service saw claims and a cookie header.
async fn answer(layer: &AuthLayer<Verifier>, request: Request<()>) -> (StatusCode, String) {
    let inner = service_fn(async |request: Request<()>| {
        let claims = request.extensions().get::<Claims>().is_some();
        let cookies = request.headers().get("cookie");
        let cookies = cookies.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let seen = format!("{claims} {}", cookies.unwrap_or_default());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(seen)))
    });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn status(layer: &AuthLayer<Verifier>, request: Request<()>) -> u16 {
    answer(layer, request).await.0.as_u16()
}

fn with_cookie(authority: &Authority, method: Method, headers: &[(&str, &str)]) -> Request<()> {
    let request = Request::builder()
        .method(method)
        .uri("https://api.example/orders")
        .header("cookie", format!("t={}", authority.token()));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.body(()).unwrap()
}

/// P6.
#[tokio::test]
async fn cookie_from_another_site_is_rejected_on_unsafe_methods_and_upgrades() {
    let authority = Authority::new();
    let layer = layer(&authority);
    let upgrade = ("upgrade", "websocket");
    for (method, headers) in [
        (Method::POST, vec![("sec-fetch-site", "cross-site")]),
        (Method::POST, vec![("sec-fetch-site", "same-site")]),
        (Method::POST, vec![("sec-fetch-site", "none")]),
        (Method::POST, vec![("origin", "https://evil.example")]),
        (Method::POST, vec![("origin", "null")]),
        (Method::POST, vec![("origin", "http://api.example")]),
        (
            Method::POST,
            vec![
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://api.example"),
            ],
        ),
        (
            Method::POST,
            vec![
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "same-origin"),
            ],
        ),
        (Method::POST, vec![]),
        (Method::PUT, vec![]),
        (Method::DELETE, vec![]),
        (Method::CONNECT, vec![("origin", "https://evil.example")]),
        (Method::from_bytes(b"PURGE").unwrap(), vec![]),
        (
            Method::GET,
            vec![upgrade, ("origin", "https://evil.example")],
        ),
        (Method::GET, vec![upgrade]),
    ] {
        let request = with_cookie(&authority, method.clone(), &headers);
        let (status, body) = answer(&layer, request).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {headers:?}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"], "csrf", "{method} {headers:?}");
    }
}

/// P6.
#[tokio::test]
async fn cookie_from_the_same_origin_is_accepted() {
    let authority = Authority::new();
    let layer = layer(&authority);
    let upgrade = ("upgrade", "websocket");
    for (method, headers) in [
        (Method::POST, vec![("sec-fetch-site", "same-origin")]),
        (Method::POST, vec![("origin", "https://api.example")]),
        (Method::CONNECT, vec![("origin", "https://api.example")]),
        (
            Method::GET,
            vec![upgrade, ("origin", "https://api.example")],
        ),
        (Method::GET, vec![("sec-fetch-site", "cross-site")]),
        (Method::GET, vec![]),
        (Method::HEAD, vec![]),
    ] {
        let request = with_cookie(&authority, method.clone(), &headers);
        assert_eq!(status(&layer, request).await, 200, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn token_in_a_header_needs_no_csrf_check() {
    let authority = Authority::new();
    let request = Request::post("https://api.example/orders")
        .header("authorization", format!("Bearer {}", authority.token()))
        .header("cookie", "other=1")
        .header("origin", "https://other.example")
        .header("sec-fetch-site", "cross-site");
    let request = request.body(()).unwrap();
    assert_eq!(status(&layer(&authority), request).await, 200);
}

/// `optional` and a bad token change nothing: the check comes before the token is verified.
#[tokio::test]
async fn optional_layer_keeps_the_csrf_check() {
    let authority = Authority::new();
    let layer = layer(&authority).optional();
    let cross = [("sec-fetch-site", "cross-site")];
    let request = with_cookie(&authority, Method::POST, &cross);
    assert_eq!(status(&layer, request).await, 403);
    let anonymous = Request::post("/").header("sec-fetch-site", "cross-site");
    assert_eq!(status(&layer, anonymous.body(()).unwrap()).await, 200);
}

#[tokio::test]
async fn grpc_call_with_a_cookie_from_another_site_is_permission_denied() {
    let authority = Authority::new();
    let headers = [
        ("content-type", "application/grpc-web+proto"),
        ("sec-fetch-site", "cross-site"),
    ];
    let request = with_cookie(&authority, Method::POST, &headers);
    let inner = service_fn(async |_: Request<()>| -> Result<_, Infallible> {
        Ok(Response::new(Full::<Bytes>::default()))
    });
    let response = layer(&authority)
        .layer(inner)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "7");
    let rejection = response.extensions().get::<Rejection>();
    assert_eq!(rejection.map(Rejection::label), Some("csrf"));
}

fn raw_cookies(authority: &Authority, pieces: [&[u8]; 2]) -> Request<()> {
    let [before, after] = pieces;
    let token = authority.token();
    let bytes = [before, b"t=", token.as_bytes(), after].concat();
    let value = HeaderValue::from_bytes(&bytes).unwrap();
    Request::get("/").header("cookie", value).body(()).unwrap()
}

#[tokio::test]
async fn malformed_cookie_hides_no_other() {
    let authority = Authority::new();
    let strict = layer(&authority);
    let stripped = layer(&authority).optional().strip_token();
    for (pieces, rest) in [
        ([&b"name=J\xf6rg; "[..], &b""[..]], "true name=J\u{fffd}rg"),
        ([b"", b"; name=\xff"], "true name=\u{fffd}"),
        (
            [b"\xc3\xa4; =; ;; a;", b";b=c=d"],
            "true \u{e4}; =; ; ; a; b=c=d",
        ),
        ([b"\ta=1\t;", b"\t"], "true a=1"),
    ] {
        assert_eq!(status(&strict, raw_cookies(&authority, pieces)).await, 200);
        let (status, seen) = answer(&stripped, raw_cookies(&authority, pieces)).await;
        assert_eq!((status.as_u16(), seen.as_str()), (200, rest));
    }
}

/// A bad token never passes as no token.
#[tokio::test]
async fn malformed_cookie_does_not_turn_a_bad_token_into_none() {
    let authority = Authority::new();
    let layer = layer(&authority).optional();
    for (cookies, expected) in [
        (&b"name=J\xf6rg; t=bad"[..], 401),
        (b"t=b\xf6se", 400),
        (b"t=bad; t=bad", 400),
        (b"tt=bad; \xf6=1", 200),
    ] {
        let value = HeaderValue::from_bytes(cookies).unwrap();
        let request = Request::get("/").header("cookie", value).body(()).unwrap();
        assert_eq!(status(&layer, request).await, expected, "{cookies:?}");
    }
}

#[tokio::test]
async fn empty_cookie_is_no_credential() {
    let authority = Authority::new();
    let layer = layer(&authority).optional();
    for cookies in ["t=", "a=b; t=", "t= ; a=b", "t=; t="] {
        let request = || {
            Request::get("/")
                .header("cookie", cookies)
                .body(())
                .unwrap()
        };
        let (status, seen) = answer(&layer, request()).await;
        assert_eq!(status, 200, "{cookies}");
        assert!(seen.starts_with("false "), "{seen}");
    }
    let both = format!("t=; t={}", authority.token());
    let request = Request::get("/").header("cookie", both).body(()).unwrap();
    assert_eq!(answer(&layer, request).await.0, 200);
}

#[tokio::test]
async fn csrf_check_can_be_widened_by_origin_and_site_and_switched_off_by_name() {
    let authority = Authority::new();
    let app = ("origin", "https://app.example");
    let (cross, same) = (
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    );
    let listed = layer(&authority)
        .allow_cookie_origin("https://app.example")
        .unwrap();
    let site = layer(&authority).allow_cookie_same_site();
    let off = layer(&authority).dangerously_skip_csrf_check();
    for (layer, headers, expected) in [
        (&listed, vec![app], 200),
        (&listed, vec![app, cross], 200),
        (&listed, vec![cross], 403),
        (&listed, vec![same], 403),
        (&site, vec![same], 200),
        (&site, vec![cross], 403),
        (&off, vec![cross], 200),
        (&off, vec![], 200),
    ] {
        let request = with_cookie(&authority, Method::POST, &headers);
        assert_eq!(status(layer, request).await, expected, "{headers:?}");
    }
    for origin in [
        "http://app.example",
        "https://app.example/",
        "app.example",
        "",
    ] {
        assert!(layer(&authority).allow_cookie_origin(origin).is_err());
    }
}
