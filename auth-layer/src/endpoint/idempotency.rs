use http::{HeaderMap, HeaderName};

use super::refusal::Refusal;
use crate::refresh_token::IdempotencyKey;

/// The `Idempotency-Key` of a request: visible characters, as a string of RFC 8941 s3.3.3 or bare. The
/// quotes are no part of the key.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().map(|text| text.trim_matches(' '));
    let key = text.and_then(|text| match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?.parse().ok(),
        None => text.parse().ok(),
    });
    match (key, values.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => Err(Refusal::invalid(
            "Idempotency-Key must occur once and be 16 to 255 visible ASCII characters, bare or in double quotes",
        )),
    }
}

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
