//! The tokens of one session. None of the types here can print its secret.

mod error;
mod json;
mod jwt;
mod key;
mod secret;

use std::fmt;
use std::time::{Duration, SystemTime};

pub use self::error::{InvalidTokens, InvalidTokensKind};
pub use self::key::IdempotencyKey;
pub use self::secret::{AccessToken, RefreshToken};

pub(crate) use self::json::TokenJson;

use crate::clock;
#[cfg(feature = "dpop")]
use crate::dpop::DpopKey;

/// An access token, the refresh token that replaces it, and when the access token expires.
///
/// ```
/// use std::time::Duration;
/// use refresh_client_layer::TokenSet;
///
/// let by_hand = TokenSet::new("access", "refresh").expires_in(Duration::from_secs(900));
///
/// // What a log-in endpoint or a token endpoint answers:
/// let body = br#"{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":900}"#;
/// let parsed = TokenSet::from_json(body)?;
/// # Ok::<(), refresh_client_layer::InvalidTokens>(())
/// ```
#[derive(Clone)]
pub struct TokenSet {
    access: AccessToken,
    refresh: RefreshToken,
    expiry: Option<Expiry>,
    /// From issue to expiry, once the expiry is a point in time.
    lifetime: Option<Duration>,
    generation: u64,
    is_idempotent: bool,
}

impl TokenSet {
    /// A pair of tokens as they came from the server, without the `Bearer ` prefix.
    ///
    /// The expiry is the `exp` of an access token that is a JWT (RFC 7519 section 4.1.4), else
    /// unknown, until [`expires_in`](Self::expires_in) says more. A token whose expiry is unknown
    /// is refreshed only when a server refuses it.
    pub fn new(access: impl Into<String>, refresh: impl Into<String>) -> Self {
        Self {
            access: AccessToken::new(access.into()),
            refresh: RefreshToken::new(refresh.into()),
            expiry: None,
            lifetime: None,
            generation: FIRST_GENERATION,
            is_idempotent: false,
        }
    }

    /// An access token whose refresh token is in a cookie, which the HTTP client keeps in its jar:
    /// see [`HttpRefresher::cookie`](crate::HttpRefresher::cookie).
    pub fn in_cookie(access: impl Into<String>) -> Self {
        Self {
            refresh: RefreshToken::in_cookie(),
            ..Self::new(access, "")
        }
    }

    /// Reads the answer of a log-in endpoint that puts the refresh token into a cookie.
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json).
    pub fn in_cookie_from_json(body: &[u8]) -> Result<Self, InvalidTokens> {
        TokenJson::parse(body)?.into_tokens(Some(&RefreshToken::in_cookie()), None)
    }

    /// Reads the answer of a token or log-in endpoint (RFC 6749 section 5.1).
    ///
    /// Unknown members are ignored and camelCase names are accepted. Without `expires_in`, the
    /// `exp` of an access token that is a JWT counts, by this machine's clock.
    ///
    /// # Errors
    ///
    /// If `body` is not a JSON object, a token is missing or has characters that a header cannot
    /// carry, or the `token_type` is not `Bearer`. The error never repeats the body.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidTokens> {
        TokenJson::parse(body)?.into_tokens(None, None)
    }

    /// Reads the answer of a token or log-in endpoint that was sent a proof of `key` (RFC 9449 section
    /// 5).
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json), but the `token_type` must be `DPoP`.
    #[cfg(feature = "dpop")]
    #[cfg_attr(docsrs, doc(cfg(feature = "dpop")))]
    pub fn bound_from_json(body: &[u8], key: &DpopKey) -> Result<Self, InvalidTokens> {
        TokenJson::parse(body)?.into_tokens(None, Some(key))
    }

    /// States that the server has bound the tokens to `key`: see [`dpop`](crate::dpop).
    #[cfg(feature = "dpop")]
    #[cfg_attr(docsrs, doc(cfg(feature = "dpop")))]
    #[must_use]
    pub fn bound_to(mut self, key: DpopKey) -> Self {
        self.access = self.access.bound_to(key);
        self
    }

    /// States how long the access token lives from now on (`expires_in`).
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Some(Expiry::In(lifetime));
        self
    }

    /// States when the access token expires by this machine's clock, as a store remembers it.
    #[must_use]
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        self.expiry = Some(Expiry::At(at));
        self
    }

    /// Orders the tokens of a store: see [`generation`](Self::generation).
    ///
    /// Only stores set it: they must return the generation they were given.
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation.max(FIRST_GENERATION);
        self
    }

    /// States that the server honours idempotency keys: it answers a repeated refresh with the same
    /// `Idempotency-Key` as it answered the first, as `"idempotent": true` in a token answer says.
    ///
    /// Once the tokens of a sign-in say so, those that replace them need not. A refresh whose answer does
    /// not come may then be sent again, also by another process.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    /// True if the server honours idempotency keys in this sign-in.
    pub fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// These tokens as those that replace `parent`.
    pub(crate) fn child_of(mut self, parent: &Self) -> Self {
        self.is_idempotent |= parent.is_idempotent;
        self.with_generation(parent.generation + 1)
    }

    /// Errs if a header cannot carry the one token, or the other is none.
    pub(crate) fn check(&self) -> Result<(), InvalidTokens> {
        match self.access.is_valid() && self.refresh.is_valid() {
            true => Ok(()),
            false => Err(InvalidTokensKind::Characters.into()),
        }
    }

    /// The access token.
    pub fn access_token(&self) -> &AccessToken {
        &self.access
    }

    /// The refresh token.
    pub fn refresh_token(&self) -> &RefreshToken {
        &self.refresh
    }

    /// Which tokens of a store are the newer ones: each refresh adds 1. Those that a program begins with
    /// have 1; those of a [`sign_in`](crate::TokenManager::sign_in) the milliseconds since 1970, so that
    /// no process takes an older session for a newer one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the access token expires by this machine's clock, if that is known.
    ///
    /// A lifetime that was given as [`expires_in`](Self::expires_in) is counted from `now`.
    pub fn expiry(&self, now: SystemTime) -> Option<SystemTime> {
        match self.known_expiry()? {
            Expiry::In(lifetime) => now.checked_add(lifetime.min(LONGEST_LIFETIME)),
            Expiry::At(at) => Some(at),
        }
    }

    /// What is left of the access token's life, if that is known.
    pub(crate) fn lifetime(&self, now: SystemTime) -> Option<Duration> {
        let lifetime = match self.known_expiry()? {
            Expiry::In(lifetime) => lifetime,
            Expiry::At(at) => clock::until(at, now),
        };
        Some(lifetime.min(LONGEST_LIFETIME))
    }

    /// How long the access token lives in all, as far as that is known.
    pub(crate) fn stated_lifetime(&self) -> Option<Duration> {
        match self.expiry {
            Some(Expiry::In(lifetime)) => Some(lifetime.min(LONGEST_LIFETIME)),
            _ => self.lifetime,
        }
    }

    pub(crate) fn with_stated_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime.min(LONGEST_LIFETIME));
        self
    }

    /// These tokens with their expiry fixed as a point in time. A lifetime that is not known begins now.
    pub(crate) fn pinned(mut self, now: SystemTime) -> Self {
        self.lifetime = self.stated_lifetime().or_else(|| self.lifetime(now));
        self.expiry = self.expiry(now).map(Expiry::At);
        self
    }

    /// Counts a JWT's `exp` from the moment the server's `Date` header gives, so that a wrong clock
    /// on this machine does not matter.
    #[cfg(any(feature = "http", test))]
    pub(crate) fn dated(mut self, server_now: SystemTime) -> Self {
        if self.expiry.is_none() {
            self.expiry = jwt::expiry(self.access.secret())
                .map(|exp| Expiry::In(clock::until(exp, server_now)));
        }
        self
    }

    fn known_expiry(&self) -> Option<Expiry> {
        self.expiry
            .or_else(|| jwt::expiry(self.access.secret()).map(Expiry::At))
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("access", &self.access)
            .field("refresh", &self.refresh)
            .field("expiry", &self.expiry)
            .field("generation", &self.generation)
            .field("is_idempotent", &self.is_idempotent)
            .finish()
    }
}

#[derive(Clone, Copy, Debug)]
enum Expiry {
    In(Duration),
    At(SystemTime),
}

const FIRST_GENERATION: u64 = 1;

/// Long enough for every honest token, short enough for every clock's arithmetic.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[cfg(test)]
mod tests;
