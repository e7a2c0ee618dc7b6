use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::MapAccess;

use super::ProofErrorKind;
use super::key::ProofKey;
use crate::claims::NumericDate;
use crate::clock::Timestamp;
use crate::json::{self, Members};
use crate::keys::{Algorithm, VerifyingKey};

/// A proof in compact form (RFC 7515 s3.1), taken apart but not yet believed. Cannot print itself.
pub(super) struct SignedProof<'a> {
    header: Header,
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> SignedProof<'a> {
    pub(super) fn parse(proof: &'a str) -> Result<Self, ProofErrorKind> {
        if proof.len() > LONGEST {
            return Err(ProofErrorKind::TooLong);
        }
        let malformed = ProofErrorKind::Malformed;
        let (message, signature) = proof.rsplit_once('.').ok_or(malformed)?;
        let (header, payload) = message
            .split_once('.')
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or(malformed)?;
        let (header, _) = json::object(&decode(header)?).map_err(|_| malformed)?;
        Ok(Self {
            header,
            message,
            payload,
            signature: decode(signature)?,
        })
    }

    /// The algorithm and the key that the proof names, if it is a proof at all.
    pub(super) fn check_header(
        &self,
        allowed: &[Algorithm],
    ) -> Result<(Algorithm, &ProofKey), ProofErrorKind> {
        let header = &self.header;
        if !header.typ.as_deref().is_some_and(is_proof_type) {
            return Err(ProofErrorKind::WrongType);
        }
        if header.extended {
            return Err(ProofErrorKind::UnsupportedHeader);
        }
        let algorithm = header.alg.as_deref().and_then(|it| it.parse().ok());
        let algorithm = algorithm
            .filter(|it| allowed.contains(it))
            .ok_or(ProofErrorKind::WrongAlgorithm)?;
        let key = header.jwk.as_ref().filter(|it| it.is_for(algorithm));
        Ok((algorithm, key.ok_or(ProofErrorKind::BadKey)?))
    }

    /// What the proof says, if `key` signed it.
    pub(super) fn claims(&self, key: &VerifyingKey) -> Result<ProofClaims, ProofErrorKind> {
        if !key.verifies(self.message.as_bytes(), &self.signature) {
            return Err(ProofErrorKind::BadSignature);
        }
        let payload = decode(self.payload)?;
        match json::object(&payload) {
            Ok((claims, _)) => Ok(claims),
            Err(_) => Err(ProofErrorKind::MalformedClaims),
        }
    }
}

/// RFC 9449 s4.2.
#[derive(Default)]
pub(super) struct ProofClaims {
    pub(super) jti: Option<String>,
    pub(super) htm: Option<String>,
    pub(super) htu: Option<String>,
    pub(super) iat: Option<Timestamp>,
    pub(super) ath: Option<String>,
    pub(super) nonce: Option<String>,
}

impl<'de> Members<'de> for ProofClaims {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "jti" => self.jti = Some(map.next_value()?),
            "htm" => self.htm = Some(map.next_value()?),
            "htu" => self.htu = Some(map.next_value()?),
            "iat" => self.iat = Some(map.next_value::<NumericDate>()?.0),
            "ath" => self.ath = Some(map.next_value()?),
            "nonce" => self.nonce = Some(map.next_value()?),
            _ => json::skip(map)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Header {
    typ: Option<String>,
    alg: Option<String>,
    jwk: Option<ProofKey>,
    extended: bool,
}

impl<'de> Members<'de> for Header {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "typ" => self.typ = Some(map.next_value()?),
            "alg" => self.alg = Some(map.next_value()?),
            "jwk" => self.jwk = Some(json::nested(map)?),
            "b64" => self.extended |= !map.next_value::<bool>()?,
            "crit" | "zip" | "enc" => {
                self.extended = true;
                json::skip(map)?;
            }
            _ => json::skip(map)?,
        }
        Ok(())
    }
}

/// An RSA key of 8192 bits and its signature take less than half of it.
const LONGEST: usize = 8 * 1024;

/// Media types ignore case and may leave `application/` out (RFC 7515 s4.1.9).
fn is_proof_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("dpop+jwt") || typ.eq_ignore_ascii_case("application/dpop+jwt")
}

fn decode(part: &str) -> Result<Vec<u8>, ProofErrorKind> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| ProofErrorKind::Malformed)
}
