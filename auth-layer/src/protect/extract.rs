use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::challenge::Scheme;

/// Where an access token may be.
///
/// A query parameter is not offered: addresses end up in logs and histories (RFC 9700 s4.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// `Authorization: Bearer <token>` (RFC 6750 s2.1), and `Authorization: DPoP <token>`
    /// (RFC 9449 s7.1) where the layer checks proofs. At the other places tokens are bearer tokens.
    Authorization,
    /// The cookie of this name. An empty one is no token.
    ///
    /// A browser adds its cookies to requests of other sites too, so the layer checks
    /// `Sec-Fetch-Site`, else `Origin`, wherever the request can change something: see
    /// [`allow_cookie_origin`](super::AuthLayer::allow_cookie_origin).
    Cookie(String),
    /// A header of this name whose whole value is the token. An empty one is no token.
    Header(HeaderName),
}

/// What came of looking for a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    None,
    Token(Token<'a>),
    /// More than one, or one that is no text: RFC 6750 s3.1 calls both an invalid request.
    Invalid,
}

/// An access token, and how it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) scheme: Scheme,
    pub(super) is_cookie: bool,
}

/// The token, of the `DPoP` scheme only if `dpop` is known here.
pub(super) fn extract<'a>(
    headers: &'a HeaderMap,
    sources: &[TokenSource],
    dpop: bool,
) -> Credential<'a> {
    let mut found = Credential::None;
    for credential in sources.iter().map(|source| source.extract(headers, dpop)) {
        found = match (found, credential) {
            (Credential::None, other) | (other, Credential::None) => other,
            _ => return Credential::Invalid,
        };
    }
    found
}

/// Takes the token and its proof out of the request, so that nobody behind the layer sees them.
pub(super) fn strip(headers: &mut HeaderMap, sources: &[TokenSource]) {
    headers.remove(DPOP);
    for source in sources {
        match source {
            TokenSource::Authorization => drop(headers.remove(AUTHORIZATION)),
            TokenSource::Header(name) => drop(headers.remove(name)),
            TokenSource::Cookie(name) => strip_cookie(headers, name),
        }
    }
}

/// Keeps the token and its proof out of `Debug` output and HPACK tables.
pub(super) fn mark_sensitive(headers: &mut HeaderMap, sources: &[TokenSource]) {
    let names = sources.iter().map(|source| match source {
        TokenSource::Authorization => &AUTHORIZATION,
        TokenSource::Header(name) => name,
        TokenSource::Cookie(_) => &COOKIE,
    });
    for name in names.chain([&DPOP]) {
        values_mut(headers, name, |value| value.set_sensitive(true));
    }
}

/// Not by `HeaderMap::entry`, which makes room for one more header first: three allocations in a map that is full.
fn values_mut(headers: &mut HeaderMap, name: &HeaderName, change: impl FnMut(&mut HeaderValue)) {
    match headers.get_all(name).iter().nth(1) {
        None => headers.get_mut(name).into_iter().for_each(change),
        Some(_) => {
            let values = headers.iter_mut().filter(|(it, _)| *it == name);
            values.map(|(_, value)| value).for_each(change);
        }
    }
}

impl TokenSource {
    fn extract<'a>(&self, headers: &'a HeaderMap, dpop: bool) -> Credential<'a> {
        match self {
            Self::Authorization => one(headers, &AUTHORIZATION, |it| authorization(it, dpop)),
            Self::Header(name) => one(headers, name, bearer),
            Self::Cookie(name) => cookie(headers, name),
        }
    }
}

fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    read: impl FnOnce(&'a str) -> Credential<'a>,
) -> Credential<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Credential::None,
        (Some(value), None) => value.to_str().map_or(Credential::Invalid, read),
        (Some(_), Some(_)) => Credential::Invalid,
    }
}

/// RFC 9110 s11.4; another scheme is no credential of ours.
fn authorization(value: &str, dpop: bool) -> Credential<'_> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let scheme = match () {
        () if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        () if dpop && scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        () => return Credential::None,
    };
    let text = token.trim_start_matches(' ');
    Credential::Token(Token {
        text,
        scheme,
        is_cookie: false,
    })
}

fn bearer(text: &str) -> Credential<'_> {
    if text.is_empty() {
        return Credential::None;
    }
    Credential::Token(Token {
        text,
        scheme: Scheme::Bearer,
        is_cookie: false,
    })
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Credential<'a> {
    let values = headers.get_all(COOKIE).iter();
    let mut cookies = values
        .flat_map(|value| pairs(value.as_bytes()))
        .filter_map(|pair| value_of(pair, name))
        .filter(|value| !value.is_empty());
    let text = match (cookies.next().map(std::str::from_utf8), cookies.next()) {
        (None, _) => return Credential::None,
        (Some(Ok(text)), None) => text,
        _ => return Credential::Invalid,
    };
    Credential::Token(Token {
        text,
        scheme: Scheme::Bearer,
        is_cookie: true,
    })
}

/// The parts of a `Cookie` header (RFC 6265 s4.2.1) as bytes, in order: one that is not text does
/// not hide the others. Each byte belongs to at most one part.
fn pairs(cookies: &[u8]) -> impl Iterator<Item = &[u8]> {
    cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// The value of the pair, if it has this name.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

fn strip_cookie(headers: &mut HeaderMap, name: &str) {
    values_mut(headers, &COOKIE, |value| {
        let others: Vec<_> = pairs(value.as_bytes())
            .filter(|pair| value_of(pair, name).is_none())
            .collect();
        // Parts of a header value are one again when joined; should they not be, all of them go.
        let others = HeaderValue::from_bytes(&others.join(&b"; "[..]));
        let mut others = others.unwrap_or(HeaderValue::from_static(""));
        others.set_sensitive(value.is_sensitive());
        *value = others;
    });
    if headers.get_all(COOKIE).iter().all(HeaderValue::is_empty) {
        headers.remove(COOKIE);
    }
}

/// The header with the proof (RFC 9449 s4.1).
const DPOP: HeaderName = HeaderName::from_static("dpop");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn all() -> [TokenSource; 3] {
        let header = TokenSource::Header(HeaderName::from_static("x-token"));
        [
            TokenSource::Authorization,
            TokenSource::Cookie("t".into()),
            header,
        ]
    }

    #[test]
    fn a_token_is_found_at_each_place_whatever_the_case_of_the_scheme() {
        for pair in [
            ("authorization", "bEARER  abc"),
            ("cookie", "a=b; t=abc;c"),
            ("x-token", "abc"),
        ] {
            let headers = headers(&[pair]);
            let Credential::Token(token) = extract(&headers, &all(), false) else {
                panic!("{pair:?}");
            };
            assert_eq!(token.text, "abc", "{pair:?}");
            assert_eq!(token.is_cookie, pair.0 == "cookie");
        }
    }

    #[test]
    fn another_scheme_or_cookie_is_no_credential() {
        for pair in [
            ("authorization", "Basic YTpi"),
            ("authorization", "DPoP abc"),
            ("cookie", "tt=1; at=2"),
            ("host", "a"),
        ] {
            assert_eq!(
                extract(&headers(&[pair]), &all(), false),
                Credential::None,
                "{pair:?}"
            );
        }
        assert_eq!(
            extract(&headers(&[("cookie", "t=a")]), &all()[..1], false),
            Credential::None
        );
    }

    #[test]
    fn two_credentials_are_invalid_wherever_they_are() {
        for pairs in [
            [("authorization", "Bearer a"), ("authorization", "Bearer a")],
            [("authorization", "Bearer a"), ("authorization", "Basic a")],
            [("authorization", "Bearer a"), ("cookie", "t=a")],
            [("cookie", "t=a"), ("cookie", "t=b")],
        ] {
            assert_eq!(
                extract(&headers(&pairs), &all(), false),
                Credential::Invalid,
                "{pairs:?}"
            );
        }
    }

    /// V6: the parts of a header are disjoint and in order, so that no byte is read again for
    /// another part, however long the header is.
    #[test]
    fn cookie_parser_is_linear() {
        for unit in ["a=b; ", ";", "=", "a", "t=", " ;\t", "\";"] {
            let cookies = unit.repeat(100_000 / unit.len());
            let range = cookies.as_bytes().as_ptr_range();
            let (mut end, mut parts) = (range.start, 0);
            for pair in pairs(cookies.as_bytes()) {
                let pair = pair.as_ptr_range();
                assert!(end <= pair.start && pair.end <= range.end);
                (end, parts) = (pair.end, parts + 1);
            }
            assert!(parts <= cookies.len() + 1);
        }
    }

    #[test]
    fn a_stripped_request_keeps_all_but_the_token() {
        let mut headers = headers(&[("authorization", "Bearer a"), ("cookie", "a=b; t=x; c=d")]);
        strip(&mut headers, &all());
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["cookie"], "a=b; c=d");
    }
}
