//! Keys, each prepared once for exactly one algorithm.

mod algorithm;
mod error;
mod jwk;
mod jwks;
#[cfg(feature = "jwks")]
pub mod remote;
mod set;
mod signing;
mod source;
mod verifying;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use error::{KeyError, KeyErrorKind};
pub use jwks::{Jwks, SkippedKey};
#[cfg(feature = "jwks")]
pub use remote::RemoteKeys;
pub use set::KeySet;
pub(crate) use set::SignatureCheck;
pub use signing::{DatedKey, RotationSchedule, SigningKey, SigningKeys};
pub(crate) use source::Refetch;
pub use verifying::VerifyingKey;

#[cfg(test)]
mod tests;
