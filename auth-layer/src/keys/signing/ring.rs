use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use serde_json::json;

use super::{DatedKey, RotationSchedule, SigningKey};
use crate::clock::Timestamp;
use crate::keys::{Algorithm, KeyError, KeySet};

/// The keys of an issuer: one signs, the one before it is still published, the one after it is
/// published already. Clones share them.
///
/// They take turns by call, as here, or by a [`RotationSchedule`]:
///
/// ```
/// use auth_layer::{Algorithm, SigningKey, SigningKeys};
///
/// let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA)?);
/// keys.announce(SigningKey::generate(Algorithm::EdDSA)?);
/// // Once every verifier has fetched the announced key:
/// assert!(keys.rotate());
/// # Ok::<(), auth_layer::keys::KeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SigningKeys {
    ring: Arc<RwLock<Ring>>,
    verifying: KeySet,
}

/// The keys from the oldest to the newest.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) previous: Vec<SigningKey>,
    pub(super) current: SigningKey,
    pub(super) next: Vec<SigningKey>,
}

impl SigningKeys {
    /// A set of one key, which signs.
    pub fn new(current: SigningKey) -> Self {
        let verifying = KeySet::from(current.verifying());
        let ring = Ring {
            previous: Vec::new(),
            current,
            next: Vec::new(),
        };
        Self {
            ring: Arc::new(RwLock::new(ring)),
            verifying,
        }
    }

    /// Publishes `next`, which does not sign before [`rotate`](Self::rotate).
    pub fn announce(&self, next: SigningKey) {
        self.change(|ring| ring.next = vec![next]);
    }

    /// Keeps `previous` published: tokens that it signed are accepted until the next rotation.
    pub fn keep(&self, previous: SigningKey) {
        self.change(|ring| ring.previous = vec![previous]);
    }

    /// Signs with the announced key from now on; the one that signed stays published. False, and
    /// nothing changes, if none was announced.
    pub fn rotate(&self) -> bool {
        self.change(|ring| match ring.next.pop() {
            Some(next) => {
                ring.previous = vec![std::mem::replace(&mut ring.current, next)];
                true
            }
            None => false,
        })
    }

    /// Signs and publishes with what `schedule` makes of `keys` at `now`, in place of all others. Call
    /// it every minute or so, with the keys as they are then. Returns whether another key signs than
    /// before; without any key nothing changes.
    pub fn follow(&self, schedule: &RotationSchedule, keys: &[DatedKey], now: Timestamp) -> bool {
        let Some(wanted) = schedule.ring(keys, now) else {
            return false;
        };
        if self.read(|ring| ring.is(&wanted)) {
            return false;
        }
        self.change(|ring| {
            let signed = std::mem::replace(ring, wanted).current;
            !ring.current.is(&signed)
        })
    }

    /// Signs `claims` as an access token: a JWT of type `at+jwt` (RFC 9068 s2.1).
    ///
    /// # Errors
    /// When `claims` cannot be written as a JSON object.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let current = self.read(|ring| ring.current.clone());
        current.sign(claims)
    }

    /// The keys that verify what these sign; follows each rotation.
    pub fn key_set(&self) -> KeySet {
        self.verifying.clone()
    }

    /// The JSON Web Key Set (RFC 7517 s5): the public keys only.
    pub fn jwks(&self) -> String {
        let keys: Vec<_> =
            self.read(|ring| ring.keys().filter_map(|it| it.jwk().cloned()).collect());
        json!({ "keys": keys }).to_string()
    }

    /// The algorithms in use, the signing key's first.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms: Vec<_> =
            self.read(|ring| ring.keys().map(SigningKey::algorithm).collect());
        algorithms.dedup();
        algorithms
    }

    /// Whether one of the keys is an HMAC key of these bytes.
    #[cfg(feature = "issue")]
    pub(crate) fn shares_secret_with(&self, secret: &[u8]) -> bool {
        self.read(|ring| ring.keys().any(|it| it.has_secret(secret)))
    }

    fn read<T>(&self, read: impl FnOnce(&Ring) -> T) -> T {
        read(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Ring) -> T) -> T {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut ring);
        self.verifying
            .replace(ring.keys().map(SigningKey::verifying));
        result
    }
}

impl Ring {
    fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.current)
            .chain(&self.next)
            .chain(&self.previous)
    }

    fn is(&self, other: &Self) -> bool {
        let same = |mine: &[SigningKey], theirs: &[SigningKey]| {
            mine.len() == theirs.len() && mine.iter().zip(theirs).all(|(a, b)| a.is(b))
        };
        self.current.is(&other.current)
            && same(&self.next, &other.next)
            && same(&self.previous, &other.previous)
    }
}
