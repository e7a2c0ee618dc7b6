use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::StoredTokens;
use crate::tokens::{IdempotencyKey, TokenSet};

/// Identifies the contents of a record: a SHA-256 digest of the tokens, the generation and the idempotency
/// key. Two records with the same version hold the same.
///
/// Its text (`to_string`) has 43 characters. A database can keep it in a column beside the record, so that
/// [`replace`](super::TokenStore::replace) is one statement: `UPDATE .. WHERE version = ..`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version([u8; 32]);

impl Version {
    pub(super) fn of(record: &StoredTokens) -> Self {
        let tokens = record.tokens();
        let key = record.idempotency_key().map(IdempotencyKey::secret);
        let mut digest = Sha256::new();
        for text in [
            tokens.access_token().secret(),
            tokens.refresh_token().secret(),
            key.unwrap_or_default(),
        ] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        digest.update(tokens.generation().to_be_bytes());
        Self(digest.finalize().into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// Identifies a sign-in, whatever its tokens have become: the SHA-256 digest of its first refresh token, or
/// of its first access token if the refresh token is in a cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignInId([u8; 32]);

impl SignInId {
    /// That of a sign-in which begins with `tokens`.
    pub(crate) fn of(tokens: &TokenSet) -> Self {
        let refresh = tokens.refresh_token();
        Self(match refresh.is_in_cookie() {
            true => Sha256::digest(tokens.access_token().secret()).into(),
            false => Sha256::digest(refresh.secret()).into(),
        })
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for SignInId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SignInId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignInId({self})")
    }
}
