use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The gRPC status codes that refusals use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    InvalidArgument = 3,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// The content type of a gRPC or gRPC-web call; none for any other request.
pub(super) fn content_type(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(CONTENT_TYPE)?;
    value
        .as_bytes()
        .starts_with(b"application/grpc")
        .then(|| value.clone())
}

/// A trailers-only response (gRPC over HTTP/2, "Responses").
pub(super) fn status(code: Code, message: &str, content_type: HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert("grpc-status", HeaderValue::from(code as u16));
    let message = utf8_percent_encode(message, NOT_PLAIN).to_string();
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert("grpc-message", message);
    }
    response
}

/// All but printable ASCII, and the percent sign.
const NOT_PLAIN: &AsciiSet = &CONTROLS.add(b'%');
