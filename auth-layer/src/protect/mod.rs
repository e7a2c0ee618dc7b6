//! What runs on every request: extract the token, verify it, let the request through with its
//! claims, or refuse it.
//!
//! ```text
//! request ── extract ── verify ── authorize ── inner service
//!               └──────────┴──────────┴─────── refusal
//! ```
//!
//! A refusal never calls the inner service. It is an HTTP response with a challenge (RFC 6750 s3),
//! or a gRPC status where the request is a gRPC call:
//!
//! | case | HTTP | `error` | gRPC |
//! | --- | --- | --- | --- |
//! | no token | 401 | none in the challenge | `UNAUTHENTICATED` |
//! | expired or bad token | 401 | `invalid_token` | `UNAUTHENTICATED` |
//! | two credentials | 400 | `invalid_request` | `INVALID_ARGUMENT` |
//! | bad proof of a bound token | 401 | `invalid_dpop_proof`, `use_dpop_nonce` | `UNAUTHENTICATED` |
//! | bound token of somebody else | 401 | `invalid_token` | `UNAUTHENTICATED` |
//! | two proofs | 400 | `invalid_request` | `INVALID_ARGUMENT` |
//! | cookie from another site | 403 | `csrf` | `PERMISSION_DENIED` |
//! | scope missing | 403 | `insufficient_scope` | `PERMISSION_DENIED` |
//! | stronger or newer sign-in needed | 401 | `insufficient_user_authentication` | `UNAUTHENTICATED` |
//! | too many proofs with one key | 429, `Retry-After` | `temporarily_unavailable` | `RESOURCE_EXHAUSTED` |
//! | no room to remember a proof | 503, `Retry-After` | `temporarily_unavailable` | `UNAVAILABLE` |
//! | no keys to verify with | 503, `Retry-After` | `temporarily_unavailable` | `UNAVAILABLE` |

mod authorize;
#[cfg(feature = "axum")]
mod axum;
mod binding;
mod body;
mod challenge;
mod extract;
mod future;
mod gate;
mod grpc;
mod layer;
mod metadata;
mod preflight;
mod refusals;
mod reject;
mod require;
mod scopes;
mod service;
mod step_up;

pub use crate::proof;
pub use authorize::Authorize;
pub use body::ResponseBody;
pub use extract::TokenSource;
pub use future::AuthFuture;
pub use layer::{AuthLayer, InvalidCookieOrigin};
pub use metadata::ProtectedResource;
pub use refusals::RenderRejection;
pub use reject::Rejection;
pub use require::{Require, RequireService};
pub use scopes::RequireScopes;
pub use service::AuthService;
pub use step_up::RequireAuthentication;
