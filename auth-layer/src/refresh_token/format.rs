use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{RefreshToken, SessionId, TokenError, TokenErrorKind};

pub(super) const TAG: usize = 16;

/// What a token says, before anybody checked that it is true.
pub(super) struct Fields {
    pub(super) key_id: u8,
    pub(super) session: SessionId,
    pub(super) generation: u64,
    pub(super) s: Zeroizing<[u8; 32]>,
}

impl Fields {
    /// All bytes that the tag covers.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX));
        bytes.extend([VERSION, self.key_id]);
        bytes.extend(self.session.as_bytes());
        let mut rest = self.generation;
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
        bytes.extend(*self.s);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let ([VERSION, key_id], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (session, rest) = rest.split_first_chunk()?;
        let (generation, s) = decode_varint(rest)?;
        Some(Self {
            key_id: *key_id,
            session: SessionId::from_bytes(*session),
            generation,
            s: Zeroizing::new(s.try_into().ok()?),
        })
    }
}

/// A token's bytes, split at the tag.
pub(super) struct Tagged {
    bytes: Zeroizing<Vec<u8>>,
}

impl Tagged {
    pub(super) fn decode(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX.div_ceil(3) * 4 {
            return Err(TokenErrorKind::Malformed.into());
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
        let bytes = Zeroizing::new(bytes.map_err(|_| TokenErrorKind::Malformed)?);
        if bytes.len() < MIN || bytes[0] != VERSION {
            return Err(TokenErrorKind::Malformed.into());
        }
        Ok(Self { bytes })
    }

    pub(super) fn encode(mut body: Zeroizing<Vec<u8>>, tag: &[u8]) -> RefreshToken {
        body.extend(tag);
        BASE64_URL_SAFE_NO_PAD.encode(&*body).into()
    }

    pub(super) fn key_id(&self) -> u8 {
        self.bytes[1]
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - TAG]
    }

    pub(super) fn tag(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - TAG..]
    }

    /// Only for a token whose tag was checked.
    pub(super) fn fields(&self) -> Result<Fields, TokenError> {
        Fields::decode(self.body()).ok_or_else(|| TokenErrorKind::Malformed.into())
    }
}

const VERSION: u8 = 1;
const MIN: usize = 2 + 16 + 1 + 32 + TAG;
const MAX: usize = MIN + 9;
/// Stores count in signed 64 bits, and the next generation must fit too.
const LAST_GENERATION: u64 = i64::MAX as u64 - 1;

/// LEB128 in its shortest form.
fn decode_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let shortest = i == 0 || *byte != 0;
            return (shortest && value <= LAST_GENERATION).then_some((value, &bytes[i + 1..]));
        }
    }
    None
}
