use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Request;
use http::request::Parts;
use http_body::Body;
use tower_service::Service;

use super::endpoints::{Shared, TokenEndpoints};
use super::read::read;
use super::refusal::Refusal;
use super::route::Route;
use super::{EndpointBody, Response};

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
            let answer = shared.answer(&parts, body).await;
            answer.unwrap_or_else(|refusal| {
                refusal.trace();
                refusal.into()
            })
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
    async fn answer<B>(&self, request: &Parts, body: B) -> Result<Response, Refusal>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let headers = &request.headers;
        let route = Route::of(&request.method, request.uri.path())?;
        if route == Route::Introspect && !self.clients.any_confidential() {
            return Err(Refusal::UNKNOWN_PATH);
        }
        let body = match route.media() {
            Some(media) => read(headers, body, self.body_timeout, media).await?,
            None => Default::default(),
        };
        match route {
            Route::Refresh => self.refresh(request, &body).await,
            Route::Token => self.token(request, &body).await,
            Route::Revoke => self.revoke(request, &body).await,
            Route::Introspect => self.introspect(request, &body).await,
            Route::LogOut => self.log_out(request, &body).await,
            Route::Sessions(wish) => self.sessions(request, wish).await,
            Route::Keys => Ok(self.keys(headers)),
            Route::Metadata => Ok(self.metadata()),
        }
    }
}
