use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::Response;
use super::wire::json;

/// A request that is not granted: a row of the error table.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: Option<&'static str>,
    header: Option<(HeaderName, &'static str)>,
}

impl Refusal {
    pub(super) const UNKNOWN_PATH: Self =
        Self::new(StatusCode::NOT_FOUND, "invalid_request", "No such endpoint");
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
    pub(super) const MALFORMED_TOKEN: Self = Self::invalid("This is not a refresh token");
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
    pub(super) const INVALID_CLIENT: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "The client is unknown or did not prove itself",
    );

    /// `invalid_request`, 400.
    pub(super) const fn invalid(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// The token is worth nothing. One text for all reasons: a thief learns nothing from it.
    pub(super) fn dead_token(status: StatusCode) -> Self {
        Self {
            status,
            error: "invalid_grant",
            description: None,
            header: None,
        }
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

    pub(super) fn wrong_method(allow: &'static str) -> Self {
        let description = "The method is not allowed here";
        let refusal = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request",
            description,
        );
        refusal.with(ALLOW, allow)
    }

    pub(super) fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "temporarily_unavailable",
            description: None,
            header: Some((RETRY_AFTER, "1")),
        }
    }

    /// Asks for what the client used already (RFC 6749 s5.2).
    pub(super) fn challenge_basic(self) -> Self {
        self.with(WWW_AUTHENTICATE, "Basic realm=\"token\"")
    }

    const fn new(status: StatusCode, error: &'static str, description: &'static str) -> Self {
        Self {
            status,
            error,
            description: Some(description),
            header: None,
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
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
        if let Some((name, value)) = refusal.header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
