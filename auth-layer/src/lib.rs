//! Server half.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod keys;
#[cfg(feature = "issue")]
pub mod refresh_token;
pub mod revocation;
pub mod scope;
#[cfg(feature = "issue")]
pub mod store;

pub use clock::{Clock, SystemClock, Timestamp};
pub use keys::{Algorithm, KeySet, SigningKey, SigningKeys, VerifyingKey};
#[cfg(feature = "issue")]
pub use refresh_token::{IdempotencyKey, RefreshSecrets, RefreshToken, SessionId};
pub use revocation::Revocations;
pub use scope::Scopes;
