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
//! session in which it was changed. The same goes for a new second factor, for "sign out everywhere"
//! and for an account that is closed. Access tokens die with their sessions.
//!
//! # Several nodes
//! Issuers on different machines work as one if they share
//! * the store: PostgreSQL, Redis, or on one machine a SQLite file;
//! * the [`RefreshSecrets`](crate::RefreshSecrets), which say how a new one is brought to all;
//! * the [`SigningKeys`](crate::SigningKeys), or at least every node's keys in what verifiers know;
//! * clocks, to within a minute.
//!
//! What one revokes the others refuse within a second, as each follows the
//! [feed](crate::store::SessionStore::feed) of its store; a process that only verifies does so through
//! a [`RevocationFeed`](crate::store::RevocationFeed). [`TokenIssuer::feed_status`] is for the
//! readiness probe: a node that was just started knows what was revoked before once it
//! [is current](crate::store::FeedStatus::is_current). Events are told by the node where something
//! happened, and by no other.
//!
//! While the feed is down, refresh tokens of revoked sessions are refused all the same: that is the
//! store's decision. Their access tokens are accepted up to their `exp` by nodes that did not hear of
//! it. That is said once in the log, and caught up with when the feed is back.

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
