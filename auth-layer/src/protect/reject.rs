use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use super::challenge::Challenge;
use super::grpc::{self, Code};
use crate::scope::Scopes;
use crate::verify::VerifyErrorKind;

/// Why a request was refused. Rides in the extensions of the refusal's response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// No access token was sent: 401, gRPC UNAUTHENTICATED.
    NoCredential,
    /// The access token is not good: 401, gRPC UNAUTHENTICATED.
    InvalidToken(VerifyErrorKind),
    /// More than one credential, or one that is no text: 400, gRPC INVALID_ARGUMENT.
    InvalidRequest,
    /// The access token does not carry these scopes, or does not allow this in another way: 403,
    /// gRPC PERMISSION_DENIED.
    InsufficientScope(Scopes),
    /// The user should prove again, or better, who they are (RFC 9470): 401, gRPC UNAUTHENTICATED.
    InsufficientAuthentication {
        /// One of these, the preferred one first; none: any.
        acr_values: Vec<String>,
        /// At most so long ago.
        max_age: Option<Duration>,
    },
    /// There are no keys to verify with: 503, gRPC UNAVAILABLE.
    KeysUnavailable,
}

impl Rejection {
    /// A stable label, for logs and metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::InvalidToken(VerifyErrorKind::Expired) => "expired",
            Self::InvalidToken(_) => "invalid_token",
            Self::InvalidRequest => "invalid_request",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::InsufficientAuthentication { .. } => "insufficient_user_authentication",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    /// A sentence for the client, within the characters of RFC 6750 s3's `error_description`.
    pub const fn description(&self) -> &'static str {
        match self {
            Self::NoCredential => "No access token was sent",
            Self::InvalidToken(kind) => kind.description(),
            Self::InvalidRequest => "More than one credential was sent, or a malformed one",
            Self::InsufficientScope(_) => "The access token lacks a scope",
            Self::InsufficientAuthentication { .. } => "A new or stronger sign-in is required",
            Self::KeysUnavailable => VerifyErrorKind::KeysUnavailable.description(),
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.answer().0
    }

    /// The response to an HTTP request: status, challenge (RFC 6750 s3) and a JSON body.
    pub(super) fn to_http(
        &self,
        realm: Option<&str>,
        resource_metadata: Option<&str>,
    ) -> Response<Bytes> {
        let mut response = Response::new(self.json());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::KeysUnavailable => headers.insert(RETRY_AFTER, HeaderValue::from_static("5")),
            _ => {
                let challenge = self
                    .challenge(realm)
                    .with_some("resource_metadata", resource_metadata);
                headers.insert(WWW_AUTHENTICATE, challenge.into_value())
            }
        };
        response.extensions_mut().insert(self.clone());
        response
    }

    /// The response to a gRPC call: HTTP 200 and the status in the headers (trailers-only).
    pub(super) fn to_grpc(&self, content_type: HeaderValue) -> Response<Bytes> {
        let mut response = grpc::status(self.answer().2, self.description(), content_type);
        response.extensions_mut().insert(self.clone());
        response
    }

    /// HTTP status, OAuth error code and gRPC code.
    const fn answer(&self) -> (StatusCode, &'static str, Code) {
        match self {
            Self::NoCredential => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                Code::Unauthenticated,
            ),
            Self::InvalidToken(_) => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                Code::Unauthenticated,
            ),
            Self::InvalidRequest => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                Code::InvalidArgument,
            ),
            Self::InsufficientScope(_) => (
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                Code::PermissionDenied,
            ),
            Self::InsufficientAuthentication { .. } => (
                StatusCode::UNAUTHORIZED,
                "insufficient_user_authentication",
                Code::Unauthenticated,
            ),
            Self::KeysUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                Code::Unavailable,
            ),
        }
    }

    fn challenge(&self, realm: Option<&str>) -> Challenge {
        let challenge = Challenge::bearer().with_some("realm", realm);
        if matches!(self, Self::NoCredential) {
            return challenge;
        }
        let challenge = challenge
            .with("error", self.answer().1)
            .with("error_description", self.description());
        match self {
            Self::InsufficientScope(scopes) if !scopes.is_empty() => {
                challenge.with("scope", &scopes.to_string())
            }
            Self::InsufficientAuthentication {
                acr_values,
                max_age,
            } => {
                let acr_values = Some(acr_values.join(" ")).filter(|it| !it.is_empty());
                let max_age = max_age.map(|it| it.as_secs().to_string());
                challenge
                    .with_some("acr_values", acr_values.as_deref())
                    .with_some("max_age", max_age.as_deref())
            }
            _ => challenge,
        }
    }

    fn json(&self) -> Bytes {
        let error = self.answer().1;
        let body = match self {
            Self::KeysUnavailable => json!({ "error": error }),
            _ => json!({ "error": error, "error_description": self.description() }),
        };
        body.to_string().into()
    }
}

impl From<VerifyErrorKind> for Rejection {
    fn from(kind: VerifyErrorKind) -> Self {
        match kind {
            VerifyErrorKind::KeysUnavailable => Self::KeysUnavailable,
            kind => Self::InvalidToken(kind),
        }
    }
}
