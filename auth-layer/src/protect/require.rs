use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::preflight::{Preflight, is_preflight, log_refusal};
use super::refusals::RefusalsTo;
use super::{AuthFuture, Authorize, Rejection, ResponseBody};
use crate::claims::{Claims, NoCustomClaims};

/// Lets only requests through that an [`Authorize`] allows; goes behind
/// [`AuthLayer`](super::AuthLayer). Requests without claims are refused as unauthenticated.
pub struct Require<A, C = NoCustomClaims> {
    authorize: Arc<A>,
    custom: PhantomData<fn() -> C>,
}

impl<A: Authorize<C>, C> Require<A, C> {
    /// A layer that asks `authorize`.
    pub fn new(authorize: A) -> Self {
        Self {
            authorize: Arc::new(authorize),
            custom: PhantomData,
        }
    }
}

impl<S, A, C> Layer<S> for Require<A, C> {
    type Service = RequireService<S, A, C>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService {
            inner,
            require: self.clone(),
        }
    }
}

impl<A, C> Clone for Require<A, C> {
    fn clone(&self) -> Self {
        Self {
            authorize: self.authorize.clone(),
            custom: PhantomData,
        }
    }
}

impl<A, C> fmt::Debug for Require<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Require").finish_non_exhaustive()
    }
}

/// What [`Require`] makes of a service.
#[derive(Debug)]
pub struct RequireService<S, A, C = NoCustomClaims> {
    inner: S,
    require: Require<A, C>,
}

impl<S: Clone, A, C> Clone for RequireService<S, A, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            require: self.require.clone(),
        }
    }
}

impl<S, A, C, ReqBody, ResBody> Service<Request<ReqBody>> for RequireService<S, A, C>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    A: Authorize<C>,
    C: Send + Sync + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = AuthFuture<S, C, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (head, body) = request.into_parts();
        if is_preflight(&head.method, &head.headers) && Preflight::is_marked(&head.extensions) {
            return AuthFuture::inner(self.inner.call(Request::from_parts(head, body)));
        }
        let verdict = match head.extensions.get::<Claims<C>>() {
            Some(claims) => self.require.authorize.authorize(claims, &head),
            None => Err(Rejection::NoCredential),
        };
        match verdict {
            Ok(()) => AuthFuture::inner(self.inner.call(Request::from_parts(head, body))),
            Err(it) => {
                log_refusal(&head.method, &head.headers);
                let refusals = head
                    .extensions
                    .get::<RefusalsTo>()
                    .cloned()
                    .unwrap_or_default();
                AuthFuture::refused(refusals.refuse(&it, &head.headers))
            }
        }
    }
}
