use std::time::{Duration, SystemTime};

use serde::Serialize;
use zeroize::Zeroizing;

use super::version::{SignInId, Version};
use crate::clock::Now;
use crate::dpop::DpopKey;
use crate::tokens::{IdempotencyKey, InvalidTokens, RefreshToken, TokenJson, TokenSet};

/// What a [`TokenStore`](super::TokenStore) keeps: the tokens, which sign-in they come from, and the
/// idempotency key of a refresh that was begun with them and has had no definite answer yet.
#[derive(Clone, Debug)]
pub struct StoredTokens {
    tokens: TokenSet,
    sign_in: SignInId,
    key: Option<IdempotencyKey>,
}

impl StoredTokens {
    /// The first tokens of a sign-in, whose refresh has not begun.
    pub fn new(tokens: TokenSet) -> Self {
        Self::of(SignInId::of(&tokens), tokens, None)
    }

    pub(crate) fn of(sign_in: SignInId, tokens: TokenSet, key: Option<IdempotencyKey>) -> Self {
        Self {
            tokens,
            sign_in,
            key,
        }
    }

    /// The tokens.
    pub fn tokens(&self) -> &TokenSet {
        &self.tokens
    }

    /// The key of the refresh that was begun, if one was.
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.key.as_ref()
    }

    /// Tells this record from all others: see [`TokenStore::replace`](super::TokenStore::replace).
    pub fn version(&self) -> Version {
        Version::of(self)
    }

    /// The sign-in that the tokens come from.
    pub(crate) fn sign_in(&self) -> SignInId {
        self.sign_in
    }

    /// The same, with the key of a refresh that begins.
    pub(crate) fn with_key(&self, key: Option<IdempotencyKey>) -> Self {
        Self {
            key,
            ..self.clone()
        }
    }

    /// One JSON object: `access_token`, `refresh_token` (unless it is in a cookie), `generation`,
    /// `sign_in` (a digest of the first tokens of the sign-in), `expires_at` and `lifetime` (seconds since
    /// the epoch, and seconds from issue to expiry, with up to three decimals, if they are known),
    /// `idempotency_key` (if a refresh has begun), `idempotent` (if the server honours such keys), and
    /// `token_type` and `dpop_key` (if the tokens are bound to a key).
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
            sign_in: self.sign_in.to_string(),
            expires_at: expires_at.map(rounded_seconds),
            lifetime: self.tokens.stated_lifetime().map(rounded_seconds),
            idempotent: self.tokens.is_idempotent(),
            idempotency_key: self.key.as_ref().map(IdempotencyKey::secret),
            // Without the feature such a record is refused, and not taken for that of a bearer token.
            token_type: bound_to.as_ref().map(|_| "DPoP"),
            dpop_key: bound_to.as_ref().map(|key| key.as_str()),
        };
        // Only a map with keys that are no strings, or a failing writer, could make this an error.
        Zeroizing::new(serde_json::to_vec(&record).unwrap_or_default())
    }

    /// Reads what [`to_json`](Self::to_json) wrote, or the plain answer of a log-in or token endpoint, which
    /// counts as generation 1 of a sign-in of its own.
    ///
    /// # Errors
    ///
    /// As [`TokenSet::from_json`], or if the generation is none that a session reaches.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidTokens> {
        let parsed = TokenJson::parse(json)?;
        let (key, lifetime) = (parsed.idempotency_key(), parsed.lifetime());
        let sign_in = parsed.sign_in().and_then(SignInId::parse);
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
        if let Some(lifetime) = lifetime {
            tokens = tokens.with_stated_lifetime(lifetime);
        }
        let tokens = tokens.with_generation(generation.unwrap_or_default());
        let sign_in = sign_in.unwrap_or_else(|| SignInId::of(&tokens));
        Ok(Self::of(sign_in, tokens, key))
    }
}

#[derive(Serialize)]
struct Record<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    generation: u64,
    sign_in: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    idempotent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_key: Option<&'a str>,
}

/// To the millisecond: with less, whoever adopts a token of seconds would replace it too early.
fn rounded_seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).floor() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::InvalidTokensKind;

    #[test]
    fn a_record_survives_its_json() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_500);
        let lifetime = Duration::from_millis(900_250);
        let tokens = TokenSet::new("access", "refresh")
            .expires_at(at)
            .with_stated_lifetime(lifetime)
            .with_generation(7)
            .idempotent();
        let key = IdempotencyKey::random();
        let sign_in = SignInId::of(&TokenSet::new("first", "first-refresh"));
        let record = StoredTokens::of(sign_in, tokens, Some(key.clone()));

        let read = StoredTokens::from_json(&record.to_json()).unwrap();
        assert_eq!(read.version(), record.version());
        assert_eq!(read.sign_in(), sign_in);
        assert_eq!(read.tokens().stated_lifetime(), Some(lifetime));
        assert!(read.tokens().is_idempotent());
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
        assert_eq!(read.sign_in(), SignInId::of(&TokenSet::new("b", "r")));
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
    fn whatever_differs_has_another_version() {
        let record = |access, refresh, generation| {
            StoredTokens::new(TokenSet::new(access, refresh).with_generation(generation))
        };
        let one = record("a", "r", 3);
        let keyed = one.with_key(Some(IdempotencyKey::random()));
        let others = [
            record("ar", "", 3),
            record("b", "r", 3),
            record("a", "s", 3),
            record("a", "r", 4),
            one.with_key(Some(IdempotencyKey::random())),
            keyed.clone(),
        ];
        for other in &others {
            assert_ne!(one.version(), other.version());
        }
        assert_eq!(one.version(), keyed.with_key(None).version());
        assert_eq!(one.version().to_string().len(), 43);
    }
}
