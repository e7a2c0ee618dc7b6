use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use auth_layer::TokenEndpoints;
use auth_layer::endpoint::{ClientAddress, token_response};
use auth_layer::issue::NewSession;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN, RETRY_AFTER, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use refresh_client_layer::TokenSet;
use serde_json::Value;

use crate::answer::{bad_gateway, refusal, try_later};
use crate::forwarded::Forwarded;
use crate::sessions::Sessions;
use crate::upstream::{Http, Upstream, Whole};

/// Signs users in at the upstream, and here.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) upstream: Upstream,
    pub(crate) http: Http<Whole>,
    pub(crate) sessions: Sessions,
    pub(crate) endpoints: TokenEndpoints,
    pub(crate) forwarded: Forwarded,
    pub(crate) address: ClientAddress,
}

/// JSON only, which no form of another site can send.
pub(crate) async fn login(
    State(login): State<Login>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Parts,
    credentials: Result<Json<Value>, JsonRejection>,
) -> Response {
    let Json(credentials) = match credentials {
        Ok(credentials) => credentials,
        Err(error) => return refusal(error.status(), "invalid_request", &error.body_text()),
    };
    let answer = login.ask(&request, peer, &credentials);
    let answer = match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::warn!(error = examples::chain(&*error), "no answer to a log-in");
            return bad_gateway();
        }
        Err(_) => return bad_gateway(),
    };
    match answer.status() {
        status if status.is_success() => login.begin(&request, answer.body()).await,
        status if status.is_client_error() || status.is_server_error() => told(answer),
        _ => bad_gateway(),
    }
}

impl Login {
    async fn ask(
        &self,
        request: &Parts,
        peer: SocketAddr,
        credentials: &Value,
    ) -> Result<http::Response<Bytes>, Box<dyn Error + Send + Sync>> {
        let mut asked = request.clone();
        self.forwarded.tell(&mut asked, peer.ip());
        let mut post = Request::post(&self.upstream.login);
        for (name, value) in &asked.headers {
            let told = name.as_str().starts_with("x-forwarded-") || name == "forwarded";
            if told || name == USER_AGENT {
                post = post.header(name, value);
            }
        }
        let json = HeaderValue::from_static("application/json");
        let post = post
            .header(CONTENT_TYPE, json)
            .body(serde_json::to_vec(credentials)?.into())?;
        let (head, body) = self.http.request(post).await?.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER)
            .collect()
            .await?
            .to_bytes();
        Ok(http::Response::from_parts(head, body))
    }

    /// The answer with the gateway's tokens in the place of the upstream's.
    async fn begin(&self, request: &Parts, answer: &[u8]) -> Response {
        let Ok(tokens) = TokenSet::from_json(answer) else {
            tracing::error!("the upstream answered a log-in without tokens");
            return bad_gateway();
        };
        let subject = match subject(&tokens) {
            Ok(subject) => subject,
            Err(error) => {
                tracing::error!(%error, "no name for a session");
                return try_later("The session could not be named", None);
            }
        };
        // The upstream has checked the password, and says only now whose session it is.
        let mut session = NewSession::new(subject);
        if let Some(ip) = self.address.of(&request.extensions, &request.headers) {
            session = session.ip(ip);
        }
        if let Some(Ok(program)) = request.headers.get(USER_AGENT).map(HeaderValue::to_str) {
            session = session.user_agent(program);
        }
        match self.sessions.start(session, tokens).await {
            Ok(pair) if is_browser(&request.headers) => {
                self.endpoints.token_response(&pair).into_response()
            }
            Ok(pair) => token_response(&pair).into_response(),
            Err(error) => {
                tracing::error!(%error, "no session was started");
                try_later("The session could not be stored", None)
            }
        }
    }
}

/// Every browser says where a POST comes from, and no page can keep it from that.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site")
}

/// Whose session it is, as the access token says. Its signature is not needed to believe it: it came in
/// direct answer to this log-in, from a server that TLS vouches for, or this machine (OpenID Connect Core
/// s3.1.3.7, 6). If it cannot be read, the session is of a user of its own: what somebody calls themselves
/// proves nothing, as the upstream may go by another field of the log-in.
fn subject(tokens: &TokenSet) -> Result<String, getrandom::Error> {
    let claims = tokens.access_token().secret().split('.').nth(1);
    let claims = claims.and_then(|it| BASE64_URL_SAFE_NO_PAD.decode(it).ok());
    let claims: Option<Value> = claims.and_then(|it| serde_json::from_slice(&it).ok());
    match claims.as_ref().and_then(|it| it["sub"].as_str()) {
        Some(named) => Ok(named.to_owned()),
        None => Ok(examples::hex(&examples::random()?)),
    }
}

/// The upstream's refusal, with nothing of it that a browser would keep.
fn told(answer: http::Response<Bytes>) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST_ANSWER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_named_by_the_upstream_shares_sessions_with_nobody() {
        let of = |access: &str| subject(&TokenSet::new(access, "refresh")).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"alice"}"#);
        assert_eq!(of(&format!("e30.{claims}.c2ln")), "alice");
        for access in ["opaque", "e30.e30.c2ln", "a.b.c"] {
            assert_ne!(of(access), of(access));
        }
    }
}
