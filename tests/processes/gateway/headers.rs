use std::time::Duration;

use serde_json::{Value, json};

use super::Gateway;
use super::upstream::Upstream;

const TTL: Duration = Duration::from_secs(600);

/// RFC 9110 s7.6.1 and RFC 7239; and whose tokens are whose.
#[tokio::test]
async fn what_is_of_one_hop_stays_there_and_tokens_stay_on_their_side() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let user = gateway.sign_in("alice").await;
    let call = reqwest::Client::new()
        .get(gateway.0.url("/me"))
        .bearer_auth(&user.access)
        .header("connection", "x-hop, close")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("te", "trailers")
        .header("proxy-authorization", "Basic YTpi")
        .header("x-end", "2")
        .header("cookie", "theme=dark; __Host-refresh=secret")
        .header("x-forwarded-for", "6.6.6.6")
        .header("forwarded", "for=6.6.6.6");
    let answer = call.send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), r#"{"sub":"alice"}"#);

    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "te",
        "proxy-authorization",
    ] {
        assert!(upstream.header(name).is_empty(), "{name}");
    }
    let (host, own) = (gateway.0.address().to_string(), upstream.url());
    let forwarded = format!("for=127.0.0.1;host=\"{host}\";proto=http");
    for (name, value) in [
        ("host", own.trim_start_matches("http://")),
        ("x-end", "2"),
        ("cookie", "theme=dark"),
        ("via", "1.1 gateway"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", &host),
        ("x-forwarded-proto", "http"),
        ("forwarded", &forwarded),
    ] {
        assert_eq!(upstream.header(name), [value], "{name}");
    }
    let [access, _] = upstream.tokens();
    assert_ne!(access, user.access);
    assert_eq!(
        upstream.header("authorization"),
        [format!("Bearer {access}")]
    );
}

#[tokio::test]
async fn an_authorization_that_is_not_the_gateways_goes_nowhere() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let user = gateway.sign_in("alice").await;
    assert_eq!(gateway.status("/me", &user).await, 200);
    let [access, _] = upstream.tokens();
    let before = upstream.header("authorization");
    for value in [
        "Basic YTpi",
        "Bearer nonsense",
        &format!("Bearer {access}"),
        "DPoP x",
    ] {
        let call = reqwest::Client::new()
            .get(gateway.0.url("/me"))
            .header("authorization", value);
        assert_eq!(call.send().await.unwrap().status(), 401, "{value}");
    }
    assert_eq!(upstream.header("authorization"), before);
}

#[tokio::test]
async fn a_response_brings_nothing_of_its_hop_and_no_cookie_of_ours() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let user = gateway.sign_in("alice").await;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let call = http
        .unwrap()
        .get(gateway.0.url("/odd"))
        .bearer_auth(&user.access);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 302);
    for name in ["connection", "x-hop", "keep-alive", "set-cookie"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    assert_eq!(answer.headers()["x-end"], "2");
    assert_eq!(answer.headers()["location"], "/me");
}

#[tokio::test]
async fn a_browser_gets_a_cookie_and_an_access_token_and_neither_is_the_upstreams() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let login = gateway
        .log_in("alice")
        .header("sec-fetch-site", "same-origin");
    let answer = login.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-refresh="), "{cookie}");
    assert!(
        cookie.contains("; HttpOnly; SameSite=Strict; Secure"),
        "{cookie}"
    );
    let text = answer.text().await.unwrap();
    let tokens: Value = serde_json::from_str(&text).unwrap();
    assert!(tokens["refresh_token"].is_null());

    let cookie = cookie.split(';').next().unwrap();
    let refresh = |site: &'static str| {
        let refresh = reqwest::Client::new().post(gateway.0.url("/refresh"));
        let refresh = refresh
            .header("cookie", cookie)
            .header("sec-fetch-site", site);
        refresh
            .header("idempotency-key", format!("\"{}\"", "k".repeat(32)))
            .send()
    };
    assert_eq!(refresh("cross-site").await.unwrap().status(), 403);
    let refreshed: Value = refresh("same-origin").await.unwrap().json().await.unwrap();
    let me = reqwest::Client::new().get(gateway.0.url("/me"));
    let alone = me.try_clone().unwrap().header("cookie", cookie);
    assert_eq!(
        alone.send().await.unwrap().status(),
        401,
        "a cookie is no access token"
    );
    let me = me.bearer_auth(refreshed["access_token"].as_str().unwrap());
    assert_eq!(me.send().await.unwrap().status(), 200);
    for token in upstream.tokens() {
        assert!(!text.contains(&token) && !cookie.contains(&token));
    }
}

#[tokio::test]
async fn where_the_upstreams_tokens_come_from_cannot_be_reached_through_the_gateway() {
    let upstream = Upstream::start(TTL).await;
    let at = |name: &str| format!("{}/auth/{name}", upstream.url());
    let (login, refresh) = (at("login"), at("refresh"));
    let more = ["--login-url", &login, "--refresh-url", &refresh];
    let gateway = Gateway::start(&upstream.url(), &more);
    let user = gateway.sign_in("alice").await;
    let body = json!({ "username": "alice", "refresh_token": upstream.refresh_token() });
    for path in ["/auth/login", "/auth/refresh", "/auth/logout"] {
        let call = reqwest::Client::new()
            .post(gateway.0.url(path))
            .bearer_auth(&user.access)
            .json(&body);
        assert_eq!(call.send().await.unwrap().status(), 404, "{path}");
    }
    let wrong = reqwest::Client::new().post(gateway.0.url("/login"));
    let form = wrong.form(&[("username", "alice"), ("password", "wonderland")]);
    assert_eq!(form.send().await.unwrap().status(), 415);
}
