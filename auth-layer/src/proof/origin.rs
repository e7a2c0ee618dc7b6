use http::HeaderMap;
use http::header::HOST;
use http::request::Parts;

use super::forwarded::ProxyHeaders;
use super::uri::{Scheme, TargetUri};

/// Where the scheme and the host come from under which clients reach this service.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// As configured; request paths are below it.
    Public(TargetUri),
    /// As the outermost of so many trusted proxies says.
    Proxies(ProxyHeaders, usize),
    /// Of this scheme, with the host as the request says.
    Request(Scheme),
}

impl Origin {
    /// `base` instead of what a request's sender wrote, unless it was said that this counts.
    #[cfg(feature = "issue")]
    pub(super) fn or_public(&self, base: &str) -> Self {
        match (self, TargetUri::parse(base)) {
            (Self::Request(Scheme::Https), Some(base)) => Self::Public(base),
            _ => self.clone(),
        }
    }

    /// The address that the client sent the request to; none if it cannot be known.
    pub(super) fn target(&self, request: &Parts) -> Option<TargetUri> {
        let path = match request.uri.path() {
            // RFC 9112 s3.2.4.
            "*" => "",
            path => path,
        };
        match self {
            Self::Public(base) => base.join(path),
            Self::Request(scheme) => TargetUri::new(*scheme, authority(request)?, path),
            Self::Proxies(headers, proxies) => {
                let forwarded = headers.read(&request.headers, *proxies)?;
                let scheme = Scheme::parse(&forwarded.proto)?;
                match &forwarded.host {
                    Some(host) => TargetUri::new(scheme, host, path),
                    None => TargetUri::new(scheme, authority(request)?, path),
                }
            }
        }
    }
}

/// RFC 9112 s3.3: that of the request's target comes before `Host`.
fn authority(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => host(&request.headers),
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}
