use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::source::{KeySource, Refetch};
use super::{Algorithm, VerifyingKey};

/// The keys that a verifier trusts; clones share them, also when they are replaced.
#[derive(Clone, Debug)]
pub struct KeySet {
    shared: Arc<Shared>,
    source: Option<Arc<dyn KeySource>>,
}

#[derive(Debug)]
struct Shared {
    keys: RwLock<Arc<[VerifyingKey]>>,
    generation: AtomicU64,
}

impl KeySet {
    /// The set of `keys`.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let keys = RwLock::new(keys.into_iter().collect());
        Self {
            shared: Arc::new(Shared {
                keys,
                generation: AtomicU64::new(0),
            }),
            source: None,
        }
    }

    /// Puts other keys in the place of these, for every clone. Tokens of keys that are gone are
    /// refused from now on, remembered ones too.
    pub fn replace(&self, keys: impl IntoIterator<Item = VerifyingKey>) {
        let keys = keys.into_iter().collect();
        *self
            .shared
            .keys
            .write()
            .unwrap_or_else(PoisonError::into_inner) = keys;
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The same keys, which `source` replaces by newer ones.
    #[cfg(feature = "jwks")]
    pub(super) fn with_source(&self, source: Arc<dyn KeySource>) -> Self {
        Self {
            shared: self.shared.clone(),
            source: Some(source),
        }
    }

    /// How often the keys were replaced. What was found with an older generation may not hold.
    pub(crate) fn generation(&self) -> u64 {
        if let Some(source) = &self.source {
            source.keep_alive();
        }
        self.shared.generation.load(Ordering::Acquire)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.snapshot().is_empty()
    }

    /// Whether a key that is not in the set is known not to exist.
    pub(crate) fn is_current(&self) -> bool {
        !self.is_empty() && self.source.as_ref().is_none_or(|it| it.is_current())
    }

    /// A wait for newer keys, if they may bring the one that a token with `kid` needs.
    pub(crate) fn refetch(&self, kid: Option<&str>) -> Option<Refetch> {
        self.source.as_ref()?.refetch(kid)
    }

    /// Whether there can never be keys: see [`KeySource::is_misplaced`].
    pub(crate) fn is_misplaced(&self) -> bool {
        self.source.as_ref().is_some_and(|it| it.is_misplaced())
    }

    /// Checks a signature with the keys that the token may mean: those of its algorithm that have
    /// its `kid`, else those that have no name.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> SignatureCheck {
        let keys = self.snapshot();
        let is_named = kid.is_some_and(|kid| keys.iter().any(|key| key.kid() == Some(kid)));
        let meant = |key: &&VerifyingKey| match kid {
            Some(_) if is_named => key.kid() == kid,
            Some(_) => key.kid().is_none(),
            None => true,
        };
        let mut check = SignatureCheck::UnknownKey;
        for key in keys.iter().filter(meant) {
            if key.algorithm() != algorithm {
                check = check.max(SignatureCheck::WrongAlgorithm);
            } else if key.verifies(message, signature) {
                return SignatureCheck::Good;
            } else {
                check = SignatureCheck::Bad;
            }
        }
        check
    }

    fn snapshot(&self) -> Arc<[VerifyingKey]> {
        self.shared
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl From<VerifyingKey> for KeySet {
    fn from(key: VerifyingKey) -> Self {
        Self::new([key])
    }
}

/// What came of a signature, from knowing least to knowing most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SignatureCheck {
    UnknownKey,
    WrongAlgorithm,
    Bad,
    Good,
}
