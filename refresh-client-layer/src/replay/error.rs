use std::error::Error;
use std::fmt;

/// Why a [`Recorded`](super::Recorded) body ended before its time.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError<E> {
    /// The stream itself failed.
    Source(E),
    /// A second body has taken the stream over: the request is being sent again elsewhere.
    TakenBack,
}

impl<E> fmt::Display for ReplayError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source(_) => "the request body failed",
            Self::TakenBack => "the rest of the request body was taken back for a second attempt",
        })
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>> + Error + 'static> Error for ReplayError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Source(error) => Some(error),
            Self::TakenBack => None,
        }
    }
}
