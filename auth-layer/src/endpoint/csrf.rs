use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::refusal::Refusal;

/// Which pages may send the cookie: a browser says where a request comes from, and no page can
/// make it lie.
#[derive(Clone, Debug, Default)]
pub(super) struct Csrf {
    pub(super) allow_same_site: bool,
    pub(super) allowed_origins: Vec<String>,
    /// Whether a page without TLS, not of this machine, may be of this origin.
    pub(super) allow_http: bool,
}

impl Csrf {
    pub(super) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        let headers = &request.headers;
        let origin = one(headers, &ORIGIN)?;
        let is_allowed = match one(headers, &SEC_FETCH_SITE)? {
            Some("same-origin") => true,
            Some("same-site") if self.allow_same_site => true,
            // What the browser says of the site counts for more than what looks like our origin.
            Some(_) => origin.is_some_and(|it| self.is_listed(it)),
            None => origin.is_some_and(|it| self.is_listed(it) || self.is_own(it, request)),
        };
        is_allowed.then_some(()).ok_or_else(|| {
            tracing::info!(target: "auth_layer::session", origin, "cross-site request refused");
            Refusal::csrf()
        })
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|it| it == origin)
    }

    fn is_own(&self, origin: &str, request: &Parts) -> bool {
        let authority = request.uri.authority().map(|it| it.as_str());
        let host = request.headers.get(HOST).and_then(|it| it.to_str().ok());
        let (Some((scheme, theirs)), Some(ours)) = (origin.split_once("://"), authority.or(host))
        else {
            return false;
        };
        let (port, is_safe) = match scheme {
            "https" => (":443", true),
            "http" => (":80", self.allow_http || is_loopback(theirs)),
            _ => return false,
        };
        let ours = ours.strip_suffix(port).unwrap_or(ours);
        is_safe && theirs.eq_ignore_ascii_case(ours)
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The value of a header that browsers send once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|it| it.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Refusal::csrf()),
    }
}

/// An origin as browsers write it (RFC 6454 s6.1): with TLS, of this machine, or of an app.
pub(super) fn is_safe_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_scheme = scheme.starts_with(|it: char| it.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"+-.".contains(&it));
    let is_authority = !authority.is_empty()
        && authority
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-._:[]".contains(&it));
    is_scheme && is_authority && (scheme != "http" || is_loopback(authority))
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
