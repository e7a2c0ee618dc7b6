use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tower_service::Service;

use crate::scope::Scopes;

/// The document that says which authorization servers a resource trusts (RFC 9728), as a service:
/// mount it at `/.well-known/oauth-protected-resource` and name its URL to
/// [`AuthLayer::resource_metadata`](super::AuthLayer::resource_metadata).
///
/// ```
/// use auth_layer::protect::ProtectedResource;
///
/// let document = ProtectedResource::new("https://api.example")
///     .authorization_server("https://auth.example")
///     .scopes("read write".parse()?);
/// # Ok::<(), auth_layer::scope::InvalidScope>(())
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct ProtectedResource {
    resource: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
}

impl ProtectedResource {
    /// The document of the resource whose identifier, an `https` URL, is `resource`.
    pub fn new(resource: impl Into<String>) -> Self {
        Self {
            resource: resource.into(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: ["header"],
        }
    }

    /// Names an issuer whose tokens are accepted, beside those named before.
    #[must_use]
    pub fn authorization_server(mut self, issuer: impl Into<String>) -> Self {
        self.authorization_servers.push(issuer.into());
        self
    }

    /// Names the scopes that clients may ask for.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes_supported = scopes.iter().map(str::to_owned).collect();
        self
    }

    fn answer(&self, method: &Method) -> Response<String> {
        let mut response = Response::default();
        let headers = response.headers_mut();
        if !matches!(*method, Method::GET | Method::HEAD) {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            return response;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=3600"),
        );
        // Strings only: nothing here can fail to be JSON.
        *response.body_mut() = serde_json::to_string(self).unwrap_or_default();
        response
    }
}

impl<B> Service<Request<B>> for ProtectedResource {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.method())))
    }
}
