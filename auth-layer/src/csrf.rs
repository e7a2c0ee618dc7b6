//! Which pages may send a cookie: the check against cross-site request forgery.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Uri};

/// The pages whose requests may carry a cookie. A browser names the page's site or origin in
/// headers that scripts cannot change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Csrf {
    pub(crate) allow_same_site: bool,
    pub(crate) allowed_origins: Vec<String>,
    /// Whether a page without TLS, not of this machine, may be of this origin.
    pub(crate) allow_http: bool,
}

impl Csrf {
    /// Whether the page that sent this request may use the cookie. Without `Sec-Fetch-Site` and
    /// `Origin` the answer is no.
    pub(crate) fn allows(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let (Ok(site), Ok(origin)) = (one(headers, &SEC_FETCH_SITE), one(headers, &ORIGIN)) else {
            return false;
        };
        match site {
            Some("same-origin") => true,
            Some("same-site") if self.allow_same_site => true,
            // The site counts for more than an origin that looks like our own.
            Some(_) => origin.is_some_and(|origin| self.is_listed(origin)),
            None => origin
                .is_some_and(|origin| self.is_listed(origin) || self.is_own(origin, uri, headers)),
        }
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed == origin)
    }

    fn is_own(&self, origin: &str, uri: &Uri, headers: &HeaderMap) -> bool {
        let authority = uri.authority().map(|authority| authority.as_str());
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
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

/// Whether `text` is an origin as browsers write it (RFC 6454 s6.1): with TLS, of this machine, or
/// of an app.
pub(crate) fn is_safe_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_lowercase())
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        });
    let is_authority = !authority.is_empty()
        && authority.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte)
        });
    is_scheme && is_authority && (scheme != "http" || is_loopback(authority))
}

/// The value of a header that browsers send once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Repeated> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Repeated),
    }
}

/// The header occurs twice, or is not text: no browser sends it so.
struct Repeated;

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
