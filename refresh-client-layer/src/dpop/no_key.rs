use std::convert::Infallible;

use http::{HeaderMap, HeaderValue, Method};

/// Without the feature nobody has a key, and what would be done with one is compiled away.
#[derive(Clone, Debug)]
pub(crate) struct DpopKey(Infallible);

impl DpopKey {
    pub(crate) fn from_secret(_text: &str) -> Option<Self> {
        None
    }

    pub(crate) fn secret(&self) -> zeroize::Zeroizing<String> {
        match self.0 {}
    }

    pub(crate) fn prove(
        &self,
        _method: &Method,
        _url: &str,
        _access_token: Option<&str>,
    ) -> Option<HeaderValue> {
        match self.0 {}
    }

    pub(crate) fn remember(&self, _url: &str, _headers: &HeaderMap) {
        match self.0 {}
    }
}
