use std::error::Error;
use std::fmt;
use std::mem;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use tower_service::Service;

use crate::challenge::Rule;
use crate::future::{Allowance, Call, ResponseFuture};
use crate::managers::{Picked, Sessions};
use crate::replay::{NoReplay, ReplayCap, Request, Response};

/// The service that [`RefreshLayer`](crate::RefreshLayer) makes of `S`.
#[derive(Clone)]
pub struct RefreshService<S> {
    inner: S,
    sessions: Sessions,
    wants_retry: Rule,
    allowance: Allowance,
    replay_cap: usize,
    requires_session: bool,
}

/// In the extensions of a request: send it as it is, and hand its response out as it is.
/// A bare `reqwest::Request` [hides it](crate::reqwest#over-a-bare-client).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a mark, to be written by users")]
pub struct SkipAuth;

impl<S> RefreshService<S> {
    pub(crate) fn new(
        inner: S,
        sessions: Sessions,
        wants_retry: Rule,
        allowance: Allowance,
        replay_cap: usize,
        requires_session: bool,
    ) -> Self {
        Self {
            inner,
            sessions,
            wants_retry,
            allowance,
            replay_cap,
            requires_session,
        }
    }

    /// The wrapped service. What is sent through it directly carries no token.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    fn cap<R: Request>(&self, request: &R) -> Option<usize> {
        let Some(extensions) = request.extensions() else {
            return Some(self.replay_cap);
        };
        if extensions.get::<NoReplay>().is_some() {
            return None;
        }
        let cap = extensions.get::<ReplayCap>();
        Some(cap.map_or(self.replay_cap, |cap| cap.0))
    }

    fn new_call<R: Request>(&self, request: &R) -> Call {
        let (rule, allowance) = (self.wants_retry.clone(), self.allowance.clone());
        let call = Call::new(rule, allowance, self.cap(request));
        let call = call.requires_session(self.requires_session);
        #[cfg(feature = "tonic")]
        let call = call.grpc(request.is_grpc());
        call
    }
}

/// True if the caller wants it to go out as it is.
fn is_sealed<R: Request>(request: &R) -> bool {
    let is_marked = request
        .extensions()
        .is_some_and(|extensions| extensions.get::<SkipAuth>().is_some());
    is_marked || request.headers().contains_key(AUTHORIZATION)
}

impl<S, R> Service<R> for RefreshService<S>
where
    S: Service<R> + Clone,
    S::Response: Response,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    R: Request,
{
    type Response = S::Response;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The readied service is the one to call; its clone is not ready.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let call = self.new_call(&request);
        if is_sealed(&request) {
            return ResponseFuture::pass_through(call, ready, request);
        }
        match self.sessions.pick(request.extensions()) {
            Picked::Now(loaded) => ResponseFuture::begin(call, ready, request, loaded),
            Picked::Later(picking) => ResponseFuture::pick(call, ready, request, picking),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for RefreshService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshService")
            .field("inner", &self.inner)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}
