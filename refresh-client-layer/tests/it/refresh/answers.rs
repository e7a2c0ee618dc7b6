//! What the refresher makes of the answers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{Full, StreamBody};
use refresh_client_layer::{
    HttpRefresher, RefreshError, RefreshUnavailable, TokenError, UnavailableKind,
};

use crate::support::BoxError;
use crate::support::token_server::{
    Answer, CONFIGURATION, JSON_URL, Server, TOKENS, TRANSIENT, Verdict, answer, json, judged,
    oauth_verdict, session, verdict,
};

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
async fn an_empty_refresh_token_is_none_and_the_old_one_is_kept() {
    let server = Server::default();
    let http = server.answering(|| json(200, r#"{"access_token":"a","refresh_token":""}"#));
    let session = session(HttpRefresher::json(JSON_URL, http));
    session.force_refresh().await.unwrap();
    session.force_refresh().await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].body(), requests[1].body());
}

/// Law C15: a JWT without `expires_in`, from servers whose clocks are decades off.
#[tokio::test(start_paused = true)]
async fn an_exp_is_counted_from_the_date_of_the_answer() {
    let servers = [
        ("Sun, 09 Sep 2001 01:46:40 GMT", 1_000_000_000),
        ("Fri, 11 Jun 2128 08:53:20 GMT", 5_000_000_000_u64),
    ];
    for (date, now) in servers {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{}}}"#, now + 900));
        let tokens = format!(r#"{{"access_token":"h.{claims}.s","refresh_token":"r"}}"#);
        let server = Server::default();
        let http = server.answering(move || {
            let mut answer = json(200, &tokens);
            answer.headers_mut().insert("date", date.parse().unwrap());
            answer
        });
        let session = session(HttpRefresher::json(JSON_URL, http));
        session.force_refresh().await.unwrap();
        tokio::time::advance(Duration::from_secs(13 * 60)).await;
        session.access_token().await.unwrap();
        assert_eq!(server.requests().len(), 1, "it lives: {date}");
        tokio::time::advance(Duration::from_secs(2 * 60)).await;
        session.access_token().await.unwrap();
        assert_eq!(server.requests().len(), 1, "it has died: {date}");
    }
}

#[tokio::test(start_paused = true)]
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

/// Frameworks use the names of OAuth in their own ways.
#[tokio::test(start_paused = true)]
async fn an_error_member_that_is_no_oauth_code_leaves_a_401_plain() {
    for body in [
        r#"{"statusCode":401,"message":"Unauthorized","error":"Unauthorized"}"#,
        r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#,
        r#"{"error":true,"error_description":["expired"]}"#,
        r#"{"error":"something_else"}"#,
    ] {
        assert_eq!(
            verdict(move || json(401, body)).await,
            Verdict::Over,
            "{body}"
        );
        assert_eq!(oauth_verdict(move || json(401, body)).await, TRANSIENT);
        let http = Server::default().answering(move || json(401, body));
        let patient = HttpRefresher::json(JSON_URL, http).keep_session_on_plain_401();
        assert_eq!(judged(session(patient)).await, TRANSIENT, "{body}");
        assert_eq!(verdict(move || json(403, body)).await, TRANSIENT, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_oauth_code_counts_whatever_its_description_is() {
    let odd = r#"{"error":"invalid_grant","error_description":{"en":"expired"}}"#;
    assert_eq!(oauth_verdict(|| json(400, odd)).await, Verdict::Over);
    let odd = r#"{"error":"invalid_client","error_description":7}"#;
    assert_eq!(verdict(|| json(401, odd)).await, CONFIGURATION);
}

#[tokio::test(start_paused = true)]
async fn what_is_a_matter_of_configuration() {
    for code in [
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
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
    let csrf = r#"{"error":"csrf"}"#;
    assert_eq!(verdict(|| json(403, csrf)).await, CONFIGURATION);
    assert_eq!(verdict(|| json(401, csrf)).await, CONFIGURATION);
    let dpop = r#"{"access_token":"a","refresh_token":"r","token_type":"DPoP"}"#;
    assert_eq!(verdict(|| json(200, dpop)).await, CONFIGURATION);
}

/// Law C11.
#[tokio::test(start_paused = true)]
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
            verdict(move || json(status, r#"{"error":"inv"#)).await,
            TRANSIENT,
            "{status}"
        );
    }
    let superseded = r#"{"error":"invalid_grant","error_description":"superseded"}"#;
    assert_eq!(verdict(|| json(400, superseded)).await, TRANSIENT);
    assert_eq!(verdict(|| json(409, invalid)).await, TRANSIENT);
    for code in ["use_dpop_nonce", "server_error", "temporarily_unavailable"] {
        let body = format!(r#"{{"error":"{code}"}}"#);
        assert_eq!(verdict(move || json(401, &body)).await, TRANSIENT, "{code}");
    }
}

/// Law C11. A superseded token is given up at the fourth try.
#[tokio::test(start_paused = true)]
async fn a_409_that_does_not_speak_of_the_grant_never_ends_the_session() {
    for conflict in [
        || answer(409, Some("text/html"), "<p>Conflict"),
        || json(409, r#"{"error":"Conflict"}"#),
    ] {
        let http = Server::default().answering(conflict);
        let session = session(HttpRefresher::json(JSON_URL, http));
        for _ in 0..8 {
            let error = session.force_refresh().await.unwrap_err();
            assert!(matches!(error, TokenError::RefreshUnavailable(_)));
            tokio::time::advance(Duration::from_secs(61)).await;
        }
    }
    let superseded = || json(409, r#"{"error":"invalid_grant"}"#);
    let http = Server::default().answering(superseded);
    let session = session(HttpRefresher::json(JSON_URL, http));
    for _ in 0..3 {
        session.force_refresh().await.unwrap_err();
        tokio::time::advance(Duration::from_secs(61)).await;
    }
    assert_eq!(judged(session).await, Verdict::Over);
}

/// Law C11: the connection.
#[tokio::test(start_paused = true)]
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
#[tokio::test(start_paused = true)]
async fn an_answer_over_64_kib_is_refused() {
    let padded = |length: usize| format!("{TOKENS}{}", " ".repeat(length - TOKENS.len()));
    let (fits, too_long) = (padded(64 * 1024), padded(64 * 1024 + 1));
    assert_eq!(verdict(move || json(200, &fits)).await, Verdict::Renewed);
    assert_eq!(verdict(move || json(200, &too_long)).await, TRANSIENT);
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
#[tokio::test(start_paused = true)]
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
        tokio::time::advance(Duration::from_secs(118)).await;
        session.force_refresh().await.unwrap_err();
        assert_eq!(server.requests().len(), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        session.force_refresh().await.unwrap_err();
        assert_eq!(server.requests().len(), 1, "asked again after two minutes");
    }
}

/// The request was fine.
#[tokio::test(start_paused = true)]
async fn an_answer_with_tokens_of_another_type_is_not_called_a_refusal() {
    let body = r#"{"access_token":"a","refresh_token":"r","token_type":"DPoP"}"#;
    let http = Server::default().answering(|| json(200, body));
    let session = session(HttpRefresher::json(JSON_URL, http));
    let mut error: &dyn std::error::Error = &session.force_refresh().await.unwrap_err();
    assert!(!error.to_string().contains("refused"), "{error}");
    while let Some(source) = error.source() {
        error = source;
    }
    assert_eq!(error.to_string(), "the token type is not bearer");
}

#[tokio::test(start_paused = true)]
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
