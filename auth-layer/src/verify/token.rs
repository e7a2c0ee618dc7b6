use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::MapAccess;

use super::VerifyErrorKind;
use crate::json::{self, Members};
use crate::keys::Algorithm;

/// A JWT in compact form (RFC 7515 s3.1), taken apart but not yet believed.
#[derive(Debug)]
pub(crate) struct CompactToken<'a> {
    pub(crate) header: Header,
    /// What the signature is over.
    pub(crate) message: &'a str,
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

impl<'a> CompactToken<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, VerifyErrorKind> {
        let malformed = VerifyErrorKind::Malformed;
        let (message, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, payload) = message
            .split_once('.')
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or(malformed)?;
        if header.len() > LONGEST_HEADER {
            return Err(VerifyErrorKind::TooLong);
        }
        let header = json::object::<Header>(&decode(header)?)
            .map_err(|_| malformed)?
            .0;
        Ok(Self {
            header,
            message,
            signature: decode(signature)?,
            payload,
        })
    }

    /// The bytes of the claims; not to be believed before the signature is verified.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, VerifyErrorKind> {
        decode(self.payload)
    }
}

/// The JOSE header (RFC 7515 s4), as far as it may matter. Keys that it carries or points to
/// (`jwk`, `jku`, `x5c`, `x5u`) are not even read.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) kid: Option<String>,
    alg: Option<String>,
    typ: Option<String>,
    extended: bool,
}

impl Header {
    /// The algorithm, if the header is one of an access token.
    pub(crate) fn check(&self, require_at_jwt: bool) -> Result<Algorithm, VerifyErrorKind> {
        if self.extended {
            return Err(VerifyErrorKind::UnsupportedHeader);
        }
        if !is_access_token_type(self.typ.as_deref(), require_at_jwt) {
            return Err(VerifyErrorKind::WrongType);
        }
        let alg = self.alg.as_deref().ok_or(VerifyErrorKind::Malformed)?;
        alg.parse().map_err(|_| VerifyErrorKind::WrongAlgorithm)
    }
}

impl<'de> Members<'de> for Header {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "alg" => self.alg = Some(map.next_value()?),
            "kid" => self.kid = Some(map.next_value()?),
            "typ" => self.typ = Some(map.next_value()?),
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

/// 4 KiB in base64url.
const LONGEST_HEADER: usize = (4 * 1024_usize * 4).div_ceil(3);

fn decode(part: &str) -> Result<Vec<u8>, VerifyErrorKind> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| VerifyErrorKind::Malformed)
}

/// RFC 9068 s2.1 and, unless `strictly`, RFC 7519 s5.1; media types ignore case.
fn is_access_token_type(typ: Option<&str>, strictly: bool) -> bool {
    const APPLICATION: &str = "application/";
    let Some(typ) = typ else { return !strictly };
    let subtype = match typ.get(..APPLICATION.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(APPLICATION) => &typ[APPLICATION.len()..],
        _ => typ,
    };
    subtype.eq_ignore_ascii_case("at+jwt") || (!strictly && subtype.eq_ignore_ascii_case("jwt"))
}
