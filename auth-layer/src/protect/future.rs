use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::ResponseBody;
use super::gate::{Admission, Gate, Granted, Held};
use crate::proof::PendingReplay;
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
        /// Waits for keys.
        Verifying { pending: Pending<C>, held: Option<OnHold<S, ReqBody>> },
        /// Waits to hear whether the proof was used before.
        Remembering { pending: PendingReplay, held: Option<(Held<C>, OnHold<S, ReqBody>)> },
        /// The request may go on once the inner service is ready for it.
        Readying { inner: S, parked: Option<(Request<ReqBody>, Granted)> },
        /// The request went on.
        Inner { #[pin] future: F, granted: Granted },
        /// The request did not go on.
        Refused { response: Option<Response<Bytes>> },
    }
}

/// A request that waits, and the service that is made ready once it may go on: a service that is
/// ready would hold what other requests need, such as a permit.
pub(super) struct OnHold<S, ReqBody> {
    pub(super) inner: S,
    pub(super) request: Request<ReqBody>,
    pub(super) gate: Arc<Gate>,
}

impl<S, C, ReqBody> AuthFuture<S, C, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self::granted(future, Granted::default())
    }

    pub(super) fn granted(future: S::Future, granted: Granted) -> Self {
        Self {
            state: State::Inner { future, granted },
        }
    }

    pub(super) fn refused(response: Response<Bytes>) -> Self {
        Self {
            state: State::Refused {
                response: Some(response),
            },
        }
    }

    pub(super) fn verifying(pending: Pending<C>, held: OnHold<S, ReqBody>) -> Self {
        Self {
            state: State::Verifying {
                pending,
                held: Some(held),
            },
        }
    }

    pub(super) fn remembering(
        pending: PendingReplay,
        claims: Held<C>,
        held: OnHold<S, ReqBody>,
    ) -> Self {
        Self {
            state: State::Remembering {
                pending,
                held: Some((claims, held)),
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
                    let held = held.take().expect("polled after ready");
                    held.go_on(|gate, head| gate.admit(head, answer))
                }
                StateProj::Remembering { pending, held } => {
                    let freshness = ready!(pending.as_mut().poll(cx));
                    let (claims, held) = held.take().expect("polled after ready");
                    held.go_on(|gate, head| gate.settle(head, claims, freshness))
                }
                StateProj::Readying { inner, parked } => {
                    if let Err(error) = ready!(inner.poll_ready(cx)) {
                        return Poll::Ready(Err(error));
                    }
                    let (request, granted) = parked.take().expect("polled after ready");
                    State::Inner {
                        future: inner.call(request),
                        granted,
                    }
                }
                StateProj::Inner { future, granted } => {
                    let response = ready!(future.poll(cx)).map(|it| it.map(ResponseBody::inner));
                    return Poll::Ready(response.map(|it| granted.hand_out(it)));
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

impl<S, ReqBody> OnHold<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn go_on<C>(
        mut self,
        admit: impl FnOnce(&Gate, &mut Parts) -> Admission<C>,
    ) -> State<S, C, ReqBody, S::Future> {
        let (mut head, body) = self.request.into_parts();
        match admit(&self.gate, &mut head) {
            Admission::Granted(granted) => State::Readying {
                inner: self.inner,
                parked: Some((Request::from_parts(head, body), granted)),
            },
            Admission::Refused(rejection) => State::Refused {
                response: Some(self.gate.refuse(&rejection, &head.method, &head.headers)),
            },
            Admission::Waiting(pending, claims) => {
                self.request = Request::from_parts(head, body);
                State::Remembering {
                    pending,
                    held: Some((claims, self)),
                }
            }
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
            State::Remembering { .. } => "remembering",
            State::Readying { .. } => "readying",
            State::Inner { .. } => "inner",
            State::Refused { .. } => "refused",
        };
        f.debug_struct("AuthFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
