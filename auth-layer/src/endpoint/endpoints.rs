use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::client::Clients;
use super::cookie::CookieMode;
use super::limit::{Limiter, Limits};
use super::wire::{cookie_response, token_response};
use super::{ClientAddress, EndpointBody};
use crate::issue::{TokenIssuer, TokenPair};
use crate::proof::Dpop;
use crate::scope::Scopes;
use crate::verify::Verifier;

/// The endpoints of a [`TokenIssuer`], as one service that is always ready and never fails.
///
/// It takes any body and needs no framework, but a tokio runtime with a timer. A body of more than
/// 16 KiB is refused, and one that takes too long is cut off.
#[derive(Clone)]
#[must_use = "a service answers nothing before it is mounted"]
pub struct TokenEndpoints(pub(super) Arc<Shared>);

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) issuer: TokenIssuer,
    /// Of access tokens; it lets bound ones through only where proofs are checked.
    pub(super) verifier: Verifier,
    pub(super) clients: Clients,
    pub(super) cookies: Option<CookieMode>,
    pub(super) dpop: Option<Dpop>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) address: ClientAddress,
    pub(super) sessions_scopes: Scopes,
    pub(super) base_url: Option<String>,
    pub(super) keys_max_age: Duration,
    pub(super) body_timeout: Duration,
}

impl TokenEndpoints {
    /// The endpoints of `issuer`, without OAuth clients and cookies.
    pub fn new(issuer: TokenIssuer) -> Self {
        Self(Arc::new(Shared {
            verifier: issuer.verifier(),
            issuer,
            clients: Clients::default(),
            cookies: None,
            dpop: None,
            limiter: Arc::new(Limiter::new(Limits::new())),
            address: ClientAddress::default(),
            sessions_scopes: Scopes::default(),
            base_url: None,
            keys_max_age: Duration::from_secs(300),
            body_timeout: Duration::from_secs(10),
        }))
    }

    /// Knows an OAuth client without a secret, such as an app on a device.
    pub fn public_client(mut self, id: impl Into<String>) -> Self {
        self.shared().clients.add(id.into(), None);
        self
    }

    /// Knows an OAuth client that proves itself by `secret`, in the form or by HTTP Basic
    /// (RFC 6749 s2.3.1): a long random text. A wrong one is charged to the address of its sender, see
    /// [`Limits`]. Only a hash of the secret is kept. Such a client may also ask what a token is worth at `/introspect` (RFC 7662), which is
    /// there once there is one.
    pub fn confidential_client(mut self, id: impl Into<String>, secret: &str) -> Self {
        self.shared().clients.add(id.into(), Some(secret));
        self
    }

    /// Keeps the refresh tokens of browsers in a cookie. A token in a JSON body is still taken, and
    /// its successor given in one: apps send theirs so. Default: no cookies.
    pub fn cookies(mut self, cookies: CookieMode) -> Self {
        self.shared().cookies = Some(cookies);
        self
    }

    /// How often they answer. Default: [`Limits::new`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.shared().limiter = Arc::new(Limiter::new(limits));
        self
    }

    /// How to tell from where a request came. Default: by [`PeerAddress`](super::PeerAddress), if
    /// the server inserts it.
    pub fn client_address(mut self, address: ClientAddress) -> Self {
        self.shared().address = address;
        self
    }

    /// The scopes that an access token needs for `/sessions`, where a user's sessions are listed and
    /// ended. Default: none, and tokens of sessions that belong to an OAuth client are refused there.
    pub fn sessions_scopes(mut self, scopes: Scopes) -> Self {
        self.shared().sessions_scopes = scopes;
        self
    }

    /// Where these endpoints are to be found from outside, for the metadata. Default: the issuer's
    /// name.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.shared().base_url = Some(url.into());
        self
    }

    /// How long others may keep the public keys. A new key should be announced for as long before it
    /// signs. Default: 5 minutes.
    pub fn keys_max_age(mut self, age: Duration) -> Self {
        self.shared().keys_max_age = age;
        self
    }

    /// How long a body may take to arrive. Default: 10 s.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.shared().body_timeout = timeout;
        self
    }

    /// The answer of your log-in handler: as [`token_response`](super::token_response), but with the
    /// refresh token in the cookie where [`cookies`](Self::cookies) are kept.
    ///
    /// Take the credentials from a JSON body, which no form of another site can send: else a page
    /// could sign its visitors in as somebody else.
    pub fn token_response(&self, pair: &TokenPair) -> http::Response<EndpointBody> {
        match &self.0.cookies {
            Some(cookies) => cookie_response(pair, cookies, self.0.issuer.now()),
            None => token_response(pair),
        }
    }

    pub(super) fn shared(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.0)
    }
}

impl Shared {
    /// Where the endpoints are to be found from outside.
    pub(super) fn base(&self) -> &str {
        self.base_url.as_deref().unwrap_or(self.issuer.name())
    }
}

impl fmt::Debug for TokenEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoints")
            .field("issuer", &self.0.issuer)
            .field("cookies", &self.0.cookies)
            .field("dpop", &self.0.dpop)
            .field("address", &self.0.address)
            .finish_non_exhaustive()
    }
}
