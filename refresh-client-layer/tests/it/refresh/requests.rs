//! What the refresher sends, and where to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use refresh_client_layer::{BuildErrorKind, HttpRefresher, IdempotencyKey, TokenManager, TokenSet};

use crate::support::token_server::{
    Answer, JSON_URL, OAUTH_URL, Server, TOKENS, TRANSIENT, answer, json, judged, session,
};

/// Law S3: what is sent is exactly this.
#[tokio::test]
async fn a_json_refresh_carries_the_token_the_key_and_nothing_else() {
    let server = Server::default();
    let http = server.answering(|| json(200, TOKENS));
    session(HttpRefresher::json(JSON_URL, http))
        .force_refresh()
        .await
        .unwrap();
    let [request] = &server.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), JSON_URL);
    assert_eq!(request.body(), r#"{"refresh_token":"refresh 1&="}"#);
    let mut names: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-type", "idempotency-key"]);
    assert_eq!(request.headers()["content-type"], "application/json");
    let key = &request.headers()["idempotency-key"];
    assert!(key.is_sensitive());
    let key = key.to_str().unwrap();
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    assert!(IdempotencyKey::from_secret(key.unwrap()).is_some());
}

#[tokio::test]
async fn an_oauth_refresh_is_the_form_of_rfc_6749() {
    let form = |request: &Request<Bytes>| -> HashMap<String, String> {
        form_urlencoded::parse(request.body())
            .into_owned()
            .collect()
    };
    let server = Server::default();
    let http = server.answering(|| json(200, TOKENS));
    let public = HttpRefresher::oauth2(OAUTH_URL, http).client_id("app:1");
    session(public.clone()).force_refresh().await.unwrap();
    let confidential = public.client_secret("s3cret/+");
    session(confidential).force_refresh().await.unwrap();
    let [public, confidential] = &server.requests()[..] else {
        panic!("two requests")
    };
    assert_eq!(public.uri(), OAUTH_URL);
    assert_eq!(
        public.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    let expected = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "refresh 1&="),
        ("client_id", "app:1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form(public), HashMap::from(expected));
    assert!(!public.headers().contains_key("authorization"));

    assert!(!form(confidential).contains_key("client_id"));
    let basic = &confidential.headers()["authorization"];
    // base64 of app%3A1:s3cret%2F%2B
    assert_eq!(basic, "Basic YXBwJTNBMTpzM2NyZXQlMkYlMkI=");
    assert!(basic.is_sensitive());
}

#[tokio::test]
async fn an_oauth_refresh_says_what_else_the_server_wants_to_know() {
    let server = Server::default();
    let http = server.answering(|| json(200, TOKENS));
    let refresher = HttpRefresher::oauth2(OAUTH_URL, http)
        .client_id("app:1")
        .client_secret_post("s3cret/+")
        .scope("forgotten")
        .scope("read write")
        .resource("https://api.example/a")
        .resource("https://api.example/b")
        .parameter("audience", "things");
    session(refresher).force_refresh().await.unwrap();
    let [request] = &server.requests()[..] else {
        panic!("one request")
    };
    assert!(!request.headers().contains_key("authorization"));
    let pairs: Vec<_> = form_urlencoded::parse(request.body()).collect();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let expected = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "refresh 1&="),
        ("scope", "read write"),
        ("resource", "https://api.example/a"),
        ("resource", "https://api.example/b"),
        ("audience", "things"),
        ("client_id", "app:1"),
        ("client_secret", "s3cret/+"),
    ];
    assert_eq!(pairs, expected);
}

#[tokio::test]
async fn a_json_refresh_says_what_else_the_server_wants_to_know() {
    let server = Server::default();
    let http = server.answering(|| json(200, TOKENS));
    let refresher = HttpRefresher::json(JSON_URL, http).parameter("device", "a \"b\"");
    session(refresher).force_refresh().await.unwrap();
    let body = r#"{"device":"a \"b\"","refresh_token":"refresh 1&="}"#;
    assert_eq!(server.requests()[0].body(), body);
}

#[tokio::test]
async fn a_sign_out_tells_the_server() {
    let server = Server::default();
    let http = server.answering(|| answer(204, None, ""));
    let sign_out = session(HttpRefresher::json(JSON_URL, http.clone()))
        .sign_out()
        .await;
    assert!(sign_out.is_revoked());
    session(HttpRefresher::oauth2(OAUTH_URL, http.clone()))
        .sign_out()
        .await;
    let elsewhere = HttpRefresher::json(JSON_URL, http).revocation_url("https://auth.example/bye");
    session(elsewhere).sign_out().await;
    let [json, oauth, elsewhere] = &server.requests()[..] else {
        panic!("three requests")
    };
    assert_eq!(json.uri(), "https://auth.example/v1/logout");
    assert_eq!(json.body(), r#"{"refresh_token":"refresh 1&="}"#);
    assert_eq!(oauth.uri(), "https://auth.example/v1/revoke");
    assert_eq!(
        oauth.body(),
        "token=refresh+1%26%3D&token_type_hint=refresh_token"
    );
    assert_eq!(elsewhere.uri(), "https://auth.example/bye");
}

/// Law C8: also when the server does not answer.
#[tokio::test(start_paused = true)]
async fn a_sign_out_does_not_wait_for_ever() {
    let http = tower::service_fn(|_: Request<Full<Bytes>>| {
        std::future::pending::<Result<Response<Answer>, Infallible>>()
    });
    let session = session(HttpRefresher::json(JSON_URL, http));
    let start = tokio::time::Instant::now();
    let sign_out = session.sign_out().await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert!(!sign_out.is_revoked() && sign_out.is_cleared());
    assert!(session.access_token().await.is_err());
}

/// Law S3.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::default();
    let http = server.answering(|| {
        let mut answer = answer(307, None, "");
        let to = http::HeaderValue::from_static("https://evil.example/refresh");
        answer.headers_mut().insert("location", to);
        answer
    });
    let session = session(HttpRefresher::json(JSON_URL, http));
    assert_eq!(judged(session).await, TRANSIENT);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn misuse_is_told_when_the_manager_is_built() {
    let http = || Server::default().answering(|| json(200, TOKENS));
    let kind = |refresher| TokenManager::builder(refresher).build().unwrap_err().kind();
    for url in [
        "",
        "auth.example",
        "/refresh",
        "http://auth.example/refresh",
    ] {
        assert_eq!(
            kind(HttpRefresher::json(url, http())),
            BuildErrorKind::RefreshUrl,
            "{url}"
        );
    }
    let elsewhere = HttpRefresher::json(JSON_URL, http()).revocation_url("http://auth.example/");
    assert_eq!(kind(elsewhere), BuildErrorKind::RefreshUrl);
    let by_cookie = HttpRefresher::cookie("http://auth.example/refresh", http());
    assert_eq!(kind(by_cookie), BuildErrorKind::RefreshUrl);
    let allowed = HttpRefresher::json("http://auth.example/refresh", http());
    let allowed = TokenManager::builder(allowed.dangerously_allow_plain_http());
    assert!(allowed.build().is_ok());
    for origin in ["api.example", "http://api.example"] {
        let builder = TokenManager::builder(HttpRefresher::json(JSON_URL, http()));
        let error = builder.origin(origin).build().unwrap_err();
        assert_eq!(error.kind(), BuildErrorKind::Origin);
    }
    let builder = TokenManager::builder(HttpRefresher::json(JSON_URL, http()));
    let error = builder
        .tokens(TokenSet::new("a b", "r"))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), BuildErrorKind::Tokens);
}
