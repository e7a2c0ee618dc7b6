//! Handing out token pairs: a short-lived access token and the refresh token that brings the next.
//!
//! ```
//! use auth_layer::issue::{NewSession, RefreshRequest, TokenIssuer};
//! use auth_layer::store::MemoryStore;
//! use auth_layer::{Algorithm, RefreshSecrets, SigningKey, SigningKeys};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA)?);
//! let secrets = RefreshSecrets::new(&[7; 32])?; // 32 random bytes from your configuration
//! let issuer = TokenIssuer::builder(keys, secrets, MemoryStore::new())
//!     .issuer("https://auth.example")
//!     .audience("https://api.example")
//!     .build()?;
//!
//! let pair = issuer.start(NewSession::new("alice")).await?;
//! let next = issuer.refresh(RefreshRequest::new(pair.refresh_token().clone())).await?;
//! issuer.revoke(next.refresh_token()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # When a password changes
//! Whoever knew the old one may be signed in somewhere: call
//! [`revoke_all`](TokenIssuer::revoke_all), or [`revoke_others`](TokenIssuer::revoke_others) with the
//! session in which it was changed. A log-in that checked the old one at that moment does not survive it if it
//! [began](TokenIssuer::begin_sign_in) before the check. The same goes for a new second factor, for "sign out everywhere"
//! and for an account that is closed. Access tokens die with their sessions.
//!
//! Issuers on several machines work as one: [`guide::several_machines`](crate::guide::several_machines)
//! says what they share.

mod background;
mod builder;
mod claims;
mod cleanup;
mod config_error;
mod error;
mod event;
mod issuer;
mod lookup;
mod mint;
mod pair;
mod random;
mod refresh;
mod request;

pub use crate::store::rotation;
pub use builder::TokenIssuerBuilder;
pub use claims::{ClaimsError, ClaimsSource};
pub use config_error::IssuerConfigError;
pub use error::{IssueError, IssueErrorKind, RefreshError, RefreshErrorKind};
pub use event::SessionEvent;
pub use issuer::TokenIssuer;
pub use pair::TokenPair;
pub use random::{NoRandomness, Random, SystemRandom};
pub use request::{NewSession, RefreshRequest};
