use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};

use super::refusal::Refusal;

/// What a body must be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Form,
}

/// The whole body, if it is of the right kind, short enough and in time.
pub(super) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    timeout: Duration,
    media: Media,
) -> Result<Bytes, Refusal>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stated = headers.get_all(CONTENT_TYPE).iter().next();
    if stated.is_some_and(|it| !media.is(it.as_bytes())) {
        return Err(Refusal::WRONG_MEDIA);
    }
    let is_stated = stated.is_some();
    let whole = Limited::new(body, LONGEST).collect();
    match tokio::time::timeout(timeout, whole).await {
        Ok(Ok(whole)) => match whole.to_bytes() {
            bytes if is_stated || bytes.is_empty() => Ok(bytes),
            _ => Err(Refusal::WRONG_MEDIA),
        },
        Ok(Err(_)) => Err(Refusal::invalid("The body broke off or is too long")),
        Err(_) => Err(Refusal::TOO_SLOW),
    }
}

const LONGEST: usize = 16 * 1024;

impl Media {
    /// Whether a content type is this one, with or without parameters.
    fn is(self, content_type: &[u8]) -> bool {
        let name = content_type
            .split(|it| *it == b';')
            .next()
            .unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(match self {
            Self::Json => b"application/json",
            Self::Form => b"application/x-www-form-urlencoded",
        })
    }
}
