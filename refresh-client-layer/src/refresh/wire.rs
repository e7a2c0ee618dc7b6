use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Uri};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{RefreshError, RefreshErrorKind, RefreshRequest};
use crate::origin::{InvalidOrigin, InvalidOriginKind, Origin};
use crate::tokens::{IdempotencyKey, RefreshToken};

/// Where to send refresh tokens, and how to write the requests.
#[derive(Clone)]
pub(super) struct Endpoint {
    dialect: Dialect,
    url: Option<Uri>,
    revocation_url: Option<Uri>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Zeroizing<String>>,
    pub(super) plain_401_refuses: bool,
    pub(super) allow_plain_http: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Json,
    OAuth2,
}

impl Endpoint {
    pub(super) fn new(url: &str, dialect: Dialect) -> Self {
        let url = url.parse::<Uri>().ok();
        let last = match dialect {
            Dialect::Json => "logout",
            Dialect::OAuth2 => "revoke",
        };
        Self {
            dialect,
            revocation_url: url.as_ref().and_then(|url| sibling(url, last)),
            url,
            client_id: None,
            client_secret: None,
            plain_401_refuses: dialect == Dialect::Json,
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
        let mut post = match self.dialect {
            Dialect::Json => self.json(self.url.as_ref(), token),
            Dialect::OAuth2 => self.form(
                self.url.as_ref(),
                &[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token.secret()),
                ],
            ),
        }?;
        if let Some(key) = request.idempotency_key() {
            let value = idempotency_header(key).ok_or_else(unwritable)?;
            post.headers_mut().insert(IDEMPOTENCY_KEY, value);
        }
        Ok(post)
    }

    pub(super) fn revoke(&self, token: &RefreshToken) -> Result<Request<Bytes>, RefreshError> {
        let url = self.revocation_url.as_ref();
        match self.dialect {
            Dialect::Json => self.json(url, token),
            Dialect::OAuth2 => self.form(
                url,
                &[
                    ("token", token.secret()),
                    ("token_type_hint", "refresh_token"),
                ],
            ),
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
    ) -> Result<Request<Bytes>, RefreshError> {
        let body = JsonBody {
            refresh_token: token.secret(),
        };
        let body = serde_json::to_vec(&body).map_err(|_| unwritable())?;
        self.post(url, JSON, Zeroizing::new(body))
    }

    fn form(
        &self,
        url: Option<&Uri>,
        members: &[(&str, &str)],
    ) -> Result<Request<Bytes>, RefreshError> {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(members);
        let mut basic = None;
        match (&self.client_id, &self.client_secret) {
            (Some(id), Some(secret)) => basic = Some(basic_auth(id, secret)),
            (Some(id), None) => drop(form.append_pair("client_id", id)),
            (None, _) => {}
        }
        let body = Zeroizing::new(form.finish().into_bytes());
        let mut post = self.post(url, FORM, body)?;
        if let Some(basic) = basic {
            let value = basic.ok_or_else(unwritable)?;
            post.headers_mut().insert(AUTHORIZATION, value);
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

#[derive(Serialize)]
struct JsonBody<'a> {
    refresh_token: &'a str,
}

/// `url` with another last path segment and without its query.
fn sibling(url: &Uri, last: &str) -> Option<Uri> {
    let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(format!("{folder}/{last}").parse().ok()?);
    Uri::from_parts(parts).ok()
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
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
