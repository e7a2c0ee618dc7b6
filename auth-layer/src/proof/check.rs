use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::origin::Origin;
use super::signed::{ProofClaims, SignedProof};
use super::uri::TargetUri;
use super::{BindingErrorKind, Dpop, ProofErrorKind, ProofUse, ReplayCheck};
use crate::claims::Thumbprint;
use crate::clock::Timestamp;

/// A proof that is good unless it was used before.
#[derive(Debug)]
pub(crate) struct Proved {
    /// The key that signed it.
    #[cfg(feature = "issue")]
    pub(crate) jkt: Thumbprint,
    pub(crate) replay: ReplayCheck,
    /// The nonce that the client should use from now on, if it is another.
    pub(crate) nonce: Option<HeaderValue>,
}

/// Either the proof or its key is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproved {
    Proof(ProofErrorKind),
    Binding(BindingErrorKind),
}

impl Dpop {
    /// Checks the proof of a request with a token that is bound to `jkt` (RFC 9449 s4.3 and s7.1).
    pub(crate) fn check(
        &self,
        request: &Parts,
        token: &str,
        jkt: &Thumbprint,
    ) -> Result<Proved, Unproved> {
        self.check_of(&self.origin, request, token, jkt)
    }

    /// As [`check`](Self::check), for a service that is at `base` unless something else says where.
    #[cfg(feature = "issue")]
    pub(crate) fn check_at(
        &self,
        base: &str,
        request: &Parts,
        token: &str,
        jkt: &Thumbprint,
    ) -> Result<Proved, Unproved> {
        self.check_of(&self.origin.or_public(base), request, token, jkt)
    }

    fn check_of(
        &self,
        origin: &Origin,
        request: &Parts,
        token: &str,
        jkt: &Thumbprint,
    ) -> Result<Proved, Unproved> {
        let proof = SignedProof::parse(only_proof(&request.headers)?)?;
        let (algorithm, key) = proof.check_header(&self.algorithms)?;
        let key = key.canonical()?;
        // Before the signature, so that only the key of the token costs a verification.
        if key.thumbprint() != *jkt {
            return Err(Unproved::Binding(BindingErrorKind::WrongKey));
        }
        let claims = proof.claims(&key.prepare(algorithm)?)?;
        self.check_target(&claims, request, origin)?;
        check_token(&claims, token)?;
        Ok(self.check_use(&claims, *jkt)?)
    }

    /// Checks the proof of a request for a token, which says itself of which key it is (RFC 9449 s5):
    /// none if there is no proof. The service is at `base` unless something else says where.
    #[cfg(feature = "issue")]
    pub(crate) fn check_grant(
        &self,
        request: &Parts,
        base: &str,
    ) -> Result<Option<Proved>, ProofErrorKind> {
        let proof = match only_proof(&request.headers) {
            Ok(proof) => SignedProof::parse(proof)?,
            Err(ProofErrorKind::Missing) => return Ok(None),
            Err(kind) => return Err(kind),
        };
        let (algorithm, key) = proof.check_header(&self.algorithms)?;
        let key = key.canonical()?;
        let claims = proof.claims(&key.prepare(algorithm)?)?;
        self.check_target(&claims, request, &self.origin.or_public(base))?;
        self.check_use(&claims, key.thumbprint()).map(Some)
    }

    /// The nonce to hand out with a refusal.
    pub(crate) fn nonce(&self) -> Option<HeaderValue> {
        let nonces = self.nonces.as_ref()?;
        Some(nonces.current(self.clock.now()))
    }

    fn check_target(
        &self,
        claims: &ProofClaims,
        request: &Parts,
        origin: &Origin,
    ) -> Result<(), ProofErrorKind> {
        let missing = ProofErrorKind::MissingClaim;
        if claims.htm.as_deref().ok_or(missing)? != request.method.as_str() {
            return Err(ProofErrorKind::WrongMethod);
        }
        let meant = TargetUri::parse(claims.htu.as_deref().ok_or(missing)?);
        match (meant, origin.target(request)) {
            (Some(meant), Some(target)) if meant == target => Ok(()),
            _ => Err(ProofErrorKind::WrongUri),
        }
    }

    /// Whether the proof is young enough; it counts as used from now on.
    fn check_use(&self, claims: &ProofClaims, jkt: Thumbprint) -> Result<Proved, ProofErrorKind> {
        let now = self.clock.now();
        let (until, nonce) = self.check_age(claims, now)?;
        let jti = claims.jti.as_deref().ok_or(ProofErrorKind::MissingClaim)?;
        if !(1..=LONGEST_JTI).contains(&jti.len()) {
            return Err(ProofErrorKind::BadIdentifier);
        }
        Ok(Proved {
            #[cfg(feature = "issue")]
            jkt,
            replay: self.replays.remember(ProofUse::new(jkt, jti, now, until)),
            nonce,
        })
    }

    /// Until when the proof has to be remembered, and the nonce that replaces an old one.
    fn check_age(
        &self,
        claims: &ProofClaims,
        now: Timestamp,
    ) -> Result<(Timestamp, Option<HeaderValue>), ProofErrorKind> {
        let made = claims.iat.ok_or(ProofErrorKind::MissingClaim)?;
        // A bit longer than the proof is accepted, as clocks are set back a bit now and then.
        if let Some(nonces) = &self.nonces {
            let accepted = claims.nonce.as_deref().and_then(|it| nonces.check(it, now));
            let accepted = accepted.ok_or(ProofErrorKind::NonceRequired)?;
            let next = accepted.is_stale.then(|| nonces.current(now));
            return Ok((accepted.until.plus(self.ahead), next));
        }
        let until = made.plus(self.max_age);
        if now > until {
            return Err(ProofErrorKind::TooOld);
        }
        if made > now.plus(self.ahead) {
            return Err(ProofErrorKind::MadeInFuture);
        }
        Ok((until.plus(self.ahead), None))
    }
}

impl From<ProofErrorKind> for Unproved {
    fn from(kind: ProofErrorKind) -> Self {
        Self::Proof(kind)
    }
}

const LONGEST_JTI: usize = 256;

fn only_proof(headers: &HeaderMap) -> Result<&str, ProofErrorKind> {
    let mut values = headers.get_all("dpop").iter();
    match (values.next(), values.next()) {
        (None, _) => Err(ProofErrorKind::Missing),
        (Some(value), None) => value.to_str().map_err(|_| ProofErrorKind::Malformed),
        (Some(_), Some(_)) => Err(ProofErrorKind::Repeated),
    }
}

fn check_token(claims: &ProofClaims, token: &str) -> Result<(), ProofErrorKind> {
    let ath = claims.ath.as_deref().ok_or(ProofErrorKind::MissingClaim)?;
    let expected = Thumbprint::of(token.as_bytes()).to_string();
    verify_slices_are_equal(ath.as_bytes(), expected.as_bytes())
        .map_err(|_| ProofErrorKind::WrongToken)
}
