use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{AuthFuture, Rejection, ResponseBody};
use crate::claims::{Claims, NoCustomClaims};
use crate::scope::Scopes;

/// Lets only requests through whose access token carries certain scopes; goes behind
/// [`AuthLayer`](super::AuthLayer).
///
/// ```
/// use auth_layer::RequireScopes;
///
/// let admins = RequireScopes::all(["admin"]);
/// let editors = RequireScopes::any(["admin", "edit"]);
/// ```
#[derive(Clone, Debug)]
pub struct RequireScopes {
    needed: Arc<Needed>,
}

#[derive(Debug)]
struct Needed {
    scopes: Scopes,
    all: bool,
}

impl RequireScopes {
    /// Requires every one of `scopes`.
    ///
    /// # Panics
    /// When one of them is no scope token (RFC 6749 s3.3).
    pub fn all<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(scopes, true)
    }

    /// Requires at least one of `scopes`.
    ///
    /// # Panics
    /// When one of them is no scope token (RFC 6749 s3.3).
    pub fn any<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(scopes, false)
    }

    fn new<'a>(scopes: impl IntoIterator<Item = &'a str>, all: bool) -> Self {
        let scopes = Scopes::new(scopes).expect("scopes are written in the program");
        Self {
            needed: Arc::new(Needed { scopes, all }),
        }
    }
}

impl Needed {
    fn check(&self, claims: Option<&Claims>) -> Result<(), Rejection> {
        let granted = claims.ok_or(Rejection::NoCredential)?.scopes();
        let enough = match self.all {
            true => granted.contains_all(&self.scopes),
            false => self.scopes.iter().any(|it| granted.contains(it)),
        };
        if enough {
            Ok(())
        } else {
            Err(Rejection::InsufficientScope(self.scopes.clone()))
        }
    }
}

impl<S> Layer<S> for RequireScopes {
    type Service = RequireScopesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireScopesService {
            inner,
            needed: self.needed.clone(),
        }
    }
}

/// What [`RequireScopes`] makes of a service.
#[derive(Clone, Debug)]
pub struct RequireScopesService<S> {
    inner: S,
    needed: Arc<Needed>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequireScopesService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = AuthFuture<S, NoCustomClaims, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.needed.check(request.extensions().get()) {
            Ok(()) => AuthFuture::inner(self.inner.call(request)),
            Err(rejection) => AuthFuture::refused(rejection.to_response(request.headers(), None)),
        }
    }
}
