use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::reqwest::redirect::Policy;
use ::reqwest::{Body, Client, ClientBuilder, Error, Request};
use tower_service::Service;

/// A [`reqwest::Client`](Client) for [`HttpRefresher`](crate::HttpRefresher), which speaks
/// `http::Request`.
///
/// It does not follow redirects: a refresh token goes where it was sent, and nowhere else.
#[derive(Clone)]
pub struct ReqwestService {
    client: Client,
}

impl ReqwestService {
    /// Builds the client, with redirects switched off.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    pub fn new(builder: ClientBuilder) -> Result<Self, Error> {
        let client = builder.redirect(Policy::none()).build()?;
        Ok(Self { client })
    }
}

impl Service<http::Request<Body>> for ReqwestService {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let sent = Request::try_from(request).map(|request| self.client.call(request));
        Box::pin(async move { sent?.await.map(Into::into) })
    }
}

impl fmt::Debug for ReqwestService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestService").finish_non_exhaustive()
    }
}
