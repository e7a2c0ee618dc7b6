use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use ::reqwest::{Client, ClientBuilder, IntoUrl, Method, Request, Response};
use http::Extensions;
use tower_layer::Layer;
use tower_service::Service;

use super::error::RequestError;
use super::message::Outgoing;
use super::redirect::same_origin_redirects;
use super::request::RequestBuilder;
use crate::layer::RefreshLayer;
use crate::manager::TokenManager;
use crate::service::RefreshService;

/// A [`reqwest::Client`](Client) whose requests carry the access token.
///
/// ```
/// # use refresh_client_layer::{AuthClient, TokenManager};
/// # fn build(session: TokenManager) -> Result<(), reqwest::Error> {
/// let api = AuthClient::from_builder(reqwest::Client::builder(), session)?;
/// # drop(api);
/// # Ok(())
/// # }
/// ```
///
/// It does not dereference to the client inside, which knows nothing of tokens. Redirects are
/// followed by that client, below the layer: see [`new`](Self::new).
#[derive(Clone)]
pub struct AuthClient {
    service: RefreshService<Plain>,
}

impl AuthClient {
    /// Builds the client with [`same_origin_redirects`] in place of any policy it had, and takes its
    /// tokens from `manager`.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    pub fn from_builder(
        builder: ClientBuilder,
        manager: TokenManager,
    ) -> Result<Self, ::reqwest::Error> {
        let client = builder.redirect(same_origin_redirects()).build()?;
        Ok(Self::new(client, manager))
    }

    /// Sends with `client` and takes its tokens from `manager`.
    ///
    /// Build that client with [`same_origin_redirects`]: `reqwest` by itself sends the token to the
    /// second hop within a foreign origin.
    pub fn new(client: Client, manager: TokenManager) -> Self {
        Self::with_layer(client, &RefreshLayer::new(manager))
    }

    /// Sends with `client` through a layer with settings of its own. For the client see
    /// [`new`](Self::new).
    pub fn with_layer(client: Client, layer: &RefreshLayer) -> Self {
        Self {
            service: layer.layer(Plain(client)),
        }
    }

    /// Starts a `GET` request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Starts a `POST` request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Starts a `PUT` request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Starts a `PATCH` request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Starts a `DELETE` request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Starts a `HEAD` request.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Starts a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        let Plain(client) = self.service.get_ref();
        RequestBuilder::new(self.clone(), client.request(method, url))
    }

    /// Sends a request that was built elsewhere, such as with `reqwest::RequestBuilder::build`.
    ///
    /// # Errors
    ///
    /// If there is no token to be had, or as [`reqwest::Client::execute`](Client::execute).
    pub async fn execute(&self, request: Request) -> Result<Response, RequestError> {
        self.execute_with_extensions(request, Extensions::new())
            .await
    }

    /// Sends a request with what the layer looks for in extensions: [`SkipAuth`](crate::SkipAuth),
    /// [`NoReplay`](crate::replay::NoReplay), [`ReplayCap`](crate::replay::ReplayCap). Extensions
    /// inside of a [`Request`] cannot be read.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_with_extensions(
        &self,
        request: Request,
        extensions: Extensions,
    ) -> Result<Response, RequestError> {
        let mut service = self.service.clone();
        poll_fn(|cx| service.poll_ready(cx))
            .await
            .map_err(RequestError::new)?;
        let outgoing = Outgoing {
            request,
            extensions,
        };
        service.call(outgoing).await.map_err(RequestError::new)
    }
}

impl fmt::Debug for AuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthClient").finish_non_exhaustive()
    }
}

/// Sends what comes out of the layer.
#[derive(Clone)]
struct Plain(Client);

impl Service<Outgoing> for Plain {
    type Response = Response;
    type Error = ::reqwest::Error;
    type Future = <Client as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, outgoing: Outgoing) -> Self::Future {
        self.0.call(outgoing.request)
    }
}
