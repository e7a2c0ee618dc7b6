use http::{HeaderMap, StatusCode};

use crate::challenge;
use crate::dpop::DpopKey;
use crate::replay::Request;
use crate::tokens::AccessToken;

/// Whose key the last attempt proved to have, and to whom.
pub(super) struct Possession {
    key: DpopKey,
    url: String,
}

impl Possession {
    /// Adds a proof to a request with a bound token. Without a URL there is nothing to prove.
    pub(super) fn prove<R: Request>(token: &AccessToken, request: &mut R) -> Option<Self> {
        let (key, url) = (token.key()?.clone(), request.url()?);
        let proof = key.prove(request.method(), &url, Some(token.secret()))?;
        request.headers_mut().insert("dpop", proof);
        Some(Self { key, url })
    }

    /// Notes the nonce for the next proof; true if this response was refused for want of it.
    pub(super) fn lacks_nonce(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.key.remember(&self.url, headers);
        challenge::wants_nonce(status, headers)
    }
}
