//! The future of a request that goes through the layer.

mod allowance;
mod answer;
mod call;
mod need;
mod next;
mod possession;
#[cfg(feature = "tonic")]
mod status;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::AUTHORIZATION;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::manager::{Lease, Pending, TokenError, Wait};
use crate::managers::{Loaded, Picking};
use crate::replay::{Obstacle, Request, Response, Spare};

pub(crate) use self::allowance::Allowance;
pub(crate) use self::call::Call;

use self::allowance::Held;
use self::answer::{Answer, Rest};
use self::next::Next;
use self::possession::Possession;

pin_project! {
    /// The response future of [`RefreshService`](crate::RefreshService).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
        R: Request,
    {
        call: Call,
        // For the next attempt; it is not ready yet.
        service: S,
        // What the next attempt sends.
        next: Option<Next<R>>,
        // The response that asked for a fresher token, in case there is none; `None` also if there was
        // no room for it.
        refusal: Option<Held<S::Response>>,
        #[pin]
        state: State<S::Future, S::Response>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, T> {
        // It is being found out whose request this is.
        Picking { picking: Picking },
        // No token yet. What is held that others might need to get one is little: no readied service,
        // and of refused responses no more than the allowance.
        Waiting { wait: Pin<Box<Wait>> },
        // There is a token, or there need not be one, and the service is made ready.
        Readying { lease: Option<Lease> },
        // An attempt is under way.
        Sent { #[pin] response: F },
        // There is a response whose status may be in the trailers.
        Answered { answer: Answer<T> },
        // Over before it began.
        Failed { error: Option<TokenError> },
    }
}

type Output<S, R> = Result<<S as Service<R>>::Response, Box<dyn Error + Send + Sync>>;

impl<S, R> ResponseFuture<S, R>
where
    S: Service<R> + Clone,
    R: Request,
{
    /// Sends `request` with `ready`, at once if there is a token.
    pub(crate) fn begin(mut call: Call, ready: S, request: R, loaded: Loaded) -> Self {
        match open(&mut call, loaded, &request) {
            Pending::Ready(verdict) => match call.check(verdict) {
                Ok(lease) => Self::send_at_once(call, ready, request, lease),
                Err(error) => {
                    let state = State::Failed { error: Some(error) };
                    Self::new(call, ready.clone(), None, state)
                }
            },
            Pending::Later(wait) => Self::later(call, &ready, request, State::Waiting { wait }),
        }
    }

    /// Sends `request` once it is known whose it is.
    pub(crate) fn pick(call: Call, ready: S, request: R, picking: Picking) -> Self {
        Self::later(call, &ready, request, State::Picking { picking })
    }

    /// The clone is not ready, and what was readied goes back to those who can use it.
    fn later(call: Call, ready: &S, request: R, state: State<S::Future, S::Response>) -> Self {
        Self::new(call, ready.clone(), Some(Next::Unsent(request)), state)
    }

    /// Sends `request` with `ready` and without a token.
    pub(crate) fn pass_through(call: Call, ready: S, request: R) -> Self {
        Self::send_at_once(call, ready, request, None)
    }

    fn send_at_once(mut call: Call, mut ready: S, request: R, lease: Option<Lease>) -> Self {
        let (response, next) = send(&mut call, &mut ready, request, lease);
        Self::new(call, ready, next, State::Sent { response })
    }

    fn new(
        call: Call,
        service: S,
        next: Option<Next<R>>,
        state: State<S::Future, S::Response>,
    ) -> Self {
        Self {
            call,
            service,
            next,
            refusal: None,
            state,
        }
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<R>,
    S::Response: Response,
    R: Request,
{
    /// Goes on with what the manager said; `Some` if that is the end.
    fn resume(
        self: Pin<&mut Self>,
        pending: Pending,
        refusal: Option<S::Response>,
    ) -> Option<Output<S, R>> {
        let mut this = self.project();
        let verdict = match pending {
            Pending::Ready(verdict) => verdict,
            Pending::Later(wait) => {
                *this.refusal = refusal.and_then(|it| this.call.allowance().hold(it));
                this.state.set(State::Waiting { wait });
                return None;
            }
        };
        let lease = match (this.call.check(verdict), refusal) {
            // The response that asked for a fresher token is dropped here, before the retry.
            (Ok(lease), _) => lease,
            (Err(error), Some(refusal)) if call::leaves_refusal(&error) => {
                return Some(Ok(this.call.give_up(&error, refusal)));
            }
            (Err(error), _) => return Some(Err(this.call.boxed(error))),
        };
        this.state.set(State::Readying { lease });
        None
    }

    /// Asks for another attempt if the response does; `Some` if it is the one for the caller.
    fn judge(
        mut self: Pin<&mut Self>,
        mut response: S::Response,
        rest: Rest,
    ) -> Option<Output<S, R>> {
        let this = self.as_mut().project();
        let next = this.next.as_ref();
        let hold = || next.map_or(Err(Obstacle::Once), Next::pause);
        let Some(need) = this.call.judge(&mut response, rest.trailers(), hold) else {
            if let Rest::Unseen = rest {
                this.call.watch(&mut response);
            }
            return Some(Ok(response));
        };
        // While a token is fetched there is time for this, and hardly any afterwards.
        *this.next = this.next.take().map(Next::prepare);
        let pending = this.call.supply(need);
        self.resume(pending, Some(response))
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    S: Service<R> + Clone,
    S::Response: Response,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    R: Request,
{
    type Output = Output<S, R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let end = match this.state.as_mut().project() {
                StateProj::Picking { picking } => {
                    let loaded = ready!(picking.as_mut().poll(cx));
                    let unsent = this.next.as_ref().and_then(Next::unsent);
                    let pending = open(this.call, loaded, unsent.expect(POLLED_AGAIN));
                    self.as_mut().resume(pending, None)
                }
                StateProj::Waiting { wait } => {
                    let verdict = ready!(wait.as_mut().poll(cx));
                    this.call.waited();
                    let refusal = this.refusal.take().map(Held::release);
                    self.as_mut().resume(Pending::Ready(verdict), refusal)
                }
                StateProj::Readying { lease } => {
                    ready!(this.service.poll_ready(cx)).map_err(Into::into)?;
                    let lease = this.call.newest(lease.take());
                    let lease = lease.map_err(|error| this.call.boxed(error))?;
                    let request = this.next.take().and_then(Next::into_request);
                    let request = request.expect(POLLED_AGAIN);
                    let (response, next) = send(this.call, this.service, request, lease);
                    *this.next = next;
                    this.state.set(State::Sent { response });
                    None
                }
                StateProj::Sent { response } => {
                    let response = ready!(response.poll(cx)).map_err(Into::into)?;
                    match Answer::new(response, this.next.is_some()) {
                        Ok(answer) => {
                            this.state.set(State::Answered { answer });
                            None
                        }
                        Err(response) => self.as_mut().judge(response, Rest::Unseen),
                    }
                }
                StateProj::Answered { answer } => {
                    let is_sent = this.next.as_ref().is_none_or(Next::is_sent);
                    let (response, rest) = ready!(answer.poll(cx, is_sent));
                    self.as_mut().judge(response, rest)
                }
                StateProj::Failed { error } => {
                    let error = error.take().expect(POLLED_AGAIN);
                    Some(Err(this.call.boxed(error)))
                }
            };
            if let Some(output) = end {
                // Keep no more of an upload that goes on.
                *self.as_mut().project().next = None;
                return Poll::Ready(output);
            }
        }
    }
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<R>,
    R: Request,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Asks the session that was found for its token.
fn open<R: Request>(call: &mut Call, loaded: Loaded, request: &R) -> Pending {
    match loaded {
        Ok(manager) => {
            call.open(manager, request);
            call.lease()
        }
        Err(error) => Pending::Ready(Err(error)),
    }
}

/// Sends `request` with the token. Of an attempt that carries one, enough is kept for another, if there
/// may be one.
fn send<S, R>(
    call: &mut Call,
    service: &mut S,
    mut request: R,
    lease: Option<Lease>,
) -> (S::Future, Option<Next<R>>)
where
    S: Service<R>,
    R: Request,
{
    let Some(lease) = lease else {
        call.sent(None, None);
        return (service.call(request), None);
    };
    call.aim(&request);
    let mut spare = None;
    if let Some(cap) = call.cap().filter(|_| call.may_try_again(&lease)) {
        spare = Spare::copy(&request);
        if spare.is_none() {
            (request, spare) = Spare::record(request, cap);
        }
    }
    request
        .headers_mut()
        .insert(AUTHORIZATION, lease.token.header());
    let possession = Possession::prove(&lease.token, &mut request);
    call.sent(Some(lease.generation), possession);
    (service.call(request), spare.map(Next::Again))
}

const POLLED_AGAIN: &str = "a future is not polled after it has completed";
