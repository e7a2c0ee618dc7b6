//! The HTTP side of an issuer: refreshing, revoking, and the public documents.
//!
//! [`TokenEndpoints`] is a plain Tower service that answers every path. Mount it where you like, in
//! axum at the root as `fallback_service`, under a prefix as `nest_service`:
//!
//! ```
//! use auth_layer::endpoint::{TokenEndpoints, token_response};
//! use auth_layer::issue::{NewSession, TokenIssuer};
//! use axum::response::{IntoResponse, Response};
//! use axum::{Router, extract::State, http::StatusCode, routing::post};
//!
//! async fn login(State(issuer): State<TokenIssuer>) -> Response {
//!     // Once the password is right:
//!     match issuer.start(NewSession::new("alice")).await {
//!         Ok(pair) => token_response(&pair).into_response(),
//!         Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
//!     }
//! }
//!
//! fn app(issuer: TokenIssuer) -> Router {
//!     Router::new()
//!         .route("/login", post(login))
//!         .with_state(issuer.clone())
//!         .fallback_service(TokenEndpoints::new(issuer))
//! }
//! ```
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `POST /refresh` | JSON `{"refresh_token":".."}` | a new pair |
//! | `POST /token` | the form of RFC 6749 s6 | the same |
//! | `POST /revoke` | the form of RFC 7009 s2.1 | empty |
//! | `POST /logout` | JSON `{"refresh_token":".."}` | 204 |
//! | `GET /.well-known/jwks.json` | | the public keys |
//! | `GET /.well-known/oauth-authorization-server` | | RFC 8414 |
//!
//! An `Idempotency-Key` may come with every refresh: 16 to 64 random bytes, base64url, in quotes.

mod body;
mod client;
mod documents;
mod form;
mod idempotency;
mod read;
mod refresh;
mod refusal;
mod revoke;
mod route;
mod service;
mod wire;

pub use body::EndpointBody;
pub use service::{ResponseFuture, TokenEndpoints};
pub use wire::token_response;

type Response = http::Response<EndpointBody>;
