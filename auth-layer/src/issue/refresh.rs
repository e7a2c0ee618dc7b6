use tokio::time::timeout;

use super::issuer::Core;
use super::mint::Access;
use super::{RefreshError, RefreshErrorKind, RefreshRequest, SessionEvent, TokenPair};
use crate::clock::Timestamp;
use crate::metrics::Stopwatch;
use crate::refresh_token::Presented;
use crate::store::{CustomClaims, Outcome, RevokedBy, Rotated, Rotation, Selection, Session};

impl Core {
    pub(super) async fn refresh(&self, request: RefreshRequest) -> Result<TokenPair, RefreshError> {
        let stopwatch = Stopwatch::start();
        let now = self.clock.now();
        let (sid, result) = match self.secrets.open(request.token.expose()) {
            Ok(presented) => {
                let sid = presented.session();
                (
                    Some(sid),
                    self.refresh_session(&presented, &request, now).await,
                )
            }
            Err(error) => (None, Err(error.into())),
        };
        if let Err(error) = &result {
            let kind = error.kind();
            self.tell(SessionEvent::RefreshFailed { sid, kind });
        }
        stopwatch.refreshed(result.is_ok());
        result
    }

    async fn refresh_session(
        &self,
        presented: &Presented<'_>,
        request: &RefreshRequest,
        now: Timestamp,
    ) -> Result<TokenPair, RefreshError> {
        self.check_scopes(presented, request, now).await?;
        let child = presented.child(request.key.as_ref());
        let rotation = Rotation {
            keyed: request.key.is_some(),
            idle: self.idle,
            repeat_leeway: self.repeat_leeway,
            client_id: request.client_id.clone(),
            jkt: request.jkt,
            keep_bound: self.keep_bound,
            ip: request.ip,
            user_agent: request.user_agent.clone(),
            ..Rotation::new(
                presented.session(),
                presented.generation(),
                presented.hash(),
                child.hash,
                now,
            )
        };
        let (outcome, session) = match self.store.rotate(rotation).await? {
            Rotated::Decided(outcome, session) => (outcome, session),
            Rotated::Dead(dead) => return Err(dead.into()),
        };
        let session = self.judge(outcome, presented.generation(), session, now)?;
        let scopes = request.scopes.as_ref().unwrap_or(&session.scopes).clone();
        if !session.scopes.contains_all(&scopes) {
            return Err(RefreshErrorKind::WiderScope.into());
        }
        let token = match outcome {
            Outcome::Kept => request.token.clone(),
            _ => child.token,
        };
        let claims = self.claims_of(&session, now).await?;
        let access = Access {
            scopes,
            client_id: request.client_id.as_deref(),
            audiences: &request.audiences,
        };
        Ok(self.pair(&session, token, access, &claims, now)?)
    }

    /// Before the rotation, so that asking for too much costs nobody the token. Scopes of a session
    /// never change. Whoever has an old token learns nothing here: the rotation says what it is.
    async fn check_scopes(
        &self,
        presented: &Presented<'_>,
        request: &RefreshRequest,
        now: Timestamp,
    ) -> Result<(), RefreshError> {
        let Some(wanted) = &request.scopes else {
            return Ok(());
        };
        let which = Selection::One(presented.session());
        let mut found = self.store.list(which, now).await?.into_iter();
        let current = found.find(|it| {
            it.chain.current == presented.hash()
                && it.belongs_to(request.client_id.as_deref(), request.jkt)
        });
        if current.is_none_or(|it| it.scopes.contains_all(wanted)) {
            Ok(())
        } else {
            Err(RefreshErrorKind::WiderScope.into())
        }
    }

    /// Tells what the store decided, and goes on where that brings a pair.
    fn judge(
        &self,
        outcome: Outcome,
        presented: u64,
        session: Session,
        now: Timestamp,
    ) -> Result<Session, RefreshError> {
        let (sid, subject) = (session.id, session.subject.clone());
        let generation = session.chain.generation;
        match outcome {
            Outcome::Advanced | Outcome::Kept => {
                self.tell(SessionEvent::Refreshed {
                    sid,
                    subject,
                    generation,
                });
                Ok(session)
            }
            Outcome::Replayed => {
                self.tell(SessionEvent::Replayed {
                    sid,
                    subject,
                    generation,
                });
                Ok(session)
            }
            Outcome::Late => {
                self.tell(SessionEvent::Late {
                    sid,
                    generation: presented,
                });
                Err(RefreshErrorKind::Superseded.into())
            }
            Outcome::Future => {
                self.tell(SessionEvent::StoreBehind {
                    sid,
                    generation: presented,
                });
                Err(RefreshErrorKind::StoreBehind.into())
            }
            Outcome::Forked | Outcome::Stale => {
                let generation = presented;
                self.revoked(&[session], RevokedBy::Reuse, now);
                self.tell(SessionEvent::ReuseDetected {
                    sid,
                    subject,
                    generation,
                });
                Err(RefreshErrorKind::Reused.into())
            }
        }
    }

    async fn claims_of(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> Result<CustomClaims, RefreshError> {
        match timeout(self.claims_timeout, self.claims.ask(session)).await {
            Ok(Ok(claims)) => Ok(claims),
            Ok(Err(error)) if error.is_refusal() => {
                self.revoke(Selection::One(session.id), RevokedBy::Claims, now)
                    .await?;
                Err(RefreshErrorKind::Refused.into())
            }
            Ok(Err(error)) => Err(RefreshError::unavailable(error)),
            Err(elapsed) => Err(RefreshError::unavailable(elapsed)),
        }
    }
}
