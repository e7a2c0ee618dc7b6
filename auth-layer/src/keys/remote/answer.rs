use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING};
use http::{HeaderMap, Response, StatusCode};

use super::RemoteKeysErrorKind;

/// The largest body that is read.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// The body of an answer that is what was asked for; none: as it was (304).
pub(super) fn body(
    response: Response<Bytes>,
    is_conditional: bool,
) -> Result<Option<Bytes>, RemoteKeysErrorKind> {
    let (head, body) = response.into_parts();
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if is_conditional => return Ok(None),
        status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
            return Err(RemoteKeysErrorKind::Redirected);
        }
        status => return Err(RemoteKeysErrorKind::Status(status)),
    }
    let is_plain = |it: &http::HeaderValue| it.as_bytes().eq_ignore_ascii_case(b"identity");
    if !head.headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Err(RemoteKeysErrorKind::Encoded);
    }
    if body.len() > MAX_BYTES {
        return Err(RemoteKeysErrorKind::TooLarge);
    }
    Ok(Some(body))
}

/// How long an answer is fresh (RFC 9111 s4.2): 1 min to 24 h, 1 h if it does not say.
pub(super) fn lifetime(headers: &HeaderMap) -> Duration {
    let directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .map(|it| it.trim().to_ascii_lowercase());
    let mut lifetime = DEFAULT;
    for directive in directives {
        match directive.split_once('=').unwrap_or((&directive, "")) {
            ("max-age", seconds) => {
                let seconds = seconds.trim_matches('"').parse();
                lifetime = seconds.map_or(DEFAULT, |it: u64| age(headers, it));
            }
            ("no-cache" | "no-store", _) => return SHORTEST,
            _ => {}
        }
    }
    lifetime.clamp(SHORTEST, LONGEST)
}

/// What is left of `max_age` after the time that the answer spent in caches (RFC 9111 s5.1).
fn age(headers: &HeaderMap, max_age: u64) -> Duration {
    let age = headers.get(AGE).and_then(|it| it.to_str().ok());
    let age = age.and_then(|it| it.parse().ok()).unwrap_or(0);
    Duration::from_secs(max_age.saturating_sub(age))
}

const SHORTEST: Duration = Duration::from_secs(60);
const DEFAULT: Duration = Duration::from_secs(60 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&'static str, &str)], body: Vec<u8>) -> Response<Bytes> {
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    }

    #[test]
    fn keys_are_fresh_for_as_long_as_the_answer_says_within_a_minute_and_a_day() {
        let seconds = |headers: &[(&'static str, &str)]| {
            lifetime(response(200, headers, vec![]).headers()).as_secs()
        };
        let control = |value| seconds(&[("cache-control", value)]);
        assert_eq!(seconds(&[]), 3600);
        assert_eq!(control("public, Max-Age=600, must-revalidate"), 600);
        assert_eq!(control("max-age=\"600\""), 600);
        assert_eq!(control("max-age=15"), 60);
        assert_eq!(control("max-age=0"), 60);
        assert_eq!(control("max-age=99999999999"), 86_400);
        assert_eq!(control("max-age=-1"), 3600);
        assert_eq!(control("max-age"), 3600);
        assert_eq!(control("s-maxage=600"), 3600);
        assert_eq!(control("no-store, max-age=600"), 60);
        let aged = [("cache-control", "max-age=600"), ("age", "100")];
        assert_eq!(seconds(&aged), 500);
        let old = [("cache-control", "max-age=600"), ("age", "9999")];
        assert_eq!(seconds(&old), 60);
    }

    /// V3.
    #[test]
    fn only_a_plain_small_answer_with_status_200_is_read() {
        use RemoteKeysErrorKind::{Encoded, Redirected, Status, TooLarge};
        fn read(
            status: u16,
            headers: &[(&'static str, &str)],
            body: Vec<u8>,
        ) -> Result<Option<Bytes>, RemoteKeysErrorKind> {
            super::body(response(status, headers, body), false)
        }
        assert!(read(200, &[], vec![b'x'; MAX_BYTES]).is_ok());
        assert!(read(200, &[("content-encoding", "identity")], vec![]).is_ok());
        assert_eq!(
            read(200, &[], vec![b'x'; MAX_BYTES + 1]).unwrap_err(),
            TooLarge
        );
        for coding in ["gzip", "br", "identity, gzip", "x"] {
            let headers = [("content-encoding", coding)];
            assert_eq!(read(200, &headers, vec![]).unwrap_err(), Encoded);
        }
        for status in [300, 301, 302, 303, 307, 308] {
            assert_eq!(read(status, &[], vec![]).unwrap_err(), Redirected);
        }
        for status in [204, 206, 304, 400, 404, 500, 503] {
            let expected = Status(StatusCode::from_u16(status).unwrap());
            assert_eq!(read(status, &[], vec![]).unwrap_err(), expected);
        }
        let unchanged = super::body(response(304, &[], vec![]), true);
        assert_eq!(unchanged, Ok(None));
    }
}
