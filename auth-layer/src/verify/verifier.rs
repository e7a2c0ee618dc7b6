use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::cache::TokenCache;
use super::expectations::Expectations;
use super::token::CompactToken;
use super::{Verification, VerifierBuilder, Verify, VerifyErrorKind};
use crate::claims::{Claims, NoCustomClaims};
use crate::clock::Clock;
use crate::keys::{KeySet, SignatureCheck};
use crate::revocation::Revocations;

/// Verifies access tokens: signature, type, issuer, audience, times and revocation. Clones share
/// everything.
///
/// ```
/// use auth_layer::{Algorithm, Verifier, VerifyingKey};
///
/// let verifier = Verifier::builder()
///     .key(VerifyingKey::from_secret(Algorithm::HS256, b"32 bytes of randomness, at least")?)
///     .issuer("https://auth.example")
///     .audience("https://api.example")
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Verifier<C = NoCustomClaims> {
    shared: Arc<Shared<C>>,
}

pub(super) struct Shared<C> {
    pub(super) cache: Option<TokenCache<C>>,
    pub(super) keys: KeySet,
    pub(super) expectations: Expectations,
    pub(super) require_at_jwt: bool,
    pub(super) max_token_bytes: usize,
    pub(super) revocations: Option<Revocations>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier to be configured.
    pub fn builder() -> VerifierBuilder {
        VerifierBuilder::new()
    }
}

impl<C: DeserializeOwned> Verifier<C> {
    pub(super) fn new(shared: Shared<C>) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<C: DeserializeOwned> Shared<C> {
    fn check(&self, token: &str) -> Result<Claims<C>, VerifyErrorKind> {
        // Before the signature is checked: should the keys change meanwhile, it is not remembered.
        let generation = self.keys.generation();
        let known = self
            .cache
            .as_ref()
            .and_then(|cache| cache.get(token, generation));
        if let Some(claims) = known {
            self.expectations.check_times(&claims, self.clock.now())?;
            self.check_revocation(&claims)?;
            return Ok(claims);
        }
        let claims = self.check_signature(token)?;
        self.expectations.check(&claims, self.clock.now())?;
        self.check_revocation(&claims)?;
        if let Some(cache) = &self.cache {
            cache.insert(token, generation, claims.clone());
        }
        Ok(claims)
    }

    fn check_signature(&self, token: &str) -> Result<Claims<C>, VerifyErrorKind> {
        if token.len() > self.max_token_bytes {
            return Err(VerifyErrorKind::TooLong);
        }
        let token = CompactToken::parse(token)?;
        let algorithm = token.header.check(self.require_at_jwt)?;
        let kid = token.header.kid.as_deref();
        match self
            .keys
            .verify(kid, algorithm, token.message.as_bytes(), &token.signature)
        {
            SignatureCheck::Good => {}
            SignatureCheck::Bad => return Err(VerifyErrorKind::BadSignature),
            SignatureCheck::WrongAlgorithm => return Err(VerifyErrorKind::WrongAlgorithm),
            SignatureCheck::UnknownKey if self.keys.is_empty() => {
                return Err(VerifyErrorKind::KeysUnavailable);
            }
            SignatureCheck::UnknownKey => return Err(VerifyErrorKind::UnknownKey),
        }
        Claims::read(&token.payload()?).map_err(|_| VerifyErrorKind::MalformedClaims)
    }

    fn check_revocation(&self, claims: &Claims<C>) -> Result<(), VerifyErrorKind> {
        match &self.revocations {
            Some(revocations) if revocations.is_revoked(claims) => Err(VerifyErrorKind::Revoked),
            _ => Ok(()),
        }
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> Verify for Verifier<C> {
    type Custom = C;

    fn verify(&self, token: &str) -> Verification<C> {
        Verification::ready(self.shared.check(token).map_err(Into::into))
    }
}

impl<C> Clone for Verifier<C> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<C> fmt::Debug for Verifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.shared.keys)
            .field("expectations", &self.shared.expectations)
            .finish_non_exhaustive()
    }
}
