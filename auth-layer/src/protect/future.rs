use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::ResponseBody;
use super::gate::Gate;
use crate::verify::Pending;

pin_project! {
    /// The future of [`AuthService`](super::AuthService).
    pub struct AuthFuture<S, C, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, C, ReqBody, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, C, ReqBody, F> {
        /// Waits for keys; `S` is ready for the request.
        Verifying { pending: Pending<C>, held: Option<(S, Request<ReqBody>, Arc<Gate>)> },
        /// The request went on.
        Inner { #[pin] future: F },
        /// The request did not go on.
        Refused { response: Option<Response<Bytes>> },
    }
}

impl<S, C, ReqBody> AuthFuture<S, C, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self {
            state: State::Inner { future },
        }
    }

    pub(super) fn refused(response: Response<Bytes>) -> Self {
        Self {
            state: State::Refused {
                response: Some(response),
            },
        }
    }

    pub(super) fn verifying(
        pending: Pending<C>,
        ready: S,
        request: Request<ReqBody>,
        gate: Arc<Gate>,
    ) -> Self {
        Self {
            state: State::Verifying {
                pending,
                held: Some((ready, request, gate)),
            },
        }
    }
}

impl<S, C, ReqBody, ResBody> Future for AuthFuture<S, C, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    C: Send + Sync + 'static,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    /// # Panics
    /// When polled after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Verifying { pending, held } => {
                    let answer = ready!(pending.as_mut().poll(cx));
                    let (mut inner, mut request, gate) = held.take().expect("polled after ready");
                    match gate.admit(&mut request, answer) {
                        Ok(()) => State::Inner {
                            future: inner.call(request),
                        },
                        Err(it) => State::Refused {
                            response: Some(gate.refuse(&it, request.headers())),
                        },
                    }
                }
                StateProj::Inner { future } => {
                    return future.poll(cx).map_ok(|it| it.map(ResponseBody::inner));
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after ready");
                    return Poll::Ready(Ok(response.map(ResponseBody::fixed)));
                }
            };
            state.set(next);
        }
    }
}

impl<S, C, ReqBody> fmt::Debug for AuthFuture<S, C, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Verifying { .. } => "verifying",
            State::Inner { .. } => "inner",
            State::Refused { .. } => "refused",
        };
        f.debug_struct("AuthFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
