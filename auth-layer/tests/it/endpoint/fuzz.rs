//! Law E1: requests that somebody made up.

use std::num::NonZeroUsize;

use auth_layer::endpoint::{ClientAddress, CookieMode, Limits};
use auth_layer::proof::Dpop;
use auth_layer::store::MemoryStore;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderName, Method, Request};
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::issue::*;

/// E1: fuzzed bodies and headers give no 5xx, no panic, and no session.
#[test]
fn whatever_is_sent_the_answer_is_a_refusal() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut server = Server::new(MemoryStore::new());
    let behind = ClientAddress::behind(
        NonZeroUsize::MIN,
        HeaderName::from_static("x-forwarded-for"),
    );
    server.endpoints = server
        .endpoints
        .cookies(CookieMode::new().allow_plain())
        .confidential_client("api", "secret")
        .dpop(Dpop::new())
        .client_address(behind);
    let token = runtime.block_on(signed_in(&server));
    let path = prop_oneof![
        8 => prop_oneof![Just("/refresh"), Just("/token"), Just("/revoke"), Just("/logout"), Just("/introspect"), Just("/sessions")].prop_map(String::from),
        1 => "/sessions/[A-Za-z0-9_-]{20,23}",
        1 => "/[a-z./%-]{0,20}",
    ];
    let damaged = (0..token.len(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = token.clone().into_bytes();
        let other = b"ABCDabcd0123-_=.!~"[usize::from(byte) % 18];
        bytes[at] = if bytes[at] == other { b'e' } else { other };
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
        damaged
            .clone()
            .prop_map(|it| form(&it, "&scope=a").into_bytes()),
        damaged
            .clone()
            .prop_map(|it| format!("token={it}&client_id=api&client_secret=secret").into_bytes()),
        "(grant_type|refresh_token|resource|scope|client_id|token|&|=|%|\\+|[a-z_%0-9]){0,20}"
            .prop_map(String::into_bytes),
        "[\\[{]{1,5000}".prop_map(String::into_bytes),
    ];
    let name = prop_oneof![
        "content-type",
        "idempotency-key",
        "authorization",
        "dpop",
        "user-agent",
        "if-none-match",
        "cookie",
        "origin",
        "host",
        "sec-fetch-site",
        "x-forwarded-for"
    ];
    let value = prop_oneof![
        Just(JSON.as_bytes().to_vec()),
        Just(FORM.as_bytes().to_vec()),
        Just(key(1).into_bytes()),
        "(Basic|Bearer|DPoP) [A-Za-z0-9+/=._-]{0,20}".prop_map(String::into_bytes),
        "[!-~]{0,40}:[!-~]{0,40}"
            .prop_map(|pair| { format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes() }),
        "\"?[ -~]{14,20}\"?".prop_map(String::into_bytes),
        "(__Host-refresh|a)=[A-Za-z0-9_-]{0,99}(;| |=|__Host-refresh=x){0,3}"
            .prop_map(String::into_bytes),
        damaged.prop_map(|it| format!("a=b; __Host-refresh={it}").into_bytes()),
        prop_oneof![
            "same-origin",
            "same-site",
            "https?://[a-z:./]{0,9}",
            "[0-9.,: a-f]{0,40}"
        ]
        .prop_map(String::into_bytes),
        proptest::collection::vec(0x20u8..=0xff, 0..40),
    ];
    let headers = proptest::collection::vec((name, value), 0..5);
    let method = prop_oneof![5 => Just("POST"), 1 => Just("GET"), 1 => Just("DELETE"), 1 => Just("PROPFIND")];
    let config = ProptestConfig {
        cases: 1_000,
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
        let is_end = path == "/introspect" || path == "/revoke" || path == "/logout" || path.starts_with("/.well-known/");
        prop_assert!(answer.status().is_client_error() || is_end, "{}", answer.status());
    });
    let alive = runtime.block_on(server.issuer.list("alice")).unwrap();
    assert_eq!(alive.len(), 1, "nobody was signed out");
}

/// E1: what a browser would send, but for the cookies and credentials.
#[test]
fn whatever_cookies_and_credentials_are_sent_the_answer_is_a_refusal() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = server.endpoints.cookies(CookieMode::new().allow_plain());
    let token = runtime.block_on(signed_in(&server));
    let text = prop_oneof![
        "[A-Za-z0-9_-]{0,99}",
        "[ -~]{0,30}",
        Just(format!("{token}x")),
        Just(format!("{token}\"")),
        Just(format!("{token}x; __Host-refresh=x")),
        Just(format!(" {}", &token[1..])),
    ];
    let pair = ("(__Host-refresh|a)", "[ =]{1,2}", text, "[; ]{0,2}");
    let pair = pair.prop_map(|(name, is, text, end)| format!("{name}{is}{text}{end}").into_bytes());
    let bytes = proptest::collection::vec(0x20u8..=0xff, 0..60);
    let value = prop_oneof![3 => pair.clone(), 1 => bytes.clone()];
    let cookies = proptest::collection::vec(value, 1..3);
    let credentials = prop_oneof![
        2 => "Bearer [A-Za-z0-9_.-]{0,60}".prop_map(String::into_bytes),
        1 => bytes,
    ];
    let route = prop_oneof![
        Just(("POST", "/refresh")),
        Just(("POST", "/logout")),
        Just(("GET", "/sessions")),
        Just(("DELETE", "/sessions")),
        Just(("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA")),
    ];
    let config = ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((method, path) in route, cookies in cookies, credentials in credentials)| {
        let mut request = Request::builder().method(method).uri(path).header("sec-fetch-site", "same-origin");
        for value in cookies.iter().map(|it| ("cookie", it)).chain([("authorization", &credentials)]) {
            let (name, value) = (value.0, http::HeaderValue::from_bytes(value.1));
            let Ok(value) = value else { return Err(TestCaseError::reject("no header value")) };
            request = request.header(name, value);
        }
        let request = request.body(String::new()).unwrap();
        let answer = runtime.block_on(server.endpoints.clone().oneshot(request)).unwrap();
        let is_end = path == "/logout" && answer.status() == 204;
        prop_assert!(answer.status().is_client_error() || is_end, "{}", answer.status());
    });
    let alive = runtime.block_on(server.issuer.list("alice")).unwrap();
    assert_eq!(alive.len(), 1, "nobody was signed out");
}

/// A text of 16 to 255 visible characters is a key, quoted or not, and no other text is one.
#[test]
fn an_idempotency_key_is_read_as_its_text() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = server.endpoints.limits(Limits::none());
    let text = prop_oneof![
        4 => "[!#-~]{0,40}",
        1 => "[!#-~]{250,260}",
        1 => "[A-Za-z0-9_-]{14,90}",
        1 => "[ !-~]{10,20}",
    ];
    let config = ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(text in text)| {
        let token = runtime.block_on(signed_in(&server));
        let is_key = (16..=255).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
        let quoted = format!("\"{text}\"");
        let mut children = Vec::new();
        for header in [&quoted, &text] {
            if text.starts_with('"') || text.trim() != text {
                continue;
            }
            let answer = runtime.block_on(server.refresh(&token, Some(header)));
            prop_assert_eq!(answer.status, if is_key { 200 } else { 400 }, "{}", header);
            children.push(answer.body["refresh_token"].clone());
        }
        children.dedup();
        prop_assert!(children.len() <= 1, "one key, one child");
    });
    assert_eq!(server.events.reuses(), 0);
}

/// Cookies of two sessions, of three generations, and of no session, in any number and order.
#[test]
fn any_set_of_cookies_is_judged_by_the_sessions_in_it_and_its_newest_generation() {
    use proptest::prelude::*;
    const FIRST: usize = 0;
    const NEWEST: usize = 2;
    const OTHER: usize = 3;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sent = proptest::collection::vec((FIRST..6, "[a-zA-Z0-9_.-]{1,99}"), 0..8);
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(sent in sent, path in prop_oneof![Just("/refresh"), Just("/logout")])| {
        let (answer, alive, reuses) = runtime.block_on(async {
            let mut server = Server::new(MemoryStore::new());
            let mode = CookieMode::at("/auth").unwrap();
            server.endpoints = server.endpoints.cookies(mode);
            let mut tokens = vec![signed_in(&server).await];
            for generation in FIRST..NEWEST {
                let next = server.refresh(&tokens[generation], None).await;
                tokens.push(next.refresh_token());
            }
            tokens.push(signed_in(&server).await);
            let cookies = sent.iter().map(|(which, garbage)| {
                format!("__Secure-refresh={}", tokens.get(*which).unwrap_or(garbage))
            });
            let cookies = cookies.collect::<Vec<_>>().join("; ");
            let request = Request::post(path)
                .header("sec-fetch-site", "same-origin")
                .header("idempotency-key", key(9))
                .header("cookie", cookies);
            let answer = server.send(request.body(String::new()).unwrap()).await;
            let alive = server.issuer.list("alice").await.unwrap().len();
            (answer, alive, server.events.reuses())
        });
        let newest = sent.iter().map(|it| it.0).filter(|it| *it <= NEWEST).max();
        let has_other = sent.iter().any(|it| it.0 == OTHER);
        let (status, ended) = match (path, newest) {
            ("/logout", newest) => (204, usize::from(newest.is_some()) + usize::from(has_other)),
            (_, Some(_)) if has_other => (401, 0),
            (_, None) if has_other => (200, 0),
            (_, Some(NEWEST)) => (200, 0),
            (_, Some(_)) => (401, 1),
            (_, None) => (401, 0),
        };
        prop_assert_eq!((answer.status.as_u16(), 2 - alive), (status, ended), "{}", answer.body);
        prop_assert_eq!(reuses, usize::from(path == "/refresh" && ended == 1));
    });
}
