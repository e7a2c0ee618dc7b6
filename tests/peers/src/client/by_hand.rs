use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response, StatusCode};
use tower::Service;

use super::Body;

/// What one writes in an afternoon: the token behind a mutex, a clone of the request in case of a 401. It neither knows
/// origins nor shares refreshes, and boxes its future only if it has to be sent again.
#[derive(Clone)]
pub(super) struct ByHand<S> {
    inner: S,
    token: Arc<Mutex<String>>,
    refresh: fn() -> Refresh,
}

type Refresh = Pin<Box<dyn Future<Output = String> + Send>>;

impl<S> ByHand<S> {
    pub(super) fn new(inner: S, token: &str, refresh: fn() -> Refresh) -> Self {
        let token = Arc::new(Mutex::new(token.to_owned()));
        Self {
            inner,
            token,
            refresh,
        }
    }
}

impl<S> Service<Request<Body>> for ByHand<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Attempt<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Attempt<S> {
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let again = request.clone();
        authorize(&mut request, &self.token);
        let response = ready.call(request);
        Attempt {
            by_hand: Self {
                inner: ready,
                token: self.token.clone(),
                refresh: self.refresh,
            },
            again: Some(again),
            response,
            retry: None,
        }
    }
}

pub(super) struct Attempt<S: Service<Request<Body>>> {
    by_hand: ByHand<S>,
    again: Option<Request<Body>>,
    response: S::Future,
    retry: Option<Retry<S>>,
}

type Retry<S> = Pin<Box<dyn Future<Output = Output<S>> + Send>>;
type Output<S> =
    Result<<S as Service<Request<Body>>>::Response, <S as Service<Request<Body>>>::Error>;

impl<S: Service<Request<Body>>> Unpin for Attempt<S> {}

impl<S> Future for Attempt<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + Unpin,
{
    type Output = Output<S>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.retry.is_none() {
            let polled = Pin::new(&mut self.response).poll(cx);
            match polled {
                Poll::Ready(Ok(refused)) if refused.status() == StatusCode::UNAUTHORIZED => {}
                polled => return polled,
            }
            let again = self
                .again
                .take()
                .expect("not polled after it has completed");
            self.retry = Some(Box::pin(retry(self.by_hand.clone(), again)));
        }
        self.retry
            .as_mut()
            .map_or(Poll::Pending, |it| it.as_mut().poll(cx))
    }
}

async fn retry<S>(mut by_hand: ByHand<S>, mut request: Request<Body>) -> Output<S>
where
    S: Service<Request<Body>>,
{
    let fresh = (by_hand.refresh)().await;
    *by_hand.token.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
    authorize(&mut request, &by_hand.token);
    std::future::poll_fn(|cx| by_hand.inner.poll_ready(cx)).await?;
    by_hand.inner.call(request).await
}

fn authorize(request: &mut Request<Body>, token: &Mutex<String>) {
    let token = token.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let header = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token");
    request.headers_mut().insert(AUTHORIZATION, header);
}
