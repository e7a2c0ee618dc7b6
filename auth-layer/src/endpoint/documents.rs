use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::endpoints::Shared;
use super::route::{INTROSPECT, KEYS, REVOKE, TOKEN};
use super::wire::{empty, json, json_text};
use super::{EndpointBody, Response};
use crate::proof::Dpop;

impl Shared {
    /// The public keys (RFC 7517 s5).
    pub(super) fn keys(&self, headers: &HeaderMap) -> Response {
        let keys = self.issuer.signing_keys().jwks();
        let etag = etag(&keys);
        let mut response = if knows(headers, &etag) {
            empty(StatusCode::NOT_MODIFIED)
        } else {
            json_text(keys)
        };
        let lifetime = format!("public, max-age={}", self.keys_max_age.as_secs());
        for (name, value) in [(ETAG, etag), (CACHE_CONTROL, lifetime)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// RFC 8414 s2.
    pub(super) fn metadata(&self) -> http::Response<EndpointBody> {
        let base = self.base().trim_end_matches('/');
        let introspects = self.clients.any_confidential();
        json(&Metadata {
            issuer: self.issuer.name(),
            token_endpoint: format!("{base}{TOKEN}"),
            revocation_endpoint: format!("{base}{REVOKE}"),
            jwks_uri: format!("{base}{KEYS}"),
            response_types_supported: [],
            grant_types_supported: ["refresh_token"],
            token_endpoint_auth_methods_supported: AUTH_METHODS,
            revocation_endpoint_auth_methods_supported: AUTH_METHODS,
            dpop_signing_alg_values_supported: self.dpop.as_ref().map(Dpop::algorithm_names),
            introspection_endpoint: introspects.then(|| format!("{base}{INTROSPECT}")),
            introspection_endpoint_auth_methods_supported: introspects.then_some(SECRET_METHODS),
        })
    }
}

const AUTH_METHODS: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];
const SECRET_METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    token_endpoint: String,
    revocation_endpoint: String,
    jwks_uri: String,
    response_types_supported: [&'a str; 0],
    grant_types_supported: [&'a str; 1],
    token_endpoint_auth_methods_supported: [&'a str; 3],
    revocation_endpoint_auth_methods_supported: [&'a str; 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_methods_supported: Option<[&'a str; 2]>,
}

fn etag(document: &str) -> String {
    let hash = digest::digest(&digest::SHA256, document.as_bytes());
    format!(
        "\"{}\"",
        BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
    )
}

/// RFC 9110 s13.1.2, by the weak comparison.
fn knows(headers: &HeaderMap, etag: &str) -> bool {
    let stated = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|it| it.to_str().ok());
    stated
        .flat_map(|it| it.split(','))
        .map(str::trim)
        .any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == etag)
}
