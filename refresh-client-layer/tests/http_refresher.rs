//! What the refresher sends, and what it makes of the answers.
#![cfg(feature = "http")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use refresh_client_layer::{
    BuildErrorKind, EndReason, HttpRefresher, IdempotencyKey, RefreshError, RefreshUnavailable,
    TokenError, TokenManager, TokenSet, UnavailableKind,
};
use support::BoxError;
use tower::util::BoxCloneSyncService;

type Answer = BoxBody<Bytes, BoxError>;
type Http = BoxCloneSyncService<Request<Full<Bytes>>, Response<Answer>, BoxError>;

const JSON_URL: &str = "https://auth.example/v1/refresh";
const OAUTH_URL: &str = "https://auth.example/v1/token?tenant=a";
const TOKENS: &str = r#"{"access_token":"access-2","refresh_token":"refresh-2"}"#;

#[derive(Clone, Default)]
struct Server {
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Server {
    /// Answers all requests alike, and keeps them.
    fn answering(
        &self,
        answer: impl Fn() -> Response<Answer> + Clone + Send + Sync + 'static,
    ) -> Http {
        let seen = self.seen.clone();
        Http::new(tower::service_fn(move |request: Request<Full<Bytes>>| {
            let (seen, answer) = (seen.clone(), answer());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                seen.lock().unwrap().push(Request::from_parts(parts, body));
                Ok(answer)
            }
        }))
    }

    fn requests(&self) -> Vec<Request<Bytes>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn boxed(text: impl Into<Bytes>) -> Answer {
    Full::new(text.into()).map_err(Into::into).boxed()
}

fn answer(status: u16, content_type: Option<&str>, body: &str) -> Response<Answer> {
    let mut answer = Response::builder().status(status);
    if let Some(content_type) = content_type {
        answer = answer.header("content-type", content_type);
    }
    answer.body(boxed(body.to_owned())).unwrap()
}

fn json(status: u16, body: &str) -> Response<Answer> {
    answer(status, Some("application/json"), body)
}

fn session<S, B>(refresher: HttpRefresher<S, B>) -> TokenManager
where
    HttpRefresher<S, B>: refresh_client_layer::Refresher,
{
    TokenManager::builder(refresher)
        .tokens(TokenSet::new("access-1", "refresh 1&="))
        .build()
        .unwrap()
}

/// What a JSON client makes of one answer.
async fn verdict(answer: impl Fn() -> Response<Answer> + Clone + Send + Sync + 'static) -> Verdict {
    let http = Server::default().answering(answer);
    judged(session(HttpRefresher::json(JSON_URL, http))).await
}

/// What an OAuth client makes of one answer.
async fn oauth_verdict(
    answer: impl Fn() -> Response<Answer> + Clone + Send + Sync + 'static,
) -> Verdict {
    let http = Server::default().answering(answer);
    judged(session(HttpRefresher::oauth2(OAUTH_URL, http))).await
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Renewed,
    Over,
    Kept(UnavailableKind),
}

async fn judged(session: TokenManager) -> Verdict {
    match session.force_refresh().await {
        Ok(_) => Verdict::Renewed,
        Err(TokenError::SessionEnded(error)) => {
            assert_eq!(error.reason(), EndReason::Refused);
            Verdict::Over
        }
        Err(TokenError::RefreshUnavailable(error)) => Verdict::Kept(error.kind()),
        Err(error) => panic!("{error}"),
    }
}

const TRANSIENT: Verdict = Verdict::Kept(UnavailableKind::Failed);
const CONFIGURATION: Verdict = Verdict::Kept(UnavailableKind::Configuration);

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

#[tokio::test]
async fn tokens_are_read_tolerantly() {
    let camel = r#"{"accessToken":"a","refreshToken":"r","expiresIn":60,"scope":"x","new":{}}"#;
    assert_eq!(verdict(|| json(200, camel)).await, Verdict::Renewed);
    assert_eq!(verdict(|| json(201, TOKENS)).await, Verdict::Renewed);
    assert_eq!(
        verdict(|| answer(200, None, TOKENS)).await,
        Verdict::Renewed
    );
    let charset = Some("Application/JSON; charset=utf-8");
    assert_eq!(
        verdict(move || answer(200, charset, TOKENS)).await,
        Verdict::Renewed
    );

    let server = Server::default();
    let http = server.answering(|| json(200, r#"{"access_token":"a"}"#));
    let session = session(HttpRefresher::json(JSON_URL, http));
    session.force_refresh().await.unwrap();
    session.force_refresh().await.unwrap();
    let requests = server.requests();
    assert_eq!(
        requests[0].body(),
        requests[1].body(),
        "the refresh token is kept"
    );
}

#[tokio::test]
async fn what_ends_the_session() {
    let invalid = r#"{"error":"invalid_grant"}"#;
    for status in [400, 401, 403] {
        assert_eq!(
            verdict(move || json(status, invalid)).await,
            Verdict::Over,
            "{status}"
        );
        assert_eq!(
            oauth_verdict(move || json(status, invalid)).await,
            Verdict::Over
        );
    }
    // A common convention of JSON endpoints, and no convention of OAuth.
    assert_eq!(verdict(|| answer(401, None, "")).await, Verdict::Over);
    assert_eq!(
        verdict(|| answer(401, Some("text/plain"), "no")).await,
        Verdict::Over
    );
    assert_eq!(
        verdict(|| json(401, r#"{"message":"expired"}"#)).await,
        Verdict::Over
    );
    assert_eq!(oauth_verdict(|| answer(401, None, "")).await, TRANSIENT);
    let http = Server::default().answering(|| answer(401, None, ""));
    let patient = HttpRefresher::json(JSON_URL, http).keep_session_on_plain_401();
    assert_eq!(judged(session(patient)).await, TRANSIENT);
}

#[tokio::test]
async fn what_is_a_matter_of_configuration() {
    for code in [
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
        "unsupported_grant_type",
        "invalid_scope",
    ] {
        let body = format!(r#"{{"error":"{code}"}}"#);
        for status in [400, 401] {
            let body = body.clone();
            assert_eq!(
                oauth_verdict(move || json(status, &body)).await,
                CONFIGURATION,
                "{code}"
            );
        }
    }
    let dpop = r#"{"access_token":"a","refresh_token":"r","token_type":"DPoP"}"#;
    assert_eq!(verdict(|| json(200, dpop)).await, CONFIGURATION);
}

/// Law C11.
#[tokio::test]
async fn what_may_be_gone_at_the_next_try() {
    let html = Some("text/html");
    let invalid = r#"{"error":"invalid_grant"}"#;
    for status in [408, 425, 429, 500, 502, 503, 504] {
        assert_eq!(
            verdict(move || answer(status, None, "")).await,
            TRANSIENT,
            "{status}"
        );
        assert_eq!(
            verdict(move || json(status, invalid)).await,
            TRANSIENT,
            "{status}"
        );
    }
    for status in [200, 400, 401, 403, 404] {
        assert_eq!(
            verdict(move || answer(status, html, "<p>")).await,
            TRANSIENT,
            "{status}"
        );
        assert_eq!(
            verdict(move || answer(status, html, invalid)).await,
            TRANSIENT,
            "{status}"
        );
        assert_eq!(
            verdict(move || json(status, r#"{"error":"inv"#)).await,
            TRANSIENT,
            "{status}"
        );
    }
    assert_eq!(
        verdict(move || answer(200, html, TOKENS)).await,
        TRANSIENT,
        "tokens are json"
    );
    let superseded = r#"{"error":"invalid_grant","error_description":"superseded"}"#;
    assert_eq!(verdict(|| json(400, superseded)).await, TRANSIENT);
    assert_eq!(verdict(|| json(409, invalid)).await, TRANSIENT);
    assert_eq!(
        verdict(|| json(401, r#"{"error":"something_else"}"#)).await,
        TRANSIENT
    );
}

/// Law C11: the connection.
#[tokio::test]
async fn a_request_that_cannot_be_sent_or_an_answer_that_breaks_off_is_transient() {
    let http = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Answer>, _>(std::io::Error::other("connection reset"))
    });
    assert_eq!(
        judged(session(HttpRefresher::json(JSON_URL, http))).await,
        TRANSIENT
    );
    let broken = || {
        let frames = [
            Ok(Frame::data(Bytes::from("{\"acc"))),
            Err(BoxError::from("reset")),
        ];
        let body = StreamBody::new(stream::iter(frames));
        let mut answer = json(200, "");
        *answer.body_mut() = BoxBody::new(body);
        answer
    };
    assert_eq!(verdict(broken).await, TRANSIENT);
}

/// Law S3.
#[tokio::test]
async fn an_answer_over_64_kib_is_refused() {
    let padded = |length: usize| format!("{TOKENS}{}", " ".repeat(length - TOKENS.len()));
    let (fits, too_long) = (padded(64 * 1024), padded(64 * 1024 + 1));
    assert_eq!(verdict(move || json(200, &fits)).await, Verdict::Renewed);
    assert_eq!(verdict(move || json(200, &too_long)).await, TRANSIENT);
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

/// Law S3.
#[tokio::test(start_paused = true)]
async fn a_server_that_trickles_is_given_up_in_time() {
    let trickle = || {
        let mut answer = json(200, "");
        let frames = stream::pending::<Result<Frame<Bytes>, BoxError>>();
        *answer.body_mut() = BoxBody::new(StreamBody::new(frames));
        answer
    };
    let start = tokio::time::Instant::now();
    assert_eq!(
        verdict(trickle).await,
        Verdict::Kept(UnavailableKind::TimedOut)
    );
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

/// Law S5.
#[tokio::test]
async fn a_token_that_no_header_can_carry_is_a_clean_error() {
    for token in ["a\\r\\nx: y", "a\\u0000", "\\u00e9", ""] {
        let body = format!(r#"{{"access_token":"{token}","refresh_token":"r"}}"#);
        assert_eq!(
            verdict(move || json(200, &body)).await,
            TRANSIENT,
            "{token:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_read_as_seconds_and_as_a_date() {
    let seconds = [("retry-after", "120")];
    let date = [
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT"),
    ];
    for headers in [&seconds[..], &date[..]] {
        let server = Server::default();
        let headers = headers.to_vec();
        let http = server.answering(move || {
            let mut answer = answer(503, None, "");
            for (name, value) in &headers {
                answer.headers_mut().insert(*name, value.parse().unwrap());
            }
            answer
        });
        let session = session(HttpRefresher::json(JSON_URL, http));
        session.force_refresh().await.unwrap_err();
        tokio::time::advance(Duration::from_secs(119)).await;
        session.force_refresh().await.unwrap_err();
        assert_eq!(server.requests().len(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        session.force_refresh().await.unwrap_err();
        assert_eq!(server.requests().len(), 1, "asked again after two minutes");
    }
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

#[tokio::test]
async fn the_cause_of_a_failure_is_in_the_chain_of_errors() {
    let http = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Answer>, _>(std::io::Error::other("connection reset"))
    });
    let error = session(HttpRefresher::json(JSON_URL, http))
        .force_refresh()
        .await
        .unwrap_err();
    let TokenError::RefreshUnavailable(error) = error else {
        panic!("{error}")
    };
    let error: &RefreshUnavailable = &error;
    let refresh = std::error::Error::source(error).unwrap();
    assert!(refresh.is::<RefreshError>());
    assert_eq!(refresh.source().unwrap().to_string(), "connection reset");
}
