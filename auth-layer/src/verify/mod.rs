//! From a token to [`Claims`](crate::Claims), or to one reason why not.

mod builder;
mod cache;
mod error;
mod expectations;
mod issuers;
mod token;
mod verification;
mod verifier;

pub use builder::{VerifierBuilder, VerifierConfigError};
pub use error::{VerifyError, VerifyErrorKind};
pub use issuers::{Issuers, IssuersConfigError};
pub(crate) use verification::Pending;
pub use verification::Verification;
pub use verifier::Verifier;

/// Decides whether an access token is good.
///
/// A [`Verifier`] is one, and [`Issuers`] for several issuers; implement it for caches or to ask
/// elsewhere.
pub trait Verify: Clone + Send + Sync + 'static {
    /// Your own claims.
    type Custom: Send + Sync + 'static;

    /// The claims of `token`, if it is good.
    fn verify(&self, token: &str) -> Verification<Self::Custom>;
}

#[cfg(test)]
mod tests;
