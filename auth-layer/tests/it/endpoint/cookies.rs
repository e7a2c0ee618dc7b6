//! Cookie mode: what is set, what is taken, and when it is cleared. Rows of law E1, and what of law
//! E3 needs no browser.

use std::time::Duration;

use auth_layer::endpoint::CookieMode;
use auth_layer::issue::{NewSession, RefreshErrorKind, SessionEvent};
use auth_layer::store::MemoryStore;
use cookie::{Cookie, SameSite};
use http::{HeaderValue, Method, Request};
use serde_json::json;
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::cors::CorsLayer;

use crate::support::issue::*;

fn server(cookies: CookieMode) -> Server {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = server.endpoints.cookies(cookies);
    server
}

/// A request as the page of the same origin sends it, with this cookie.
fn page(path: &str, cookie: &str, key: Option<u8>) -> Request<String> {
    let mut request = Request::post(path).header("sec-fetch-site", "same-origin");
    if !cookie.is_empty() {
        request = request.header("cookie", format!("__Host-refresh={cookie}"));
    }
    if let Some(byte) = key {
        request = request.header("idempotency-key", crate::support::issue::key(byte));
    }
    request.body(String::new()).unwrap()
}

fn cookie_of(answer: &Answer) -> Option<Cookie<'static>> {
    let mut values = answer.headers.get_all("set-cookie").iter();
    let value = values.next()?;
    assert!(values.next().is_none(), "one cookie at most");
    assert!(value.is_sensitive());
    Some(Cookie::parse(value.to_str().unwrap().to_owned()).unwrap())
}

fn is_cleared(answer: &Answer) -> bool {
    let cookie = cookie_of(answer).expect("a cookie that clears");
    assert_eq!(
        (cookie.name(), cookie.path()),
        ("__Host-refresh", Some("/"))
    );
    cookie.value().is_empty() && cookie.max_age().is_some_and(|it| it.is_zero())
}

#[tokio::test]
async fn a_pair_in_cookie_mode_has_its_refresh_token_in_a_cookie_that_no_script_reads() {
    let server = server(CookieMode::new());
    let token = signed_in(&server).await;
    let answer = server.send(page("/refresh", &token, Some(1))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.get("refresh_token").is_none());
    assert_eq!(answer.body["expires_in"], 900);
    let cookie = cookie_of(&answer).unwrap();
    assert_eq!(
        (cookie.name(), cookie.path()),
        ("__Host-refresh", Some("/"))
    );
    assert_eq!(
        (cookie.http_only(), cookie.secure()),
        (Some(true), Some(true))
    );
    assert_eq!(cookie.same_site(), Some(SameSite::Strict));
    assert_eq!((cookie.domain(), cookie.partitioned()), (None, None));
    assert_eq!(cookie.max_age().unwrap().whole_days(), 14);
    let next = server.send(page("/refresh", cookie.value(), Some(2))).await;
    assert_eq!(next.status, 200);
    assert_ne!(cookie_of(&next).unwrap().value(), cookie.value());
}

#[tokio::test]
async fn a_cookie_does_not_outlive_its_session() {
    let mut server = Server::of(builder(MemoryStore::new()).absolute(15 * DAY));
    server.endpoints = server.endpoints.cookies(CookieMode::new());
    let token = signed_in(&server).await;
    server.clock.advance(10 * DAY);
    let answer = server.send(page("/refresh", &token, Some(1))).await;
    assert_eq!(
        cookie_of(&answer).unwrap().max_age().unwrap().whole_days(),
        5
    );
}

#[tokio::test]
async fn a_mounted_a_lax_and_an_insecure_cookie_say_so() {
    let set = async |cookies: CookieMode| {
        let server = server(cookies);
        let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
        let answer = server.endpoints.token_response(&pair);
        let value = answer.headers()["set-cookie"].to_str().unwrap();
        Cookie::parse(value.to_owned()).unwrap()
    };
    let mounted = set(CookieMode::at("/auth").unwrap()).await;
    assert_eq!(
        (mounted.name(), mounted.path()),
        ("__Secure-refresh", Some("/auth"))
    );
    assert_eq!(mounted.secure(), Some(true));
    let lax = set(CookieMode::new().lax()).await;
    assert_eq!(lax.same_site(), Some(SameSite::Lax));
    let insecure = set(CookieMode::new().dangerously_without_tls()).await;
    assert_eq!((insecure.name(), insecure.secure()), ("refresh", None));
    assert_eq!(insecure.http_only(), Some(true));
}

#[tokio::test]
async fn a_login_handler_answers_with_the_cookie() {
    let server = server(CookieMode::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let answer = server.endpoints.token_response(&pair);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains(pair.refresh_token().expose()));
    let body = http_body_util::BodyExt::collect(answer.into_body())
        .await
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    assert_eq!(body["access_token"], pair.access_token());
    assert!(body.get("refresh_token").is_none());
}

#[tokio::test]
async fn a_token_in_the_body_is_answered_in_the_body() {
    let server = server(CookieMode::new());
    let (in_body, in_cookie) = (signed_in(&server).await, signed_in(&server).await);
    let mut request = page("/refresh", &in_cookie, None);
    request.headers_mut().insert("content-type", header(JSON));
    *request.body_mut() = json!({ "refresh_token": in_body }).to_string();
    let answer = server.send(request).await;
    answer.refresh_token();
    assert!(cookie_of(&answer).is_none());
    assert_eq!(
        server
            .send(page("/refresh", &in_cookie, Some(1)))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn without_cookie_mode_a_cookie_is_not_looked_at() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    let answer = server.send(page("/refresh", &token, Some(1))).await;
    assert_eq!(
        (answer.error(), answer.description()),
        ((401, "invalid_grant"), "No refresh token")
    );
    assert_eq!(
        server.send(page("/logout", &token, None)).await.error(),
        (400, "invalid_request")
    );
}

/// E1: cross-site.
#[tokio::test]
async fn only_the_page_of_the_same_origin_may_send_the_cookie() {
    let server = server(
        CookieMode::new()
            .allow_origin("https://app.example")
            .unwrap(),
    );
    let token = signed_in(&server).await;
    let from = |site: &str, origin: &str| {
        let mut request = page("/refresh", &token, Some(1));
        let headers = request.headers_mut();
        headers.insert("host", header("auth.example"));
        headers.remove("sec-fetch-site");
        for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
            if !value.is_empty() {
                headers.insert(name, header(value));
            }
        }
        request
    };
    let own = "https://auth.example";
    for (site, origin) in [
        ("", ""),
        ("cross-site", ""),
        ("cross-site", "https://evil.example"),
        ("cross-site", own),
        ("same-site", own),
        ("none", own),
        ("Same-Origin", ""),
        ("", "null"),
        ("", "https://evil.example"),
        ("", "https://auth.example.evil.example"),
        ("", "https://auth.example:8443"),
        ("", "http://auth.example"),
        ("", "auth.example"),
        ("", "https://app.example:444"),
        ("", "http://app.example"),
    ] {
        let answer = server.send(from(site, origin)).await;
        assert_eq!(answer.status, 403, "{site} {origin}");
        assert_eq!(answer.body, json!({ "error": "csrf" }));
        assert!(cookie_of(&answer).is_none(), "never clears");
    }
    for (site, origin) in [
        ("same-origin", ""),
        ("same-origin", own),
        ("", own),
        ("", "https://AUTH.example"),
        ("", "https://app.example"),
        ("cross-site", "https://app.example"),
    ] {
        let answer = server.send(from(site, origin)).await;
        assert_eq!(answer.status, 200, "{site} {origin}");
    }
    let mut twice = from("same-origin", "");
    twice
        .headers_mut()
        .append("sec-fetch-site", header("same-origin"));
    assert_eq!(server.send(twice).await.status, 403);
}

#[tokio::test]
async fn the_own_host_is_that_of_http_2_too_and_needs_tls_unless_it_is_this_machine() {
    let send = async |server: &Server, token: &str, uri: &str, host: &str, origin: &str| {
        let mut request = page(uri, token, Some(1));
        request.headers_mut().remove("sec-fetch-site");
        if !host.is_empty() {
            request.headers_mut().insert("host", header(host));
        }
        request.headers_mut().insert("origin", header(origin));
        server
            .endpoints
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let server = server(CookieMode::new());
    let it = &signed_in(&server).await;
    let h2 = "https://auth.example/refresh";
    assert_eq!(send(&server, it, h2, "", "https://auth.example").await, 200);
    assert_eq!(
        send(&server, it, h2, "evil.example", "https://evil.example").await,
        403
    );
    let local = [
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("localhost:80", "http://localhost"),
        ("auth.example:443", "https://auth.example"),
    ];
    for (host, origin) in local {
        assert_eq!(
            send(&server, it, "/refresh", host, origin).await,
            200,
            "{origin}"
        );
    }
    assert_eq!(
        send(&server, it, "/refresh", "10.0.0.1", "http://10.0.0.1").await,
        403
    );
}

#[tokio::test]
async fn a_sibling_of_the_same_site_is_let_in_on_request() {
    let request = |token: &str| {
        let mut request = page("/refresh", token, Some(1));
        request
            .headers_mut()
            .insert("sec-fetch-site", header("same-site"));
        request
    };
    let strict = server(CookieMode::new());
    let token = signed_in(&strict).await;
    assert_eq!(strict.send(request(&token)).await.status, 403);
    let open = server(CookieMode::new().allow_same_site());
    let token = signed_in(&open).await;
    assert_eq!(open.send(request(&token)).await.status, 200);
}

/// E1: missing custom header.
#[tokio::test]
async fn a_cookie_needs_the_header_that_no_form_can_send() {
    let strict = server(CookieMode::new());
    let token = signed_in(&strict).await;
    let answer = strict.send(page("/refresh", &token, None)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body),
        (403, &json!({ "error": "csrf" }))
    );
    assert!(cookie_of(&answer).is_none());
    assert_eq!(
        strict.send(page("/refresh", &token, Some(1))).await.status,
        200
    );
    let plain = server(CookieMode::new().allow_plain());
    let token = signed_in(&plain).await;
    assert_eq!(plain.send(page("/refresh", &token, None)).await.status, 200);
}

#[tokio::test]
async fn a_dead_cookie_is_cleared_and_that_of_a_lost_race_is_not() {
    let server = server(CookieMode::new());
    let token = signed_in(&server).await;
    let first = server.send(page("/refresh", &token, Some(1))).await;
    let child = cookie_of(&first).unwrap().value().to_owned();
    let repeat = server.send(page("/refresh", &token, Some(1))).await;
    assert_eq!(cookie_of(&repeat).unwrap().value(), child);
    let second = server.send(page("/refresh", &child, Some(2))).await;
    let grandchild = cookie_of(&second).unwrap().value().to_owned();

    let late = server.send(page("/refresh", &token, Some(1))).await;
    assert_eq!(
        (late.error(), late.description()),
        ((409, "invalid_grant"), "superseded")
    );
    assert!(cookie_of(&late).is_none(), "the winner's cookie stays");

    let forked = server.send(page("/refresh", &child, Some(3))).await;
    assert_eq!(
        (forked.status.as_u16(), &forked.body),
        (401, &json!({ "error": "invalid_grant" }))
    );
    assert!(is_cleared(&forked));
    assert!(is_cleared(
        &server.send(page("/refresh", &grandchild, Some(4))).await
    ));
    let missing = server.send(page("/refresh", "", Some(1))).await;
    assert_eq!(
        (missing.status.as_u16(), missing.description()),
        (401, "No refresh token")
    );
    assert!(cookie_of(&missing).is_none());
}

#[tokio::test]
async fn a_cookie_that_holds_no_token_is_cleared() {
    let server = server(CookieMode::new());
    let mut bytes = page("/refresh", "x", Some(1));
    let cookie = HeaderValue::from_bytes(b"__Host-refresh=\xff\xfe").unwrap();
    bytes.headers_mut().insert("cookie", cookie);
    for request in [page("/refresh", "garbage", Some(1)), bytes] {
        let answer = server.send(request).await;
        assert_eq!(answer.error(), (401, "invalid_grant"));
        assert!(is_cleared(&answer));
    }
}

#[tokio::test]
async fn a_fault_of_the_store_or_of_the_request_clears_nothing() {
    let token = signed_in(&Server::new(MemoryStore::new())).await;
    let mut down = Server::new(Down);
    down.endpoints = down.endpoints.cookies(CookieMode::new());
    for path in ["/refresh", "/logout"] {
        let answer = down.send(page(path, &token, Some(1))).await;
        assert_eq!(answer.error(), (503, "temporarily_unavailable"), "{path}");
        assert!(cookie_of(&answer).is_none());
    }
    let server = server(CookieMode::new());
    let other = signed_in(&server).await;
    let mut beside = page("/refresh", &format!("{other}; a=b; x"), Some(1));
    let noise = HeaderValue::from_bytes(b"t=\xff\xfe; __Host-refresh2=x; =;").unwrap();
    beside.headers_mut().append("cookie", noise);
    assert_eq!(
        server.send(beside).await.status,
        200,
        "other cookies do not matter"
    );
}

#[tokio::test]
async fn a_log_out_clears_the_cookie_whether_or_not_there_was_one() {
    let server = server(CookieMode::new());
    let token = signed_in(&server).await;
    let mut evil = page("/logout", &token, None);
    evil.headers_mut()
        .insert("sec-fetch-site", header("cross-site"));
    let answer = server.send(evil).await;
    assert_eq!((answer.error(), cookie_of(&answer)), ((403, "csrf"), None));
    let mut form = page("/logout", "", None);
    form.headers_mut().remove("sec-fetch-site");
    let answer = server.send(form).await;
    assert_eq!((answer.error(), cookie_of(&answer)), ((403, "csrf"), None));

    for cookie in [&*token, &token, ""] {
        let answer = server.send(page("/logout", cookie, None)).await;
        assert_eq!(answer.status, 204);
        assert!(is_cleared(&answer));
    }
    assert_eq!(
        server.send(page("/refresh", &token, Some(1))).await.status,
        401
    );
}

#[tokio::test]
async fn cookies_work_under_a_prefix() {
    let server = server(CookieMode::at("/auth").unwrap());
    let app = axum::Router::<()>::new().nest_service("/auth", server.endpoints.clone());
    let token = signed_in(&server).await;
    let mut request = page("/auth/refresh", "", Some(1));
    let cookie = header(&format!("__Secure-refresh={token}"));
    request.headers_mut().insert("cookie", cookie);
    let answer = app.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Secure-refresh=") && cookie.contains("; Path=/auth;"));
}

#[tokio::test]
async fn a_page_of_another_origin_gets_through_with_cors_around_the_endpoints() {
    const APP: &str = "https://app.example.com";
    let server = server(CookieMode::new().allow_origin(APP).unwrap());
    let token = signed_in(&server).await;
    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static(APP))
        .allow_credentials(true)
        .allow_methods([Method::POST])
        .allow_headers([http::HeaderName::from_static("idempotency-key")]);
    let service = ServiceBuilder::new()
        .layer(cors)
        .service(server.endpoints.clone());
    let preflight = Request::options("/refresh")
        .header("origin", APP)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "idempotency-key");
    let preflight = preflight.body(String::new()).unwrap();
    let answer = service.clone().oneshot(preflight).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["access-control-allow-headers"],
        "idempotency-key"
    );
    let mut request = page("/refresh", &token, Some(1));
    request
        .headers_mut()
        .insert("sec-fetch-site", header("same-site"));
    request.headers_mut().insert("origin", header(APP));
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
}

#[test]
fn what_would_be_unsafe_is_not_configured() {
    for path in ["", "auth", "/a;Domain=example.com", "/a b", "/\r\nx"] {
        let error = CookieMode::at(path).unwrap_err();
        assert!(error.to_string().contains("starts with a slash"), "{path}");
    }
    for origin in [
        "*",
        "null",
        "",
        "app.example",
        "http://app.example",
        "https://app.example/",
        "https://App.example",
        "https://user@app.example",
        "https://",
        "https://*.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example:80",
    ] {
        let error = CookieMode::new().allow_origin(origin).unwrap_err();
        assert!(
            error.to_string().contains("`https://app.example.com`"),
            "{origin}"
        );
    }
    for origin in [
        "https://a.example:8443",
        "http://localhost:3000",
        "http://[::1]",
        "tauri://localhost",
    ] {
        assert!(CookieMode::new().allow_origin(origin).is_ok(), "{origin}");
    }
}

/// S4, of the server: no token in what is printed.
#[tokio::test]
async fn an_answer_with_a_cookie_prints_no_token() {
    let server = server(CookieMode::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let printed = format!(
        "{:?} {:?}",
        server.endpoints.token_response(&pair).headers(),
        server.endpoints
    );
    assert!(
        !printed.contains(pair.refresh_token().expose()),
        "{printed}"
    );
}

/// A request with these cookies of our name under a mount.
fn several(path: &str, tokens: &[&str], key: Option<u8>) -> Request<String> {
    let mut request = page(path, "", key);
    let cookies = tokens.iter().map(|it| format!("__Secure-refresh={it}"));
    let cookies = cookies.collect::<Vec<_>>().join("; ");
    request.headers_mut().insert("cookie", header(&cookies));
    request
}

/// The paths under which an answer clears the cookie, and the value that it sets if it sets one.
fn set_cookies(answer: &Answer) -> (Vec<String>, Option<String>) {
    let (mut cleared, mut set) = (Vec::new(), None);
    for value in answer.headers.get_all("set-cookie") {
        assert!(value.is_sensitive());
        let cookie = Cookie::parse(value.to_str().unwrap().to_owned()).unwrap();
        assert_eq!(cookie.name(), "__Secure-refresh");
        if cookie.value().is_empty() {
            assert!(cookie.max_age().unwrap().is_zero());
            cleared.push(cookie.path().unwrap().to_owned());
        } else {
            assert!(set.replace(cookie.value().to_owned()).is_none());
        }
    }
    cleared.sort();
    (cleared, set)
}

/// The mount changed from `/` to `/auth`, so that the browser sends an older cookie too.
#[tokio::test]
async fn of_several_cookies_of_one_session_the_newest_generation_counts() {
    for reversed in [false, true] {
        let server = server(CookieMode::at("/auth").unwrap());
        let old = signed_in(&server).await;
        let newer = server.refresh(&old, Some(&key(1))).await.refresh_token();
        let newest = server.refresh(&newer, Some(&key(2))).await.refresh_token();
        let mut sent = [&*old, "", &newest, &newest, "planted", &newer];
        if reversed {
            sent.reverse();
        }
        let answer = server.send(several("/refresh", &sent, Some(3))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (cleared, set) = set_cookies(&answer);
        assert_eq!(cleared, ["/", "/auth/"], "the older ones go");
        let next = set.unwrap();
        let answer = server.send(several("/refresh", &[&next], Some(4))).await;
        let (cleared, set) = set_cookies(&answer);
        assert_eq!((answer.status.as_u16(), cleared.len()), (200, 0));
        assert!(set.is_some());
        assert_eq!(server.events.reuses(), 0);
    }
}

/// One of them may have been planted, to sign the user in as another.
#[tokio::test]
async fn cookies_of_different_sessions_are_invalid_grant_and_revoke_nothing() {
    let server = server(CookieMode::at("/auth").unwrap());
    let (mine, planted) = (signed_in(&server).await, signed_in(&server).await);
    let both = |key| several("/refresh", &[&mine, &planted], key);
    let mut cross_site = both(Some(1));
    cross_site
        .headers_mut()
        .insert("sec-fetch-site", header("cross-site"));
    for request in [cross_site, both(None)] {
        let answer = server.send(request).await;
        assert_eq!(answer.error(), (403, "csrf"));
        assert!(cookie_of(&answer).is_none(), "never clears");
    }
    let answer = server.send(both(Some(1))).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body),
        (401, &json!({ "error": "invalid_grant" }))
    );
    let (cleared, set) = set_cookies(&answer);
    assert_eq!((cleared, set), (paths(&["/", "/auth", "/auth/"]), None));
    let reason = |it: &SessionEvent| matches!(it, SessionEvent::RefreshFailed { kind, .. } if *kind == RefreshErrorKind::SeveralSessions);
    assert_eq!(server.events.count(reason), 1);
    assert_eq!(server.issuer.list("alice").await.unwrap().len(), 2);
    for token in [&mine, &planted] {
        let answer = server.send(several("/refresh", &[token], Some(2))).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_log_out_ends_every_session_whose_cookie_was_sent_and_clears_all_paths() {
    let cookies = CookieMode::at("/auth/v2").unwrap();
    let server = server(cookies.formerly_at("/login").unwrap());
    let old = signed_in(&server).await;
    let new = server.refresh(&old, Some(&key(1))).await.refresh_token();
    let planted = signed_in(&server).await;
    let sent = [&*old, "garbage", &new, &planted];
    let answer = server.send(several("/logout", &sent, None)).await;
    assert_eq!(answer.status, 204);
    let all = ["/", "/auth", "/auth/v2", "/auth/v2/", "/login"];
    assert_eq!(set_cookies(&answer), (paths(&all), None));
    assert!(server.issuer.list("alice").await.unwrap().is_empty());
    let without = server.send(several("/logout", &[], None)).await;
    assert_eq!(set_cookies(&without), (paths(&all), None));
}

#[tokio::test]
async fn cookies_that_hold_no_token_of_ours_are_cleared_together() {
    let server = server(CookieMode::at("/auth").unwrap());
    let sent = several("/refresh", &["garbage", "more"], Some(1));
    let answer = server.send(sent).await;
    assert_eq!(answer.error(), (401, "invalid_grant"));
    assert_eq!(set_cookies(&answer).0, ["/", "/auth", "/auth/"]);
}

/// V6: a header is read in linear time.
#[tokio::test]
async fn a_large_cookie_header_is_read_in_linear_time() {
    let server = server(CookieMode::at("/auth").unwrap());
    let token = signed_in(&server).await;
    let time = async |count: usize| {
        let values: Vec<_> = (0..count).map(|it| format!("{it:08}")).collect();
        let mut values: Vec<_> = values.iter().map(|it| &**it).collect();
        values.push(&token);
        let request = several("/logout", &values, None);
        let start = tokio::time::Instant::now();
        assert_eq!(server.send(request).await.status, 204);
        start.elapsed()
    };
    time(400).await;
    let (small, large) = (time(400).await, time(40_000).await);
    assert!(large < small * 1_000, "{small:?} {large:?}");
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|it| (*it).to_owned()).collect()
}

const DAY: Duration = Duration::from_secs(24 * 3600);
