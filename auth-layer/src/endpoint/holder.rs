use http::request::Parts;

use super::credential::{Credential, Scheme};
use super::denial::Denial;
use super::endpoints::Shared;
use super::proof::Proof;
use crate::claims::{Confirmation, Thumbprint};
use crate::proof::BindingErrorKind;
use crate::verify::VerifyErrorKind;

impl Shared {
    /// That who sends an access token holds the key it is bound to (RFC 9449 s7.1). A bound token goes
    /// through with its proof or not at all, and a proof does not make up for a binding.
    pub(super) async fn prove_holder(
        &self,
        request: &Parts,
        credential: Credential<'_>,
        bound_to: Option<&Confirmation>,
    ) -> Result<Proof, Denial> {
        let jkt = bound_to.map(key).transpose()?;
        match (credential.scheme, jkt) {
            (Scheme::Bearer, None) => Ok(Proof::default()),
            (Scheme::Bearer, Some(_)) => Err(Denial::Binding(BindingErrorKind::SentAsBearer)),
            (Scheme::Dpop, None) => Err(Denial::Binding(BindingErrorKind::NotBoundToKey)),
            (Scheme::Dpop, Some(jkt)) => self.check_holder(request, credential.token, jkt).await,
        }
    }

    async fn check_holder(
        &self,
        request: &Parts,
        token: &str,
        jkt: &Thumbprint,
    ) -> Result<Proof, Denial> {
        let dpop = self.dpop.as_ref().ok_or(UNCHECKED)?;
        let proved = dpop.check_at(self.base(), request, token, jkt)?;
        Ok(Proof::settle(proved).await?)
    }
}

/// The key, if it is all that a token is bound to: certificates are not looked at here.
fn key(bound_to: &Confirmation) -> Result<&Thumbprint, VerifyErrorKind> {
    let is_checked = bound_to.is_understood() && bound_to.certificate().is_none();
    let jkt = bound_to.jkt().filter(|_| is_checked);
    jkt.ok_or(UNCHECKED)
}

const UNCHECKED: VerifyErrorKind = VerifyErrorKind::ProofRequired;
