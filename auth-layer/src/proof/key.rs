use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::MapAccess;

use super::ProofErrorKind;
use crate::claims::Thumbprint;
use crate::json::{self, Members};
use crate::keys::{Algorithm, VerifyingKey};

/// The public key in the header of a proof (RFC 7517), as far as it is read.
#[derive(Debug, Default)]
pub(super) struct ProofKey {
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    alg: Option<String>,
    usage: Option<String>,
    operations: Option<Vec<String>>,
    private: bool,
}

/// A public key in the one form that RFC 7638 s3 hashes.
#[derive(Debug)]
pub(super) struct CanonicalKey(String);

impl ProofKey {
    pub(super) fn canonical(&self) -> Result<CanonicalKey, ProofErrorKind> {
        if self.private || !self.is_for_verifying() {
            return Err(ProofErrorKind::BadKey);
        }
        let json = match (self.kty.as_deref(), self.crv.as_deref()) {
            (Some("EC"), Some(crv @ ("P-256" | "P-384" | "P-521"))) => {
                let (x, y) = (number(&self.x)?, number(&self.y)?);
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            (Some("OKP"), Some("Ed25519")) => {
                let x = number(&self.x)?;
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
            (Some("RSA"), None) => {
                let (e, n) = (number(&self.e)?, number(&self.n)?);
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            _ => return Err(ProofErrorKind::BadKey),
        };
        Ok(CanonicalKey(json))
    }

    /// Whether the key is for `algorithm`, as far as it says so itself.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        let alg = self.alg.as_deref().map(str::parse);
        alg.is_none_or(|it| it == Ok(algorithm))
    }

    /// RFC 7517 s4.2 and s4.3.
    fn is_for_verifying(&self) -> bool {
        let verifies = |it: &Vec<String>| it.iter().any(|it| it == "verify");
        self.usage.as_deref().is_none_or(|it| it == "sig")
            && self.operations.as_ref().is_none_or(verifies)
    }
}

impl CanonicalKey {
    pub(super) fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of(self.0.as_bytes())
    }

    pub(super) fn prepare(&self, algorithm: Algorithm) -> Result<VerifyingKey, ProofErrorKind> {
        VerifyingKey::from_jwk_as(algorithm, &self.0).map_err(|_| ProofErrorKind::BadKey)
    }
}

impl<'de> Members<'de> for ProofKey {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "kty" => self.kty = Some(map.next_value()?),
            "crv" => self.crv = Some(map.next_value()?),
            "x" => self.x = Some(map.next_value()?),
            "y" => self.y = Some(map.next_value()?),
            "n" => self.n = Some(map.next_value()?),
            "e" => self.e = Some(map.next_value()?),
            "alg" => self.alg = Some(map.next_value()?),
            "use" => self.usage = Some(map.next_value()?),
            "key_ops" => self.operations = Some(map.next_value()?),
            // RFC 7518 s6.2.2, s6.3.2, s6.4.1.
            "d" | "p" | "q" | "dp" | "dq" | "qi" | "oth" | "k" => {
                self.private = true;
                json::skip(map)?;
            }
            _ => json::skip(map)?,
        }
        Ok(())
    }
}

/// A member that is base64url, and so needs no escapes in JSON.
fn number(member: &Option<String>) -> Result<&str, ProofErrorKind> {
    let text = member.as_deref().ok_or(ProofErrorKind::BadKey)?;
    match BASE64_URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(text),
        _ => Err(ProofErrorKind::BadKey),
    }
}
