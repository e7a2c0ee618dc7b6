use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::keys::algorithm::Family;
use crate::keys::verifying::hmac_algorithm;
use crate::keys::{Algorithm, KeyError, KeyErrorKind, VerifyingKey};

/// A key that signs access tokens; clones share it.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    signer: Signer,
    verifying: VerifyingKey,
    jwk: Option<Value>,
}

enum Signer {
    Hmac(Box<hmac::Key>),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A private key from PEM: `BEGIN PRIVATE KEY` (PKCS #8), for RSA also `BEGIN RSA PRIVATE KEY`,
    /// for EC also `BEGIN EC PRIVATE KEY`.
    ///
    /// # Errors
    /// When `pem` is no private key, of another kind or curve than `algorithm`, or weak RSA.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let malformed = |_| KeyErrorKind::Malformed;
        let der =
            PrivateKeyDer::from_pem_slice(pem.as_ref()).map_err(|_| KeyErrorKind::Malformed)?;
        let der = der.secret_der();
        let signer = match algorithm.family() {
            Family::Hmac => return Err(KeyErrorKind::WrongAlgorithm.into()),
            Family::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
                Signer::Rsa(Box::new(pair.map_err(malformed)?), rsa_encoding(algorithm)?)
            }
            Family::Ec => {
                let pair = EcdsaKeyPair::from_private_key_der(ec_algorithm(algorithm)?, der);
                Signer::Ec(pair.map_err(malformed)?)
            }
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
                Signer::Ed25519(pair.map_err(malformed)?)
            }
        };
        Self::asymmetric(algorithm, signer)
    }

    /// An HMAC key. Whoever verifies with it can also sign: prefer the other algorithms between
    /// processes.
    ///
    /// # Errors
    /// As [`VerifyingKey::from_secret`].
    pub fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let key = Box::new(hmac::Key::new(hmac_algorithm(algorithm)?, secret));
        let verifying = VerifyingKey::from_secret(algorithm, secret)?;
        let signer = Signer::Hmac(key);
        Ok(Self(Arc::new(Inner {
            algorithm,
            signer,
            verifying,
            jwk: None,
        })))
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Its name: the JWK thumbprint (RFC 7638). HMAC keys have none.
    pub fn kid(&self) -> Option<&str> {
        self.0.verifying.kid()
    }

    /// The key that verifies what this one signs.
    pub fn verifying(&self) -> VerifyingKey {
        self.0.verifying.clone()
    }

    /// Whether both are known to be one key. HMAC keys are only as clones of each other.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.kid().is_some() && self.kid() == other.kid()
    }

    /// Signs `claims` as an access token: a JWT of type `at+jwt` (RFC 9068 s2.1).
    ///
    /// # Errors
    /// When `claims` cannot be written as a JSON object.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let header = Header {
            alg: self.algorithm().name(),
            typ: "at+jwt",
            kid: self.kid(),
        };
        let mut token = encode_json(&header)?;
        token.push('.');
        token.push_str(&encode_json(claims)?);
        let signature = self.0.signer.sign(token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The public JWK, with `kid`, `alg` and `use`; none for HMAC.
    pub(super) fn jwk(&self) -> Option<&Value> {
        self.0.jwk.as_ref()
    }

    /// Whether it is the HMAC key of these bytes: both then sign alike.
    #[cfg(feature = "issue")]
    pub(super) fn has_secret(&self, secret: &[u8]) -> bool {
        let Signer::Hmac(mine) = &self.0.signer else {
            return false;
        };
        let other = hmac::Key::new(mine.algorithm(), secret);
        hmac::verify(&other, b"probe", hmac::sign(mine, b"probe").as_ref()).is_ok()
    }

    fn asymmetric(algorithm: Algorithm, signer: Signer) -> Result<Self, KeyError> {
        let mut jwk = signer.public_members(algorithm);
        let kid = thumbprint(&jwk);
        jwk["kid"] = kid.as_str().into();
        let verifying = VerifyingKey::from_jwk_as(algorithm, &jwk.to_string())?;
        jwk["alg"] = algorithm.name().into();
        jwk["use"] = "sig".into();
        Ok(Self(Arc::new(Inner {
            algorithm,
            signer,
            verifying,
            jwk: Some(jwk),
        })))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

impl Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = system_random();
        let failed = |_| KeyErrorKind::Crypto;
        Ok(match self {
            Self::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Self::Ed25519(pair) => pair.try_sign(message).map_err(failed)?.as_ref().to_vec(),
            Self::Ec(pair) => pair
                .sign(&random, message)
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature)
                    .map_err(failed)?;
                signature
            }
        })
    }

    /// The required members of the public JWK (RFC 7638 s3.2).
    fn public_members(&self, algorithm: Algorithm) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let crv = algorithm.curve();
        match self {
            Self::Hmac(_) => Value::Null,
            Self::Ed25519(pair) => {
                json!({ "crv": crv, "kty": "OKP", "x": encode(pair.public_key().as_ref()) })
            }
            Self::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "crv": crv, "kty": "EC", "x": encode(x), "y": encode(y) })
            }
            Self::Rsa(pair, _) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                json!({
                    "e": encode(e.big_endian_without_leading_zero()),
                    "kty": "RSA",
                    "n": encode(n.big_endian_without_leading_zero()),
                })
            }
        }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

fn encode_json(value: &impl Serialize) -> Result<String, KeyError> {
    let json = serde_json::to_vec(value).map_err(|_| KeyErrorKind::Claims)?;
    if json.first() == Some(&b'{') {
        Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
    } else {
        Err(KeyErrorKind::Claims.into())
    }
}

/// RFC 7638: SHA-256 over the required members, which [`Signer::public_members`] has in order.
fn thumbprint(required: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(
        &digest::SHA256,
        required.to_string().as_bytes(),
    ))
}

pub(super) fn ec_algorithm(
    algorithm: Algorithm,
) -> Result<&'static EcdsaSigningAlgorithm, KeyError> {
    match algorithm {
        Algorithm::ES256 => Ok(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => Ok(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::ES512 => Ok(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => Err(KeyErrorKind::WrongAlgorithm.into()),
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Result<&'static dyn RsaEncoding, KeyError> {
    match algorithm {
        Algorithm::RS256 => Ok(&signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => Ok(&signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => Ok(&signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => Ok(&signature::RSA_PSS_SHA256),
        Algorithm::PS384 => Ok(&signature::RSA_PSS_SHA384),
        Algorithm::PS512 => Ok(&signature::RSA_PSS_SHA512),
        _ => Err(KeyErrorKind::WrongAlgorithm.into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a handle: the library seeds itself"
)]
fn system_random() -> SystemRandom {
    SystemRandom::new()
}
