use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{Extensions, HeaderMap, Method};

/// The mark of a CORS preflight request that [`AuthLayer`](super::AuthLayer) let through. Only that
/// layer makes one, so the layers further in need not trust the headers.
#[derive(Clone, Copy)]
pub(super) struct Preflight(());

impl Preflight {
    pub(super) fn mark(extensions: &mut Extensions) {
        extensions.insert(Self(()));
    }

    pub(super) fn is_marked(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}

/// Whether this is a CORS preflight request (Fetch Standard, "CORS-preflight request").
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Reports a refused preflight request: the browser shows a CORS error, which hides the cause.
pub(super) fn log_refusal(method: &Method, headers: &HeaderMap) {
    if is_preflight(method, headers) {
        tracing::info!(
            "CORS preflight request refused: put CorsLayer outside of AuthLayer, or call \
             bypass_cors_preflight"
        );
    }
}
