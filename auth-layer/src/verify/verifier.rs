use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

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
    shared: Arc<Shared>,
    custom: std::marker::PhantomData<fn() -> C>,
}

#[derive(Debug)]
pub(super) struct Shared {
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
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            custom: std::marker::PhantomData,
        }
    }

    fn check(&self, token: &str) -> Result<Claims<C>, VerifyErrorKind> {
        let this = &*self.shared;
        if token.len() > this.max_token_bytes {
            return Err(VerifyErrorKind::TooLong);
        }
        let token = CompactToken::parse(token)?;
        let algorithm = token.header.check(this.require_at_jwt)?;
        let kid = token.header.kid.as_deref();
        match this
            .keys
            .verify(kid, algorithm, token.message.as_bytes(), &token.signature)
        {
            SignatureCheck::Good => {}
            SignatureCheck::Bad => return Err(VerifyErrorKind::BadSignature),
            SignatureCheck::WrongAlgorithm => return Err(VerifyErrorKind::WrongAlgorithm),
            SignatureCheck::UnknownKey if this.keys.is_empty() => {
                return Err(VerifyErrorKind::KeysUnavailable);
            }
            SignatureCheck::UnknownKey => return Err(VerifyErrorKind::UnknownKey),
        }
        let claims =
            Claims::read(&token.payload()?).map_err(|_| VerifyErrorKind::MalformedClaims)?;
        this.expectations.check(&claims, this.clock.now())?;
        if this
            .revocations
            .as_ref()
            .is_some_and(|it| it.is_revoked(&claims))
        {
            return Err(VerifyErrorKind::Revoked);
        }
        Ok(claims)
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> Verify for Verifier<C> {
    type Custom = C;

    fn verify(&self, token: &str) -> Verification<C> {
        Verification::ready(self.check(token).map_err(Into::into))
    }
}

impl<C> Clone for Verifier<C> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            custom: self.custom,
        }
    }
}

impl<C> fmt::Debug for Verifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verifier").field(&self.shared).finish()
    }
}
