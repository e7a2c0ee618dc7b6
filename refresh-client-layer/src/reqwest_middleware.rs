//! The layer as a middleware of [`reqwest_middleware`].
//!
//! ```
//! use refresh_client_layer::reqwest::same_origin_redirects;
//! use refresh_client_layer::reqwest_middleware::RefreshMiddleware;
//! # use refresh_client_layer::TokenManager;
//! use reqwest_middleware::ClientBuilder;
//!
//! # fn build(session: TokenManager) -> Result<(), reqwest::Error> {
//! let http = reqwest::Client::builder().redirect(same_origin_redirects()).build()?;
//! let api = ClientBuilder::new(http)
//!     .with(RefreshMiddleware::new(session))
//!     .build();
//! # drop(api);
//! # Ok(())
//! # }
//! ```
//!
//! The client below follows redirects, and by itself sends the token to the second hop within a foreign
//! origin: hence [`same_origin_redirects`](crate::reqwest::same_origin_redirects).
//!
//! It does what [`AuthClient`](crate::AuthClient) does. [`SkipAuth`](crate::SkipAuth),
//! [`NoReplay`](crate::replay::NoReplay) and [`ReplayCap`](crate::replay::ReplayCap) are given to one
//! request `with_extension`. Middlewares that were added before this one see one request and its last
//! response; those added after it see each attempt, with the token.
//!
//! Where there is no token, a request fails with an [`Error::Middleware`] around a
//! [`RequestError`]; errors of what comes after it are passed on as they are.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ::reqwest::{Request, Response};
use ::reqwest_middleware::{Error, Middleware, Next, Result};
use futures_util::future::BoxFuture;
use http::Extensions;
use tower_layer::Layer;
use tower_service::Service;

use crate::layer::RefreshLayer;
use crate::manager::TokenManager;
use crate::reqwest::{Outgoing, RequestError};

/// Attaches the access token to requests, refreshes it when it is dead, and retries once.
#[derive(Clone, Debug)]
pub struct RefreshMiddleware {
    layer: RefreshLayer,
}

impl RefreshMiddleware {
    /// Takes its tokens from `manager`.
    pub fn new(manager: TokenManager) -> Self {
        Self::with_layer(RefreshLayer::new(manager))
    }

    /// Does what `layer`, with settings of its own, does.
    pub fn with_layer(layer: RefreshLayer) -> Self {
        Self { layer }
    }
}

#[async_trait::async_trait]
impl Middleware for RefreshMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let left = Arc::default();
        let mut service = self.layer.layer(Rest {
            next,
            left: Arc::clone(&left),
        });
        let outgoing = Outgoing {
            request,
            extensions: extensions.clone(),
        };
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(told)?;
        let sent = service.call(outgoing).await;
        if let Some(left) = left.lock().unwrap_or_else(PoisonError::into_inner).take() {
            *extensions = left;
        }
        sent.map_err(told)
    }
}

/// The middlewares that come after this one, and the client.
#[derive(Clone)]
struct Rest<'a> {
    next: Next<'a>,
    /// The extensions as the last attempt left them, for the middlewares that come before.
    left: Arc<Mutex<Option<Extensions>>>,
}

impl<'a> Service<Outgoing> for Rest<'a> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'a, Result<Response>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, outgoing: Outgoing) -> Self::Future {
        let Self { next, left } = self.clone();
        Box::pin(async move {
            let Outgoing {
                request,
                mut extensions,
            } = outgoing;
            let sent = next.run(request, &mut extensions).await;
            *left.lock().unwrap_or_else(PoisonError::into_inner) = Some(extensions);
            sent
        })
    }
}

impl fmt::Debug for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

/// The error of the middlewares as it came, or why there is no token.
fn told(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::middleware(RequestError::new(error)),
    }
}
