use std::error::Error;
use std::fmt;

use super::{ClaimsError, NoRandomness};
use crate::keys::KeyError;
use crate::proof::ProofErrorKind;
use crate::refresh_token::{TokenError, TokenErrorKind};
use crate::store::{Dead, StoreError, StoreErrorKind};

type Cause = Box<dyn Error + Send + Sync>;

/// A session that was not started.
#[derive(Debug)]
pub struct IssueError {
    kind: IssueErrorKind,
    source: Cause,
}

impl IssueError {
    /// What kept it from starting.
    pub fn kind(&self) -> IssueErrorKind {
        self.kind
    }
}

/// What kept a session from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssueErrorKind {
    /// The store did not take it.
    Store,
    /// The sessions of the subject were revoked since the sign-in began. The proof that was checked may be out of date: the
    /// user signs in again.
    Revoked,
    /// The source of claims is unavailable.
    Claims,
    /// The source of claims refused the subject.
    Refused,
    /// There was no randomness to be had.
    Randomness,
    /// The access token was not signed.
    Signing,
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            IssueErrorKind::Store => "the session was not stored",
            IssueErrorKind::Revoked => "the sessions of the subject were revoked meanwhile",
            IssueErrorKind::Claims => "the source of claims is unavailable",
            IssueErrorKind::Refused => "the source of claims refused the subject",
            IssueErrorKind::Randomness => "there is no randomness for a new session",
            IssueErrorKind::Signing => "the access token was not signed",
        })
    }
}

impl Error for IssueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Revoked => IssueErrorKind::Revoked,
            _ => IssueErrorKind::Store,
        };
        let source = error.into();
        Self { kind, source }
    }
}

impl From<ClaimsError> for IssueError {
    fn from(error: ClaimsError) -> Self {
        let kind = match error.is_refusal() {
            true => IssueErrorKind::Refused,
            false => IssueErrorKind::Claims,
        };
        let source = error.into();
        Self { kind, source }
    }
}

impl From<NoRandomness> for IssueError {
    fn from(error: NoRandomness) -> Self {
        let source = error.into();
        Self {
            kind: IssueErrorKind::Randomness,
            source,
        }
    }
}

impl From<KeyError> for IssueError {
    fn from(error: KeyError) -> Self {
        let source = error.into();
        Self {
            kind: IssueErrorKind::Signing,
            source,
        }
    }
}

/// A refresh token for which there is no new pair.
#[derive(Debug)]
pub struct RefreshError {
    kind: RefreshErrorKind,
    source: Option<Cause>,
}

impl RefreshError {
    /// Why not.
    pub fn kind(&self) -> RefreshErrorKind {
        self.kind
    }

    pub(super) fn unavailable(source: impl Into<Cause>) -> Self {
        Self {
            kind: RefreshErrorKind::Unavailable,
            source: Some(source.into()),
        }
    }
}

/// Why there is no new pair for a refresh token.
///
/// Clients are told three things only: that the token is not good, that it was superseded, or that
/// nobody knows at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshErrorKind {
    /// Not a refresh token at all.
    Malformed,
    /// The token is forged or damaged.
    BadTag,
    /// The token names a refresh secret that is not in use here, such as a retired one.
    UnknownSecret,
    /// The request carried cookies of different sessions, one of which may have been planted.
    /// Nothing is revoked.
    SeveralSessions,
    /// The store has no such session.
    Unknown,
    /// The session was revoked before.
    Revoked,
    /// The session was unused for too long, or is too old.
    Expired,
    /// The session belongs to another OAuth client.
    OtherClient,
    /// The proof of a key that came with the token is not good. The token still is.
    InvalidProof(ProofErrorKind),
    /// The session is bound to a key, and the request brought no proof of one.
    Unproved,
    /// The session is bound to another key than the one that was proved.
    OtherKey,
    /// A repeat that was overtaken: whoever sent it has a newer token already.
    Superseded,
    /// Somebody holds a copy. The session is revoked by this.
    Reused,
    /// Genuine, but unknown to the store, which must be older than its tokens: a restored backup or a
    /// lagging replica.
    StoreBehind,
    /// The source of claims refused the subject. The session is revoked by this.
    Refused,
    /// More scopes were asked for than the session has. The token is still good.
    WiderScope,
    /// The store, the source of claims or the signing key did not answer. Says nothing of the token:
    /// repeat the same request later.
    Unavailable,
}

impl RefreshErrorKind {
    /// A stable label, for logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadTag => "bad_tag",
            Self::UnknownSecret => "unknown_secret",
            Self::SeveralSessions => "several_sessions",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::OtherClient => "other_client",
            Self::InvalidProof(kind) => kind.label(),
            Self::Unproved => "unproved",
            Self::OtherKey => "other_key",
            Self::Superseded => "superseded",
            Self::Reused => "reused",
            Self::StoreBehind => "store_behind",
            Self::Refused => "refused",
            Self::WiderScope => "wider_scope",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RefreshErrorKind::Malformed => "this is not a refresh token",
            RefreshErrorKind::BadTag => "the refresh token is forged or damaged",
            RefreshErrorKind::UnknownSecret => {
                "the refresh token was made with a secret that is not in use"
            }
            RefreshErrorKind::SeveralSessions => "the cookies are of different sessions",
            RefreshErrorKind::Unknown => "the session is unknown",
            RefreshErrorKind::Revoked => "the session was revoked",
            RefreshErrorKind::Expired => "the session expired",
            RefreshErrorKind::OtherClient => "the session belongs to another client",
            RefreshErrorKind::InvalidProof(kind) => kind.description(),
            RefreshErrorKind::Unproved => "the session is bound to a key, and none was proved",
            RefreshErrorKind::OtherKey => "the session is bound to another key",
            RefreshErrorKind::Superseded => "the refresh token was superseded",
            RefreshErrorKind::Reused => "the refresh token was used twice: the session is revoked",
            RefreshErrorKind::StoreBehind => "the session store is older than the refresh token",
            RefreshErrorKind::Refused => "the subject may not have access tokens any more",
            RefreshErrorKind::WiderScope => "the session has fewer scopes than were asked for",
            RefreshErrorKind::Unavailable => "refreshing is not possible at the moment",
        })
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|it| it as _)
    }
}

impl From<RefreshErrorKind> for RefreshError {
    fn from(kind: RefreshErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<TokenError> for RefreshError {
    fn from(error: TokenError) -> Self {
        match error.kind() {
            TokenErrorKind::Malformed => RefreshErrorKind::Malformed.into(),
            TokenErrorKind::BadTag => RefreshErrorKind::BadTag.into(),
            TokenErrorKind::UnknownSecret => RefreshErrorKind::UnknownSecret.into(),
        }
    }
}

impl From<Dead> for RefreshError {
    fn from(dead: Dead) -> Self {
        match dead {
            Dead::Unknown => RefreshErrorKind::Unknown.into(),
            Dead::Revoked => RefreshErrorKind::Revoked.into(),
            Dead::Expired => RefreshErrorKind::Expired.into(),
            Dead::OtherClient => RefreshErrorKind::OtherClient.into(),
            Dead::Unproved => RefreshErrorKind::Unproved.into(),
            Dead::OtherKey => RefreshErrorKind::OtherKey.into(),
        }
    }
}

impl From<StoreError> for RefreshError {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error)
    }
}

impl From<IssueError> for RefreshError {
    fn from(error: IssueError) -> Self {
        Self::unavailable(error)
    }
}
