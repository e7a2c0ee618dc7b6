use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::{Rejection, grpc};

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
}

impl Refusals {
    /// The refusal of a request with these headers, and a word about it in the log.
    pub(super) fn refuse(&self, rejection: &Rejection, headers: &HeaderMap) -> Response<Bytes> {
        let (label, reason) = (rejection.label(), rejection.description());
        tracing::debug!(rejection = label, reason, "request refused");
        if let Some(content_type) = grpc::content_type(headers) {
            return rejection.to_grpc(content_type);
        }
        let response = rejection.to_http(self.realm.as_deref(), self.resource_metadata.as_deref());
        match &self.render {
            Some(render) => render.render(rejection, response),
            None => response,
        }
    }

    /// Whether layers further in should know.
    pub(super) fn is_unusual(&self) -> bool {
        self.render.is_some() || self.resource_metadata.is_some()
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals")
            .field("realm", &self.realm)
            .field("resource_metadata", &self.resource_metadata)
            .finish_non_exhaustive()
    }
}
