use std::collections::BTreeSet;

use http::StatusCode;
use http::request::Parts;

use super::Response;
use super::endpoints::Shared;
use super::form::Form;
use super::refusal::Refusal;
use super::wire::{add_cookies, empty, refresh_token};
use crate::refresh_token::{RefreshToken, SessionId};
use crate::store::Session;
use crate::verify::Verify as _;

impl Shared {
    /// RFC 7009: whether the token was any good, or another client's, is nobody's business. An
    /// access token stands for its session.
    pub(super) async fn revoke(&self, request: &Parts, body: &[u8]) -> Result<Response, Refusal> {
        let form = Form::parse(body)?;
        let client = self.authenticate(request, &form)?;
        let token = form.get("token").ok_or(Refusal::invalid("No token"))?;
        let session = match self.session_of(token).await {
            Some(sid) => self.issuer.find(sid).await?,
            None => None,
        };
        if let Some(Session { id, .. }) = session.filter(|it| it.serves(client.as_deref())) {
            self.issuer.log_out(id).await?;
        }
        Ok(empty(StatusCode::OK))
    }

    /// Whoever holds the token may end its session.
    pub(super) async fn log_out(&self, request: &Parts, body: &[u8]) -> Result<Response, Refusal> {
        let mut gone = empty(StatusCode::NO_CONTENT);
        if let Some(token) = refresh_token(body)? {
            self.issuer.revoke(&token).await?;
            return Ok(gone);
        }
        let cookies = self.cookies.as_ref();
        let cookies = cookies.ok_or(Refusal::invalid("No refresh_token"))?;
        // Without a cookie too: else another site could have the browser drop it.
        cookies.check_csrf(request)?;
        let tokens = cookies.read(&request.headers);
        let opened = tokens.iter().filter_map(|it| self.issuer.open(it).ok());
        let sessions: BTreeSet<_> = opened.map(|presented| presented.session()).collect();
        for sid in sessions {
            self.issuer.log_out(sid).await?;
        }
        add_cookies(&mut gone, cookies.clear());
        Ok(gone)
    }

    async fn session_of(&self, token: &str) -> Option<SessionId> {
        if let Ok(presented) = self.issuer.open(&RefreshToken::from(token)) {
            return Some(presented.session());
        }
        let claims = self.introspector().ok()?.verify(token).await.ok()?;
        claims.session_id()?.parse().ok()
    }
}
