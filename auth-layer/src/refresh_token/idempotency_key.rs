use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::hash::sha256;

/// What a client chose before it sent a refresh, so that a repeat of the same refresh is known as
/// one: 16 to 64 random bytes, or a text of 16 to 255 visible ASCII characters such as a UUID.
///
/// A text that is base64url without padding of 16 to 64 bytes stands for those bytes; any other stands
/// for itself. The key is only hashed. It is as secret as the token that it goes with: it cannot print
/// itself.
#[derive(Clone)]
pub struct IdempotencyKey(Zeroizing<Vec<u8>>);

impl IdempotencyKey {
    /// The key of these bytes.
    ///
    /// # Errors
    /// When there are fewer than 16 or more than 64 of them.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidIdempotencyKey> {
        let bytes = Zeroizing::new(bytes.into());
        if (16..=64).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidIdempotencyKey(()))
        }
    }

    /// A hash of the key, for comparing keys.
    pub(crate) fn digest(&self) -> [u8; 32] {
        sha256(&self.0)
    }

    pub(super) fn hash(key: Option<&Self>) -> [u8; 32] {
        sha256(key.map_or(&[], |it| &it.0))
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let is_key =
            (16..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key {
            return Err(InvalidIdempotencyKey(()));
        }
        // Once no other texts were keys. A repeat may cross an update of the server, so that what is
        // hashed of these must not change.
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let key = decoded.and_then(|bytes| Self::new(bytes).ok());
        Ok(key.unwrap_or_else(|| Self(Zeroizing::new(text.as_bytes().to_vec()))))
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

/// A text or bytes that are no idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIdempotencyKey(());

impl fmt::Display for InvalidIdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an idempotency key is 16 to 64 bytes, or 16 to 255 visible ASCII characters")
    }
}

impl std::error::Error for InvalidIdempotencyKey {}
