//! A Tower layer that verifies bearer JWT access tokens and answers bad ones with an exact 401, and
//! the issuer behind it: token pairs, rotation, theft detection, revocation.
//!
//! ```text
//!  every request                                        now and then
//!
//!  request ─► extract ─► verify ─► authorize ─► yours   refresh token ─► endpoints ─► issuer ─► store
//!                │          │          │                                    │           │ one row
//!                └──────────┴──────────┴─► 401, 403                         ▼           │ a session
//!                           ▲                                          the next pair    │
//!                           └─ keys, revocations ◄──────────────────────────────────────┘
//! ```
//!
//! An access token dies after minutes, and a refresh token brings the next one. It works once: whoever
//! uses a copy ends the session, for both. A lost answer ends nothing, since a repeat with the same
//! `Idempotency-Key` gets the same answer.
//!
//! ```
//! use auth_layer::{Algorithm, AuthLayer, Claims, SigningKey, Verifier};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! # use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let key = SigningKey::generate(Algorithm::EdDSA)?;
//! let verifier = Verifier::builder()
//!     .key(key.verifying())
//!     .issuer("https://auth.example")
//!     .audience("https://api.example")
//!     .build()?;
//!
//! let app = ServiceBuilder::new()
//!     .layer(AuthLayer::new(verifier))
//!     .service(service_fn(async |request: Request<String>| {
//!         let claims: &Claims = request.extensions().get().expect("the layer saw to it");
//!         Ok::<_, Infallible>(Response::new(claims.subject().unwrap_or_default().to_owned()))
//!     }));
//!
//! let response = app.oneshot(Request::new(String::new())).await?;
//! assert_eq!(response.status(), 401);
//! assert_eq!(response.headers()["www-authenticate"], r#"Bearer realm="api""#);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to begin
//!
//! | I want to | |
//! | --- | --- |
//! | protect an axum app, or a tonic server | [`guide::protect_axum`], [`guide::protect_tonic`] |
//! | know what a thief can do, and where to keep tokens | [`guide::thief`] |
//! | run it: on several machines, with other keys, after a restore | [`guide::several_machines`], [`guide::rotate_keys`], [`guide::operate`] |
//! | know what an error means, or why a number is what it is | [`guide::errors`], [`guide::defaults`] |
//!
//! # Two halves
//!
//! *Protect* is what runs on every request; *issue* is what hands out tokens. They share no code but
//! keys, claims, revocations and the clock, and who only verifies compiles only the first.
//!
//! | module | |
//! | --- | --- |
//! | [`protect`] | [`AuthLayer`], [`RequireScopes`]: requests in, claims or refusals out |
//! | [`verify`] | [`Verifier`], [`Issuers`]: from a token to [`Claims`], or to one reason why not |
//! | [`proof`] | tokens that are of use only to whoever proves to hold a key or a certificate |
//! | [`keys`] | [`VerifyingKey`], [`SigningKeys`]: one algorithm a key, prepared once |
//! | [`claims`], [`scope`] | what a verified token says and allows |
//! | [`revocation`] | tokens that are dead before their `exp` |
//! | [`clock`] | time, as an argument |
#![cfg_attr(
    feature = "issue",
    doc = "\
| [`issue`] | [`TokenIssuer`]: sessions, from sign-in to log-out |
| [`endpoint`] | [`TokenEndpoints`]: `/refresh`, `/token`, `/revoke`, `/logout` and the public documents |
| [`store`] | where sessions live, and the decision what becomes of a refresh token |
| [`refresh_token`] | its format and its secrets |"
)]
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `axum` | [`Claims`] as an extractor |
//! | `issue` | the issuing half, with sessions in memory |
//! | `jwks` | `RemoteKeys`: an issuer's keys over HTTP, kept fresh; discovery |
//! | `postgres` | sessions in PostgreSQL; includes `issue` |
//! | `redis` | sessions in Redis; includes `issue` |
//! | `sqlite` | sessions in a SQLite file; includes `issue` |
//! | `metrics` | counters and timings for the recorder of your choice |
//! | `test-util` | a settable clock, and the laws of session stores as tests |
//! | `full` | all of them |
//!
//! None is on by default.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod claims;
pub mod clock;
mod csrf;
#[cfg(feature = "issue")]
pub mod endpoint;
pub mod guide;
#[cfg(feature = "issue")]
pub mod issue;
mod json;
pub mod keys;
mod metrics;
pub mod proof;
pub mod protect;
#[cfg(feature = "issue")]
pub mod refresh_token;
pub mod revocation;
pub mod scope;
#[cfg(feature = "issue")]
pub mod store;
pub mod verify;

pub use claims::{Claims, NoCustomClaims};
pub use clock::{Clock, SystemClock, Timestamp};
#[cfg(feature = "issue")]
pub use endpoint::TokenEndpoints;
#[cfg(feature = "issue")]
pub use issue::TokenIssuer;
#[cfg(feature = "jwks")]
pub use keys::RemoteKeys;
pub use keys::{Algorithm, KeySet, SigningKey, SigningKeys, VerifyingKey};
pub use protect::{AuthLayer, RequireScopes};
#[cfg(feature = "issue")]
pub use refresh_token::{IdempotencyKey, RefreshSecrets, RefreshToken, SessionId};
pub use revocation::Revocations;
pub use scope::Scopes;
pub use verify::{Issuers, Verifier, Verify, VerifyError};

// Compiles and runs the example of the README.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
