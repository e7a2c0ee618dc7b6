use std::time::Duration;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// What the gateway itself says, in the shape of the libraries' refusals.
pub(crate) fn refusal(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({ "error": error, "error_description": description });
    let mut response = (status, Json(body)).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// The upstream does not answer.
pub(crate) fn bad_gateway() -> Response {
    refusal(
        StatusCode::BAD_GATEWAY,
        "bad_gateway",
        "The upstream does not answer",
    )
}

/// Nothing is wrong with the session: the same request will do later, after `pause` if that is known.
pub(crate) fn try_later(description: &str, pause: Option<Duration>) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let seconds = pause.unwrap_or_default().as_secs_f64().ceil().max(1.0) as u64;
    let mut response = refusal(status, "temporarily_unavailable", description);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
