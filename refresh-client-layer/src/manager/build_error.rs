use std::fmt;

use crate::origin::InvalidOrigin;

/// Why a manager cannot be built; the text says what to do.
#[derive(Debug)]
pub struct BuildError {
    kind: BuildErrorKind,
    source: Option<InvalidOrigin>,
}

/// The kinds of [`BuildError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildErrorKind {
    /// What was given to `origin` is none; the source says why.
    Origin,
    /// The URL of the refresher cannot be used; the source says why.
    RefreshUrl,
    /// Nobody may see the access token.
    NoOrigin,
    /// A token is empty, or a header cannot carry it.
    Tokens,
    /// One of many sessions has no store, and would be lost when it is put away.
    NoStore,
}

impl BuildError {
    /// What is wrong.
    pub fn kind(&self) -> BuildErrorKind {
        self.kind
    }

    pub(super) fn because(kind: BuildErrorKind, source: InvalidOrigin) -> Self {
        Self {
            kind,
            source: Some(source),
        }
    }
}

impl From<BuildErrorKind> for BuildError {
    fn from(kind: BuildErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.source) {
            (BuildErrorKind::Origin, Some(why)) => {
                write!(f, "correct what is given to origin: {why}")
            }
            (BuildErrorKind::RefreshUrl, Some(why)) => {
                write!(f, "correct the url of the refresher: {why}")
            }
            (BuildErrorKind::NoOrigin, _) => f.write_str(
                "say who may see the access token: call origin(\"https://api.example\")",
            ),
            (BuildErrorKind::Tokens, _) => f.write_str(
                "give tokens as the server wrote them: one is empty or no header can carry it",
            ),
            (BuildErrorKind::NoStore, _) => f.write_str(
                "give each session of TokenManagers a store: it is found there after it was put away",
            ),
            (_, None) => f.write_str("correct the urls"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}
