use std::fmt;
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::Response;
use super::csrf::{Csrf, is_safe_origin};
use super::refusal::Refusal;
use crate::refresh_token::RefreshToken;

/// Keeps the refresh token of a browser in a cookie that no script can read, and sees to it that no
/// other site can use it.
///
/// The cookie is `HttpOnly`, `Secure` and `SameSite=Strict`, and lives until the session would be
/// idle for too long. It is taken only from requests that the browser says come from the same
/// origin and that carry an `Idempotency-Key`, which no form of another site can send.
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
    lax: bool,
    insecure: bool,
    pub(super) plain: bool,
    pub(super) csrf: Csrf,
}

impl CookieMode {
    /// `__Host-refresh` with `Path=/`: no other host, not even a subdomain, can plant one.
    pub fn new() -> Self {
        Self {
            mount: None,
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
        let mount = mount.into();
        let is_path = mount.starts_with('/')
            && mount
                .bytes()
                .all(|it| it.is_ascii_graphic() && it != b';' && it != b',');
        if !is_path {
            return Err(CookieConfigError::InvalidPath);
        }
        Ok(Self {
            mount: Some(mount),
            ..Self::new()
        })
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
        self.cookie(token.expose(), lifetime.as_secs())
    }

    pub(super) fn clear(&self) -> HeaderValue {
        self.cookie("", 0)
    }

    /// `response`, after which the browser has no cookie.
    pub(super) fn cleared(&self, mut response: Response) -> Response {
        response.headers_mut().insert(SET_COOKIE, self.clear());
        response
    }

    /// The token of the cookie. Two that differ are one too many: somebody planted one of them.
    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Option<RefreshToken>, Refusal> {
        let name = self.name().as_bytes();
        let mut values: Vec<_> = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|it| it.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|it| it.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
            .collect();
        values.dedup();
        match values[..] {
            [] | [b""] => Ok(None),
            [value] => Ok(Some((&*String::from_utf8_lossy(value)).into())),
            _ => Err(Refusal::invalid("The cookie occurs twice")),
        }
    }

    /// RFC 6265 s4.1.
    fn cookie(&self, value: &str, max_age: u64) -> HeaderValue {
        let name = self.name();
        let path = self.mount.as_deref().unwrap_or("/");
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
