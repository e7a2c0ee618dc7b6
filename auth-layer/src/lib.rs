//! Server half.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod keys;
pub mod revocation;
pub mod scope;

pub use clock::{Clock, SystemClock, Timestamp};
pub use keys::{Algorithm, KeySet, SigningKey, SigningKeys, VerifyingKey};
pub use revocation::Revocations;
pub use scope::Scopes;
