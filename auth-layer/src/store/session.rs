use std::net::IpAddr;
use std::time::Duration;

use super::{Chain, CustomClaims, Dead, Outcome, Rotated, Rotation};
use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::scope::Scopes;

/// One sign-in on one device.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Session {
    /// Its name, the `sid` claim.
    pub id: SessionId,
    /// Who signed in, the `sub` claim.
    pub subject: String,
    /// The OAuth client that it was given to, and to which alone its tokens are of use.
    pub client_id: Option<String>,
    /// The key that has to be proved with each of its tokens, the `cnf.jkt` claim (RFC 9449 s6.1).
    pub jkt: Option<Thumbprint>,
    /// What its access tokens may be used for.
    pub scopes: Scopes,
    /// A name that the user knows it by, such as "Firefox on Linux".
    pub label: Option<String>,
    /// What its access tokens say besides.
    pub claims: CustomClaims,
    /// When the user proved who they are, the `auth_time` claim.
    pub auth_time: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
    /// From where it was last used.
    pub ip: Option<IpAddr>,
    /// With which program it was last used.
    pub user_agent: Option<String>,
    /// Its refresh tokens and deadlines.
    pub chain: Chain,
    /// Who or what revoked it.
    pub revoked_by: Option<RevokedBy>,
}

impl Session {
    /// A session that begins at `now`, with nothing optional.
    pub fn new(
        id: SessionId,
        subject: impl Into<String>,
        first: TokenHash,
        now: Timestamp,
        (idle, absolute): (Duration, Duration),
    ) -> Self {
        Self {
            id,
            subject: subject.into(),
            client_id: None,
            jkt: None,
            scopes: Scopes::default(),
            label: None,
            claims: CustomClaims::default(),
            auth_time: now,
            created_at: now,
            ip: None,
            user_agent: None,
            chain: Chain::new(first, now, idle, absolute),
            revoked_by: None,
        }
    }

    /// Whether it is neither revoked nor past a deadline.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.chain.is_alive(now).is_ok()
    }

    /// All of [`SessionStore::rotate`](super::SessionStore::rotate), for stores that hold sessions
    /// as values.
    pub fn rotate(&mut self, rotation: &Rotation) -> Rotated {
        match self.decide(rotation) {
            Ok(outcome) => Rotated::Decided(outcome, self.clone()),
            Err(dead) => Rotated::Dead(dead),
        }
    }

    /// [`rotate`](Self::rotate), for who answers with the session itself.
    pub(crate) fn decide(&mut self, rotation: &Rotation) -> Result<Outcome, Dead> {
        self.admit(rotation)?;
        let outcome = if rotation.keep_bound && self.jkt.is_some() {
            self.chain.keep(rotation)?
        } else {
            self.chain.rotate(rotation)?
        };
        if matches!(outcome, Outcome::Advanced | Outcome::Kept) {
            self.ip = rotation.ip.or(self.ip);
            if let Some(user_agent) = &rotation.user_agent {
                self.user_agent = Some(user_agent.clone());
            }
        } else if outcome.is_reuse() {
            self.revoked_by = Some(RevokedBy::Reuse);
        }
        Ok(outcome)
    }

    /// Whether a rotation by that client, with that key, at that time is decided at all.
    ///
    /// # Errors
    /// When it is not, and why.
    pub fn admit(&self, rotation: &Rotation) -> Result<(), Dead> {
        if !self.serves(rotation.client_id.as_deref()) {
            return Err(Dead::OtherClient);
        }
        match (self.jkt, rotation.jkt) {
            (Some(_), None) => Err(Dead::Unproved),
            (Some(bound_to), Some(proved)) if bound_to != proved => Err(Dead::OtherKey),
            _ => self.chain.is_alive(rotation.now),
        }
    }

    /// Whether its tokens are of use to that client. A session of no client serves all.
    pub(crate) fn serves(&self, client_id: Option<&str>) -> bool {
        self.client_id.is_none() || self.client_id.as_deref() == client_id
    }

    /// Revokes it; false, and nothing changes, if it was already.
    pub fn revoke(&mut self, by: RevokedBy, now: Timestamp) -> bool {
        let first = self.chain.revoked_at.is_none();
        if first {
            self.chain.revoked_at = Some(now);
            self.revoked_by = Some(by);
        }
        first
    }
}

/// Some sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a store must be able to select each"
)]
pub enum Selection {
    /// One.
    One(SessionId),
    /// All of a subject.
    Subject(String),
    /// All of a subject but one.
    Others {
        /// The subject.
        subject: String,
        /// The session that is not meant.
        keep: SessionId,
    },
}

impl Selection {
    /// The subject whose sessions are meant.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::One(_) => None,
            Self::Subject(subject) | Self::Others { subject, .. } => Some(subject),
        }
    }

    /// Whether `session` is meant.
    pub fn contains(&self, session: &Session) -> bool {
        match self {
            Self::One(id) => session.id == *id,
            Self::Subject(subject) => session.subject == *subject,
            Self::Others { subject, keep } => session.subject == *subject && session.id != *keep,
        }
    }
}

/// Who or what revoked a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevokedBy {
    /// Whoever held its refresh token: a log-out.
    Token,
    /// The application, by session or by subject.
    Application,
    /// The source of its claims, which refused it.
    Claims,
    /// A refresh token was used twice.
    Reuse,
}

impl RevokedBy {
    /// A word for it, for stores and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Application => "application",
            Self::Claims => "claims",
            Self::Reuse => "reuse",
        }
    }

    /// What [`as_str`](Self::as_str) wrote.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Token, Self::Application, Self::Claims, Self::Reuse]
            .into_iter()
            .find(|it| it.as_str() == word)
    }
}
