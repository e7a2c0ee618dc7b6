use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use http::header::FORWARDED;
use http::{Extensions, HeaderMap, HeaderName};

/// How to tell from where a request came: for limits by address, and for the sessions that a user
/// sees. Default: the [`PeerAddress`] that your server put into the request's extensions.
///
/// With axum's `into_make_service_with_connect_info`:
///
/// ```
/// use std::net::SocketAddr;
/// use auth_layer::endpoint::ClientAddress;
/// use axum::extract::ConnectInfo;
///
/// let address = ClientAddress::peer(|extensions| {
///     let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
///     Some(peer.ip())
/// });
/// ```
#[derive(Clone)]
pub struct ClientAddress(Source);

#[derive(Clone)]
enum Source {
    Peer(Arc<FindPeer>),
    Header(HeaderName, NonZeroUsize),
}

type FindPeer = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

/// The other end of a connection: a server inserts it into the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "servers make it")]
pub struct PeerAddress(pub IpAddr);

impl ClientAddress {
    /// The other end of the connection, as `peer` finds it in a request's extensions.
    pub fn peer(peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Source::Peer(Arc::new(peer)))
    }

    /// What the outermost of `proxies` proxies of yours wrote into `header`, such as
    /// `x-forwarded-for` or `forwarded` (RFC 7239), to which each of them adds.
    ///
    /// It is counted from the right: what a client sends itself stands further left. Only where
    /// nobody reaches the service but through the proxies.
    ///
    /// ```
    /// use std::num::NonZero;
    /// use auth_layer::endpoint::ClientAddress;
    /// use http::HeaderName;
    ///
    /// let header = HeaderName::from_static("x-forwarded-for");
    /// let address = ClientAddress::behind(NonZero::<usize>::MIN, header);
    /// ```
    pub fn behind(proxies: NonZeroUsize, header: HeaderName) -> Self {
        Self(Source::Header(header, proxies))
    }

    /// From where the request with these parts came, if that is known: for
    /// [`NewSession::ip`](crate::issue::NewSession::ip) in your log-in handler.
    pub fn of(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let address = match &self.0 {
            Source::Peer(peer) => peer(extensions),
            Source::Header(name, proxies) => forwarded(headers, name, proxies.get()),
        };
        address.map(|it| it.to_canonical())
    }
}

impl Default for ClientAddress {
    fn default() -> Self {
        Self::peer(|extensions| extensions.get::<PeerAddress>().map(|it| it.0))
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Peer(_) => f.write_str("ClientAddress::peer(..)"),
            Source::Header(name, proxies) => {
                write!(f, "ClientAddress::behind({proxies}, {name})")
            }
        }
    }
}

/// The `nth` entry from the right. Bytes that are no text can only be the client's, and may not
/// hide what stands beside them.
fn forwarded(headers: &HeaderMap, name: &HeaderName, nth: usize) -> Option<IpAddr> {
    let values = headers.get_all(name).iter().rev();
    let mut entries = values
        .flat_map(|it| it.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|it| !it.is_empty());
    let entry = std::str::from_utf8(entries.nth(nth - 1)?).ok()?;
    if name == FORWARDED {
        forwarded_for(entry).and_then(parse)
    } else {
        parse(entry)
    }
}

/// RFC 7239 s4.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_for = name.trim().eq_ignore_ascii_case("for");
        is_for.then(|| value.trim().trim_matches('"'))
    })
}

/// An address, perhaps with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse();
    address
        .or_else(|_| text.parse().map(|it: SocketAddr| it.ip()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(proxies: usize, name: &'static str, values: &[&str]) -> Option<String> {
        let name = HeaderName::from_static(name);
        let mut headers = HeaderMap::new();
        for value in values {
            let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(name.clone(), value);
        }
        let address = ClientAddress::behind(NonZeroUsize::new(proxies).unwrap(), name);
        let found = address.of(&Extensions::new(), &headers);
        found.map(|it| it.to_string())
    }

    #[test]
    fn entries_are_counted_from_the_right_so_that_a_client_cannot_forge_one() {
        let xff = |proxies, values: &[&str]| behind(proxies, "x-forwarded-for", values);
        assert_eq!(xff(1, &["6.6.6.6, 1.2.3.4"]).unwrap(), "1.2.3.4");
        assert_eq!(xff(1, &["6.6.6.6", "1.2.3.4"]).unwrap(), "1.2.3.4");
        assert_eq!(xff(2, &["6.6.6.6, 1.2.3.4,, 10.0.0.1"]).unwrap(), "1.2.3.4");
        assert_eq!(
            xff(2, &["6.6.6.6, 1.2.3.4", "10.0.0.1"]).unwrap(),
            "1.2.3.4"
        );
        assert_eq!(xff(1, &["\u{e9}, \", 1.2.3.4"]).unwrap(), "1.2.3.4");
        assert_eq!(xff(2, &["1.2.3.4"]), None);
        assert_eq!(xff(1, &[]), None);
        assert_eq!(xff(1, &["1.2.3.4, unknown"]), None);
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        let one = |value| behind(1, "x-forwarded-for", &[value]);
        assert_eq!(one("1.2.3.4:5678").unwrap(), "1.2.3.4");
        assert_eq!(one("[2001:db8::1]:5678").unwrap(), "2001:db8::1");
        assert_eq!(one("[2001:db8::1]").unwrap(), "2001:db8::1");
        assert_eq!(one("::ffff:1.2.3.4").unwrap(), "1.2.3.4");
        let forwarded = r#"for=6.6.6.6, proto=https;For="[2001:db8::1]:99";by=10.0.0.1"#;
        assert_eq!(behind(1, "forwarded", &[forwarded]).unwrap(), "2001:db8::1");
        assert_eq!(behind(2, "forwarded", &[forwarded]).unwrap(), "6.6.6.6");
        assert_eq!(behind(1, "forwarded", &["for=_hidden"]), None);
    }
}
