use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::algorithm::Family;
use super::{Algorithm, KeyError, KeyErrorKind, VerifyingKey};

impl VerifyingKey {
    /// A key from a JSON Web Key (RFC 7517). Its `kid`, `use` and `key_ops` are honoured.
    ///
    /// # Errors
    /// When the JWK is broken, not for verifying, or has no `alg` although its key fits several
    /// algorithms (RSA, HMAC): then use [`from_jwk_as`](Self::from_jwk_as).
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let jwk = Jwk::parse(json)?;
        let algorithm = jwk.algorithm()?.ok_or(KeyErrorKind::AmbiguousAlgorithm)?;
        jwk.to_key(algorithm)
    }

    /// A key from a JSON Web Key, for `algorithm`.
    ///
    /// # Errors
    /// As [`from_jwk`](Self::from_jwk), and when the JWK says another algorithm.
    pub fn from_jwk_as(algorithm: Algorithm, json: &str) -> Result<Self, KeyError> {
        let jwk = Jwk::parse(json)?;
        match jwk.algorithm()? {
            Some(other) if other != algorithm => Err(KeyErrorKind::WrongAlgorithm.into()),
            _ => jwk.to_key(algorithm),
        }
    }
}

/// The members of a JWK that matter for signatures.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<Zeroizing<String>>,
}

impl Jwk {
    fn parse(json: &str) -> Result<Self, KeyError> {
        let jwk: Self = serde_json::from_str(json).map_err(|_| KeyErrorKind::Malformed)?;
        let for_signatures = jwk.usage.as_deref().is_none_or(|it| it == "sig");
        let for_verifying = jwk
            .key_ops
            .as_ref()
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if for_signatures && for_verifying {
            Ok(jwk)
        } else {
            Err(KeyErrorKind::NotForVerifying.into())
        }
    }

    /// The algorithm it says, or the only one that it could be for.
    fn algorithm(&self) -> Result<Option<Algorithm>, KeyError> {
        if let Some(alg) = &self.alg {
            return Ok(Some(alg.parse().map_err(|_| KeyErrorKind::Unsupported)?));
        }
        let by_curve = |crv| {
            Algorithm::ALL
                .into_iter()
                .find(|it| it.curve() == Some(crv))
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC" | "OKP", Some(crv)) => Ok(Some(by_curve(crv).ok_or(KeyErrorKind::Unsupported)?)),
            ("RSA" | "oct", _) => Ok(None),
            _ => Err(KeyErrorKind::Unsupported.into()),
        }
    }

    fn to_key(&self, algorithm: Algorithm) -> Result<VerifyingKey, KeyError> {
        let kty = match algorithm.family() {
            Family::Hmac => "oct",
            Family::Rsa => "RSA",
            Family::Ec => "EC",
            Family::Ed25519 => "OKP",
        };
        if self.kty != kty
            || (algorithm.curve().is_some() && self.crv.as_deref() != algorithm.curve())
        {
            return Err(KeyErrorKind::WrongAlgorithm.into());
        }
        let key = match algorithm.family() {
            Family::Hmac => {
                let k = self.k.as_deref().map(String::as_str);
                VerifyingKey::from_secret(algorithm, &Zeroizing::new(decode(k)?))?
            }
            Family::Rsa => {
                let (n, e) = (decode(self.n.as_deref())?, decode(self.e.as_deref())?);
                VerifyingKey::from_rsa_components(algorithm, &n, &e)?
            }
            Family::Ec => {
                let (x, y) = (decode(self.x.as_deref())?, decode(self.y.as_deref())?);
                if x.len() != y.len() {
                    return Err(KeyErrorKind::Malformed.into());
                }
                VerifyingKey::from_point(algorithm, &[&[UNCOMPRESSED], &*x, &*y].concat())?
            }
            Family::Ed25519 => VerifyingKey::from_point(algorithm, &decode(self.x.as_deref())?)?,
        };
        Ok(match &self.kid {
            Some(kid) => key.with_kid(kid.as_str()),
            None => key,
        })
    }
}

/// SEC 1 s2.3.3.
const UNCOMPRESSED: u8 = 4;

fn decode(member: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let text = member.ok_or(KeyErrorKind::Malformed)?;
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| KeyErrorKind::Malformed.into())
}
