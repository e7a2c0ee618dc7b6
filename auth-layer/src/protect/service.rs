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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let verification = match self.gate.approach(&request) {
            Approach::Pass => return AuthFuture::inner(self.inner.call(request)),
            Approach::Preflight => {
                self.gate.pass_preflight(&mut request);
                return AuthFuture::inner(self.inner.call(request));
            }
            Approach::Verify(token) => self.verify.verify(token),
            Approach::Refuse(rejection) => {
                self.unready();
                let (method, headers) = (request.method(), request.headers());
                return AuthFuture::refused(self.gate.refuse(&rejection, method, headers));
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
            Admission::Refused(rejection) => {
                self.unready();
                AuthFuture::refused(self.gate.refuse(&rejection, &head.method, &head.headers))
            }
            Admission::Waiting(pending, claims) => {
                let request = Request::from_parts(head, body);
                AuthFuture::remembering(pending, claims, self.hold(request))
            }
        }
    }
}

impl<S: Clone, V> AuthService<S, V> {
    /// Parks the request, with a service to make ready once it may go on.
    fn hold<B>(&mut self, request: Request<B>) -> OnHold<S, B> {
        self.unready();
        OnHold {
            inner: self.inner.clone(),
            request,
            gate: self.gate.clone(),
        }
    }

    /// Drops the service that was made ready, and with it what it holds for the call that does not
    /// come now, such as the permit of a concurrency limit. The caller makes the next one ready.
    fn unready(&mut self) {
        self.inner = self.inner.clone();
    }
}
