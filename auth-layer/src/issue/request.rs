use std::net::IpAddr;

use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{IdempotencyKey, RefreshToken};
use crate::scope::Scopes;
use crate::store::CustomClaims;

/// A sign-in: whose, and what else is known of it.
#[derive(Clone, Debug)]
#[must_use = "no session starts before `TokenIssuer::start`"]
pub struct NewSession {
    pub(super) subject: String,
    pub(super) client_id: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) label: Option<String>,
    pub(super) claims: CustomClaims,
    pub(super) auth_time: Option<Timestamp>,
    pub(super) ip: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
    pub(super) jkt: Option<Thumbprint>,
    pub(super) epoch: Option<u64>,
}

impl NewSession {
    /// A sign-in of `subject`, the `sub` of its access tokens, that had nothing to check. It survives a
    /// [revocation](super::TokenIssuer::revoke_all) that came before it: after a check of a password use
    /// [`begin_sign_in`](super::TokenIssuer::begin_sign_in).
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            client_id: None,
            scopes: Scopes::default(),
            label: None,
            claims: CustomClaims::default(),
            auth_time: None,
            ip: None,
            user_agent: None,
            jkt: None,
            epoch: None,
        }
    }

    /// Binds the session to the key with this thumbprint (RFC 9449 s5), which the client has proved:
    /// [`TokenEndpoints::proved_key`](crate::TokenEndpoints::proved_key) tells. Its tokens are of use
    /// only with a proof of that key, at each refresh and, as the claim `cnf`, at each request: see
    /// [`AuthLayer::dpop`](crate::AuthLayer::dpop). That never changes. Default: no key.
    pub fn bound_to(mut self, jkt: impl Into<Option<Thumbprint>>) -> Self {
        self.jkt = jkt.into();
        self
    }

    /// Gives the session to an OAuth client: only requests that name it can refresh. Default: a
    /// session of your own application, which any request with the token refreshes.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// What its access tokens may be used for. Default: no scopes.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// A name that the user knows it by, such as "Firefox on Linux".
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Your own claims. They are kept with the session, and minted unless the issuer has a
    /// [`ClaimsSource`](super::ClaimsSource) that says otherwise.
    pub fn claims(mut self, claims: CustomClaims) -> Self {
        self.claims = claims;
        self
    }

    /// When the user proved who they are. Default: now.
    pub fn auth_time(mut self, at: Timestamp) -> Self {
        self.auth_time = Some(at);
        self
    }

    /// From where.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// Sets the `User-Agent` recorded with the session, of which the first 256 characters are kept.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(cut(user_agent.into()));
        self
    }
}

/// A refresh token that was presented, and what came with it.
#[derive(Clone, Debug)]
#[must_use = "nothing is refreshed before `TokenIssuer::refresh`"]
pub struct RefreshRequest {
    pub(super) token: RefreshToken,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) scopes: Option<Scopes>,
    pub(super) client_id: Option<String>,
    pub(super) ip: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
    pub(super) jkt: Option<Thumbprint>,
    /// Those of the issuer's audiences that the access token is for; all of them if there is none.
    pub(super) audiences: Vec<String>,
}

impl RefreshRequest {
    /// A request with nothing but the token.
    pub fn new(token: impl Into<RefreshToken>) -> Self {
        Self {
            token: token.into(),
            key: None,
            scopes: None,
            client_id: None,
            ip: None,
            user_agent: None,
            jkt: None,
            audiences: Vec::new(),
        }
    }

    /// Narrows this access token to some of the issuer's audiences (RFC 8707 s2).
    pub(crate) fn audiences(mut self, audiences: Vec<String>) -> Self {
        self.audiences = audiences;
        self
    }

    /// The key that was proved with this request (RFC 9449 s5). To a session that is not bound it means
    /// nothing, and does not bind it.
    pub fn proved_key(mut self, jkt: Option<Thumbprint>) -> Self {
        self.jkt = jkt;
        self
    }

    /// What the client chose before it sent this for the first time.
    pub fn idempotency_key(mut self, key: Option<IdempotencyKey>) -> Self {
        self.key = key;
        self
    }

    /// Narrows this access token to `scopes`; the session keeps its own (RFC 6749 s6).
    pub fn scopes(mut self, scopes: Option<Scopes>) -> Self {
        self.scopes = scopes.filter(|it| !it.is_empty());
        self
    }

    /// The OAuth client that was authenticated. Its access token names it, unless the session belongs
    /// to a client.
    pub fn client_id(mut self, client_id: Option<String>) -> Self {
        self.client_id = client_id;
        self
    }

    /// From where.
    pub fn ip(mut self, ip: Option<IpAddr>) -> Self {
        self.ip = ip;
        self
    }

    /// Sets the `User-Agent` recorded with the session, of which the first 256 characters are kept.
    pub fn user_agent(mut self, user_agent: Option<String>) -> Self {
        self.user_agent = user_agent.map(cut);
        self
    }
}

/// A client chooses the text, and each session stores it.
fn cut(mut user_agent: String) -> String {
    const LONGEST: usize = 256;
    if let Some((end, _)) = user_agent.char_indices().nth(LONGEST) {
        user_agent.truncate(end);
    }
    user_agent
}
