use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

/// The access token of a page that opens a WebSocket: it cannot set headers, only name protocols. The one
/// that begins with `bearer.` is no protocol and goes no further. A cookie would do without, but also for
/// the pages of other sites.
pub(crate) async fn of_websocket(mut request: Request) -> Request {
    let headers = request.headers_mut();
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','));
    let (tokens, protocols): (Vec<_>, Vec<_>) = offered
        .map(str::trim)
        .map(str::to_owned)
        .partition(|it| it.starts_with(MARK));
    if tokens.is_empty() {
        return request;
    }
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(protocols) = HeaderValue::try_from(protocols.join(", "))
        && !protocols.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    for token in &tokens {
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", &token[MARK.len()..])) {
            value.set_sensitive(true);
            headers.append(AUTHORIZATION, value);
        }
    }
    request
}

const MARK: &str = "bearer.";
