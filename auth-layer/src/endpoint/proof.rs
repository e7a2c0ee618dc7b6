use http::request::Parts;
use http::{HeaderName, HeaderValue};

use super::endpoints::{Shared, TokenEndpoints};
use super::refusal::Refusal;
use super::{EndpointBody, Response};
use crate::claims::Thumbprint;
use crate::issue::{RefreshErrorKind, SessionEvent};
use crate::proof::{Dpop, Freshness, ProofErrorKind};
use crate::refresh_token::SessionId;

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
    /// A proof binds nothing afterwards: with the token of a session that was not bound at sign-in, a
    /// good one is of no account and the answer says `Bearer`. Who stole the token could else make it
    /// their own. Default: proofs are not looked at.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.shared().dpop = Some(dpop);
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
    pub(super) fn hand_out(self, mut response: Response) -> Response {
        if let Some(nonce) = self.nonce {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        response
    }
}

impl Shared {
    /// What a request with a token of `session` proves. Without such a token it is not worth a look.
    pub(super) async fn prove(
        &self,
        request: &Parts,
        session: Option<SessionId>,
    ) -> Result<Proof, Refusal> {
        let Some(sid) = session else {
            return Ok(Proof::default());
        };
        self.check_proof(request).await.map_err(|flaw| {
            self.issuer.tell(match flaw {
                Flaw::Invalid(kind) => SessionEvent::RefreshFailed {
                    sid: Some(sid),
                    kind: RefreshErrorKind::InvalidProof(kind),
                },
                Flaw::TooMany => SessionEvent::RateLimited {
                    sid: Some(sid),
                    ip: self.address.of(&request.extensions, &request.headers),
                },
                Flaw::Unknown => SessionEvent::RefreshFailed {
                    sid: Some(sid),
                    kind: RefreshErrorKind::Unavailable,
                },
            });
            self.unproved(flaw)
        })
    }

    /// RFC 9449 s5 and s8.
    pub(super) fn invalid_proof(&self, kind: ProofErrorKind) -> Refusal {
        let refusal = Refusal::invalid_proof(kind);
        match self.dpop.as_ref().and_then(Dpop::nonce) {
            Some(nonce) => refusal.with(DPOP_NONCE, nonce),
            None => refusal,
        }
    }

    async fn check_proof(&self, request: &Parts) -> Result<Proof, Flaw> {
        let Some(dpop) = &self.dpop else {
            return Ok(Proof::default());
        };
        let base = self.base_url.as_deref().unwrap_or(self.issuer.name());
        let proved = dpop.check_grant(request, base).map_err(Flaw::Invalid)?;
        let Some(proved) = proved else {
            return Ok(Proof::default());
        };
        match proved.replay.await {
            Freshness::Fresh => Ok(Proof {
                jkt: Some(proved.jkt),
                nonce: proved.nonce,
            }),
            Freshness::Replayed => Err(Flaw::Invalid(ProofErrorKind::Replayed)),
            Freshness::OverQuota => Err(Flaw::TooMany),
            Freshness::Unknown => Err(Flaw::Unknown),
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
enum Flaw {
    Invalid(ProofErrorKind),
    TooMany,
    Unknown,
}

/// The header with the nonce to use from now on (RFC 9449 s8).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const SHORTLY: std::time::Duration = std::time::Duration::from_secs(1);
