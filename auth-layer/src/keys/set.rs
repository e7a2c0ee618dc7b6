use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Algorithm, VerifyingKey};

/// The keys that a verifier trusts; clones share them, also when they are replaced.
#[derive(Clone, Debug)]
pub struct KeySet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keys: RwLock<Arc<[VerifyingKey]>>,
    generation: AtomicU64,
}

impl KeySet {
    /// The set of `keys`.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let keys = RwLock::new(keys.into_iter().collect());
        Self(Arc::new(Shared {
            keys,
            generation: AtomicU64::new(0),
        }))
    }

    /// Puts other keys in the place of these, for every clone. Tokens of keys that are gone are
    /// refused from now on, remembered ones too.
    pub fn replace(&self, keys: impl IntoIterator<Item = VerifyingKey>) {
        let keys = keys.into_iter().collect();
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.0.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// How often the keys were replaced. What was found with an older generation may not hold.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.snapshot().is_empty()
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
        self.0
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
