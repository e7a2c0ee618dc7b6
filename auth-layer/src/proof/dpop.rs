use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::origin::Origin;
use super::uri::{Scheme, TargetUri};
use super::{MemoryReplays, Nonces, ProxyHeaders, ReplayStore};
use crate::clock::{Clock, SystemClock};
use crate::keys::Algorithm;

/// How DPoP proofs are checked (RFC 9449): for [`AuthLayer::dpop`](crate::AuthLayer::dpop)
/// and, where tokens are handed out, `TokenEndpoints::dpop`.
///
/// Say under which address clients know the service, by [`public_url`](Self::public_url) if you can:
/// a proof is for one address, and a request's own `Host` is whatever its sender wrote.
///
/// ```
/// use auth_layer::proof::{Dpop, MemoryReplays};
///
/// let dpop = Dpop::new()
///     .public_url("https://api.example/v1")?
///     .required()
///     .replays(MemoryReplays::bounded(2_000_000, 20_000));
/// # Ok::<(), auth_layer::proof::InvalidPublicUrl>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dpop {
    pub(super) origin: Origin,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) max_age: Duration,
    pub(super) ahead: Duration,
    pub(super) nonces: Option<Nonces>,
    pub(super) replays: Arc<dyn ReplayStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(crate) required: bool,
}

impl Dpop {
    /// Proofs for `https` and the host that requests name, each used once in this process.
    pub fn new() -> Self {
        Self {
            origin: Origin::Request(Scheme::Https),
            algorithms: ALGORITHMS.to_vec(),
            max_age: Duration::from_secs(60),
            ahead: Duration::from_secs(5),
            nonces: None,
            replays: Arc::new(MemoryReplays::new()),
            clock: Arc::new(SystemClock),
            required: false,
        }
    }

    /// The address under which clients know the service; the paths of requests are below it. Name
    /// the whole of it where a proxy or a router takes a prefix off the path.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL, or has a query or a fragment.
    pub fn public_url(mut self, url: &str) -> Result<Self, InvalidPublicUrl> {
        let base = TargetUri::parse(url).filter(|_| !url.contains(['?', '#']));
        self.origin = Origin::Public(base.ok_or(InvalidPublicUrl(()))?);
        Ok(self)
    }

    /// Takes scheme and host from the headers of so many proxies, which each request has passed and
    /// which each have added themselves to them: what counts is what the outermost of them wrote.
    /// Proxies that replace these headers instead count as one, all of them together. A proxy that
    /// writes no host is taken to leave `Host` as it was; requests without the scheme, or of fewer
    /// proxies, are refused. Zero trusts none.
    ///
    /// Wrong if clients can reach the service past the proxies, or if the proxies let a header pass
    /// that they do not write themselves.
    #[must_use]
    pub fn trust_proxies(mut self, headers: ProxyHeaders, proxies: usize) -> Self {
        self.origin = match proxies {
            0 => Origin::Request(Scheme::Https),
            proxies => Origin::Proxies(headers, proxies),
        };
        self
    }

    /// Takes the host from requests as [`new`](Self::new) does, but the scheme is `http`: for
    /// development.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.origin = Origin::Request(Scheme::Http);
        self
    }

    /// Accepts only tokens of the `DPoP` scheme, bearer tokens no longer.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Accepts proofs of these algorithms. Default: ES256, ES384, ES512, EdDSA, PS256, PS384, PS512.
    ///
    /// # Panics
    /// When there is none, or an HMAC, whose keys cannot be public.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        let is_hmac =
            |it: &Algorithm| matches!(it, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        assert!(
            !self.algorithms.is_empty() && !self.algorithms.iter().any(is_hmac),
            "DPoP needs asymmetric algorithms"
        );
        self
    }

    /// How old a proof may be (`iat`). Default: 60 s.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How far ahead of this clock a proof may be (`iat`). Default: 5 s.
    #[must_use]
    pub fn ahead(mut self, ahead: Duration) -> Self {
        self.ahead = ahead;
        self
    }

    /// Requires a nonce of this server in each proof (RFC 9449 s9). The nonce then says how old the
    /// proof is, and `iat`, which is the client's word, does not matter (RFC 9449 s4.3). Default: no
    /// nonces.
    #[must_use]
    pub fn nonces(mut self, nonces: Nonces) -> Self {
        self.nonces = Some(nonces);
        self
    }

    /// Remembers used proofs in `replays`. Default: [`MemoryReplays::new`], of this value and its
    /// clones only.
    #[must_use]
    pub fn replays(mut self, replays: impl ReplayStore) -> Self {
        self.replays = Arc::new(replays);
        self
    }

    /// Tells the time by `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// `algs` of the challenge (RFC 9449 s5.1).
    pub(crate) fn algs(&self) -> String {
        self.algorithm_names().join(" ")
    }

    pub(crate) fn algorithm_names(&self) -> Vec<&'static str> {
        self.algorithms.iter().map(|it| it.name()).collect()
    }
}

impl Default for Dpop {
    fn default() -> Self {
        Self::new()
    }
}

/// Not RSASSA-PKCS1-v1_5, which nobody needs to start with.
const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::EdDSA,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A text that cannot be the public address of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPublicUrl(());

impl fmt::Display for InvalidPublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an http or https URL without user, query and fragment")
    }
}

impl std::error::Error for InvalidPublicUrl {}
