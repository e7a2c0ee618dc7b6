use std::net::IpAddr;

use axum::http::header::{FORWARDED, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// What the upstream is told of where a request came from (RFC 7239).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded {
    /// True if whoever connects is a proxy of ours.
    pub(crate) trusted: bool,
}

impl Forwarded {
    /// Says it in the headers of a request that came from `peer`.
    pub(crate) fn tell(self, request: &mut Parts, peer: IpAddr) {
        let host = host(request);
        let headers = &mut request.headers;
        if !self.trusted {
            forget(headers);
        }
        add(headers, X_FORWARDED_FOR, &peer.to_string());
        let node = match peer {
            IpAddr::V4(peer) => peer.to_string(),
            IpAddr::V6(peer) => format!("\"[{peer}]\""),
        };
        let element = match &host {
            Some(host) => format!("for={node};host=\"{host}\";proto=http"),
            None => format!("for={node};proto=http"),
        };
        add(headers, FORWARDED, &element);
        // A proxy in front knows better.
        let proto = HeaderValue::from_static("http");
        headers.entry(X_FORWARDED_PROTO).or_insert(proto);
        if let Some(Ok(host)) = host.map(HeaderValue::try_from) {
            headers.entry(X_FORWARDED_HOST).or_insert(host);
        }
    }
}

/// What clients say of themselves.
fn forget(headers: &mut HeaderMap) {
    let is_told = |it: &&HeaderName| {
        *it == FORWARDED || it.as_str() == "x-real-ip" || it.as_str().starts_with("x-forwarded-")
    };
    let told: Vec<_> = headers.keys().filter(is_told).cloned().collect();
    for name in told {
        headers.remove(name);
    }
}

/// At the right end, as one value: some read no other.
fn add(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    let list: Vec<_> = before.chain([element.as_bytes()]).collect();
    if let Ok(list) = HeaderValue::from_bytes(&list.join(b", ".as_slice())) {
        headers.insert(name, list);
    }
}

/// The name that the client used, if it can stand between quotes.
fn host(request: &Parts) -> Option<String> {
    let authority = request.uri.authority().map(|it| it.as_str());
    let header = request.headers.get(HOST).and_then(|it| it.to_str().ok());
    let host = authority.or(header)?;
    let is_plain = host
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || b"-._:[]".contains(&it));
    is_plain.then(|| host.to_owned())
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn told(trusted: bool, peer: &str) -> HeaderMap {
        let request = Request::get("/")
            .header("host", "app.example:8081")
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-user", "root")
            .header("forwarded", "for=6.6.6.6");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Forwarded { trusted }.tell(&mut parts, peer.parse().unwrap());
        parts.headers
    }

    #[test]
    fn what_a_client_says_of_itself_is_dropped() {
        let headers = told(false, "127.0.0.1");
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-host"], "app.example:8081");
        let element = r#"for=127.0.0.1;host="app.example:8081";proto=http"#;
        assert_eq!(headers["forwarded"], element);
        assert!(!headers.contains_key("x-forwarded-user"));
    }

    #[test]
    fn a_trusted_proxy_is_added_to() {
        let headers = told(true, "::1");
        assert_eq!(headers["x-forwarded-for"], "6.6.6.6, ::1");
        assert_eq!(headers["x-forwarded-proto"], "https");
        let elements = r#"for=6.6.6.6, for="[::1]";host="app.example:8081";proto=http"#;
        assert_eq!(headers["forwarded"], elements);
    }
}
