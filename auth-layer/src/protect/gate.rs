use std::sync::Arc;

use bytes::Bytes;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::{HeaderMap, Method, Request, Response};

use super::extract::{Credential, extract, mark_sensitive, strip};
use super::refusals::Refusals;
use super::{Rejection, TokenSource};
use crate::claims::Claims;
use crate::verify::VerifyError;

/// The rules of an [`AuthLayer`](super::AuthLayer): who has to show a token, and what happens then.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) sources: Vec<TokenSource>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) optional: bool,
    pub(super) bypass_cors_preflight: bool,
    pub(super) strip_token: bool,
}

/// What a request is to the gate, before its token is verified.
#[derive(Debug)]
pub(super) enum Approach<'a> {
    Pass,
    Verify(&'a str),
    Refuse(Rejection),
}

impl Gate {
    pub(super) fn approach<'a, B>(&self, request: &'a Request<B>) -> Approach<'a> {
        if self.bypass_cors_preflight && is_cors_preflight(request) {
            return Approach::Pass;
        }
        match extract(request.headers(), &self.sources) {
            Credential::Token(token) => Approach::Verify(token),
            Credential::None if self.optional => Approach::Pass,
            Credential::None => Approach::Refuse(Rejection::NoCredential),
            Credential::Invalid => Approach::Refuse(Rejection::InvalidRequest),
        }
    }

    /// Equips the request with its claims.
    pub(super) fn admit<C: Send + Sync + 'static, B>(
        &self,
        request: &mut Request<B>,
        answer: Result<Claims<C>, VerifyError>,
    ) -> Result<(), Rejection> {
        let claims = answer.map_err(|error| Rejection::from(error.kind()))?;
        match self.strip_token {
            true => strip(request.headers_mut(), &self.sources),
            false => mark_sensitive(request.headers_mut(), &self.sources),
        }
        if self.refusals.is_unusual() {
            request.extensions_mut().insert(self.refusals.clone());
        }
        claims.insert_into(request.extensions_mut());
        Ok(())
    }

    /// The refusal of a request with these headers.
    pub(super) fn refuse(&self, rejection: &Rejection, headers: &HeaderMap) -> Response<Bytes> {
        self.refusals.refuse(rejection, headers)
    }
}

fn is_cors_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
