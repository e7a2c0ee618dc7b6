use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use tower_service::Service;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::wire::{Classify, Dialect, Endpoint, Secret};
use super::{RefreshError, RefreshErrorKind, RefreshRequest, Refresher};
use crate::clock::Now;
use crate::origin::{InvalidOrigin, Origin};
use crate::tokens::{RefreshToken, TokenSet};

/// Refreshes over HTTP, with any Tower service that sends requests.
///
/// The service should not follow redirects: a refresh token goes to the configured URL and nowhere
/// else, and a redirect counts as a fault. Answers are read up to 64 KiB. `B` is the request body
/// type of the service.
///
/// ```
/// use refresh_client_layer::HttpRefresher;
/// # use std::convert::Infallible;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// # let http = tower::service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
/// # });
///
/// let json = HttpRefresher::json("https://auth.example/refresh", http.clone());
///
/// let oauth2 = HttpRefresher::oauth2("https://auth.example/token", http.clone())
///     .client_id("mobile")
///     .resource("https://api.example")
///     .revocation_url("https://auth.example/oauth/revoke");
///
/// // `http` keeps cookies, such as a `reqwest::Client` with a cookie store.
/// let cookie = HttpRefresher::cookie("https://app.example/refresh", http);
/// ```
pub struct HttpRefresher<S, B> {
    endpoint: Endpoint,
    service: S,
    body: PhantomData<fn(B)>,
}

impl<S, B> HttpRefresher<S, B> {
    /// Posts `{"refresh_token": ".."}` to `url`, and at sign-out to `logout` next to it.
    pub fn json(url: impl AsRef<str>, service: S) -> Self
    where
        S: Service<Request<B>>,
    {
        Self::new(Endpoint::new(url.as_ref(), Dialect::Json), service)
    }

    /// Posts `{}` to `url`, and at sign-out to `logout` next to it, with the refresh token in a cookie
    /// that `service` adds. Give the manager [`TokenSet::in_cookie`].
    ///
    /// The jar of `service` must be the one that saw the log-in. A session that outlives the program
    /// needs a jar that does. Requests name their own origin as `Origin`, as a page of the site would:
    /// servers ask for it against cross-site requests.
    pub fn cookie(url: impl AsRef<str>, service: S) -> Self
    where
        S: Service<Request<B>>,
    {
        Self::new(Endpoint::new(url.as_ref(), Dialect::Cookie), service)
    }

    /// Posts the form of RFC 6749 section 6 to `url`, and at sign-out that of RFC 7009 to `revoke`
    /// next to it.
    pub fn oauth2(url: impl AsRef<str>, service: S) -> Self
    where
        S: Service<Request<B>>,
    {
        Self::new(Endpoint::new(url.as_ref(), Dialect::OAuth2), service)
    }

    fn new(endpoint: Endpoint, service: S) -> Self {
        Self {
            endpoint,
            service,
            body: PhantomData,
        }
    }

    /// Names the OAuth 2.0 client (RFC 6749 section 2.2). Ignored in JSON.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.endpoint.client_id = Some(id.into());
        self
    }

    /// Authenticates the OAuth 2.0 client with HTTP Basic (`client_secret_basic`, RFC 6749 section
    /// 2.3.1). Ignored in JSON and without a client id.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.endpoint.client_secret = Some(Secret::Basic(secret.into().into()));
        self
    }

    /// Authenticates the OAuth 2.0 client in the form (`client_secret_post`, RFC 6749 section 2.3.1),
    /// for servers that do not know Basic. Ignored in JSON and without a client id.
    #[must_use]
    pub fn client_secret_post(mut self, secret: impl Into<String>) -> Self {
        self.endpoint.client_secret = Some(Secret::Post(secret.into().into()));
        self
    }

    /// Asks for these scopes, separated by spaces, and no wider ones (RFC 6749 section 6). By default
    /// those of the present token. Another call replaces them.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.endpoint.parameters.retain(|(name, _)| name != "scope");
        self.parameter("scope", scope)
    }

    /// Asks for a token for this resource (RFC 8707 section 2.2). Can be called more than once.
    #[must_use]
    pub fn resource(self, uri: impl Into<String>) -> Self {
        self.parameter("resource", uri)
    }

    /// Sends one more parameter with each refresh, such as an `audience`: in the form, or as a string
    /// in JSON, where the last of a name counts.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = Zeroizing::new(value.into());
        self.endpoint.parameters.push((name.into(), value));
        self
    }

    /// Where to end the session at sign-out.
    #[must_use]
    pub fn revocation_url(mut self, url: impl AsRef<str>) -> Self {
        self.endpoint.set_revocation_url(url.as_ref());
        self
    }

    /// Lets the session live on if the JSON endpoint answers 401 without an OAuth error code, be it
    /// nothing, plain text or a JSON object. By default that means that the refresh token is dead, as
    /// is a common convention.
    #[must_use]
    pub fn keep_session_on_plain_401(mut self) -> Self {
        self.endpoint.plain_401_refuses = false;
        self
    }

    /// Reads answers that no convention covers: `rule` gets the status and the body of each answer that
    /// brought no tokens, up to 64 KiB, and returns what it means, or `None` to leave that to the
    /// conventions, which the [guide](crate::guide) lists.
    #[must_use]
    pub fn classify(
        mut self,
        rule: impl Fn(StatusCode, &[u8]) -> Option<RefreshErrorKind> + Send + Sync + 'static,
    ) -> Self {
        self.endpoint.classify = Some(Classify(Arc::new(rule)));
        self
    }

    /// Lets refresh tokens travel over `http` to a host other than this machine. Anybody on the way
    /// can read them.
    #[must_use]
    pub fn dangerously_allow_plain_http(mut self) -> Self {
        self.endpoint.allow_plain_http = true;
        self
    }
}

impl<S, B, ResBody> Refresher for HttpRefresher<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: From<Bytes> + Send + 'static,
    ResBody: Body + Send,
    ResBody::Data: Buf + Send,
    ResBody::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, RefreshError> {
        let mut answer = self.ask(&request).await?;
        if request.bound_to().is_some() && answer.wants_nonce() {
            answer = self.ask(&request).await?;
        }
        answer.tokens(&self.endpoint, &request, Now::read().wall)
    }

    async fn revoke(&self, token: RefreshToken) -> Result<(), RefreshError> {
        let answer = self.send(self.endpoint.revoke(&token)?).await?;
        answer.revocation(Now::read().wall)
    }

    fn origin(&self) -> Result<Option<Origin>, InvalidOrigin> {
        self.endpoint.check().map(Some)
    }
}

impl<S, B> HttpRefresher<S, B> {
    async fn ask<ResBody>(&self, request: &RefreshRequest) -> Result<Answer, RefreshError>
    where
        S: Service<Request<B>, Response = Response<ResBody>> + Clone,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: From<Bytes>,
        ResBody: Body,
        ResBody::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut post = self.endpoint.refresh(request)?;
        request.mark(post.extensions_mut());
        let url = post.uri().to_string();
        let answer = self.send(post).await?;
        if let Some(key) = request.bound_to() {
            key.remember(&url, &answer.headers);
        }
        Ok(answer)
    }

    async fn send<ResBody>(&self, request: Request<Bytes>) -> Result<Answer, RefreshError>
    where
        S: Service<Request<B>, Response = Response<ResBody>> + Clone,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: From<Bytes>,
        ResBody: Body,
        ResBody::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut service = self.service.clone();
        poll_fn(|cx| service.poll_ready(cx))
            .await
            .map_err(|error| unreachable_server(error.into()))?;
        let response = service
            .call(request.map(B::from))
            .await
            .map_err(|error| unreachable_server(error.into()))?;
        let (parts, body) = response.into_parts();
        // Read the head of a refusal even if its body is broken off.
        let body = match Limited::new(body, LONGEST_ANSWER).collect().await {
            Ok(body) => Some(body.to_bytes()),
            Err(_) => None,
        };
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}

impl<S: Clone, B> Clone for HttpRefresher<S, B> {
    fn clone(&self) -> Self {
        Self::new(self.endpoint.clone(), self.service.clone())
    }
}

impl<S, B> fmt::Debug for HttpRefresher<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRefresher")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

fn unreachable_server(error: Box<dyn Error + Send + Sync>) -> RefreshError {
    RefreshError::new(
        RefreshErrorKind::Transient,
        "the refresh request could not be sent",
    )
    .with_source(error)
    .passing_soon()
}

/// No honest token answer is longer.
const LONGEST_ANSWER: usize = 64 * 1024;
