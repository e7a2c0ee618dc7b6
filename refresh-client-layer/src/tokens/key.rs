use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::clock;

/// The value that tells an honest repeat of a refresh from a thief's: random, and fixed before the
/// request is sent.
///
/// It travels as `Idempotency-Key`, an RFC 8941 string. It cannot print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Zeroizing<String>);

impl IdempotencyKey {
    /// A new key of 32 random bytes.
    pub fn random() -> Self {
        let bytes = Zeroizing::new(clock::random_bytes::<32>());
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A key that a store kept; `None` unless it is 16 to 64 bytes in base64url without padding.
    pub fn from_secret(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        (16..=64)
            .contains(&bytes.len())
            .then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The key in base64url without padding. Keep it out of logs.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}
