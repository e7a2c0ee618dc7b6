use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::BoxError;

/// Why keys could not be fetched.
#[derive(Clone, Debug)]
pub struct RemoteKeysError {
    kind: RemoteKeysErrorKind,
    differs_by_slash: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl RemoteKeysError {
    /// What went wrong.
    pub const fn kind(&self) -> RemoteKeysErrorKind {
        self.kind
    }

    /// The error and all that caused it: "invalid peer certificate" is at the end.
    pub(super) fn chain(&self) -> String {
        let mut chain = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            chain = format!("{chain}: {error}");
            cause = error.source();
        }
        chain
    }

    /// The metadata name the issuer `found` where `expected` was asked for.
    pub(super) fn wrong_issuer(expected: &str, found: &str) -> Self {
        let differs_by_slash =
            found.strip_suffix('/') == Some(expected) || expected.strip_suffix('/') == Some(found);
        Self {
            differs_by_slash,
            ..RemoteKeysErrorKind::WrongIssuer.into()
        }
    }

    /// What a fetcher's error means.
    pub(super) fn from_fetcher(error: BoxError) -> Self {
        let kind = match error.is::<http_body_util::LengthLimitError>() {
            true => RemoteKeysErrorKind::TooLarge,
            false => RemoteKeysErrorKind::Unreachable,
        };
        Self {
            source: Some(error.into()),
            ..kind.into()
        }
    }
}

/// What went wrong when keys were fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemoteKeysErrorKind {
    /// The URL, or the one that discovery gave, is neither `https` nor plain `http` to this
    /// machine, or holds a password; an issuer's has a query or a fragment.
    InvalidUrl,
    /// There is no tokio runtime to fetch on.
    NoRuntime,
    /// No answer: name resolution, connection, TLS. The source says more.
    Unreachable,
    /// No whole answer within 10 s.
    TimedOut,
    /// The answer is a redirect, which is not followed.
    Redirected,
    /// The answer has this status instead of 200.
    Status(StatusCode),
    /// The answer has a content coding, although none was asked for.
    Encoded,
    /// More than 256 KiB.
    TooLarge,
    /// More than 64 keys.
    TooManyKeys,
    /// Not the JSON document that was asked for.
    Malformed,
    /// The metadata are those of another issuer (RFC 8414 s3.3).
    WrongIssuer,
    /// The set was fetched and holds no key that can be used; its status says why.
    NoUsableKey,
    /// The fetcher panicked.
    Panicked,
}

impl fmt::Display for RemoteKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RemoteKeysErrorKind::InvalidUrl => {
                "keys are fetched by https only, or by http from this machine"
            }
            RemoteKeysErrorKind::NoRuntime => "there is no tokio runtime to fetch keys on",
            RemoteKeysErrorKind::Unreachable => "the server of the keys cannot be reached",
            RemoteKeysErrorKind::TimedOut => "the server of the keys did not answer within 10 s",
            RemoteKeysErrorKind::Redirected => {
                "the server of the keys redirects: give the URL that it redirects to"
            }
            RemoteKeysErrorKind::Status(status) => {
                return write!(f, "the server of the keys answered {status}");
            }
            RemoteKeysErrorKind::Encoded => "the answer has a content coding",
            RemoteKeysErrorKind::TooLarge => "the answer is larger than 256 KiB",
            RemoteKeysErrorKind::TooManyKeys => "the key set holds more than 64 keys",
            RemoteKeysErrorKind::Malformed => "the answer is not the JSON document asked for",
            RemoteKeysErrorKind::WrongIssuer if self.differs_by_slash => {
                "the issuer in the metadata differs by a trailing slash: write it as the metadata do"
            }
            RemoteKeysErrorKind::WrongIssuer => "the metadata are those of another issuer",
            RemoteKeysErrorKind::NoUsableKey => "the key set holds no key that can be used",
            RemoteKeysErrorKind::Panicked => "the fetcher panicked",
        })
    }
}

impl Error for RemoteKeysError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|it| it as _)
    }
}

impl From<RemoteKeysErrorKind> for RemoteKeysError {
    fn from(kind: RemoteKeysErrorKind) -> Self {
        Self {
            kind,
            differs_by_slash: false,
            source: None,
        }
    }
}
