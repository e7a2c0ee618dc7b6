use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use super::Rejection;
use super::challenge::Scheme;
use super::refusals::Refusals;
use crate::claims::Claims;

/// The claims that [`AuthLayer`](super::AuthLayer) found. Without claims, because no token was sent
/// to an optional layer or because there is no layer, the request is refused as unauthenticated.
impl<S: Sync, C: Send + Sync + 'static> FromRequestParts<S> for Claims<C> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or(Rejection::NoCredential)
    }
}

impl<S: Sync, C: Send + Sync + 'static> OptionalFromRequestParts<S> for Claims<C> {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get().cloned())
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Refusals::default()
            .answer(&self, Scheme::Bearer)
            .map(Body::from)
    }
}
