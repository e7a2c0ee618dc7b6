use http::request::Parts;

use super::credential::{Credential, Scheme};
use super::denial::Denial;
use super::endpoints::Shared;
use super::proof::Proof;
use super::refusal::Refusal;
use crate::proof::BindingErrorKind;
use crate::refresh_token::SessionId;
use crate::verify::{Verify as _, VerifyErrorKind};

/// Whose sessions a request is about, and which of them it is made with.
pub(super) struct Caller {
    pub(super) subject: String,
    pub(super) session: SessionId,
    /// That the token is the caller's own.
    pub(super) proof: Proof,
}

impl Shared {
    /// The bearer of an access token of this issuer (RFC 6750), who holds its key if it is bound to
    /// one (RFC 9449 s7), and whose session is alive: the store knows what was revoked elsewhere a
    /// moment ago.
    pub(super) async fn caller(&self, request: &Parts) -> Result<Caller, Refusal> {
        let credential = Credential::of(&request.headers, self.dpop.is_some())
            .map_err(|denial| self.deny(denial, Scheme::Bearer))?;
        let caller = self.identify(request, credential).await;
        caller.map_err(|denial| self.deny(denial, credential.scheme))
    }

    async fn identify(
        &self,
        request: &Parts,
        credential: Credential<'_>,
    ) -> Result<Caller, Denial> {
        if credential.scheme == Scheme::Bearer && self.requires_dpop() {
            return Err(Denial::Binding(BindingErrorKind::DpopRequired));
        }
        let verification = self.verifier.verify(credential.token);
        let claims = verification.await.map_err(|error| error.kind())?;
        let bound_to = claims.confirmation();
        let proof = self.prove_holder(request, credential, bound_to).await?;
        if !claims.scopes().contains_all(&self.sessions_scopes) {
            return Err(Denial::Scope);
        }
        let sid = claims.session_id().and_then(|it| it.parse().ok());
        let session = match sid {
            Some(sid) => self.issuer.find(sid).await?,
            None => None,
        };
        match session {
            // A client that the user gave a part of their account is not the user.
            Some(session) if session.client_id.is_some() && self.sessions_scopes.is_empty() => {
                Err(Denial::Scope)
            }
            Some(session) if claims.subject() == Some(&session.subject) => Ok(Caller {
                subject: session.subject,
                session: session.id,
                proof,
            }),
            _ => Err(Denial::Token(VerifyErrorKind::Revoked)),
        }
    }

    fn requires_dpop(&self) -> bool {
        self.dpop.as_ref().is_some_and(|it| it.required)
    }
}
