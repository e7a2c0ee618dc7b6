use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::dpop::DpopKey;

/// An access token, kept as the `Authorization` header it is sent in, and the key that it is bound to, if
/// it is.
///
/// It cannot print itself; [`secret`](Self::secret) hands it out. The memory is wiped when the last
/// copy is dropped.
#[derive(Clone)]
pub struct AccessToken {
    header: HeaderValue,
    key: Option<DpopKey>,
}

impl AccessToken {
    pub(super) fn new(token: String) -> Self {
        Self {
            header: header(BEARER, &Zeroizing::new(token)),
            key: None,
        }
    }

    pub(super) fn bound_to(&self, key: DpopKey) -> Self {
        Self {
            header: header(DPOP, self.secret()),
            key: Some(key),
        }
    }

    /// The token itself. Keep it out of logs.
    pub fn secret(&self) -> &str {
        let value = self.header.to_str().unwrap_or_default();
        value.split_once(' ').map_or("", |(_scheme, token)| token)
    }

    /// `Bearer <token>`, or `DPoP <token>` if it is bound to a key, marked sensitive (RFC 6750 section
    /// 2.1, RFC 9449 section 7.1).
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The key without which the token is of no use.
    #[cfg(feature = "dpop")]
    pub fn dpop_key(&self) -> Option<&DpopKey> {
        self.key.as_ref()
    }

    pub(crate) fn key(&self) -> Option<&DpopKey> {
        self.key.as_ref()
    }

    /// False for a text that no header can carry.
    pub(crate) fn is_valid(&self) -> bool {
        !self.header.is_empty()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// A refresh token. It cannot print itself and wipes its memory when dropped.
#[derive(Clone)]
pub struct RefreshToken(Option<Zeroizing<String>>);

impl RefreshToken {
    pub(super) fn new(token: String) -> Self {
        Self(Some(Zeroizing::new(token)))
    }

    /// One that only a cookie jar knows.
    pub(crate) fn in_cookie() -> Self {
        Self(None)
    }

    /// The token itself, empty if it is in a cookie. Keep it out of logs.
    pub fn secret(&self) -> &str {
        self.0.as_ref().map_or("", |token| token.as_str())
    }

    /// True if only the cookie jar of the HTTP client knows it.
    pub fn is_in_cookie(&self) -> bool {
        self.0.is_none()
    }

    /// False for a text that is no token (RFC 6749 appendix A.17).
    pub(crate) fn is_valid(&self) -> bool {
        self.0.as_ref().is_none_or(|token| {
            !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
        })
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21..=0x7e))
}

/// Empty if no header can carry the token.
fn header(scheme: &str, token: &str) -> HeaderValue {
    if !is_token(token) {
        return HeaderValue::from_static("");
    }
    let mut text = Zeroizing::new(Vec::with_capacity(scheme.len() + token.len()));
    text.extend_from_slice(scheme.as_bytes());
    text.extend_from_slice(token.as_bytes());
    HeaderValue::from_maybe_shared(Bytes::from_owner(text)).map_or(
        HeaderValue::from_static(""),
        |mut value| {
            value.set_sensitive(true);
            value
        },
    )
}

const BEARER: &str = "Bearer ";
const DPOP: &str = "DPoP ";
