use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Serialize;
use zeroize::Zeroizing;

use super::error::{DpopKeyError, DpopKeyErrorKind};
use super::nonces::Nonces;
use crate::clock::{self, Now};

/// A private key for ES256, to which tokens can be bound, and the nonces that servers want to see in its
/// proofs.
///
/// Clones are handles to the same key. It cannot print itself, and its memory is wiped with the last of
/// them.
#[derive(Clone)]
pub struct DpopKey(Arc<Inner>);

struct Inner {
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    /// The members of the public key in the order of RFC 7638.
    jwk: String,
    nonces: Nonces,
}

impl DpopKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// If there are no random numbers to be had.
    pub fn generate() -> Result<Self, DpopKeyError> {
        let pair = EcdsaKeyPair::generate(&ES256).map_err(|_| DpopKeyErrorKind::Failed)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| DpopKeyErrorKind::Failed)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// A P-256 private key in PKCS #8 (DER).
    ///
    /// # Errors
    ///
    /// If `der` is something else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, DpopKeyError> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ES256, der).map_err(|_| DpopKeyErrorKind::Malformed)?;
        let jwk = jwk(pair.public_key().as_ref()).ok_or(DpopKeyErrorKind::Malformed)?;
        Ok(Self(Arc::new(Inner {
            pair,
            pkcs8: Zeroizing::new(der.to_vec()),
            jwk,
            nonces: Nonces::default(),
        })))
    }

    /// The private key in PKCS #8 (DER). Keep it out of logs.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.0.pkcs8.clone()
    }

    /// The hash by which servers know the key (RFC 7638), such as for `dpop_jkt`.
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.0.jwk.as_bytes()))
    }

    /// The value of `DPoP` for a request without an access token, such as a log-in.
    ///
    /// # Errors
    ///
    /// If `url` is not absolute.
    pub fn proof(&self, method: &Method, url: &Uri) -> Result<HeaderValue, DpopKeyError> {
        let (Some(_), Some(_)) = (url.scheme(), url.authority()) else {
            return Err(DpopKeyErrorKind::Url.into());
        };
        let proof = self.prove(method, &url.to_string(), None);
        proof.ok_or(DpopKeyErrorKind::Failed.into())
    }

    /// Notes the nonce of an answer, if it has one, for further proofs to the same origin (RFC 9449
    /// section 8). For log-ins; the layer and the refresher do so themselves.
    pub fn remember_nonce(&self, url: &Uri, headers: &HeaderMap) {
        self.remember(&url.to_string(), headers);
    }

    /// A key that a store kept.
    pub(crate) fn from_secret(text: &str) -> Option<Self> {
        let der = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Self::from_pkcs8(&der).ok()
    }

    /// The private key for a store.
    pub(crate) fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(&*self.0.pkcs8))
    }

    pub(crate) fn prove(
        &self,
        method: &Method,
        url: &str,
        access_token: Option<&str>,
    ) -> Option<HeaderValue> {
        let claims = Claims {
            jti: URL_SAFE_NO_PAD.encode(clock::random_bytes::<16>()),
            htm: method.as_str(),
            // RFC 9449 section 4.2.
            htu: url.split(['?', '#']).next()?,
            iat: since_epoch(Now::read().wall),
            ath: access_token
                .map(|token| URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))),
            nonce: self.0.nonces.of(url),
        };
        let mut value = HeaderValue::from_str(&self.sign(&claims)?).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(crate) fn remember(&self, url: &str, headers: &HeaderMap) {
        self.0.nonces.note(url, headers);
    }

    fn sign(&self, claims: &Claims<'_>) -> Option<String> {
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, self.0.jwk);
        let mut jwt = URL_SAFE_NO_PAD.encode(header);
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims).ok()?, &mut jwt);
        let signature = self.0.pair.sign(&clock::system_random(), jwt.as_bytes());
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.ok()?, &mut jwt);
        Some(jwt)
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DpopKey(..)")
    }
}

/// RFC 9449 section 4.2.
#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

/// Of an uncompressed point (SEC 1 section 2.3.3).
fn jwk(point: &[u8]) -> Option<String> {
    let [4, coordinates @ ..] = point else {
        return None;
    };
    let (x, y) = coordinates.split_at_checked(32)?;
    let [x, y] = [x, y].map(|it| URL_SAFE_NO_PAD.encode(it));
    Some(format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#
    ))
}

fn since_epoch(now: SystemTime) -> u64 {
    clock::until(now, SystemTime::UNIX_EPOCH).as_secs()
}

#[cfg(test)]
mod tests;
