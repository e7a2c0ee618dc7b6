use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tower_layer::Layer;

use crate::challenge::Rule;
use crate::future::Allowance;
use crate::manager::TokenManager;
use crate::managers::{Sessions, TokenManagers};
use crate::replay::DEFAULT_CAP;
use crate::service::RefreshService;

/// Attaches the access token to requests, refreshes it when it is dead, and retries once.
///
/// ```
/// use refresh_client_layer::{HttpRefresher, RefreshLayer, TokenManager, TokenSet};
/// use tower::{Service, ServiceBuilder, ServiceExt};
/// # use std::convert::Infallible;
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # use http_body_util::{Empty, Full};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let http = tower::service_fn(|request: Request<Full<Bytes>>| async move {
/// #     assert_eq!(request.headers()["authorization"], "Bearer access");
/// #     Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
/// # });
/// # let (access, refresh) = ("access", "refresh");
/// let session = TokenManager::builder(HttpRefresher::json("https://auth.example/refresh", http.clone()))
///     .tokens(TokenSet::new(access, refresh))
///     .origin("https://api.example")
///     .build()?;
/// let mut api = ServiceBuilder::new()
///     .layer(RefreshLayer::new(session.clone()))
///     .service(http);
///
/// let request = Request::get("https://api.example/me").body(Full::default())?;
/// let response = api.ready().await?.call(request).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Which requests get the token
///
/// Those to an [origin](crate::TokenManagerBuilder::origin) that may see it. The layer compares the URI of
/// the request, which has to be absolute: to a service that is bound to one server and is given `/me` alone,
/// it goes out without a token, and the [`Outcome`](crate::Outcome) says
/// [`PassedThrough`](crate::NotRetried::PassedThrough). What makes the URI relative goes inside.
///
/// # While a refresh runs
///
/// A request that was refused and waits for the refresh keeps its response, in case the session is over
/// and the caller has to see the server's 401. So that unread bodies are not in the way of the refresh's
/// own answer, all requests of a layer together keep no more than 32 KiB of them; a body of unknown length
/// counts as 32 KiB. A response that finds no room is dropped: if the session is over, its caller gets a
/// [`SessionEnded`](crate::SessionEnded) instead, and where too many tokens were refused a
/// [`RefreshUnavailable`](crate::RefreshUnavailable).
///
/// # Redirects
///
/// What follows redirects goes *outside* this layer, so that each hop is judged by its own origin;
/// inside, another site's 401 would cost a refresh. With tower-http, 0.7.1 or later:
///
/// ```
/// use tower_http::follow_redirect::FollowRedirectLayer;
/// use tower_http::follow_redirect::policy::{Limited, PolicyExt, SameOrigin};
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # use http_body_util::Full;
/// # use refresh_client_layer::{RefreshLayer, TokenManager};
/// # use tower::{BoxError, ServiceBuilder, ServiceExt};
///
/// # fn build(session: TokenManager) {
/// # let http = tower::service_fn(|_: Request<Full<Bytes>>| async {
/// #     Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
/// # });
/// let within = Limited::default().and::<_, Full<Bytes>, BoxError>(SameOrigin::new());
/// let api = ServiceBuilder::new()
///     .layer(FollowRedirectLayer::with_policy(within))
///     .layer(RefreshLayer::new(session))
///     .service(http);
/// # drop(api.oneshot(Request::default()));
/// # }
/// ```
///
/// A redirect to another origin is then the response. The policy `Standard` follows it:
///
/// * A hop to a foreign origin carries no token, and its 401 is the caller's.
/// * A hop back carries the token again: the foreign site has chosen what is asked with it.
/// * Past a change of origin the request has lost its own `Authorization` and its extensions. So one that
///   was marked [`SkipAuth`](crate::SkipAuth) comes back with the token, and one with a
///   [`SessionKey`](crate::SessionKey) comes back as nobody's; with
///   [`require_session`](Self::require_session) it is not even sent to the foreign origin.
///   `FilterCredentials::allow_extension` keeps what you name.
#[derive(Clone)]
pub struct RefreshLayer {
    sessions: Sessions,
    wants_retry: Rule,
    allowance: Allowance,
    replay_cap: usize,
    requires_session: bool,
}

impl RefreshLayer {
    /// A layer that takes its tokens from `manager`.
    pub fn new(manager: TokenManager) -> Self {
        Self::over(Sessions::One(manager))
    }

    /// A layer for many users: the token is that of the session that the request's
    /// [`SessionKey`](crate::SessionKey) names.
    ///
    /// A request without a key of the very type `K` is nobody's: it goes out without a token, as does
    /// one whose key has no session. [`require_session`](Self::require_session) refuses both. A bare
    /// `reqwest::Request` [hides its key](crate::reqwest#over-a-bare-client), an
    /// [`AuthClient`](crate::AuthClient) shows it.
    pub fn keyed<K>(managers: TokenManagers<K>) -> Self
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        Self::over(Sessions::keyed(managers))
    }

    fn over(sessions: Sessions) -> Self {
        Self {
            sessions,
            wants_retry: Rule::Default,
            allowance: Allowance::default(),
            replay_cap: DEFAULT_CAP,
            requires_session: false,
        }
    }

    /// Fails requests that would go out without a token because nobody is signed in, with a
    /// [`SessionEnded`](crate::SessionEnded). Nothing is sent.
    #[must_use]
    pub fn require_session(mut self) -> Self {
        self.requires_session = true;
        self
    }

    /// Replaces the rule that says which responses ask for a fresher token.
    ///
    /// By default it is a 401 whose `Bearer` or `DPoP` challenge says `invalid_token`, or that has no
    /// such challenge with an error code (RFC 6750 section 3, RFC 9449 section 7.1), or a gRPC status of 16. The headers may be
    /// the trailers of a gRPC response that has no message, if its body is `tonic`'s own: a layer inside of
    /// this one that wraps the body hides them.
    #[must_use]
    pub fn retry_when(
        mut self,
        wants_retry: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.wants_retry = Rule::Own(Arc::new(wants_retry));
        self
    }

    /// How many bytes of a streamed body to keep until the server has answered; 64 KiB by default.
    /// A [`ReplayCap`](crate::replay::ReplayCap) in the extensions of a request wins.
    ///
    /// No more than 4,096 frames of it are kept whatever the cap, since each costs memory of its own.
    /// Bodies that are in memory anyway are cloned, whatever their size: of `Bytes` that is shared, not
    /// copied.
    #[must_use]
    pub fn replay_cap(mut self, bytes: usize) -> Self {
        self.replay_cap = bytes;
        self
    }
}

impl<S> Layer<S> for RefreshLayer {
    type Service = RefreshService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RefreshService::new(
            inner,
            self.sessions.clone(),
            self.wants_retry.clone(),
            self.allowance.clone(),
            self.replay_cap,
            self.requires_session,
        )
    }
}

impl fmt::Debug for RefreshLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshLayer")
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}
