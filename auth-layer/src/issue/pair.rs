use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{RefreshToken, SessionId};
use crate::scope::Scopes;

/// An access token and the refresh token that brings the next. It cannot print them.
///
/// `endpoint::token_response` makes the answer of a login handler out of it.
pub struct TokenPair {
    pub(super) access_token: Zeroizing<String>,
    pub(super) refresh_token: RefreshToken,
    pub(super) expires_in: Duration,
    pub(super) scopes: Scopes,
    pub(super) session: SessionId,
    pub(super) jkt: Option<Thumbprint>,
    pub(super) refresh_expires_at: Timestamp,
}

impl TokenPair {
    /// The access token, for the client only.
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// The refresh token, for the client only.
    pub fn refresh_token(&self) -> &RefreshToken {
        &self.refresh_token
    }

    /// How long the access token lives, in whole seconds.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// What the access token may be used for.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// How the access token is sent: `DPoP` if it is bound to a key (RFC 9449 s5), else `Bearer`.
    pub fn token_type(&self) -> &'static str {
        match self.jkt {
            Some(_) => "DPoP",
            None => "Bearer",
        }
    }

    /// The session that both belong to.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// When the refresh token dies if it is not used.
    pub fn refresh_expires_at(&self) -> Timestamp {
        self.refresh_expires_at
    }
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair")
            .field("session", &self.session)
            .field("expires_in", &self.expires_in)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
