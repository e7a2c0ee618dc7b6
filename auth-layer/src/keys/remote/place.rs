use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use super::{RemoteKeysError, RemoteKeysErrorKind};

/// Where the keys are.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A key set.
    KeySet(Uri),
    /// An issuer, whose metadata say where its key set is.
    Issuer { name: String, uri: Uri },
}

impl Place {
    pub(super) fn key_set(url: &str) -> Result<Self, RemoteKeysError> {
        safe_url(url).map(Self::KeySet)
    }

    /// An issuer has neither query nor fragment (RFC 8414 s2).
    pub(super) fn issuer(name: &str) -> Result<Self, RemoteKeysError> {
        if name.contains(['?', '#']) {
            return Err(RemoteKeysErrorKind::InvalidUrl.into());
        }
        Ok(Self::Issuer {
            name: name.to_owned(),
            uri: safe_url(name)?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::KeySet(uri) | Self::Issuer { uri, .. }) = self;
        // Without a query, which may hold what is nobody's business.
        let authority = uri.authority().map_or("", |it| it.as_str());
        let scheme = uri.scheme_str().unwrap_or_default();
        write!(f, "{scheme}://{authority}{}", uri.path())
    }
}

/// A URL that keys may come from: `https`, or `http` that does not leave this machine.
pub(super) fn safe_url(url: &str) -> Result<Uri, RemoteKeysError> {
    let uri: Uri = url.parse().map_err(|_| RemoteKeysErrorKind::InvalidUrl)?;
    let has_password = uri.authority().is_some_and(|it| it.as_str().contains('@'));
    let host = uri.host().unwrap_or_default();
    let is_safe = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => !host.is_empty(),
        Some(scheme) if *scheme == Scheme::HTTP => is_loopback(host),
        _ => false,
    };
    if is_safe && !has_password {
        Ok(uri)
    } else {
        Err(RemoteKeysErrorKind::InvalidUrl.into())
    }
}

/// RFC 6761 s6.3 for the name.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|it: IpAddr| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        for good in [
            "https://auth.example/jwks",
            "https://auth.example",
            "https://10.0.0.1:8443/jwks?tenant=1",
            "http://localhost:8080/jwks",
            "http://127.0.0.1/jwks",
            "http://127.8.9.1/jwks",
            "http://[::1]:80/jwks",
        ] {
            assert!(safe_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://auth.example/jwks",
            "http://localhost.auth.example/jwks",
            "http://127.0.0.1.auth.example/jwks",
            "http://10.0.0.1/jwks",
            "http://[::ffff:10.0.0.1]/jwks",
            "http://localhost@auth.example/jwks",
            "https://user:password@auth.example/jwks",
            "ftp://localhost/jwks",
            "file:///etc/jwks",
            "/jwks",
            "auth.example",
            "https://",
            "",
        ] {
            assert!(safe_url(bad).is_err(), "{bad}");
        }
        assert!(Place::issuer("https://auth.example?x").is_err());
        assert!(Place::issuer("https://auth.example#x").is_err());
    }

    #[test]
    fn a_query_does_not_get_into_logs() {
        let place = Place::key_set("https://auth.example/jwks?key=secret").unwrap();
        assert_eq!(place.to_string(), "https://auth.example/jwks");
    }
}
