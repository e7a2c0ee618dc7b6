//! Which origins may see the access token.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// A scheme, host and port: the unit in which the access token is trusted to somebody.
///
/// Hosts are compared as written, without regard to case. A trailing dot makes another host, and
/// names outside ASCII must be given in their `xn--` form.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// Reads `https://host[:port]`; a path is ignored.
    ///
    /// # Errors
    ///
    /// If `url` has no `http` or `https` scheme, no host, or user information.
    pub fn parse(url: &str) -> Result<Self, InvalidOrigin> {
        let uri = url.parse::<Uri>().ok();
        let origin = uri.as_ref().and_then(Self::of);
        origin.ok_or(InvalidOriginKind::Syntax.into())
    }

    /// The origin of an absolute URI, `None` for a relative one or one with user information.
    pub fn of(uri: &Uri) -> Option<Self> {
        let Target { secure, host, port } = Target::of(uri)?;
        Some(Self {
            secure,
            host: host.to_ascii_lowercase().into(),
            port,
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
        self.secure == target.secure
            && self.port == target.port
            && self.host.eq_ignore_ascii_case(target.host)
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
    host: &'a str,
    port: u16,
}

impl<'a> Target<'a> {
    pub(crate) fn of(uri: &'a Uri) -> Option<Self> {
        let authority = uri.authority()?;
        // Nothing good comes of a URL that names a user in front of the host.
        if authority.as_str().contains('@') {
            return None;
        }
        Self::new(uri.scheme_str()?, authority.host(), authority.port_u16())
    }

    pub(crate) fn new(scheme: &str, host: &'a str, port: Option<u16>) -> Option<Self> {
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let default = if secure { 443 } else { 80 };
        let port = port.unwrap_or(default);
        (!host.is_empty()).then_some(Self { secure, host, port })
    }
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
                "write an origin as https://host[:port], in ascii and without a user name"
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
        ] {
            assert!(Origin::parse(url).is_err(), "{url}");
        }
    }
}
