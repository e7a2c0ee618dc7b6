use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, ORIGIN};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use zeroize::Zeroizing;

use super::{RefreshError, RefreshErrorKind, RefreshRequest};
use crate::origin::{InvalidOrigin, InvalidOriginKind, Origin};
use crate::tokens::{IdempotencyKey, RefreshToken};

/// The user's own reading of an answer.
#[derive(Clone)]
pub(super) struct Classify(pub(super) Arc<Rule>);

type Rule = dyn Fn(StatusCode, &[u8]) -> Option<RefreshErrorKind> + Send + Sync;

/// Where to send refresh tokens, and how to write the requests.
#[derive(Clone)]
pub(super) struct Endpoint {
    dialect: Dialect,
    url: Option<Uri>,
    revocation_url: Option<Uri>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret>,
    /// Of refreshes. Their values may be secret too.
    pub(super) parameters: Vec<(String, Zeroizing<String>)>,
    pub(super) plain_401_refuses: bool,
    pub(super) classify: Option<Classify>,
    pub(super) allow_plain_http: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Json,
    /// JSON without a token.
    Cookie,
    OAuth2,
}

/// A client secret, by where it is sent.
#[derive(Clone)]
pub(super) enum Secret {
    Basic(Zeroizing<String>),
    Post(Zeroizing<String>),
}

impl Endpoint {
    pub(super) fn new(url: &str, dialect: Dialect) -> Self {
        let url = url.parse::<Uri>().ok();
        let last = match dialect {
            Dialect::Json | Dialect::Cookie => "logout",
            Dialect::OAuth2 => "revoke",
        };
        Self {
            dialect,
            revocation_url: url.as_ref().and_then(|url| sibling(url, last)),
            url,
            client_id: None,
            client_secret: None,
            parameters: Vec::new(),
            classify: None,
            plain_401_refuses: dialect != Dialect::OAuth2,
            allow_plain_http: false,
        }
    }

    pub(super) fn set_revocation_url(&mut self, url: &str) {
        self.revocation_url = url.parse().ok();
    }

    /// The origin of the endpoint, if both URLs may be sent secrets.
    pub(super) fn check(&self) -> Result<Origin, InvalidOrigin> {
        self.check_url(self.revocation_url.as_ref())?;
        self.check_url(self.url.as_ref())
    }

    pub(super) fn refresh(&self, request: &RefreshRequest) -> Result<Request<Bytes>, RefreshError> {
        let token = request.refresh_token();
        let url = self.url.as_ref();
        let mut post = match self.dialect {
            Dialect::Json | Dialect::Cookie => self.json(url, token, &self.parameters)?,
            Dialect::OAuth2 => {
                let mut form = Form::new();
                form.add("grant_type", "refresh_token");
                form.add("refresh_token", sendable(token)?);
                for (name, value) in &self.parameters {
                    form.add(name, value);
                }
                self.form(url, form)?
            }
        };
        if let Some(key) = request.idempotency_key() {
            let value = idempotency_header(key).ok_or_else(unwritable)?;
            post.headers_mut().insert(IDEMPOTENCY_KEY, value);
        }
        if let Some(key) = request.bound_to() {
            let proof = key.prove(post.method(), &post.uri().to_string(), None);
            let proof = proof.ok_or_else(unwritable)?;
            post.headers_mut().insert(DPOP, proof);
        }
        Ok(post)
    }

    pub(super) fn revoke(&self, token: &RefreshToken) -> Result<Request<Bytes>, RefreshError> {
        let url = self.revocation_url.as_ref();
        match self.dialect {
            Dialect::Json | Dialect::Cookie => self.json(url, token, &[]),
            Dialect::OAuth2 => {
                let mut form = Form::new();
                form.add("token", sendable(token)?);
                form.add("token_type_hint", "refresh_token");
                self.form(url, form)
            }
        }
    }

    fn check_url(&self, url: Option<&Uri>) -> Result<Origin, InvalidOrigin> {
        let origin = url.and_then(Origin::of).ok_or(InvalidOriginKind::Syntax)?;
        if self.allow_plain_http {
            Ok(origin)
        } else {
            origin.confidential()
        }
    }

    fn json(
        &self,
        url: Option<&Uri>,
        token: &RefreshToken,
        parameters: &[(String, Zeroizing<String>)],
    ) -> Result<Request<Bytes>, RefreshError> {
        let mut members = BTreeMap::new();
        for (name, value) in parameters {
            members.insert(&**name, value.as_str());
        }
        if self.dialect == Dialect::Json {
            members.insert("refresh_token", sendable(token)?);
        }
        let body = serde_json::to_vec(&members).map_err(|_| unwritable())?;
        let mut post = self.post(url, JSON, Zeroizing::new(body))?;
        if self.dialect == Dialect::Cookie {
            let origin = url.and_then(ascii_origin).ok_or_else(unwritable)?;
            post.headers_mut().insert(ORIGIN, origin);
        }
        Ok(post)
    }

    fn form(&self, url: Option<&Uri>, mut form: Form) -> Result<Request<Bytes>, RefreshError> {
        let mut basic = None;
        match (&self.client_id, &self.client_secret) {
            (Some(id), Some(Secret::Basic(secret))) => {
                basic = Some(basic_auth(id, secret).ok_or_else(unwritable)?);
            }
            (Some(id), Some(Secret::Post(secret))) => {
                form.add("client_id", id);
                form.add("client_secret", secret);
            }
            (Some(id), None) => form.add("client_id", id),
            (None, _) => {}
        }
        let mut post = self.post(url, FORM, form.finish())?;
        if let Some(basic) = basic {
            post.headers_mut().insert(AUTHORIZATION, basic);
        }
        Ok(post)
    }

    fn post(
        &self,
        url: Option<&Uri>,
        content_type: HeaderValue,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Request<Bytes>, RefreshError> {
        let url = url.ok_or_else(unwritable)?;
        let mut post = Request::new(Bytes::from_owner(body));
        *post.method_mut() = Method::POST;
        *post.uri_mut() = url.clone();
        post.headers_mut().insert(CONTENT_TYPE, content_type);
        post.headers_mut().insert(ACCEPT, JSON);
        Ok(post)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("dialect", &self.dialect)
            .field("origin", &self.url.as_ref().and_then(Origin::of))
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A form with secrets in it.
struct Form(Serializer<'static, String>);

impl Form {
    fn new() -> Self {
        Self(Serializer::new(String::new()))
    }

    fn add(&mut self, name: &str, value: &str) {
        self.0.append_pair(name, value);
    }

    fn finish(mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.finish().into_bytes())
    }
}

fn sendable(token: &RefreshToken) -> Result<&str, RefreshError> {
    if token.is_in_cookie() {
        return Err(RefreshError::new(
            RefreshErrorKind::Configuration,
            "the refresh token is in a cookie: refresh with HttpRefresher::cookie",
        ));
    }
    Ok(token.secret())
}

/// `url` with another last path segment and without its query.
fn sibling(url: &Uri, last: &str) -> Option<Uri> {
    let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(format!("{folder}/{last}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// RFC 6454 section 6.2.
fn ascii_origin(url: &Uri) -> Option<HeaderValue> {
    let (scheme, authority) = (url.scheme_str()?, url.authority()?);
    HeaderValue::from_str(&format!("{scheme}://{authority}").to_ascii_lowercase()).ok()
}

/// An RFC 8941 string.
fn idempotency_header(key: &IdempotencyKey) -> Option<HeaderValue> {
    let quoted = Zeroizing::new(format!("\"{}\"", key.secret()));
    sensitive(&quoted)
}

/// RFC 6749 section 2.3.1: both parts are form-encoded first.
fn basic_auth(id: &str, secret: &str) -> Option<HeaderValue> {
    let mut pair = Zeroizing::new(String::new());
    pair.extend(byte_serialize(id.as_bytes()));
    pair.push(':');
    pair.extend(byte_serialize(secret.as_bytes()));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    sensitive(&Zeroizing::new(format!("Basic {}", *encoded)))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unwritable() -> RefreshError {
    RefreshError::new(
        RefreshErrorKind::Configuration,
        "the request to the token server cannot be written: check its url",
    )
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const DPOP: HeaderName = HeaderName::from_static("dpop");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
