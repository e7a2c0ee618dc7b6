use std::net::IpAddr;

use http::StatusCode;
use http::request::Parts;
use serde::Serialize;

use super::Response;
use super::bearer::Caller;
use super::endpoints::Shared;
use super::refusal::Refusal;
use super::route::Wish;
use super::wire::{empty, json};
use crate::refresh_token::SessionId;
use crate::store::Session;

impl Shared {
    pub(super) async fn sessions(&self, request: &Parts, wish: Wish) -> Result<Response, Refusal> {
        let caller = self.caller(request).await?;
        let answer = match wish {
            Wish::List => self.list_sessions(&caller).await,
            Wish::End(sid) => self.end_session(&caller, sid).await,
            Wish::EndOthers => self.end_other_sessions(&caller).await,
        };
        Ok(caller.proof.hand_out(answer.unwrap_or_else(Into::into)))
    }

    async fn list_sessions(&self, caller: &Caller) -> Result<Response, Refusal> {
        let sessions = self.issuer.list(&caller.subject).await?;
        let entries = sessions.iter().map(|it| Entry::of(it, caller.session));
        Ok(json(&entries.collect::<Vec<_>>()))
    }

    /// Whether a session is somebody else's is nobody's business.
    async fn end_session(&self, caller: &Caller, sid: SessionId) -> Result<Response, Refusal> {
        match self.issuer.find(sid).await? {
            Some(session) if session.subject == caller.subject => {
                self.issuer.revoke_session(sid).await?;
                Ok(empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Refusal::NO_SUCH_SESSION),
        }
    }

    async fn end_other_sessions(&self, caller: &Caller) -> Result<Response, Refusal> {
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
