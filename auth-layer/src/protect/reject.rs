use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use super::challenge::Challenge;
use super::grpc::{self, Code};
use crate::proof::{BindingErrorKind, ProofErrorKind};
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
    /// The access token is in a cookie, and the request may come from a page of another site: 403,
    /// gRPC PERMISSION_DENIED.
    Csrf,
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
    /// The DPoP proof is not good: 401, gRPC UNAUTHENTICATED; two of them: 400, gRPC
    /// INVALID_ARGUMENT.
    InvalidProof(ProofErrorKind),
    /// The access token is not bound to its sender, or not in this way: 401, gRPC UNAUTHENTICATED.
    WrongBinding(BindingErrorKind),
    /// A key has used more DPoP proofs than one may: 429, gRPC RESOURCE_EXHAUSTED.
    TooManyProofs,
    /// Nobody knows whether the DPoP proof was used before: 503, gRPC UNAVAILABLE.
    ReplaysUnavailable,
    /// There are no keys to verify with: 503, gRPC UNAVAILABLE.
    KeysUnavailable,
}

impl Rejection {
    pub(super) const DPOP_REQUIRED: Self = Self::WrongBinding(BindingErrorKind::DpopRequired);

    /// A stable label, for logs and metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::InvalidToken(VerifyErrorKind::Expired) => "expired",
            Self::InvalidToken(_) => "invalid_token",
            Self::InvalidRequest => "invalid_request",
            Self::Csrf => "csrf",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::InsufficientAuthentication { .. } => "insufficient_user_authentication",
            Self::InvalidProof(kind) => kind.label(),
            Self::WrongBinding(kind) => kind.label(),
            Self::TooManyProofs => "too_many_proofs",
            Self::ReplaysUnavailable => "replays_unavailable",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    /// A sentence for the client, within the characters of RFC 6750 s3's `error_description`.
    pub const fn description(&self) -> &'static str {
        match self {
            Self::NoCredential => "No access token was sent",
            Self::InvalidToken(kind) => kind.description(),
            Self::InvalidRequest => "More than one credential was sent, or a malformed one",
            Self::Csrf => {
                "A request with the cookie needs Sec-Fetch-Site: same-origin, or an allowed Origin"
            }
            Self::InsufficientScope(_) => "The access token lacks a scope",
            Self::InsufficientAuthentication { .. } => "A new or stronger sign-in is required",
            Self::InvalidProof(kind) => kind.description(),
            Self::WrongBinding(kind) => kind.description(),
            Self::TooManyProofs => "Too many DPoP proofs were sent with one key",
            Self::ReplaysUnavailable => "DPoP proofs cannot be checked at the moment",
            Self::KeysUnavailable => VerifyErrorKind::KeysUnavailable.description(),
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.answer().0
    }

    /// The response to an HTTP request: status, these challenges and a JSON body.
    pub(super) fn to_http(
        &self,
        challenges: impl IntoIterator<Item = Challenge>,
    ) -> Response<Bytes> {
        let mut response = Response::new(self.json());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.is_passing() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        } else if !matches!(self, Self::Csrf) {
            // No other credential would help against `Csrf`, so it asks for none.
            for challenge in challenges {
                headers.append(WWW_AUTHENTICATE, challenge.into_value());
            }
        }
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
            Self::Csrf => (StatusCode::FORBIDDEN, "csrf", Code::PermissionDenied),
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
            Self::InvalidProof(ProofErrorKind::Repeated) => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                Code::InvalidArgument,
            ),
            Self::InvalidProof(ProofErrorKind::NonceRequired) => (
                StatusCode::UNAUTHORIZED,
                "use_dpop_nonce",
                Code::Unauthenticated,
            ),
            Self::InvalidProof(_) => (
                StatusCode::UNAUTHORIZED,
                "invalid_dpop_proof",
                Code::Unauthenticated,
            ),
            Self::WrongBinding(_) => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                Code::Unauthenticated,
            ),
            Self::TooManyProofs => (
                StatusCode::TOO_MANY_REQUESTS,
                "temporarily_unavailable",
                Code::ResourceExhausted,
            ),
            Self::KeysUnavailable | Self::ReplaysUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                Code::Unavailable,
            ),
        }
    }

    /// Says in `challenge` what was wrong, in the words of RFC 6750 s3.
    pub(super) fn explain(&self, challenge: Challenge) -> Challenge {
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

    /// Whether the same request may do later: no other credential would help.
    const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::KeysUnavailable | Self::ReplaysUnavailable | Self::TooManyProofs
        )
    }

    fn json(&self) -> Bytes {
        let error = self.answer().1;
        let body = match self.is_passing() {
            true => json!({ "error": error }),
            false => json!({ "error": error, "error_description": self.description() }),
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
