use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::cache::TokenCache;
use super::expectations::Expectations;
use super::token::CompactToken;
use super::{Verification, VerifierBuilder, Verify, VerifyError, VerifyErrorKind};
use crate::claims::{Claims, NoCustomClaims};
use crate::clock::Clock;
use crate::keys::{KeySet, Refetch, SignatureCheck};
use crate::metrics::Stopwatch;
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
    pub(super) shared: Arc<Shared<C>>,
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
    /// The claims of a token that was found good before, if it still is; none if it was not.
    pub(super) fn recall(&self, token: &str) -> Option<Result<Claims<C>, VerifyErrorKind>> {
        let cache = self.cache.as_ref()?;
        let claims = cache.get(token, self.keys.generation())?;
        let answer = self
            .expectations
            .check_times(&claims, self.clock.now())
            .and_then(|()| self.check_revocation(&claims));
        Some(answer.map(|()| claims))
    }

    fn check(&self, token: &str) -> Result<Claims<C>, Refusal> {
        let stopwatch = Stopwatch::start();
        if let Some(answer) = self.recall(token) {
            stopwatch.stop(true);
            return answer.map_err(Into::into);
        }
        let answer = self.check_anew(token);
        stopwatch.stop(false);
        answer
    }

    fn check_anew(&self, token: &str) -> Result<Claims<C>, Refusal> {
        // Before the signature is checked: should the keys change meanwhile, it is not remembered.
        let generation = self.keys.generation();
        let claims = self.check_signature(token)?;
        self.expectations.check(&claims, self.clock.now())?;
        self.check_revocation(&claims)?;
        if let Some(cache) = &self.cache {
            cache.insert(token, generation, claims.clone());
        }
        Ok(claims)
    }

    fn check_signature(&self, token: &str) -> Result<Claims<C>, Refusal> {
        if token.len() > self.max_token_bytes {
            return Err(VerifyErrorKind::TooLong.into());
        }
        let token = CompactToken::parse(token)?;
        let algorithm = token.header.check(self.require_at_jwt)?;
        let kid = token.header.kid.as_deref();
        let check = self
            .keys
            .verify(kid, algorithm, token.message.as_bytes(), &token.signature);
        let kind = match check {
            SignatureCheck::Good => {
                let claims = Claims::read(&token.payload()?);
                return claims.map_err(|_| VerifyErrorKind::MalformedClaims.into());
            }
            // Newer keys may have other material under the same name, or none at all.
            _ if !self.keys.is_current() => VerifyErrorKind::KeysUnavailable,
            SignatureCheck::Bad => VerifyErrorKind::BadSignature,
            SignatureCheck::WrongAlgorithm => VerifyErrorKind::WrongAlgorithm,
            SignatureCheck::UnknownKey => VerifyErrorKind::UnknownKey,
        };
        let wants = Some(Wanted {
            kid: token.header.kid,
        });
        Err(Refusal { kind, wants })
    }

    fn check_revocation(&self, claims: &Claims<C>) -> Result<(), VerifyErrorKind> {
        match &self.revocations {
            Some(revocations) if revocations.is_revoked(claims) => Err(VerifyErrorKind::Revoked),
            _ => Ok(()),
        }
    }

    /// The answer, or what to wait for before asking again.
    fn answer(&self, token: &str) -> Result<Result<Claims<C>, VerifyError>, Refetch> {
        let refusal = match self.check(token) {
            Ok(claims) => return Ok(Ok(claims)),
            Err(refusal) => refusal,
        };
        let refetch = refusal
            .wants
            .and_then(|key| self.keys.refetch(key.kid.as_deref()));
        match refetch {
            Some(refetch) => Err(refetch),
            None => Ok(Err(refusal.kind.into())),
        }
    }

    /// The answer once there are newer keys. A fetch that was under way when the token came may
    /// be too old for it; then there is one more.
    async fn answer_after(
        self: Arc<Self>,
        token: String,
        refetch: Refetch,
    ) -> Result<Claims<C>, VerifyError> {
        refetch.await;
        match self.answer(&token) {
            Ok(answer) => answer,
            Err(refetch) => {
                refetch.await;
                self.check(&token).map_err(|it| it.kind.into())
            }
        }
    }
}

/// Why a token is refused, and the key that would have made a difference.
struct Refusal {
    kind: VerifyErrorKind,
    wants: Option<Wanted>,
}

struct Wanted {
    kid: Option<String>,
}

impl From<VerifyErrorKind> for Refusal {
    fn from(kind: VerifyErrorKind) -> Self {
        Self { kind, wants: None }
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> Verify for Verifier<C> {
    type Custom = C;

    fn verify(&self, token: &str) -> Verification<C> {
        match self.shared.answer(token) {
            Ok(answer) => Verification::ready(answer),
            Err(refetch) => {
                let shared = self.shared.clone();
                Verification::pending(shared.answer_after(token.to_owned(), refetch))
            }
        }
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
