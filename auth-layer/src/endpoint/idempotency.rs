use http::{HeaderMap, HeaderName};

use super::refusal::Refusal;
use crate::refresh_token::IdempotencyKey;

/// The `Idempotency-Key` of a request: a string of RFC 8941 s3.3.3 that holds base64url.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let quoted = value.to_str().ok().map(|it| it.trim_matches(' '));
    let text = quoted.and_then(|it| it.strip_prefix('"')?.strip_suffix('"'));
    match (text.map(str::parse), values.next()) {
        (Some(Ok(key)), None) => Ok(Some(key)),
        _ => Err(Refusal::invalid(
            "Idempotency-Key must be 16 to 64 bytes in base64url, in double quotes",
        )),
    }
}

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
