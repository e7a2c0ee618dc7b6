//! How new tokens are obtained.

#[cfg(feature = "http")]
mod answer;
mod codes;
mod erased;
mod error;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod wire;

use std::fmt;
use std::future::{Future, ready};

use ::http::Extensions;

#[cfg(any(feature = "dpop", feature = "http"))]
use crate::dpop::DpopKey;
use crate::origin::{InvalidOrigin, Origin};
use crate::tokens::{IdempotencyKey, RefreshToken, TokenSet};

pub(crate) use self::erased::AnyRefresher;
pub use self::error::{RefreshError, RefreshErrorKind};
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use self::http::HttpRefresher;

/// Exchanges a refresh token for new tokens.
///
/// [`HttpRefresher`](crate::HttpRefresher) does so over HTTP; any
/// `Fn(RefreshRequest) -> impl Future<Output = Result<TokenSet, RefreshError>>` is one too:
///
/// ```
/// use refresh_client_layer::{RefreshError, RefreshRequest, Refresher, TokenSet};
///
/// async fn from_the_vault(request: RefreshRequest) -> Result<TokenSet, RefreshError> {
///     Ok(TokenSet::new("new access token", request.refresh_token().secret()))
/// }
///
/// fn is_a_refresher(_: impl Refresher) {}
/// is_a_refresher(from_the_vault);
/// ```
///
/// The manager calls it for one refresh at a time, in a task of its own, bounds its time and
/// survives its panics. It must not send through a client that is layered with its own manager:
/// such a call fails at once. If it hands its request to another task, such as that of a
/// `tower::buffer`, it should [mark](RefreshRequest::mark) the request, or the call fails by its
/// time-out only.
pub trait Refresher: Send + Sync + 'static {
    /// Asks for new tokens.
    ///
    /// # Errors
    ///
    /// The [kind](RefreshErrorKind) of the error decides whether the session is over, so a refresher
    /// must not call a fault of the network final.
    fn refresh(
        &self,
        request: RefreshRequest,
    ) -> impl Future<Output = Result<TokenSet, RefreshError>> + Send;

    /// Ends the session at the server. By default there is nothing to end.
    ///
    /// # Errors
    ///
    /// If the server did not confirm it. The session is over locally all the same.
    fn revoke(&self, token: RefreshToken) -> impl Future<Output = Result<(), RefreshError>> + Send {
        drop(token);
        ready(Ok(()))
    }

    /// Where refresh tokens are sent to, if that is an origin; `None` by default. Without another
    /// word from the user it is the one origin that may see the access token.
    ///
    /// # Errors
    ///
    /// If the refresher was given something else than a URL.
    fn origin(&self) -> Result<Option<Origin>, InvalidOrigin> {
        Ok(None)
    }
}

impl<F, Fut> Refresher for F
where
    F: Fn(RefreshRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<TokenSet, RefreshError>> + Send,
{
    fn refresh(
        &self,
        request: RefreshRequest,
    ) -> impl Future<Output = Result<TokenSet, RefreshError>> + Send {
        self(request)
    }
}

/// What a [`Refresher`] is given. It cannot print its secrets.
pub struct RefreshRequest {
    session: SessionId,
    tokens: TokenSet,
    key: Option<IdempotencyKey>,
}

impl RefreshRequest {
    pub(crate) fn new(session: SessionId, tokens: TokenSet, key: Option<IdempotencyKey>) -> Self {
        Self {
            session,
            tokens,
            key,
        }
    }

    /// The same for other tokens, which have not been sent with the key of these.
    pub(crate) fn instead(self, tokens: TokenSet) -> Self {
        let key = self.key.map(|_| IdempotencyKey::random());
        Self {
            tokens,
            key,
            ..self
        }
    }

    /// The same with the key of the request that it repeats, where there is one.
    pub(crate) fn repeating(self, key: IdempotencyKey) -> Self {
        let key = self.key.map(|_| key);
        Self { key, ..self }
    }

    /// Marks the request that this refresh sends, by its extensions. Should it come to a client that
    /// is layered with the manager that waits for it, it fails at once, whatever task it comes from.
    /// [`HttpRefresher`](crate::HttpRefresher) does so.
    pub fn mark(&self, extensions: &mut Extensions) {
        extensions.insert(Refreshing(self.session));
    }

    /// The refresh token to exchange.
    pub fn refresh_token(&self) -> &RefreshToken {
        self.tokens.refresh_token()
    }

    /// The key to prove, and to bind the new tokens to: see [`dpop`](crate::dpop).
    #[cfg(feature = "dpop")]
    #[cfg_attr(docsrs, doc(cfg(feature = "dpop")))]
    pub fn dpop_key(&self) -> Option<&DpopKey> {
        self.bound_to()
    }

    #[cfg(any(feature = "dpop", feature = "http"))]
    pub(crate) fn bound_to(&self) -> Option<&DpopKey> {
        self.tokens.access_token().key()
    }

    /// The value to send as `Idempotency-Key`; `None` if the server is a plain one.
    ///
    /// It is the same for every repeat until there is a definite answer.
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.key.as_ref()
    }
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest").finish_non_exhaustive()
    }
}

/// Whose refresh a request is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refreshing(pub(crate) SessionId);

/// Tells a session from all others that live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId(pub(crate) usize);
