use super::issuer::Core;
use super::{RefreshError, RefreshErrorKind, RefreshRequest, SessionEvent, TokenPair};
use crate::clock::Timestamp;
use crate::metrics::Stopwatch;
use crate::refresh_token::{Presented, SessionId};
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
        self.check_scopes(presented.session(), request, now).await?;
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
        let token = match outcome {
            Outcome::Kept => request.token.clone(),
            _ => child.token,
        };
        let claims = self.claims_of(&session, now).await?;
        let scopes = request
            .scopes
            .clone()
            .unwrap_or_else(|| session.scopes.clone());
        Ok(self.pair(&session, token, scopes, &claims, now)?)
    }

    /// Before the rotation, so that asking for too much costs nobody the token. Scopes of a session
    /// never change.
    async fn check_scopes(
        &self,
        sid: SessionId,
        request: &RefreshRequest,
        now: Timestamp,
    ) -> Result<(), RefreshError> {
        let Some(wanted) = &request.scopes else {
            return Ok(());
        };
        let found = self.store.list(Selection::One(sid), now).await?;
        if found.iter().all(|it| it.scopes.contains_all(wanted)) {
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
        match self.claims.ask(session).await {
            Ok(claims) => Ok(claims),
            Err(error) if error.is_refusal() => {
                self.revoke(Selection::One(session.id), RevokedBy::Claims, now)
                    .await?;
                Err(RefreshErrorKind::Refused.into())
            }
            Err(error) => Err(RefreshError::unavailable(error)),
        }
    }
}
