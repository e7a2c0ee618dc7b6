use http::request::Parts;

use crate::claims::Thumbprint;

/// Finds the certificate that a client proved to hold in its TLS handshake; a closure will do.
///
/// Where TLS ends in this process, have the acceptor put it into the requests' extensions:
///
/// ```
/// use auth_layer::claims::Thumbprint;
/// use http::request::Parts;
///
/// #[derive(Clone)]
/// struct PeerCertificate(Vec<u8>);
///
/// let from_handshake = |request: &Parts| {
///     let certificate: &PeerCertificate = request.extensions.get()?;
///     Some(Thumbprint::of_certificate(&certificate.0))
/// };
/// ```
///
/// Where TLS ends before it, the proxy passes the certificate on in a header, such as `Client-Cert`
/// (RFC 9440 s2). That is only as good as the proxy is strict: it has to remove this header from
/// what clients send, and nobody else may reach this process (RFC 9440 s4).
///
/// ```
/// use auth_layer::claims::Thumbprint;
/// use base64::{Engine as _, prelude::BASE64_STANDARD};
/// use http::request::Parts;
///
/// let from_proxy = |request: &Parts| {
///     let mut values = request.headers.get_all("client-cert").iter();
///     let (value, None) = (values.next()?, values.next()) else { return None };
///     let base64 = value.to_str().ok()?.strip_prefix(':')?.strip_suffix(':')?;
///     Some(Thumbprint::of_certificate(&BASE64_STANDARD.decode(base64).ok()?))
/// };
/// ```
pub trait CertificateSource: Send + Sync + 'static {
    /// The SHA-256 of the client's certificate in DER; none if the client has shown none. Asked only
    /// for tokens that are bound to a certificate.
    fn certificate(&self, request: &Parts) -> Option<Thumbprint>;
}

impl<F> CertificateSource for F
where
    F: Fn(&Parts) -> Option<Thumbprint> + Send + Sync + 'static,
{
    fn certificate(&self, request: &Parts) -> Option<Thumbprint> {
        self(request)
    }
}
