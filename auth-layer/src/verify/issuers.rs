use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, MapAccess};

use super::token::CompactToken;
use super::{Verification, Verifier, Verify, VerifyErrorKind};
use crate::claims::NoCustomClaims;
use crate::json::{self, Members};

/// Verifies tokens of several issuers, each by its own verifier; clones share everything.
///
/// A token goes to the verifier that accepts its `iss`, and to no other: a key of one issuer never
/// vouches for another, whatever its `kid`. An `iss` that no verifier accepts is
/// [`WrongIssuer`](VerifyErrorKind::WrongIssuer); nothing is fetched for it.
///
/// ```
/// # use auth_layer::{Algorithm, VerifyingKey};
/// # let [ours, theirs] = [[1; 32], [2; 32]].map(|it| VerifyingKey::from_secret(Algorithm::HS256, &it).unwrap());
/// use auth_layer::{AuthLayer, Issuers, Verifier};
///
/// let api = "https://api.example";
/// let ours = Verifier::builder().key(ours).issuer("https://auth.example").audience(api).build()?;
/// let theirs = Verifier::builder().key(theirs).issuer("https://partner.example").audience(api).build()?;
/// let layer = AuthLayer::new(Issuers::new([ours, theirs])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Issuers<C = NoCustomClaims>(Arc<Shared<C>>);

struct Shared<C> {
    verifiers: Vec<Verifier<C>>,
    /// The place of each issuer's verifier.
    by_issuer: HashMap<String, usize>,
    max_token_bytes: usize,
}

impl<C> Issuers<C> {
    /// Accepts what one of `verifiers` accepts.
    ///
    /// # Errors
    /// When there is no verifier, one that accepts any issuer, or two that accept the same.
    pub fn new(
        verifiers: impl IntoIterator<Item = Verifier<C>>,
    ) -> Result<Self, IssuersConfigError> {
        let verifiers: Vec<_> = verifiers.into_iter().collect();
        let mut by_issuer = HashMap::new();
        for (place, verifier) in verifiers.iter().enumerate() {
            let issuers = verifier.shared.expectations.issuers.as_ref();
            for issuer in issuers.ok_or(IssuersConfigError::AnyIssuer)? {
                let other = by_issuer.insert(issuer.clone(), place);
                if other.is_some_and(|it| it != place) {
                    return Err(IssuersConfigError::SameIssuer);
                }
            }
        }
        let longest = verifiers.iter().map(|it| it.shared.max_token_bytes).max();
        Ok(Self(Arc::new(Shared {
            max_token_bytes: longest.ok_or(IssuersConfigError::NoIssuer)?,
            verifiers,
            by_issuer,
        })))
    }
}

impl<C: DeserializeOwned> Shared<C> {
    /// The verifier that the token asks for; whether it is right is for that one to say.
    fn choose(&self, token: &str) -> Result<&Verifier<C>, VerifyErrorKind> {
        if token.len() > self.max_token_bytes {
            return Err(VerifyErrorKind::TooLong);
        }
        let payload = CompactToken::parse(token)?.payload()?;
        let claims = json::object::<Issuer>(&payload);
        let (Issuer(issuer), _) = claims.map_err(|_| VerifyErrorKind::MalformedClaims)?;
        let issuer = issuer.ok_or(VerifyErrorKind::MissingClaim)?;
        let place = self.by_issuer.get(&issuer);
        place
            .and_then(|it| self.verifiers.get(*it))
            .ok_or(VerifyErrorKind::WrongIssuer)
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> Verify for Issuers<C> {
    type Custom = C;

    fn verify(&self, token: &str) -> Verification<C> {
        // A token that was good before need not be read to know whose it is.
        let recalled = self
            .0
            .verifiers
            .iter()
            .find_map(|it| it.shared.recall(token));
        match recalled {
            Some(answer) => Verification::ready(answer.map_err(Into::into)),
            None => match self.0.choose(token) {
                Ok(verifier) => verifier.verify(token),
                Err(kind) => Verification::ready(Err(kind.into())),
            },
        }
    }
}

impl<C> Clone for Issuers<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C> fmt::Debug for Issuers<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuers").field(&self.0.verifiers).finish()
    }
}

#[derive(Default)]
struct Issuer(Option<String>);

impl<'de> Members<'de> for Issuer {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "iss" => self.0 = Some(map.next_value()?),
            _ => json::skip(map)?,
        }
        Ok(())
    }
}

/// Why [`Issuers`] were not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuersConfigError {
    /// No verifier.
    NoIssuer,
    /// A verifier that accepts any issuer.
    AnyIssuer,
    /// Two verifiers that accept the same issuer.
    SameIssuer,
}

impl fmt::Display for IssuersConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoIssuer => "no verifier: give one for each issuer",
            Self::AnyIssuer => "a verifier accepts any issuer: name its issuers",
            Self::SameIssuer => "two verifiers accept the same issuer",
        })
    }
}

impl std::error::Error for IssuersConfigError {}
