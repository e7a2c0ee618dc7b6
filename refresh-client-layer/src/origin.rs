//! Which origins may see the access token.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::{Authority, Scheme};

/// A scheme, host and port: the unit in which the access token is trusted to somebody.
///
/// Hosts are compared as written, without regard to case. A trailing dot makes another host, and
/// names outside ASCII must be given in their `xn--` form. `reqwest` writes IPv6 addresses in their
/// shortest form: for it the origin is `http://[::1]`, not `http://[0:0:0:0:0:0:0:1]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: Box<str>,
    port: u16,
    /// Host and port as most URLs have them.
    written: Box<str>,
}

impl Origin {
    /// Reads `https://host[:port]`; a path is ignored.
    ///
    /// # Errors
    ///
    /// If `url` has no `http` or `https` scheme, no host, a port that is none, or user information; or
    /// if it means several hosts, as with `*`.
    pub fn parse(url: &str) -> Result<Self, InvalidOrigin> {
        let uri = url.parse::<Uri>().ok();
        let origin = uri.as_ref().and_then(Self::of);
        // A URL may have them, and somebody who writes them means several hosts.
        let origin = origin.filter(|it| !it.host.contains(['*', ',']));
        origin.ok_or(InvalidOriginKind::Syntax.into())
    }

    /// The origin of an absolute URI, `None` for a relative one or one with user information or a port
    /// that is none.
    pub fn of(uri: &Uri) -> Option<Self> {
        let target = Target::of(uri)?;
        let (host, port) = target.host_and_port()?;
        let host = host.to_ascii_lowercase();
        let written = match port == default_port(target.secure) {
            true => host.clone(),
            false => format!("{host}:{port}"),
        };
        Some(Self {
            secure: target.secure,
            host: host.into(),
            port,
            written: written.into(),
        })
    }

    /// Refuses `http` to anything but this machine: what is sent there can be read on the way.
    pub(crate) fn confidential(self) -> Result<Self, InvalidOrigin> {
        if self.secure || is_loopback(&self.host) {
            Ok(self)
        } else {
            Err(InvalidOriginKind::PlainHttp.into())
        }
    }

    fn is(&self, target: &Target<'_>) -> bool {
        let is_same = |(host, port)| self.port == port && self.host.eq_ignore_ascii_case(host);
        self.secure == target.secure
            && (target.is_written(&self.written) || target.host_and_port().is_some_and(is_same))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a request goes, borrowed from its URL.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    secure: bool,
    place: Place<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    /// Taken apart only if need be.
    Authority(&'a Authority),
    #[cfg(feature = "reqwest")]
    Parts(&'a str, Option<u16>),
}

impl<'a> Target<'a> {
    pub(crate) fn of(uri: &'a Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        let secure = *scheme == Scheme::HTTPS;
        let place = Place::Authority(uri.authority()?);
        (secure || *scheme == Scheme::HTTP).then_some(Self { secure, place })
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn new(scheme: &str, host: &'a str, port: Option<u16>) -> Option<Self> {
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let place = Place::Parts(host, port);
        Some(Self { secure, place })
    }

    /// True if it is an origin's very text, which was taken apart once. False says nothing.
    fn is_written(&self, written: &str) -> bool {
        match self.place {
            Place::Authority(authority) => authority.as_str() == written,
            #[cfg(feature = "reqwest")]
            Place::Parts(..) => false,
        }
    }

    /// `None` without a host, or with a port that is none. Nor does anything good come of a URL that names
    /// a user in front of it.
    fn host_and_port(&self) -> Option<(&'a str, u16)> {
        let (host, port) = match self.place {
            Place::Authority(authority) if authority.as_str().contains('@') => return None,
            Place::Authority(authority) => (authority.host(), port(authority)?),
            #[cfg(feature = "reqwest")]
            Place::Parts(host, port) => (host, port),
        };
        let port = port.unwrap_or(default_port(self.secure));
        (!host.is_empty()).then_some((host, port))
    }
}

/// `None` for one that cannot be read; there need not be any.
fn port(authority: &Authority) -> Option<Option<u16>> {
    let after = authority.as_str().get(authority.host().len()..)?;
    match after.strip_prefix(':') {
        None | Some("") => Some(None),
        // A number alone may have a sign.
        Some(port) if port.starts_with('+') => None,
        Some(port) => port.parse().ok().map(Some),
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// The origins that may see the token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Vec<Origin>);

impl Origins {
    pub(crate) fn add(&mut self, origin: Origin) {
        self.0.push(origin);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn allow(&self, target: Option<Target<'_>>) -> bool {
        target.is_some_and(|target| self.0.iter().any(|origin| origin.is(&target)))
    }
}

/// Why a text is not an origin that may see secrets.
#[derive(Clone, Debug)]
pub struct InvalidOrigin {
    kind: InvalidOriginKind,
}

/// The kinds of [`InvalidOrigin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidOriginKind {
    /// Not the URL of an origin.
    Syntax,
    /// `http` to another machine.
    PlainHttp,
}

impl InvalidOrigin {
    /// What is wrong.
    pub fn kind(&self) -> InvalidOriginKind {
        self.kind
    }
}

impl From<InvalidOriginKind> for InvalidOrigin {
    fn from(kind: InvalidOriginKind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            InvalidOriginKind::Syntax => {
                "write an origin as https://host[:port], in ascii, without a user name, and each of several \
                 by itself"
            }
            InvalidOriginKind::PlainHttp => {
                "use https, as everybody on the way can read what is sent over http, or allow this \
                 very origin by name"
            }
        })
    }
}

impl std::error::Error for InvalidOrigin {}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || bare
            .parse::<Ipv6Addr>()
            .is_ok_and(|ip| IpAddr::from(ip).to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &str, url: &str) -> bool {
        let origins = Origins(vec![Origin::parse(allowed).unwrap()]);
        let Ok(uri) = url.parse::<Uri>() else {
            return false;
        };
        origins.allow(Target::of(&uri))
    }

    #[test]
    fn the_same_origin_is_allowed_however_it_is_written() {
        for url in [
            "https://api.example/me?x=1",
            "https://API.example/",
            "HTTPS://api.example:443/",
            "https://api.example:/",
        ] {
            assert!(allows("https://api.example", url), "{url}");
        }
        assert!(allows("http://[::1]:8080", "http://[::1]:8080/a"));
    }

    /// Law S1.
    #[test]
    fn another_origin_is_never_allowed() {
        for url in [
            "http://api.example/",
            "http://api.example:443/",
            "https://api.example:8443/",
            "https://api.example.evil.example/",
            "https://evil.example/api.example",
            "https://api.example@evil.example/",
            "https://api.example:443@evil.example/",
            "https://user@api.example/",
            "https://user:pass@api.example/",
            "https://api.example./",
            "https://xn--pi-7ka.example/",
            "https://\u{430}pi.example/",
            "https://sub.api.example/",
            "ftp://api.example/",
            "/relative",
            "api.example:443",
            "https://api.example:99999/",
            "https://api.example:abc/",
            "https://api.example:+443/",
        ] {
            assert!(!allows("https://api.example", url), "{url}");
        }
    }

    #[test]
    fn plain_http_is_exposed_except_on_this_machine() {
        for url in [
            "https://a.example",
            "http://localhost:1",
            "http://127.0.0.1",
            "http://[::1]:9",
        ] {
            assert!(Origin::parse(url).unwrap().confidential().is_ok(), "{url}");
        }
        for url in [
            "http://api.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(Origin::parse(url).unwrap().confidential().is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for url in [
            "",
            "api.example",
            "/x",
            "ftp://a",
            "https://u@a",
            "https://",
            "https://a:99999",
            "https://a:abc",
            "https://a:+443",
            "https://[::1]:-1",
            "https://*.a.example",
            "https://a.example,b.example",
        ] {
            assert!(Origin::parse(url).is_err(), "{url}");
        }
    }
}
