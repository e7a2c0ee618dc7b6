use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::EndReason;
use crate::refresh::{RefreshError, RefreshErrorKind};

/// Why there is no access token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no session: sign in.
    SessionEnded(SessionEnded),
    /// There is a session, but no usable token right now: try again later.
    RefreshUnavailable(RefreshUnavailable),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionEnded(error) => error.fmt(f),
            Self::RefreshUnavailable(error) => error.fmt(f),
        }
    }
}

impl Error for TokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::SessionEnded(error) => error.source(),
            Self::RefreshUnavailable(error) => error.source(),
        }
    }
}

impl From<SessionEnded> for TokenError {
    fn from(error: SessionEnded) -> Self {
        Self::SessionEnded(error)
    }
}

impl From<RefreshUnavailable> for TokenError {
    fn from(error: RefreshUnavailable) -> Self {
        Self::RefreshUnavailable(error)
    }
}

/// There is no session, and no refresh will bring one: the user has to sign in.
#[derive(Clone, Debug)]
pub struct SessionEnded {
    reason: EndReason,
}

impl SessionEnded {
    pub(crate) fn new(reason: EndReason) -> Self {
        Self { reason }
    }

    /// Who ended it.
    pub fn reason(&self) -> EndReason {
        self.reason
    }
}

impl fmt::Display for SessionEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            EndReason::NeverSignedIn => "nobody is signed in",
            EndReason::SignedOut => "the session was signed out",
            EndReason::Refused => "the server ended the session: sign in again",
            EndReason::Replaced => "another sign-in has taken the place of this one",
            EndReason::Lost => "the session cannot be brought back: sign in again",
        })
    }
}

impl Error for SessionEnded {}

/// A refresh could not be carried out. The session may well be alive: this is no reason to ask the
/// user to sign in.
#[derive(Clone, Debug)]
pub struct RefreshUnavailable {
    kind: UnavailableKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
    retry_after: Option<Duration>,
}

/// The kinds of [`RefreshUnavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnavailableKind {
    /// The refresh was tried and failed; the source says how.
    Failed,
    /// Something is set up wrongly, here or at the token server: it refused the request itself, as with
    /// an unknown client, or its tokens are of another type; the request cannot be written; or the
    /// builder that a loader gave makes no manager. The source says which.
    Configuration,
    /// No answer within the time-out, 30 seconds by default.
    TimedOut,
    /// An earlier try failed a moment ago; the source is that of its error, if it had one.
    BackingOff,
    /// Another process holds the right to refresh, and has not given it back for 30 seconds.
    Locked,
    /// [`close`](crate::TokenManager::close) was called, after which no refresh starts.
    Closed,
    /// New tokens do not live, or are refused at once: more than 5 in 30 seconds were replaced
    /// before their time.
    TooManyRefreshes,
    /// The refresher sends through a client that is layered with its own manager.
    Reentrant,
    /// Neither does this run inside a Tokio runtime nor was one given to the builder.
    NoRuntime,
    /// The runtime that ran the refresh has shut down.
    Interrupted,
    /// The refresher, the store or the loader panicked.
    Panicked,
    /// The store could not be read, so that nobody knows whether there is a session.
    Store,
    /// The loader of [`TokenManagers`](crate::TokenManagers) failed; the source says how.
    NotLoaded,
    /// The tokens to sign in with are none; the source says why.
    InvalidTokens,
    /// More sessions are in use at once than [`TokenManagers`](crate::TokenManagers) may hold.
    TooManySessions,
}

impl RefreshUnavailable {
    pub(crate) fn new(kind: UnavailableKind) -> Self {
        Self {
            kind,
            source: None,
            retry_after: None,
        }
    }

    pub(crate) fn failed(error: RefreshError) -> Self {
        let kind = match error.kind() {
            RefreshErrorKind::Configuration => UnavailableKind::Configuration,
            _ => UnavailableKind::Failed,
        };
        Self::because(kind, error)
    }

    pub(crate) fn because(
        kind: UnavailableKind,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            source: Some(Arc::new(source)),
            retry_after: None,
        }
    }

    /// The same, after which nothing is tried for a while.
    pub(crate) fn for_a_while(self, pause: Duration) -> Self {
        Self {
            retry_after: Some(pause),
            ..self
        }
    }

    /// The same cause, seen by somebody who did not wait for it, when so much of the pause is left.
    pub(crate) fn backing_off(&self, left: Duration) -> Self {
        Self {
            kind: UnavailableKind::BackingOff,
            source: self.source.clone(),
            retry_after: Some(left),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> UnavailableKind {
        self.kind
    }

    /// How long nothing will be tried, counted from this error: what a gateway says in `Retry-After`.
    /// `None` if the next request may well do better.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for RefreshUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            UnavailableKind::Failed => "the access token could not be refreshed",
            UnavailableKind::Configuration => {
                "the session or its token server is set up wrongly, so that trying again is of no use"
            }
            UnavailableKind::TimedOut => "the refresh took too long",
            UnavailableKind::BackingOff => "the last refresh failed a moment ago",
            UnavailableKind::Locked => "another process keeps the right to refresh",
            UnavailableKind::Closed => "the session manager was closed",
            UnavailableKind::TooManyRefreshes => "new access tokens do not live long enough",
            UnavailableKind::Reentrant => {
                "the refresher sends through its own layered client: give it the bare one"
            }
            UnavailableKind::NoRuntime => {
                "no tokio runtime: call from inside one or give its handle to the builder"
            }
            UnavailableKind::Interrupted => "the runtime of the refresh has shut down",
            UnavailableKind::Panicked => "the refresh panicked",
            UnavailableKind::Store => "the token store could not be read",
            UnavailableKind::NotLoaded => "the session could not be loaded",
            UnavailableKind::InvalidTokens => "the tokens to sign in with cannot be used",
            UnavailableKind::TooManySessions => "too many sessions are in use",
        })
    }
}

impl Error for RefreshUnavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
