use std::time::Duration;

use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::Response;
use super::wire::json;
use crate::proof::ProofErrorKind;
use crate::store::StoreError;

/// A request that is not granted: a row of the error table.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: Option<&'static str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) const UNKNOWN_PATH: Self =
        Self::new(StatusCode::NOT_FOUND, "invalid_request", "No such endpoint");
    pub(super) const NO_SUCH_SESSION: Self =
        Self::new(StatusCode::NOT_FOUND, "invalid_request", "No such session");
    pub(super) const WRONG_MEDIA: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "invalid_request",
        "The content type is not supported here",
    );
    pub(super) const TOO_SLOW: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "invalid_request",
        "The body took too long",
    );
    pub(super) const UNSUPPORTED_GRANT: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "unsupported_grant_type",
        "The only grant type is refresh_token",
    );
    pub(super) const INVALID_SCOPE: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_scope",
        "The scope exceeds what was granted, or is malformed",
    );
    pub(super) const INVALID_TARGET: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_target",
        "A resource is not one that tokens are issued for",
    );
    pub(super) const INVALID_CLIENT: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "Client authentication failed",
    );
    pub(super) const NO_ACCESS_TOKEN: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "No access token was sent",
    );
    pub(super) const LACKS_SCOPE: Self = Self::new(
        StatusCode::FORBIDDEN,
        "insufficient_scope",
        "The access token lacks a scope",
    );

    /// `invalid_request`, 400.
    pub(super) const fn invalid(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// The token is worth nothing. One text for all reasons: a thief learns nothing from it.
    pub(super) const fn dead_token(status: StatusCode) -> Self {
        Self::bare(status, "invalid_grant")
    }

    /// Whether it is that one.
    pub(super) fn is_dead_token(&self) -> bool {
        self.error == "invalid_grant" && self.description.is_none()
    }

    /// Whether client authentication failed.
    pub(super) fn is_invalid_client(&self) -> bool {
        self.error == Self::INVALID_CLIENT.error
    }

    pub(super) fn no_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_grant",
            "No refresh token",
        )
    }

    pub(super) fn superseded(status: StatusCode) -> Self {
        Self::new(status, "invalid_grant", "superseded")
    }

    /// RFC 9449 s5 and s8.
    pub(super) const fn invalid_proof(kind: ProofErrorKind) -> Self {
        let error = match kind {
            ProofErrorKind::NonceRequired => "use_dpop_nonce",
            _ => "invalid_dpop_proof",
        };
        Self::new(StatusCode::BAD_REQUEST, error, kind.description())
    }

    /// A page that may not use the cookie sent it, or the header is missing that no form can send.
    pub(super) const fn csrf() -> Self {
        Self::bare(StatusCode::FORBIDDEN, "csrf")
    }

    pub(super) fn wrong_method(allow: &'static str) -> Self {
        let description = "The method is not allowed here";
        let refusal = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request",
            description,
        );
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    pub(super) fn too_many(wait: Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let refusal = Self::new(status, "temporarily_unavailable", "Too many requests");
        // To the next second: who comes as late as told is let in.
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        refusal.with(RETRY_AFTER, seconds.into())
    }

    pub(super) fn unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::bare(status, "temporarily_unavailable").with(RETRY_AFTER, 1.into())
    }

    /// Asks for what the client used already (RFC 6749 s5.2).
    pub(super) fn challenge_basic(self) -> Self {
        let challenge = HeaderValue::from_static("Basic realm=\"token\"");
        self.with(WWW_AUTHENTICATE, challenge)
    }

    pub(super) const fn invalid_token(description: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", description)
    }

    /// As [`invalid_proof`](Self::invalid_proof), but beside an access token (RFC 9449 s7.1 and s9).
    pub(super) fn unproved(kind: ProofErrorKind) -> Self {
        match kind {
            ProofErrorKind::Repeated => Self::invalid(kind.description()),
            kind => Self {
                status: StatusCode::UNAUTHORIZED,
                ..Self::invalid_proof(kind)
            },
        }
    }

    /// Writes it to `tracing`: what is wrong with a request is known here alone, unless it is its token.
    pub(super) fn trace(&self) {
        let (status, error, description) = (self.status.as_u16(), self.error, self.description);
        tracing::info!(target: "auth_layer::session", status, error, description, "request refused");
    }

    /// What a challenge says of it (RFC 6750 s3).
    pub(super) fn explanation(&self) -> String {
        let description = self.description.unwrap_or_default();
        let error = self.error;
        format!(", error=\"{error}\", error_description=\"{description}\"")
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    const fn new(status: StatusCode, error: &'static str, description: &'static str) -> Self {
        Self::of(status, error, Some(description))
    }

    const fn bare(status: StatusCode, error: &'static str) -> Self {
        Self::of(status, error, None)
    }

    const fn of(
        status: StatusCode,
        error: &'static str,
        description: Option<&'static str>,
    ) -> Self {
        Self {
            status,
            error,
            description,
            headers: Vec::new(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(target: "auth_layer::session", %error, "the session store did not answer");
        Self::unavailable()
    }
}

#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'static str>,
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let mut response = json(&ErrorBody {
            error: refusal.error,
            error_description: refusal.description,
        });
        *response.status_mut() = refusal.status;
        response.headers_mut().extend(refusal.headers);
        response
    }
}
