use http::request::Parts;
use http::{HeaderName, HeaderValue};

use super::denial::Denial;
use super::endpoints::{Shared, TokenEndpoints};
use super::limit::SessionCharge;
use super::refusal::Refusal;
use super::{EndpointBody, Response};
use crate::claims::Thumbprint;
use crate::issue::{RefreshErrorKind, SessionEvent};
use crate::proof::{Dpop, Freshness, ProofErrorKind, Proved};

impl TokenEndpoints {
    /// Checks DPoP proofs (RFC 9449 s5) as `dpop` says: then sessions can be
    /// [bound to a key](crate::issue::NewSession::bound_to), whose tokens are of no use to a thief. Share
    /// `dpop`, or its nonces and replays, with the [layer](crate::AuthLayer::dpop) that protects your API.
    ///
    /// A proof is for one address: that of [`base_url`](Self::base_url) or the issuer's name, unless
    /// `dpop` has one of its own or trusts proxies. Each request needs a new proof, a repeat too. A bad
    /// one is answered with `invalid_dpop_proof`, one without the nonce that is wanted with
    /// `use_dpop_nonce`, and neither costs the token; another key than that of the session with
    /// `invalid_grant`.
    ///
    /// At `/sessions` the access token of such a session is taken with the scheme `DPoP` and a proof of
    /// its own (RFC 9449 s7.1), as the layer takes it, and as bearer it is refused. With
    /// [`Dpop::required`] no other tokens are taken there.
    ///
    /// A proof binds nothing afterwards: with the token of a session that was not bound at sign-in, a
    /// good one is of no account and the answer says `Bearer`. Who stole the token could else make it
    /// their own. Default: proofs are not looked at.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        let shared = self.shared();
        let verifier = shared.issuer.verifier_builder().accept_sender_constrained();
        // It has all that the issuer's own has; without it bound tokens stay refused.
        if let Ok(verifier) = verifier.build() {
            shared.verifier = verifier;
        }
        shared.dpop = Some(dpop);
        self
    }

    /// For your log-in handler: the key to [bind](crate::issue::NewSession::bound_to) a session to, as
    /// proved by the head of the request; none if it brings no proof. Ask once you know who signs in, as
    /// each proof takes room where used ones are remembered.
    ///
    /// ```
    /// # use auth_layer::{TokenEndpoints, TokenIssuer, issue::{IssueError, NewSession}};
    /// # use auth_layer::endpoint::EndpointBody;
    /// # async fn login(issuer: TokenIssuer, endpoints: TokenEndpoints, head: http::request::Parts)
    /// # -> Result<http::Response<EndpointBody>, IssueError> {
    /// let key = match endpoints.proved_key(&head).await {
    ///     Ok(key) => key,
    ///     Err(refusal) => return Ok(refusal),
    /// };
    /// let pair = issuer.start(NewSession::new("alice").bound_to(key)).await?;
    /// Ok(endpoints.token_response(&pair))
    /// # }
    /// ```
    ///
    /// # Errors
    /// The answer to send, if the proof is not good.
    pub async fn proved_key(
        &self,
        request: &Parts,
    ) -> Result<Option<Thumbprint>, http::Response<EndpointBody>> {
        let proof = self.0.check_proof(request).await;
        match proof {
            Ok(proof) => Ok(proof.jkt),
            Err(flaw) => Err(self.0.unproved(flaw).into()),
        }
    }
}

/// What a request proves.
#[derive(Default)]
pub(super) struct Proof {
    pub(super) jkt: Option<Thumbprint>,
    /// The nonce to use from now on, if it is another.
    nonce: Option<HeaderValue>,
}

impl Proof {
    /// A good proof, if it was not used before.
    pub(super) async fn settle(proved: Proved) -> Result<Self, Flaw> {
        match proved.replay.await {
            Freshness::Fresh => Ok(Self {
                jkt: Some(proved.jkt),
                nonce: proved.nonce,
            }),
            Freshness::Replayed => Err(Flaw::Invalid(ProofErrorKind::Replayed)),
            Freshness::OverQuota => Err(Flaw::TooMany),
            Freshness::Unknown => Err(Flaw::Unknown),
        }
    }

    pub(super) fn hand_out(self, mut response: Response) -> Response {
        if let Some(nonce) = self.nonce {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        response
    }
}

impl Shared {
    /// What a request with a genuine token proves. Beside another text a proof is not looked at.
    pub(super) async fn prove(
        &self,
        request: &Parts,
        charge: Option<SessionCharge>,
    ) -> Result<Proof, Refusal> {
        let Some(charge) = charge else {
            return Ok(Proof::default());
        };
        let sid = charge.session();
        let flaw = match self.check_proof(request).await {
            Ok(proof) => return Ok(proof),
            Err(flaw) => flaw,
        };
        self.issuer.tell(match flaw {
            Flaw::Invalid(kind) => SessionEvent::RefreshFailed {
                sid: Some(sid),
                kind: RefreshErrorKind::InvalidProof(kind),
            },
            Flaw::TooMany => SessionEvent::RateLimited {
                sid: Some(sid),
                ip: self.ip(request),
            },
            Flaw::Unknown => SessionEvent::RefreshFailed {
                sid: Some(sid),
                kind: RefreshErrorKind::Unavailable,
            },
        });
        if let Flaw::Invalid(kind) = flaw {
            self.charge_proof(request, sid, kind)?;
        }
        Err(self.unproved(flaw))
    }

    /// RFC 9449 s5 and s8.
    pub(super) fn invalid_proof(&self, kind: ProofErrorKind) -> Refusal {
        self.with_nonce(Refusal::invalid_proof(kind))
    }

    /// With the nonce to use next, if there are nonces.
    pub(super) fn with_nonce(&self, refusal: Refusal) -> Refusal {
        match self.dpop.as_ref().and_then(Dpop::nonce) {
            Some(nonce) => refusal.with(DPOP_NONCE, nonce),
            None => refusal,
        }
    }

    async fn check_proof(&self, request: &Parts) -> Result<Proof, Flaw> {
        let Some(dpop) = &self.dpop else {
            return Ok(Proof::default());
        };
        let proved = dpop.check_grant(request, self.base());
        match proved.map_err(Flaw::Invalid)? {
            Some(proved) => Proof::settle(proved).await,
            None => Ok(Proof::default()),
        }
    }

    fn unproved(&self, flaw: Flaw) -> Refusal {
        match flaw {
            Flaw::Invalid(kind) => self.invalid_proof(kind),
            Flaw::TooMany => Refusal::too_many(SHORTLY),
            Flaw::Unknown => Refusal::unavailable(),
        }
    }
}

/// Why a request proves nothing although it tries to.
#[derive(Clone, Copy)]
pub(super) enum Flaw {
    Invalid(ProofErrorKind),
    TooMany,
    Unknown,
}

impl From<Flaw> for Denial {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Invalid(kind) => Self::Proof(kind),
            Flaw::TooMany => Self::Other(Refusal::too_many(SHORTLY)),
            Flaw::Unknown => Self::Other(Refusal::unavailable()),
        }
    }
}

/// The header with the nonce to use from now on (RFC 9449 s8).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const SHORTLY: std::time::Duration = std::time::Duration::from_secs(1);
