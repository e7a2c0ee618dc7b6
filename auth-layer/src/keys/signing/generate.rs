use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::SigningKey;
use super::key::ec_algorithm;
use crate::keys::algorithm::Family;
use crate::keys::{Algorithm, KeyError, KeyErrorKind};

impl SigningKey {
    /// A new key. It is gone when the process ends, and so are its tokens: for tests, or where every
    /// process may have keys of its own. See [`generate_pem`](Self::generate_pem).
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        match algorithm.family() {
            Family::Hmac => Self::from_secret(algorithm, random_secret()?.as_slice()),
            _ => Self::from_pem(algorithm, &*Self::generate_pem(algorithm)?),
        }
    }

    /// A new private key as PKCS #8 in PEM, to be kept where only the issuer can read it. RSA keys
    /// have 2048 bits.
    ///
    /// ```
    /// use auth_layer::{Algorithm, SigningKey};
    ///
    /// let pem = SigningKey::generate_pem(Algorithm::EdDSA)?;
    /// let key = SigningKey::from_pem(Algorithm::EdDSA, &*pem)?;
    /// # Ok::<(), auth_layer::keys::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// When the operating system gives no randomness, or the algorithm is an HMAC: its key is any 32
    /// (HS256), 48 or 64 random bytes.
    pub fn generate_pem(algorithm: Algorithm) -> Result<Zeroizing<String>, KeyError> {
        let crypto = |_| KeyErrorKind::Crypto;
        match algorithm.family() {
            Family::Hmac => Err(KeyErrorKind::WrongAlgorithm.into()),
            Family::Rsa => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(crypto)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(crypto)?;
                Ok(pem(der.as_ref()))
            }
            Family::Ec => {
                let pair = EcdsaKeyPair::generate(ec_algorithm(algorithm)?).map_err(crypto)?;
                Ok(pem(pair.to_pkcs8v1().map_err(crypto)?.as_ref()))
            }
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(crypto)?;
                Ok(pem(pair.to_pkcs8v1().map_err(crypto)?.as_ref()))
            }
        }
    }
}

/// RFC 7468 s10.
fn pem(der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut pem = Zeroizing::new(String::with_capacity(encoded.len() * 2 + 64));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (at, character) in encoded.char_indices() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

#[expect(
    clippy::disallowed_methods,
    reason = "a generated key is chance by definition"
)]
fn random_secret() -> Result<Zeroizing<[u8; 64]>, KeyError> {
    let mut secret = Zeroizing::new([0; 64]);
    aws_lc_rs::rand::fill(&mut *secret).map_err(|_| KeyErrorKind::Crypto)?;
    Ok(secret)
}
