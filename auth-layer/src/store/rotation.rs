//! What becomes of a refresh token that is presented: the whole decision, without a clock or a
//! store.
//!
//! | outcome | when | effect |
//! | --- | --- | --- |
//! | [`Advanced`](Outcome::Advanced) | it is the newest | its child takes its place |
//! | [`Replayed`](Outcome::Replayed) | it is the one before, and asks for the child that exists | none |
//! | [`Late`](Outcome::Late) | it is two before, and its keyed child was used since | none |
//! | [`Forked`](Outcome::Forked) | it is the one before, and asks for another child | the session is revoked |
//! | [`Stale`](Outcome::Stale) | it is any older one | the session is revoked |
//! | [`Future`](Outcome::Future) | the store has never seen it | none |
//! | [`Kept`](Outcome::Kept) | it is the newest, and need not be replaced as it is bound to a key | none |
//! | [`Dead`] | the session is revoked, expired, another's or unknown | none |

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};

/// A refresh token that was presented, and what is needed to judge it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rotation {
    /// The session that the token names.
    pub session: SessionId,
    /// How often that session was rotated before the token was made.
    pub generation: u64,
    /// The token's hash.
    pub presented: TokenHash,
    /// The hash of the token that would follow it.
    pub child: TokenHash,
    /// The id of the secret that tags that token.
    pub tag_key_id: Option<u32>,
    /// Whether an idempotency key took part in making `child`.
    pub keyed: bool,
    /// When this happens.
    pub now: Timestamp,
    /// How long the session may then stay unused.
    pub idle: Duration,
    /// How long a repeat without an idempotency key is forgiven.
    pub repeat_leeway: Duration,
    /// The OAuth client that presents it. A session that was given to a client is that client's.
    pub client_id: Option<String>,
    /// The key that was proved with it. A session that is bound to a key is of use with that one only;
    /// to any other session it means nothing.
    pub jkt: Option<Thumbprint>,
    /// Whether a session that is bound to a key goes on with the same token.
    pub keep_bound: bool,
    /// From where.
    pub ip: Option<IpAddr>,
    /// With which program.
    pub user_agent: Option<String>,
    /// How long the caller waits for the rotation to begin. A store does not begin it later: the caller is refused then, and
    /// its repeat would be taken for reuse.
    pub timeout: Duration,
}

impl Rotation {
    /// A rotation without idempotency key, leeway, client, key or origin, for a session that may stay
    /// unused for 14 days. Its caller waits for 10 seconds.
    pub fn new(
        session: SessionId,
        generation: u64,
        presented: TokenHash,
        child: TokenHash,
        now: Timestamp,
    ) -> Self {
        Self {
            session,
            generation,
            presented,
            child,
            tag_key_id: None,
            keyed: false,
            now,
            idle: Duration::from_secs(14 * 24 * 3600),
            repeat_leeway: Duration::ZERO,
            client_id: None,
            jkt: None,
            keep_bound: false,
            ip: None,
            user_agent: None,
            timeout: LONGEST_WAIT,
        }
    }

    /// A repeat without a key is forgiven if the rotation was at this time or after it. Without a
    /// leeway it never is, not even in the same millisecond or by a clock that goes behind.
    pub fn forgiven_since(&self) -> Option<Timestamp> {
        (!self.repeat_leeway.is_zero()).then(|| self.now.minus(self.repeat_leeway))
    }
}

/// How long a caller of a store waits for its work to begin.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The part of a session that rotations change: the newest two links of its chain of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// How often the token was rotated.
    pub generation: u64,
    /// The hash of the newest token.
    pub current: TokenHash,
    /// The id of the secret that tagged the newest token: a repeat of the rotation gets the same text from every node, also while
    /// the secret is replaced.
    pub tag_key_id: Option<u32>,
    /// The hash of the token before it.
    pub previous: Option<TokenHash>,
    /// When the newest token was made.
    pub rotated_at: Timestamp,
    /// From when on it is dead unless rotated; never after `absolute_expires_at`.
    pub idle_expires_at: Timestamp,
    /// From when on it is dead in any case.
    pub absolute_expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Chain {
    /// A chain of one token.
    pub fn new(first: TokenHash, now: Timestamp, idle: Duration, absolute: Duration) -> Self {
        Self {
            generation: 0,
            current: first,
            tag_key_id: None,
            previous: None,
            rotated_at: now,
            idle_expires_at: now.plus(idle.min(absolute)),
            absolute_expires_at: now.plus(absolute),
            revoked_at: None,
        }
    }

    /// Decides and applies, for a token that is replaced when it was used.
    ///
    /// # Errors
    /// When the chain is dead.
    pub fn rotate(&mut self, rotation: &Rotation) -> Result<Outcome, Dead> {
        self.apply(rotation, Outcome::Advanced)
    }

    /// Decides and applies, for a token that may be used again. An older one than the newest is
    /// judged as ever.
    ///
    /// # Errors
    /// When the chain is dead.
    pub fn keep(&mut self, rotation: &Rotation) -> Result<Outcome, Dead> {
        self.apply(rotation, Outcome::Kept)
    }

    fn apply(&mut self, rotation: &Rotation, newest: Outcome) -> Result<Outcome, Dead> {
        self.is_alive(rotation.now)?;
        let outcome = self.decide(rotation, newest);
        match outcome {
            Outcome::Advanced => self.advance(rotation),
            Outcome::Kept => self.prolong(rotation),
            Outcome::Forked | Outcome::Stale => self.revoked_at = Some(rotation.now),
            Outcome::Replayed | Outcome::Late | Outcome::Future => {}
        }
        Ok(outcome)
    }

    /// Whether any token of it is worth anything at `now`.
    ///
    /// # Errors
    /// When none is, and why.
    pub fn is_alive(&self, now: Timestamp) -> Result<(), Dead> {
        if self.revoked_at.is_some() {
            Err(Dead::Revoked)
        } else if now >= self.idle_expires_at || now >= self.absolute_expires_at {
            Err(Dead::Expired)
        } else {
            Ok(())
        }
    }

    fn decide(&self, it: &Rotation, newest: Outcome) -> Outcome {
        let behind = self.generation.checked_sub(it.generation);
        let is_previous = self.previous == Some(it.presented);
        let forgiven = it
            .forgiven_since()
            .is_some_and(|since| since <= self.rotated_at);
        let repeats = it.keyed || forgiven;
        match behind {
            Some(0) if self.current == it.presented => newest,
            Some(1) if is_previous && self.current == it.child && repeats => Outcome::Replayed,
            Some(2) if it.keyed && self.previous == Some(it.child) => Outcome::Late,
            Some(1) if is_previous => Outcome::Forked,
            Some(0) | None => Outcome::Future,
            Some(_) => Outcome::Stale,
        }
    }

    fn advance(&mut self, rotation: &Rotation) {
        self.generation += 1;
        self.previous = Some(self.current);
        self.current = rotation.child;
        self.tag_key_id = rotation.tag_key_id;
        self.rotated_at = rotation.now;
        self.prolong(rotation);
    }

    fn prolong(&mut self, rotation: &Rotation) {
        self.idle_expires_at = rotation
            .now
            .plus(rotation.idle)
            .min(self.absolute_expires_at);
    }
}

/// What becomes of a token of a session that is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the decision is complete: an outcome more is another protocol"
)]
pub enum Outcome {
    /// It was the newest token; its child is now.
    Advanced,
    /// A repeat of the rotation before: the same child again.
    Replayed,
    /// A repeat that was overtaken by the child's own rotation. Refused, and no harm done.
    Late,
    /// A second child was asked for: two parties hold the token. The session is revoked.
    Forked,
    /// An old token: two parties hold it, or did. The session is revoked.
    Stale,
    /// A genuine token that the store has never seen: the store is older than its tokens.
    Future,
    /// It was the newest token, and still is.
    Kept,
}

impl Outcome {
    /// Whether the caller gets new tokens.
    pub(crate) const fn brings_a_pair(self) -> bool {
        matches!(self, Self::Advanced | Self::Replayed | Self::Kept)
    }

    /// Whether it revoked the session, as somebody holds a copy.
    pub const fn is_reuse(self) -> bool {
        matches!(self, Self::Forked | Self::Stale)
    }
}

/// Why no token of a session is worth anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dead {
    /// The store has no such session.
    Unknown,
    /// It was revoked.
    Revoked,
    /// It was unused for too long, or is too old.
    Expired,
    /// It belongs to another OAuth client.
    OtherClient,
    /// It is bound to a key, and none was proved.
    Unproved,
    /// It is bound to another key.
    OtherKey,
}

impl fmt::Display for Dead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the session is unknown",
            Self::Revoked => "the session was revoked",
            Self::Expired => "the session expired",
            Self::OtherClient => "the session belongs to another client",
            Self::Unproved => "the session is bound to a key, and none was proved",
            Self::OtherKey => "the session is bound to another key",
        })
    }
}

impl std::error::Error for Dead {}

#[cfg(test)]
mod tests;
