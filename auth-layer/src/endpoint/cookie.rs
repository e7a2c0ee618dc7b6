use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::time::Duration;

use http::header::{COOKIE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::refusal::Refusal;
use crate::csrf::{Csrf, is_safe_origin};
use crate::refresh_token::RefreshToken;

/// Keeps the refresh token of a browser in a cookie that no script can read, and sees to it that no
/// other site can use it.
///
/// The cookie is `HttpOnly`, `Secure` and `SameSite=Strict`, and lives until the session would be
/// idle for too long. It is taken only from requests that the browser says come from the same
/// origin and that carry an `Idempotency-Key`, which no form of another site can send.
///
/// A browser may send several cookies of the name, for instance after the path changed. Of one session
/// the newest generation counts. Cookies of different sessions are refused with `invalid_grant` and
/// cleared, as one of them may have been planted; the sessions live on.
///
/// ```
/// use auth_layer::endpoint::{CookieMode, TokenEndpoints};
/// # fn endpoints(issuer: auth_layer::TokenIssuer) -> Result<(), Box<dyn std::error::Error>> {
/// // At the root, for pages of the same origin:
/// let endpoints = TokenEndpoints::new(issuer.clone()).cookies(CookieMode::new());
///
/// // Under `/auth`, also for a page of another subdomain:
/// let cookies = CookieMode::at("/auth")?.allow_origin("https://app.example.com")?;
/// let endpoints = TokenEndpoints::new(issuer).cookies(cookies);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "no cookie is set before `TokenEndpoints::cookies`"]
pub struct CookieMode {
    /// None: the whole host.
    mount: Option<String>,
    /// Paths of cookies that earlier versions of the application set.
    former: Vec<String>,
    lax: bool,
    insecure: bool,
    pub(super) plain: bool,
    csrf: Csrf,
}

impl CookieMode {
    /// `__Host-refresh` with `Path=/`: no other host, not even a subdomain, can plant one.
    pub fn new() -> Self {
        Self {
            mount: None,
            former: Vec::new(),
            lax: false,
            insecure: false,
            plain: false,
            csrf: Csrf::default(),
        }
    }

    /// `__Secure-refresh` with the path under which the endpoints are mounted, such as `/auth`: sent
    /// nowhere else, but a subdomain could plant one.
    ///
    /// # Errors
    /// When `mount` is not a path.
    pub fn at(mount: impl Into<String>) -> Result<Self, CookieConfigError> {
        Ok(Self {
            mount: Some(cookie_path(mount.into())?),
            ..Self::new()
        })
    }

    /// Also clears a cookie that an earlier version of your application set under `path`: at log-out,
    /// and where a cookie is cleared as its session is over. The path given to [`at`](Self::at) and
    /// those above it are known already. Without `at` it has no effect, as `__Host-` cookies have one
    /// path.
    ///
    /// # Errors
    /// When `path` is not a path.
    pub fn formerly_at(mut self, path: impl Into<String>) -> Result<Self, CookieConfigError> {
        self.former.push(cookie_path(path.into())?);
        Ok(self)
    }

    /// `SameSite=Lax` in place of `Strict`. Refreshing does not need it.
    pub fn lax(mut self) -> Self {
        self.lax = true;
        self
    }

    /// Serves pages of all subdomains and ports of the same site too. Each of them can then refresh
    /// in the user's name: name the one in question with [`allow_origin`](Self::allow_origin).
    pub fn allow_same_site(mut self) -> Self {
        self.csrf.allow_same_site = true;
        self
    }

    /// Serves the pages of `origin` too, such as `https://app.example.com`. `SameSite` still wants it
    /// to be of the same site, and the browser wants CORS with credentials.
    ///
    /// # Errors
    /// When it is no origin as browsers write it, or one without TLS that is not of this machine.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Result<Self, CookieConfigError> {
        let origin = origin.into();
        if !is_safe_origin(&origin) {
            return Err(CookieConfigError::InvalidOrigin);
        }
        self.csrf.allowed_origins.push(origin);
        Ok(self)
    }

    /// Refreshes without an `Idempotency-Key` too. A lost answer then signs the user out, and so do
    /// two tabs that refresh at once, unless the issuer has a
    /// [`repeat_leeway`](crate::issue::TokenIssuerBuilder::repeat_leeway).
    pub fn allow_plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// A cookie named `refresh` without `Secure`, and pages without TLS. Dangerous: whoever listens
    /// on the network reads it. Only for a browser in development that keeps no secure cookie of
    /// `http://localhost`, as Safari; Chrome and Firefox do.
    pub fn dangerously_without_tls(mut self) -> Self {
        self.insecure = true;
        self.csrf.allow_http = true;
        self
    }

    pub(super) fn set(&self, token: &RefreshToken, lifetime: Duration) -> HeaderValue {
        self.cookie(token.expose(), lifetime.as_secs(), self.path())
    }

    /// Values of `Set-Cookie` after which the browser has no cookie of this name, under any path that
    /// is known here.
    pub(super) fn clear(&self) -> impl Iterator<Item = HeaderValue> {
        let paths = std::iter::once(self.path().to_owned()).chain(self.other_paths());
        paths.map(|path| self.cookie("", 0, &path))
    }

    /// The same, but the cookie stays under the path where [`set`](Self::set) puts it.
    pub(super) fn clear_others(&self) -> impl Iterator<Item = HeaderValue> {
        let paths = self.other_paths().into_iter();
        paths.map(|path| self.cookie("", 0, &path))
    }

    /// Rejects a request that another site may have sent.
    pub(super) fn check_csrf(&self, request: &Parts) -> Result<(), Refusal> {
        if self.csrf.allows(&request.uri, &request.headers) {
            return Ok(());
        }
        let origin = request.headers.get(ORIGIN);
        tracing::info!(target: "auth_layer::session", ?origin, "cross-site request refused");
        Err(Refusal::csrf())
    }

    /// The tokens of all cookies of the name, each once. A browser sends several if they were set
    /// under different paths.
    pub(super) fn read(&self, headers: &HeaderMap) -> Vec<RefreshToken> {
        let name = self.name().as_bytes();
        let mut seen = HashSet::new();
        headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
            .filter(|value| !value.is_empty() && seen.insert(*value))
            .map(|value| (&*String::from_utf8_lossy(value)).into())
            .collect()
    }

    /// Where the browser keeps the cookie (RFC 6265 s5.2.4).
    fn path(&self) -> &str {
        self.mount.as_deref().unwrap_or("/")
    }

    /// Other paths under which the browser may keep a cookie of the same name that it sends here: those
    /// above the mount, and former ones.
    fn other_paths(&self) -> BTreeSet<String> {
        // The browser takes `__Host-` for this path alone.
        let Some(mount) = self.mount.as_deref().filter(|_| !self.is_host_only()) else {
            return BTreeSet::new();
        };
        let bare = mount.trim_end_matches('/');
        let above = bare.match_indices('/').map(|(end, _)| &bare[..end]);
        let above = above.filter(|path| !path.is_empty()).map(str::to_owned);
        let mut paths: BTreeSet<_> = above.chain(self.former.iter().cloned()).collect();
        paths.extend(["/".to_owned(), format!("{bare}/")]);
        paths.extend(Some(bare.to_owned()).filter(|path| !path.is_empty()));
        paths.remove(mount);
        paths
    }

    fn is_host_only(&self) -> bool {
        !self.insecure && self.mount.is_none()
    }

    /// RFC 6265 s4.1.
    fn cookie(&self, value: &str, max_age: u64, path: &str) -> HeaderValue {
        let name = self.name();
        let same_site = if self.lax { "Lax" } else { "Strict" };
        let secure = if self.insecure { "" } else { "; Secure" };
        let text = format!(
            "{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite={same_site}{secure}"
        );
        // Base64url, and a path that was looked at: nothing that a header cannot have.
        let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    fn name(&self) -> &'static str {
        match (self.insecure, &self.mount) {
            (true, _) => "refresh",
            (false, None) => "__Host-refresh",
            (false, Some(_)) => "__Secure-refresh",
        }
    }
}

impl Default for CookieMode {
    fn default() -> Self {
        Self::new()
    }
}

fn cookie_path(path: String) -> Result<String, CookieConfigError> {
    let is_path = path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';' && byte != b',');
    if is_path {
        Ok(path)
    } else {
        Err(CookieConfigError::InvalidPath)
    }
}

/// Why there is no such [`CookieMode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieConfigError {
    /// The path of the cookie is none.
    InvalidPath,
    /// What should be an origin is none, or not a safe one.
    InvalidOrigin,
}

impl fmt::Display for CookieConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidPath => {
                "a cookie needs the path of the endpoints: give one that starts with a slash, such \
                 as `/auth`"
            }
            Self::InvalidOrigin => {
                "an origin is written as browsers do, and with TLS: give one like \
                 `https://app.example.com`, in small letters and without a slash at its end"
            }
        })
    }
}

impl std::error::Error for CookieConfigError {}
