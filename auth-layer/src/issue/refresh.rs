use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::time::timeout;

use super::issuer::{Core, carry_through};
use super::mint::Access;
use super::{RefreshError, RefreshErrorKind, RefreshRequest, SessionEvent, TokenPair};
use crate::clock::Timestamp;
use crate::metrics::Stopwatch;
use crate::refresh_token::{RefreshToken, SessionId};
use crate::scope::Scopes;
use crate::store::{CustomClaims, Outcome, RevokedBy, Rotated, Rotation, Selection, Session};

/// A refresh whose token has a valid tag.
struct Refresh {
    rotation: Rotation,
    token: RefreshToken,
    child: RefreshToken,
    scopes: Option<Scopes>,
    client_id: Option<String>,
    audiences: Vec<String>,
}

impl Core {
    /// What may fail without harm comes before the rotation: the scopes and the source of claims. A caller that goes away
    /// while they are checked has rotated nothing. A look at the row and a rotation are carried through.
    pub(super) async fn refresh(
        self: Arc<Self>,
        request: RefreshRequest,
    ) -> Result<TokenPair, RefreshError> {
        let stopwatch = Stopwatch::start();
        let refresh = match self.open(request) {
            Ok(refresh) => refresh,
            Err(error) => return self.finish(stopwatch, None, Err(error)),
        };
        let sid = refresh.rotation.session;
        if self.claims.is_none() && refresh.scopes.is_none() {
            return self.conclude(stopwatch, refresh, None).await;
        }
        let core = self.clone();
        let looked = carry_through(async move {
            match core.advanced(&refresh).await {
                Ok(Some(session)) => ControlFlow::Continue((stopwatch, refresh, session)),
                Ok(None) => {
                    let result = core.rotate(refresh, None).await;
                    ControlFlow::Break(core.finish(stopwatch, Some(sid), result))
                }
                Err(error) => ControlFlow::Break(core.finish(stopwatch, Some(sid), Err(error))),
            }
        });
        let (stopwatch, refresh, session) = match looked.await {
            Ok(ControlFlow::Continue(looked)) => looked,
            Ok(ControlFlow::Break(result)) => return result,
            Err(cancelled) => return Err(RefreshError::unavailable(cancelled)),
        };
        match self.claims_of(&session, refresh.rotation.now).await {
            Ok(claims) => self.conclude(stopwatch, refresh, Some(claims)).await,
            Err(error) => self.finish(stopwatch, Some(sid), Err(error)),
        }
    }

    fn open(&self, request: RefreshRequest) -> Result<Refresh, RefreshError> {
        let presented = self.secrets.open(request.token.expose())?;
        let child = presented.child(request.key.as_ref());
        let rotation = Rotation {
            keyed: request.key.is_some(),
            tag_key_id: Some(child.tag_key_id),
            idle: self.idle,
            repeat_leeway: self.repeat_leeway,
            client_id: request.client_id.clone(),
            jkt: request.jkt,
            keep_bound: self.keep_bound,
            ip: request.ip,
            user_agent: request.user_agent,
            ..Rotation::new(
                presented.session(),
                presented.generation(),
                presented.hash(),
                child.hash,
                self.clock.now(),
            )
        };
        Ok(Refresh {
            rotation,
            child: child.token,
            scopes: request.scopes,
            client_id: request.client_id,
            audiences: request.audiences,
            token: request.token,
        })
    }

    /// The session as the refresh would leave it, if that brings a pair by what its row says now. None leaves everything to the
    /// rotation, which decides in any case: the row may change in between.
    async fn advanced(&self, refresh: &Refresh) -> Result<Option<Session>, RefreshError> {
        let rotation = &refresh.rotation;
        let which = Selection::One(rotation.session);
        let Some(mut session) = self.store.list(which, rotation.now).await?.pop() else {
            return Ok(None);
        };
        if !session.decide(rotation).is_ok_and(Outcome::brings_a_pair) {
            return Ok(None);
        }
        // Scopes of a session never change, so asking for too much costs no caller the token.
        match &refresh.scopes {
            Some(wanted) if !session.scopes.contains_all(wanted) => {
                Err(RefreshErrorKind::WiderScope.into())
            }
            _ => Ok(Some(session)),
        }
    }

    /// Rotates, even if the caller goes away: what became of the token must be reported.
    async fn conclude(
        self: Arc<Self>,
        stopwatch: Stopwatch,
        refresh: Refresh,
        claims: Option<CustomClaims>,
    ) -> Result<TokenPair, RefreshError> {
        let rotated = carry_through(async move {
            let sid = refresh.rotation.session;
            let result = self.rotate(refresh, claims).await;
            self.finish(stopwatch, Some(sid), result)
        });
        let cancelled = |error| Err(RefreshError::unavailable(error));
        rotated.await.unwrap_or_else(cancelled)
    }

    async fn rotate(
        self: &Arc<Self>,
        refresh: Refresh,
        claims: Option<CustomClaims>,
    ) -> Result<TokenPair, RefreshError> {
        let (now, presented) = (refresh.rotation.now, refresh.rotation.generation);
        let (outcome, session) = match self.store.rotate(refresh.rotation).await? {
            Rotated::Decided(outcome, session) => (outcome, session),
            Rotated::Dead(dead) => return Err(dead.into()),
        };
        let session = self.judge(outcome, presented, session, now)?;
        let scopes = refresh.scopes.unwrap_or_else(|| session.scopes.clone());
        if !session.scopes.contains_all(&scopes) {
            return Err(RefreshErrorKind::WiderScope.into());
        }
        let token = match outcome {
            Outcome::Kept => refresh.token,
            Outcome::Replayed => self.as_first_sent(refresh.child, &session),
            _ => refresh.child,
        };
        let claims = match claims {
            Some(claims) => claims,
            // The row has changed since it was read, or there is nothing to ask.
            None => self.claims_of(&session, now).await?,
        };
        let access = Access {
            scopes,
            client_id: refresh.client_id.as_deref(),
            audiences: &refresh.audiences,
        };
        Ok(self.pair(&session, token, access, &claims, now)?)
    }

    /// The text that the rotation's own answer had, also if another node made it that tags with another secret.
    fn as_first_sent(&self, child: RefreshToken, session: &Session) -> RefreshToken {
        let tag = session.chain.tag_key_id;
        tag.and_then(|it| self.secrets.retag(&child, it))
            .unwrap_or(child)
    }

    fn finish(
        &self,
        stopwatch: Stopwatch,
        sid: Option<SessionId>,
        result: Result<TokenPair, RefreshError>,
    ) -> Result<TokenPair, RefreshError> {
        if let Err(error) = &result {
            let kind = error.kind();
            self.tell(SessionEvent::RefreshFailed { sid, kind });
        }
        stopwatch.refreshed(result.is_ok());
        result
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
        self: &Arc<Self>,
        session: &Session,
        now: Timestamp,
    ) -> Result<CustomClaims, RefreshError> {
        let Some(source) = &self.claims else {
            return Ok(session.claims.clone());
        };
        match timeout(self.claims_timeout, source.ask(session)).await {
            Ok(Ok(claims)) => Ok(claims),
            Ok(Err(error)) if error.is_refusal() => {
                let (core, which) = (self.clone(), Selection::One(session.id));
                let revoked =
                    carry_through(async move { core.revoke(which, RevokedBy::Claims, now).await });
                revoked.await.map_err(RefreshError::unavailable)??;
                Err(RefreshErrorKind::Refused.into())
            }
            Ok(Err(error)) => Err(RefreshError::unavailable(error)),
            Err(elapsed) => Err(RefreshError::unavailable(elapsed)),
        }
    }
}
