use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

/// The headers in which proxies say how the client addressed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeaders {
    /// `Forwarded` with `proto` and `host` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
}

/// How the client addressed the outermost trusted proxy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forwarded<'a> {
    pub(super) proto: Cow<'a, str>,
    /// None: it left the request's own host as it was.
    pub(super) host: Option<Cow<'a, str>>,
}

impl ProxyHeaders {
    /// What the `proxies`-th proxy from here wrote; none if there were not so many or it did not
    /// write what it should. What stands further left may be the client's invention.
    pub(super) fn read(self, headers: &HeaderMap, proxies: usize) -> Option<Forwarded<'_>> {
        match self {
            Self::Forwarded => {
                let element = from_right(headers, "forwarded", proxies)?;
                Some(Forwarded {
                    proto: parameter(element, "proto")??,
                    host: parameter(element, "host")?,
                })
            }
            Self::XForwarded => {
                let host = HeaderName::from_static("x-forwarded-host");
                let host = match headers.contains_key(&host) {
                    true => Some(from_right(headers, host.as_str(), proxies)?.into()),
                    false => None,
                };
                let proto = from_right(headers, "x-forwarded-proto", proxies)?.into();
                Some(Forwarded { proto, host })
            }
        }
    }
}

/// The `nth` element from the right of a list that may be spread over several headers
/// (RFC 9110 s5.6.1).
fn from_right<'a>(headers: &'a HeaderMap, name: &str, nth: usize) -> Option<&'a str> {
    let mut elements = Vec::new();
    for value in headers.get_all(name) {
        elements.extend(split(value.to_str().ok()?, ',').map(str::trim));
    }
    elements.retain(|it| !it.is_empty());
    let at = elements.len().checked_sub(nth)?;
    elements.get(at).copied()
}

/// The value of a `name=value` pair, if there is one (RFC 7239 s4); none at all if it is malformed or
/// occurs twice.
fn parameter<'a>(element: &'a str, name: &str) -> Option<Option<Cow<'a, str>>> {
    let pairs = split(element, ';').filter_map(|it| it.trim().split_once('='));
    let mut values = pairs.filter(|(it, _)| it.eq_ignore_ascii_case(name));
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some((_, value)), None) => unquote(value).map(Some),
        (Some(_), Some(_)) => None,
    }
}

fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(value.into());
    };
    let quoted = quoted.strip_suffix('"')?;
    if !quoted.contains('\\') {
        return Some(quoted.into());
    }
    let mut escaped = false;
    let plain = |it: &char| {
        escaped = *it == '\\' && !escaped;
        !escaped
    };
    Some(quoted.chars().filter(plain).collect::<String>().into())
}

/// The parts between separators that stand outside of quotes (RFC 9110 s5.6.4).
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |it: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match it {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        it == separator && !quoted
    })
}
