use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPublicKeyCompressedBin};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::keys::VerifyingKey;

/// A key that signs any message with any algorithm that it fits.
pub(super) enum Signer {
    Hmac([u8; 64]),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The signer of the honest issuer. Algorithms share one where the key fits both.
pub(super) fn issuer(algorithm: Algorithm) -> &'static Signer {
    static ALL: LazyLock<[Signer; 6]> = LazyLock::new(Signer::one_of_each);
    &ALL[index(algorithm)]
}

/// The signer of an attacker, with other keys.
pub(super) fn attacker(algorithm: Algorithm) -> &'static Signer {
    static ALL: LazyLock<[Signer; 6]> = LazyLock::new(|| {
        let mut all = Signer::one_of_each();
        all[0] = Signer::Hmac([0x66; 64]);
        all
    });
    &ALL[index(algorithm)]
}

fn index(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => 0,
        Algorithm::ES256 => 1,
        Algorithm::ES384 => 2,
        Algorithm::ES512 => 3,
        Algorithm::EdDSA => 4,
        _ => 5,
    }
}

impl Signer {
    fn one_of_each() -> [Self; 6] {
        let ec = |scheme| Self::Ec(EcdsaKeyPair::generate(scheme).unwrap());
        [
            Self::Hmac([7; 64]),
            ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        ]
    }

    /// The signature over `message`; `algorithm` is one that the key fits.
    #[expect(
        clippy::disallowed_methods,
        reason = "a handle: the library seeds itself"
    )]
    pub(super) fn sign(&self, algorithm: Algorithm, message: &str) -> Vec<u8> {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        match self {
            Self::Hmac(secret) => mac(algorithm, secret, message),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding: &'static dyn signature::RsaEncoding = match algorithm {
                    Algorithm::RS256 => &signature::RSA_PKCS1_SHA256,
                    Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
                    Algorithm::PS256 => &signature::RSA_PSS_SHA256,
                    Algorithm::PS384 => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                pair.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and the good claims.
    pub(super) fn token(&self, algorithm: Algorithm, header: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(good_claims()));
        format!("{message}.{}", encode(self.sign(algorithm, &message)))
    }

    pub(super) fn verifying(&self, algorithm: Algorithm) -> VerifyingKey {
        match self {
            Self::Hmac(secret) => VerifyingKey::from_secret(algorithm, secret),
            _ => VerifyingKey::from_der(algorithm, &self.public_der()),
        }
        .unwrap()
    }

    /// SubjectPublicKeyInfo.
    pub(super) fn public_der(&self) -> Vec<u8> {
        match self {
            Self::Hmac(_) => panic!("a secret has no public half"),
            Self::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    /// The JWK of the public half, of a secret the secret.
    pub(super) fn jwk(&self) -> Value {
        match self {
            Self::Hmac(secret) => json!({ "kty": "oct", "k": encode(secret) }),
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let [n, e] = [n, e].map(|number| encode(number.big_endian_without_leading_zero()));
                json!({ "kty": "RSA", "n": n, "e": e })
            }
            Self::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({ "kty": "EC", "crv": crv, "x": encode(x), "y": encode(y) })
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key()) })
            }
        }
    }

    /// The public half in each form in which it is published or kept.
    pub(super) fn public_forms(&self) -> Vec<(String, Vec<u8>)> {
        let mut binary = vec![("SPKI", "PUBLIC KEY", self.public_der())];
        match self {
            Self::Hmac(_) => {}
            Self::Rsa(pair) => {
                let modulus = pair
                    .public_key()
                    .modulus()
                    .big_endian_without_leading_zero();
                binary.push((
                    "PKCS#1",
                    "RSA PUBLIC KEY",
                    pair.public_key().as_ref().to_vec(),
                ));
                binary.push(("modulus", "RSA PUBLIC KEY", modulus.to_vec()));
            }
            Self::Ec(pair) => {
                let compressed: EcPublicKeyCompressedBin<'_> =
                    pair.public_key().as_be_bytes().unwrap();
                binary.push(("point", "PUBLIC KEY", pair.public_key().as_ref().to_vec()));
                binary.push(("compressed", "PUBLIC KEY", compressed.as_ref().to_vec()));
            }
            Self::Ed25519(pair) => {
                binary.push(("point", "PUBLIC KEY", pair.public_key().as_ref().to_vec()));
            }
        }
        let mut forms = Vec::new();
        for (name, label, der) in binary {
            let unix = pem(label, &der);
            let texts = [
                ("base64", BASE64_STANDARD.encode(&der)),
                ("base64url", encode(&der)),
                ("PEM", unix.clone()),
                (
                    "PEM without its last line break",
                    unix.trim_end().to_owned(),
                ),
                ("PEM with CRLF", unix.replace('\n', "\r\n")),
            ];
            forms.extend(texts.map(|(form, text)| (format!("{name} {form}"), text.into_bytes())));
            forms.push((name.to_owned(), der));
        }
        let jwk = self.jwk();
        for (name, json) in [
            ("JWK", jwk.to_string()),
            ("JWK with blanks", format!("{jwk:#}")),
            ("JWK set", json!({ "keys": [jwk] }).to_string()),
        ] {
            forms.push((
                format!("{name} base64"),
                BASE64_STANDARD.encode(&json).into_bytes(),
            ));
            forms.push((name.to_owned(), json.into_bytes()));
        }
        forms
    }
}

pub(super) fn mac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let hash = match algorithm {
        Algorithm::HS256 => hmac::HMAC_SHA256,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        other => panic!("{other} is not an HMAC"),
    };
    hmac::sign(&hmac::Key::new(hash, secret), message)
        .as_ref()
        .to_vec()
}

/// RFC 7468 s2.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap());
    let lines: Vec<&str> = lines.collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
