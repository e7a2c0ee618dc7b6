//! Refresh tokens: what they look like, and how the next one follows from the one before.
//!
//! ```text
//! version(1) | key id(1) | session id(16) | generation(varint) | s(32) | tag(16)
//! ```
//!
//! in base64url without padding. The tag is checked before anything else: a token that no issuer
//! made never reaches a store. The next token is a function of this one, the refresh secret and the
//! [`IdempotencyKey`], so a repeat derives it again and nobody has to keep it.

mod error;
mod format;
mod hash;
mod idempotency_key;
mod secrets;
mod session_id;
mod text;

pub use error::{RefreshSecretError, TokenError, TokenErrorKind};
pub use hash::TokenHash;
pub use idempotency_key::{IdempotencyKey, InvalidIdempotencyKey};
pub(crate) use secrets::Presented;
pub use secrets::RefreshSecrets;
pub use session_id::{InvalidSessionId, SessionId};
pub use text::RefreshToken;

#[cfg(test)]
mod tests;
