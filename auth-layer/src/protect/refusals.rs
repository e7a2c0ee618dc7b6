use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::challenge::{Challenge, Scheme};
use super::{Rejection, grpc};
use crate::metrics;

/// Gives HTTP refusals another shape; a closure will do.
///
/// ```
/// use auth_layer::protect::Rejection;
/// use bytes::Bytes;
/// use http::Response;
///
/// let as_text = |rejection: &Rejection, response: Response<Bytes>| {
///     let text = Bytes::from_static(rejection.description().as_bytes());
///     response.map(|_| text)
/// };
/// ```
pub trait RenderRejection: Send + Sync + 'static {
    /// The response to send instead of `response`, the usual one. Keep its `WWW-Authenticate`:
    /// clients go by it. Calls over gRPC get their status as always.
    fn render(&self, rejection: &Rejection, response: Response<Bytes>) -> Response<Bytes>;
}

impl<F> RenderRejection for F
where
    F: Fn(&Rejection, Response<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
{
    fn render(&self, rejection: &Rejection, response: Response<Bytes>) -> Response<Bytes> {
        self(rejection, response)
    }
}

/// How requests are refused. Travels in the extensions of those that were let in, where it is not
/// the usual way, to the layers further in.
#[derive(Clone, Default)]
pub(super) struct Refusals {
    pub(super) realm: Option<String>,
    pub(super) resource_metadata: Option<String>,
    pub(super) render: Option<Arc<dyn RenderRejection>>,
    /// `algs` of the DPoP challenge (RFC 9449 s5.1), where there is one.
    pub(super) dpop: Option<String>,
    /// No other challenge than that.
    pub(super) dpop_only: bool,
}

/// How a request is refused that was sent with a scheme.
#[derive(Clone, Debug, Default)]
pub(super) struct RefusalsTo {
    refusals: Arc<Refusals>,
    scheme: Scheme,
}

impl RefusalsTo {
    /// The refusal of a request with these headers, and a word about it in the log.
    pub(super) fn refuse(&self, rejection: &Rejection, headers: &HeaderMap) -> Response<Bytes> {
        let (label, reason) = (rejection.label(), rejection.description());
        metrics::request(label);
        tracing::debug!(rejection = label, reason, "request refused");
        if let Some(content_type) = grpc::content_type(headers) {
            return rejection.to_grpc(content_type);
        }
        let response = self.refusals.answer(rejection, self.scheme);
        match &self.refusals.render {
            Some(render) => render.render(rejection, response),
            None => response,
        }
    }
}

impl Refusals {
    /// These, to requests sent with `scheme`.
    pub(super) fn to(self: &Arc<Self>, scheme: Scheme) -> RefusalsTo {
        RefusalsTo {
            refusals: self.clone(),
            scheme,
        }
    }

    /// The usual response over HTTP.
    pub(super) fn answer(&self, rejection: &Rejection, scheme: Scheme) -> Response<Bytes> {
        let asked = match scheme {
            Scheme::Bearer if !self.dpop_only => [Some(Scheme::Bearer), self.dpop_scheme()],
            Scheme::Bearer => [Some(Scheme::Dpop), None],
            Scheme::Dpop => [Some(Scheme::Dpop), self.bearer_scheme()],
        };
        // The scheme that the client chose comes first and says what was wrong.
        let challenges = asked.into_iter().flatten().enumerate();
        rejection.to_http(challenges.map(|(at, scheme)| {
            let challenge = Challenge::new(scheme).with_some("realm", self.realm.as_deref());
            let challenge = match at {
                0 => rejection.explain(challenge),
                _ => challenge,
            };
            let algs = self.dpop.as_deref().filter(|_| scheme == Scheme::Dpop);
            challenge
                .with_some("algs", algs)
                .with_some("resource_metadata", self.resource_metadata.as_deref())
        }))
    }

    /// Whether layers further in should know.
    pub(super) fn is_unusual(&self) -> bool {
        self.render.is_some() || self.resource_metadata.is_some() || self.dpop.is_some()
    }

    fn dpop_scheme(&self) -> Option<Scheme> {
        self.dpop.is_some().then_some(Scheme::Dpop)
    }

    fn bearer_scheme(&self) -> Option<Scheme> {
        (!self.dpop_only).then_some(Scheme::Bearer)
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals")
            .field("realm", &self.realm)
            .field("resource_metadata", &self.resource_metadata)
            .field("dpop", &self.dpop)
            .finish_non_exhaustive()
    }
}
