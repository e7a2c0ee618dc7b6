use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::wire::Endpoint;
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
        if !self.status.is_success() {
            let (kind, what) = self.refusal(endpoint);
            return Err(
                RefreshError::new(kind, what).with_retry_after(self.retry_after(server_now))
            );
        }
        let Some(body) = self.body.as_ref().filter(|_| self.may_be_json()) else {
            return Err(RefreshError::new(
                RefreshErrorKind::Transient,
                "the token server's answer is not json, too long or incomplete",
            ));
        };
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
            && (self.error()).is_some_and(|error| error.text("error") == Some("use_dpop_nonce"))
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

    fn refusal(&self, endpoint: &Endpoint) -> (RefreshErrorKind, &'static str) {
        use RefreshErrorKind::{Configuration, Refused, Superseded, Transient};

        let error = self.error();
        let code = error.as_ref().and_then(|error| error.text("error"));
        let is_superseded = self.status == StatusCode::CONFLICT
            || error.as_ref().is_some_and(ErrorJson::is_superseded);
        match (self.status.as_u16(), code) {
            (400 | 401 | 403 | 409, Some("invalid_grant")) if is_superseded => {
                (Superseded, "the refresh token has been superseded")
            }
            (400 | 401 | 403, Some("invalid_grant")) => {
                (Refused, "the server refused the refresh token")
            }
            (400..=499, Some("invalid_client")) => {
                (Configuration, "the server answered invalid_client")
            }
            (400..=499, Some("unauthorized_client")) => {
                (Configuration, "the server answered unauthorized_client")
            }
            (400..=499, Some("invalid_request")) => {
                (Configuration, "the server answered invalid_request")
            }
            (400..=499, Some("unsupported_grant_type")) => {
                (Configuration, "the server answered unsupported_grant_type")
            }
            (400..=499, Some("invalid_scope")) => {
                (Configuration, "the server answered invalid_scope")
            }
            (400..=499, Some("invalid_target")) => {
                (Configuration, "the server answered invalid_target")
            }
            (400..=499, Some("invalid_dpop_proof")) => (
                Configuration,
                "the server answered invalid_dpop_proof: the clock of this machine may be wrong",
            ),
            (401 | 403, Some("csrf")) => (
                Configuration,
                "the server answered csrf: it does not take cookies from here",
            ),
            (400..=499, Some("use_dpop_nonce")) => {
                (Transient, "the server wants another nonce in the proof")
            }
            (400..=499, Some("server_error" | "temporarily_unavailable")) => {
                (Transient, "the token server failed")
            }
            (401, _) if endpoint.plain_401_refuses && self.is_plain(error.is_some()) => {
                (Refused, "the server answered 401")
            }
            (300..=399, _) => (
                Transient,
                "the token server redirects: configure its final url",
            ),
            (429, _) => (Transient, "the token server asked to slow down"),
            (500..=599, _) => (Transient, "the token server failed"),
            _ => (
                Transient,
                "the token server's refusal could not be understood",
            ),
        }
    }

    fn error(&self) -> Option<ErrorJson> {
        let body = self.body.as_ref().filter(|_| self.may_be_json())?;
        serde_json::from_slice(body).map(ErrorJson).ok()
    }

    /// A bare 401, or any JSON object. A page of HTML is some proxy's, and half an object says nothing.
    fn is_plain(&self, is_json_object: bool) -> bool {
        let is_text = self.media_type().is_none_or(|name| name == "text/plain");
        let is_empty = self.body.as_ref().is_some_and(Bytes::is_empty);
        is_json_object || is_empty || (is_text && self.body.is_some())
    }

    /// Servers that state no type are given the benefit of the doubt.
    fn may_be_json(&self) -> bool {
        self.media_type().is_none_or(|name| {
            name == "application/json"
                || name == "text/json"
                || (name.starts_with("application/") && name.ends_with("+json"))
        })
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
struct ErrorJson(Map<String, Value>);

impl ErrorJson {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn is_superseded(&self) -> bool {
        self.text("error_description")
            .is_some_and(|text| text.to_ascii_lowercase().contains("superseded"))
    }
}

fn unusable(error: InvalidTokens) -> RefreshError {
    let kind = match error.kind() {
        InvalidTokensKind::NotBearer | InvalidTokensKind::NotBound => {
            RefreshErrorKind::Configuration
        }
        _ => RefreshErrorKind::Transient,
    };
    RefreshError::new(kind, "the token server's answer has no usable tokens").with_source(error)
}
