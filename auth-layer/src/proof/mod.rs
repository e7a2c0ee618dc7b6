//! Sender-constrained tokens: whoever sends one has to prove that it is theirs, so that a stolen
//! token alone is worth nothing.
//!
//! | bound to | claim | proof | switched on by |
//! | --- | --- | --- | --- |
//! | a key of the client's | `cnf.jkt` | a signed `DPoP` header on each request (RFC 9449) | [`AuthLayer::dpop`](crate::AuthLayer::dpop) |
//! | the client's certificate | `cnf.x5t#S256` | the TLS handshake (RFC 8705 s3) | [`AuthLayer::mtls`](crate::AuthLayer::mtls) |
//!
//! A bound token is refused where its proof is not checked, and a bound token without its proof is
//! refused everywhere: no set-up turns it back into a bearer token. A token that is bound to both
//! needs both proofs, and one that is bound in a way that this crate does not know is refused.
//!
//! ```
//! use auth_layer::proof::Dpop;
//! use auth_layer::{Algorithm, AuthLayer, SigningKey, Verifier};
//!
//! # let key = SigningKey::generate(Algorithm::EdDSA)?;
//! let verifier = Verifier::builder()
//!     .key(key.verifying())
//!     .issuer("https://auth.example")
//!     .audience("https://api.example")
//!     .accept_sender_constrained()
//!     .build()?;
//! let layer = AuthLayer::new(verifier).dpop(Dpop::new().public_url("https://api.example")?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Browsers let scripts of other origins see the challenge and the nonce only if the CORS layer
//! exposes `WWW-Authenticate` and `DPoP-Nonce`.

mod certificate;
mod check;
mod dpop;
mod error;
mod forwarded;
mod key;
mod memory;
mod nonce;
mod origin;
mod replay;
mod signed;
mod uri;

pub use certificate::CertificateSource;
pub(crate) use check::{Proved, Unproved};
pub use dpop::{Dpop, InvalidPublicUrl};
pub use error::{BindingErrorKind, ProofErrorKind};
pub use forwarded::ProxyHeaders;
pub use memory::MemoryReplays;
pub use nonce::{NonceSecretTooShort, Nonces};
pub(crate) use replay::PendingReplay;
pub use replay::{Freshness, ProofUse, ReplayCheck, ReplayStore};

#[cfg(test)]
mod tests;
