use serde::Deserialize;
use serde_json::Value;

#[cfg(feature = "jwks")]
use super::algorithm::Family;
use super::{Algorithm, KeyError, KeyErrorKind, KeySet, VerifyingKey};

/// What a JSON Web Key Set (RFC 7517 s5) gives: keys, and what could not be used.
///
/// One odd key does not spoil the set: encryption keys, unknown kinds and broken ones are left out.
/// An RSA key without `alg` becomes a key for each RSA algorithm.
#[derive(Debug)]
pub struct Jwks {
    keys: Vec<VerifyingKey>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that is not used.
#[derive(Clone, Debug)]
pub struct SkippedKey {
    kid: Option<String>,
    error: KeyError,
}

impl Jwks {
    /// Reads the document.
    ///
    /// # Errors
    /// When it is no JSON object with an array `keys`.
    pub fn parse(json: &str) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }

        let document: Document = serde_json::from_str(json).map_err(|_| KeyErrorKind::Malformed)?;
        Ok(Self::prepare(&document.keys))
    }

    /// Prepares each JWK of a set.
    pub(super) fn prepare(document: &[Value]) -> Self {
        let mut jwks = Self {
            keys: Vec::new(),
            skipped: Vec::new(),
        };
        for jwk in document {
            match prepare(&jwk.to_string()) {
                Ok(keys) => jwks.keys.extend(keys),
                Err(error) => {
                    let kid = jwk["kid"].as_str().map(str::to_owned);
                    jwks.skipped.push(SkippedKey { kid, error });
                }
            }
        }
        jwks
    }

    /// Leaves out HMAC keys: a secret that whoever asks can read is none.
    #[cfg(feature = "jwks")]
    pub(super) fn without_secrets(mut self) -> Self {
        let is_secret = |key: &VerifyingKey| key.algorithm().family() == Family::Hmac;
        let (secrets, keys): (Vec<_>, _) = self.keys.into_iter().partition(is_secret);
        self.keys = keys;
        for secret in secrets {
            let kid = secret.kid().map(str::to_owned);
            let error = KeyErrorKind::PublishedSecret.into();
            self.skipped.push(SkippedKey { kid, error });
        }
        self
    }

    #[cfg(feature = "jwks")]
    pub(super) fn into_parts(self) -> (Vec<VerifyingKey>, Vec<SkippedKey>) {
        (self.keys, self.skipped)
    }

    /// The keys that can be used.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Those that cannot, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

impl From<Jwks> for KeySet {
    fn from(jwks: Jwks) -> Self {
        Self::new(jwks.keys)
    }
}

impl SkippedKey {
    /// Its `kid`, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Why it is not used.
    pub fn error(&self) -> KeyError {
        self.error
    }
}

fn prepare(jwk: &str) -> Result<Vec<VerifyingKey>, KeyError> {
    match VerifyingKey::from_jwk(jwk) {
        Ok(key) => Ok(vec![key]),
        Err(error) if error.kind() == KeyErrorKind::AmbiguousAlgorithm => RSA
            .map(|algorithm| VerifyingKey::from_jwk_as(algorithm, jwk))
            .into_iter()
            .collect(),
        Err(error) => Err(error),
    }
}

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
