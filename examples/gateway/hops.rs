use axum::http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Takes out of a request what is between its client and the gateway.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip(headers);
    // The token and the cookie of the gateway's own session; the upstream's name is another; and hyper has
    // said already that the client may go on.
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, HOST, EXPECT] {
        headers.remove(name);
    }
    strip_cookie(headers);
    headers.append(VIA, HeaderValue::from_static("1.1 gateway"));
}

/// Takes out of a response what is between the upstream and the gateway.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip(headers);
    headers.remove(PROXY_AUTHENTICATE);
    let set: Vec<_> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in set.into_iter().filter(|it| !is_ours(it.as_bytes())) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// RFC 9110 s7.6.1.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|it| it.parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// True if the message asks for another protocol (RFC 9110 s7.8).
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && tokens(headers, &CONNECTION).any(|it| it.eq_ignore_ascii_case("upgrade"))
}

/// The elements of a list (RFC 9110 s5.6.1).
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|it| it.to_str().ok());
    values
        .flat_map(|it| it.split(','))
        .map(str::trim)
        .filter(|it| !it.is_empty())
}

/// The others as one: HTTP/2 may have split them (RFC 9113 s8.2.3).
fn strip_cookie(headers: &mut HeaderMap) {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|it| it.as_bytes().split(|it| *it == b';'));
    let others: Vec<_> = pairs
        .map(<[u8]>::trim_ascii)
        .filter(|it| !it.is_empty() && !is_ours(it))
        .collect();
    let others = HeaderValue::from_bytes(&others.join(b"; ".as_slice()));
    headers.remove(COOKIE);
    if let Ok(others) = others
        && !others.is_empty()
    {
        headers.insert(COOKIE, others);
    }
}

fn is_ours(cookie: &[u8]) -> bool {
    let name = cookie.split(|it| *it == b'=').next().unwrap_or_default();
    name.trim_ascii() == b"__Host-refresh"
}

const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn what_connection_names_stays_on_its_hop() {
        let mut all = headers(&[
            ("connection", "close, X-One"),
            ("connection", "x-two,"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
        ]);
        strip_response(&mut all);
        assert_eq!(all, headers(&[("x-three", "3")]));
    }

    #[test]
    fn no_credential_of_the_gateway_leaves_it_either_way() {
        let mut request = headers(&[
            ("authorization", "Bearer a"),
            ("cookie", "a=b; __Host-refresh=x"),
            ("cookie", "c=d"),
            ("host", "gateway"),
        ]);
        strip_request(&mut request);
        assert_eq!(
            request,
            headers(&[("cookie", "a=b; c=d"), ("via", "1.1 gateway")])
        );
        let mut response = headers(&[
            ("set-cookie", "__Host-refresh =x; Path=/"),
            ("set-cookie", "theme=dark"),
        ]);
        strip_response(&mut response);
        assert_eq!(response, headers(&[("set-cookie", "theme=dark")]));
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        let both = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ];
        assert!(is_upgrade(&headers(&both)));
        assert!(!is_upgrade(&headers(&both[..1])));
        assert!(!is_upgrade(&headers(&both[1..])));
    }
}
