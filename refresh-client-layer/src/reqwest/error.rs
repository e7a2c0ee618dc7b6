use std::error::Error;
use std::fmt;

use crate::manager::{RefreshUnavailable, SessionEnded};

/// Why a request of an [`AuthClient`](super::AuthClient) brought no response. The source is the
/// [`SessionEnded`], the [`RefreshUnavailable`] or the [`reqwest::Error`](::reqwest::Error).
#[derive(Debug)]
pub struct RequestError {
    kind: RequestErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The kinds of [`RequestError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// There is no session: sign in. Nothing was sent, or the server refused it.
    SessionEnded,
    /// There is no usable token right now: try again later.
    RefreshUnavailable,
    /// The request could not be built or sent.
    Http,
}

impl RequestError {
    pub(crate) fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        let kind = if source.is::<SessionEnded>() {
            RequestErrorKind::SessionEnded
        } else if source.is::<RefreshUnavailable>() {
            RequestErrorKind::RefreshUnavailable
        } else {
            RequestErrorKind::Http
        };
        Self { kind, source }
    }

    /// What went wrong.
    pub fn kind(&self) -> RequestErrorKind {
        self.kind
    }

    /// The error of `reqwest`, if it is one.
    pub fn as_reqwest(&self) -> Option<&::reqwest::Error> {
        self.source.downcast_ref()
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RequestErrorKind::SessionEnded => "there is no session",
            RequestErrorKind::RefreshUnavailable => "there is no usable access token",
            RequestErrorKind::Http => "the request could not be sent",
        })
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
