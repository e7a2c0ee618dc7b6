use std::time::{Duration, SystemTime};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::Now;
use crate::dpop::DpopKey;
use crate::tokens::{IdempotencyKey, InvalidTokens, RefreshToken, TokenJson, TokenSet};

/// What a [`TokenStore`](super::TokenStore) keeps: the tokens, and the idempotency key of a refresh
/// that was begun with them and has had no definite answer yet.
#[derive(Clone, Debug)]
pub struct StoredTokens {
    tokens: TokenSet,
    key: Option<IdempotencyKey>,
}

impl StoredTokens {
    /// Tokens whose refresh has not begun.
    pub fn new(tokens: TokenSet) -> Self {
        Self { tokens, key: None }
    }

    /// The tokens.
    pub fn tokens(&self) -> &TokenSet {
        &self.tokens
    }

    /// The key of the refresh that was begun, if one was.
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.key.as_ref()
    }

    /// Sets the key if the generation is this one and there is no key yet; returns whether it did.
    pub fn begin(&mut self, generation: u64, key: IdempotencyKey) -> bool {
        let begins = self.tokens.generation() == generation && self.key.is_none();
        if begins {
            self.key = Some(key);
        }
        begins
    }

    /// True if tokens of `generation` replace these.
    pub fn is_older_than(&self, generation: u64) -> bool {
        self.tokens.generation() < generation
    }

    /// True if tokens of `generation` have been replaced by these.
    pub fn is_newer_than(&self, generation: u64) -> bool {
        self.tokens.generation() > generation
    }

    /// One JSON object: `access_token`, `refresh_token` (unless it is in a cookie), `generation`,
    /// `expires_at` (seconds since the epoch with up to three decimals, if the expiry is known),
    /// `idempotency_key` (if a refresh has begun), and `token_type` and `dpop_key` (if the tokens are
    /// bound to a key).
    ///
    /// The bytes are secret; the memory is wiped when they are dropped.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let expires_at = self
            .tokens
            .expiry(Now::read().wall)
            .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let refresh_token = self.tokens.refresh_token();
        let bound_to = self.tokens.access_token().key().map(DpopKey::secret);
        let record = Record {
            access_token: self.tokens.access_token().secret(),
            refresh_token: (!refresh_token.is_in_cookie()).then(|| refresh_token.secret()),
            generation: self.tokens.generation(),
            expires_at: expires_at.map(rounded_seconds),
            idempotency_key: self.key.as_ref().map(IdempotencyKey::secret),
            // Without the feature such a record is refused, and not taken for that of a bearer token.
            token_type: bound_to.as_ref().map(|_| "DPoP"),
            dpop_key: bound_to.as_ref().map(|key| key.as_str()),
        };
        // Only a map with keys that are no strings, or a failing writer, could make this an error.
        Zeroizing::new(serde_json::to_vec(&record).unwrap_or_default())
    }

    /// Reads what [`to_json`](Self::to_json) wrote, or the plain answer of a token endpoint, which
    /// counts as generation 1.
    ///
    /// # Errors
    ///
    /// As [`TokenSet::from_json`], or if the generation is none that a session reaches.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidTokens> {
        let parsed = TokenJson::parse(json)?;
        let key = parsed.idempotency_key();
        let expires_at = parsed.expires_at();
        let generation = parsed.generation()?;
        // Only a record of ours may do without a refresh token.
        let in_cookie = generation.map(|_| RefreshToken::in_cookie());
        let bound_to = parsed.dpop_key();
        let mut tokens = parsed.into_tokens(in_cookie.as_ref(), bound_to.as_ref())?;
        if let Some(since_epoch) = expires_at {
            let at = SystemTime::UNIX_EPOCH.checked_add(since_epoch);
            tokens = tokens.expires_at(at.unwrap_or(SystemTime::UNIX_EPOCH));
        }
        Ok(Self {
            tokens: tokens.with_generation(generation.unwrap_or_default()),
            key,
        })
    }
}

#[derive(Serialize)]
struct Record<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_key: Option<&'a str>,
}

/// To the millisecond: with less, whoever adopts a token of seconds would replace it too early.
fn rounded_seconds(since_epoch: Duration) -> f64 {
    (since_epoch.as_secs_f64() * 1_000.0).floor() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::InvalidTokensKind;

    #[test]
    fn a_record_survives_its_json() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_500);
        let tokens = TokenSet::new("access", "refresh")
            .expires_at(at)
            .with_generation(7);
        let mut record = StoredTokens::new(tokens);
        let key = IdempotencyKey::random();
        assert!(record.begin(7, key.clone()));

        let read = StoredTokens::from_json(&record.to_json()).unwrap();
        assert_eq!(read.tokens().access_token().secret(), "access");
        assert_eq!(read.tokens().refresh_token().secret(), "refresh");
        assert_eq!(read.tokens().generation(), 7);
        assert_eq!(read.tokens().expiry(SystemTime::UNIX_EPOCH), Some(at));
        assert_eq!(read.idempotency_key(), Some(&key));
    }

    #[test]
    fn the_plain_answer_of_a_token_endpoint_is_a_record_of_generation_one() {
        let read = StoredTokens::from_json(br#"{"access_token":"a","refresh_token":"r"}"#).unwrap();
        assert_eq!(read.tokens().generation(), 1);
        assert!(read.idempotency_key().is_none());
    }

    #[test]
    fn a_record_without_a_refresh_token_is_one_of_cookie_mode() {
        let record = StoredTokens::new(TokenSet::in_cookie("access").with_generation(2));
        let json = record.to_json();
        assert!(!String::from_utf8_lossy(&json).contains("refresh_token"));
        let read = StoredTokens::from_json(&json).unwrap();
        assert!(read.tokens().refresh_token().is_in_cookie());
        assert_eq!(read.tokens().generation(), 2);
        assert!(StoredTokens::from_json(br#"{"access_token":"a"}"#).is_err());
    }

    #[test]
    fn a_generation_that_no_session_reaches_is_damage() {
        let read = |generation: &str| {
            let json =
                format!(r#"{{"access_token":"a","refresh_token":"r","generation":{generation}}}"#);
            StoredTokens::from_json(json.as_bytes())
        };
        assert!(read("9007199254740993").is_ok());
        for generation in ["18446744073709551615", "18446744073709551616", "1e300"] {
            let error = read(generation).unwrap_err();
            assert_eq!(error.kind(), InvalidTokensKind::NotJson, "{generation}");
        }
    }

    #[cfg(feature = "dpop")]
    #[test]
    fn the_key_of_bound_tokens_is_kept_with_them() {
        let key = DpopKey::generate().unwrap();
        let record = StoredTokens::new(TokenSet::new("a", "r").bound_to(key.clone()));
        let read = StoredTokens::from_json(&record.to_json()).unwrap();
        let token = read.tokens().access_token();
        assert_eq!(token.dpop_key().unwrap().thumbprint(), key.thumbprint());
        assert_eq!(
            (token.header().as_bytes(), token.secret()),
            (&b"DPoP a"[..], "a")
        );
        assert!(
            StoredTokens::from_json(
                br#"{"access_token":"a","refresh_token":"r","token_type":"DPoP"}"#
            )
            .is_err()
        );
    }

    #[test]
    fn a_key_is_set_once_and_only_for_its_generation() {
        let mut record = StoredTokens::new(TokenSet::new("a", "r").with_generation(3));
        let first = IdempotencyKey::random();
        assert!(!record.begin(2, first.clone()));
        assert!(record.begin(3, first.clone()));
        assert!(!record.begin(3, IdempotencyKey::random()));
        assert_eq!(record.idempotency_key(), Some(&first));
    }
}
