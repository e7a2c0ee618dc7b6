use std::fmt;
use std::sync::Arc;

use http::request::Parts;

use super::Rejection;
use super::challenge::Scheme;
use super::extract::Token;
use crate::claims::{Confirmation, Thumbprint};
use crate::proof::{BindingErrorKind, CertificateSource, Dpop, Proved, Unproved};
use crate::verify::VerifyErrorKind;

/// Which proofs a layer checks, and the rule that holds whichever it does: a bound token goes
/// through with all of its proofs or not at all.
#[derive(Clone, Default)]
pub(super) struct Bindings {
    pub(super) dpop: Option<Arc<Dpop>>,
    pub(super) certificates: Option<Arc<dyn CertificateSource>>,
    pub(super) required: bool,
}

impl Bindings {
    /// Whether unbound bearer tokens need no look.
    pub(super) fn let_unbound_pass(&self) -> bool {
        self.dpop.is_none() && !self.required
    }

    /// Whether only tokens of the `DPoP` scheme are accepted.
    pub(super) fn requires_dpop(&self) -> bool {
        self.dpop.as_ref().is_some_and(|it| it.required)
    }

    /// Checks that the sender of `token` is who it is bound to. The DPoP proof that was good, if it
    /// needs one, may yet have been used before.
    pub(super) fn check(
        &self,
        confirmation: Option<&Confirmation>,
        token: Token<'_>,
        request: &Parts,
    ) -> Result<Option<Proved>, Rejection> {
        let Some(confirmation) = confirmation else {
            return match token.scheme {
                Scheme::Dpop => Err(Rejection::WrongBinding(BindingErrorKind::NotBoundToKey)),
                Scheme::Bearer if self.required => {
                    Err(Rejection::WrongBinding(BindingErrorKind::NotBound))
                }
                Scheme::Bearer => Ok(None),
            };
        };
        if !confirmation.is_understood() {
            return Err(UNCHECKED);
        }
        if let Some(bound_to) = confirmation.certificate() {
            self.check_certificate(bound_to, request)?;
        }
        match (confirmation.jkt(), token.scheme) {
            (Some(jkt), _) => self.check_proof(jkt, token, request).map(Some),
            (None, Scheme::Dpop) => Err(Rejection::WrongBinding(BindingErrorKind::NotBoundToKey)),
            (None, Scheme::Bearer) => Ok(None),
        }
    }

    fn check_proof(
        &self,
        jkt: &Thumbprint,
        token: Token<'_>,
        request: &Parts,
    ) -> Result<Proved, Rejection> {
        let dpop = self.dpop.as_ref().ok_or(UNCHECKED)?;
        match token.scheme {
            Scheme::Dpop => Ok(dpop.check(request, token.text, jkt)?),
            Scheme::Bearer => Err(Rejection::WrongBinding(BindingErrorKind::SentAsBearer)),
        }
    }

    fn check_certificate(&self, bound_to: &Thumbprint, request: &Parts) -> Result<(), Rejection> {
        let certificates = self.certificates.as_ref().ok_or(UNCHECKED)?;
        match certificates.certificate(request) {
            Some(shown) if shown == *bound_to => Ok(()),
            Some(_) => Err(Rejection::WrongBinding(BindingErrorKind::WrongCertificate)),
            None => Err(Rejection::WrongBinding(BindingErrorKind::NoCertificate)),
        }
    }
}

impl From<Unproved> for Rejection {
    fn from(unproved: Unproved) -> Self {
        match unproved {
            Unproved::Proof(kind) => Self::InvalidProof(kind),
            Unproved::Binding(kind) => Self::WrongBinding(kind),
        }
    }
}

impl fmt::Debug for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bindings")
            .field("dpop", &self.dpop)
            .field("mtls", &self.certificates.is_some())
            .field("required", &self.required)
            .finish()
    }
}

/// Nobody here checks what the token is bound to.
const UNCHECKED: Rejection = Rejection::InvalidToken(VerifyErrorKind::ProofRequired);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;

    /// Whatever the verifier let through.
    #[test]
    fn what_is_not_understood_is_refused_even_with_each_check_passed() {
        let certificate = Thumbprint::of_certificate(b"der");
        let bindings = Bindings {
            dpop: None,
            certificates: Some(Arc::new(move |_: &Parts| Some(certificate))),
            required: true,
        };
        let (request, ()) = http::Request::new(()).into_parts();
        let token = Token {
            text: "",
            scheme: Scheme::Bearer,
            is_cookie: false,
        };
        let verdict = |cnf: &str| {
            let claims = format!(r#"{{"cnf":{cnf}}}"#);
            let claims: Claims = Claims::read(claims.as_bytes()).unwrap();
            let proved = bindings.check(claims.confirmation(), token, &request);
            proved.map(|it| it.is_none())
        };
        let good = format!(r#""x5t#S256":"{certificate}""#);
        assert_eq!(verdict(&format!("{{{good}}}")), Ok(true));
        for cnf in ["{}", r#"{"kid":"1"}"#, &format!(r#"{{{good},"kid":"1"}}"#)] {
            assert_eq!(verdict(cnf), Err(UNCHECKED), "{cnf}");
        }
    }
}
