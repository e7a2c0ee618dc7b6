use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::future::OnHold;
use super::gate::{Admission, Approach, Gate};
use super::{AuthFuture, ResponseBody};
use crate::verify::Verify;

/// What [`AuthLayer`](super::AuthLayer) makes of a service.
#[derive(Clone, Debug)]
pub struct AuthService<S, V> {
    inner: S,
    verify: V,
    gate: Arc<Gate>,
}

impl<S, V> AuthService<S, V> {
    pub(super) fn new(inner: S, verify: V, gate: Arc<Gate>) -> Self {
        Self {
            inner,
            verify,
            gate,
        }
    }
}

impl<S, V, ReqBody, ResBody> Service<Request<ReqBody>> for AuthService<S, V>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    V: Verify,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = AuthFuture<S, V::Custom, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let verification = match self.gate.approach(&request) {
            Approach::Pass => return AuthFuture::inner(self.inner.call(request)),
            Approach::Verify(token) => self.verify.verify(token),
            Approach::Refuse(rejection) => {
                return AuthFuture::refused(self.gate.refuse(&rejection, request.headers()));
            }
        };
        let answer = match verification.now() {
            Ok(answer) => answer,
            Err(pending) => {
                return AuthFuture::verifying(pending, self.hold(request));
            }
        };
        let (mut head, body) = request.into_parts();
        match self.gate.admit(&mut head, answer) {
            Admission::Granted(granted) => {
                let request = Request::from_parts(head, body);
                AuthFuture::granted(self.inner.call(request), granted)
            }
            Admission::Refused(it) => AuthFuture::refused(self.gate.refuse(&it, &head.headers)),
            Admission::Waiting(pending, claims) => {
                let request = Request::from_parts(head, body);
                AuthFuture::remembering(pending, claims, self.hold(request))
            }
        }
    }
}

impl<S: Clone, V> AuthService<S, V> {
    fn hold<B>(&mut self, request: Request<B>) -> OnHold<S, B> {
        // It is the service made ready that will be called, so its clone stays behind.
        let clone = self.inner.clone();
        OnHold {
            ready: mem::replace(&mut self.inner, clone),
            request,
            gate: self.gate.clone(),
        }
    }
}
