use std::fmt;

/// Why a key was refused.
#[derive(Clone, Copy, Debug)]
pub struct KeyError {
    kind: KeyErrorKind,
}

impl KeyError {
    pub(crate) const fn new(kind: KeyErrorKind) -> Self {
        Self { kind }
    }

    /// What was wrong with it.
    pub const fn kind(&self) -> KeyErrorKind {
        self.kind
    }
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// Neither PEM nor DER of the kind of key that the algorithm takes.
    Malformed,
    /// The key is of another kind, curve or use than the algorithm.
    WrongAlgorithm,
    /// An HMAC secret shorter than the algorithm's hash (RFC 7518 s3.2).
    SecretTooShort,
    /// A public key, PEM, JWK or the like given as an HMAC secret.
    PublicKeyAsSecret,
    /// An RSA key of fewer than 2048 bits (RFC 7518 s3.3) or with a broken exponent.
    WeakRsa,
    /// A JWK that does not say its algorithm and could be of several.
    AmbiguousAlgorithm,
    /// A JWK that is not for verifying signatures, by `use` or `key_ops`.
    NotForVerifying,
    /// A JWK whose `kty`, `crv` or `alg` this crate does not know.
    Unsupported,
    /// An HMAC secret in a set that is fetched: whoever can read it can sign.
    PublishedSecret,
    /// The cryptographic library failed.
    Crypto,
    /// The claims could not be written as JSON.
    Claims,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            KeyErrorKind::Malformed => {
                "not a PEM, DER or JWK key of the kind that the algorithm takes"
            }
            KeyErrorKind::WrongAlgorithm => {
                "the key is of another kind or curve than the algorithm"
            }
            KeyErrorKind::SecretTooShort => {
                "the HMAC secret is shorter than its hash: use at least 32 random bytes for HS256, \
                 48 for HS384, 64 for HS512"
            }
            KeyErrorKind::PublicKeyAsSecret => {
                "this is a key in PEM, DER, JWK or SSH form, not an HMAC secret: \
                 use the constructor for its algorithm"
            }
            KeyErrorKind::WeakRsa => {
                "the RSA key is too weak: use at least 2048 bits and the exponent 65537"
            }
            KeyErrorKind::AmbiguousAlgorithm => "the JWK has no \"alg\" and its key fits several",
            KeyErrorKind::NotForVerifying => "the JWK's \"use\" or \"key_ops\" excludes verifying",
            KeyErrorKind::Unsupported => "the JWK's \"kty\", \"crv\" or \"alg\" is not supported",
            KeyErrorKind::PublishedSecret => "an HMAC secret that is published is no secret",
            KeyErrorKind::Crypto => "the cryptographic library failed",
            KeyErrorKind::Claims => "the claims cannot be written as a JSON object",
        })
    }
}

impl std::error::Error for KeyError {}

impl From<KeyErrorKind> for KeyError {
    fn from(kind: KeyErrorKind) -> Self {
        Self::new(kind)
    }
}
