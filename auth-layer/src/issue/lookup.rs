use super::{SessionEvent, TokenIssuer};
use crate::clock::Timestamp;
use crate::refresh_token::{Presented, RefreshToken, SessionId, TokenError};
use crate::store::{RevokedBy, Selection, Session, StoreError};

/// What the endpoints ask of an issuer, besides what everybody may.
impl TokenIssuer {
    pub(crate) fn now(&self) -> Timestamp {
        self.core().clock.now()
    }

    /// Whom its access tokens are for.
    pub(crate) fn audiences(&self) -> &[String] {
        &self.core().names.audiences
    }

    /// Reads a token that one of its secrets made.
    pub(crate) fn open(&self, token: &RefreshToken) -> Result<Presented<'_>, TokenError> {
        self.core().secrets.open(token.expose())
    }

    /// The session, if it is alive.
    pub(crate) async fn find(&self, sid: SessionId) -> Result<Option<Session>, StoreError> {
        let found = self.core().store.list(Selection::One(sid), self.now());
        Ok(found.await?.pop())
    }

    /// Ends a session in the name of whoever holds a token of it.
    pub(crate) async fn log_out(&self, sid: SessionId) -> Result<(), StoreError> {
        self.end(Selection::One(sid), RevokedBy::Token).await?;
        Ok(())
    }

    pub(crate) fn tell(&self, event: SessionEvent) {
        self.core().tell(event);
    }
}
