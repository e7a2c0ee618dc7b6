//! Server half.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod claims;
pub mod clock;
#[cfg(feature = "issue")]
pub mod endpoint;
#[cfg(feature = "issue")]
pub mod issue;
mod json;
pub mod keys;
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
