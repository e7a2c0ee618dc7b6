use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use aws_lc_rs::{hmac, rsa};
use rustls_pki_types::pem::{PemObject, SectionKind};

use super::algorithm::Family;
use super::{Algorithm, KeyError, KeyErrorKind};

/// A key that checks signatures of exactly one algorithm, parsed once; clones share it.
///
/// ```
/// use auth_layer::{Algorithm, VerifyingKey};
///
/// let key = VerifyingKey::from_secret(Algorithm::HS256, b"32 bytes of randomness, at least")?;
/// assert_eq!(key.algorithm(), Algorithm::HS256);
/// # Ok::<(), auth_layer::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Option<Arc<str>>,
    material: Arc<Material>,
}

impl VerifyingKey {
    /// An HMAC key.
    ///
    /// # Errors
    /// When the algorithm is no HMAC, the secret is shorter than its hash (RFC 7518 s3.2) or is in
    /// truth a public key.
    pub fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let hash = hmac_algorithm(algorithm)?;
        if looks_like_a_public_key(secret) {
            return Err(KeyErrorKind::PublicKeyAsSecret.into());
        }
        if secret.len() < hash.tag_len() {
            return Err(KeyErrorKind::SecretTooShort.into());
        }
        Ok(Self::new(
            algorithm,
            Material::Hmac(Box::new(hmac::Key::new(hash, secret))),
        ))
    }

    /// An Ed25519 public key from PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// When `pem` is something else.
    pub fn from_ed25519_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_pem(Algorithm::EdDSA, pem)
    }

    /// A public key from PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// When `pem` is no public key, of another kind or curve than `algorithm`, or weak RSA.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        match <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_ref()) {
            Ok((SectionKind::PublicKey, der)) => Self::from_der(algorithm, &der),
            _ => Err(KeyErrorKind::Malformed.into()),
        }
    }

    /// A public key from DER: SubjectPublicKeyInfo (RFC 5280), for RSA also RSAPublicKey.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        if algorithm.family() == Family::Rsa {
            let key = rsa::PublicKey::from_der(der).map_err(|_| KeyErrorKind::Malformed)?;
            let (n, e) = (key.modulus(), key.exponent());
            return Self::from_rsa_components(
                algorithm,
                n.big_endian_without_leading_zero(),
                e.big_endian_without_leading_zero(),
            );
        }
        Self::from_point(algorithm, der)
    }

    /// This key, known as `kid`: tokens that name another key are not checked against it.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<Arc<str>>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The one algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of this key, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &*self.material {
            Material::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }

    /// A raw curve point or its SubjectPublicKeyInfo.
    pub(super) fn from_point(algorithm: Algorithm, point: &[u8]) -> Result<Self, KeyError> {
        let scheme: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
            Algorithm::ES512 => &signature::ECDSA_P521_SHA512_FIXED,
            Algorithm::EdDSA => &signature::ED25519,
            _ => return Err(KeyErrorKind::WrongAlgorithm.into()),
        };
        let key = ParsedPublicKey::new(scheme, point).map_err(|_| KeyErrorKind::Malformed)?;
        Ok(Self::new(algorithm, Material::Public(key)))
    }

    /// Modulus and exponent, big-endian.
    pub(super) fn from_rsa_components(
        algorithm: Algorithm,
        n: &[u8],
        e: &[u8],
    ) -> Result<Self, KeyError> {
        let [n, e] = [n, e].map(without_leading_zeros);
        let bits = n.len() * 8 - n.first().map_or(0, |it| it.leading_zeros() as usize);
        if bits < 2048 || e == [1] || e.last().is_none_or(|it| it % 2 == 0) {
            return Err(KeyErrorKind::WeakRsa.into());
        }
        let key = RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(rsa_parameters(algorithm)?)
            .map_err(|_| KeyErrorKind::Malformed)?;
        Ok(Self::new(algorithm, Material::Public(key)))
    }

    fn new(algorithm: Algorithm, material: Material) -> Self {
        Self {
            algorithm,
            kid: None,
            material: Arc::new(material),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

enum Material {
    Hmac(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

pub(super) fn hmac_algorithm(algorithm: Algorithm) -> Result<hmac::Algorithm, KeyError> {
    match algorithm {
        Algorithm::HS256 => Ok(hmac::HMAC_SHA256),
        Algorithm::HS384 => Ok(hmac::HMAC_SHA384),
        Algorithm::HS512 => Ok(hmac::HMAC_SHA512),
        _ => Err(KeyErrorKind::WrongAlgorithm.into()),
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Result<&'static RsaParameters, KeyError> {
    match algorithm {
        Algorithm::RS256 => Ok(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Ok(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Ok(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Ok(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Ok(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Ok(&signature::RSA_PSS_2048_8192_SHA512),
        _ => Err(KeyErrorKind::WrongAlgorithm.into()),
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|it| **it == 0).count();
    &number[zeros..]
}

/// The classic confusion: a published key used as an HMAC secret lets any of its readers sign.
fn looks_like_a_public_key(secret: &[u8]) -> bool {
    // The length of an Ed25519 SubjectPublicKeyInfo. Shorter bytes could only be a raw point, and any 32 bytes are one.
    const SHORTEST_DER: usize = 44;
    let contains = |text: &[u8]| secret.windows(text.len()).any(|window| window == text);
    let is_der = || {
        secret.len() >= SHORTEST_DER
            && secret[0] == 0x30
            && Algorithm::ALL.iter().any(|algorithm| {
                algorithm.family() != Family::Hmac
                    && VerifyingKey::from_der(*algorithm, secret).is_ok()
            })
    };
    contains(b"-----BEGIN ")
        || contains(b"\"kty\"")
        || secret.starts_with(b"ssh-")
        || secret.starts_with(b"ecdsa-sha2-")
        || is_der()
}
