use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use http::request::Parts;
use http_body::Body;
use tower_service::Service;

use super::client::Clients;
use super::read::read;
use super::route::Route;
use super::{EndpointBody, Response};
use crate::issue::TokenIssuer;

/// The endpoints of a [`TokenIssuer`], as one service that is always ready and never fails.
///
/// It takes any body and needs no framework, but a tokio runtime with a timer. A body of more than
/// 16 KiB is refused, and one that takes too long is cut off.
#[derive(Clone)]
#[must_use = "a service answers nothing before it is mounted"]
pub struct TokenEndpoints(Arc<Shared>);

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) issuer: TokenIssuer,
    pub(super) clients: Clients,
    pub(super) base_url: Option<String>,
    pub(super) keys_max_age: Duration,
    pub(super) body_timeout: Duration,
}

impl TokenEndpoints {
    /// The endpoints of `issuer`, without OAuth clients.
    pub fn new(issuer: TokenIssuer) -> Self {
        Self(Arc::new(Shared {
            issuer,
            clients: Clients::default(),
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
    /// (RFC 6749 s2.3.1). Only a hash of it is kept.
    pub fn confidential_client(mut self, id: impl Into<String>, secret: &str) -> Self {
        self.shared().clients.add(id.into(), Some(secret));
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

    fn shared(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Debug for TokenEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoints")
            .field("issuer", &self.0.issuer)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for TokenEndpoints
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let shared = self.0.clone();
        ResponseFuture(Box::pin(async move {
            let (parts, body) = request.into_parts();
            shared.answer(parts, body).await
        }))
    }
}

/// The answer of [`TokenEndpoints`] to come.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<http::Response<EndpointBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl Shared {
    async fn answer<B>(&self, parts: Parts, body: B) -> Response
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let answer = match Route::of(&parts.method, parts.uri.path()) {
            Ok(Route::Keys) => Ok(self.keys(&parts.headers)),
            Ok(Route::Metadata) => Ok(self.metadata()),
            Ok(route) => match read(&parts.headers, body, self.body_timeout, route.media()).await {
                Ok(body) if route == Route::Refresh => self.refresh(&parts.headers, &body).await,
                Ok(body) if route == Route::Token => self.token(&parts.headers, &body).await,
                Ok(body) if route == Route::Revoke => self.revoke(&parts.headers, &body).await,
                Ok(body) => self.log_out(&body).await,
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(Into::into)
    }
}
