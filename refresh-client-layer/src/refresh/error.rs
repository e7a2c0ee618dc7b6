use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::codes;

/// Why a refresh brought no tokens.
#[derive(Clone, Debug)]
pub struct RefreshError {
    kind: RefreshErrorKind,
    what: &'static str,
    retry_after: Option<Duration>,
    passes_soon: bool,
    answer: Option<ServerAnswer>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What a [`RefreshError`] means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshErrorKind {
    /// The server refused the refresh token for good: the session is over.
    Refused,
    /// The server knows a newer token of this session. It may be in the store.
    Superseded,
    /// The server wants to see the user, as for another factor: the session is over here, and the tokens
    /// stay in the store.
    SignInRequired,
    /// The request was wrong, as with an unknown client. The tokens are kept.
    Configuration,
    /// Anything that may be gone at the next try. The tokens are kept.
    Transient,
}

impl RefreshError {
    /// An error that says `what` happened: a fixed sentence, so that no secret gets into it.
    pub fn new(kind: RefreshErrorKind, what: &'static str) -> Self {
        Self {
            kind,
            what,
            retry_after: None,
            passes_soon: false,
            answer: None,
            source: None,
        }
    }

    /// With the error that caused it. It must not contain a token or the server's answer.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// With the server's wish not to be asked again for a while (`Retry-After`, RFC 9110 section
    /// 10.2.3). More than 5 minutes count as 5 minutes.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.retry_after = delay;
        self
    }

    /// States that the fault may be gone within a second, such as a reset connection or a server that
    /// restarts. The same refresh is then tried again, up to four times within 5 seconds, before any
    /// caller receives the error. It counts for [`Transient`](RefreshErrorKind::Transient) errors only.
    #[must_use]
    pub fn passing_soon(mut self) -> Self {
        self.passes_soon = true;
        self
    }

    /// How long to wait at least before the same refresh is tried again; `None` if the caller is to get
    /// the error.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let wish = self.retry_after.unwrap_or_default();
        let is_brief = wish <= BRIEF && (self.passes_soon || self.retry_after.is_some());
        (self.kind == RefreshErrorKind::Transient && is_brief).then_some(wish)
    }

    #[cfg(feature = "http")]
    pub(super) fn answered(mut self, answer: ServerAnswer) -> Self {
        self.answer = Some(answer);
        self
    }

    /// The status of the server's answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.answer.as_ref().map(|answer| answer.status)
    }

    /// The error code in the server's answer, such as `invalid_grant`, if it has at most 64 letters,
    /// digits and `.`, `-`, `_`.
    pub fn code(&self) -> Option<&str> {
        self.answer.as_ref()?.code.as_deref()
    }

    /// The server's own description of the error. It may contain anything, so it is in neither
    /// `Display` nor `Debug`: keep it out of logs.
    pub fn description(&self) -> Option<&str> {
        self.answer.as_ref()?.description.as_deref()
    }

    /// What it means for the session.
    pub fn kind(&self) -> RefreshErrorKind {
        self.kind
    }

    /// How long the server asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// A server that asks for no more than this is asked again within the same refresh.
const BRIEF: Duration = Duration::from_secs(2);

/// What a server said of an error.
#[derive(Clone, Default)]
pub(super) struct ServerAnswer {
    pub(super) status: StatusCode,
    pub(super) code: Option<String>,
    pub(super) description: Option<String>,
}

impl fmt::Debug for ServerAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAnswer")
            .field("status", &self.status)
            .field(
                "code",
                &self.code.as_deref().filter(|code| codes::is_known(code)),
            )
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
