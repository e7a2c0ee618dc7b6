use std::net::IpAddr;

use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::Response;
use super::endpoints::Shared;
use super::refusal::Refusal;
use super::wire::{empty, json};
use crate::refresh_token::SessionId;
use crate::store::Session;

impl Shared {
    pub(super) async fn list_sessions(&self, headers: &HeaderMap) -> Result<Response, Refusal> {
        let caller = self.caller(headers).await?;
        let sessions = self.issuer.list(&caller.subject).await?;
        let entries = sessions.iter().map(|it| Entry::of(it, caller.session));
        Ok(json(&entries.collect::<Vec<_>>()))
    }

    /// Whether a session is somebody else's is nobody's business.
    pub(super) async fn end_session(
        &self,
        headers: &HeaderMap,
        sid: SessionId,
    ) -> Result<Response, Refusal> {
        let caller = self.caller(headers).await?;
        match self.issuer.find(sid).await? {
            Some(session) if session.subject == caller.subject => {
                self.issuer.revoke_session(sid).await?;
                Ok(empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Refusal::NO_SUCH_SESSION),
        }
    }

    pub(super) async fn end_other_sessions(
        &self,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let caller = self.caller(headers).await?;
        let (subject, keep) = (&caller.subject, caller.session);
        self.issuer.revoke_others(subject, keep).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

/// A session as its user sees it. Times are seconds since the Unix epoch.
#[derive(Serialize)]
struct Entry<'a> {
    sid: String,
    label: Option<&'a str>,
    created_at: i64,
    rotated_at: i64,
    ip: Option<IpAddr>,
    user_agent: Option<&'a str>,
    current: bool,
}

impl<'a> Entry<'a> {
    fn of(session: &'a Session, current: SessionId) -> Self {
        Self {
            sid: session.id.to_string(),
            label: session.label.as_deref(),
            created_at: session.created_at.as_secs(),
            rotated_at: session.chain.rotated_at.as_secs(),
            ip: session.ip,
            user_agent: session.user_agent.as_deref(),
            current: session.id == current,
        }
    }
}
