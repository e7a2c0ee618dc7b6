//! Keys, each prepared once for exactly one algorithm.

mod algorithm;
mod error;
mod jwk;
mod jwks;
mod set;
mod signing;
mod verifying;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use error::{KeyError, KeyErrorKind};
pub use jwks::{Jwks, SkippedKey};
pub use set::KeySet;
pub(crate) use set::SignatureCheck;
pub use signing::{SigningKey, SigningKeys};
pub use verifying::VerifyingKey;

#[cfg(test)]
mod tests;
