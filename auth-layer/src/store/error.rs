use std::error::Error;
use std::fmt;

/// A store that could not do what it was asked to. Never a statement about a token.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of that kind, because of `source`.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

/// What kept a store from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, does not answer in time, or cannot write. It may work again later.
    Unavailable,
    /// It has more to do than it accepts. Ask again in a moment.
    Overloaded,
    /// What it holds makes no sense. Somebody has to look at it.
    Damaged,
    /// The session's id is taken.
    Conflict,
    /// The sessions of the subject were revoked since the epoch that was given, so a new one was not added.
    Revoked,
    /// It cannot hold what it was given, such as a text with a NUL in PostgreSQL. Asking again
    /// changes nothing.
    Rejected,
}

impl From<StoreErrorKind> for StoreError {
    fn from(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store is unavailable",
            StoreErrorKind::Overloaded => "the session store is overloaded",
            StoreErrorKind::Damaged => "the session store holds damaged data",
            StoreErrorKind::Conflict => "the session's id is taken",
            StoreErrorKind::Revoked => "the sessions of the subject were revoked meanwhile",
            StoreErrorKind::Rejected => "the session store cannot hold that session",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|it| it as _)
    }
}
