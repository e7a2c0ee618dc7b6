use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a refresh brought no tokens.
#[derive(Clone, Debug)]
pub struct RefreshError {
    kind: RefreshErrorKind,
    what: &'static str,
    retry_after: Option<Duration>,
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

    /// What it means for the session.
    pub fn kind(&self) -> RefreshErrorKind {
        self.kind
    }

    /// How long the server asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
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
