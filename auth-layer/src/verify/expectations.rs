use std::time::Duration;

use super::VerifyErrorKind;
use crate::claims::{Claims, Confirmation};
use crate::clock::Timestamp;

/// What the claims must be (RFC 7519 s4.1), whatever the signature.
#[derive(Clone, Debug)]
pub(crate) struct Expectations {
    /// None: any, or none.
    pub(crate) issuers: Option<Vec<String>>,
    /// None: any, or none.
    pub(crate) audiences: Option<Vec<String>>,
    pub(crate) required: Vec<String>,
    /// How long after `exp` a token is still accepted.
    pub(crate) late: Duration,
    /// How far ahead the issuer's clock may be.
    pub(crate) early: Duration,
    pub(crate) max_age: Option<Duration>,
    /// Whether somebody behind the verifier checks what tokens are bound to.
    pub(crate) accept_bound: bool,
}

impl Expectations {
    pub(crate) fn check<C>(
        &self,
        claims: &Claims<C>,
        now: Timestamp,
    ) -> Result<(), VerifyErrorKind> {
        self.check_times(claims, now)?;
        self.check_names(claims)?;
        let is_checked = |it: &Confirmation| self.accept_bound && it.is_understood();
        if !claims.confirmation().is_none_or(is_checked) {
            return Err(VerifyErrorKind::ProofRequired);
        }
        if self.required.iter().any(|name| !claims.has(name)) {
            return Err(VerifyErrorKind::MissingClaim);
        }
        Ok(())
    }

    /// What may change about claims that were good once.
    pub(crate) fn check_times<C>(
        &self,
        claims: &Claims<C>,
        now: Timestamp,
    ) -> Result<(), VerifyErrorKind> {
        let expires_at = claims.expires_at().ok_or(VerifyErrorKind::MissingClaim)?;
        if now >= expires_at.plus(self.late) {
            return Err(VerifyErrorKind::Expired);
        }
        let soon = now.plus(self.early);
        if claims.not_before().is_some_and(|nbf| nbf > soon) {
            return Err(VerifyErrorKind::NotYetValid);
        }
        if claims.issued_at().is_some_and(|iat| iat > soon) {
            return Err(VerifyErrorKind::IssuedInFuture);
        }
        match (self.max_age, claims.issued_at()) {
            (Some(_), None) => Err(VerifyErrorKind::MissingClaim),
            (Some(max), Some(iat)) if now.since(iat) > max => Err(VerifyErrorKind::TooOld),
            _ => Ok(()),
        }
    }

    fn check_names<C>(&self, claims: &Claims<C>) -> Result<(), VerifyErrorKind> {
        if let Some(issuers) = &self.issuers {
            let issuer = claims.issuer().ok_or(VerifyErrorKind::MissingClaim)?;
            if !issuers.iter().any(|it| it == issuer) {
                return Err(VerifyErrorKind::WrongIssuer);
            }
        }
        if let Some(audiences) = &self.audiences {
            if !claims.has("aud") {
                return Err(VerifyErrorKind::MissingClaim);
            }
            if !claims
                .audience()
                .any(|it| audiences.iter().any(|mine| mine == it))
            {
                return Err(VerifyErrorKind::WrongAudience);
            }
        }
        Ok(())
    }
}
