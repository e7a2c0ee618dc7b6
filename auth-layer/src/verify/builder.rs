use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Verifier;
use super::cache::TokenCache;
use super::expectations::Expectations;
use super::verifier::Shared;
use crate::claims::NoCustomClaims;
use crate::clock::{Clock, SystemClock};
#[cfg(feature = "jwks")]
use crate::keys::RemoteKeys;
use crate::keys::{KeySet, VerifyingKey};
use crate::revocation::Revocations;

/// Configures a [`Verifier`]. Keys, issuer and audience are required; all else is safe as it is.
#[derive(Debug)]
#[must_use = "nothing is verified before `build`"]
pub struct VerifierBuilder<C = NoCustomClaims> {
    settings: Settings,
    custom: PhantomData<fn() -> C>,
}

#[derive(Debug)]
struct Settings {
    keys: Vec<VerifyingKey>,
    key_sets: Vec<KeySet>,
    issuers: Names,
    audiences: Names,
    required: Vec<String>,
    leeway: Option<Duration>,
    max_age: Option<Duration>,
    require_at_jwt: bool,
    accept_bound: bool,
    max_token_bytes: usize,
    cached_tokens: usize,
    revocations: Option<Revocations>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Names {
    accepted: Vec<String>,
    any: bool,
}

impl VerifierBuilder {
    pub(super) fn new() -> Self {
        let settings = Settings {
            keys: Vec::new(),
            key_sets: Vec::new(),
            issuers: Names::default(),
            audiences: Names::default(),
            required: Vec::new(),
            leeway: None,
            max_age: None,
            require_at_jwt: false,
            accept_bound: false,
            max_token_bytes: 16 * 1024,
            cached_tokens: 8_192,
            revocations: None,
            clock: Arc::new(SystemClock),
        };
        Self {
            settings,
            custom: PhantomData,
        }
    }
}

impl<C: DeserializeOwned> VerifierBuilder<C> {
    /// Trusts `key`, beside those given before.
    pub fn key(mut self, key: VerifyingKey) -> Self {
        self.settings.keys.push(key);
        self
    }

    /// Trusts the keys of a set that others may change, such as an issuer's. Once only: a key set
    /// belongs to one issuer.
    pub fn keys(mut self, keys: impl Into<KeySet>) -> Self {
        self.settings.key_sets.push(keys.into());
        self
    }

    /// Trusts the keys of `issuer`, wherever its metadata say they are, and accepts its tokens:
    /// [`keys`](Self::keys) with [`RemoteKeys::discover`], and [`issuer`](Self::issuer).
    #[cfg(feature = "jwks")]
    pub fn discover(self, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        self.keys(RemoteKeys::discover(&issuer)).issuer(issuer)
    }

    /// Accepts tokens whose `iss` is `issuer`, beside those named before.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.settings.issuers.accepted.push(issuer.into());
        self
    }

    /// Accepts tokens that have `audience` in their `aud`, beside those named before.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.settings.audiences.accepted.push(audience.into());
        self
    }

    /// Accepts tokens of any issuer that has the key. Dangerous where a key serves several issuers.
    pub fn dangerously_accept_any_issuer(mut self) -> Self {
        self.settings.issuers.any = true;
        self
    }

    /// Accepts tokens meant for others. Dangerous: whoever gets a token for another service of the
    /// same issuer can use it here.
    pub fn dangerously_accept_any_audience(mut self) -> Self {
        self.settings.audiences.any = true;
        self
    }

    /// Reads your own claims beside the registered ones; tokens that lack them are refused.
    pub fn claims<D: DeserializeOwned>(self) -> VerifierBuilder<D> {
        VerifierBuilder {
            settings: self.settings,
            custom: PhantomData,
        }
    }

    /// Refuses tokens without the claim `name`. `exp`, `iss` and `aud` are required anyway.
    pub fn required_claim(mut self, name: impl Into<String>) -> Self {
        self.settings.required.push(name.into());
        self
    }

    /// How far clocks may differ, at most 300 s: for `exp` (default: not at all) and for `nbf` and
    /// `iat` (default: 30 s).
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = Some(leeway);
        self
    }

    /// Refuses tokens issued longer ago than `age`, whatever their `exp`; `iat` is then required.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = Some(age);
        self
    }

    /// Accepts only tokens of the type `at+jwt` (RFC 9068 s4), not plain or untyped JWTs.
    pub fn require_at_jwt(mut self) -> Self {
        self.settings.require_at_jwt = true;
        self
    }

    /// Accepts tokens that are bound to a key or a certificate (`cnf`), by methods that this crate
    /// can check: DPoP (RFC 9449 s6) and mutual TLS (RFC 8705 s3.1). Default: they are refused.
    ///
    /// Only for a verifier behind an [`AuthLayer`](crate::AuthLayer), which refuses bound tokens
    /// unless it is told how to check them. Whoever calls such a verifier without the layer and does
    /// not look at [`Claims::confirmation`](crate::Claims::confirmation) accepts stolen tokens.
    pub fn accept_sender_constrained(mut self) -> Self {
        self.settings.accept_bound = true;
        self
    }

    /// Refuses longer tokens unread. Default: 16 KiB.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_token_bytes = bytes;
        self
    }

    /// How many good tokens are remembered, so that their signature is checked once; 0 remembers
    /// none. Default: 8,192, in at most 16 MiB.
    pub fn cached_tokens(mut self, tokens: usize) -> Self {
        self.settings.cached_tokens = tokens;
        self
    }

    /// Refuses tokens that were revoked before their time was over.
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.settings.revocations = Some(revocations);
        self
    }

    /// Tells the time by `clock`. Default: [`SystemClock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        self.shared_clock(Arc::new(clock))
    }

    pub(crate) fn shared_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// The verifier.
    ///
    /// # Errors
    /// When keys, issuer or audience are missing, keys have two sources or a URL that they may not
    /// come from, or the leeway is over 300 s.
    pub fn build(self) -> Result<Verifier<C>, VerifierConfigError> {
        let it = self.settings;
        let keys = match (it.key_sets.as_slice(), it.keys) {
            ([], keys) if keys.is_empty() => return Err(VerifierConfigError::NoKey),
            ([], keys) => KeySet::new(keys),
            ([set], keys) if keys.is_empty() => set.clone(),
            _ => return Err(VerifierConfigError::TwoKeySources),
        };
        if keys.is_misplaced() {
            return Err(VerifierConfigError::UnsafeKeyUrl);
        }
        if it.leeway.is_some_and(|leeway| leeway > LONGEST_LEEWAY) {
            return Err(VerifierConfigError::LeewayTooLong);
        }
        let expectations = Expectations {
            issuers: it.issuers.resolve(VerifierConfigError::NoIssuer)?,
            audiences: it.audiences.resolve(VerifierConfigError::NoAudience)?,
            required: it.required,
            late: it.leeway.unwrap_or(Duration::ZERO),
            early: it.leeway.unwrap_or(Duration::from_secs(30)),
            max_age: it.max_age,
            accept_bound: it.accept_bound,
        };
        Ok(Verifier::new(Shared {
            cache: (it.cached_tokens > 0).then(|| TokenCache::new(it.cached_tokens)),
            keys,
            expectations,
            require_at_jwt: it.require_at_jwt,
            max_token_bytes: it.max_token_bytes,
            revocations: it.revocations,
            clock: it.clock,
        }))
    }
}

const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

impl Names {
    fn resolve(
        self,
        missing: VerifierConfigError,
    ) -> Result<Option<Vec<String>>, VerifierConfigError> {
        match (self.any, self.accepted.is_empty()) {
            (true, true) => Ok(None),
            (true, false) => Err(VerifierConfigError::AnyAndNamed),
            (false, true) => Err(missing),
            (false, false) if self.accepted.iter().any(String::is_empty) => Err(missing),
            (false, false) => Ok(Some(self.accepted)),
        }
    }
}

/// Why a [`Verifier`] was not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifierConfigError {
    /// Nothing to verify signatures with.
    NoKey,
    /// Both single keys and a set, or two sets.
    TwoKeySources,
    /// Keys over HTTP from a URL that is neither `https` nor plain `http` to this machine.
    UnsafeKeyUrl,
    /// No issuer.
    NoIssuer,
    /// No audience.
    NoAudience,
    /// Names, and yet any name will do.
    AnyAndNamed,
    /// More than 300 s.
    LeewayTooLong,
}

impl fmt::Display for VerifierConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "no key to verify with: call `key` or `keys`",
            Self::TwoKeySources => {
                "keys from two sources: call either `key` or, once, `keys` or `discover`"
            }
            Self::UnsafeKeyUrl => {
                "the URL of the keys is refused: use https, or http to this machine, \
                 without a password"
            }
            Self::NoIssuer => {
                "no issuer: call `issuer` with the `iss` of your tokens, \
                 or `dangerously_accept_any_issuer`"
            }
            Self::NoAudience => {
                "no audience: call `audience` with the name that tokens have for this service, \
                 or `dangerously_accept_any_audience`"
            }
            Self::AnyAndNamed => {
                "an issuer or audience is named although any is accepted: drop one of the two calls"
            }
            Self::LeewayTooLong => "the leeway is over 300 s: set the clocks right instead",
        })
    }
}

impl std::error::Error for VerifierConfigError {}
