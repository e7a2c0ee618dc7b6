use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::endpoints::Shared;
use super::refusal::Refusal;
use crate::refresh_token::SessionId;
use crate::verify::{Verify as _, VerifyErrorKind};

/// Whose sessions a request is about, and which of them it is made with.
pub(super) struct Caller {
    pub(super) subject: String,
    pub(super) session: SessionId,
}

impl Shared {
    /// The bearer of an access token of this issuer (RFC 6750) whose session is alive: the store
    /// knows what was revoked elsewhere a moment ago.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let verification = self.issuer.verifier().verify(bearer(headers)?);
        let claims = verification.await.map_err(|error| match error.kind() {
            VerifyErrorKind::KeysUnavailable => Refusal::unavailable(),
            kind => Refusal::invalid_token(kind.description()),
        })?;
        if !claims.scopes().contains_all(&self.sessions_scopes) {
            return Err(Refusal::insufficient_scope(&self.sessions_scopes));
        }
        let sid = claims.session_id().and_then(|it| it.parse().ok());
        let session = match sid {
            Some(sid) => self.issuer.find(sid).await?,
            None => None,
        };
        match session {
            Some(session) if claims.subject() == Some(&session.subject) => Ok(Caller {
                subject: session.subject,
                session: session.id,
            }),
            _ => Err(Refusal::invalid_token(
                VerifyErrorKind::Revoked.description(),
            )),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), more) = (values.next(), values.next()) else {
        return Err(Refusal::no_access_token());
    };
    let value = value.to_str().ok().filter(|_| more.is_none());
    let value = value.ok_or(Refusal::invalid(
        "Authorization occurs twice, or is no text",
    ))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Refusal::no_access_token()),
    }
}
