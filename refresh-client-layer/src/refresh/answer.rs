use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::codes;
use super::error::ServerAnswer;
use super::wire::{Classify, Endpoint};
use super::{RefreshError, RefreshErrorKind, RefreshRequest};
use crate::clock;
use crate::tokens::{InvalidTokens, InvalidTokensKind, TokenJson, TokenSet};

/// A token server's answer, read to its end; without a body if that was too long or broke off.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

impl Answer {
    /// The tokens in the answer to `request`, whose refresh token goes on if it names no other.
    pub(super) fn tokens(
        &self,
        endpoint: &Endpoint,
        request: &RefreshRequest,
        now: SystemTime,
    ) -> Result<TokenSet, RefreshError> {
        let server_now = self.date(DATE).unwrap_or(now);
        let json = self.json();
        let is_error = json.as_ref().is_some_and(Json::is_error);
        if !self.status.is_success() || is_error || json.is_none() {
            return Err(self.refusal(endpoint, json.as_ref(), server_now));
        }
        let body = self.body.as_deref().unwrap_or_default();
        let (kept, key) = (request.refresh_token(), request.bound_to());
        let tokens = TokenJson::parse(body).and_then(|json| match kept.is_in_cookie() {
            true => json.without_refresh_token().into_tokens(Some(kept), key),
            false => json.into_tokens(Some(kept), key),
        });
        tokens
            .map(|tokens| tokens.dated(server_now))
            .map_err(unusable)
    }

    /// The proof lacks a nonce, which came along (RFC 9449 section 8).
    pub(super) fn wants_nonce(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 401)
            && (self.json()).is_some_and(|json| json.text("error") == Some("use_dpop_nonce"))
            && self.headers.contains_key("dpop-nonce")
    }

    /// Any success confirms that the session is over.
    pub(super) fn revocation(&self, now: SystemTime) -> Result<(), RefreshError> {
        if self.status.is_success() {
            return Ok(());
        }
        Err(RefreshError::new(
            RefreshErrorKind::Transient,
            "the token server did not confirm the sign-out",
        )
        .with_retry_after(self.retry_after(now)))
    }

    fn refusal(
        &self,
        endpoint: &Endpoint,
        json: Option<&Json>,
        server_now: SystemTime,
    ) -> RefreshError {
        let body = self.body.as_deref().unwrap_or_default();
        let own = endpoint.classify.as_ref();
        let (kind, what) = match own.and_then(|Classify(rule)| rule(self.status, body)) {
            Some(kind) => (kind, "the server's answer is an error by the rule given"),
            None => self.meaning(endpoint, json),
        };
        let is_unknown = kind == RefreshErrorKind::Transient && what == UNKNOWN_CODE;
        let wish = self.retry_after(server_now);
        let error = RefreshError::new(kind, what)
            .with_retry_after(wish.or(is_unknown.then_some(UNKNOWN_CODE_PAUSE)))
            .answered(ServerAnswer {
                status: self.status,
                code: json.and_then(Json::code),
                description: json.and_then(Json::description),
            });
        match self.passes_soon(json.is_some()) {
            true => error.passing_soon(),
            false => error,
        }
    }

    /// What the answer means by the conventions that are in use; the first that fits.
    fn meaning(
        &self,
        endpoint: &Endpoint,
        json: Option<&Json>,
    ) -> (RefreshErrorKind, &'static str) {
        use RefreshErrorKind::{Refused, Superseded, Transient};

        let status = self.status.as_u16();
        if matches!(status, 408 | 425 | 429 | 500..=599) {
            let slow_down = status == 429;
            return match slow_down {
                true => (Transient, "the token server asked to slow down"),
                false => (Transient, "the token server failed"),
            };
        }
        let code = json.and_then(Json::code);
        let is_invalid_grant = code.as_deref() == Some("invalid_grant");
        let is_superseded = is_invalid_grant && self.status == StatusCode::CONFLICT;
        if is_superseded || json.is_some_and(Json::is_superseded) {
            return (Superseded, "the refresh token has been superseded");
        }
        if let Some(meaning) = code.as_deref().and_then(codes::meaning) {
            return meaning;
        }
        if status == 401 && endpoint.plain_401_refuses && self.is_plain(json.is_some()) {
            return (Refused, "the server answered 401");
        }
        match (status, code) {
            (300..=399, _) => (
                Transient,
                "the token server redirects: configure its final url",
            ),
            (_, Some(_)) => (Transient, UNKNOWN_CODE),
            _ => (
                Transient,
                "the token server's answer is not json, too long or incomplete, or says nothing",
            ),
        }
    }

    /// A server that restarts, a page of some proxy, or an answer that broke off.
    fn passes_soon(&self, is_json_object: bool) -> bool {
        match self.status.as_u16() {
            502 | 503 => true,
            200..=299 | 400..=499 => {
                !is_json_object && !matches!(self.status.as_u16(), 408 | 425 | 429)
            }
            _ => false,
        }
    }

    /// The body if it is a JSON object, whatever its content type says.
    fn json(&self) -> Option<Json> {
        serde_json::from_slice(self.body.as_ref()?).map(Json).ok()
    }

    /// A bare 401, or any JSON object. A page of HTML is some proxy's, and half an object says nothing.
    fn is_plain(&self, is_json_object: bool) -> bool {
        let is_text = self.media_type().is_none_or(|name| name == "text/plain");
        let is_empty = self.body.as_ref().is_some_and(Bytes::is_empty);
        is_json_object || is_empty || (is_text && self.body.is_some())
    }

    fn media_type(&self) -> Option<String> {
        let value = self.headers.get(CONTENT_TYPE)?;
        let name = value.to_str().unwrap_or("unreadable");
        let name = name.split(';').next().unwrap_or_default();
        Some(name.trim().to_ascii_lowercase())
    }

    fn retry_after(&self, server_now: SystemTime) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        match text.trim().parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => self
                .date(RETRY_AFTER)
                .map(|date| clock::until(date, server_now)),
        }
    }

    fn date(&self, name: HeaderName) -> Option<SystemTime> {
        let text = self.headers.get(name)?.to_str().ok()?;
        httpdate::parse_http_date(text).ok()
    }
}

/// Any JSON object: not every `error` in one is that of RFC 6749 section 5.2.
struct Json(Map<String, Value>);

impl Json {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// An error, whatever the status: there is an `error`, or there is no access token.
    fn is_error(&self) -> bool {
        let has_error = match self.0.get("error") {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(_) => true,
        };
        let has_tokens = ["access_token", "accessToken"]
            .iter()
            .any(|name| self.0.contains_key(*name));
        has_error || !has_tokens
    }

    /// The first of the places where servers write an error code, in lower case.
    fn code(&self) -> Option<String> {
        let nested = self.0.get("error").and_then(Value::as_object);
        let within = |name| nested?.get(name)?.as_str();
        let places = [
            self.text("error"),
            within("code"),
            within("message"),
            within("type"),
            self.text("error_code"),
            self.text("errorCode"),
            self.text("code"),
        ];
        let is_code = |text: &&str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=64).contains(&text.len()) && text.bytes().all(is_part)
        };
        let mut codes = places.into_iter().flatten().filter(is_code);
        let first = codes.clone().next();
        let known = codes.find(|code| codes::meaning(&code.to_ascii_lowercase()).is_some());
        known.or(first).map(str::to_ascii_lowercase)
    }

    fn description(&self) -> Option<String> {
        let nested = self.0.get("error").and_then(Value::as_object);
        let nested = nested.and_then(|error| error.get("message")?.as_str());
        let places = [
            "error_description",
            "message",
            "msg",
            "detail",
            "errorSummary",
        ];
        let own = places.iter().find_map(|name| self.text(name));
        own.or(nested).map(str::to_owned)
    }

    fn is_superseded(&self) -> bool {
        self.text("error_description")
            .is_some_and(|text| text.to_ascii_lowercase().contains("superseded"))
    }
}

const UNKNOWN_CODE: &str = "the token server answered an error code that is not known";

/// An unknown code is no fault of the network: it is not likely to pass soon.
const UNKNOWN_CODE_PAUSE: Duration = Duration::from_secs(60);

fn unusable(error: InvalidTokens) -> RefreshError {
    let kind = match error.kind() {
        InvalidTokensKind::NotBearer | InvalidTokensKind::NotBound => {
            RefreshErrorKind::Configuration
        }
        _ => RefreshErrorKind::Transient,
    };
    RefreshError::new(kind, "the token server's answer has no usable tokens").with_source(error)
}
