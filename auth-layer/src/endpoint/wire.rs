use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::Response;
use super::cookie::CookieMode;
use super::refusal::Refusal;
use crate::clock::Timestamp;
use crate::issue::TokenPair;
use crate::refresh_token::RefreshToken;

/// The answer that brings `pair` to the client it is for: what `/refresh` gives, for the log-in
/// handler that you write (RFC 6749 s5.1).
///
/// Where browsers keep the refresh token in a cookie, see
/// [`TokenEndpoints::token_response`](super::TokenEndpoints::token_response).
pub fn token_response(pair: &TokenPair) -> http::Response<super::EndpointBody> {
    pair_response(pair, Some(pair.refresh_token()))
}

/// The same, with the refresh token in a cookie only.
pub(super) fn cookie_response(pair: &TokenPair, cookies: &CookieMode, now: Timestamp) -> Response {
    let mut response = pair_response(pair, None);
    let cookie = cookies.set(pair.refresh_token(), pair.refresh_expires_at().since(now));
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

/// Adds values of `Set-Cookie` to those that a response has.
pub(super) fn add_cookies(response: &mut Response, cookies: impl Iterator<Item = HeaderValue>) {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn pair_response(pair: &TokenPair, refresh_token: Option<&RefreshToken>) -> Response {
    json(&PairBody {
        access_token: pair.access_token(),
        token_type: pair.token_type(),
        expires_in: pair.expires_in().as_secs(),
        refresh_token: refresh_token.map(RefreshToken::expose),
        scope: Some(pair.scopes().to_string()).filter(|it| !it.is_empty()),
        idempotent: true,
    })
}

#[derive(Serialize)]
struct PairBody<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// Tells the client that this server honours `Idempotency-Key`, so that a refresh whose answer was
    /// lost can be repeated. A client that does not know the member ignores it (RFC 6749 s5.1).
    idempotent: bool,
}

/// 200 with a JSON body that nobody may keep.
pub(super) fn json(body: &impl Serialize) -> Response {
    let Ok(text) = serde_json::to_string(body) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    json_text(text)
}

pub(super) fn json_text(text: String) -> Response {
    let mut response = http::Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The refresh token of a JSON body, if there is one. Nothing at all is an empty object.
pub(super) fn refresh_token(body: &[u8]) -> Result<Option<RefreshToken>, Refusal> {
    #[derive(Default, Deserialize)]
    struct Body {
        #[serde(alias = "refreshToken")]
        refresh_token: Option<String>,
    }

    if body.is_empty() {
        return Ok(None);
    }
    let body: Body = serde_json::from_slice(body)
        .map_err(|_| Refusal::invalid("The body is not a JSON object with a refresh_token"))?;
    Ok(body
        .refresh_token
        .filter(|it| !it.is_empty())
        .map(RefreshToken::from))
}
