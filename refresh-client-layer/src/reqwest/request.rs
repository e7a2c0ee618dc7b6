use std::time::Duration;

use ::reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ::reqwest::{Body, Request, Response, Version};
use http::Extensions;
use serde::Serialize;

use super::client::AuthClient;
use super::error::RequestError;
use crate::replay::{NoReplay, ReplayCap};
use crate::service::SkipAuth;

/// A request that is being built; like [`reqwest::RequestBuilder`](::reqwest::RequestBuilder), but
/// sent through the layer.
#[must_use = "a request does nothing until it is sent"]
#[derive(Debug)]
pub struct RequestBuilder {
    client: AuthClient,
    builder: ::reqwest::RequestBuilder,
    extensions: Extensions,
}

impl RequestBuilder {
    pub(super) fn new(client: AuthClient, builder: ::reqwest::RequestBuilder) -> Self {
        Self {
            client,
            builder,
            extensions: Extensions::new(),
        }
    }

    /// Adds a header.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.with(|builder| builder.header(name, value))
    }

    /// Adds headers, in place of those with the same name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|builder| builder.headers(headers))
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|builder| builder.body(body))
    }

    /// Sets the body to `json`, serialised, and the content type to go with it.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
        self.with(|builder| builder.json(json))
    }

    /// Sets the body to `form`, serialised, and the content type to go with it.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        self.with(|builder| builder.form(form))
    }

    /// Adds to the query of the URL.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
        self.with(|builder| builder.query(query))
    }

    /// Bounds each attempt, in place of the client's time-out. Waiting for a token is not counted.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|builder| builder.timeout(timeout))
    }

    /// Sets the HTTP version.
    pub fn version(self, version: Version) -> Self {
        self.with(|builder| builder.version(version))
    }

    /// Authenticates with HTTP Basic. The request then passes the layer untouched.
    pub fn basic_auth(
        self,
        user: impl std::fmt::Display,
        password: Option<impl std::fmt::Display>,
    ) -> Self {
        self.with(|builder| builder.basic_auth(user, password))
    }

    /// Authenticates with a token of the caller's. The request then passes the layer untouched.
    pub fn bearer_auth(self, token: impl std::fmt::Display) -> Self {
        self.with(|builder| builder.bearer_auth(token))
    }

    /// Sends the request past the layer, as [`SkipAuth`] does.
    pub fn skip_auth(self) -> Self {
        self.with_extension(SkipAuth)
    }

    /// Sends the request once, whatever the answer, as [`NoReplay`] does.
    pub fn no_replay(self) -> Self {
        self.with_extension(NoReplay)
    }

    /// Keeps up to so many bytes of a streamed body until the server has answered, as [`ReplayCap`]
    /// does.
    pub fn replay_cap(self, bytes: usize) -> Self {
        self.with_extension(ReplayCap(bytes))
    }

    /// Attaches something for the layer to see.
    pub fn with_extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.extensions.insert(extension);
        self
    }

    /// Anything else that `reqwest` can do with a request, such as a multipart body.
    pub fn with(
        mut self,
        change: impl FnOnce(::reqwest::RequestBuilder) -> ::reqwest::RequestBuilder,
    ) -> Self {
        self.builder = change(self.builder);
        self
    }

    /// The request, to be sent with [`AuthClient::execute`]. Extensions are not part of it.
    ///
    /// # Errors
    ///
    /// If a part of it is malformed, such as the URL.
    pub fn build(self) -> Result<Request, RequestError> {
        self.builder.build().map_err(RequestError::new)
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// If there is no token to be had, or as
    /// [`reqwest::RequestBuilder::send`](::reqwest::RequestBuilder::send).
    pub async fn send(self) -> Result<Response, RequestError> {
        let Self {
            client,
            builder,
            extensions,
        } = self;
        let request = builder.build().map_err(RequestError::new)?;
        client.execute_with_extensions(request, extensions).await
    }
}
