use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};

use super::binding::Bindings;
use super::challenge::Scheme;
use super::extract::{Credential, Token, extract, mark_sensitive, strip};
use super::preflight::{self, Preflight};
use super::refusals::Refusals;
use super::{Rejection, TokenSource};
use crate::claims::Claims;
use crate::csrf::Csrf;
use crate::metrics;
use crate::proof::{Freshness, PendingReplay, ProofErrorKind};
use crate::verify::VerifyError;

/// The rules of an [`AuthLayer`](super::AuthLayer): who has to show a token, and what happens then.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) sources: Vec<TokenSource>,
    pub(super) bindings: Bindings,
    pub(super) refusals: Arc<Refusals>,
    pub(super) optional: bool,
    /// The check of tokens in cookies; none: it is switched off.
    pub(super) csrf: Option<Csrf>,
    pub(super) bypass_cors_preflight: bool,
    pub(super) strip_token: bool,
}

/// What a request is to the gate, before its token is verified.
#[derive(Debug)]
pub(super) enum Approach<'a> {
    Pass,
    /// Goes on without its credential.
    Preflight,
    Verify(&'a str),
    Refuse(Rejection),
}

/// What a request is to the gate, once its token is verified.
pub(super) enum Admission<C> {
    Granted(Granted),
    Refused(Rejection),
    /// Good, unless its proof was used before.
    Waiting(PendingReplay, Held<C>),
}

/// The request may go on.
#[derive(Debug, Default)]
pub(super) struct Granted {
    /// The nonce that its response hands out.
    nonce: Option<HeaderValue>,
}

/// What is given to the request once its proof is known to be fresh.
pub(super) struct Held<C> {
    claims: Claims<C>,
    nonce: Option<HeaderValue>,
}

impl Gate {
    pub(super) fn approach<'a, B>(&self, request: &'a Request<B>) -> Approach<'a> {
        if preflight::is_preflight(request.method(), request.headers())
            && (self.bypass_cors_preflight || Preflight::is_marked(request.extensions()))
        {
            metrics::request("preflight");
            return Approach::Preflight;
        }
        match self.credential(request.headers()) {
            Credential::Token(token) if token.is_cookie && self.is_forged(request) => {
                Approach::Refuse(Rejection::Csrf)
            }
            Credential::Token(token) => match token.scheme {
                Scheme::Bearer if self.bindings.requires_dpop() => {
                    Approach::Refuse(Rejection::DPOP_REQUIRED)
                }
                _ => Approach::Verify(token.text),
            },
            Credential::None if self.optional => {
                metrics::request("anonymous");
                Approach::Pass
            }
            Credential::None => Approach::Refuse(Rejection::NoCredential),
            Credential::Invalid => Approach::Refuse(Rejection::InvalidRequest),
        }
    }

    /// Takes the credential out of a preflight request, and marks it for the layers further in.
    pub(super) fn pass_preflight<B>(&self, request: &mut Request<B>) {
        strip(request.headers_mut(), &self.sources);
        Preflight::mark(request.extensions_mut());
    }

    /// Whether a page of another site may have sent the request, and it may change something.
    fn is_forged<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        // An extended CONNECT has the method CONNECT, which is not safe.
        let is_harmless = request.method().is_safe() && !headers.contains_key(UPGRADE);
        !is_harmless
            && self
                .csrf
                .as_ref()
                .is_some_and(|csrf| !csrf.allows(request.uri(), headers))
    }

    /// Equips the request with its claims, if its sender may use them.
    pub(super) fn admit<C: Send + Sync + 'static>(
        &self,
        request: &mut Parts,
        answer: Result<Claims<C>, VerifyError>,
    ) -> Admission<C> {
        let claims = match answer {
            Ok(claims) => claims,
            Err(error) => return Admission::Refused(error.kind().into()),
        };
        if claims.confirmation().is_none() && self.bindings.let_unbound_pass() {
            return Admission::Granted(self.grant(request, claims, None, Scheme::Bearer));
        }
        let Credential::Token(token) = self.credential(&request.headers) else {
            return Admission::Refused(Rejection::InvalidRequest);
        };
        let scheme = token.scheme;
        let proved = match self.bindings.check(claims.confirmation(), token, request) {
            Ok(Some(proved)) => proved,
            Ok(None) => return Admission::Granted(self.grant(request, claims, None, scheme)),
            Err(rejection) => return Admission::Refused(rejection),
        };
        let held = Held {
            claims,
            nonce: proved.nonce,
        };
        match proved.replay.now() {
            Ok(freshness) => self.settle(request, held, freshness),
            Err(pending) => Admission::Waiting(pending, held),
        }
    }

    /// Equips the request with its claims, if its proof was not used before.
    pub(super) fn settle<C: Send + Sync + 'static>(
        &self,
        request: &mut Parts,
        held: Held<C>,
        freshness: Freshness,
    ) -> Admission<C> {
        match freshness {
            Freshness::Fresh => {
                let Held { claims, nonce } = held;
                Admission::Granted(self.grant(request, claims, nonce, Scheme::Dpop))
            }
            Freshness::Replayed => {
                Admission::Refused(Rejection::InvalidProof(ProofErrorKind::Replayed))
            }
            Freshness::OverQuota => Admission::Refused(Rejection::TooManyProofs),
            Freshness::Unknown => Admission::Refused(Rejection::ReplaysUnavailable),
        }
    }

    /// The refusal of a request with this method and these headers.
    pub(super) fn refuse(
        &self,
        rejection: &Rejection,
        method: &Method,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        preflight::log_refusal(method, headers);
        let scheme = match self.credential(headers) {
            Credential::Token(Token { scheme, .. }) => scheme,
            _ => Scheme::Bearer,
        };
        let refusals = self.refusals.to(scheme);
        let mut response = refusals.refuse(rejection, headers);
        if let Some(nonce) = self.bindings.dpop.as_ref().and_then(|it| it.nonce()) {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        response
    }

    fn credential<'a>(&self, headers: &'a HeaderMap) -> Credential<'a> {
        extract(headers, &self.sources, self.bindings.dpop.is_some())
    }

    fn grant<C: Send + Sync + 'static>(
        &self,
        request: &mut Parts,
        claims: Claims<C>,
        nonce: Option<HeaderValue>,
        scheme: Scheme,
    ) -> Granted {
        match self.strip_token {
            true => strip(&mut request.headers, &self.sources),
            false => mark_sensitive(&mut request.headers, &self.sources),
        }
        if self.refusals.is_unusual() {
            request.extensions.insert(self.refusals.to(scheme));
        }
        claims.insert_into(&mut request.extensions);
        metrics::request(metrics::ACCEPTED);
        Granted { nonce }
    }
}

impl Granted {
    /// Adds what the client should know to the response of the inner service.
    pub(super) fn hand_out<B>(&mut self, mut response: Response<B>) -> Response<B> {
        if let Some(nonce) = self.nonce.take() {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        response
    }
}

/// The header with the nonce to use from now on (RFC 9449 s8).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
