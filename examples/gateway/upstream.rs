use std::error::Error;
use std::io;

use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderValue, Uri};
use bytes::Bytes;
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use refresh_client_layer::{HttpRefresher, Origin, TokenManager, TokenManagerBuilder};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::options::Options;

pub(crate) type Http<B> = Client<HttpsConnector<HttpConnector>, B>;
pub(crate) type Whole = Full<Bytes>;
pub(crate) type Stream = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Refresh = HttpRefresher<Http<Whole>, Whole>;

/// Whom requests go to, and where its users get their tokens.
#[derive(Clone)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    plain_http: bool,
    connector: HttpsConnector<HttpConnector>,
    pub(crate) login: Uri,
    pub(crate) refresh: Refresh,
    /// Of what its tokens come from.
    private: Vec<String>,
}

impl Upstream {
    /// # Errors
    /// A sentence about a URL that will not do.
    pub(crate) fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let (scheme, authority) = origin(&options.upstream)?;
        let at = |path: &'static str| {
            let path = PathAndQuery::from_static(path);
            let url = Uri::builder()
                .scheme(scheme.clone())
                .authority(authority.clone());
            url.path_and_query(path).build()
        };
        let login = place("--login-url", &options.login_url)?;
        let login = login.map_or_else(|| at("/login"), Ok)?;
        let tokens = place("--refresh-url", &options.refresh_url)?;
        let tokens = tokens.map_or_else(|| at("/refresh"), Ok)?;
        let logout = place("--logout-url", &options.logout_url)?;
        let urls = [&options.upstream, &login, &tokens];
        let is_secure = urls.iter().any(|it| it.scheme() == Some(&Scheme::HTTPS));
        let connector = connector(is_secure, options)?;
        let mut refresh = HttpRefresher::json(tokens.to_string(), client(connector.clone()));
        if let Some(url) = &logout {
            refresh = refresh.revocation_url(url.to_string());
        }
        if options.plain_http {
            refresh = refresh.dangerously_allow_plain_http();
        }
        let logout = logout.map_or_else(|| beside(&tokens, "logout"), |it| it.path().to_owned());
        let private = [login.path(), tokens.path(), &logout]
            .map(|it| plain(it).join("/"))
            .into();
        let upstream = Self {
            scheme,
            authority,
            plain_http: options.plain_http,
            connector,
            login,
            refresh,
            private,
        };
        let login = upstream.login.to_string();
        // Passwords want as much care as tokens.
        let checked = upstream.allow(upstream.session(), &login);
        checked
            .build()
            .map_err(|error| format!("{error}: see --plain-http"))?;
        Ok(upstream)
    }

    /// A session of one user there, which wants a store.
    pub(crate) fn session(&self) -> TokenManagerBuilder {
        let origin = format!("{}://{}", self.scheme, self.authority);
        self.allow(TokenManager::builder(self.refresh.clone()), &origin)
    }

    /// A client of it, whose requests have bodies of this type.
    pub(crate) fn client<B>(&self) -> Http<B>
    where
        B: http_body::Body + Send,
        B::Data: Send,
    {
        client(self.connector.clone())
    }

    /// Where it has what a request names; `None` for what no browser may see the answers of.
    pub(crate) fn url(&self, requested: &Uri) -> Option<Uri> {
        let path = plain(requested.path()).join("/");
        if self.private.contains(&path) {
            return None;
        }
        let url = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone());
        url.path_and_query(requested.path_and_query()?.clone())
            .build()
            .ok()
    }

    /// A redirect to itself, as those outside have to see it.
    pub(crate) fn relative(&self, location: &HeaderValue) -> Option<HeaderValue> {
        let url: Uri = location.to_str().ok()?.parse().ok()?;
        let is_own = url.scheme() == Some(&self.scheme) && url.authority() == Some(&self.authority);
        let path = url.path_and_query().filter(|_| is_own)?;
        HeaderValue::from_str(path.as_str()).ok()
    }

    fn allow(&self, session: TokenManagerBuilder, origin: &str) -> TokenManagerBuilder {
        match self.plain_http {
            true => session.dangerously_plain_origin(origin),
            false => session.origin(origin),
        }
    }
}

fn origin(url: &Uri) -> Result<(Scheme, Authority), String> {
    let parts = url.clone().into_parts();
    match (parts.scheme, parts.authority, url.path()) {
        (Some(scheme), Some(authority), "/") if Origin::of(url).is_some() => {
            Ok((scheme, authority))
        }
        _ => Err(
            "--upstream is no origin: give one like https://api.example:8443, without a user name"
                .to_owned(),
        ),
    }
}

fn place(flag: &str, url: &Option<Uri>) -> Result<Option<Uri>, String> {
    match url {
        Some(url) if Origin::of(url).is_none() => Err(format!(
            "{flag} is of no server: give one like https://api.example/path, without a user name"
        )),
        url => Ok(url.clone()),
    }
}

fn connector(
    is_secure: bool,
    options: &Options,
) -> Result<HttpsConnector<HttpConnector>, Box<dyn Error>> {
    let provider = aws_lc_rs::default_provider();
    let builder = HttpsConnectorBuilder::new();
    // Without TLS there need not be a certificate on this machine.
    let builder = match is_secure {
        true => builder.with_provider_and_native_roots(provider)?,
        false => {
            let config = ClientConfig::builder_with_provider(provider.into());
            let config = config.with_safe_default_protocol_versions()?;
            let config = config.with_root_certificates(RootCertStore::empty());
            builder.with_tls_config(config.with_no_client_auth())
        }
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(options.connect_timeout.into()));
    Ok(builder.https_or_http().enable_http1().wrap_connector(tcp))
}

fn client<B>(connector: HttpsConnector<HttpConnector>) -> Http<B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector)
}

fn beside(url: &Uri, name: &str) -> String {
    let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{name}")
}

/// The segments of a path as a server may understand it, however it is written (RFC 3986 s6.2.2).
fn plain(path: &str) -> Vec<String> {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_owned()),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn upstream(args: &[&str]) -> Result<Upstream, String> {
        let all = [&["gateway", "--upstream"], args].concat();
        Upstream::new(&Options::parse_from(all)).map_err(|it| it.to_string())
    }

    #[test]
    fn where_its_tokens_come_from_is_nobodys_business_however_it_is_written() {
        let upstream = upstream(&[
            "http://127.0.0.1:1",
            "--refresh-url",
            "http://127.0.0.1:1/auth/refresh",
        ]);
        let url = |path: &str| {
            let url = upstream.as_ref().unwrap().url(&path.parse().unwrap());
            url.map(|it| it.to_string())
        };
        assert_eq!(
            url("/a%20b?c=/login").unwrap(),
            "http://127.0.0.1:1/a%20b?c=/login"
        );
        assert!(url("/refresh").is_some());
        for path in [
            "/login",
            "//login/",
            "/x/../%6Cogin",
            "/auth/refresh?a",
            "/auth/%2e/logout",
        ] {
            assert_eq!(url(path), None, "{path}");
        }
    }

    #[test]
    fn a_redirect_to_itself_stays_with_the_gateway() {
        let upstream = upstream(&["http://127.0.0.1:1"]).unwrap();
        let relative = |it| upstream.relative(&HeaderValue::from_static(it));
        assert_eq!(relative("http://127.0.0.1:1/a?b").unwrap(), "/a?b");
        assert_eq!(relative("http://127.0.0.1:2/a"), None);
        assert_eq!(relative("/a"), None);
    }

    #[test]
    fn a_url_that_will_not_do_is_answered_with_a_sentence() {
        let with = |url: &str, more: &[&str]| upstream(&[&[url], more].concat()).err().unwrap();
        for url in [
            "https://api.example/v1",
            "api.example",
            "ftp://api.example",
            "https://user:secret@api.example",
        ] {
            let said = with(url, &[]);
            assert_eq!(
                said.matches("https://api.example:8443").count(),
                1,
                "{said}"
            );
            assert_eq!(said, with(url, &["--plain-http"]));
            assert!(!said.contains("secret"), "{said}");
        }
        for flag in ["--login-url", "--refresh-url", "--logout-url"] {
            let said = with("http://127.0.0.1:1", &[flag, "ftp://127.0.0.1/"]);
            assert!(said.starts_with(flag), "{said}");
            let said = with("http://127.0.0.1:1", &[flag, "http://a.example/"]);
            assert!(said.ends_with("see --plain-http"), "{said}");
            assert_eq!(said.matches("use https").count(), 1, "{said}");
        }
        let said = with("http://api.example", &[]);
        assert!(said.ends_with("see --plain-http"), "{said}");
        assert!(upstream(&["http://api.example", "--plain-http"]).is_ok());
    }
}
